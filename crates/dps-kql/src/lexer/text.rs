//! String literals: plain with escapes, verbatim, of several lines, obfuscated.

use super::{Lexer, TokenKind};
use crate::diagnostic::code;

const FENCES: [&str; 2] = ["```", "~~~"];

impl Lexer<'_> {
    /// Takes a string literal if one begins here.
    pub(super) fn string(&mut self) -> bool {
        let start = self.at;
        let rest = self.rest();
        // `h` hides a literal from logs; it is a string like others.
        let body = rest.strip_prefix(['h', 'H']).unwrap_or(rest);
        let hidden = rest.len() - body.len();
        if let Some(fence) = FENCES.into_iter().find(|fence| body.starts_with(fence)) {
            self.at += hidden + fence.len();
            self.fenced(fence, start);
            return true;
        }
        let verbatim = body.strip_prefix('@');
        let Some(quote) = verbatim.unwrap_or(body).chars().next().filter(|next| matches!(next, '"' | '\''))
        else {
            return false;
        };
        self.at += hidden + usize::from(verbatim.is_some()) + quote.len_utf8();
        if verbatim.is_some() {
            self.verbatim(quote, start);
        } else {
            self.escaped(quote, start);
        }
        true
    }

    fn fenced(&mut self, fence: &str, start: usize) {
        let rest = self.rest();
        let Some(length) = rest.find(fence) else {
            self.at = self.text.len();
            return self.unclosed(fence, start);
        };
        let value = rest.get(..length).unwrap_or_default().to_owned();
        self.at += length + fence.len();
        self.push(TokenKind::Text(value), start);
    }

    fn verbatim(&mut self, quote: char, start: usize) {
        let mut value = String::new();
        while let Some(next) = self.rest().chars().next() {
            if matches!(next, '\r' | '\n') {
                break;
            }
            self.at += next.len_utf8();
            if next != quote {
                value.push(next);
            } else if self.rest().starts_with(quote) {
                self.at += quote.len_utf8();
                value.push(quote);
            } else {
                return self.push(TokenKind::Text(value), start);
            }
        }
        self.unclosed(quote.encode_utf8(&mut [0; 4]), start);
    }

    fn escaped(&mut self, quote: char, start: usize) {
        let mut value = String::new();
        let mut sound = true;
        while let Some(next) = self.rest().chars().next() {
            if matches!(next, '\r' | '\n') {
                break;
            }
            if next == '\\' {
                sound &= self.escape(&mut value);
                continue;
            }
            self.at += next.len_utf8();
            if next == quote {
                let kind = if sound { TokenKind::Text(value) } else { TokenKind::Unknown };
                return self.push(kind, start);
            }
            value.push(next);
        }
        self.unclosed(quote.encode_utf8(&mut [0; 4]), start);
    }

    /// Takes an escape; tells and steps over the backslash of one that is none.
    fn escape(&mut self, value: &mut String) -> bool {
        let escape = self.rest().get(1..).unwrap_or_default();
        if let Some((meant, length)) = plain(escape).or_else(|| octal(escape)).or_else(|| coded(escape)) {
            value.push(meant);
            self.at += 1 + length;
            return true;
        }
        let start = self.at;
        self.at += 1;
        self.told(code::UNEXPECTED, start, self.at, "Unexpected: \\".to_owned());
        self.suggest("A backslash is \\\\ in a string; in @\"…\" it stands for itself.");
        false
    }

    fn unclosed(&mut self, quote: &str, start: usize) {
        let at = self.at;
        self.told(code::UNCLOSED, at, at, format!("Missing: {quote}"));
        self.push(TokenKind::Unknown, start);
    }
}

fn plain(escape: &str) -> Option<(char, usize)> {
    let meant = match escape.chars().next()? {
        same @ ('\'' | '"' | '\\') => same,
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        _ => return None,
    };
    Some((meant, 1))
}

/// `\0` to `\377`.
fn octal(escape: &str) -> Option<(char, usize)> {
    let digits = escape.bytes().take(3).take_while(|next| (b'0'..=b'7').contains(next)).count();
    let taken = if digits == 3 && !escape.starts_with(['0', '1', '2', '3']) { 2 } else { digits };
    let code = u32::from_str_radix(escape.get(..taken).filter(|digits| !digits.is_empty())?, 8).ok()?;
    Some((char::from_u32(code)?, taken))
}

/// `\x41`, `\u0041`, `\U00000041`; two of `\u` may be halves of one character.
fn coded(escape: &str) -> Option<(char, usize)> {
    let length = match escape.chars().next()? {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return None,
    };
    let first = hex(escape.get(1..=length)?)?;
    if !(0xd800..0xdc00).contains(&first) {
        return Some((char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 1 + length));
    }
    let second =
        escape.get(1 + length..).and_then(|rest| rest.strip_prefix("\\u")).and_then(|rest| rest.get(..4));
    match second.and_then(hex).filter(|second| (0xdc00..0xe000).contains(second)) {
        Some(second) => {
            let both = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            Some((char::from_u32(both)?, 1 + length + 6))
        }
        None => Some((char::REPLACEMENT_CHARACTER, 1 + length)),
    }
}

fn hex(digits: &str) -> Option<u32> {
    if digits.bytes().all(|next| next.is_ascii_hexdigit()) {
        u32::from_str_radix(digits, 16).ok()
    } else {
        None
    }
}
