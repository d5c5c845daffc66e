//! A named cause of what befell a unit of work: what an explanation leaves in its record. Owns the shape; which causes
//! there are, and when one holds, is dps-explain's.

use serde::Serialize;

/// Why it came so, in the operator's words. Never shown to a device; free of secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// Stable code of the catalogue, e.g. `SAS_GROUP_KEY_USED`.
    pub code: &'static str,
    /// The code in a few words.
    pub title: &'static str,
    /// One sentence that names the very things involved.
    pub sentence: String,
    /// Concluded from signs, not proven.
    pub inferred: bool,
    /// What it was seen by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Fact>,
    /// What mends it, best first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fix: Vec<Fix>,
    /// The page about it, beneath docs/reference.
    pub docs: String,
}

/// A fact that a cause rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// e.g. `issuer`.
    pub name: &'static str,
    /// As it was seen.
    pub value: String,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// In words.
    pub text: String,
    /// The command that does it, ready to paste.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

impl Fix {
    /// Words alone.
    pub fn words(text: impl Into<String>) -> Self {
        Self { text: text.into(), command: None }
    }

    /// Words and the command.
    pub fn command(text: impl Into<String>, command: impl Into<String>) -> Self {
        Self { text: text.into(), command: Some(command.into()) }
    }
}
