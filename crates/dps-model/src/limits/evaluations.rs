//! Limits of the evaluation of alert rules and of notifications.

/// Seconds after a minute's end at which rules that look back from there are evaluated: events need about one to be
/// counted and kept.
pub const ALERT_EVALUATION_DELAY: u64 = 5;
/// Series that one evaluation of a metric rule looks at (Azure: 5,000 of a rule).
pub const MAX_ALERT_SERIES: usize = 5_000;
/// Series of a rule with a dynamic threshold: each has weeks of history.
pub const MAX_DYNAMIC_SERIES: usize = 100;
/// Alerts of a log rule that resolve, open at once (Azure: 300 of an evaluation).
pub const MAX_STATEFUL_LOG_ALERTS: usize = 300;
/// Alerts that one evaluation of a log rule fires when they do not resolve (Azure: 6,000).
pub const MAX_STATELESS_LOG_ALERTS: usize = 6_000;
/// Days of history that teach a dynamic threshold: four weeks, so that each hour of the week is there.
pub const DYNAMIC_HISTORY_DAYS: i64 = 28;
/// Days of history where so much is too much to read (Azure: 10).
pub const SHORT_DYNAMIC_HISTORY_DAYS: i64 = 10;
/// Points of history that may be read for one rule.
pub const MAX_DYNAMIC_POINTS: i64 = 1_000_000;
/// Days of history without which a dynamic threshold says nothing (Azure: 3).
pub const MIN_DYNAMIC_DAYS: i64 = 3;
/// Values of history without which a dynamic threshold says nothing (Azure: 30).
pub const MIN_DYNAMIC_SAMPLES: usize = 30;
/// Series of rules with dynamic thresholds whose history stays in memory.
pub const MAX_LEARNT_SERIES: usize = 2_000;
/// Time that the query of an alert rule may run, in seconds.
pub const ALERT_QUERY_TIME: u64 = 60;
/// Rows that the query of an alert rule may answer.
pub const MAX_ALERT_QUERY_ROWS: usize = 100_000;
/// Bytes that it may answer (Azure: 20 MB).
pub const MAX_ALERT_QUERY_BYTES: usize = 20_000_000;
/// Periods of a log rule or of a dynamic threshold that are looked at (Azure: 6).
pub const MAX_FAILING_PERIODS: u32 = 24;
/// Characters of a dimension's value in an alert of a log rule.
pub const MAX_ALERT_DIMENSION: usize = 1_024;
/// Metric rules that are evaluated at once.
pub const MAX_METRIC_EVALUATIONS: usize = 4;
/// Rules with a dynamic threshold that are evaluated at once: each reads weeks.
pub const MAX_DYNAMIC_EVALUATIONS: usize = 1;
/// Log rules that are evaluated at once; people's queries need the engine too.
pub const MAX_LOG_EVALUATIONS: usize = 2;
/// Checks in a row that do not hold until an alert of a metric rule resolves (Azure: 3).
pub const METRIC_CHECKS_TO_RESOLVE: u32 = 3;
/// Days that an alert is kept (Azure: 30).
pub const ALERT_RETENTION_DAYS: i64 = 30;
/// Alerts that are kept, until those of rules that do not resolve are only told of.
pub const MAX_ALERTS_KEPT: usize = 100_000;
/// Minutes between two removals of old alerts.
pub const ALERT_PRUNE_MINUTES: i64 = 60;
/// Writes of one step of an evaluation.
pub const MAX_ALERT_WRITES: usize = 256;
/// Entries of an alert's history.
pub const MAX_ALERT_HISTORY: usize = 200;

/// Bytes of a notification's payload (Azure: 256 KB).
pub const MAX_NOTIFICATION: usize = 256 * 1024;
/// Notifications that wait, of all webhooks.
pub const MAX_NOTIFICATIONS_WAITING: usize = 10_000;
/// Notifications that wait for one webhook: one that is dead must not take the places of others.
pub const MAX_WEBHOOK_NOTIFICATIONS: usize = 1_000;
/// Posts to webhooks at once.
pub const MAX_NOTIFICATIONS_IN_FLIGHT: usize = 64;
/// Posts to one webhook at once.
pub const MAX_WEBHOOK_NOTIFICATIONS_IN_FLIGHT: usize = 4;
/// Seconds before each further try (Azure: 5, 20, 5, 40, 5).
pub const NOTIFICATION_WAITS: [u64; 5] = [5, 20, 5, 40, 5];
/// Seconds for which a webhook is left alone after the last try (Azure: 15 minutes).
pub const WEBHOOK_MUTE: u64 = 15 * 60;
/// Seconds that one try may take.
pub const NOTIFICATION_TIMEOUT: u64 = 10;
/// Hours after which a notification is worth nothing any more.
pub const MAX_NOTIFICATION_AGE: i64 = 24;
/// Seconds until a write to the state that failed is tried again.
pub const NOTIFICATION_STATE_RETRY: u64 = 5;
