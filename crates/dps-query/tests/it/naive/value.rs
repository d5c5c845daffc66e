//! Values: order, sameness, text, and what is in a dynamic one.

use std::cmp::Ordering;

use dps_kql::{Type, Value};
use serde_json::Value as Json;

use super::calendar;

/// No value of a type; text is empty.
pub fn null(ty: Type) -> Value {
    if ty == Type::String { Value::String("".into()) } else { Value::Null(ty) }
}

pub fn is_null(value: &Value) -> bool {
    matches!(value, Value::Null(_))
}

/// A dynamic value of JSON; a JSON null is none.
pub fn dynamic(json: Json) -> Value {
    if json.is_null() { Value::Null(Type::Dynamic) } else { Value::Dynamic(json) }
}

pub fn string(text: impl Into<String>) -> Value {
    Value::String(text.into().into())
}

/// A long, or none.
pub fn long(value: Option<i64>) -> Value {
    value.map_or(Value::Null(Type::Long), Value::Long)
}

/// How two values of one type lie; none where one is null or no number.
pub fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Null(_), _) | (_, Value::Null(_)) => None,
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Dynamic(left), Value::Dynamic(right)) => match (scalar(left), scalar(right)) {
            (Some(left), Some(right)) => order(&left, &right),
            (None, None) => Some(left.to_string().cmp(&right.to_string())),
            _ => None,
        },
        (Value::Dynamic(json), other) => order(&scalar(json)?, other),
        (other, Value::Dynamic(json)) => order(other, &scalar(json)?),
        (Value::Real(_), _) | (_, Value::Real(_)) => real(left)?.partial_cmp(&real(right)?),
        (left, right) => Some(integer(left)?.cmp(&integer(right)?)),
    }
}

/// The scalar that JSON holds, if it holds one.
pub fn scalar(json: &Json) -> Option<Value> {
    match json {
        Json::Bool(value) => Some(Value::Bool(*value)),
        Json::Number(number) => number.as_i64().map(Value::Long).or(number.as_f64().map(Value::Real)),
        Json::String(text) => Some(string(text.as_str())),
        _ => None,
    }
}

/// A whole number: of a number, of truth, of ticks.
#[expect(clippy::cast_possible_truncation, reason = "what is made is small")]
pub fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int(value) => Some(i64::from(*value)),
        Value::Long(value) | Value::DateTime(value) | Value::TimeSpan(value) => Some(*value),
        Value::Bool(value) => Some(i64::from(*value)),
        Value::Real(value) => (value.abs() < 9e18).then_some(*value as i64),
        Value::Dynamic(json) => match scalar(json)? {
            Value::String(_) => None,
            inner => integer(&inner),
        },
        _ => None,
    }
}

/// A number as a double.
#[expect(clippy::cast_precision_loss, reason = "doubles are what is asked for")]
pub fn real(value: &Value) -> Option<f64> {
    match value {
        Value::Real(value) => Some(*value),
        Value::Bool(_) => None,
        Value::Dynamic(json) => real(&scalar(json)?),
        other => integer(other).map(|value| value as f64),
    }
}

pub fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) | Value::Dynamic(Json::Bool(value)) => Some(*value),
        _ => None,
    }
}

/// What `tostring` makes of it.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null(_) => String::new(),
        Value::Bool(value) => if *value { "True" } else { "False" }.to_owned(),
        Value::Int(value) => value.to_string(),
        Value::Long(value) => value.to_string(),
        Value::Real(value) => real_text(*value),
        Value::String(text) => text.to_string(),
        Value::DateTime(ticks) => calendar::instant_text(*ticks),
        Value::TimeSpan(ticks) => calendar::duration_text(*ticks),
        Value::Dynamic(json) => match scalar(json) {
            Some(inner) => text(&inner),
            None => json.to_string(),
        },
        other => panic!("no text of {other:?}"),
    }
}

fn real_text(value: f64) -> String {
    match value {
        value if value.is_nan() => "NaN".to_owned(),
        value if value.is_infinite() => if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
        value => format!("{value:?}"),
    }
}

/// What it is within an array or a bag.
pub fn json(value: &Value) -> Json {
    match value {
        Value::Null(_) => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value) => (*value).into(),
        Value::Long(value) => (*value).into(),
        // JSON has no number for what is none.
        Value::Real(value) if !value.is_finite() => Json::String(real_text(*value)),
        Value::Real(value) => (*value).into(),
        Value::Dynamic(json) => json.clone(),
        other => Json::String(text(other)),
    }
}

/// The elements of an array.
pub fn elements(value: &Value) -> Option<&[Json]> {
    match value {
        Value::Dynamic(Json::Array(elements)) => Some(elements),
        _ => None,
    }
}

/// The member of a bag.
pub fn member(value: &Value, name: &str) -> Value {
    match value {
        Value::Dynamic(json) => dynamic(json.get(name).cloned().unwrap_or_default()),
        _ => Value::Null(Type::Dynamic),
    }
}

/// The element of an array, from its end where the index is negative.
pub fn element(value: &Value, index: i64) -> Value {
    let at = |elements: &[Json]| {
        let from_end = usize::try_from(index.unsigned_abs()).ok()?;
        let at = if index < 0 { elements.len().checked_sub(from_end)? } else { from_end };
        elements.get(at).cloned()
    };
    dynamic(elements(value).and_then(at).unwrap_or_default())
}

/// Whether two keys are one: null is a key like others, and so is what is no number.
pub fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Null(_), Value::Null(_)) => true,
        (Value::Real(left), Value::Real(right)) if left.is_nan() || right.is_nan() => {
            left.is_nan() && right.is_nan()
        }
        (left, right) => order(left, right) == Some(Ordering::Equal),
    }
}

pub fn same_row(left: &[Value], right: &[Value]) -> bool {
    left.iter().zip(right).all(|(left, right)| same(left, right))
}

/// A text that is the same for what counts as the same answer: doubles to ten digits, members of a bag in one order.
pub fn canonical(value: &Value) -> String {
    match value {
        Value::Real(value) => canonical_real(*value),
        Value::Dynamic(json) => canonical_json(json),
        other => format!("{other:?}"),
    }
}

fn canonical_real(value: f64) -> String {
    if value == 0.0 { "0".to_owned() } else { format!("{value:.9e}") }
}

fn canonical_json(json: &Json) -> String {
    match json {
        Json::Number(number) => number.as_f64().map_or_else(|| number.to_string(), canonical_real),
        Json::Array(elements) => {
            let elements: Vec<_> = elements.iter().map(canonical_json).collect();
            format!("[{}]", elements.join(","))
        }
        Json::Object(members) => {
            let mut members: Vec<_> =
                members.iter().map(|(name, value)| format!("{name:?}:{}", canonical_json(value))).collect();
            members.sort();
            format!("{{{}}}", members.join(","))
        }
        other => other.to_string(),
    }
}
