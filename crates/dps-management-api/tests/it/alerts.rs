//! Alert rules, action groups and alerts: every verb, pages, conditions, sample notifications, and what people say.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dps_model::{Etag, Timestamp};
use dps_monitor::alerts::alert::{Alert, AlertState, Change, ChangeEvent, MonitorCondition, Signal};
use dps_monitor::alerts::group::{ActionGroup, PayloadForm};
use dps_monitor::{
    Answer, AnswerTable, Kept, Notifier, QueryEngine, QueryError, QueryRequest, RuleSource as _, Shelf,
    StateWrite, TryOut,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::bed::{Ask, Bed, DEFAULT, NOW, Reply, WORKSPACE, Watch, ask};

const SUBSCRIPTION: &str = "/subscriptions/s-1/providers";
const GROUP: &str = "/subscriptions/s-1/resourceGroups/fleet/providers/Microsoft.Insights";

/// Some alert rule on metrics of the service that is always there.
pub fn metric_alert() -> Value {
    json!({"location": "global", "properties": {
        "description": "", "severity": 3, "enabled": true, "scopes": [DEFAULT],
        "evaluationFrequency": "PT1M", "windowSize": "PT5M",
        "criteria": {"odata.type": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria", "allOf": [{
            "name": "c", "metricName": "AttestationAttempts", "operator": "GreaterThan", "threshold": 1,
            "timeAggregation": "Total"}]},
    }})
}

/// Some action group.
pub fn action_group() -> Value {
    json!({"location": "Global", "properties": {"groupShortName": "ops", "enabled": true,
        "webhookReceivers": [{"name": "w", "serviceUri": "https://hooks.example/?code=s3cr3t"}]}})
}

fn query_rule() -> Value {
    json!({"location": "westus", "properties": {
        "severity": 1, "scopes": [WORKSPACE], "evaluationFrequency": "PT5M", "windowSize": "PT5M",
        "criteria": {"allOf": [{"query": "AzureDiagnostics | where ResultType == 'ClientError'",
            "timeAggregation": "Count", "operator": "GreaterThan", "threshold": 3}]},
        "actions": {"actionGroups": []},
    }})
}

/// An alert about a resource that fired a minute ago, as its rule keeps it.
pub async fn fired(bed: &Bed, target: &str, rule: &str) -> Alert {
    let at = Timestamp::from_millis((NOW - 60) * 1_000);
    let (created, comment) = (ChangeEvent::AlertCreated, String::new());
    let alert = Alert {
        id: Uuid::new_v4(),
        rule: rule.to_owned(),
        rule_name: rule.rsplit('/').next().unwrap().to_owned(),
        description: "too many".into(),
        severity: 3,
        signal: Signal::Metric,
        target: target.to_owned(),
        dimensions: vec![("Status".into(), "ClientError".into())],
        condition: MonitorCondition::Fired,
        state: AlertState::New,
        fired: at,
        resolved: None,
        modified: at,
        context: json!({"conditionType": "SingleResourceMultipleMetricCriteria"}),
        history: vec![Change {
            at,
            event: created,
            old: String::new(),
            new: "Fired".into(),
            by: "System".into(),
            comment,
        }],
    };
    keep(bed, &alert).await;
    alert
}

async fn keep(bed: &Bed, alert: &Alert) {
    let body = serde_json::to_string(alert).unwrap();
    let document = Kept { id: alert.id.simple().to_string(), etag: Etag::fresh(), body, sealed: None };
    bed.state.write(vec![StateWrite::Put { shelf: Shelf::Alerts, document, over: None }]).await.unwrap();
}

fn of(method: &'static str, path: &str, version: &str, query: &str) -> Ask {
    ask(method, "").uri(&format!("{path}?api-version={version}{query}"))
}

fn metric(method: &'static str, rest: &str) -> Ask {
    of(method, &format!("{GROUP}/metricAlerts{rest}"), "2018-03-01", "")
}

fn group(method: &'static str, rest: &str) -> Ask {
    of(method, &format!("{GROUP}/actionGroups{rest}"), "2023-01-01", "")
}

