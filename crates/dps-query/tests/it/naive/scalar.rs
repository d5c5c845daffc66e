//! Functions of one row: the table of contents, and those of choice and of dynamic values.

use std::cmp::Ordering;

use dps_kql::{Scalar, Type, Value};
use serde_json::Value as Json;

use super::value::{
    dynamic, elements, integer, is_null, json, long, null, order, real, string, text as text_of, truth,
};
use super::{arithmetic, calendar, text};

/// What a call yields. Arguments have the types that the binder gave them.
pub fn call(function: Scalar, args: &[Value], ty: Type) -> Value {
    use Scalar as S;
    match function {
        S::Add | S::Subtract | S::Multiply | S::Divide | S::Modulo => {
            arithmetic::compute(function, &args[0], &args[1], ty)
        }
        S::Negate => arithmetic::negate(&args[0], ty),
        S::Bin => arithmetic::bin(&args[0], &args[1], ty),
        S::Abs | S::Sign | S::Ceiling | S::Sqrt | S::Exp2 => arithmetic::of_one(function, &args[0], ty),
        S::Round => arithmetic::round(&args[0], args.get(1).and_then(integer).unwrap_or(0)),
        S::Equal => truth_or_null(equal(&args[0], &args[1])),
        S::NotEqual => truth_or_null(equal(&args[0], &args[1]).map(|equal| !equal)),
        S::Less => ordered(&args[0], &args[1], Ordering::is_lt),
        S::LessOrEqual => ordered(&args[0], &args[1], Ordering::is_le),
        S::Greater => ordered(&args[0], &args[1], Ordering::is_gt),
        S::GreaterOrEqual => ordered(&args[0], &args[1], Ordering::is_ge),
        S::Between | S::NotBetween => between(args, function == S::NotBetween),
        S::And => logic(args, false),
        S::Or => logic(args, true),
        S::Not => truth_or_null(truth(&args[0]).map(|value| !value)),
        S::In | S::NotIn | S::InIgnoreCase | S::NotInIgnoreCase => {
            let ignore_case = matches!(function, S::InIgnoreCase | S::NotInIgnoreCase);
            let found = args[1..].iter().any(|other| among(&args[0], other, ignore_case));
            Value::Bool(found != matches!(function, S::NotIn | S::NotInIgnoreCase))
        }
        S::Iff | S::Case => choose(args),
        S::Coalesce => {
            let is_there = |value: &&Value| !is_null(value) && !text_of(value).is_empty();
            args.iter().find(is_there).or(args.last()).cloned().unwrap()
        }
        S::MaxOf => extreme(args, Ordering::Greater, ty),
        S::MinOf => extreme(args, Ordering::Less, ty),
        S::IsNull => Value::Bool(is_null(&args[0])),
        S::IsNotNull => Value::Bool(!is_null(&args[0])),
        S::IsEmpty => Value::Bool(is_null(&args[0]) || text_of(&args[0]).is_empty()),
        S::IsNotEmpty => Value::Bool(!is_null(&args[0]) && !text_of(&args[0]).is_empty()),
        S::ToBool
        | S::ToInt
        | S::ToLong
        | S::ToReal
        | S::ToString
        | S::ToDateTime
        | S::ToTimeSpan
        | S::ToDynamic => convert(function, &args[0], ty),
        _ => of_text(function, args, ty),
    }
}

fn of_text(function: Scalar, args: &[Value], ty: Type) -> Value {
    use Scalar as S;
    let word = |index: usize| text_of(&args[index]);
    let count = |index: usize| args.get(index).and_then(integer);
    match function {
        S::EqualIgnoreCase => Value::Bool(word(0).to_lowercase() == word(1).to_lowercase()),
        S::NotEqualIgnoreCase => Value::Bool(word(0).to_lowercase() != word(1).to_lowercase()),
        S::HasAny => Value::Bool(needles(args).iter().any(|needle| text::matches(S::Has, &word(0), needle))),
        S::HasAll => Value::Bool(needles(args).iter().all(|needle| text::matches(S::Has, &word(0), needle))),
        S::Strcat => string(args.iter().map(text_of).collect::<String>()),
        S::StrcatDelim => string(args[1..].iter().map(text_of).collect::<Vec<_>>().join(&word(0))),
        S::Strlen => long(Some(i64::try_from(word(0).chars().count()).unwrap())),
        S::Substring => text::substring(&word(0), count(1).unwrap(), count(2)),
        S::Split => text::split(&word(0), &word(1), count(2)),
        S::IndexOf => text::index_of(&word(0), &word(1)),
        S::CountOf => text::count_of(&word(0), &word(1)),
        S::ReplaceString => string(word(0).replace(&word(1), &word(2))),
        S::ToLower => string(word(0).to_lowercase()),
        S::ToUpper => string(word(0).to_uppercase()),
        S::Reverse => string(word(0).chars().rev().collect::<String>()),
        S::Strcmp => text::compare(&word(0), &word(1)),
        S::StartOfDay
        | S::StartOfWeek
        | S::StartOfMonth
        | S::StartOfYear
        | S::EndOfDay
        | S::EndOfWeek
        | S::EndOfMonth
        | S::EndOfYear => {
            let at = integer(&args[0]);
            at.map_or(null(ty), |at| Value::DateTime(calendar::boundary(function, at, count(1).unwrap_or(0))))
        }
        S::DayOfWeek
        | S::DayOfMonth
        | S::DayOfYear
        | S::HourOfDay
        | S::MonthOfYear
        | S::GetMonth
        | S::GetYear
        | S::WeekOfYear => integer(&args[0]).map_or(null(ty), |at| calendar::part(function, at, ty)),
        S::DateTimeDiff => match (integer(&args[1]), integer(&args[2])) {
            (Some(left), Some(right)) => calendar::diff(&word(0), left, right),
            _ => null(ty),
        },
        S::DateTimeAdd => match (integer(&args[1]), integer(&args[2])) {
            (Some(amount), Some(at)) => Value::DateTime(calendar::add(&word(0), amount, at)),
            _ => null(ty),
        },
        S::DateTimePart => integer(&args[1])
            .map_or(null(ty), |at| convert(S::ToLong, &Value::Long(calendar::part_named(&word(0), at)), ty)),
        S::FormatDateTime => integer(&args[0]).map_or(null(ty), |at| calendar::format(at, &word(1))),
        _ => of_dynamic(function, args, ty),
    }
}

