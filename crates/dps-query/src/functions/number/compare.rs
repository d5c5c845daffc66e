//! Comparison, logic and choice.

use std::cmp::Ordering;

use dps_kql::Scalar;

use super::convert::to_text;
use crate::functions::datum::Datum;
use crate::functions::kernel::arg;
use crate::functions::udf::Call;
use crate::functions::{decimal, json};

/// How two values of one type lie to each other; none where they cannot be compared, as with NaN or null.
#[allow(clippy::float_cmp, reason = "IEEE equality is meant")]
pub fn order(left: &Datum<'_>, right: &Datum<'_>) -> Option<Ordering> {
    use Datum as D;
    match (left, right) {
        (D::Null, _) | (_, D::Null) => None,
        (D::Json(left), D::Json(right)) if left == right => Some(Ordering::Equal),
        (D::Json(text), other) | (other, D::Json(text)) => {
            let inner = json::scalar(text);
            if matches!(inner, D::Json(_) | D::Null) {
                // An array or a bag: by its text, when the other is one as well.
                return match (left, right) {
                    (D::Json(left), D::Json(right)) => Some(left.cmp(right)),
                    _ => None,
                };
            }
            if std::ptr::eq(other, right) { order(&inner, other) } else { order(other, &inner) }
        }
        (D::Bool(left), D::Bool(right)) => Some(left.cmp(right)),
        (D::Text(left) | D::Guid(left), D::Text(right) | D::Guid(right)) => Some(left.cmp(right)),
        (D::Decimal(left), right) => Some(left.cmp(&as_decimal(right)?)),
        (left, D::Decimal(right)) => Some(as_decimal(left)?.cmp(right)),
        (D::Real(left), D::Real(right)) => left.partial_cmp(right),
        (D::Real(left), right) => left.partial_cmp(&right.real()?),
        (left, D::Real(right)) => left.real()?.partial_cmp(right),
        (D::Text(_) | D::Guid(_), _) | (_, D::Text(_) | D::Guid(_)) => None,
        (left, right) => Some(left.integer()?.cmp(&right.integer()?)),
    }
}

fn as_decimal(value: &Datum<'_>) -> Option<i128> {
    match value {
        Datum::Decimal(value) => Some(*value),
        Datum::Real(value) => decimal::from_real(*value),
        other => other.integer().map(decimal::from_long),
    }
}

/// Whether two values are equal; null where both are null, false where one is.
pub fn is_equal(left: &Datum<'_>, right: &Datum<'_>) -> Option<bool> {
    match (left.is_null(), right.is_null()) {
        (true, true) => None,
        (false, false) => Some(order(left, right) == Some(Ordering::Equal)),
        _ => Some(false),
    }
}

/// `==`, `!=`.
pub fn equal<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let equal = is_equal(arg(args, 0), arg(args, 1));
    equal.map(|equal| equal == (call.function == Scalar::Equal)).into()
}

/// `<`, `<=`, `>`, `>=`: null with a null, false with what cannot be compared.
pub fn ordered<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let (left, right) = (arg(args, 0), arg(args, 1));
    if left.is_null() || right.is_null() {
        return Datum::Null;
    }
    Datum::Bool(order(left, right).is_some_and(|order| match call.function {
        Scalar::Less => order.is_lt(),
        Scalar::LessOrEqual => order.is_le(),
        Scalar::Greater => order.is_gt(),
        _ => order.is_ge(),
    }))
}

/// `between`, `!between`: both ends belong to it; a timespan as the end of datetimes is the distance from their start.
pub fn between<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let (value, low, high) = (arg(args, 0), arg(args, 1), arg(args, 2));
    let end = match (low, high) {
        (Datum::DateTime(low), Datum::TimeSpan(span)) => low.checked_add(*span).map(Datum::DateTime),
        _ => None,
    };
    let high = end.as_ref().unwrap_or(high);
    if value.is_null() || low.is_null() || high.is_null() {
        return Datum::Null;
    }
    let inside =
        order(value, low).is_some_and(Ordering::is_ge) && order(value, high).is_some_and(Ordering::is_le);
    Datum::Bool(inside == (call.function == Scalar::Between))
}

/// `and`, `or`, of three values.
pub fn logic<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let decides = call.function == Scalar::Or;
    let mut unknown = false;
    for value in args {
        match value.truth() {
            Some(value) if value == decides => return Datum::Bool(decides),
            Some(_) => {}
            None => unknown = true,
        }
    }
    if unknown { Datum::Null } else { Datum::Bool(!decides) }
}

/// `not`.
pub fn not<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    arg(args, 0).truth().map(|value| !value).into()
}

/// `iff`, `case`: the value behind the first condition that is true.
pub fn choose<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let mut rest = args;
    while let [condition, value, tail @ ..] = rest {
        if tail.is_empty() {
            break;
        }
        if condition.truth() == Some(true) {
            return value.clone();
        }
        rest = tail;
    }
    rest.last().cloned().unwrap_or(Datum::Null)
}

/// `coalesce`: the first that is neither null nor empty text.
pub fn coalesce<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let empty = |value: &Datum<'_>| match value {
        Datum::Null => true,
        Datum::Text(text) => text.is_empty(),
        Datum::Json(text) => text == "\"\"" || text == "null",
        _ => false,
    };
    args.iter().find(|value| !empty(value)).or(args.last()).cloned().unwrap_or(Datum::Null)
}

/// `max_of`, `min_of`: nulls are passed over.
pub fn extreme_of<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let better = if call.function == Scalar::MaxOf { Ordering::Greater } else { Ordering::Less };
    let mut best: Option<&Datum<'a>> = None;
    for value in args.iter().filter(|value| !value.is_null()) {
        if best.is_none_or(|best| order(value, best) == Some(better)) {
            best = Some(value);
        }
    }
    best.cloned().unwrap_or(Datum::Null)
}

/// `isempty`, `isnotempty`, `isnull`, `isnotnull`. Text is never null; a null is empty, and so is a dynamic empty text.
pub fn emptiness<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let value = arg(args, 0);
    let null = value.is_null() || value.as_json() == Some("null");
    let empty = null || (!matches!(value, Datum::Bool(_)) && to_text(value).is_empty());
    Datum::Bool(match call.function {
        Scalar::IsNull => null,
        Scalar::IsNotNull => !null,
        Scalar::IsEmpty => empty,
        _ => !empty,
    })
}
