//! What a function may use, however its query was written.

/// Bytes of one value that a function makes (Kusto: a string or a dynamic value has at most 1 MiB). Longer text is cut at a
/// character; a longer array or bag is null.
pub const VALUE_BYTES: usize = 1 << 20;
/// Bytes that one call may make for one batch of rows. The query fails beyond it.
pub const BATCH_BYTES: usize = 256 << 20;
/// Elements of an array that `range`, `repeat` and the like make (Kusto: 1,048,576).
pub const ARRAY_ELEMENTS: usize = 1 << 20;
/// Levels of arrays and bags in one another. Deeper text is no JSON for us.
pub const JSON_DEPTH: usize = 128;
/// Bytes of a regular expression.
pub const PATTERN_BYTES: usize = 8 << 10;
/// Bytes of a compiled regular expression, and of the automaton that is built while it runs.
pub const REGEX_BYTES: usize = 4 << 20;
/// Regular expressions that a call keeps compiled, for patterns that come from rows.
pub const REGEXES: usize = 64;
/// Pairs of a series' points that are looked at to find a period or a break: longer series are searched more coarsely.
pub const SERIES_WORK: usize = 16 << 20;
/// Regular expressions that a call compiles at all; what matches a further one is not known, and so null.
pub const REGEX_COMPILATIONS: usize = 1000;
/// Elements and distinct values of `make_list`, `make_set` and `make_bag` (Kusto: 1,048,576).
pub const COLLECTED: usize = 1 << 20;
/// Bytes of what they hold for a group.
pub const COLLECTED_BYTES: usize = 64 << 20;
/// Distinct values that `dcount` counts exactly, before it estimates.
pub const EXACT_DISTINCT: usize = 4096;
/// Values that `percentile` holds before it counts equal ones together.
pub const PERCENTILE_BUFFER: usize = 4096;
