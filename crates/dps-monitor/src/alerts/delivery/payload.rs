//! What a webhook is sent: Azure's common alert schema, its older forms, or Prometheus Alertmanager's version 4. Must not
//! know where it goes.

use std::collections::BTreeMap;

use dps_model::limits::MAX_NOTIFICATION;
use serde_json::{Map, Value, json};

use super::Notification;
use crate::alerts::alert::{Alert, MonitorCondition, Signal};
use crate::alerts::group::PayloadForm;
use crate::metrics::duration;
use crate::ports::IdParts;

/// Characters that are left of each text of a payload that would be too large.
const SHORT_TEXT: usize = 256;

/// The body that the webhook is sent; at most `MAX_NOTIFICATION` bytes.
pub fn payload(notification: &Notification, form: PayloadForm) -> Vec<u8> {
    let body = bytes(notification, form);
    if body.len() <= MAX_NOTIFICATION {
        return body;
    }
    bytes(&shortened(notification), form)
}

fn bytes(notification: &Notification, form: PayloadForm) -> Vec<u8> {
    let body = match (form, notification.alert.signal) {
        (PayloadForm::Common, _) => common(notification),
        (PayloadForm::Legacy, Signal::Metric) => legacy_metric(notification),
        (PayloadForm::Legacy, Signal::Log) => legacy_log(notification),
        (PayloadForm::Alertmanager, _) => alertmanager(notification),
    };
    // A value is always JSON: it cannot fail.
    serde_json::to_vec(&body).unwrap_or_default()
}

/// Without the rule's own properties, and with short texts.
fn shortened(notification: &Notification) -> Notification {
    let mut short = notification.clone();
    short.properties.clear();
    shorten(&mut short.alert.context);
    let texts = [&mut short.alert.description, &mut short.alert.rule_name, &mut short.receiver];
    let values = short.alert.dimensions.iter_mut().flat_map(|(name, value)| [name, value]);
    texts.into_iter().chain(values).for_each(cut);
    short
}

fn cut(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(SHORT_TEXT) {
        text.truncate(end);
    }
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) => cut(text),
        Value::Array(values) => {
            values.truncate(SHORT_TEXT);
            values.iter_mut().for_each(shorten);
        }
        Value::Object(members) => members.values_mut().for_each(shorten),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn properties(notification: &Notification) -> Value {
    if notification.properties.is_empty() { Value::Null } else { json!(notification.properties) }
}

/// Azure's common alert schema.
fn common(notification: &Notification) -> Value {
    let alert = &notification.alert;
    let target = IdParts::of(&alert.target);
    let mut essentials = json!({
        "alertId": alert_id(alert),
        "alertRule": alert.rule_name,
        "alertRuleId": alert.rule,
        "severity": format!("Sev{}", alert.severity),
        "signalType": match alert.signal {
            Signal::Metric => "Metric",
            Signal::Log => "Log",
        },
        "monitorCondition": match alert.condition {
            MonitorCondition::Fired => "Fired",
            MonitorCondition::Resolved => "Resolved",
        },
        "monitoringService": match alert.signal {
            Signal::Metric => "Platform",
            Signal::Log => "Log Alerts V2",
        },
        "alertTargetIDs": [alert.target.to_ascii_lowercase()],
        "configurationItems": [target.name],
        "originAlertId": origin(alert),
        "firedDateTime": alert.fired,
        "description": alert.description,
        "essentialsVersion": "1.0",
        "alertContextVersion": "1.0",
        "targetResourceGroup": target.resource_group,
        "targetResourceType": kind(&target).to_ascii_lowercase(),
    });
    if let (Some(resolved), Some(members)) = (alert.resolved, essentials.as_object_mut()) {
        members.insert("resolvedDateTime".into(), json!(resolved));
    }
    let mut context = alert.context.clone();
    if let Some(members) = context.as_object_mut() {
        let of_log = if alert.signal == Signal::Log { properties(notification) } else { Value::Null };
        members.insert("properties".into(), of_log);
    }
    json!({
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": {
            "essentials": essentials,
            "alertContext": context,
            "customProperties": properties(notification),
        },
    })
}

fn alert_id(alert: &Alert) -> String {
    let subscription = IdParts::of(&alert.rule).subscription;
    format!("/subscriptions/{subscription}/providers/Microsoft.AlertsManagement/alerts/{}", alert.id)
}

/// The alert as the service that raised it names it.
fn origin(alert: &Alert) -> String {
    let rule = IdParts::of(&alert.rule);
    match alert.signal {
        Signal::Log => alert.id.to_string(),
        Signal::Metric => format!(
            "{}_{}_microsoft.insights_metricAlerts_{}_{}",
            rule.subscription,
            rule.resource_group,
            rule.name,
            alert.id.as_fields().0
        ),
    }
}

fn kind(parts: &IdParts<'_>) -> String {
    format!("{}/{}", parts.provider, parts.kind)
}

/// Azure's form of metric alerts before the common one.
fn legacy_metric(notification: &Notification) -> Value {
    let alert = &notification.alert;
    let target = IdParts::of(&alert.target);
    let mut condition = alert.context.get("condition").cloned().unwrap_or_default();
    if let Some(members) = condition.as_object_mut() {
        members.remove("windowStartTime");
        members.remove("windowEndTime");
    }
    json!({
        "schemaId": "AzureMonitorMetricAlert",
        "data": {
            "version": "2.0",
            "properties": properties(notification),
            "status": match alert.condition {
                MonitorCondition::Fired => "Activated",
                MonitorCondition::Resolved => "Deactivated",
            },
            "context": {
                "timestamp": alert.resolved.unwrap_or(alert.fired),
                "id": alert.rule,
                "name": alert.rule_name,
                "description": alert.description,
                "conditionType": alert.context.get("conditionType"),
                "severity": alert.severity.to_string(),
                "condition": condition,
                "subscriptionId": target.subscription,
                "resourceGroupName": target.resource_group,
                "resourceName": target.name,
                "resourceType": kind(&target),
                "resourceId": alert.target,
                "portalLink": "",
            },
        },
    })
}

