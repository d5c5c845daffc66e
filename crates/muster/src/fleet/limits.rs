//! Every bound of the fleet commands, by name. Sizes are bytes and times are seconds unless the name says otherwise.

/// Requests sent for one call, when the service throttles it or fails.
pub const MAX_ATTEMPTS: u32 = 5;
/// Requests sent for one call, when nobody answers: a service that is not there is told soon.
pub const MAX_UNANSWERED_ATTEMPTS: u32 = 3;
/// First pause between two of them, in milliseconds; it doubles each time.
pub const BACKOFF_MS: u64 = 500;
/// Longest pause that no `Retry-After` asks for, in milliseconds.
pub const MAX_BACKOFF_MS: u64 = 20_000;
/// Longest `Retry-After` that is waited for; a longer one ends the command.
pub const MAX_RETRY_AFTER: u64 = 300;
/// Time one request may take, its answer included.
pub const REQUEST_TIMEOUT: u64 = 60;
/// Time that connecting may take, TLS included.
pub const CONNECT_TIMEOUT: u64 = 10;
/// Largest answer that is read: a page of enrollments with full twins.
pub const MAX_ANSWER: usize = 64 * 1024 * 1024;
/// Longest text of a refusal that is shown, in characters.
pub const MAX_SHOWN: usize = 1_024;
/// Lifetime of a SAS token; every request gets a new one.
pub const TOKEN_LIFETIME: i64 = 600;
/// Largest file that is read as an option's value.
pub const MAX_VALUE_FILE: u64 = 1024 * 1024;

/// Rows of one table; a longer list goes on in another, so that memory does not grow with the fleet.
pub const MAX_TABLE_ROWS: usize = 1_000;
/// Width of a table whose terminal does not say its own, in columns.
pub const TABLE_WIDTH: u16 = 120;
/// Narrowest table, in columns.
pub const MIN_TABLE_WIDTH: u16 = 40;

/// Items of one bulk request (Azure: 10).
pub const MAX_BULK_ITEMS: usize = 10;
/// Bulk requests of an import, or keys of a list, that are asked for at once.
pub const MAX_CALLS_AT_ONCE: usize = 8;
/// Bytes of the items in one bulk request: what a body may have, without what stands around them.
pub const MAX_BULK_BODY: usize = dps_model::limits::MAX_BODY - 256;

/// Pause between two looks at an operation of the control plane that names none itself.
pub const OPERATION_POLL: u64 = 2;
/// Time that an operation of the control plane may take.
pub const MAX_OPERATION_WAIT: u64 = 1_800;
