//! Limits of alert rules, action groups and what is asked about alerts.

/// Metric alert rules, and as many log alert rules (Azure: 5,000 of a subscription).
pub const MAX_ALERT_RULES: usize = 1_000;
/// Action groups.
pub const MAX_ACTION_GROUPS: usize = 500;
/// Bytes of a metric alert rule as JSON; lists of them have no pages.
pub const MAX_METRIC_ALERT: usize = 32 * 1024;
/// Bytes of a log alert rule or an action group as JSON.
pub const MAX_ALERT_DOCUMENT: usize = 128 * 1024;
/// Rules or groups of a page where lists have pages.
pub const ALERT_DOCUMENT_PAGE: usize = 100;
/// Characters of the name of a rule or an action group (Azure: 260).
pub const MAX_RULE_NAME: usize = 260;
/// Characters of what a rule says of itself.
pub const MAX_RULE_DESCRIPTION: usize = 4_096;
/// Resources that a rule watches.
pub const MAX_RULE_SCOPES: usize = 100;
/// Action groups that a rule tells (Azure: 5).
pub const MAX_RULE_ACTIONS: usize = 5;
/// Conditions of a metric alert rule (Azure: 5).
pub const MAX_RULE_CONDITIONS: usize = 5;
/// Dimensions of a condition (Azure: 6 of a log alert rule).
pub const MAX_RULE_DIMENSIONS: usize = 6;
/// Values of a dimension.
pub const MAX_RULE_DIMENSION_VALUES: usize = 100;
/// Characters of one.
pub const MAX_RULE_DIMENSION_VALUE: usize = 1_024;
/// Properties that a rule passes on.
pub const MAX_RULE_PROPERTIES: usize = 50;
/// Characters of the name or the value of one, and of a column's name.
pub const MAX_RULE_PROPERTY: usize = 1_024;
/// Bytes of the query of a log alert rule (Azure: 64 KB).
pub const MAX_RULE_QUERY: usize = 64 * 1024;
/// Periods that a log alert rule looks at (Azure: 6).
pub const MAX_QUERY_PERIODS: i64 = 6;
/// Periods that a dynamic threshold looks at.
pub const MAX_DYNAMIC_PERIODS: i64 = 24;
/// Minutes that one evaluation of a log alert rule looks back (Azure: 2 days).
pub const MAX_RULE_LOOK_BACK: u32 = 2 * 24 * 60;
/// Minutes between two evaluations (Azure: 24 h).
pub const MAX_RULE_FREQUENCY: u32 = 24 * 60;
/// Characters of `groupShortName` (Azure: 12).
pub const MAX_GROUP_SHORT_NAME: usize = 12;
/// Webhooks of an action group (Azure: 10).
pub const MAX_GROUP_WEBHOOKS: usize = 10;
/// Receivers of any other kind (Azure: 1,000 mail addresses, 10 of most others).
pub const MAX_GROUP_RECEIVERS: usize = 1_000;
/// Characters of the name of a receiver.
pub const MAX_RECEIVER_NAME: usize = 128;
/// Sample notifications whose outcome is remembered.
pub const MAX_SAMPLE_NOTIFICATIONS: usize = 100;
/// Alerts of a page where none is asked for (Azure: 25).
pub const DEFAULT_ALERT_PAGE: usize = 25;
/// Alerts of a page at most (Azure: 250).
pub const MAX_ALERT_PAGE: usize = 250;
/// Values of a filter of alerts, with commas between them.
pub const MAX_ALERT_FILTER_VALUES: usize = 32;
/// Characters of a comment on an alert's change.
pub const MAX_ALERT_COMMENT: usize = 4_096;
/// Times that the change of an alert is tried while its rule changes it too.
pub const ALERT_CHANGE_TRIES: usize = 10;
