//! Functions of regular expressions, and of paths into JSON text.

use std::borrow::Cow;

use dps_kql::{Scalar, Type};
use regex::{Captures, Regex};

use super::edit::Growing;
use crate::functions::datum::Datum;
use crate::functions::json::{self, Array, Step};
use crate::functions::kernel::{arg, json_at, long_at, text_at};
use crate::functions::number::{convert, to_text};
use crate::functions::regex::Regexes;
use crate::functions::udf::Call;

/// `extract(regex, group, text)`.
pub fn extract<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let text = to_text(arg(args, 2));
    let group = long_at(args, 1).and_then(|group| usize::try_from(group).ok());
    let found = group.and_then(|group| {
        let captures = call.regexes.get(text_at(args, 0))?.captures(&text)?;
        captures.get(group).map(|found| found.as_str().to_owned())
    });
    typed(call, found)
}

/// The text as the type that the call yields.
fn typed<'a>(call: &Call, found: Option<String>) -> Datum<'a> {
    let Some(found) = found else {
        return if call.ty == Type::String { Datum::text("") } else { Datum::Null };
    };
    let function = match call.ty {
        Type::Bool => Scalar::ToBool,
        Type::Int => Scalar::ToInt,
        Type::Long => Scalar::ToLong,
        Type::Real => Scalar::ToReal,
        Type::Decimal => Scalar::ToDecimal,
        Type::String => return Datum::text(found),
        Type::DateTime => Scalar::ToDateTime,
        Type::TimeSpan => Scalar::ToTimeSpan,
        Type::Guid => Scalar::ToGuid,
        Type::Dynamic => Scalar::ToDynamic,
    };
    convert(&Call { function, ty: call.ty, regexes: Regexes::default() }, &[Datum::text(found)])
}

/// `extract_all(regex, groups, text)`, the groups optional: all of them then, each of which is one array in another.
pub fn extract_all<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let text = to_text(arg(args, args.len().saturating_sub(1)));
    let Some(regex) = call.regexes.get(text_at(args, 0)) else { return Datum::Null };
    let groups = match json_at(args, 1).filter(|_| args.len() > 2).and_then(json::elements) {
        Some(wanted) => wanted.into_iter().filter_map(|element| group_of(&regex, element)).collect(),
        None if regex.captures_len() == 1 => vec![0],
        None => (1..regex.captures_len()).collect::<Vec<_>>(),
    };
    let group = |captures: &Captures<'_>, group: usize| {
        json::quote(captures.get(group).map(|found| found.as_str()).unwrap_or_default())
    };
    let mut all = Array::default();
    let mut any = false;
    for captures in regex.captures_iter(&text) {
        any = true;
        match groups.as_slice() {
            [one] => all.push(&group(&captures, *one)),
            several => {
                let row: Vec<String> = several.iter().map(|index| group(&captures, *index)).collect();
                all.push(&format!("[{}]", row.join(",")));
            }
        }
        if all.is_full() {
            return Datum::Null;
        }
    }
    if any { all.finish() } else { Datum::Null }
}

fn group_of(regex: &Regex, element: &str) -> Option<usize> {
    match json::scalar(element) {
        Datum::Text(name) => regex.capture_names().position(|known| known == Some(name.as_ref())),
        other => usize::try_from(other.integer()?).ok().filter(|group| *group < regex.captures_len()),
    }
}

/// `countof`: plain text may overlap, a regular expression does not.
pub fn count_of<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let text = to_text(arg(args, 0));
    let what = text_at(args, 1);
    if text_at(args, 2).eq_ignore_ascii_case("regex") {
        let count = call.regexes.get(what).map(|regex| regex.find_iter(&text).count());
        return count.and_then(|count| i64::try_from(count).ok()).into();
    }
    if what.is_empty() {
        return Datum::Long(0);
    }
    let mut count = 0;
    let mut rest = text.as_ref();
    while let Some(at) = rest.find(what) {
        count += 1;
        rest = rest.get(rest.ceil_char_boundary(at + 1)..).unwrap_or_default();
    }
    Datum::Long(count)
}

