//! Every limit of a doctor's visit.

use std::time::Duration;

/// A step: connecting, shaking hands, an answer.
pub const STEP: Duration = Duration::from_secs(10);
/// A registration, all its polls included.
pub const REGISTRATION: Duration = Duration::from_mins(1);
/// Bytes of an answer's head.
pub const MAX_HEAD: usize = 16 * 1024;
/// Certificates of a chain that are shown.
pub const MAX_CHAIN: usize = 10;
/// Addresses of a name that are tried.
pub const MAX_ADDRESSES: usize = 8;
/// Characters of somebody else's text that are shown.
pub const MAX_TEXT: usize = 200;
/// Names of a certificate that are shown.
pub const MAX_NAMES: usize = 20;
/// Seconds by which a clock may be wrong before it is worth a word.
pub const CLOCK_TOLERANCE: i64 = 60;
/// Seconds by which it may be wrong before tokens are refused.
pub const CLOCK_LIMIT: i64 = 300;
