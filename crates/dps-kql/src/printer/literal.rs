//! Literals as text.

use crate::{Value, literal};
use serde_json::Value as Json;
use std::fmt::{Display, Formatter, Result, Write};

/// A string in quotes.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        to.write_char('"')?;
        for next in self.0.chars() {
            match next {
                '"' => to.write_str("\\\"")?,
                '\\' => to.write_str("\\\\")?,
                '\n' => to.write_str("\\n")?,
                '\r' => to.write_str("\\r")?,
                '\t' => to.write_str("\\t")?,
                control if control.is_control() => write!(to, "\\u{:04x}", u32::from(control))?,
                _ => to.write_char(next)?,
            }
        }
        to.write_char('"')
    }
}

/// A value as a literal of its type.
pub(super) struct Printed<'a>(pub(super) &'a Value);

impl Display for Printed<'_> {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        match self.0 {
            Value::Null(ty) => write!(to, "{}(null)", ty.name()),
            Value::Bool(value) => value.fmt(to),
            Value::Int(value) => write!(to, "int({value})"),
            Value::Long(value) if *value < 0 => write!(to, "long({value})"),
            Value::Long(value) => value.fmt(to),
            Value::Real(value) if value.is_sign_negative() || !value.is_finite() => {
                write!(to, "real({value:?})")
            }
            Value::Real(value) => write!(to, "{value:?}"),
            Value::Decimal(digits) => write!(to, "decimal({digits})"),
            Value::String(text) => Quoted(text).fmt(to),
            Value::DateTime(ticks) => write!(to, "datetime({})", literal::format_datetime(*ticks)),
            Value::TimeSpan(ticks) => write!(to, "timespan({})", literal::format_timespan(*ticks)),
            Value::Guid(guid) => write!(to, "guid({})", literal::format_guid(*guid)),
            Value::Dynamic(value) => write!(to, "dynamic({})", Dynamic(value)),
        }
    }
}

/// JSON with this language's strings.
struct Dynamic<'a>(&'a Json);

impl Display for Dynamic<'_> {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        match self.0 {
            Json::String(text) => Quoted(text).fmt(to),
            // Its digits alone are too large before the sign is.
            Json::Number(number) if number.as_i64() == Some(i64::MIN) => write!(to, "long({number})"),
            Json::Array(items) => {
                to.write_char('[')?;
                for (index, item) in items.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    write!(to, "{comma}{}", Self(item))?;
                }
                to.write_char(']')
            }
            Json::Object(members) => {
                to.write_char('{')?;
                for (index, (name, value)) in members.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    write!(to, "{comma}{}:{}", Quoted(name), Self(value))?;
                }
                to.write_char('}')
            }
            other => other.fmt(to),
        }
    }
}
