use std::sync::Arc;

use dps_model::etag::IfMatch;
use dps_model::{Etag, Timestamp};
use serde_json::{Value, json};

use super::{Change, Conditions, RuleBook};
use crate::alerts::document::Kind;
use crate::metrics::fixtures::{Break, MemoryState};
use crate::ports::{Resource, Resources, RuleSource as _};

const SERVICE: &str =
    "/subscriptions/S/resourceGroups/g/providers/Microsoft.Devices/provisioningServices/dps";
const RULE: &str = "/subscriptions/S/resourceGroups/g/providers/Microsoft.Insights/metricAlerts/Refused";
const GROUP: &str = "/subscriptions/S/resourceGroups/g/providers/Microsoft.Insights/actionGroups/ops";
const NOW: Timestamp = Timestamp::MAX;

struct Services;

impl Resources for Services {
    fn find(&self, instance: Option<&str>) -> Option<Resource> {
        (instance == Some("dps")).then(|| Resource { id: SERVICE.into(), location: "local".into() })
    }
}

/// What is there after its service is gone.
struct Nothing;

impl Resources for Nothing {
    fn find(&self, _instance: Option<&str>) -> Option<Resource> {
        None
    }
}

async fn open(state: &Arc<MemoryState>) -> Arc<RuleBook> {
    Arc::new(RuleBook::open(Arc::clone(state) as _, Arc::new(Services), "/w".into()).await.unwrap())
}

fn rule() -> Value {
    json!({"location": "global", "id": "forged", "etag": "forged", "properties": {
        "severity": 2, "enabled": true, "scopes": [SERVICE], "evaluationFrequency": "PT1M", "windowSize": "PT5M",
        "lastUpdatedTime": "1999-01-01T00:00:00Z", "actions": [{"actionGroupId": GROUP}],
        "criteria": {"odata.type": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria", "allOf": [{
            "name": "c", "metricName": "AttestationAttempts", "operator": "GreaterThan", "threshold": 1,
            "timeAggregation": "Total"}]},
    }})
}

fn group() -> Value {
    json!({"location": "Global", "properties": {"groupShortName": "ops", "enabled": true,
        "emailReceivers": [{"name": "m", "emailAddress": "a@b.example"}],
        "webhookReceivers": [{"name": "w", "serviceUri": "https://hooks.example/?code=s3cr3t"}]}})
}

async fn put(book: &Arc<RuleBook>, kind: Kind, id: &str, body: Value) -> Result<Value, u16> {
    let made = book.put(kind, id, Change::Whole(body), Conditions::default(), NOW).await;
    made.map(|made| made.document.show()).map_err(|error| error.code.status())
}

#[tokio::test]
async fn documents_outlive_a_restart_and_the_services_that_they_name() {
    let state = Arc::new(MemoryState::default());
    let book = open(&state).await;
    assert_eq!(put(&book, Kind::MetricAlert, RULE, rule()).await, Err(400), "its group is not there yet");
    let shown = put(&book, Kind::ActionGroup, GROUP, group()).await.unwrap();
    assert_eq!(
        shown["properties"]["webhookReceivers"][0]["serviceUri"],
        "https://hooks.example/?code=s3cr3t"
    );
    assert_eq!(shown["properties"]["emailReceivers"][0]["status"], "Disabled");
    let made = put(&book, Kind::MetricAlert, RULE, rule()).await.unwrap();
    assert_eq!((&made["id"], &made["name"]), (&json!(RULE), &json!("Refused")));
    assert_eq!(made["type"], "Microsoft.Insights/metricAlerts");
    assert!(made["etag"] != "forged" && made["properties"]["lastUpdatedTime"] == json!(NOW));
    for kept in state.bodies() {
        assert!(!kept.contains("s3cr3t") && !kept.contains("forged"), "{kept}");
    }

    let again = RuleBook::open(Arc::clone(&state) as _, Arc::new(Nothing), "/w".into()).await.unwrap();
    assert_eq!(again.get(Kind::MetricAlert, &RULE.to_uppercase()).unwrap().show(), made);
    assert_eq!(again.get(Kind::ActionGroup, GROUP).unwrap().show(), shown);
    assert_eq!(again.enabled().len(), 1);
    assert_eq!(again.rule(&RULE.to_lowercase()).unwrap().id, RULE);
    let told = again.group(&GROUP.to_uppercase()).unwrap();
    assert_eq!(told.webhooks[0].uri.expose(), b"https://hooks.example/?code=s3cr3t");
}

#[tokio::test]
async fn versions_guard_every_change() {
    let state = Arc::new(MemoryState::default());
    let book = open(&state).await;
    let mut body = rule();
    body["properties"]["actions"] = json!([]);
    let first = put(&book, Kind::MetricAlert, RULE, body.clone()).await.unwrap();
    let etag = Etag(first["etag"].as_str().unwrap().to_owned());
    let with = |conditions: Conditions| {
        let (book, body) = (Arc::clone(&book), body.clone());
        async move {
            let made = book.put(Kind::MetricAlert, RULE, Change::Whole(body), conditions, NOW).await;
            made.map(|made| made.previous).map_err(|error| error.code.status())
        }
    };
    let matching = |tag: IfMatch| Conditions { if_match: Some(tag), must_be_new: false };
    assert_eq!(with(Conditions { must_be_new: true, if_match: None }).await, Err(412));
    assert_eq!(with(matching(IfMatch::Tag(Etag::fresh()))).await, Err(412));
    assert_eq!(with(matching(IfMatch::Tag(etag.clone()))).await, Ok(Some(etag.clone())));
    assert_eq!(with(matching(IfMatch::Tag(etag))).await, Err(412), "it changed");
    assert!(with(matching(IfMatch::Any)).await.is_ok());
    let stale = Some(IfMatch::Tag(Etag::fresh()));
    assert_eq!(book.delete(Kind::MetricAlert, RULE, stale).await.unwrap_err().code.status(), 412);
    assert!(book.delete(Kind::MetricAlert, RULE, None).await.unwrap().is_some());
    assert_eq!(book.delete(Kind::MetricAlert, RULE, None).await.unwrap(), None);
    assert_eq!(with(matching(IfMatch::Any)).await, Err(412), "nothing is there");
    assert!(state.bodies().is_empty());
}