fn names(shown: &Value) -> Vec<&str> {
    shown["value"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect()
}

/// Answers no query.
struct Engine;

#[async_trait]
impl QueryEngine for Engine {
    fn tables(&self) -> &[dps_kql::Table] {
        &[]
    }

    async fn run(&self, _request: QueryRequest) -> Result<Answer, QueryError> {
        let table = AnswerTable { columns: Vec::new(), rows: Vec::new() };
        Ok(Answer { table, render: None, partial: None, elapsed: Duration::ZERO, scanned_rows: 0 })
    }
}

/// Remembers whom it told.
#[derive(Default)]
struct Told(Mutex<Vec<(String, PayloadForm)>>);

#[async_trait]
impl Notifier for Told {
    async fn try_out(&self, group: &ActionGroup) -> Vec<TryOut> {
        let tell = |hook: &dps_monitor::alerts::group::WebhookReceiver| {
            self.0.lock().unwrap().push((hook.name.clone(), hook.form));
            let failure = (hook.name == "bad").then(|| "the webhook answered 500".to_owned());
            TryOut { receiver: hook.name.clone(), failure }
        };
        group.webhooks.iter().map(tell).collect()
    }
}

#[tokio::test]
async fn metric_alert_is_made_read_changed_listed_and_removed() {
    let bed = Bed::new().await;
    let made = bed.call(metric("PUT", "/Refused").json(&metric_alert())).await.ok();
    assert_eq!(made["id"], format!("{GROUP}/metricAlerts/Refused"));
    assert_eq!(
        (&made["type"], &made["properties"]["isMigrated"]),
        (&json!("Microsoft.Insights/metricAlerts"), &json!(false))
    );
    assert_eq!(made["properties"]["criteria"], metric_alert()["properties"]["criteria"]);
    let event = bed.events().pop().unwrap();
    assert_eq!(event.operation, "Microsoft.Insights/metricAlerts/write");
    assert_eq!(event.resource_id.as_deref(), made["id"].as_str());
    assert_eq!((event.previous_etag, event.etag.as_deref()), (None, made["etag"].as_str()));

    let patch = json!({"tags": {"a": "b"}, "properties": {"enabled": false}});
    let patched = bed.call(metric("PATCH", "/REFUSED").json(&patch)).await.ok();
    assert_eq!((&patched["properties"]["enabled"], &patched["tags"]["a"]), (&json!(false), &json!("b")));
    assert!(bed.rules.enabled().is_empty());
    assert_eq!(bed.call(metric("GET", "/refused")).await.ok(), patched);
    let stale =
        metric("PUT", "/Refused").json(&metric_alert()).header("if-match", made["etag"].as_str().unwrap());
    assert_eq!(bed.call(stale).await.status, 412);
    let twice = metric("PUT", "/Refused").json(&metric_alert()).header("if-none-match", "*");
    assert_eq!(bed.call(twice).await.status, 412);

    assert_eq!(names(&bed.call(metric("GET", "")).await.ok()), ["Refused"]);
    let all = of("GET", &format!("{SUBSCRIPTION}/Microsoft.Insights/metricAlerts"), "2018-03-01", "");
    assert_eq!(names(&bed.call(all).await.ok()), ["Refused"]);
    let other = of("GET", &format!("{}/metricAlerts", GROUP.replace("fleet", "flee")), "2018-03-01", "");
    assert_eq!(names(&bed.call(other).await.ok()), Vec::<&str>::new());

    assert_eq!(bed.call(metric("DELETE", "/refused")).await.status, 200);
    assert_eq!(bed.call(metric("DELETE", "/refused")).await.status, 204);
    assert_eq!(bed.call(metric("GET", "/refused")).await.refusal().1, "ResourceNotFound");
    assert_eq!(bed.call(metric("PATCH", "/refused").json(&patch)).await.status, 404);
}

#[tokio::test]
async fn what_is_wrong_with_a_rule_is_told_with_its_place() {
    let bed = Bed::new().await;
    let mut wrong = metric_alert();
    wrong["properties"]["criteria"]["allOf"][0]["metricName"] = json!("Temperature");
    let reply = bed.call(metric("PUT", "/r").json(&wrong)).await;
    let (status, code, message) = reply.refusal();
    assert_eq!((status, code.as_str()), (400, "BadRequest"));
    assert!(message.contains("it has AttestationAttempts"), "{message}");
    assert_eq!(reply.json()["error"]["target"], "properties.criteria.allOf[0].metricName");
    for path in ["/a%3Fb", "/a%3C", "/end."] {
        let reply = bed.call(metric("PUT", path).json(&metric_alert())).await;
        assert!(reply.refusal().2.starts_with("The name of the metric alert rule"), "{path}");
    }
    let place = format!("{}/metricAlerts/r", GROUP.replace("fleet", "a%3Fb"));
    assert_eq!(bed.call(of("PUT", &place, "2018-03-01", "").json(&metric_alert())).await.status, 400);
    for (path, version) in [
        ("metricAlerts", "2023-01-01"),
        ("scheduledQueryRules", "2018-04-16"),
        ("actionGroups", "2018-04-16"),
    ] {
        let reply = bed.call(of("GET", &format!("{GROUP}/{path}"), version, "")).await;
        assert_eq!(reply.refusal().1, "InvalidApiVersionParameter", "{path}");
    }
    let refused = bed
        .call(of("PUT", &format!("{GROUP}/scheduledQueryRules/q"), "2023-12-01", "").json(&query_rule()))
        .await;
    assert!(refused.refusal().2.contains("keeps no log rows"), "a build without log rows says so");
}

#[tokio::test]
async fn log_alert_is_taken_where_there_are_log_rows() {
    let bed = Bed::asking(Arc::new(Engine)).await;
    let at = |method, query: &str| of(method, &format!("{GROUP}/scheduledQueryRules/q"), "2023-12-01", query);
    let made = bed.call(at("PUT", "").json(&query_rule())).await.ok();
    assert_eq!(
        (&made["kind"], &made["properties"]["isLegacyLogAnalyticsRule"]),
        (&json!("LogAlert"), &json!(false))
    );
    assert!(made["systemData"]["createdAt"].is_string());
    let patch = json!({"properties": {"severity": 4}});
    assert_eq!(bed.call(at("PATCH", "").json(&patch)).await.ok()["properties"]["severity"], 4);
    let mut wrong = query_rule();
    wrong["properties"]["criteria"]["allOf"][0]["query"] = json!("AzureDiagnostic | count");
    let message = bed.call(at("PUT", "").json(&wrong)).await.refusal().2;
    assert!(
        message.starts_with("properties.criteria.allOf[0].query is no legal query, at line 1 column 1"),
        "{message}"
    );
    assert_eq!(bed.rules.enabled().len(), 1);
}

#[tokio::test]
async fn groups_come_in_pages_with_their_addresses_for_who_may_read_them() {
    let bed = Bed::new().await;
    for number in 0..101 {
        bed.call(group("PUT", &format!("/g{number:03}")).json(&action_group())).await.ok();
    }
    let first = bed.call(group("GET", "")).await.ok();
    assert_eq!(names(&first).len(), 100);
    assert_eq!(
        first["value"][0]["properties"]["webhookReceivers"][0]["serviceUri"],
        "https://hooks.example/?code=s3cr3t"
    );
    let link = first["nextLink"].as_str().unwrap().strip_prefix("https://example:8443").unwrap().to_owned();
    let second = bed.call(ask("GET", "").uri(&link)).await.ok();
    assert_eq!((names(&second), second.get("nextLink")), (vec!["g100"], None));
}

async fn sampled(bed: &Bed, body: &Value) -> Reply {
    bed.call(group("POST", "/ops/createNotifications").json(body)).await
}

#[tokio::test]
async fn sample_notifications_are_sent_to_the_webhooks_of_the_body() {
    let told = Arc::new(Told::default());
    let bed = Bed::watching(Watch { queries: None, notifier: Some(Arc::clone(&told) as _) }).await;
    let body = json!({"alertType": "servicehealth",
        "webhookReceivers": [
            {"name": "good", "serviceUri": "https://a.example", "useCommonAlertSchema": true},
            {"name": "bad", "serviceUri": "https://a.example#alertmanager"},
        ],
        "emailReceivers": [{"name": "mail", "emailAddress": "a@b.example"}]});
    assert_eq!(sampled(&bed, &body).await.status, 404, "its group is not there");
    bed.call(group("PUT", "/ops").json(&action_group())).await.ok();
    let reply = sampled(&bed, &body).await;
    assert_eq!(reply.status, 202, "{}", reply.text);
    assert!(reply.headers.get("azure-asyncoperation").is_none(), "SDKs follow the location");
    let location = reply.header("location").strip_prefix("https://example:8443").unwrap().to_owned();
    let shown = bed.call(ask("GET", "").uri(&location)).await.ok();
    assert_eq!(shown["state"], "Complete");
    let seen: Vec<_> = shown["actionDetails"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            let text = |name: &str| it[name].as_str().unwrap();
            (text("MechanismType"), text("Name"), text("Status"), text("Detail"))
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("Webhook", "good", "Completed", ""),
            ("Webhook", "bad", "Failed", "the webhook answered 500"),
            ("Email", "mail", "Failed", "This server tells webhooks alone."),
        ]
    );
    let forms = [("good".to_owned(), PayloadForm::Common), ("bad".to_owned(), PayloadForm::Alertmanager)];
    assert_eq!(*told.0.lock().unwrap(), forms);
    let foreign = location.replace("/ops/", "/other/");
    assert_eq!(bed.call(ask("GET", "").uri(&foreign)).await.status, 404);
    let wrong = json!({"alertType": "x", "webhookReceivers": [{"name": "w", "serviceUri": "ftp://a"}]});
    assert!(sampled(&bed, &wrong).await.refusal().2.starts_with("webhookReceivers[0].serviceUri"));
}

