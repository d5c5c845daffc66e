//! Bags.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write as _;

use crate::functions::datum::Datum;
use crate::functions::json::{self, Array, Bag, Kind, Step};
use crate::functions::kernel::{arg, json_at, text_at};
use crate::functions::limits::{JSON_DEPTH, VALUE_BYTES};
use crate::functions::number::to_text;
use crate::functions::text::json_path;
use crate::functions::udf::Call;

type Members<'b> = Vec<(Cow<'b, str>, &'b str)>;

fn members_at<'b>(args: &'b [Datum<'_>], index: usize) -> Option<Members<'b>> {
    json_at(args, index).and_then(json::members)
}

fn made<'a, 'b>(members: impl IntoIterator<Item = (Cow<'b, str>, &'b str)>) -> Datum<'a> {
    let mut bag = Bag::default();
    for (name, value) in members {
        bag.push(&name, value);
        if bag.is_full() {
            break;
        }
    }
    bag.finish()
}

/// `bag_pack`, `pack_dictionary`, `pack_all`: names and values by turns; `pack_all(true)` is the binder's.
pub fn pack<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let mut bag = Bag::default();
    let (pairs, _) = args.as_chunks::<2>();
    for [name, value] in pairs {
        bag.push(&to_text(name), &json::of_datum(value));
    }
    bag.finish()
}

/// `bag_keys`.
pub fn bag_keys<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(members) = members_at(args, 0) else { return Datum::Null };
    members.iter().map(|(name, _)| json::quote(name)).collect::<Array>().finish()
}

/// `bag_has_key`, by a name or a path `$.a.b`.
pub fn bag_has_key<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(bag) = json_at(args, 0) else { return Datum::Bool(false) };
    let key = text_at(args, 1);
    let way = match key.strip_prefix("$.").and_then(|_| json_path(key)) {
        Some(way) => way,
        None => vec![Step::Member(key.to_owned())],
    };
    Datum::Bool(json::kind(bag) == Some(Kind::Bag) && json::find(bag, &way).is_some())
}

/// `bag_merge`: of a name in several the first stays.
pub fn bag_merge<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let bags: Vec<_> = (0..args.len()).filter_map(|index| members_at(args, index)).collect();
    if bags.is_empty() {
        return Datum::Null;
    }
    let mut seen = HashSet::new();
    made(bags.into_iter().flatten().filter(|(name, _)| seen.insert(name.clone())))
}

/// `bag_remove_keys(bag, keys)`, by names or paths.
pub fn bag_remove_keys<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let (Some(bag), Some(keys)) = (json_at(args, 0), json_at(args, 1).and_then(json::elements)) else {
        return Datum::Null;
    };
    let ways: Vec<Vec<Step>> = keys
        .into_iter()
        .filter_map(|key| {
            let name = json::unquote(key)?;
            match name.strip_prefix("$.").and_then(|_| json_path(&name)) {
                Some(way) => Some(way),
                None => Some(vec![Step::Member(name.into_owned())]),
            }
        })
        .collect();
    let ways: Vec<&[Step]> = ways.iter().map(Vec::as_slice).collect();
    match without(bag, &ways, 0) {
        Some(text) => Datum::json(text),
        None => Datum::Null,
    }
}

/// The bag without what the ways lead to.
fn without(bag: &str, ways: &[&[Step]], depth: usize) -> Option<String> {
    if depth > JSON_DEPTH {
        return None;
    }
    let mut out = Bag::default();
    for (name, value) in json::members(bag)? {
        let deeper: Vec<&[Step]> = ways
            .iter()
            .filter_map(|way| match way.split_first() {
                Some((Step::Member(first), rest)) if *first == *name => Some(rest),
                _ => None,
            })
            .collect();
        if deeper.iter().any(|rest| rest.is_empty()) {
            continue;
        }
        let inner = if deeper.is_empty() { None } else { without(value, &deeper, depth + 1) };
        out.push(&name, inner.as_deref().unwrap_or(value));
    }
    match out.finish() {
        Datum::Json(text) => Some(text.into_owned()),
        _ => None,
    }
}

/// `bag_set_key(bag, key, value)`, by a name or a path whose bags exist.
pub fn bag_set_key<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(bag) = json_at(args, 0) else { return Datum::Null };
    let key = text_at(args, 1);
    let way = match key.strip_prefix("$.").and_then(|_| json_path(key)) {
        Some(way) => way,
        None => vec![Step::Member(key.to_owned())],
    };
    let value = json::of_datum(arg(args, 2));
    with(bag, &way, &value, 0).map_or(Datum::Null, Datum::json)
}

fn with(bag: &str, way: &[Step], value: &str, depth: usize) -> Option<String> {
    if depth > JSON_DEPTH {
        return None;
    }
    let (Step::Member(first), rest) = way.split_first()? else { return None };
    let mut out = Bag::default();
    let mut set = false;
    for (name, old) in json::members(bag)? {
        if *name != *first {
            out.push(&name, old);
            continue;
        }
        set = true;
        if rest.is_empty() {
            out.push(&name, value);
        } else {
            out.push(&name, &with(old, rest, value, depth + 1)?);
        }
    }
    if !set {
        let new = if rest.is_empty() { value.to_owned() } else { with("{}", rest, value, depth + 1)? };
        out.push(first, &new);
    }
    match out.finish() {
        Datum::Json(text) => Some(text.into_owned()),
        _ => None,
    }
}

/// `bag_zip(names, values)`: what has no value is null, what is no text as a name is left out.
pub fn bag_zip<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let arrays = json_at(args, 0).and_then(json::elements).zip(json_at(args, 1).and_then(json::elements));
    let Some((names, values)) = arrays else { return Datum::Null };
    let pairs = names.into_iter().enumerate();
    made(pairs.filter_map(|(index, name)| {
        Some((json::unquote(name)?, values.get(index).copied().unwrap_or("null")))
    }))
}

/// `treepath`: the ways to all leaves.
pub fn tree_path<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(json) = json_at(args, 0) else { return Datum::Null };
    let mut found = Paths { all: Vec::new(), seen: HashSet::new(), bytes: 0 };
    found.walk(json, &mut String::new(), 0);
    found.all.iter().map(|path| json::quote(path)).collect::<Array>().finish()
}

struct Paths {
    all: Vec<String>,
    seen: HashSet<String>,
    bytes: usize,
}

impl Paths {
    fn walk(&mut self, json: &str, path: &mut String, depth: usize) {
        if depth > JSON_DEPTH || self.bytes > VALUE_BYTES {
            return;
        }
        let length = path.len();
        match json::kind(json) {
            Some(Kind::Bag) => {
                for (name, value) in json::members(json).unwrap_or_default() {
                    let _ = write!(path, "['{name}']");
                    self.walk(value, path, depth + 1);
                    path.truncate(length);
                }
            }
            Some(Kind::Array) => {
                // The array itself, then what is in it: every element is at index 0.
                self.leaf(path);
                path.push_str("[0]");
                for element in json::elements(json).unwrap_or_default() {
                    self.walk(element, path, depth + 1);
                }
                path.truncate(length);
            }
            _ => self.leaf(path),
        }
    }

    fn leaf(&mut self, path: &str) {
        if !path.is_empty() && self.seen.insert(path.to_owned()) {
            self.bytes += path.len();
            self.all.push(path.to_owned());
        }
    }
}