#[tokio::test]
async fn members_change_and_the_rest_stays_or_nothing_does() {
    let book = open(&Arc::new(MemoryState::default())).await;
    let members = json!({"tags": {"a": "b"}, "properties": {"enabled": false, "description": null}});
    let change = |members: &Value| Change::Members(members.clone());
    let none = book.put(Kind::ActionGroup, GROUP, change(&members), Conditions::default(), NOW).await;
    assert_eq!(none.err().unwrap().code.status(), 404);
    put(&book, Kind::ActionGroup, GROUP, group()).await.unwrap();
    let made =
        book.put(Kind::ActionGroup, GROUP, change(&members), Conditions::default(), NOW).await.unwrap();
    let shown = made.document.show();
    assert_eq!((&shown["tags"]["a"], &shown["properties"]["enabled"]), (&json!("b"), &json!(false)));
    assert_eq!(
        shown["properties"]["webhookReceivers"][0]["serviceUri"],
        "https://hooks.example/?code=s3cr3t"
    );
    let wrong = json!({"properties": {"groupShortName": "much too long for one"}});
    let refused = book.put(Kind::ActionGroup, GROUP, change(&wrong), Conditions::default(), NOW).await;
    assert_eq!(refused.err().unwrap().code.status(), 400);
    assert_eq!(book.get(Kind::ActionGroup, GROUP).unwrap().show(), shown);
    assert!(!book.group(GROUP).unwrap().enabled);
}

#[tokio::test]
async fn lists_are_of_what_lies_under_them_in_pages() {
    let book = open(&Arc::new(MemoryState::default())).await;
    for (resource_group, name) in [("g", "a"), ("g", "B"), ("g", "c"), ("g2", "d")] {
        let id = format!(
            "/subscriptions/S/resourceGroups/{resource_group}/providers/Microsoft.Insights/actionGroups/{name}"
        );
        put(&book, Kind::ActionGroup, &id, group()).await.unwrap();
    }
    let names = |under: &str, after: Option<&str>, limit| {
        let (found, more) = book.list(Kind::ActionGroup, under, after, limit);
        let names: Vec<_> = found.iter().map(|it| it.id.rsplit('/').next().unwrap().to_owned()).collect();
        (names.join(" "), more, found.last().map(|it| it.id.clone()))
    };
    let (first, more, last) = names("/subscriptions/s/resourcegroups/G", None, 2);
    assert_eq!((first.as_str(), more), ("a B", true));
    let (second, more, _) = names("/subscriptions/s/resourcegroups/G", last.as_deref(), 2);
    assert_eq!((second.as_str(), more), ("c", false));
    assert_eq!(names("/subscriptions/S", None, 9).0, "a B c d");
    assert_eq!(names("/subscriptions/other", None, 9).0, "");
}

#[tokio::test]
async fn memory_is_what_is_on_disk_however_a_write_fails() {
    let state = Arc::new(MemoryState::default());
    let book = open(&state).await;
    state.break_next(Break::Before);
    assert_eq!(put(&book, Kind::ActionGroup, GROUP, group()).await, Err(500));
    assert!(book.get(Kind::ActionGroup, GROUP).is_none());
    state.break_next(Break::After);
    assert_eq!(put(&book, Kind::ActionGroup, GROUP, group()).await, Err(500));
    let kept = book.get(Kind::ActionGroup, GROUP).unwrap().show();
    assert_eq!(open(&state).await.get(Kind::ActionGroup, GROUP).unwrap().show(), kept);
    assert!(put(&book, Kind::ActionGroup, GROUP, group()).await.is_ok(), "the version is the one on disk");
}

#[tokio::test]
async fn kept_document_that_cannot_be_read_harms_no_other() {
    let state = Arc::new(MemoryState::default());
    let book = open(&state).await;
    put(&book, Kind::ActionGroup, GROUP, group()).await.unwrap();
    put(&book, Kind::MetricAlert, RULE, rule()).await.unwrap();
    state.edit(|body| *body = body.replace("AttestationAttempts", "OfALaterVersion"));
    let again = open(&state).await;
    assert!(again.enabled().is_empty() && again.get(Kind::MetricAlert, RULE).is_some());
    assert!(again.group(GROUP).is_some());
    state.damage();
    assert!(open(&state).await.get(Kind::ActionGroup, GROUP).is_none());
}

#[tokio::test]
async fn too_many_and_too_large_are_refused() {
    let book = open(&Arc::new(MemoryState::default())).await;
    let id = |at: usize| format!("{GROUP}{at}");
    for at in 0..Kind::ActionGroup.most() {
        put(&book, Kind::ActionGroup, &id(at), group()).await.unwrap();
    }
    assert_eq!(put(&book, Kind::ActionGroup, GROUP, group()).await, Err(403));
    assert!(put(&book, Kind::ActionGroup, &id(0), group()).await.is_ok(), "one that is there may change");
    let mut large = rule();
    large["properties"]["actions"] = json!([]);
    large["padding"] = "x".repeat(Kind::MetricAlert.largest()).into();
    assert_eq!(put(&book, Kind::MetricAlert, RULE, large).await, Err(400));
}
