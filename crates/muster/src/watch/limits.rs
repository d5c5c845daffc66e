//! Every bound of the commands that watch, by name. Sizes are bytes and times are seconds unless the name says otherwise.

/// Longest time that may be said, in milliseconds: a century is more than any row is old.
pub const MAX_TIME_MILLIS: i64 = 36_525 * 86_400_000;
/// Errors of one query that are shown.
pub const MAX_SHOWN_ERRORS: usize = 10;
/// Time that a query may take unless another is said.
pub const QUERY_WAIT: u64 = 180;
/// Longest time that may be said (Azure: 600).
pub const MAX_QUERY_WAIT: u64 = 600;
/// Time that the answer may come later than the query's own time.
pub const ANSWER_GRACE: u64 = 30;
/// Largest answer of a query: 64 MB of rows, and what JSON puts around them.
pub const MAX_QUERY_ANSWER: usize = 192 * 1024 * 1024;
/// Rows that are written at once.
pub const ROWS_AT_ONCE: usize = 1_000;
/// A column of a table is worth this many columns of the terminal; where there is less, each row is a block of lines.
pub const MIN_COLUMN_WIDTH: usize = 12;

/// Rows that one poll of `tail` asks for at first.
pub const TAIL_PAGE: usize = 5_000;
/// Rows that it asks for at most, when so many bear one instant.
pub const MAX_TAIL_PAGE: usize = 320_000;
/// Rows that `tail` remembers as shown.
pub const MAX_TAIL_SHOWN: usize = 200_000;
/// Time that one poll may take.
pub const TAIL_WAIT: u64 = 60;
/// First pause after a poll without an answer; it doubles each time.
pub const TAIL_BACKOFF: u64 = 1;
/// Longest such pause.
pub const MAX_TAIL_BACKOFF: u64 = 30;
/// Widest column of `tail`.
pub const MAX_TAIL_COLUMN: usize = 48;

/// Points of a chart that nobody asked an interval for: the shortest interval with no more is taken.
pub const CHART_POINTS: i64 = 60;
/// Widest chart, in columns.
pub const MAX_CHART_WIDTH: usize = 120;
/// Lines of a chart of one series.
pub const CHART_HEIGHT: usize = 8;
