//! The alert of a notification that tries a webhook out. Must not know whom it is sent to.

use std::collections::BTreeMap;

use dps_model::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::Notification;
use crate::alerts::alert::{Alert, AlertState, MonitorCondition, Signal};
use crate::alerts::evaluation::{instant, minute};
use crate::alerts::group::{ActionGroup, WebhookReceiver};
use crate::ports::IdParts;

/// A notification that says that it is a test.
pub(super) fn sample(group: &ActionGroup, receiver: &WebhookReceiver, now: Timestamp) -> Notification {
    let parts = IdParts::of(&group.id);
    let place =
        format!("/subscriptions/{}/resourceGroups/{}/providers", parts.subscription, parts.resource_group);
    let at = minute(now);
    let item = json!({
        "metricName": "AttestationAttempts",
        "metricNamespace": "Microsoft.Devices/provisioningServices",
        "operator": "GreaterThan",
        "threshold": "0",
        "timeAggregation": "Total",
        "dimensions": [{"name": "Status", "value": "Unauthorized"}],
        "metricValue": 1.0,
    });
    let alert = Alert {
        id: Uuid::new_v4(),
        rule: format!("{place}/microsoft.insights/metricAlerts/test-alert-rule"),
        rule_name: "test-alert-rule".into(),
        description: "A test of the action group. Nothing happened.".into(),
        severity: 4,
        signal: Signal::Metric,
        target: format!("{place}/Microsoft.Devices/provisioningServices/test"),
        dimensions: vec![("Status".into(), "Unauthorized".into())],
        condition: MonitorCondition::Fired,
        state: AlertState::New,
        fired: now,
        resolved: None,
        modified: now,
        context: json!({
            "conditionType": "SingleResourceMultipleMetricCriteria",
            "condition": {
                "windowSize": "PT5M",
                "allOf": [item],
                "windowStartTime": instant(at.saturating_sub(5)),
                "windowEndTime": instant(at),
            },
        }),
        history: Vec::new(),
    };
    Notification {
        alert,
        group: group.id.clone(),
        receiver: receiver.name.clone(),
        properties: BTreeMap::new(),
        attempts: 0,
        due: now,
        created: now,
    }
}
