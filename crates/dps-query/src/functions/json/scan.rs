//! Reading: where a value ends, what it holds.

use std::borrow::Cow;

use super::Kind;
use crate::functions::datum::Datum;
use crate::functions::limits::JSON_DEPTH;

/// The place behind white space.
pub(super) fn skip_space(text: &[u8], mut at: usize) -> usize {
    while text.get(at).is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// The place behind the string that begins here. Escapes and control characters are not judged.
pub(super) fn skip_string(text: &[u8], at: usize) -> Option<usize> {
    if text.get(at) != Some(&b'"') {
        return None;
    }
    let mut at = at + 1;
    loop {
        let rest = text.get(at..)?;
        let step = memchr::memchr2(b'"', b'\\', rest)?;
        at += step;
        if text.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The place behind the value that begins here, which is well-formed as far as brackets and strings go.
pub(super) fn skip_value(text: &[u8], at: usize) -> Option<usize> {
    match *text.get(at)? {
        b'"' => skip_string(text, at),
        b'{' | b'[' => skip_nested(text, at),
        _ => {
            let rest = text.get(at..)?;
            let length = rest.iter().take_while(|byte| is_word(**byte)).count();
            (length > 0).then_some(at + length)
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')
}

fn skip_nested(text: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match *text.get(at)? {
            b'"' => at = skip_string(text, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth -= 1;
                at += 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => at += 1,
        }
    }
}

/// What the value is, by its first character.
pub fn kind(text: &str) -> Option<Kind> {
    let bytes = text.as_bytes();
    Some(match bytes.get(skip_space(bytes, 0))? {
        b'{' => Kind::Bag,
        b'[' => Kind::Array,
        b'"' => Kind::Text,
        b't' | b'f' => Kind::Bool,
        b'n' => Kind::Null,
        b'-' | b'0'..=b'9' => Kind::Number,
        _ => return None,
    })
}

/// The elements of an array as they stand in the text.
pub fn elements(text: &str) -> Option<Vec<&str>> {
    let bytes = text.as_bytes();
    let mut at = skip_space(bytes, 0);
    if bytes.get(at) != Some(&b'[') {
        return None;
    }
    at = skip_space(bytes, at + 1);
    let mut found = Vec::new();
    if bytes.get(at) == Some(&b']') {
        return Some(found);
    }
    loop {
        let end = skip_value(bytes, at)?;
        found.push(text.get(at..end)?);
        at = skip_space(bytes, end);
        match bytes.get(at)? {
            b',' => at = skip_space(bytes, at + 1),
            b']' => return Some(found),
            _ => return None,
        }
    }
}

/// The members of a bag: names without quotes, values as they stand in the text.
pub fn members(text: &str) -> Option<Vec<(Cow<'_, str>, &str)>> {
    let bytes = text.as_bytes();
    let mut at = skip_space(bytes, 0);
    if bytes.get(at) != Some(&b'{') {
        return None;
    }
    at = skip_space(bytes, at + 1);
    let mut found = Vec::new();
    if bytes.get(at) == Some(&b'}') {
        return Some(found);
    }
    loop {
        let name_end = skip_string(bytes, at)?;
        let name = unquote(text.get(at..name_end)?)?;
        at = skip_space(bytes, name_end);
        if bytes.get(at) != Some(&b':') {
            return None;
        }
        at = skip_space(bytes, at + 1);
        let end = skip_value(bytes, at)?;
        found.push((name, text.get(at..end)?));
        at = skip_space(bytes, end);
        match bytes.get(at)? {
            b',' => at = skip_space(bytes, at + 1),
            b'}' => return Some(found),
            _ => return None,
        }
    }
}

/// The characters of a JSON string.
pub fn unquote(text: &str) -> Option<Cow<'_, str>> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str::<String>(text).ok().map(Cow::Owned)
}

/// The value as a scalar: null, truth, a long, a real or text; an array or a bag stays what it is. What is no JSON is null.
pub fn scalar(text: &str) -> Datum<'_> {
    let text = text.trim_matches([' ', '\t', '\n', '\r']);
    match kind(text) {
        Some(Kind::Array | Kind::Bag) => Datum::Json(Cow::Borrowed(text)),
        Some(Kind::Text) => unquote(text).map_or(Datum::Null, Datum::Text),
        Some(Kind::Bool) => match text {
            "true" => Datum::Bool(true),
            "false" => Datum::Bool(false),
            _ => Datum::Null,
        },
        Some(Kind::Number) => number(text),
        Some(Kind::Null) | None => Datum::Null,
    }
}

fn number(text: &str) -> Datum<'_> {
    if let Ok(value) = text.parse::<i64>() {
        return Datum::Long(value);
    }
    if !text.bytes().all(is_word) {
        return Datum::Null;
    }
    text.parse::<f64>().map_or(Datum::Null, Datum::Real)
}

/// The text without white space between its parts, when it is one JSON value by the grammar.
pub fn compact(text: &str) -> Option<Cow<'_, str>> {
    let bytes = text.as_bytes();
    let start = skip_space(bytes, 0);
    let mut check = Check { text: bytes, spaced: false };
    let end = check.value(start)?;
    if skip_space(bytes, end) != bytes.len() {
        return None;
    }
    let value = text.get(start..end)?;
    Some(if check.spaced { Cow::Owned(without_space(value)) } else { Cow::Borrowed(value) })
}

/// A value found within a text: as it stands where it has no white space. None for a JSON null.
pub fn compacted(value: &str) -> Option<Cow<'_, str>> {
    match kind(value)? {
        Kind::Null => None,
        Kind::Array | Kind::Bag => compact(value),
        // A word like `tru` is no value.
        Kind::Bool if !matches!(value, "true" | "false") => None,
        _ => Some(Cow::Borrowed(value)),
    }
}

