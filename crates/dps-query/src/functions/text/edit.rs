//! Cutting up and putting together. Positions and lengths count characters.

use std::borrow::Cow;

use dps_kql::Scalar;

use crate::functions::datum::Datum;
use crate::functions::json::{self, Array};
use crate::functions::kernel::{arg, json_at, long_at, text_at};
use crate::functions::limits::VALUE_BYTES;
use crate::functions::number::to_text;
use crate::functions::udf::Call;

/// Text that stops growing at the largest size of a value.
#[derive(Debug, Default)]
pub struct Growing {
    text: String,
}

impl Growing {
    /// Appends as much as there is room for; false when that was not all.
    pub fn push(&mut self, text: &str) -> bool {
        let room = VALUE_BYTES.saturating_sub(self.text.len());
        if text.len() <= room {
            self.text.push_str(text);
            return true;
        }
        self.text.push_str(text.get(..text.floor_char_boundary(room)).unwrap_or_default());
        false
    }

    /// What has become of it.
    pub fn finish<'a>(self) -> Datum<'a> {
        Datum::text(self.text)
    }
}

/// `strcat`.
pub fn strcat<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let mut out = Growing::default();
    for value in args {
        out.push(&to_text(value));
    }
    out.finish()
}

/// `strcat_delim`.
pub fn strcat_delim<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let mut out = Growing::default();
    for (index, value) in args.iter().skip(1).enumerate() {
        if index > 0 {
            out.push(text_at(args, 0));
        }
        out.push(&to_text(value));
    }
    out.finish()
}

/// `strlen` in characters, `string_size` in bytes.
pub fn length<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let text = to_text(arg(args, 0));
    let length = if call.function == Scalar::Strlen { text.chars().count() } else { text.len() };
    i64::try_from(length).ok().into()
}

/// `strrep`.
pub fn strrep<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let text = to_text(arg(args, 0));
    let times = long_at(args, 1).unwrap_or(0);
    let delimiter = text_at(args, 2);
    let mut out = Growing::default();
    if text.is_empty() && delimiter.is_empty() {
        return out.finish();
    }
    for time in 0..times {
        if (time > 0 && !out.push(delimiter)) || !out.push(&text) {
            break;
        }
    }
    out.finish()
}

/// `strcmp`: -1, 0 or 1 by bytes.
pub fn strcmp<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    Datum::Long(text_at(args, 0).cmp(text_at(args, 1)) as i64)
}

/// `substring`: a negative start counts from the end.
pub fn substring<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let value = to_text(arg(args, 0));
    let Some(start) = long_at(args, 1) else { return Datum::text("") };
    let length = if args.len() > 2 { long_at(args, 2).unwrap_or(0) } else { i64::MAX };
    let start = if start < 0 { start.saturating_add(count(&value)).max(0) } else { start };
    match value {
        Cow::Borrowed(text) => Datum::Text(Cow::Borrowed(characters(text, start, length))),
        Cow::Owned(text) => Datum::text(characters(&text, start, length)),
    }
}

fn count(text: &str) -> i64 {
    i64::try_from(text.chars().count()).unwrap_or(i64::MAX)
}

/// So many characters from a place on.
pub fn characters(text: &str, start: i64, length: i64) -> &str {
    let rest = text.get(offset(text, start)..).unwrap_or_default();
    rest.get(..offset(rest, length)).unwrap_or_default()
}

/// The byte at which a character begins; the end where there is none.
fn offset(text: &str, character: i64) -> usize {
    let Ok(character) = usize::try_from(character.max(0)) else { return text.len() };
    if text.is_ascii() {
        return character.min(text.len());
    }
    text.char_indices().nth(character).map_or(text.len(), |(at, _)| at)
}

/// `split`.
pub fn split<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let text = to_text(arg(args, 0));
    let delimiter = text_at(args, 1);
    let mut parts: Vec<&str> =
        if delimiter.is_empty() { vec![&text] } else { text.split(delimiter).collect() };
    if args.len() > 2 {
        let Some(index) = long_at(args, 2) else { return Datum::Null };
        let part = usize::try_from(index).ok().and_then(|index| parts.get(index).copied());
        parts = part.into_iter().collect();
    }
    parts.into_iter().map(json::quote).collect::<Array>().finish()
}

/// `indexof(text, what, start, length, occurrence)`. Each further occurrence is looked for in a window of the same length
/// that begins behind the last.
pub fn index_of<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let (text, what) = (to_text(arg(args, 0)), to_text(arg(args, 1)));
    search(args, &text, |window| window.find(what.as_ref()))
}

/// `indexof_regex`.
pub fn index_of_regex<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let text = to_text(arg(args, 0));
    let Some(regex) = call.regexes.get(text_at(args, 1)) else { return Datum::Null };
    search(args, &text, |window| regex.find(window).map(|found| found.start()))
}

