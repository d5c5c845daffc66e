//! How much a query may become. A text is bounded by the parser; names for things let a short text stand for a long plan.

/// Nodes and expressions of a plan, all `let`s written out. The largest query of the field that we know has under 2,000.
pub(super) const MAX_PLAN_SIZE: usize = 100_000;

/// How deep expressions, operators and inlined functions may lie within each other while they are bound. Bounds the stack:
/// a level takes a few kilobytes.
pub(super) const MAX_DEPTH: usize = 200;

/// Height of a tree that a `let` names, and of a plan: whoever walks a plan may use recursion.
pub(super) const MAX_HEIGHT: usize = 1_000;

/// Columns of a relation. Log Analytics allows 500 to a table; a join of two is as wide as both.
pub(super) const MAX_COLUMNS: usize = 4_096;

/// Errors told at once.
pub(super) const MAX_ERRORS: usize = 32;

/// Cells of a `datatable`.
pub(super) const MAX_CELLS: usize = 100_000;

/// `evaluate` operators whose columns rows decide, in one query.
pub(super) const MAX_OPENED: usize = 8;

/// Names that are followed to see whether a function yields rows.
pub(super) const MAX_NAMES_FOLLOWED: usize = 32;

/// Bytes of a name for which a nearer one is sought.
pub(super) const MAX_MEASURED_NAME: usize = 64;

/// Quotes of `parse-kv`; more kinds than any log has.
pub(super) const MAX_QUOTES: usize = 8;
