use dps_model::limits::MAX_NOTIFICATION;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::payload;
use crate::alerts::alert::{Alert, AlertState, MonitorCondition, Signal};
use crate::alerts::delivery::Notification;
use crate::alerts::evaluation::{Figure, Finding, Series, alert_context};
use crate::alerts::fixtures::{attempts, query_rule, rows_over, rule, shortly_after, target};
use crate::alerts::group::PayloadForm;
use crate::alerts::rule::Rule;

const AT: i64 = 28_401_960;

fn notification(rule: &Rule, signal: Signal, condition: MonitorCondition) -> Notification {
    let dimensions = vec![("Protocol".to_owned(), "Mqtt".to_owned())];
    let figure = Figure { value: Some(31.0), threshold: Some(10.0), dimensions: dimensions.clone() };
    let series = Series { target: target(), dimensions: dimensions.clone() };
    let finding = Finding { series, met: true, figures: vec![figure] };
    let is_resolved = condition == MonitorCondition::Resolved;
    let alert = Alert {
        id: Uuid::from_u128(0x1234_5678_9abc_4def_8123_4567_89ab_cdef),
        rule: rule.id.clone(),
        rule_name: rule.name.clone(),
        description: rule.description.clone(),
        severity: rule.severity,
        signal,
        target: target(),
        dimensions,
        condition,
        state: AlertState::New,
        fired: shortly_after(AT),
        resolved: is_resolved.then(|| shortly_after(AT + 9)),
        modified: shortly_after(AT),
        context: alert_context(rule, &finding, AT),
        history: Vec::new(),
    };
    Notification {
        alert,
        group: "/g".into(),
        receiver: "pager".into(),
        properties: [("k".to_owned(), "v".to_owned())].into(),
        attempts: 0,
        due: shortly_after(AT),
        created: shortly_after(AT),
    }
}

fn metric(condition: MonitorCondition) -> Notification {
    notification(&rule(vec![attempts(10.0, &[])]), Signal::Metric, condition)
}

fn log(condition: MonitorCondition) -> Notification {
    notification(&query_rule(rows_over(10.0)), Signal::Log, condition)
}

fn body(notification: &Notification, form: PayloadForm) -> Value {
    serde_json::from_slice(&payload(notification, form)).unwrap()
}

const SUBSCRIPTION: &str = "11111111-2222-3333-4444-555555555555";

#[test]
fn common_schema_of_a_metric_alert() {
    let fired = body(&metric(MonitorCondition::Fired), PayloadForm::Common);
    let rule = format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/Fleet/providers/Microsoft.Insights/metricAlerts/refused"
    );
    let expected = json!({
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": {
            "essentials": {
                "alertId": format!("/subscriptions/{SUBSCRIPTION}/providers/Microsoft.AlertsManagement/alerts/12345678-9abc-4def-8123-456789abcdef"),
                "alertRule": "refused",
                "alertRuleId": rule,
                "severity": "Sev2",
                "signalType": "Metric",
                "monitorCondition": "Fired",
                "monitoringService": "Platform",
                "alertTargetIDs": [format!("/subscriptions/{SUBSCRIPTION}/resourcegroups/fleet/providers/microsoft.devices/provisioningservices/dps1")],
                "configurationItems": ["dps1"],
                "originAlertId": format!("{SUBSCRIPTION}_Fleet_microsoft.insights_metricAlerts_refused_305419896"),
                "firedDateTime": "2024-01-01T14:00:05.0000000Z",
                "description": "devices are refused",
                "essentialsVersion": "1.0",
                "alertContextVersion": "1.0",
                "targetResourceGroup": "Fleet",
                "targetResourceType": "microsoft.devices/provisioningservices",
            },
            "alertContext": {
                "properties": null,
                "conditionType": "SingleResourceMultipleMetricCriteria",
                "condition": {
                    "windowSize": "PT5M",
                    "allOf": [{
                        "metricName": "AttestationAttempts",
                        "metricNamespace": "Microsoft.Devices/provisioningServices",
                        "operator": "GreaterThan",
                        "threshold": "10",
                        "timeAggregation": "Total",
                        "dimensions": [{"name": "Protocol", "value": "Mqtt"}],
                        "metricValue": 31.0,
                        "webTestName": null,
                    }],
                    "windowStartTime": "2024-01-01T13:55:00.0000000Z",
                    "windowEndTime": "2024-01-01T14:00:00.0000000Z",
                },
            },
            "customProperties": {"k": "v"},
        },
    });
    assert_eq!(fired, expected);
    let resolved = body(&metric(MonitorCondition::Resolved), PayloadForm::Common);
    let essentials = &resolved["data"]["essentials"];
    assert_eq!(essentials["monitorCondition"], "Resolved");
    assert_eq!(essentials["resolvedDateTime"], "2024-01-01T14:09:05.0000000Z");
    assert_eq!(essentials["alertId"], expected["data"]["essentials"]["alertId"]);
}

#[test]
fn common_schema_of_a_log_alert() {
    let body = body(&log(MonitorCondition::Fired), PayloadForm::Common);
    let (essentials, context) = (&body["data"]["essentials"], &body["data"]["alertContext"]);
    assert_eq!(essentials["monitoringService"], "Log Alerts V2");
    assert_eq!(essentials["signalType"], "Log");
    assert_eq!(essentials["originAlertId"], "12345678-9abc-4def-8123-456789abcdef");
    assert_eq!(context["properties"], json!({"k": "v"}));
    assert_eq!(context["condition"]["allOf"][0]["searchQuery"], rows_over(1.0).query);
}

