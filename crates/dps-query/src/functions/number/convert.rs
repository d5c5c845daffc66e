//! Conversion: null where it fails, never an error.

use std::borrow::Cow;

use dps_kql::{Scalar, Type};

use crate::functions::datum::Datum;
use crate::functions::kernel::arg;
use crate::functions::udf::Call;
use crate::functions::{decimal, json, text, time};

/// `toint` and all its kin.
pub fn convert<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let value = arg(args, 0);
    // What came out of JSON is converted as the scalar it is.
    let inner = match value {
        Datum::Json(text) if call.function != Scalar::ToDynamic => match json::scalar(text) {
            Datum::Json(_) if call.function == Scalar::ToString => None,
            inner => Some(inner.into_owned()),
        },
        _ => None,
    };
    let value = inner.as_ref().unwrap_or(value);
    match call.function {
        Scalar::ToBool => to_bool(value).into(),
        Scalar::ToInt => to_int(value).map_or(Datum::Null, Datum::Int),
        Scalar::ToLong => to_long(value).into(),
        Scalar::ToReal => to_real(value).into(),
        Scalar::ToDecimal => to_decimal(value).map_or(Datum::Null, Datum::Decimal),
        Scalar::ToDateTime => {
            to_datetime(value).and_then(time::in_range).map_or(Datum::Null, Datum::DateTime)
        }
        Scalar::ToTimeSpan => to_timespan(value).map_or(Datum::Null, Datum::TimeSpan),
        Scalar::ToGuid => match value {
            Datum::Guid(text) => Datum::Guid(text.clone()),
            Datum::Text(text) => {
                text::guid(text).map_or(Datum::Null, |bytes| Datum::Guid(Cow::Owned(text::guid_text(bytes))))
            }
            _ => Datum::Null,
        },
        Scalar::ToDynamic => to_dynamic(value),
        _ => Datum::Text(to_text(value)),
    }
}

/// The text of any value; empty of null. Truth is `True` or `False`, a text in JSON loses its quotes.
pub fn to_text<'a>(value: &Datum<'a>) -> Cow<'a, str> {
    Cow::Owned(match value {
        Datum::Null => return Cow::Borrowed(""),
        Datum::Bool(true) => return Cow::Borrowed("True"),
        Datum::Bool(false) => return Cow::Borrowed("False"),
        Datum::Int(value) => value.to_string(),
        Datum::Long(value) => value.to_string(),
        Datum::Real(value) => real_text(*value),
        Datum::Decimal(value) => decimal::format(*value),
        Datum::Text(text) | Datum::Guid(text) => return text.clone(),
        Datum::DateTime(ticks) => time::iso(*ticks),
        Datum::TimeSpan(ticks) => time::timespan_text(*ticks),
        Datum::Json(Cow::Borrowed(text)) => return json_text(text),
        Datum::Json(Cow::Owned(text)) => json_text(text).into_owned(),
    })
}

fn json_text(text: &str) -> Cow<'_, str> {
    match json::kind(text) {
        Some(json::Kind::Text) => json::unquote(text).unwrap_or(Cow::Borrowed(text)),
        Some(json::Kind::Null) => Cow::Borrowed(""),
        _ => Cow::Borrowed(text),
    }
}

/// A double as text: whole numbers show their point, what is no number is `NaN` or an infinity.
fn real_text(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    format!("{value:?}")
}

fn to_bool(value: &Datum<'_>) -> Option<bool> {
    match value {
        Datum::Bool(value) => Some(*value),
        Datum::Text(text) => match text.trim() {
            text if text.eq_ignore_ascii_case("true") => Some(true),
            text if text.eq_ignore_ascii_case("false") => Some(false),
            text => text.parse::<f64>().ok().filter(|value| value.is_finite()).map(|value| value != 0.0),
        },
        Datum::Real(value) => Some(*value != 0.0),
        other => other.integer().map(|value| value != 0),
    }
}

/// Whole numbers keep their low bits, reals are taken to the nearest end.
#[allow(clippy::cast_possible_truncation, reason = "that is what Kusto does")]
fn to_int(value: &Datum<'_>) -> Option<i32> {
    match value {
        Datum::Int(value) => Some(*value),
        Datum::Long(value) => Some(*value as i32),
        Datum::Real(value) if value.is_nan() => None,
        Datum::Real(value) => Some(*value as i32),
        Datum::Text(_) => i32::try_from(to_long(value)?).ok(),
        other => other.integer().and_then(|value| i32::try_from(value).ok()),
    }
}

