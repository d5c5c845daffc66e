//! The way to one value, passing over all others.

use super::scan::{elements, skip_space, skip_string, skip_value, unquote};

/// A step into a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// A member of a bag, the first of that name.
    Member(String),
    /// An element of an array, from the end where negative.
    Index(i64),
}

/// The value at the end of the way, as it stands in the text.
pub fn find<'a>(text: &'a str, way: &[Step]) -> Option<&'a str> {
    let bytes = text.as_bytes();
    let start = skip_space(bytes, 0);
    let mut value = text.get(start..)?;
    for step in way {
        value = match step {
            Step::Member(name) => member(value, name)?,
            Step::Index(index) => element(value, *index)?,
        };
    }
    let end = skip_value(value.as_bytes(), 0)?;
    value.get(..end)
}

/// The text from the member's value on.
fn member<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'{') {
        return None;
    }
    let mut at = skip_space(bytes, 1);
    loop {
        let end = skip_string(bytes, at)?;
        let matched = is_named(text.get(at..end)?, name);
        at = skip_space(bytes, end);
        if bytes.get(at) != Some(&b':') {
            return None;
        }
        at = skip_space(bytes, at + 1);
        if matched {
            return text.get(at..);
        }
        at = skip_space(bytes, skip_value(bytes, at)?);
        if bytes.get(at) != Some(&b',') {
            return None;
        }
        at = skip_space(bytes, at + 1);
    }
}

fn is_named(quoted: &str, name: &str) -> bool {
    match unquote_plain(quoted) {
        Some(plain) => plain == name,
        None => unquote(quoted).is_some_and(|text| text == name),
    }
}

fn unquote_plain(quoted: &str) -> Option<&str> {
    let inner = quoted.get(1..quoted.len().checked_sub(1)?)?;
    (!inner.as_bytes().contains(&b'\\')).then_some(inner)
}

fn element(text: &str, index: i64) -> Option<&str> {
    if index < 0 {
        let all = elements(text.get(..skip_value(text.as_bytes(), 0)?)?)?;
        let back = usize::try_from(index.unsigned_abs()).ok()?;
        return all.get(all.len().checked_sub(back)?).copied();
    }
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'[') {
        return None;
    }
    let mut at = skip_space(bytes, 1);
    for _ in 0..index {
        at = skip_space(bytes, skip_value(bytes, at)?);
        if bytes.get(at) != Some(&b',') {
            return None;
        }
        at = skip_space(bytes, at + 1);
    }
    if bytes.get(at) == Some(&b']') { None } else { text.get(at..) }
}
