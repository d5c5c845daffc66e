//! Arrays.

use std::borrow::Cow;
use std::cmp::Ordering;

use dps_kql::Scalar;

use crate::functions::datum::Datum;
use crate::functions::json::{self, Array, Kind};
use crate::functions::kernel::{arg, json_at, long_at, text_at};
use crate::functions::limits::{ARRAY_ELEMENTS, VALUE_BYTES};
use crate::functions::number::{order, to_text};
use crate::functions::udf::Call;
use crate::functions::{decimal, time};

fn array_at<'b>(args: &'b [Datum<'_>], index: usize) -> Option<Vec<&'b str>> {
    json_at(args, index).and_then(json::elements)
}

fn made<'a, T: AsRef<str>>(elements: impl IntoIterator<Item = T>) -> Datum<'a> {
    elements.into_iter().collect::<Array>().finish()
}

/// `range(from, to, step)`, both ends within: numbers, datetimes or timespans.
pub fn range<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    use Datum as D;
    let (from, to) = (arg(args, 0), arg(args, 1));
    let default = match from {
        D::DateTime(_) | D::TimeSpan(_) => D::TimeSpan(time::HOUR),
        _ => D::Long(1),
    };
    let step = if args.len() > 2 { arg(args, 2) } else { &default };
    if from.is_null() || to.is_null() || step.is_null() {
        return D::Null;
    }
    if [from, to, step].iter().any(|value| matches!(value, D::Real(_))) {
        return range_of_reals(from.real(), to.real(), step.real());
    }
    let (Some(start), Some(end), Some(width)) = (from.integer(), to.integer(), step.integer()) else {
        return D::Null;
    };
    let mut all = Array::default();
    let mut at = start;
    for _ in 0..ARRAY_ELEMENTS {
        let within = if width > 0 { at <= end } else { at >= end };
        if width == 0 || !within {
            break;
        }
        let value = match from {
            D::DateTime(_) => D::DateTime(at),
            D::TimeSpan(_) => D::TimeSpan(at),
            _ => D::Long(at),
        };
        all.push(&json::of_datum(&value));
        let Some(next) = at.checked_add(width) else { break };
        if all.is_full() {
            break;
        }
        at = next;
    }
    all.finish()
}

#[allow(clippy::cast_precision_loss, reason = "at most a million elements")]
fn range_of_reals<'a>(from: Option<f64>, to: Option<f64>, step: Option<f64>) -> Datum<'a> {
    let (Some(from), Some(to), Some(step)) = (from, to, step) else { return Datum::Null };
    let mut all = Array::default();
    for index in 0..ARRAY_ELEMENTS {
        let at = from + step * index as f64;
        let within = if step > 0.0 { at <= to } else { step < 0.0 && at >= to };
        if !within || all.is_full() {
            break;
        }
        all.push(&json::real_text(at));
    }
    all.finish()
}

/// `pack_array`.
pub fn pack_array<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    made(args.iter().map(json::of_datum))
}

/// `array_length`.
pub fn array_length<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    array_at(args, 0).and_then(|elements| i64::try_from(elements.len()).ok()).into()
}

/// `array_concat`.
pub fn array_concat<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let arrays: Vec<Vec<&str>> = (0..args.len()).filter_map(|index| array_at(args, index)).collect();
    if arrays.is_empty() { Datum::Null } else { made(arrays.into_iter().flatten()) }
}

/// The place that an index means: from the end where it is negative.
fn place(index: i64, length: usize) -> i64 {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    if index < 0 { index.saturating_add(length) } else { index }
}

fn clamped(index: i64, length: usize) -> usize {
    usize::try_from(index.max(0)).unwrap_or(usize::MAX).min(length)
}

/// `array_slice`: both ends within.
pub fn array_slice<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let (Some(elements), Some(start), Some(end)) = (array_at(args, 0), long_at(args, 1), long_at(args, 2))
    else {
        return Datum::Null;
    };
    let length = elements.len();
    let start = clamped(place(start, length), length);
    let end = clamped(place(end, length).saturating_add(1), length);
    made(elements.get(start..end).unwrap_or_default())
}

