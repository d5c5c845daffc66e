//! What watching is bounded by: metrics, rows, diagnostic settings and deliveries. Times are seconds unless the name
//! says otherwise.

/// Minutes for which rollups of metrics are kept: Azure's 93 days.
pub const METRIC_RETENTION_MINUTES: i64 = 93 * 24 * 60;
/// Series of one metric that an hour may have; points of further ones go into a series of the name `Other`.
pub const MAX_METRIC_SERIES: usize = 1_000;
/// Characters of a dimension's value that are kept.
pub const MAX_DIMENSION_VALUE: usize = 128;
/// Time between two writes of changed rollups, in seconds: what a crash may cost.
pub const ROLLUP_FLUSH_INTERVAL: u64 = 5;
/// Time after the end of an hour until its rollups leave memory, in minutes; later points bring them back.
pub const ROLLUP_LINGER_MINUTES: i64 = 10;
/// Rollups of an hour that one commit writes.
pub const MAX_ROLLUPS_PER_COMMIT: usize = 256;
/// Time between two removals of rollups that are too old, in seconds.
pub const ROLLUP_EXPIRE_INTERVAL: u64 = 3_600;
/// Stored rollups that one question about metrics may read: an hour of a series each.
pub const MAX_ROLLUPS_READ: usize = 100_000;
/// Points that the answer to one question about metrics may have: a month of minutes and some.
pub const MAX_METRIC_POINTS: i64 = 50_000;
/// Metrics that one call may ask for.
pub const MAX_METRIC_NAMES: usize = 20;
/// Resources that one batch may ask for.
pub const MAX_METRIC_RESOURCES: usize = 50;
/// Bytes of a filter of metrics.
pub const MAX_METRIC_FILTER: usize = 4_096;
/// Conditions of a filter of metrics.
pub const MAX_METRIC_CONDITIONS: usize = 100;

/// Events that wait for the recorder; more are counted as dropped.
pub const MAX_EVENTS_WAITING: usize = 65_536;
/// Rows that wait for the log store; more are counted as dropped. Ten seconds of 1,500 registrations a second.
pub const MAX_LOG_ROWS_WAITING: usize = 32_768;
/// Bytes that those rows may take.
pub const MAX_LOG_BYTES_WAITING: usize = 64 * 1024 * 1024;
/// Rows that are appended to the log store at once.
pub const MAX_LOG_BATCH: usize = 4_096;
/// Milliseconds that rows wait for others to be appended with.
pub const LOG_GATHER: u64 = 100;
/// Bytes of one text of a log row (Azure Monitor: 32 KB).
pub const MAX_LOG_FIELD: usize = 32 * 1024;
/// Diagnostic settings of a resource (Azure: 5).
pub const MAX_DIAGNOSTIC_SETTINGS: usize = 5;
/// Characters of a diagnostic setting's name (Azure: 260).
pub const MAX_DIAGNOSTIC_SETTING_NAME: usize = 260;
/// Logs, or metrics, that a diagnostic setting chooses.
pub const MAX_DIAGNOSTIC_CHOICES: usize = 16;
/// Bytes of the id of a diagnostic setting's destination.
pub const MAX_DESTINATION_ID: usize = 2_048;
/// Characters of an event hub's name (Event Hubs: 256).
pub const MAX_EVENT_HUB_NAME: usize = 256;
/// Days of a retention policy (Azure: 365).
pub const MAX_RETENTION_DAYS: u32 = 365;
/// Time from the end of a minute until its metrics are exported, in seconds: what ended in it is counted by then.
pub const METRIC_EXPORT_DELAY: i64 = 15;
/// Minutes that are exported late after a standstill; older ones are left out.
pub const MAX_METRIC_EXPORT_MINUTES: i64 = 60;
/// Time between two looks whether a minute is due for export, in seconds.
pub const METRIC_EXPORT_INTERVAL: u64 = 5;
/// Time between two looks for settings of resources that are gone, in seconds.
pub const SETTINGS_FORGET_INTERVAL: u64 = 3_600;
/// Records that wait for one destination of a diagnostic setting; more are counted as dropped.
pub const MAX_DELIVERY_RECORDS_WAITING: usize = 16_384;
/// Bytes that those records may take.
pub const MAX_DELIVERY_BYTES_WAITING: usize = 16 * 1024 * 1024;
/// Bytes that the records of all destinations may take.
pub const MAX_DELIVERIES_BYTES_WAITING: usize = 256 * 1024 * 1024;
/// Records that are delivered at once.
pub const MAX_DELIVERY_BATCH: usize = 1_000;
/// Bytes that they may take; one that takes more goes alone.
pub const MAX_DELIVERY_BATCH_BYTES: usize = 1024 * 1024;
/// Milliseconds that records wait for others to be delivered with.
pub const DELIVERY_GATHER: u64 = 1_000;
/// Time that a destination may take for a batch, in seconds.
pub const DELIVERY_TIMEOUT: u64 = 30;
/// Attempts at a batch, about a quarter of an hour; then it is a dead letter.
pub const MAX_DELIVERY_ATTEMPTS: u32 = 20;
/// Time before the second attempt, in seconds; it doubles from one to the next.
pub const DELIVERY_RETRY: u64 = 1;
/// Longest time between two attempts.
pub const MAX_DELIVERY_RETRY: u64 = 60;
/// Longest time that a destination may ask for.
pub const MAX_DELIVERY_AFTER: u64 = 600;
/// Time to deliver what waits when the server stops or the setting is deleted, in seconds.
pub const DELIVERY_DRAIN: u64 = 5;
/// Largest text field copied from a request into an event.
pub const MAX_EVENT_TEXT: usize = 1_024;
/// Candidate enrollments kept in an attempt record.
pub const MAX_CANDIDATES: usize = 16;
/// Size at which a segment of recorded attempts is closed and a new one begun.
pub const MAX_ATTEMPT_SEGMENT: u64 = 64 * 1024 * 1024;
/// Segments of recorded attempts that are kept.
pub const MAX_ATTEMPT_SEGMENTS: usize = 16;
/// Seconds that recorded attempts are kept: as long as the rows of the workspace (93 days).
pub const MAX_ATTEMPT_AGE: u64 = 93 * 86_400;
/// Longest line of recorded attempts, in bytes; a chain of the longest certificates' names takes a tenth of it.
pub const MAX_ATTEMPT_LINE: u64 = 256 * 1024;
/// Operations whose answered polls are counted at once; the oldest is told to make room.
pub const MAX_POLL_TALLIES: usize = 10_000;
/// Milliseconds after which answered polls are told, where the operation's end was not.
pub const POLL_TALLY_MS: i64 = 60_000;
/// Recorded attempts in one answer; the rest is asked for by its position.
pub const MAX_ATTEMPTS_FOUND: usize = 1_000;
/// Longest text of a webhook's request or answer in an event.
pub const MAX_EXCHANGE_TEXT: usize = 4_096;
/// Milliseconds after which a timeline misses what should have followed.
pub const GAP_PATIENCE_MS: i64 = 60_000;
/// Groups, and devices of hubs, whose lines are looked up for a timeline.
pub const MAX_TIMELINE_RELATED: usize = 16;
/// Questions about recorded attempts that read files at once; others wait.
pub const ATTEMPT_LOOKUPS_AT_ONCE: usize = 4;
/// Lines read for one answer, fitting or not.
pub const MAX_ATTEMPTS_EXAMINED: usize = 20_000;
/// Bytes of lines in one answer, after which no further line is taken.
pub const MAX_ATTEMPT_ANSWER: usize = 8 * 1024 * 1024;
