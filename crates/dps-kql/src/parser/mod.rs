//! Tokens into the syntax tree. Owns the grammar and what is said of a text that does not follow it; must not know which
//! names exist nor which types things have.
//!
//! A failure is told where it is found and then climbs as [`Caught`] to the statement, which goes on behind the next
//! pipe or semicolon of its own level: an author reads several errors at once, and few that are only echoes.

mod cursor;
mod dynamic;
mod expression;
mod infix;
mod name;
mod operator;
mod primary;
mod statement;
#[cfg(test)]
mod tests;

pub(crate) use infix::{Level, level_of};
pub(crate) use operator::{VISUALIZATIONS, is_operator, operators};

use crate::ast::QueryBlock;
use crate::diagnostic::code;
use crate::lexer::{self, Token};
use crate::{Diagnostic, Diagnostics, limits};

/// Reads a query.
///
/// # Errors
///
/// All errors of syntax that were found, at most [`limits::MAX_ERRORS`].
pub fn parse(text: &str) -> Result<QueryBlock, Diagnostics> {
    if text.len() > limits::MAX_QUERY_TEXT {
        let message = format!("The query is longer than {} bytes.", limits::MAX_QUERY_TEXT);
        let error = Diagnostic { code: code::TOO_LONG, message, start: 0, end: 0, suggestion: None };
        return Err(Diagnostics { errors: vec![error], syntax: true });
    }
    let lexed = lexer::lex(text);
    let end = text.len();
    let mut parser =
        Parser { text, tokens: lexed.tokens, at: 0, errors: lexed.errors, depth: 0, deepest: 0, end };
    let block = parser.block();
    let mut errors = parser.errors;
    if errors.is_empty() {
        return Ok(block);
    }
    errors.sort_by_key(|error| error.start);
    errors.truncate(limits::MAX_ERRORS);
    Err(Diagnostics { errors, syntax: true })
}

/// An error that has been told.
struct Caught;

type Parsed<T> = Result<T, Caught>;

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    /// Index of the current token.
    at: usize,
    errors: Vec<Diagnostic>,
    /// How deep the grammar's recursion is here.
    depth: usize,
    /// `depth` plus the height of the tree that has been built here.
    deepest: usize,
    /// Length of the text.
    end: usize,
}
