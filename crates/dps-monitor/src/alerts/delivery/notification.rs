//! A notification as a document. Must not know payloads.

use std::collections::BTreeMap;
use std::sync::Arc;

use dps_model::{Etag, Timestamp};
use serde::{Deserialize, Serialize};

use crate::alerts::alert::{Alert, MonitorCondition};
use crate::alerts::group::{ActionGroup, WebhookReceiver};
use crate::alerts::rule::{Action, Rule};
use crate::ports::{Kept, Shelf, StateWrite};

/// A notification for one webhook. It is the body of its document, and names the webhook without its URI: a post goes
/// where the group says by then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// The alert as it was, without its history.
    pub alert: Alert,
    /// ARM id of the action group.
    pub group: String,
    /// Name of its webhook.
    pub receiver: String,
    /// Of the rule, for whom it tells.
    pub properties: BTreeMap<String, String>,
    /// Posts so far.
    pub attempts: u32,
    /// When the next one is due.
    pub due: Timestamp,
    /// When it was written.
    pub created: Timestamp,
}

/// A webhook of a group, by their names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint(Arc<str>);

impl Notification {
    /// Of an alert, for a webhook.
    pub fn new(
        rule: &Rule,
        action: &Action,
        alert: &Alert,
        group: &ActionGroup,
        receiver: &WebhookReceiver,
        now: Timestamp,
    ) -> Self {
        let mut properties = rule.custom_properties.clone();
        properties.extend(action.properties.clone());
        Self {
            alert: Alert { history: Vec::new(), ..alert.clone() },
            group: group.id.clone(),
            receiver: receiver.name.clone(),
            properties,
            attempts: 0,
            due: now,
            created: now,
        }
    }

    /// Which webhook it is for.
    pub fn endpoint(&self) -> Endpoint {
        let (group, receiver) = (self.group.to_ascii_lowercase(), self.receiver.to_ascii_lowercase());
        Endpoint(format!("{group}#{receiver}").into())
    }

    /// The id of its document: the same for the same news of the same alert.
    pub fn id(&self) -> String {
        self.id_of(self.alert.condition)
    }

    /// The id of the notification that must be gone before this one is posted: that the alert fired.
    pub fn behind(&self) -> Option<String> {
        let is_resolved = self.alert.condition == MonitorCondition::Resolved;
        is_resolved.then(|| self.id_of(MonitorCondition::Fired))
    }

    fn id_of(&self, condition: MonitorCondition) -> String {
        let news = match condition {
            MonitorCondition::Fired => "fired",
            MonitorCondition::Resolved => "resolved",
        };
        format!("{}/{news}/{}", self.alert.id.simple(), self.endpoint().0)
    }

    /// Writes it as it is now.
    pub fn put(&self) -> StateWrite {
        // Plain fields: it cannot fail.
        let body = serde_json::to_string(self).unwrap_or_default();
        let document = Kept { id: self.id(), etag: Etag::fresh(), body, sealed: None };
        StateWrite::Put { shelf: Shelf::Notifications, document, over: None }
    }
}