/// Azure's form of log alerts before the common one, without rows.
fn legacy_log(notification: &Notification) -> Value {
    let alert = &notification.alert;
    let condition = alert.context.get("condition");
    let of_condition = |name: &str| condition.and_then(|condition| condition.get(name)).cloned();
    let item = condition.and_then(|condition| condition.pointer("/allOf/0"));
    let of_item = |name: &str| item.and_then(|item| item.get(name)).cloned();
    let text = |value: Option<Value>| value.and_then(|value| value.as_str().map(str::to_owned));
    let threshold: Option<f64> = text(of_item("threshold")).and_then(|text| text.parse().ok());
    let window = text(of_condition("windowSize")).and_then(|text| duration(&text));
    let measured = of_item("metricMeasureColumn").is_some_and(|column| !column.is_null());
    json!({
        "SubscriptionId": IdParts::of(&alert.rule).subscription,
        "AlertRuleName": alert.rule_name,
        "SearchQuery": of_item("searchQuery"),
        "SearchIntervalStartTimeUtc": of_condition("windowStartTime"),
        "SearchIntervalEndtimeUtc": of_condition("windowEndTime"),
        "AlertThresholdOperator": text(of_item("operator")).map(|operator| spaced(&operator)),
        "AlertThresholdValue": threshold,
        "ResultCount": of_item("metricValue"),
        "SearchIntervalInSeconds": window.map(|millis| millis / 1_000),
        "Description": alert.description,
        "Severity": alert.severity.to_string(),
        "ResourceId": alert.target,
        "AlertType": if measured { "Metric measurement" } else { "Number of results" },
        "Dimensions": of_item("dimensions"),
        "AlertId": alert_id(alert),
        "MonitorCondition": alert.condition,
        "Properties": properties(notification),
    })
}

/// `GreaterThan` as `Greater Than`.
fn spaced(words: &str) -> String {
    let mut spaced = String::new();
    for character in words.chars() {
        if character.is_ascii_uppercase() && !spaced.is_empty() {
            spaced.push(' ');
        }
        spaced.push(character);
    }
    spaced
}

/// The body of Alertmanager's webhook receivers: a group of one alert.
fn alertmanager(notification: &Notification) -> Value {
    let alert = &notification.alert;
    let status = match alert.condition {
        MonitorCondition::Fired => "firing",
        MonitorCondition::Resolved => "resolved",
    };
    let labels = labels(alert);
    let annotations = annotations(alert);
    let ends = alert.resolved.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |at| at.to_string());
    let (most, least) = alert.id.as_u64_pair();
    json!({
        "version": "4",
        "groupKey": format!("{{}}:{{alertname={}}}", json!(alert.rule_name)),
        "truncatedAlerts": 0,
        "status": status,
        "receiver": notification.receiver,
        "groupLabels": {"alertname": alert.rule_name},
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "",
        "alerts": [{
            "status": status,
            "labels": labels,
            "annotations": annotations,
            "startsAt": alert.fired,
            "endsAt": ends,
            "generatorURL": "",
            "fingerprint": format!("{:016x}", most ^ least),
        }],
    })
}

fn labels(alert: &Alert) -> BTreeMap<String, String> {
    let target = IdParts::of(&alert.target);
    let severity = match alert.severity {
        0 => "critical",
        1 => "error",
        2 => "warning",
        3 => "info",
        _ => "verbose",
    };
    let mut labels = BTreeMap::from([
        ("alertname".to_owned(), alert.rule_name.clone()),
        ("severity".to_owned(), severity.to_owned()),
        ("resource".to_owned(), target.name.to_owned()),
        ("resource_group".to_owned(), target.resource_group.to_owned()),
        ("subscription".to_owned(), target.subscription.to_owned()),
    ]);
    for (name, value) in &alert.dimensions {
        let mut label: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        if label.starts_with(|c: char| c.is_ascii_digit()) || label.is_empty() || label.starts_with("__") {
            label.insert_str(0, "dimension_");
        }
        // No dimension takes the place of what is said of every alert.
        while labels.contains_key(&label) {
            label.insert_str(0, "dimension_");
        }
        labels.insert(label, value.clone());
    }
    labels
}

fn annotations(alert: &Alert) -> Map<String, Value> {
    let items = alert.context.pointer("/condition/allOf").and_then(Value::as_array);
    let figures: Vec<String> = items
        .into_iter()
        .flatten()
        .map(|item| {
            let text = |name: &str| match item.get(name) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Null) | None => "nothing".to_owned(),
                Some(other) => other.to_string(),
            };
            let metric = item.get("metricName").and_then(Value::as_str).unwrap_or("query");
            let aggregation = text("timeAggregation");
            format!(
                "{metric} {aggregation} {} ({} {})",
                text("metricValue"),
                text("operator"),
                text("threshold")
            )
        })
        .collect();
    let mut annotations = Map::new();
    annotations.insert("summary".into(), json!(figures.join("; ")));
    annotations.insert("description".into(), json!(alert.description));
    annotations.insert("alert_id".into(), json!(alert_id(alert)));
    annotations.insert("rule_id".into(), json!(alert.rule));
    annotations
}

#[cfg(test)]
mod tests;