fn alerts(query: &str) -> Ask {
    of("GET", &format!("{SUBSCRIPTION}/Microsoft.AlertsManagement/alerts"), "2019-05-05-preview", query)
}

#[tokio::test]
async fn alerts_are_found_by_every_filter_and_in_pages() {
    let bed = Bed::new().await;
    let rule = format!("{GROUP}/metricAlerts/r");
    let first = fired(&bed, DEFAULT, &rule).await;
    for _ in 0..29 {
        fired(&bed, DEFAULT, &rule).await;
    }
    let mut old = fired(&bed, DEFAULT, &rule).await;
    old.fired = Timestamp::from_millis((NOW - 3 * 86_400) * 1_000);
    (old.severity, old.condition, old.signal) = (0, MonitorCondition::Resolved, Signal::Log);
    keep(&bed, &old).await;
    let mut foreign = fired(&bed, &DEFAULT.replace("S-1", "s-2"), &rule).await;
    foreign.modified = Timestamp::from_millis(NOW * 1_000);
    keep(&bed, &foreign).await;

    let page = bed.call(alerts("")).await.ok();
    assert_eq!(names(&page).len(), 25, "of the last day, of this subscription");
    let link = page["nextLink"].as_str().unwrap().strip_prefix("https://example:8443").unwrap().to_owned();
    let rest = bed.call(ask("GET", "").uri(&link)).await.ok();
    assert_eq!((names(&rest).len(), rest.get("nextLink")), (5, None));
    for (query, count) in [
        ("&pageCount=250", 30),
        ("&pageCount=250&timeRange=30d", 31),
        ("&timeRange=7d&severity=Sev0", 1),
        ("&timeRange=7d&severity=sev0,Sev3&pageCount=250", 31),
        ("&timeRange=7d&monitorCondition=Resolved", 1),
        ("&timeRange=7d&monitorService=Log%20Analytics", 1),
        ("&monitorService=Nagios", 0),
        ("&alertState=Closed", 0),
        ("&timeRange=30d&pageCount=3&targetResourceType=microsoft.devices/provisioningservices", 3),
        ("&alertRule=R&pageCount=100&targetResourceGroup=MUSTER", 30),
        ("&customTimeRange=2026-11-27T00:00:00Z/2026-11-29T00:00:00Z", 1),
    ] {
        assert_eq!(names(&bed.call(alerts(query)).await.ok()).len(), count, "{query}");
    }
    for (query, part) in [
        ("&severity=High", "severity must be one of Sev0, Sev1"),
        ("&pageCount=251", "pageCount must be a whole number from 1 to 250"),
        ("&sortBy=size", "sortBy must be one of name"),
        ("&timeRange=2d", "timeRange must be one of 1h, 1d, 7d, 30d"),
        ("&timeRange=1d&customTimeRange=a/b", "exclude each other"),
        ("&customTimeRange=yesterday", "customTimeRange must be start/end"),
        ("&smartGroupId=x", "no smart groups"),
    ] {
        let (status, _, message) = bed.call(alerts(query)).await.refusal();
        assert!(status == 400 && message.contains(part), "{query}: {message}");
    }
    let shown =
        bed.call(alerts("&includeContext=true&pageCount=1&sortBy=startDateTime&select=severity")).await.ok();
    let properties = &shown["value"][0]["properties"];
    assert_eq!(properties["essentials"], json!({"severity": "Sev3"}));
    assert_eq!(properties["context"], first.context);
}

