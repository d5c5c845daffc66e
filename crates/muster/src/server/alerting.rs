//! Alert rules of a running server, with who evaluates them and who posts to webhooks. Must not know what a rule says.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dps_core::ports::Clock;
use dps_hub::HttpWebhook;
use dps_management_api::InstanceResources;
use dps_model::Secret;
use dps_model::limits::NOTIFICATION_TIMEOUT;
use dps_monitor::alerts::alerting::{Alerting, AlertingParts};
use dps_monitor::alerts::book::RuleBook;
use dps_monitor::{MonitorState, WebhookPost};

use super::rooms::{Outside, Site};

/// Posts to the webhooks of action groups, as to those of custom allocation.
pub struct Webhooks(pub Arc<HttpWebhook>);

#[async_trait]
impl WebhookPost for Webhooks {
    async fn post(&self, uri: &Secret, body: Vec<u8>) -> Result<u16, String> {
        self.0.post(uri, body, Duration::from_secs(NOTIFICATION_TIMEOUT)).await
    }
}

/// Reads the rules of that state, and joins who evaluates them; nothing runs yet. `workspace` is the ARM id of the built-in
/// workspace.
pub async fn open(
    state: &Arc<dyn MonitorState>,
    outside: &Outside,
    site: &Site,
    workspace: String,
) -> anyhow::Result<(Arc<RuleBook>, Alerting)> {
    let resources = Arc::new(InstanceResources(Arc::clone(&site.instances)));
    let rules = Arc::new(RuleBook::open(Arc::clone(state), resources, workspace).await?);
    let clock: Arc<dyn Clock> = Arc::clone(&outside.clock);
    let alerting = Alerting::new(AlertingParts {
        state: Arc::clone(state),
        rules: Arc::clone(&rules) as _,
        rollups: Arc::clone(&outside.rollups),
        queries: site.queries.clone(),
        webhooks: Arc::clone(&site.notifications),
        metrics: Arc::clone(&outside.metrics),
        now: Arc::new(move || clock.now()),
    });
    Ok((rules, alerting))
}