fn of_dynamic(function: Scalar, args: &[Value], ty: Type) -> Value {
    use Scalar as S;
    let array = |index: usize| args.get(index).and_then(elements);
    match function {
        S::PackArray => dynamic(Json::Array(args.iter().map(json).collect())),
        S::Pack => {
            let pairs = args.chunks(2).map(|pair| (text_of(&pair[0]), json(&pair[1])));
            dynamic(Json::Object(pairs.collect()))
        }
        S::ArrayLength => long(array(0).map(|array| i64::try_from(array.len()).unwrap())),
        // What is no array adds nothing; of none nothing is made.
        S::ArrayConcat => {
            let all: Vec<&[Json]> = (0..args.len()).filter_map(array).collect();
            if all.is_empty() { null(ty) } else { dynamic(Json::Array(all.concat())) }
        }
        S::ArrayReverse => {
            array(0).map_or(null(ty), |array| dynamic(Json::Array(array.iter().rev().cloned().collect())))
        }
        S::ArraySortAsc | S::ArraySortDesc => array(0).map_or(null(ty), |array| {
            let mut sorted: Vec<_> = array.iter().cloned().map(dynamic).collect();
            sorted.sort_by(|left, right| match (is_null(left), is_null(right)) {
                (false, false) => order(left, right).unwrap_or(Ordering::Equal),
                // Nulls are last both ways.
                (left, right) if function == S::ArraySortAsc => left.cmp(&right),
                (left, right) => right.cmp(&left),
            });
            if function == S::ArraySortDesc {
                sorted.reverse();
            }
            dynamic(Json::Array(sorted.iter().map(json).collect()))
        }),
        S::ArrayIndexOf => array(0).map_or(null(ty), |array| {
            let at = array
                .iter()
                .position(|element| order(&dynamic(element.clone()), &args[1]) == Some(Ordering::Equal));
            Value::Long(at.map_or(-1, |at| i64::try_from(at).unwrap()))
        }),
        S::ArraySum => array(0).map_or(null(ty), |array| {
            let sum = array.iter().try_fold(0.0, |sum, element| Some(sum + real(&dynamic(element.clone()))?));
            sum.map_or(null(ty), Value::Real)
        }),
        S::StrcatArray => array(0).map_or(string(""), |array| {
            let parts: Vec<_> = array.iter().map(element_text).collect();
            string(parts.join(&text_of(&args[1])))
        }),
        S::SetHasElement => array(0).map_or(null(ty), |array| {
            Value::Bool(array.iter().any(|element| among(&args[1], &dynamic(element.clone()), false)))
        }),
        S::BagKeys => match &args[0] {
            Value::Dynamic(Json::Object(members)) => {
                dynamic(Json::Array(members.keys().map(|name| Json::from(name.as_str())).collect()))
            }
            _ => null(ty),
        },
        S::BagHasKey => match &args[0] {
            Value::Dynamic(Json::Object(members)) => Value::Bool(members.contains_key(&text_of(&args[1]))),
            _ => null(ty),
        },
        other if args.len() == 2 && ty == Type::Bool => {
            Value::Bool(text::matches(other, &text_of(&args[0]), &text_of(&args[1])))
        }
        other => panic!("{other:?} is not made"),
    }
}

