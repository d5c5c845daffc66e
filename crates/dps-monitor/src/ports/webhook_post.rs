//! The webhook port: who posts a notification.

use async_trait::async_trait;
use dps_model::Secret;

/// Posts to webhooks.
#[async_trait]
pub trait WebhookPost: Send + Sync + 'static {
    /// Posts a JSON body once, without following redirects, within `dps_model::limits::NOTIFICATION_TIMEOUT`, and answers
    /// the status; or why there is none, without anything of the URI, which may hold a secret.
    async fn post(&self, uri: &Secret, body: Vec<u8>) -> Result<u16, String>;
}