/// `array_split`: at one index or several.
pub fn array_split<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(elements) = array_at(args, 0) else { return Datum::Null };
    let cuts: Vec<i64> = match array_at(args, 1) {
        Some(cuts) => cuts.into_iter().filter_map(|cut| json::scalar(cut).integer()).collect(),
        None => long_at(args, 1).into_iter().collect(),
    };
    let length = elements.len();
    let ends = cuts.into_iter().map(|cut| clamped(place(cut, length), length)).chain([length]);
    let mut start = 0;
    let parts: Vec<String> = ends
        .map(|end| {
            let part = elements.get(start..end.max(start)).unwrap_or_default();
            start = end.max(start);
            format!("[{}]", part.join(","))
        })
        .collect();
    made(parts)
}

/// `array_sum`.
pub fn array_sum<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(elements) = array_at(args, 0) else { return Datum::Null };
    let numbers: Option<Vec<f64>> = elements.iter().map(|element| json::scalar(element).real()).collect();
    numbers.map(|numbers| numbers.iter().sum::<f64>()).into()
}

/// `array_index_of(array, value, start, length, occurrence)`.
pub fn array_index_of<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(elements) = array_at(args, 0) else { return Datum::Null };
    let length = elements.len();
    let start = clamped(place(long_at(args, 2).unwrap_or(0), length), length);
    let (count, occurrence) = (long_at(args, 3).unwrap_or(-1), long_at(args, 4).unwrap_or(1));
    if count < -1 || occurrence < 1 {
        return Datum::Null;
    }
    let count = if count < 0 { length } else { clamped(count, length) };
    let skipped = usize::try_from(occurrence - 1).unwrap_or(usize::MAX);
    let wanted = arg(args, 1);
    let found = elements
        .iter()
        .enumerate()
        .skip(start)
        .take(count)
        .filter(|(_, element)| order(&json::scalar(element), wanted) == Some(Ordering::Equal))
        .nth(skipped);
    Datum::Long(found.and_then(|(index, _)| i64::try_from(index).ok()).unwrap_or(-1))
}

/// `array_reverse`.
pub fn array_reverse<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    array_at(args, 0).map_or(Datum::Null, |elements| made(elements.into_iter().rev()))
}

/// What an element sorts by: numbers before text before all else; null apart.
fn rank(element: &str) -> Option<(u8, Datum<'_>)> {
    match json::kind(element)? {
        Kind::Null => None,
        Kind::Number => Some((0, json::scalar(element))),
        Kind::Text => Some((1, json::scalar(element))),
        _ => Some((2, Datum::Text(Cow::Borrowed(element)))),
    }
}

/// `array_sort_asc`, `array_sort_desc`: the first array sorted; with more arrays one array of all, the others moved along.
/// A bool at the end says whether nulls go last, which they do by default.
pub fn array_sort<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let nulls_last = args.last().and_then(|last| match last {
        Datum::Bool(last) => Some(*last),
        _ => None,
    });
    let arrays = if nulls_last.is_some() { args.len() - 1 } else { args.len() };
    let nulls_last = nulls_last.unwrap_or(true);
    let Some(first) = array_at(args, 0) else { return Datum::Null };
    let ranks: Vec<_> = first.iter().map(|element| rank(element)).collect();
    let descending = call.function == Scalar::ArraySortDesc;
    let mut sorted: Vec<usize> = (0..first.len()).collect();
    sorted.sort_by(|left, right| {
        let pair = (ranks.get(*left).and_then(Option::as_ref), ranks.get(*right).and_then(Option::as_ref));
        match pair {
            (None, None) => Ordering::Equal,
            (None, Some(_)) if nulls_last => Ordering::Greater,
            (Some(_), None) if !nulls_last => Ordering::Greater,
            (None, Some(_)) | (Some(_), None) => Ordering::Less,
            (Some((left_kind, left)), Some((right_kind, right))) => {
                let values = left_kind.cmp(right_kind);
                let values = values.then_with(|| total(left, right));
                if descending { values.reverse() } else { values }
            }
        }
    });
    let moved = |elements: &[&str]| {
        let all: Vec<&str> = sorted.iter().filter_map(|index| elements.get(*index).copied()).collect();
        format!("[{}]", all.join(","))
    };
    if arrays < 2 {
        return Datum::json(moved(&first));
    }
    made((0..arrays).map(|index| match array_at(args, index) {
        Some(elements) if elements.len() == first.len() => moved(&elements),
        _ => "null".to_owned(),
    }))
}

