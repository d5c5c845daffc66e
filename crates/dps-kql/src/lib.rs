//! The Kusto query language as far as Log Analytics speaks it: text in, a typed plan out, or errors that carry Kusto's
//! codes and the place. Owns names, types and legality; must not know what runs a plan or where rows are.

pub mod ast;
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
mod value;

pub use diagnostic::{Diagnostic, Diagnostics};
pub use environment::{Analysed, Analysis, Environment, Query, Table};
pub use function::{Aggregate, Scalar};
pub use parser::parse;
pub use plan::{
    Aggregation, Column, Evaluate, Expanded, Expr, ExprKind, JoinKind, Node, ParseMode, ParsePiece, Plan,
    Render, Schema, Series, SortKey, Step, TopNestedLevel, WindowFunction,
};
pub use value::{TICKS_PER_DAY, TICKS_PER_SECOND, Type, Value};