#[test]
fn legacy_forms() {
    let fired = body(&metric(MonitorCondition::Fired), PayloadForm::Legacy);
    assert_eq!(
        (&fired["schemaId"], &fired["data"]["version"]),
        (&json!("AzureMonitorMetricAlert"), &json!("2.0"))
    );
    assert_eq!(fired["data"]["status"], "Activated");
    let context = &fired["data"]["context"];
    assert_eq!((&context["severity"], &context["resourceName"]), (&json!("2"), &json!("dps1")));
    assert_eq!(context["resourceType"], "Microsoft.Devices/provisioningServices");
    assert_eq!(context["condition"]["allOf"][0]["metricValue"], 31.0);
    assert!(context["condition"].get("windowStartTime").is_none());
    assert_eq!(
        body(&metric(MonitorCondition::Resolved), PayloadForm::Legacy)["data"]["status"],
        "Deactivated"
    );

    let of_log = body(&log(MonitorCondition::Fired), PayloadForm::Legacy);
    assert_eq!(of_log["AlertRuleName"], "errors");
    assert_eq!(of_log["AlertThresholdOperator"], "Greater Than");
    assert_eq!((&of_log["AlertThresholdValue"], &of_log["ResultCount"]), (&json!(10.0), &json!(31.0)));
    assert_eq!(of_log["SearchIntervalInSeconds"], 300);
    assert_eq!(of_log["AlertType"], "Number of results");
}

#[test]
fn alertmanager_form() {
    let mut fired = metric(MonitorCondition::Fired);
    fired.alert.dimensions =
        vec![("Iot Hub".into(), "h".into()), ("severity".into(), "x".into()), ("1st".into(), "y".into())];
    let firing = body(&fired, PayloadForm::Alertmanager);
    assert_eq!((&firing["version"], &firing["status"]), (&json!("4"), &json!("firing")));
    assert_eq!(firing["groupKey"], r#"{}:{alertname="refused"}"#);
    let alert = &firing["alerts"][0];
    let expected = json!({
        "alertname": "refused", "severity": "warning", "resource": "dps1", "resource_group": "Fleet",
        "subscription": SUBSCRIPTION, "Iot_Hub": "h", "dimension_severity": "x", "dimension_1st": "y",
    });
    assert_eq!(alert["labels"], expected);
    assert_eq!(alert["annotations"]["summary"], "AttestationAttempts Total 31.0 (GreaterThan 10)");
    assert_eq!(alert["endsAt"], "0001-01-01T00:00:00Z");
    assert_eq!(alert["fingerprint"].as_str().unwrap().len(), 16);
    let resolved = body(&metric(MonitorCondition::Resolved), PayloadForm::Alertmanager);
    assert_eq!(resolved["status"], "resolved");
    assert_eq!(resolved["alerts"][0]["endsAt"], "2024-01-01T14:09:05.0000000Z");
    assert_eq!(resolved["alerts"][0]["fingerprint"], alert["fingerprint"]);
}

#[test]
fn payload_that_would_be_too_large_is_shortened_and_still_says_what_it_is() {
    let mut large = log(MonitorCondition::Fired);
    large.alert.context["condition"]["allOf"][0]["searchQuery"] = json!("é".repeat(MAX_NOTIFICATION));
    large.properties.insert("big".into(), "x".repeat(MAX_NOTIFICATION));
    for form in [PayloadForm::Common, PayloadForm::Legacy, PayloadForm::Alertmanager] {
        assert!(payload(&large, form).len() <= MAX_NOTIFICATION);
    }
    let short = body(&large, PayloadForm::Common);
    assert_eq!(short["data"]["essentials"]["alertRule"], "errors");
    assert_eq!(short["data"]["alertContext"]["condition"]["allOf"][0]["metricValue"], 31.0);
}

proptest! {
    #[test]
    fn payloads_are_bounded_and_labels_are_names(
        names in proptest::collection::vec(".{0,40}", 0..7), value in ".{0,300}", text in ".{0,300}",
        many in 1..400_usize,
    ) {
        let mut notification = metric(MonitorCondition::Fired);
        notification.alert.dimensions = names.iter().map(|name| (name.clone(), value.repeat(many))).collect();
        notification.alert.description = text.repeat(many);
        for form in [PayloadForm::Common, PayloadForm::Legacy, PayloadForm::Alertmanager] {
            let bytes = payload(&notification, form);
            prop_assert!(bytes.len() <= MAX_NOTIFICATION);
            let body: Value = serde_json::from_slice(&bytes).unwrap();
            if form == PayloadForm::Alertmanager {
                let labels = body["alerts"][0]["labels"].as_object().unwrap();
                prop_assert_eq!(labels.len(), 5 + names.len());
                for name in labels.keys() {
                    let mut characters = name.chars();
                    prop_assert!(characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_'), "{}", name);
                    prop_assert!(characters.all(|c| c.is_ascii_alphanumeric() || c == '_'));
                }
            }
        }
    }
}
