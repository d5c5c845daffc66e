use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Surroundings, action_group, metric_alert, query_rule};
use crate::alerts::group::PayloadForm;
use crate::alerts::rule::{Condition, FailingPeriods, Operator, Rule, Sensitivity, Side};
use crate::metrics::{Aggregation, Metric};
use crate::ports::{Resource, Resources};

const SERVICE: &str =
    "/subscriptions/S/resourceGroups/g/providers/Microsoft.Devices/provisioningServices/Dps";
const OTHER: &str = "/subscriptions/S/resourceGroups/g/providers/Microsoft.Devices/provisioningServices/two";
const WORKSPACE: &str =
    "/subscriptions/S/resourceGroups/muster/providers/Microsoft.OperationalInsights/workspaces/muster";
const GROUP: &str = "/subscriptions/S/resourceGroups/g/providers/Microsoft.Insights/actionGroups/ops";
const RULE: &str = "/subscriptions/S/resourceGroups/g/providers/Microsoft.Insights/metricAlerts/r1";

struct Services;

impl Resources for Services {
    fn find(&self, instance: Option<&str>) -> Option<Resource> {
        let id = [SERVICE, OTHER].into_iter().find(|id| {
            id.rsplit('/')
                .next()
                .is_some_and(|name| instance.is_some_and(|given| given.eq_ignore_ascii_case(name)))
        })?;
        Some(Resource { id: id.into(), location: "local".into() })
    }
}

