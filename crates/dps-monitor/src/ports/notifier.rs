//! The notifier port: who tells action groups.

use async_trait::async_trait;

use crate::alerts::group::ActionGroup;

/// Tells action groups.
#[async_trait]
pub trait Notifier: Send + Sync + 'static {
    /// Sends a sample notification to each webhook of the group, once each, and says what became of it.
    async fn try_out(&self, group: &ActionGroup) -> Vec<TryOut>;
}

/// What became of a sample notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TryOut {
    /// Name of the receiver.
    pub receiver: String,
    /// What failed, without a secret; none when it was accepted.
    pub failure: Option<String>,
}
