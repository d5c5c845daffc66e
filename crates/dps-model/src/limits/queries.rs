//! Limits of queries of logs.

/// Rows that an answer to a query of logs has at most (Azure: 500,000).
pub const MAX_QUERY_ROWS: usize = 500_000;
/// Bytes that it has at most, about (Azure: 64,000,000).
pub const MAX_QUERY_BYTES: usize = 64_000_000;
/// Bytes of memory that a query may take while it runs.
pub const MAX_QUERY_MEMORY: usize = 512 << 20;
/// How long a query may run unless its client says how long it waits (Azure: 180 s).
pub const QUERY_TIME: u64 = 180;
/// How long it may run at most (Azure: 600 s).
pub const MAX_QUERY_TIME: u64 = 600;
/// How much longer than that is waited for an engine that does not keep to it.
pub const QUERY_GRACE: u64 = 5;
/// Workspaces that a query names at most (Azure: 100).
pub const MAX_QUERY_WORKSPACES: usize = 100;
/// Queries of logs that run at once (Azure: 5 for a user).
pub const MAX_QUERIES_RUNNING: usize = 5;
/// Queries of logs that wait; one more is told to come again (Azure: 200).
pub const MAX_QUERIES_WAITING: usize = 200;
/// Seconds between two looks at what the log store can roll, merge or remove.
pub const WORKSPACE_UPKEEP: u64 = 60;
/// Queries of one batch.
pub const MAX_QUERIES_PER_BATCH: usize = 100;
/// Bytes of a filter of the activity log.
pub const MAX_ACTIVITY_FILTER: usize = 4_096;
/// Conditions of one.
pub const MAX_ACTIVITY_CONDITIONS: usize = 16;
/// Events of a page of the activity log.
pub const MAX_ACTIVITY_PAGE: usize = 200;
