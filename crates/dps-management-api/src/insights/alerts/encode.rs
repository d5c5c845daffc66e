//! Alerts as Azure shows them.

use std::collections::BTreeMap;

use dps_monitor::IdParts;
use dps_monitor::alerts::alert::{Alert, Change};
use serde_json::{Value, json};

use super::parameters::GroupBy;

const TYPE: &str = "Microsoft.AlertsManagement/alerts";

/// The subscription that an alert belongs to: its target's.
pub(super) fn subscription(alert: &Alert) -> &str {
    IdParts::of(&alert.target).subscription
}

fn id(alert: &Alert) -> String {
    format!("/subscriptions/{}/providers/{TYPE}/{}", subscription(alert), alert.id)
}

/// An alert, with its context or without, and with some or all members of `essentials`.
pub(super) fn alert(alert: &Alert, context: bool, selected: &[String]) -> Value {
    let target = IdParts::of(&alert.target);
    let by = alert.history.iter().rev().map(|change| change.by.as_str()).find(|by| !by.is_empty());
    let mut essentials = json!({
        "severity": format!("Sev{}", alert.severity),
        "signalType": alert.signal.name(),
        "alertState": alert.state.name(),
        "monitorCondition": alert.condition.name(),
        "targetResource": alert.target,
        "targetResourceName": target.name,
        "targetResourceGroup": target.resource_group,
        "targetResourceType": format!("{}/{}", target.provider, target.kind).to_lowercase(),
        "monitorService": alert.signal.monitor_service(),
        "alertRule": alert.rule,
        "sourceCreatedId": alert.id,
        "smartGroupId": "",
        "smartGroupingReason": "",
        "startDateTime": alert.fired,
        "lastModifiedDateTime": alert.modified,
        "monitorConditionResolvedDateTime": alert.resolved,
        "lastModifiedUserName": by.unwrap_or("System"),
        "actionStatus": { "isSuppressed": false },
        "description": alert.description,
    });
    if let Some(members) = essentials.as_object_mut().filter(|_| !selected.is_empty()) {
        members.retain(|name, _| selected.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)));
    }
    let mut shown = json!({
        "id": id(alert),
        "type": TYPE,
        "name": alert.id,
        "properties": { "essentials": essentials },
    });
    if context {
        shown["properties"]["context"] = alert.context.clone();
    }
    shown
}

/// What happened to an alert, the newest first.
pub(super) fn history(alert: &Alert) -> Value {
    let change = |change: &Change| {
        json!({
            "modificationEvent": change.event.name(),
            "oldValue": change.old,
            "newValue": change.new,
            "modifiedAt": change.at,
            "modifiedBy": change.by,
            "comments": change.comment,
            "description": "",
        })
    };
    json!({
        "id": format!("{}/history/default", id(alert)),
        "type": format!("{TYPE}/history"),
        "name": "default",
        "properties": {
            "alertId": alert.id,
            "modifications": alert.history.iter().rev().map(change).collect::<Vec<_>>(),
        },
    })
}

/// How many there are, by one member and within it by the next.
pub(super) fn summary(subscription: &str, by: &[GroupBy], counted: &BTreeMap<Vec<String>, u64>) -> Value {
    let rows: Vec<(&[String], u64)> =
        counted.iter().map(|(names, count)| (names.as_slice(), *count)).collect();
    let mut properties = group(by, &rows);
    properties["total"] = counted.values().sum::<u64>().into();
    properties["smartGroupsCount"] = 0.into();
    json!({
        "id": format!("/subscriptions/{subscription}/providers/Microsoft.AlertsManagement/alertsSummary/current"),
        "type": "Microsoft.AlertsManagement/alertsSummary",
        "name": "current",
        "properties": properties,
    })
}

fn group(by: &[GroupBy], rows: &[(&[String], u64)]) -> Value {
    let Some((first, rest)) = by.split_first() else { return json!({}) };
    let mut values: Vec<Value> = Vec::new();
    // Equal names stand beside each other: the map is sorted.
    for chunk in rows.chunk_by(|one, other| one.0.first() == other.0.first()) {
        let inner: Vec<_> =
            chunk.iter().map(|(names, count)| (names.get(1..).unwrap_or_default(), *count)).collect();
        let mut value = group(rest, &inner);
        let name = chunk.first().and_then(|(names, _)| names.first()).cloned().unwrap_or_default();
        value["name"] = name.into();
        value["count"] = chunk.iter().map(|(_, count)| count).sum::<u64>().into();
        values.push(value);
    }
    json!({ "groupedby": first.name(), "values": values })
}
