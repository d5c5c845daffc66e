//! An action group: who is told of an alert, and how.

use dps_model::Secret;

/// An action group.
#[derive(Clone)]
pub struct ActionGroup {
    /// ARM id, as it was spelt first.
    pub id: String,
    /// Name.
    pub name: String,
    /// `groupShortName`
    pub short_name: String,
    /// Does it tell anybody?
    pub enabled: bool,
    /// Its webhooks. What else Azure offers (mail, short messages …) is kept in the document and told to nobody.
    pub webhooks: Vec<WebhookReceiver>,
}

/// A webhook of an action group.
#[derive(Clone)]
pub struct WebhookReceiver {
    /// Unique within its group.
    pub name: String,
    /// May hold a secret in its query.
    pub uri: Secret,
    /// What it is sent.
    pub form: PayloadForm,
}

/// What a webhook is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadForm {
    /// Azure's common alert schema.
    Common,
    /// Azure's older form, one for each kind of rule.
    Legacy,
    /// Prometheus Alertmanager's webhook, version 4.
    Alertmanager,
}