fn to_long(value: &Datum<'_>) -> Option<i64> {
    match value {
        Datum::Text(text) => {
            let text = text.trim();
            if let Ok(value) = text.parse::<i64>() {
                return Some(value);
            }
            if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
                return u64::from_str_radix(digits, 16).ok().map(u64::cast_signed);
            }
            is_number(text).then(|| text.parse::<f64>().ok().and_then(real_to_long)).flatten()
        }
        Datum::Guid(_) => None,
        other => other.integer(),
    }
}

fn to_real(value: &Datum<'_>) -> Option<f64> {
    match value {
        Datum::Text(text) => {
            let text = text.trim();
            match text {
                "NaN" | "nan" => return Some(f64::NAN),
                "Infinity" | "+Infinity" | "inf" | "+inf" => return Some(f64::INFINITY),
                "-Infinity" | "-inf" => return Some(f64::NEG_INFINITY),
                _ => {}
            }
            if is_number(text) {
                text.parse().ok()
            } else {
                to_long(value).map(|value| Datum::Long(value).real())?
            }
        }
        Datum::Bool(value) => Some(f64::from(u8::from(*value))),
        other => other.real(),
    }
}

/// Rust reads `inf` and `nan` in any case as numbers; those are words here.
fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E'))
}

fn to_decimal(value: &Datum<'_>) -> Option<i128> {
    match value {
        Datum::Decimal(value) => Some(*value),
        Datum::Real(value) => decimal::from_real(*value),
        Datum::Text(text) => decimal::parse(text),
        other => other.integer().map(decimal::from_long),
    }
}

fn to_datetime(value: &Datum<'_>) -> Option<i64> {
    match value {
        Datum::DateTime(ticks) => Some(*ticks),
        Datum::Text(text) => time::datetime(text),
        other => other.integer(),
    }
}

fn to_timespan(value: &Datum<'_>) -> Option<i64> {
    match value {
        Datum::TimeSpan(ticks) => Some(*ticks),
        Datum::Text(text) => time::timespan(text),
        Datum::Int(_) | Datum::Long(_) => value.integer(),
        _ => None,
    }
}

/// `parse_json`: text that is no JSON becomes a JSON string; empty text and a JSON null are null.
fn to_dynamic<'a>(value: &Datum<'a>) -> Datum<'a> {
    match value {
        Datum::Json(text) => Datum::Json(text.clone()),
        Datum::Text(Cow::Borrowed(text)) => dynamic_of_text(text),
        Datum::Text(Cow::Owned(text)) => match dynamic_of_text(text) {
            Datum::Json(json) => Datum::Json(Cow::Owned(json.into_owned())),
            _ => Datum::Null,
        },
        Datum::Null => Datum::Null,
        other => Datum::json(json::of_datum(other)),
    }
}

/// The same of a text.
fn dynamic_of_text(text: &str) -> Datum<'_> {
    match json::compact(text) {
        Some(json) if json == "null" => Datum::Null,
        Some(json) => Datum::Json(json),
        None if text.trim().is_empty() => Datum::Null,
        None => Datum::json(json::quote(text)),
    }
}

/// Truncated toward zero; none beyond 64 bits and of NaN.
#[allow(clippy::cast_possible_truncation, reason = "bounded by the condition")]
pub fn real_to_long(value: f64) -> Option<i64> {
    (value > -9.223_372_036_854_778e18 && value < 9.223_372_036_854_775e18).then_some(value as i64)
}

/// `gettype`: the type's name, of a dynamic value that of what it holds.
pub fn get_type<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let name = match arg(args, 0) {
        Datum::Null => "null",
        Datum::Json(text) => match json::kind(text) {
            Some(json::Kind::Array) => "array",
            Some(json::Kind::Bag) => "dictionary",
            Some(json::Kind::Text) => "string",
            Some(json::Kind::Bool) => "bool",
            Some(json::Kind::Number) => match json::scalar(text) {
                Datum::Long(_) => "long",
                _ => "double",
            },
            Some(json::Kind::Null) | None => "null",
        },
        Datum::Bool(_) => Type::Bool.name(),
        Datum::Int(_) => Type::Int.name(),
        Datum::Long(_) => Type::Long.name(),
        Datum::Real(_) => "real",
        Datum::Decimal(_) => Type::Decimal.name(),
        Datum::Text(_) => Type::String.name(),
        Datum::DateTime(_) => Type::DateTime.name(),
        Datum::TimeSpan(_) => Type::TimeSpan.name(),
        Datum::Guid(_) => Type::Guid.name(),
    };
    Datum::Text(Cow::Borrowed(name))
}
