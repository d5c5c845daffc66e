//! The webhook port: a custom allocation asks its operator's code which hub a device goes to.

use async_trait::async_trait;
use dps_model::Secret;
use dps_model::enrollment::InitialTwin;

/// What a webhook answered when all was well.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WebhookAnswer {
    /// The hub's host name as it was written; none when it named none.
    pub hub: Option<String>,
    /// The twin that the device starts with.
    pub initial_twin: Option<InitialTwin>,
    /// What goes back to the device.
    pub payload: Option<serde_json::Value>,
}

/// Why there is no answer to go by. No text here holds the URL's query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// It asked to come again later, or failed in a way that may pass.
    #[error("the webhook answered {status}")]
    Busy {
        /// What it answered, as the device reads it.
        status: u16,
        /// Seconds to wait, where it said.
        retry_after: Option<u32>,
    },
    /// It wants a key that the URL does not have.
    #[error("the webhook answered that it is not authorized: is its key in the URL?")]
    Unauthorized,
    /// It answered with something that is no allocation.
    #[error("the webhook answered {status}: {why}")]
    Refused {
        /// What it answered, as the device reads it.
        status: u16,
        /// One sentence.
        why: String,
    },
    /// No answer came.
    #[error("no answer from the webhook: {0}")]
    Unreachable(String),
    /// It may not be asked at all.
    #[error("the webhook is not asked: {0}")]
    Forbidden(String),
}

/// Asks webhooks.
#[async_trait]
pub trait Webhook: Send + Sync + 'static {
    /// Posts `body`, a JSON text, to the URL, once.
    async fn ask(&self, url: &Secret, body: &str) -> Result<WebhookAnswer, WebhookError>;
}

/// A server that asks no webhook.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWebhook;

#[async_trait]
impl Webhook for NoWebhook {
    async fn ask(&self, _url: &Secret, _body: &str) -> Result<WebhookAnswer, WebhookError> {
        Err(WebhookError::Forbidden("this server asks no webhooks".into()))
    }
}