#[tokio::test]
async fn people_say_what_they_do_and_history_keeps_it() {
    let bed = Bed::new().await;
    let alert = fired(&bed, DEFAULT, &format!("{GROUP}/metricAlerts/r")).await;
    let path = format!("{SUBSCRIPTION}/Microsoft.AlertsManagement/alerts/{}", alert.id);
    let at =
        |method, rest: &str, query: &str| of(method, &format!("{path}{rest}"), "2019-05-05-preview", query);
    let shown = bed.call(at("GET", "", "")).await.ok();
    let essentials = &shown["properties"]["essentials"];
    assert_eq!(
        (&essentials["alertState"], &essentials["targetResourceName"]),
        (&json!("New"), &json!("dps"))
    );
    assert_eq!(shown["id"], path.replace("s-1", "S-1"));
    assert_eq!(shown["properties"]["context"], alert.context);

    let said = bed
        .call(at("POST", "/changestate", "&newState=Acknowledged").json(&json!({"comments": "mine"})))
        .await
        .ok();
    assert_eq!(said["properties"]["essentials"]["alertState"], "Acknowledged");
    let event = bed.events().pop().unwrap();
    assert_eq!(event.operation, "Microsoft.AlertsManagement/alerts/changestate/action");
    bed.call(at("POST", "/changestate", "&newState=closed")).await.ok();
    let history = bed.call(at("GET", "/history", "")).await.ok();
    let seen: Vec<_> = history["properties"]["modifications"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            let text = |name: &str| it[name].as_str().unwrap();
            (text("modificationEvent"), text("oldValue"), text("newValue"), text("comments"))
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("StateChange", "Acknowledged", "Closed", ""),
            ("StateChange", "New", "Acknowledged", "mine"),
            ("AlertCreated", "", "Fired", ""),
        ]
    );
    assert_eq!(history["properties"]["modifications"][0]["modifiedBy"].as_str(), event.caller.as_deref());

    let without = of("POST", &format!("{path}/changestate"), "2019-05-05-preview", "");
    assert!(bed.call(without).await.refusal().2.contains("newState query parameter is required"));
    assert_eq!(bed.call(at("POST", "/changestate", "&newState=Fixed")).await.status, 400);
    for missing in [path.replace("s-1", "s-2"), format!("{SUBSCRIPTION}/Microsoft.AlertsManagement/alerts/x")]
    {
        assert_eq!(bed.call(of("GET", &missing, "2018-05-05", "")).await.refusal().1, "ResourceNotFound");
    }
}