/// An order of all values of one kind, so that sorting is sound whatever they are.
fn total(left: &Datum<'_>, right: &Datum<'_>) -> Ordering {
    match (left, right) {
        (Datum::Long(left), Datum::Long(right)) => left.cmp(right),
        (Datum::Text(left), Datum::Text(right)) => left.cmp(right),
        _ => left.real().unwrap_or(f64::NAN).total_cmp(&right.real().unwrap_or(f64::NAN)),
    }
}

/// `array_iff(conditions, if_true, if_false)`, each of the latter an array or one value for all.
pub fn array_iff<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(conditions) = array_at(args, 0) else { return Datum::Null };
    let choice =
        |index: usize| array_at(args, index).map_or_else(|| Err(json::of_datum(arg(args, index))), Ok);
    let (yes, no) = (choice(1), choice(2));
    made(conditions.iter().enumerate().map(|(index, condition)| {
        let choice = match json::scalar(condition) {
            Datum::Bool(true) => &yes,
            Datum::Bool(false) => &no,
            other => match other.real() {
                Some(value) => {
                    if value == 0.0 {
                        &no
                    } else {
                        &yes
                    }
                }
                None => return "null".to_owned(),
            },
        };
        match choice {
            Ok(elements) => {
                elements.get(index).map_or_else(|| "null".to_owned(), |element| (*element).to_owned())
            }
            Err(constant) => constant.clone(),
        }
    }))
}

/// `array_rotate_left`, `array_rotate_right`, `array_shift_left`, `array_shift_right`; a negative count goes the other way.
pub fn array_shift<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let (Some(mut elements), Some(count)) = (array_at(args, 0), long_at(args, 1)) else { return Datum::Null };
    let length = elements.len();
    let right = matches!(call.function, Scalar::ArrayRotateRight | Scalar::ArrayShiftRight);
    let by = if right { count.saturating_neg() } else { count };
    if matches!(call.function, Scalar::ArrayRotateLeft | Scalar::ArrayRotateRight) {
        if let Ok(length) = i64::try_from(length).map(|length| length.max(1)) {
            elements.rotate_left(usize::try_from(by.rem_euclid(length)).unwrap_or(0));
        }
        return made(elements);
    }
    let fill = match arg(args, 2) {
        Datum::Null
            if elements.iter().all(|element| json::kind(element) == Some(Kind::Text)) && length > 0 =>
        {
            "\"\"".to_owned()
        }
        value => json::of_datum(value),
    };
    let size = clamped(i64::try_from(by.unsigned_abs()).unwrap_or(i64::MAX), length);
    let fills = std::iter::repeat_n(fill.as_str(), size);
    if by >= 0 {
        made(elements.iter().copied().skip(size).chain(fills))
    } else {
        made(fills.chain(elements.iter().copied().take(length - size)))
    }
}

/// `strcat_array`.
pub fn strcat_array<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(elements) = array_at(args, 0) else { return Datum::text("") };
    let mut out = String::new();
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            out.push_str(text_at(args, 1));
        }
        out.push_str(&to_text(&Datum::Json(Cow::Borrowed(element))));
        if out.len() > VALUE_BYTES {
            break;
        }
    }
    Datum::text(out)
}

/// `zip`.
pub fn zip<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let arrays: Vec<Vec<&str>> =
        (0..args.len()).map(|index| array_at(args, index).unwrap_or_default()).collect();
    let longest = arrays.iter().map(Vec::len).max().unwrap_or(0);
    made((0..longest).map(|index| {
        let row: Vec<&str> = arrays.iter().map(|array| array.get(index).copied().unwrap_or("null")).collect();
        format!("[{}]", row.join(","))
    }))
}

/// `repeat(value, count)`.
pub fn repeat<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(count) = long_at(args, 1) else { return Datum::Null };
    let element = json::of_datum(arg(args, 0));
    made(std::iter::repeat_n(element, clamped(count, ARRAY_ELEMENTS)))
}

/// `dynamic_to_json`.
pub fn dynamic_to_json<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    match arg(args, 0) {
        Datum::Null => Datum::text("null"),
        Datum::Decimal(value) => Datum::text(decimal::format(*value)),
        value => Datum::text(json::of_datum(value)),
    }
}
