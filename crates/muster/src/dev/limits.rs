//! Every limit of what a development server can be told.

/// Bytes of a request's body.
pub const MAX_BODY: usize = 16 * 1024;
/// Fault rules at a time.
pub const MAX_RULES: usize = 64;
/// Characters of a rule's id.
pub const MAX_ID: usize = 64;
/// Characters of a text that a rule matches.
pub const MAX_TEXT: usize = 256;
/// Milliseconds of a delay: ten minutes.
pub const MAX_MILLISECONDS: u64 = 600_000;
/// Seconds of a pause that a peer is told: an hour.
pub const MAX_RETRY_AFTER: u32 = 3_600;
/// Marks that wait for their event; the oldest one is forgotten.
pub const MAX_MARKS: usize = 10_000;
/// Seconds that the clock may be from the machine's: a hundred years.
pub const MAX_OFFSET_SECONDS: f64 = 3_155_760_000.0;
/// How fast the clock may be: a day in a second.
pub const MAX_RATE: f64 = 86_400.0;
/// How slow it may be; it may also stand still.
pub const MIN_RATE: f64 = 0.001;
/// Seconds that a reset waits for operations which are at a hub or at a webhook.
pub const RESET_PATIENCE: u64 = 15;
/// Documents that a reset removes one by one, at a time.
pub const RESET_PAGE: usize = 100;
