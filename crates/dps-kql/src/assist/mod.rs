//! Help for whoever writes a query: what each piece of the text is, what is wrong, and what could stand at the cursor. Owns
//! the judgement of unfinished text, by the lexer's tokens; legality is the parser's and the binder's. Offsets are bytes.

mod complete;
mod mark;
mod place;
#[cfg(test)]
mod tests;

use crate::diagnostic::code;
use crate::{Diagnostic, Environment, limits};

/// Everything that an editor shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assistance {
    /// Pieces of the text in their order, blanks left out.
    pub marks: Vec<Mark>,
    /// What is wrong; nothing is wrong with a text that is blank.
    pub errors: Vec<Diagnostic>,
    /// What could stand at the cursor, best first.
    pub completions: Vec<Completion>,
}

/// A piece of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What it is.
    pub kind: MarkKind,
    /// Byte offset of its first character.
    pub start: usize,
    /// Byte offset after its last.
    pub end: usize,
}

/// What a piece of the text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MarkKind {
    /// `where`, `by`, `let`.
    Keyword,
    /// `==`, `has`, `and`.
    Operator,
    /// A function of one row.
    Function,
    /// A function of many rows.
    Aggregate,
    /// A name that is none of the others.
    Column,
    /// A table of the catalog.
    Table,
    /// A name that a `let` gave.
    Variable,
    /// `string`, `long`.
    Type,
    /// Text in quotes.
    String,
    /// A number.
    Number,
    /// `true`, `datetime(…)` and the like.
    Literal,
    /// From `//` to the end of its line.
    Comment,
    /// Marks that compute nothing.
    Punctuation,
    /// No token.
    Unknown,
}

/// What could stand at the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// As it is listed.
    pub label: String,
    /// What it is.
    pub kind: MarkKind,
    /// Its type, or what it is for.
    pub detail: String,
    /// What is written in the place of `start..end`.
    pub insert: String,
    /// Byte offset of what has been typed of it.
    pub start: usize,
    /// Byte offset after that.
    pub end: usize,
}

impl MarkKind {
    /// Its name for an editor.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Keyword => "keyword",
            Self::Operator => "operator",
            Self::Function => "function",
            Self::Aggregate => "aggregate",
            Self::Column => "column",
            Self::Table => "table",
            Self::Variable => "variable",
            Self::Type => "type",
            Self::String => "string",
            Self::Number => "number",
            Self::Literal => "literal",
            Self::Comment => "comment",
            Self::Punctuation => "punctuation",
            Self::Unknown => "unknown",
        }
    }
}

/// Looks at a text that is being written, and at a cursor in it.
pub fn assist(text: &str, cursor: Option<usize>, environment: &Environment<'_>) -> Assistance {
    if text.len() > limits::MAX_ASSISTED_TEXT {
        let message = format!("Queries of more than {} bytes are not looked at.", limits::MAX_ASSISTED_TEXT);
        let error = Diagnostic { code: code::TOO_LONG, message, start: 0, end: 0, suggestion: None };
        return Assistance { errors: vec![error], ..Assistance::default() };
    }
    let marks = mark::marks(text, environment.tables);
    let errors = match crate::analyse(text, environment) {
        Err(refusal) if marks.iter().any(|mark| mark.kind != MarkKind::Comment) => refusal.errors,
        _ => Vec::new(),
    };
    let completions = cursor.map_or_else(Vec::new, |at| complete::at(text, at, environment));
    Assistance { marks, errors, completions }
}
