//! Datetimes and timespans as ticks. Owns calendar, text forms and zones; must not know what time it is.

mod calendar;
mod format;
mod functions;
mod parse;

pub use calendar::{Civil, LAST_TICK, civil, in_range, of_civil};
pub use format::{iso, timespan_text};
pub use functions::*;
pub use parse::{datetime, timespan};

/// Ticks in a millisecond.
pub const MILLISECOND: i64 = 10_000;
/// Ticks in a second.
pub const SECOND: i64 = 1000 * MILLISECOND;
/// Ticks in a minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Ticks in an hour.
pub const HOUR: i64 = 60 * MINUTE;
/// Ticks in a day.
pub const DAY: i64 = 24 * HOUR;
/// Ticks at 1970-01-01.
pub const UNIX_EPOCH: i64 = 719_162 * DAY;

#[cfg(test)]
mod tests;