/// `replace_regex(text, regex, rewrite)`: `\1` in the rewrite is the first group, `\0` all.
pub fn replace_regex<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let text = to_text(arg(args, 0));
    let Some(regex) = call.regexes.get(text_at(args, 1)) else { return Datum::Text(text) };
    let rewrite = text_at(args, 2);
    let mut out = Growing::default();
    let mut last = 0;
    for captures in regex.captures_iter(&text) {
        let Some(whole) = captures.get(0) else { continue };
        let room = out.push(text.get(last..whole.start()).unwrap_or_default())
            && rewritten(&mut out, rewrite, &captures);
        last = whole.end();
        if !room {
            return out.finish();
        }
    }
    out.push(text.get(last..).unwrap_or_default());
    out.finish()
}

fn rewritten(out: &mut Growing, rewrite: &str, captures: &Captures<'_>) -> bool {
    let mut rest = rewrite;
    while let Some((before, behind)) = rest.split_once('\\') {
        let mut characters = behind.chars();
        let piece = match characters.next() {
            Some(digit @ '0'..='9') => {
                let group = digit.to_digit(10).and_then(|digit| usize::try_from(digit).ok());
                group.and_then(|group| captures.get(group)).map(|found| found.as_str()).unwrap_or_default()
            }
            Some('\\') => "\\",
            _ => {
                characters = behind.chars();
                "\\"
            }
        };
        if !out.push(before) || !out.push(piece) {
            return false;
        }
        rest = characters.as_str();
    }
    out.push(rest)
}

/// `trim`, `trim_start`, `trim_end`: all matches at the ends.
pub fn trim<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let pattern = text_at(args, 0);
    let text = to_text(arg(args, 1));
    let mut rest = text.as_ref();
    if call.function != Scalar::TrimEnd
        && let Some(regex) = call.regexes.get(&format!("\\A(?:{pattern})+"))
    {
        rest = regex.find(rest).and_then(|found| rest.get(found.end()..)).unwrap_or(rest);
    }
    if call.function != Scalar::TrimStart
        && let Some(regex) = call.regexes.get(&format!("(?:{pattern})+\\z"))
    {
        rest = regex.find(rest).and_then(|found| rest.get(..found.start())).unwrap_or(rest);
    }
    Datum::text(rest)
}

/// `regex_quote`.
pub fn regex_quote<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    Datum::text(regex::escape(text_at(args, 0)))
}

/// `extract_json(path, text)`.
pub fn extract_json<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let text = match arg(args, 1) {
        Datum::Json(text) => text.clone(),
        other => to_text(other),
    };
    let found = json_path(text_at(args, 0)).and_then(|way| {
        let found = if way.is_empty() { Some(text.as_ref()) } else { json::find(&text, &way) };
        json::compacted(found?.trim()).map(Cow::into_owned)
    });
    if call.ty == Type::Dynamic {
        return found.map_or(Datum::Null, Datum::json);
    }
    typed(call, found.map(|found| to_text(&Datum::Json(Cow::Owned(found))).into_owned()))
}

/// `$.a['b'][0]`. Nothing but members and indices.
pub fn json_path(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.trim();
    rest = rest.strip_prefix('$').unwrap_or(rest);
    let mut way = Vec::new();
    if !rest.is_empty() && !rest.starts_with(['.', '[']) {
        let (name, behind) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
        way.push(Step::Member(name.to_owned()));
        rest = behind;
    }
    while !rest.is_empty() {
        if let Some(named) = rest.strip_prefix('.') {
            let end = named.find(['.', '[']).unwrap_or(named.len());
            let (name, behind) = named.split_at_checked(end)?;
            if name.is_empty() {
                return None;
            }
            way.push(Step::Member(name.to_owned()));
            rest = behind;
            continue;
        }
        let inner = rest.strip_prefix('[')?;
        let quote = inner.chars().next().filter(|first| matches!(first, '\'' | '"'));
        let (step, behind) = if let Some(quote) = quote {
            let (name, behind) = inner.get(1..)?.split_once(quote)?;
            (Step::Member(name.to_owned()), behind.strip_prefix(']')?)
        } else {
            let (index, behind) = inner.split_once(']')?;
            (Step::Index(index.trim().parse().ok()?), behind)
        };
        way.push(step);
        rest = behind;
    }
    Some(way)
}