fn search<'a>(args: &[Datum<'a>], text: &str, find: impl Fn(&str) -> Option<usize>) -> Datum<'a> {
    let or =
        |index: usize, default: i64| if index < args.len() { long_at(args, index) } else { Some(default) };
    let (Some(start), Some(length), Some(occurrence)) = (or(2, 0), or(3, -1), or(4, 1)) else {
        return Datum::Null;
    };
    if length < -1 || occurrence < 1 {
        return Datum::Null;
    }
    // Where each character begins, and the end.
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let last = places.len() - 1;
    let length = usize::try_from(length).unwrap_or(last);
    let from_end = usize::try_from(start.unsigned_abs()).unwrap_or(usize::MAX);
    let mut start = if start < 0 { last.saturating_sub(from_end) } else { from_end };
    for found in 1.. {
        let end = start.saturating_add(length).min(last);
        let window = places.get(start).zip(places.get(end)).and_then(|(from, to)| text.get(*from..*to));
        let Some(at) = window.and_then(&find) else { break };
        let at = places.get(start).map_or(0, |from| from + at);
        start = places.binary_search(&at).unwrap_or_else(|behind| behind);
        if found == occurrence {
            return i64::try_from(start).ok().into();
        }
        start += 1;
    }
    Datum::Long(-1)
}

/// `replace_string`.
pub fn replace_string<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let text = to_text(arg(args, 0));
    replace(&text, &[(text_at(args, 1).to_owned(), Some(text_at(args, 2).to_owned()))])
}

/// `replace_strings(text, lookups, rewrites)`: the earlier lookup goes first where several begin.
pub fn replace_strings<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let text = to_text(arg(args, 0));
    let texts = |index: usize| -> Vec<Option<String>> {
        let elements = json_at(args, index).and_then(json::elements).unwrap_or_default();
        elements.into_iter().map(|element| json::unquote(element).map(Cow::into_owned)).collect()
    };
    let rewrites = texts(2);
    let pairs: Vec<_> = texts(1)
        .into_iter()
        .enumerate()
        .filter_map(|(index, lookup)| Some((lookup?, rewrites.get(index).cloned().flatten())))
        .collect();
    replace(&text, &pairs)
}

fn replace<'a>(text: &str, pairs: &[(String, Option<String>)]) -> Datum<'a> {
    let find = |lookup: &str, from: usize| {
        let found = if lookup.is_empty() { None } else { text.get(from..)?.find(lookup) };
        found.map(|at| from + at)
    };
    // Where each is found next, so that none is looked for twice in the same place.
    let mut next: Vec<Option<usize>> = pairs.iter().map(|(lookup, _)| find(lookup, 0)).collect();
    let mut out = Growing::default();
    let mut from = 0;
    loop {
        let first = next.iter().enumerate().filter_map(|(index, at)| Some(((*at)?, index))).min();
        let Some((at, index)) = first else { break };
        let Some((lookup, rewrite)) = pairs.get(index) else { break };
        let before = text.get(from..at).unwrap_or_default();
        if !out.push(before) || !out.push(rewrite.as_ref().unwrap_or(lookup)) {
            return out.finish();
        }
        from = at + lookup.len();
        for ((lookup, _), place) in pairs.iter().zip(&mut next) {
            if place.is_some_and(|place| place < from) {
                *place = find(lookup, from);
            }
        }
    }
    out.push(text.get(from..).unwrap_or_default());
    out.finish()
}

/// `tolower`, `toupper`.
pub fn change_case<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let text = to_text(arg(args, 0));
    Datum::text(if call.function == Scalar::ToLower { text.to_lowercase() } else { text.to_uppercase() })
}

/// `reverse`.
pub fn reverse<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    Datum::text(to_text(arg(args, 0)).chars().rev().collect::<String>())
}

/// `translate(from, to, text)`: the last of `to` stands for all that `from` has more; without any they go.
pub fn translate<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let from: Vec<char> = text_at(args, 0).chars().collect();
    let to: Vec<char> = text_at(args, 1).chars().collect();
    let text = to_text(arg(args, 2));
    let mapped =
        text.chars().filter_map(|character| match from.iter().position(|known| *known == character) {
            Some(index) => to.get(index).or(to.last()).copied(),
            None => Some(character),
        });
    Datum::text(mapped.collect::<String>())
}

/// `parse_csv`: the first record.
pub fn parse_csv<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let text = text_at(args, 0);
    let mut fields = Array::default();
    let mut field = String::new();
    let mut characters = text.chars().peekable();
    let mut quoted = false;
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.next_if_eq(&'"').is_some() => field.push('"'),
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            ',' if !quoted => fields.push(&json::quote(&std::mem::take(&mut field))),
            '\r' | '\n' if !quoted => break,
            other => field.push(other),
        }
    }
    fields.push(&json::quote(&field));
    fields.finish()
}