#[tokio::test]
async fn summary_counts_by_one_member_within_another() {
    let bed = Bed::new().await;
    for severity in [1, 1, 3] {
        let mut alert = fired(&bed, DEFAULT, &format!("{GROUP}/metricAlerts/r")).await;
        alert.severity = severity;
        keep(&bed, &alert).await;
    }
    let path = format!("{SUBSCRIPTION}/Microsoft.AlertsManagement/alertsSummary");
    let summary = |query: &str| of("GET", &path, "2019-05-05-preview", query);
    let shown = bed.call(summary("&groupby=severity,alertState")).await.ok();
    let new = |count: u64| json!({"groupedby": "alertState", "values": [{"name": "New", "count": count}]});
    let value = |name: &str, count: u64| {
        let mut value = new(count);
        (value["name"], value["count"]) = (name.into(), count.into());
        value
    };
    let expected = json!({"total": 3, "smartGroupsCount": 0, "groupedby": "severity",
        "values": [value("Sev1", 2), value("Sev3", 1)]});
    assert_eq!(shown["properties"], expected);
    for (query, part) in
        [("", "groupby"), ("&groupby=colour", "one of severity"), ("&groupby=severity,severity", "twice")]
    {
        assert!(bed.call(summary(query)).await.refusal().2.contains(part), "{query}");
    }
}

#[tokio::test]
async fn series_of_a_metric_rule_are_healthy_until_an_alert_fires() {
    let bed = Bed::new().await;
    let made = bed.call(metric("PUT", "/r").json(&metric_alert())).await.ok();
    let healthy = bed.call(metric("GET", "/r/status")).await.ok();
    assert_eq!(healthy["value"][0]["properties"]["status"], "Healthy");
    let mut alert = fired(&bed, DEFAULT, made["id"].as_str().unwrap()).await;
    let name = healthy["value"][0]["name"].as_str().unwrap();
    let shown = bed.call(metric("GET", &format!("/r/status/{name}"))).await.ok();
    let properties = &shown["value"][0]["properties"];
    assert_eq!(
        (&properties["status"], &properties["dimensions"]["Status"]),
        (&json!("Unhealthy"), &json!("ClientError"))
    );
    assert_eq!(bed.call(metric("GET", "/r/status/other")).await.ok()["value"], json!([]));
    alert.condition = MonitorCondition::Resolved;
    keep(&bed, &alert).await;
    assert_eq!(bed.call(metric("GET", "/r/status")).await.ok(), healthy);
    assert_eq!(bed.call(metric("GET", "/nobody/status")).await.status, 404);
}
