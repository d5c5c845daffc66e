//! What is wrong with a query: Kusto's code, a sentence, the place, and how to mend it.

use std::fmt;

/// One error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Kusto's code, e.g. `KS142`.
    pub code: &'static str,
    /// One sentence.
    pub message: String,
    /// Byte offset of the first character that is wrong.
    pub start: usize,
    /// Byte offset after the last.
    pub end: usize,
    /// What the author may have meant.
    pub suggestion: Option<String>,
}

/// Every error found, in the order of the text; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics {
    /// The errors.
    pub errors: Vec<Diagnostic>,
    /// They lie in the grammar, not in names or types.
    pub syntax: bool,
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                to.write_str("; ")?;
            }
            write!(to, "{} {}", error.code, error.message)?;
            if let Some(suggestion) = &error.suggestion {
                write!(to, " {suggestion}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
