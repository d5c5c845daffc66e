//! The bounds of the export.

use std::time::Duration;

/// Events that wait to be exported; more are dropped and counted.
pub const MAX_EVENTS_WAITING: usize = 8_192;
/// Events of one request.
pub const MAX_BATCH: usize = 512;
/// How long events gather into a request.
pub const GATHER: Duration = Duration::from_secs(2);
/// Times that one request is tried.
pub const MAX_ATTEMPTS: u32 = 5;
/// Wait before the second try; each further one is twice as long.
pub const BACKOFF: Duration = Duration::from_secs(1);
/// The longest wait that a collector may ask for.
pub const MAX_WAIT: Duration = Duration::from_mins(1);
/// For what is left when the server ends.
pub const CLOSING: Duration = Duration::from_secs(3);
