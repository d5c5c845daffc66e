//! Bounds of the engine beside those that a request brings.

/// Bytes of a query's text.
pub const QUERY_BYTES: usize = 1 << 20;
/// `evaluate` operators of a query.
pub const EVALUATES: usize = 10;
/// Columns that one `evaluate` makes.
pub const EVALUATED_COLUMNS: usize = 500;
/// Rows of a batch.
pub const BATCH_ROWS: usize = 8192;
/// Bytes of stack of a query's thread: planners walk deep plans by recursion.
pub const STACK_BYTES: usize = 64 << 20;
/// Bytes of footers that are kept between queries: those of about three months of hourly files.
pub const FOOTER_BYTES: usize = 128 << 20;
/// Bytes of a file's end that are read at once: the footer of a small file is among them.
pub const FOOTER_HINT_BYTES: usize = 32 << 10;
