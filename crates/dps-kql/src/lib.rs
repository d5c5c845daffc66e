//! The Kusto query language as far as Log Analytics speaks it: text in, a typed plan out, or errors that carry Kusto's
//! codes and the place.
//!
//! Owns names, types and legality; must not know what runs a plan or where rows are.

mod assist;
pub mod ast;
mod binder;
mod diagnostic;
mod environment;
mod function;
mod keyword;
mod lexer;
pub mod limits;
pub mod literal;
mod parser;
mod plan;
mod printer;
mod signature;
mod value;

pub use assist::{Assistance, Completion, Mark, MarkKind, assist};
pub use diagnostic::{Diagnostic, Diagnostics};
pub use environment::{Analysed, Analysis, Environment, Query, Table};
pub use function::{Aggregate, Scalar};
pub use parser::parse;
pub use plan::{
    Aggregation, Column, Evaluate, Expanded, Expr, ExprKind, JoinKind, Node, ParseMode, ParsePiece, Plan,
    Render, Schema, Series, SortKey, Step, TopNestedLevel, WindowFunction,
};
pub use value::{TICKS_PER_DAY, TICKS_PER_SECOND, Type, Value};

/// Reads a query and binds it: a plan that can run, a question for the columns of an `evaluate`, or what is wrong.
///
/// # Errors
///
/// Everything that is wrong with it: of its grammar, or, when that is right, of its names and types.
pub fn analyse(text: &str, environment: &Environment<'_>) -> Analysed {
    binder::bind(&parser::parse(text)?, environment)
}

/// Names of the functions of one row: the preferred one first, then old ones.
pub fn scalar_functions() -> impl Iterator<Item = &'static [&'static str]> {
    signature::scalars().map(|row| row.names)
}

/// Names of the aggregates: the preferred one first, then old ones.
pub fn aggregate_functions() -> impl Iterator<Item = &'static [&'static str]> {
    signature::aggregates().map(|row| row.names)
}
