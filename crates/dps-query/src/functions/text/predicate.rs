//! Predicates on text, and membership.

use std::cmp::Ordering;

use dps_kql::Scalar;

use super::search::{Matcher, fold};
use crate::functions::datum::Datum;
use crate::functions::json;
use crate::functions::kernel::{arg, text_at};
use crate::functions::number::{order, to_text};
use crate::functions::udf::Call;

/// `has`, `contains`, `startswith`, `endswith` and all their forms, of needles that rows bring.
pub fn matches<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let (text, needle) = (to_text(arg(args, 0)), to_text(arg(args, 1)));
    Matcher::new(call.function, &needle).map(|matcher| matcher.matches(&text)).into()
}

/// `=~`, `!~`.
pub fn equal_ignore_case<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let equal = is_equal_folded(&to_text(arg(args, 0)), &to_text(arg(args, 1)));
    Datum::Bool(equal == (call.function == Scalar::EqualIgnoreCase))
}

fn is_equal_folded(left: &str, right: &str) -> bool {
    if left.is_ascii() && right.is_ascii() {
        left.eq_ignore_ascii_case(right)
    } else {
        fold(left) == fold(right)
    }
}

/// `matches regex`: anywhere in the text.
pub fn matches_regex<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let text = to_text(arg(args, 0));
    call.regexes.get(text_at(args, 1)).map(|regex| regex.is_match(&text)).into()
}

/// `has_any`, `has_all`: of texts, or of dynamic arrays of texts.
pub fn has_several<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let text = to_text(arg(args, 0));
    let found =
        |needle: &str| Matcher::new(Scalar::Has, needle).is_some_and(|matcher| matcher.matches(&text));
    let needles = needles(args.get(1..).unwrap_or_default());
    let mut each = needles.iter().map(|needle| found(needle));
    Datum::Bool(if call.function == Scalar::HasAny {
        each.any(|found| found)
    } else {
        each.all(|found| found)
    })
}

/// The texts among the arguments, arrays opened.
pub fn needles(args: &[Datum<'_>]) -> Vec<String> {
    let mut found = Vec::new();
    for value in args {
        match value.as_json().and_then(json::elements) {
            Some(elements) => {
                found
                    .extend(elements.into_iter().map(|element| to_text(&json::scalar(element)).into_owned()));
            }
            None => found.push(to_text(value).into_owned()),
        }
    }
    found
}

/// `in`, `!in`, `in~`, `!in~`: null is among nothing.
pub fn member<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let ignore_case = matches!(call.function, Scalar::InIgnoreCase | Scalar::NotInIgnoreCase);
    let negated = matches!(call.function, Scalar::NotIn | Scalar::NotInIgnoreCase);
    let (value, list) = (arg(args, 0), args.get(1..).unwrap_or_default());
    let same = |other: &Datum<'_>| {
        if ignore_case {
            return is_equal_folded(&to_text(value), &to_text(other));
        }
        order(value, other) == Some(Ordering::Equal)
    };
    let found = list.iter().any(|other| match other.as_json().and_then(json::elements) {
        Some(elements) => elements.into_iter().any(|element| same(&json::scalar(element))),
        None => same(other),
    });
    Datum::Bool(found != negated)
}

/// `isascii`, `isutf8`: text is always the latter here.
pub fn encoding<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    Datum::Bool(call.function == Scalar::IsUtf8 || text_at(args, 0).is_ascii())
}
