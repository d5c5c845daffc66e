//! Texts: predicates and functions.

use dps_kql::{Scalar, Value};
use serde_json::Value as Json;

use super::value::{dynamic, string};

/// `has`, `contains`, `startswith` and all their forms.
pub fn matches(function: Scalar, text: &str, needle: &str) -> bool {
    use Scalar as S;
    let minds_case = matches!(
        function,
        S::HasCs
            | S::NotHasCs
            | S::HasPrefixCs
            | S::NotHasPrefixCs
            | S::HasSuffixCs
            | S::NotHasSuffixCs
            | S::ContainsCs
            | S::NotContainsCs
            | S::StartsWithCs
            | S::NotStartsWithCs
            | S::EndsWithCs
            | S::NotEndsWithCs
    );
    let fold = |text: &str| if minds_case { text.to_owned() } else { text.to_lowercase() };
    let (text, needle) = (fold(text), fold(needle));
    match function {
        S::Has | S::HasCs => term(&text, &needle, true, true),
        S::NotHas | S::NotHasCs => !term(&text, &needle, true, true),
        S::HasPrefix | S::HasPrefixCs => term(&text, &needle, true, false),
        S::NotHasPrefix | S::NotHasPrefixCs => !term(&text, &needle, true, false),
        S::HasSuffix | S::HasSuffixCs => term(&text, &needle, false, true),
        S::NotHasSuffix | S::NotHasSuffixCs => !term(&text, &needle, false, true),
        S::Contains | S::ContainsCs => text.contains(&needle),
        S::NotContains | S::NotContainsCs => !text.contains(&needle),
        S::StartsWith | S::StartsWithCs => text.starts_with(&needle),
        S::NotStartsWith | S::NotStartsWithCs => !text.starts_with(&needle),
        S::EndsWith | S::EndsWithCs => text.ends_with(&needle),
        S::NotEndsWith | S::NotEndsWithCs => !text.ends_with(&needle),
        other => panic!("{other:?} is no predicate of text"),
    }
}

/// Whether a text has the needle where none of its terms goes on before it, or behind it.
fn term(text: &str, needle: &str, begins: bool, ends: bool) -> bool {
    let first = needle.chars().next().is_some_and(char::is_alphanumeric);
    let last = needle.chars().next_back().is_some_and(char::is_alphanumeric);
    text.char_indices().map(|(at, _)| at).any(|at| {
        let Some(rest) = text[at..].strip_prefix(needle) else { return false };
        let goes_on_before = text[..at].chars().next_back().is_some_and(char::is_alphanumeric);
        let goes_on_behind = rest.chars().next().is_some_and(char::is_alphanumeric);
        !(begins && first && goes_on_before || ends && last && goes_on_behind)
    })
}

/// `substring`: by characters; a negative start counts from the end.
pub fn substring(text: &str, start: i64, length: Option<i64>) -> Value {
    let chars: Vec<char> = text.chars().collect();
    let count = i64::try_from(chars.len()).unwrap();
    let start = if start < 0 { (count + start).max(0) } else { start.min(count) };
    let end = length.map_or(count, |length| (start + length.max(0)).min(count));
    let range = usize::try_from(start).unwrap()..usize::try_from(end.max(start)).unwrap();
    string(chars[range].iter().collect::<String>())
}

/// `split`: all parts, or the one asked for in an array of its own.
pub fn split(text: &str, delimiter: &str, index: Option<i64>) -> Value {
    let parts: Vec<Json> = text.split(delimiter).map(Json::from).collect();
    dynamic(Json::Array(match index {
        None => parts,
        Some(index) => parts.get(usize::try_from(index).unwrap()).cloned().into_iter().collect(),
    }))
}

/// `indexof`: the character at which it begins, or -1.
pub fn index_of(text: &str, needle: &str) -> Value {
    let at = text.find(needle).map(|at| text[..at].chars().count());
    Value::Long(at.map_or(-1, |at| i64::try_from(at).unwrap()))
}

/// `countof`: overlapping ones count.
pub fn count_of(text: &str, needle: &str) -> Value {
    let count = text.char_indices().filter(|(at, _)| text[*at..].starts_with(needle)).count();
    Value::Long(i64::try_from(count).unwrap())
}

/// `strcmp`.
pub fn compare(left: &str, right: &str) -> Value {
    Value::Long(left.cmp(right) as i64)
}
