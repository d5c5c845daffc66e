//! `key=value&key=value` behind a topic or inside a user name, and its percent-encoding.
//!
//! Keys are compared as written; `+` is a plus, never a space.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::TopicError;
use crate::mqtt::limits::MAX_QUERY_PIECES;

/// One `key=value`, or a lone `key`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) key: &'a str,
    pub(super) value: Option<&'a str>,
    /// Where the piece begins.
    pub(super) at: usize,
}

impl Piece<'_> {
    /// Where the value begins.
    pub(super) fn value_at(&self) -> usize {
        self.at + self.key.len() + 1
    }
}

/// The pieces of `text`, which begins at byte `from`; empty pieces are skipped.
pub(super) fn pieces(text: &str, from: usize) -> impl Iterator<Item = Piece<'_>> {
    let mut at = from;
    text.split('&')
        .map(move |piece| {
            let begins = at;
            at += piece.len() + 1;
            match piece.split_once('=') {
                Some((key, value)) => Piece { key, value: Some(value), at: begins },
                None => Piece { key: piece, value: None, at: begins },
            }
        })
        .filter(|piece| !(piece.key.is_empty() && piece.value.is_none()))
}

/// Picks the wanted keys out of a bounded query. Each may come once; others are ignored.
pub(super) fn pick<'a, const N: usize>(
    part: &'static str,
    text: &'a str,
    from: usize,
    wanted: [&'static str; N],
) -> Result<[Option<Piece<'a>>; N], TopicError> {
    let mut found = [None; N];
    for (count, piece) in pieces(text, from).enumerate() {
        if count == MAX_QUERY_PIECES {
            return Err(TopicError::TooMany { part, limit: MAX_QUERY_PIECES });
        }
        for (slot, key) in found.iter_mut().zip(wanted) {
            if piece.key == key && slot.replace(piece).is_some() {
                return Err(TopicError::Duplicate { part: key, at: piece.at });
            }
        }
    }
    Ok(found)
}

/// Strict percent-decoding of `text`, which begins at byte `from`.
pub(super) fn decode<'a>(part: &'static str, text: &'a str, from: usize) -> Result<Cow<'a, str>, TopicError> {
    let bytes = text.as_bytes();
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%') {
        let digits = bytes.get(at + 1..at + 3);
        if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return Err(TopicError::BadEncoding { part, at: from + at });
        }
    }
    percent_encoding::percent_decode(bytes)
        .decode_utf8()
        .map_err(|_| TopicError::BadEncoding { part, at: from })
}

/// Forgiving percent-decoding, for text that only informs (a client's version).
pub(super) fn decode_lossy(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
pub(super) fn encode(text: &str, output: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            output.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(output, "%{byte:02X}");
        }
    }
}
