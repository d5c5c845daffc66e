//! The query language of enrollments and registrations: `SELECT * [FROM name] [WHERE condition]`
//! (docs/reference/query.md, ADR 0010). Azure returns every row whatever the text says; here WHERE is honoured.
//!
//! Owns lexer, parser, the names that may be asked about, and the judgement of one row as the API shows it. Pure and
//! bounded. Must not know where rows come from.

mod error;
mod evaluate;
mod lexer;
mod members;
mod parser;
mod prefix;
mod print;
mod syntax;

pub use error::QueryError;
pub use members::Rows;
pub use syntax::{Condition, Literal, Operand, Operator, Path, Step, TextFunction};

use serde_json::Value;

/// A query that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    condition: Option<Condition>,
}

impl Query {
    /// Reads a query of such rows. Errors say what, where, and what to write instead.
    pub fn parse(text: &str, rows: Rows) -> Result<Self, QueryError> {
        Ok(Self { condition: parser::parse(text, rows)? })
    }

    /// Is every row wanted?
    pub fn takes_all(&self) -> bool {
        self.condition.is_none()
    }

    /// What the ids of all wanted rows begin with, in lower case; empty where that is not known.
    pub fn id_prefix(&self) -> String {
        self.condition.as_ref().map(prefix::of).unwrap_or_default()
    }

    /// Is this row wanted?
    pub fn matches(&self, row: &Value) -> bool {
        self.condition.as_ref().is_none_or(|condition| evaluate::holds(condition, row))
    }
}

impl std::fmt::Display for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SELECT *")?;
        self.condition.as_ref().map_or(Ok(()), |condition| write!(f, " WHERE {condition}"))
    }
}

#[cfg(test)]
mod tests;