/// Of an element: text without its quotes, anything else as JSON has it.
fn element_text(element: &Json) -> String {
    match element {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn truth_or_null(value: Option<bool>) -> Value {
    value.map_or(Value::Null(Type::Bool), Value::Bool)
}

/// Null of two nulls, false of one.
fn equal(left: &Value, right: &Value) -> Option<bool> {
    match (is_null(left), is_null(right)) {
        (true, true) => None,
        (false, false) => Some(order(left, right) == Some(Ordering::Equal)),
        _ => Some(false),
    }
}

fn ordered(left: &Value, right: &Value, holds: fn(Ordering) -> bool) -> Value {
    if is_null(left) || is_null(right) {
        return Value::Null(Type::Bool);
    }
    Value::Bool(order(left, right).is_some_and(holds))
}

fn between(args: &[Value], negated: bool) -> Value {
    let end = match (&args[1], &args[2]) {
        (Value::DateTime(low), Value::TimeSpan(width)) => Value::DateTime(low + width),
        (_, end) => end.clone(),
    };
    let (low, high) =
        (ordered(&args[0], &args[1], Ordering::is_ge), ordered(&args[0], &end, Ordering::is_le));
    match (truth(&low), truth(&high)) {
        (Some(low), Some(high)) => Value::Bool((low && high) != negated),
        // One end that is known to be crossed decides alone.
        (Some(false), _) | (_, Some(false)) => Value::Bool(negated),
        _ => Value::Null(Type::Bool),
    }
}

/// `and`, `or`, of three values.
fn logic(args: &[Value], decides: bool) -> Value {
    let values: Vec<_> = args.iter().map(truth).collect();
    if values.contains(&Some(decides)) {
        return Value::Bool(decides);
    }
    if values.contains(&None) { Value::Null(Type::Bool) } else { Value::Bool(!decides) }
}

/// Whether a value is that other one, or in that other array.
pub fn among(value: &Value, other: &Value, ignore_case: bool) -> bool {
    if let Some(elements) = elements(other) {
        return elements.iter().any(|element| among(value, &dynamic(element.clone()), ignore_case));
    }
    if ignore_case {
        return text_of(value).to_lowercase() == text_of(other).to_lowercase();
    }
    order(value, other) == Some(Ordering::Equal)
}

fn choose(args: &[Value]) -> Value {
    let (otherwise, pairs) = args.split_last().unwrap();
    let chosen = pairs.chunks(2).find(|pair| truth(&pair[0]) == Some(true));
    chosen.map_or_else(|| otherwise.clone(), |pair| pair[1].clone())
}

fn extreme(args: &[Value], wanted: Ordering, ty: Type) -> Value {
    let there = args.iter().filter(|value| !is_null(value));
    let best = there.reduce(|best, value| if order(value, best) == Some(wanted) { value } else { best });
    best.cloned().unwrap_or(null(ty))
}

fn needles(args: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    for value in &args[1..] {
        match elements(value) {
            Some(elements) => {
                found.extend(elements.iter().map(|element| text_of(&dynamic(element.clone()))));
            }
            None => found.push(text_of(value)),
        }
    }
    found
}

/// Null where it cannot be.
pub fn convert(function: Scalar, value: &Value, ty: Type) -> Value {
    use Scalar as S;
    // What is in a dynamic is converted as the scalar it is.
    let inner = match value {
        Value::Dynamic(json) if function != S::ToDynamic => super::value::scalar(json),
        _ => None,
    };
    let value = inner.as_ref().unwrap_or(value);
    if is_null(value) {
        return null(ty);
    }
    let typed = |number: Option<i64>| match (number, ty) {
        (Some(number), Type::Int) => i32::try_from(number).map_or(null(ty), Value::Int),
        (Some(number), Type::DateTime) => Value::DateTime(number),
        (Some(number), Type::TimeSpan) => Value::TimeSpan(number),
        (number, _) => number.map_or(null(ty), Value::Long),
    };
    match (function, value) {
        (S::ToString, value) => string(text_of(value)),
        (S::ToBool, Value::String(text)) => match text.to_lowercase().as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            text => text.parse::<f64>().map_or(null(ty), |number| Value::Bool(number != 0.0)),
        },
        (S::ToBool, value) => {
            real(value).map(|number| number != 0.0).or(truth(value)).map_or(null(ty), Value::Bool)
        }
        (S::ToInt | S::ToLong, Value::String(text)) => match text.trim().parse::<i64>() {
            Ok(number) => typed(Some(number)),
            Err(_) => typed(text.trim().parse::<f64>().ok().and_then(|number| integer(&Value::Real(number)))),
        },
        (S::ToReal, Value::String(text)) => text.trim().parse().map_or(null(ty), Value::Real),
        (S::ToReal, Value::Bool(value)) => Value::Real(f64::from(u8::from(*value))),
        (S::ToReal, value) => real(value).map_or(null(ty), Value::Real),
        (S::ToDateTime, Value::String(text)) => typed(calendar::parse(text)),
        (S::ToInt | S::ToLong | S::ToDateTime | S::ToTimeSpan, value) => typed(integer(value)),
        (S::ToDynamic, Value::Dynamic(json)) => dynamic(json.clone()),
        (S::ToDynamic, Value::String(text)) if text.trim().is_empty() => null(ty),
        (S::ToDynamic, Value::String(text)) => {
            dynamic(serde_json::from_str(text).unwrap_or_else(|_| Json::from(&**text)))
        }
        (S::ToDynamic, value) => dynamic(json(value)),
        (other, _) => panic!("{other:?} is no conversion"),
    }
}
