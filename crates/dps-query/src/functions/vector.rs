//! Whole columns at once, for what queries over logs do most: a needle in text, bins of time, whole arithmetic, equality.
//! Owns shortcuts only: each yields what its kernel yields.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, StringArray};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::unary;
use datafusion::arrow::datatypes::Int64Type;
use dps_kql::{Scalar, Type};

use super::datum::{Datum, Reader};
use super::number::{bin_ticks, is_equal, whole};
use super::text::{Matcher, fold, needles};
use super::udf::Call;

/// The result, where there is a shortcut to it.
pub fn run(call: &Call, readers: &[Reader<'_>], rows: usize) -> Option<ArrayRef> {
    let (first, rest) = readers.split_first()?;
    if first.constant || !rest.iter().all(|reader| reader.constant) {
        return None;
    }
    let constants: Vec<Datum<'_>> = rest.iter().map(|reader| reader.get(0)).collect();
    match (first.strings(), first.longs()) {
        (Some(texts), _) => text(call, first, texts, &constants),
        (_, Some(longs)) if longs.len() == rows => long(call, first, longs, &constants),
        _ => None,
    }
}

fn text(call: &Call, reader: &Reader<'_>, texts: &StringArray, constants: &[Datum<'_>]) -> Option<ArrayRef> {
    // A dynamic value or a guid is not its characters.
    if !matches!(reader.ty(), Type::String) {
        return None;
    }
    match (call.function, constants) {
        (Scalar::HasAny | Scalar::HasAll, several) => {
            let needles = needles(several);
            let matchers: Vec<Matcher> =
                needles.iter().filter_map(|needle| Matcher::new(Scalar::Has, needle)).collect();
            let any = call.function == Scalar::HasAny;
            Some(test(texts, |text| {
                let mut each = matchers.iter().map(|matcher| matcher.matches(text));
                if any { each.any(|found| found) } else { each.all(|found| found) }
            }))
        }
        (Scalar::MatchesRegex, [Datum::Text(pattern)]) => {
            let regex = call.regexes.get(pattern)?;
            Some(test(texts, |text| regex.is_match(text)))
        }
        (Scalar::InIgnoreCase | Scalar::NotInIgnoreCase | Scalar::In | Scalar::NotIn, list) => {
            let folded = matches!(call.function, Scalar::InIgnoreCase | Scalar::NotInIgnoreCase);
            let negated = matches!(call.function, Scalar::NotIn | Scalar::NotInIgnoreCase);
            let needles = needles(list);
            let known: HashSet<String> = if folded {
                needles.iter().map(|needle| fold(needle).into_owned()).collect()
            } else {
                needles.into_iter().collect()
            };
            Some(test(texts, |text| {
                let found = if folded { known.contains(fold(text).as_ref()) } else { known.contains(text) };
                found != negated
            }))
        }
        (function, [Datum::Text(needle)]) => {
            let matcher = Matcher::new(function, needle)?;
            Some(test(texts, |text| matcher.matches(text)))
        }
        _ => None,
    }
}

/// Text has no null.
fn test(texts: &StringArray, predicate: impl Fn(&str) -> bool) -> ArrayRef {
    let found = BooleanBuffer::collect_bool(texts.len(), |row| {
        predicate(if texts.is_null(row) { "" } else { texts.value(row) })
    });
    Arc::new(BooleanArray::new(found, None))
}

fn long(call: &Call, reader: &Reader<'_>, longs: &Int64Array, constants: &[Datum<'_>]) -> Option<ArrayRef> {
    let made = |array: Int64Array| Some(Arc::new(array) as ArrayRef);
    match (call.function, constants) {
        (Scalar::Bin | Scalar::Floor, [Datum::Long(step) | Datum::TimeSpan(step)]) if *step > 0 => {
            // Only the first of 64-bit values has nothing below it.
            made(longs.unary_opt::<_, Int64Type>(|value| bin_ticks(value, *step)))
        }
        (Scalar::Divide | Scalar::Modulo, [Datum::Long(by)])
            if *by != 0 && call.ty == Type::Long && reader.ty() == Type::Long =>
        {
            made(unary(longs, |value| whole(call.function, value, *by).unwrap_or_default()))
        }
        (Scalar::Equal | Scalar::NotEqual, [value]) if !value.is_null() => {
            let wanted = call.function == Scalar::Equal;
            let same = |row: usize| is_equal(&reader.get(row), value) == Some(wanted);
            let found = BooleanBuffer::collect_bool(longs.len(), |row| {
                if longs.is_null(row) { !wanted } else { same(row) }
            });
            Some(Arc::new(BooleanArray::new(found, None)))
        }
        _ => None,
    }
}
