//! What Azure writes into MQTT topics and user names: `dps` for provisioning, `hub` for a device's hub.
//!
//! Owns the text forms, in both directions. Must not know packets, nor what a request does. Errors say which
//! part is wrong, at which byte, and what would be right; they never repeat the peer's text.

pub mod dps;
pub mod hub;
mod query;

use thiserror::Error;

use crate::mqtt::limits::MAX_REQUEST_ID;

/// Why a topic or a user name is not one of ours. `at` is a byte offset in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TopicError {
    /// Another topic than the ones served.
    #[error("from byte {at} on, the text is not one that is served here: write {expected}")]
    Unexpected {
        /// Where.
        at: usize,
        /// What would be right.
        expected: &'static str,
    },
    /// A part that must be there is not.
    #[error("{part} is missing: write {expected}")]
    Missing {
        /// Which part.
        part: &'static str,
        /// What would be right.
        expected: &'static str,
    },
    /// A part is there, without content.
    #[error("{part} is empty at byte {at}: give it a value")]
    Empty {
        /// Which part.
        part: &'static str,
        /// Where.
        at: usize,
    },
    /// A part is there twice, and the two could differ.
    #[error("{part} comes a second time at byte {at}: send it once")]
    Duplicate {
        /// Which part.
        part: &'static str,
        /// Where the second one begins.
        at: usize,
    },
    /// A part is longer than we take.
    #[error("{part} is {length} bytes long, and at most {limit} are accepted: shorten it")]
    TooLong {
        /// Which part.
        part: &'static str,
        /// Its length.
        length: usize,
        /// The bound.
        limit: usize,
    },
    /// More pieces than we take.
    #[error("{part} has more than {limit} entries: send fewer")]
    TooMany {
        /// Which part.
        part: &'static str,
        /// The bound.
        limit: usize,
    },
    /// `%` without two hexadecimal digits, or bytes that are not UTF-8.
    #[error(
        "{part} is badly percent-encoded at byte {at}: write % and two hexadecimal digits, of UTF-8 text"
    )]
    BadEncoding {
        /// Which part.
        part: &'static str,
        /// Where the part, or the bad `%`, begins.
        at: usize,
    },
    /// A number that is none.
    #[error("{part} is not a number at byte {at}: write decimal digits alone")]
    NotANumber {
        /// Which part.
        part: &'static str,
        /// Where.
        at: usize,
    },
    /// A character that would make another topic of it (`/`, `+`, `#`, `&`, a control character).
    #[error("{part} has a character at byte {at} that would change the topic: remove it")]
    ForbiddenCharacter {
        /// Which part.
        part: &'static str,
        /// Where, counted from the part's beginning.
        at: usize,
    },
}

/// Whether a topic name falls under a filter (MQTT 3.1.1 §4.7): `+` is one level, a last `#` the parent and
/// everything below; a wildcard at the first level never matches a topic that begins with `$`.
pub fn filter_matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = topic.split('/');
    let mut pattern = filter.split('/');
    loop {
        match (pattern.next(), levels.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(want), Some(have)) if want == have => {}
            _ => return false,
        }
    }
}

/// `text` behind `prefix`, with the offset where it begins; an error names the first byte that differs.
fn after<'a>(
    text: &'a str,
    prefix: &str,
    from: usize,
    expected: &'static str,
) -> Result<&'a str, TopicError> {
    text.strip_prefix(prefix).ok_or_else(|| TopicError::Unexpected {
        at: from + text.bytes().zip(prefix.bytes()).take_while(|(have, want)| have == want).count(),
        expected,
    })
}

/// Refuses what cannot stand as one level of a topic that we build.
fn check_part(part: &'static str, text: &str, limit: usize) -> Result<(), TopicError> {
    if text.is_empty() {
        return Err(TopicError::Empty { part, at: 0 });
    }
    if text.len() > limit {
        return Err(TopicError::TooLong { part, length: text.len(), limit });
    }
    match text.find(|c: char| matches!(c, '/' | '+' | '#' | '&') || c.is_control()) {
        Some(at) => Err(TopicError::ForbiddenCharacter { part, at }),
        None => Ok(()),
    }
}

/// Refuses a `$rid` that a topic cannot carry. Everything else, `$` and `/` included, is echoed as it came.
fn check_rid(rid: &str) -> Result<(), TopicError> {
    let part = "$rid";
    if rid.is_empty() {
        return Err(TopicError::Empty { part, at: 0 });
    }
    if rid.len() > MAX_REQUEST_ID {
        return Err(TopicError::TooLong { part, length: rid.len(), limit: MAX_REQUEST_ID });
    }
    match rid.find(['+', '#', '&', '\0']) {
        Some(at) => Err(TopicError::ForbiddenCharacter { part, at }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::filter_matches;

    #[test]
    fn filter_matches_the_standards_examples() {
        for (filter, topic, expected) in [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            ("sport/tennis/player1/#", "sport/tennis/player1/ranking", true),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
            ("sport/#", "sport", true),
            ("#", "sport", true),
            ("#", "$SYS/x", false),
            ("+/x", "$SYS/x", false),
            ("$SYS/#", "$SYS/x", true),
            ("sport/tennis/+", "sport/tennis/player1", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("a/b", "a/b", true),
            ("a/b", "a/b/", false),
            ("a/b/", "a/b", false),
        ] {
            assert_eq!(filter_matches(filter, topic), expected, "{filter} against {topic}");
        }
    }
}
