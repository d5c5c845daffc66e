//! Bounds of what is lowered. What a plan makes beyond them is refused with words.

/// Operators or calls one within the other.
pub const DEPTH: usize = 400;
/// Expressions, operators and rows' cells of a plan, about.
pub const NAMES: usize = 100_000;
/// Values of a subquery on the right of `in`.
pub const SET_VALUES: usize = 1_000_000;
/// Rows that are computed before the query that reads them.
pub const COMPUTED_ROWS: usize = 5_000_000;
