//! What becomes of alert rules and notifications, as Prometheus sees it.

use std::sync::atomic::AtomicI64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::metrics::Metrics;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Condition {
    condition: &'static str,
}

/// Counters of alerts.
pub(crate) struct AlertCounters {
    evaluations: Family<Outcome, Counter>,
    alerts: Family<Condition, Counter>,
    notifications: Family<Outcome, Counter>,
    waiting: Gauge<i64, AtomicI64>,
}

impl AlertCounters {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let counters = Self {
            evaluations: Family::default(),
            alerts: Family::default(),
            notifications: Family::default(),
            waiting: Gauge::default(),
        };
        let help = "Evaluations of alert rules, by whether they came to an end";
        registry.register("alert_evaluations", help, counters.evaluations.clone());
        registry.register("alerts", "Alerts that fired or resolved", counters.alerts.clone());
        let help = "Posts of notifications to webhooks, by what they came to";
        registry.register("notifications", help, counters.notifications.clone());
        let help = "Notifications that wait for their webhook";
        registry.register("notifications_waiting", help, counters.waiting.clone());
        counters
    }
}

impl Metrics {
    /// Counts an evaluation of an alert rule: `done` or `failed`.
    pub fn alert_rule_evaluated(&self, outcome: &'static str) {
        self.alerts.evaluations.get_or_create(&Outcome { outcome }).inc();
    }

    /// Evaluations with that outcome so far.
    pub fn alert_rules_evaluated(&self, outcome: &'static str) -> u64 {
        self.alerts.evaluations.get(&Outcome { outcome }).map_or(0, |counter| counter.get())
    }

    /// Counts alerts that `fired` or `resolved`.
    pub fn alerts_became(&self, condition: &'static str, alerts: u64) {
        if alerts > 0 {
            self.alerts.alerts.get_or_create(&Condition { condition }).inc_by(alerts);
        }
    }

    /// Alerts that became so, so far.
    pub fn alerts_that(&self, condition: &'static str) -> u64 {
        self.alerts.alerts.get(&Condition { condition }).map_or(0, |counter| counter.get())
    }

    /// Counts a post of a notification: `delivered`, `retried`, `refused` or `given_up`.
    pub fn notification_posted(&self, outcome: &'static str) {
        self.alerts.notifications.get_or_create(&Outcome { outcome }).inc();
    }

    /// Posts with that outcome so far.
    pub fn notifications_posted(&self, outcome: &'static str) -> u64 {
        self.alerts.notifications.get(&Outcome { outcome }).map_or(0, |counter| counter.get())
    }

    /// Notes how many notifications wait.
    pub fn notifications_wait(&self, waiting: usize) {
        self.alerts.waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }
}
