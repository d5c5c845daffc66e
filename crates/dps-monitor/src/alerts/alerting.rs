//! Alerting as one thing that starts and stops: the driver, the keeper and the outbox over one state. Must not know how
//! any of them works.

use std::sync::Arc;
use std::time::Duration;

use dps_events::Metrics;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Now;
use super::delivery::{Counts, Outbox};
use super::driver::{AlertDriver, Evaluations};
use super::state::AlertKeeper;
use crate::metrics::Rollups;
use crate::ports::{MonitorState, QueryEngine, RuleSource, WebhookPost};

/// What alerting works with.
pub struct AlertingParts {
    /// Where alerts and notifications are kept.
    pub state: Arc<dyn MonitorState>,
    /// Rules and action groups.
    pub rules: Arc<dyn RuleSource>,
    /// Metrics.
    pub rollups: Arc<Rollups>,
    /// Who answers queries, in a build that does.
    pub queries: Option<Arc<dyn QueryEngine>>,
    /// Who posts to webhooks.
    pub webhooks: Arc<dyn WebhookPost>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What time it is.
    pub now: Now,
}

/// Evaluates rules and tells of alerts.
#[derive(Clone)]
pub struct Alerting {
    driver: Arc<AlertDriver>,
    outbox: Arc<Outbox>,
}

/// Alerting that runs.
pub struct RunningAlerts {
    stop: watch::Sender<bool>,
    driver: JoinHandle<()>,
    outbox: JoinHandle<()>,
}

impl Alerting {
    /// Joins the parts; nothing runs yet.
    pub fn new(parts: AlertingParts) -> Self {
        let AlertingParts { state, rules, rollups, queries, webhooks, metrics, now } = parts;
        let (counted, clock) = (Arc::clone(&metrics), Arc::clone(&now));
        let outbox = Outbox::new(Arc::clone(&state), Arc::clone(&rules), webhooks, counted, clock);
        let outbox = Arc::new(outbox);
        let keeper = AlertKeeper::new(state, Arc::clone(&rules), Arc::clone(&outbox));
        let driver = Arc::new(AlertDriver::new(rules, rollups, queries, Arc::new(keeper), metrics, now));
        Self { driver, outbox }
    }

    /// Who tries webhooks out.
    pub fn notifier(&self) -> Arc<Outbox> {
        Arc::clone(&self.outbox)
    }

    /// What became of evaluations and of posts so far.
    pub fn counts(&self) -> (Evaluations, Counts) {
        (self.driver.counts(), self.outbox.counts())
    }

    /// Evaluates and posts from now on.
    pub fn start(&self) -> RunningAlerts {
        let (stop, stopped) = watch::channel(false);
        let driver = tokio::spawn(Arc::clone(&self.driver).run(stopped.clone()));
        let outbox = tokio::spawn(Arc::clone(&self.outbox).run(stopped));
        RunningAlerts { stop, driver, outbox }
    }
}

impl RunningAlerts {
    /// Evaluates and posts nothing new, and waits so long for posts that are made: one that is broken off is made again by
    /// the next run.
    pub async fn stop(self, patience: Duration) {
        self.stop.send_replace(true);
        let (driver, outbox) = (self.driver.abort_handle(), self.outbox.abort_handle());
        let ends = async {
            let _ = self.driver.await;
            let _ = self.outbox.await;
        };
        let _ = tokio::time::timeout(patience, ends).await;
        driver.abort();
        outbox.abort();
    }
}
