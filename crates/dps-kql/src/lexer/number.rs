//! Tokens that begin with a digit: numbers, durations like `1d`, and names like `4xxrate`.

use super::{Lexer, TokenKind, is_word};
use crate::diagnostic::code;
use crate::{Value, literal};

impl Lexer<'_> {
    pub(super) fn number(&mut self) {
        let start = self.at;
        let rest = self.rest();
        let digits = digits_of(rest);
        let word = rest.len() - rest.trim_start_matches(is_word).len();
        let behind = rest.get(word..).unwrap_or_default();
        // `1.5`, `1.`; `1..2` is a range.
        let fraction = word == digits && behind.starts_with('.') && !behind.starts_with("..");
        let (length, value) = if fraction {
            fraction_of(rest, digits)
        } else {
            whole_of(rest.get(..word).unwrap_or_default(), behind)
        };
        self.at += length;
        match value {
            Found::Value(value) => self.push(TokenKind::Literal(value), start),
            Found::Word => self.push(TokenKind::Word, start),
            Found::TooLarge => {
                self.told(
                    code::BAD_LITERAL,
                    start,
                    self.at,
                    "The number is too large for a long.".to_owned(),
                );
                self.suggest("Write real(…) or decimal(…) around it.");
                self.push(TokenKind::Unknown, start);
            }
        }
    }
}

enum Found {
    Value(Value),
    Word,
    TooLarge,
}

fn digits_of(text: &str) -> usize {
    text.len() - text.trim_start_matches(|next: char| next.is_ascii_digit()).len()
}

fn long_or_too_large(value: Option<i64>) -> Found {
    value.map_or(Found::TooLarge, |value| Found::Value(Value::Long(value)))
}

fn real_of(text: &str) -> Found {
    text.parse().map_or(Found::TooLarge, |value| Found::Value(Value::Real(value)))
}

/// No dot: `5`, `0x1f`, `1e5`, `1e+5`, `1d`, `5x`.
fn whole_of(word: &str, behind: &str) -> (usize, Found) {
    if word.bytes().all(|next| next.is_ascii_digit()) {
        return (word.len(), long_or_too_large(word.parse().ok()));
    }
    if let Some(hex) = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"))
        && !hex.is_empty()
        && hex.bytes().all(|next| next.is_ascii_hexdigit())
    {
        return (word.len(), long_or_too_large(literal::read_hex(hex)));
    }
    let exponent = digits_of(word);
    if let Some(power) = word.get(exponent..).and_then(|rest| rest.strip_prefix(['e', 'E'])) {
        if !power.is_empty() && power.bytes().all(|next| next.is_ascii_digit()) {
            return (word.len(), real_of(word));
        }
        let signed = behind.strip_prefix(['+', '-']).map_or(0, digits_of);
        if power.is_empty() && signed > 0 {
            let length = word.len() + 1 + signed;
            let sign = behind.get(..=signed).unwrap_or_default();
            return (length, real_of(&format!("{word}{sign}")));
        }
    }
    match literal::read_suffixed(word) {
        Some(ticks) => (word.len(), Found::Value(Value::TimeSpan(ticks))),
        None => (word.len(), Found::Word),
    }
}

/// A dot behind the digits: `1.`, `1.5`, `1.5e5`, `1.5d`.
fn fraction_of(rest: &str, digits: usize) -> (usize, Found) {
    let behind = rest.get(digits + 1..).unwrap_or_default();
    let mantissa = digits + 1 + digits_of(behind);
    let tail = rest.get(mantissa..).unwrap_or_default();
    let suffix = tail.len() - tail.trim_start_matches(|next: char| next.is_ascii_alphabetic()).len();
    if suffix > 0 && mantissa > digits + 1 {
        let length = mantissa + suffix;
        let after = rest.get(length..).unwrap_or_default();
        if !after.starts_with(is_word)
            && let Some(ticks) = rest.get(..length).and_then(literal::read_suffixed)
        {
            return (length, Found::Value(Value::TimeSpan(ticks)));
        }
    }
    let mut length = mantissa;
    if let Some(power) = tail.strip_prefix(['e', 'E']) {
        let signed = power.strip_prefix(['+', '-']).unwrap_or(power);
        let sign = power.len() - signed.len();
        if digits_of(signed) > 0 {
            length += 1 + sign + digits_of(signed);
        }
    }
    (length, real_of(rest.get(..length).unwrap_or_default()))
}