fn without_space(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let start = skip_space(bytes, at);
        let end = match bytes.get(start) {
            Some(b'"') => skip_string(bytes, start).unwrap_or(bytes.len()),
            Some(_) => start + 1,
            None => bytes.len(),
        };
        out.push_str(text.get(start..end).unwrap_or_default());
        at = end.max(at + 1);
    }
    out
}

/// The whole grammar, with an explicit stack.
struct Check<'a> {
    text: &'a [u8],
    spaced: bool,
}

impl Check<'_> {
    fn space(&mut self, at: usize) -> usize {
        let end = skip_space(self.text, at);
        self.spaced |= end != at;
        end
    }

    fn value(&mut self, mut at: usize) -> Option<usize> {
        // True for a bag, false for an array.
        let mut open: Vec<bool> = Vec::new();
        loop {
            // A value begins here.
            match *self.text.get(at)? {
                start @ (b'{' | b'[') => {
                    let bag = start == b'{';
                    at = self.space(at + 1);
                    let close = if bag { b'}' } else { b']' };
                    if self.text.get(at) == Some(&close) {
                        at += 1;
                    } else {
                        if open.len() >= JSON_DEPTH {
                            return None;
                        }
                        open.push(bag);
                        if bag {
                            at = self.name(at)?;
                        }
                        continue;
                    }
                }
                b'"' => at = self.string(at)?,
                _ => at = self.word(at)?,
            }
            // A value has ended here.
            loop {
                let Some(bag) = open.last().copied() else { return Some(at) };
                at = self.space(at);
                match (*self.text.get(at)?, bag) {
                    (b',', _) => {
                        at = self.space(at + 1);
                        if bag {
                            at = self.name(at)?;
                        }
                        break;
                    }
                    (b'}', true) | (b']', false) => {
                        open.pop();
                        at += 1;
                    }
                    _ => return None,
                }
            }
        }
    }

    fn name(&mut self, at: usize) -> Option<usize> {
        let end = self.string(at)?;
        let at = self.space(end);
        if self.text.get(at) != Some(&b':') {
            return None;
        }
        Some(self.space(at + 1))
    }

    fn string(&self, at: usize) -> Option<usize> {
        if self.text.get(at) != Some(&b'"') {
            return None;
        }
        let mut at = at + 1;
        loop {
            match *self.text.get(at)? {
                b'"' => return Some(at + 1),
                b'\\' => at = self.escape(at + 1)?,
                0..=0x1f => return None,
                _ => at += 1,
            }
        }
    }

    fn escape(&self, at: usize) -> Option<usize> {
        match *self.text.get(at)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 1),
            b'u' => {
                let unit = self.unit(at + 1)?;
                match unit {
                    0xdc00..=0xdfff => None,
                    0xd800..=0xdbff => {
                        let low = self.text.get(at + 5..at + 7)? == b"\\u";
                        let low = low.then(|| self.unit(at + 7)).flatten()?;
                        (0xdc00..=0xdfff).contains(&low).then_some(at + 11)
                    }
                    _ => Some(at + 5),
                }
            }
            _ => None,
        }
    }

    fn unit(&self, at: usize) -> Option<u32> {
        let digits = self.text.get(at..at + 4)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }

    fn word(&self, at: usize) -> Option<usize> {
        let rest = self.text.get(at..)?;
        for word in [&b"true"[..], b"false", b"null"] {
            if rest.starts_with(word) {
                return Some(at + word.len());
            }
        }
        self.number(at)
    }

    fn number(&self, at: usize) -> Option<usize> {
        let digits = |from: usize| {
            let rest = self.text.get(from..).unwrap_or_default();
            from + rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
        };
        let start = if self.text.get(at) == Some(&b'-') { at + 1 } else { at };
        let mut end = digits(start);
        if end == start || (self.text.get(start) == Some(&b'0') && end > start + 1) {
            return None;
        }
        if self.text.get(end) == Some(&b'.') {
            let point = end + 1;
            end = digits(point);
            if end == point {
                return None;
            }
        }
        if matches!(self.text.get(end), Some(b'e' | b'E')) {
            let signed = matches!(self.text.get(end + 1), Some(b'+' | b'-'));
            let exponent = end + 1 + usize::from(signed);
            end = digits(exponent);
            if end == exponent {
                return None;
            }
        }
        Some(end)
    }
}