fn around<T>(judge: impl Fn(&Surroundings<'_>) -> T) -> T {
    let has_group = |id: &str| id.eq_ignore_ascii_case(GROUP);
    judge(&Surroundings { resources: &Services, workspace: WORKSPACE, has_group: &has_group })
}

fn metric(body: &Value) -> Result<Rule, String> {
    around(|around| metric_alert::read(body, RULE, Some(around)).map_err(|error| error.message.into_owned()))
}

fn query(body: &Value) -> Result<Rule, String> {
    around(|around| query_rule::read(body, RULE, Some(around)).map_err(|error| error.message.into_owned()))
}

/// Azure's example (docs: "Metric Alerts - Create Or Update"), for a provisioning service.
fn static_rule() -> Value {
    json!({
        "location": "global", "tags": {"team": "fleet"},
        "properties": {
            "description": "too many refusals", "severity": 3, "enabled": true,
            "scopes": [SERVICE.to_lowercase()],
            "evaluationFrequency": "PT1M", "windowSize": "PT5M",
            "targetResourceType": "Microsoft.Devices/provisioningServices",
            "criteria": {
                "odata.type": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
                "allOf": [{
                    "criterionType": "StaticThresholdCriterion", "name": "c1",
                    "metricNamespace": "microsoft.devices/provisioningservices",
                    "metricName": "AttestationAttempts",
                    "dimensions": [{"name": "status", "operator": "Include", "values": ["ClientError"]}],
                    "operator": "GreaterThan", "threshold": 10, "timeAggregation": "Total",
                }],
            },
            "actions": [{"actionGroupId": GROUP.to_uppercase(), "webhookProperties": {"k": "v"}}],
        },
    })
}

fn dynamic_rule() -> Value {
    let mut body = static_rule();
    let properties = &mut body["properties"];
    properties["evaluationFrequency"] = json!("PT5M");
    properties["criteria"] = json!({
        "odata.type": "Microsoft.Azure.Monitor.MultipleResourceMultipleMetricCriteria",
        "allOf": [{
            "criterionType": "DynamicThresholdCriterion", "name": "d",
            "metricName": "RegistrationAttempts", "operator": "GreaterOrLessThan", "alertSensitivity": "Medium",
            "failingPeriods": {"numberOfEvaluationPeriods": 4.0, "minFailingPeriodsToAlert": 3},
            "timeAggregation": "Count", "ignoreDataBefore": "2026-01-01T00:00:00Z",
        }],
    });
    body
}

fn query_body() -> Value {
    json!({
        "location": "local", "kind": "LogAlert",
        "properties": {
            "displayName": "Refused", "severity": 1, "scopes": [WORKSPACE],
            "evaluationFrequency": "PT5M", "windowSize": "PT10M",
            "criteria": {"allOf": [{
                "query": "AzureDiagnostics | where ResultType == 'ClientError' | summarize n = count() by OperationName",
                "timeAggregation": "Total", "metricMeasureColumn": "n", "operator": "GreaterThan", "threshold": 3,
                "dimensions": [{"name": "OperationName", "operator": "Include", "values": ["*"]}],
                "failingPeriods": {"numberOfEvaluationPeriods": 2, "minFailingPeriodsToAlert": 1},
            }]},
            "actions": {"actionGroups": [GROUP], "customProperties": {"site": "7"}},
        },
    })
}

/// Bodies that are `good` but for one member, which the message names, with what it says of it.
fn refused(good: &Value, read: impl Fn(&Value) -> Result<Rule, String>, cases: &[(&str, Value, &str)]) {
    read(good).unwrap();
    for (pointer, value, part) in cases {
        let mut body = good.clone();
        let (place, name) = pointer.rsplit_once('/').unwrap();
        let parent = body.pointer_mut(place).unwrap_or_else(|| panic!("{pointer}"));
        parent.as_object_mut().unwrap_or_else(|| panic!("{pointer}")).insert(name.into(), value.clone());
        let said = read(&body).expect_err(pointer);
        assert!(said.contains(part), "{pointer} = {value}: {said}");
        let named = pointer.trim_start_matches('/').replace("/0", "[0]").replace('/', ".");
        assert!(said.starts_with(&named), "{pointer} = {value}: {said}");
    }
}

#[test]
fn metric_rule_is_read_with_what_its_document_leaves_to_defaults() {
    let rule = metric(&static_rule()).unwrap();
    assert_eq!((rule.name.as_str(), rule.severity, rule.window, rule.frequency), ("r1", 3, 5, 1));
    assert_eq!(rule.scopes, [SERVICE], "ids are spelt as the resource spells them");
    assert!(rule.stateful && rule.mute.is_none());
    assert_eq!(rule.actions[0].properties["k"], "v");
    let Condition::Metrics { criteria, multiple: false } = &rule.condition else { panic!("{rule:?}") };
    let measure = &criteria[0].measure;
    assert_eq!((measure.metric, measure.aggregation), (Metric::AttestationAttempts, Aggregation::Total));
    assert_eq!(measure.dimensions[0].name, "Status");
    assert_eq!((criteria[0].operator, criteria[0].threshold), (Operator::GreaterThan, 10.0));

    let Condition::Dynamic(criterion) = metric(&dynamic_rule()).unwrap().condition else { panic!() };
    assert_eq!((criterion.side, criterion.sensitivity), (Side::Either, Sensitivity::Medium));
    assert_eq!(criterion.failing, FailingPeriods { of: 4, at_least: 3 });
    assert_eq!(criterion.ignore_before.unwrap().to_string(), "2026-01-01T00:00:00.0000000Z");
}

#[test]
fn metric_rule_that_breaks_a_rule_is_refused_at_the_member() {
    let condition = "/properties/criteria/allOf/0";
    let at = |name: &str| format!("{condition}/{name}");
    let dimension = |value: Value| json!([value]);
    refused(
        &static_rule(),
        metric,
        &[
            ("/location", Value::Null, "is required"),
            ("/properties", Value::Null, "is required"),
            ("/properties/severity", json!(5), "0 (critical)"),
            ("/properties/severity", Value::Null, "is required"),
            ("/properties/enabled", Value::Null, "is required"),
            ("/properties/windowSize", json!("PT10M"), "PT1M, PT5M, PT15M"),
            ("/properties/windowSize", json!("5 minutes"), "PT1M, PT5M, PT15M"),
            ("/properties/evaluationFrequency", json!("PT2M"), "PT1M, PT5M, PT15M, PT30M, PT1H"),
            ("/properties/scopes", json!([]), "at least one"),
            ("/properties/targetResourceType", json!("Microsoft.Web/sites"), "must be Microsoft.Devices"),
            (
                "/properties/criteria/odata.type",
                json!("Microsoft.Azure.Monitor.PromQLCriteria"),
                "do not have",
            ),
            ("/properties/criteria/odata.type", json!("x"), "SingleResource"),
            ("/properties/criteria/allOf", json!([]), "at least one"),
            ("/properties/criteria/allOf", Value::Array(vec![json!({}); 6]), "at most 5"),
            (&at("metricName"), json!("Temperature"), "AttestationAttempts, DeviceAssignments"),
            (&at("metricNamespace"), json!("x"), "Muster/provisioningServices"),
            (&at("timeAggregation"), json!("Median"), "Average or Count"),
            (&at("operator"), json!("Near"), "Equals or GreaterThan"),
            (&at("threshold"), json!("10"), "must be a number"),
            (&at("name"), json!(" "), "is required"),
            (&at("criterionType"), json!("DynamicThresholdCriterion"), "only MultipleResource"),
        ],
    );
    for (value, part) in [
        (
            json!({"name": "Colour", "operator": "Include", "values": ["a"]}),
            "ProvisioningServiceName, Status, Protocol",
        ),
        (json!({"name": "Status", "operator": "StartsWith", "values": ["a"]}), "Include or Exclude"),
        (json!({"name": "Status", "operator": "Include", "values": []}), "at least one value"),
    ] {
        let mut body = static_rule();
        body["properties"]["criteria"]["allOf"][0]["dimensions"] = dimension(value);
        let said = metric(&body).unwrap_err();
        assert!(
            said.starts_with("properties.criteria.allOf[0].dimensions[0]") && said.contains(part),
            "{said}"
        );
    }
    let foreign = json!([SERVICE.replace("/g/", "/other/")]);
    for (pointer, value, part) in [
        ("/properties/scopes", foreign, "scopes[0] is no provisioning service"),
        ("/properties/scopes", json!(["/subscriptions/S"]), "scopes[0] must be the id"),
        ("/properties/scopes", json!([SERVICE, SERVICE]), "scopes[1] stands here already"),
        ("/properties/scopes", json!([SERVICE, OTHER]), "several resources"),
        ("/properties/actions", json!([{"actionGroupId": "ops"}]), "must be the id of an action group"),
        ("/properties/actions", json!([{"actionGroupId": GROUP.replace("ops", "no")}]), "create it first"),
        ("/properties/actions", json!([{"actionGroupId": GROUP}, {"actionGroupId": GROUP}]), "already"),
        ("/properties/evaluationFrequency", json!("PT15M"), "windowSize must not be shorter"),
    ] {
        let mut body = static_rule();
        *body.pointer_mut(pointer).unwrap() = value;
        let said = metric(&body).unwrap_err();
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn several_conditions_are_static_named_apart_and_of_the_same_series() {
    let mut body = static_rule();
    let first = body["properties"]["criteria"]["allOf"][0].clone();
    let with = |body: &Value, second: Value| {
        let mut body = body.clone();
        body["properties"]["criteria"]["allOf"] = json!([first, second]);
        metric(&body)
    };
    let mut second = first.clone();
    assert!(with(&body, second.clone()).unwrap_err().contains("allOf[1].name is the name of another"));
    second["name"] = json!("c2");
    assert!(with(&body, second.clone()).is_ok());
    for filter in [
        json!({"name": "Status", "operator": "Include", "values": ["*"]}),
        json!({"name": "Status", "operator": "Exclude", "values": ["Success"]}),
        json!({"name": "Status", "operator": "Include", "values": ["Failure", "ClientError"]}),
    ] {
        second["dimensions"] = json!([filter]);
        assert!(with(&body, second.clone()).unwrap_err().contains("exactly one value"));
    }
    body = dynamic_rule();
    let dynamic = body["properties"]["criteria"]["allOf"][0].clone();
    assert!(with(&body, dynamic).unwrap_err().contains("only condition"));
    body["properties"]["windowSize"] = json!("PT6H");
    assert!(metric(&body).unwrap_err().contains("PT5M, PT15M, PT30M, PT1H"));
    body = dynamic_rule();
    body["properties"]["criteria"]["allOf"][0]["failingPeriods"]["minFailingPeriodsToAlert"] = json!(5);
    assert!(metric(&body).unwrap_err().contains("from 1 to 4"));
}

#[test]
fn log_rule_is_read_in_the_form_of_both_api_versions() {
    let rule = query(&query_body()).unwrap();
    assert_eq!((rule.window, rule.frequency, rule.stateful), (10, 5, true));
    assert_eq!(rule.scopes, [WORKSPACE]);
    assert_eq!(rule.actions[0].group, GROUP);
    assert_eq!(rule.custom_properties["site"], "7");
    let Condition::Query(criterion) = rule.condition else { panic!() };
    assert_eq!(criterion.measure_column.as_deref(), Some("n"));
    assert_eq!(criterion.failing, FailingPeriods { of: 2, at_least: 1 });
    let mut older = query_body();
    older["properties"]["actions"] = json!([{"actionGroupId": GROUP, "webHookProperties": {"a": "b"}}]);
    older["properties"]["criteria"]["allOf"][0]["operator"] = json!("Equal");
    let rule = query(&older).unwrap();
    assert_eq!(rule.actions[0].properties["a"], "b");
    let mut silent = query_body();
    silent["properties"]["muteActionsDuration"] = json!("PT30M");
    let rule = query(&silent).unwrap();
    assert_eq!((rule.stateful, rule.mute), (false, Some(30)));
    silent["properties"]["autoMitigate"] = json!(true);
    assert!(query(&silent).unwrap_err().starts_with("properties.muteActionsDuration is for rules"));
}

#[test]
fn log_rule_that_breaks_a_rule_is_refused_at_the_member() {
    let condition = "/properties/criteria/allOf/0";
    let at = |name: &str| format!("{condition}/{name}");
    refused(
        &query_body(),
        query,
        &[
            ("/kind", json!("LogToMetric"), "LogAlert"),
            ("/properties/windowSize", json!("PT90S"), "whole minutes"),
            ("/properties/windowSize", json!("P2D"), "at most P2D"),
            ("/properties/evaluationFrequency", json!("P2D"), "at most P1D"),
            ("/properties/evaluationFrequency", json!("PT1H"), "at most PT20M"),
            ("/properties/criteria/allOf", json!([{}, {}]), "at most 1"),
            ("/properties/checkWorkspaceAlertsStorageConfigured", json!(true), "must be false"),
            (&at("query"), json!("AzureDiagnostics\n| where Colour == 1"), "line 2 column 9: KS142"),
            (&at("query"), json!("AzureDiagnostics | project AggregatedValue = 1"), "reserved"),
            (&at("query"), json!("AzureDiagnostics | evaluate pivot(ResultType)"), "depend on rows"),
            (&at("query"), json!("x".repeat(65 * 1024)), "longer than 65536 bytes"),
            (&at("metricMeasureColumn"), json!("OperationName"), "not a number"),
            (&at("metricMeasureColumn"), json!("m"), "yields OperationName, n"),
            (&at("metricMeasureColumn"), Value::Null, "is required with timeAggregation Total"),
            (&at("resourceIdColumn"), json!("n"), "not a text"),
        ],
    );
    let mut counted = query_body();
    counted["properties"]["criteria"]["allOf"][0]["timeAggregation"] = json!("Count");
    assert!(query(&counted).unwrap_err().contains("metricMeasureColumn must be left out"));
    let mut unchecked = query_body();
    unchecked["properties"]["skipQueryValidation"] = json!(true);
    unchecked["properties"]["criteria"]["allOf"][0]["query"] = json!("NoSuchTable | where");
    assert!(query(&unchecked).is_ok());
    for (scope, good) in [
        ("/subscriptions/S", true),
        ("/subscriptions/S/resourceGroups/g", true),
        (SERVICE, true),
        ("/", false),
        (&WORKSPACE.replace("muster", "other"), false),
        ("/subscriptions/S/resourceGroups/g/providers/Microsoft.Web/sites/x", false),
    ] {
        let mut body = query_body();
        body["properties"]["scopes"] = json!([scope]);
        assert_eq!(query(&body).is_ok(), good, "{scope}");
    }
}

fn group_body() -> Value {
    json!({
        "location": "Global",
        "properties": {
            "groupShortName": "ops", "enabled": true,
            "emailReceivers": [{"name": "mail", "emailAddress": "a@b.example"}],
            "webhookReceivers": [
                {"name": "old", "serviceUri": "http://hooks.example/a?code=s3cr3t"},
                {"name": "new", "serviceUri": "https://hooks.example/b", "useCommonAlertSchema": true},
                {"name": "am", "serviceUri": "https://am.example/api#AlertManager", "useCommonAlertSchema": true},
            ],
        },
    })
}

#[test]
fn group_has_its_webhooks_each_in_its_form() {
    let group = action_group::read(&group_body(), GROUP).unwrap();
    assert_eq!((group.name.as_str(), group.short_name.as_str(), group.enabled), ("ops", "ops", true));
    let seen: Vec<_> =
        group.webhooks.iter().map(|hook| (hook.name.as_str(), hook.uri.expose(), hook.form)).collect();
    assert_eq!(
        seen,
        [
            ("old", b"http://hooks.example/a?code=s3cr3t".as_slice(), PayloadForm::Legacy),
            ("new", b"https://hooks.example/b", PayloadForm::Common),
            ("am", b"https://am.example/api", PayloadForm::Alertmanager),
        ]
    );
}

#[test]
fn broken_group_names_its_member_and_never_the_address() {
    let hook = |uri: &str| json!([{"name": "h", "serviceUri": uri}]);
    let many: Vec<_> =
        (0..11).map(|at| json!({"name": format!("h{at}"), "serviceUri": "https://a.example"})).collect();
    for (name, value, part) in [
        ("groupShortName", Value::Null, "groupShortName is required"),
        ("groupShortName", json!("thirteen-long"), "more than 12"),
        ("enabled", Value::Null, "enabled is required"),
        (
            "webhookReceivers",
            json!([{"serviceUri": "https://a.example"}]),
            "webhookReceivers[0].name is required",
        ),
        (
            "webhookReceivers",
            json!([{"name": "MAIL", "serviceUri": "https://a.example"}]),
            "another receiver",
        ),
        ("webhookReceivers", json!([{"name": "h"}]), "serviceUri is required"),
        ("webhookReceivers", hook("ftp://a.example/?s3cr3t"), "neither https nor http"),
        ("webhookReceivers", hook("https://u:s3cr3t@a.example/"), "user name"),
        ("webhookReceivers", hook("https://a.example/#s3cr3t"), "#alertmanager"),
        ("webhookReceivers", hook("https://a.example/s3cr3t x"), "white space"),
        ("webhookReceivers", json!(many), "at most 10"),
        (
            "webhookReceivers",
            json!([{"name": "h", "serviceUri": "https://a", "useAadAuth": true}]),
            "useAadAuth must",
        ),
        ("smsReceivers", json!([{"countryCode": "1"}]), "smsReceivers[0].name is required"),
    ] {
        let mut body = group_body();
        body["properties"][name] = value;
        let said = action_group::read(&body, GROUP).err().unwrap().message;
        assert!(said.contains(part) && !said.contains("s3cr3t"), "{name}: {said}");
    }
    for name in ["a/b", "", "a#", "end."] {
        let id = GROUP.replace("ops", name);
        assert!(action_group::read(&group_body(), &id).is_err() || name == "a/b", "{name}");
    }
}

#[test]
fn secrets_are_taken_out_and_put_back_where_they_stood() {
    let body = group_body()["properties"].clone();
    let mut open = body.clone();
    let taken = action_group::take_secrets(&mut open);
    assert!(!open.to_string().contains("hooks.example") && taken.len() == 3);
    action_group::put_secrets(&mut open, taken);
    assert_eq!(open, body);
}

/// Any JSON.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        Just(json!("PT5M")),
        Just(json!("*")),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-z]{1,6}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Pointers to every value of a document.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| pointers(value, &format!("{at}/{name}"), found));
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(place, value)| pointers(value, &format!("{at}/{place}"), found));
        }
        _ => {}
    }
}

proptest! {
    /// Whatever stands in place of a member, the document is read or refused with a sentence that names a place.
    #[test]
    fn any_value_in_any_place_is_read_or_refused(which in any::<prop::sample::Index>(), value in anything()) {
        let bodies = [static_rule(), dynamic_rule(), query_body(), group_body()];
        for (kind, body) in bodies.into_iter().enumerate() {
            let mut places = Vec::new();
            pointers(&body, "", &mut places);
            let mut other = body;
            *other.pointer_mut(which.get::<String>(&places)).unwrap() = value.clone();
            let said = match kind {
                0 | 1 => metric(&other).err(),
                2 => query(&other).err(),
                _ => action_group::read(&other, GROUP).err().map(|error| error.message.into_owned()),
            };
            prop_assert!(said.is_none_or(|said| said.len() > 10 && !said.contains("s3cr3t")));
        }
    }
}
