//! Entity tags. Owns their making and the spellings clients send; must not know what they guard.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// The version of a stored thing: base64 of a quoted GUID, as Azure writes it. Changes on every write.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Etag(pub String);

impl Etag {
    /// A tag that was never used before.
    pub fn fresh() -> Self {
        Self(STANDARD.encode(format!("\"{}\"", uuid::Uuid::new_v4())))
    }
}

impl std::fmt::Display for Etag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an `If-Match` header asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// `*`: any version, but the thing must exist.
    Any,
    /// Exactly this version.
    Tag(Etag),
}

impl IfMatch {
    /// Reads a header value in every spelling that clients send: `*`, `"*"`, the tag bare or in quotes.
    pub fn parse(value: &str) -> Self {
        let value = value.trim();
        let bare = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
        if bare == "*" { Self::Any } else { Self::Tag(Etag(bare.to_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Etag, IfMatch};

    #[test]
    fn if_match_spellings_all_read() {
        let tag = Etag("IjEyMyI=".into());
        assert_eq!(IfMatch::parse("IjEyMyI="), IfMatch::Tag(tag.clone()));
        assert_eq!(IfMatch::parse("\"IjEyMyI=\""), IfMatch::Tag(tag));
        assert_eq!(IfMatch::parse(" * "), IfMatch::Any);
        assert_eq!(IfMatch::parse("\"*\""), IfMatch::Any);
        assert_eq!(IfMatch::parse("\""), IfMatch::Tag(Etag("\"".into())));
    }

    #[test]
    fn etag_fresh_is_new_each_time() {
        assert_ne!(Etag::fresh(), Etag::fresh());
    }
}
