//! Why a text is no query: what, at which character, and what to write instead. One line, bounded.

use dps_model::Error;

/// Longest piece of the query that an error repeats, in characters.
const EXCERPT: usize = 32;

/// Why a text is no query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The query is not understood at character {at} ({found}): {what}. {instead}.")]
pub struct QueryError {
    /// The character, counted from 1.
    pub at: usize,
    /// What stands there, quoted and cut.
    found: String,
    what: String,
    instead: String,
}

impl QueryError {
    /// About the piece that begins at character `at` (counted from 1) of the text.
    pub(super) fn new(at: usize, piece: &str, what: impl Into<String>, instead: impl Into<String>) -> Self {
        let found = match piece.chars().nth(EXCERPT) {
            _ if piece.is_empty() => "its end".to_owned(),
            None => format!("{piece:?}"),
            Some(_) => format!("{:?}…", piece.chars().take(EXCERPT).collect::<String>()),
        };
        Self { at, found, what: what.into(), instead: instead.into() }
    }
}

impl From<QueryError> for Error {
    fn from(error: QueryError) -> Self {
        Self::argument(error.to_string())
    }
}
