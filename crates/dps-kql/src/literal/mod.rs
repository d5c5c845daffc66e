//! The text of a literal into its value and back: what `long(…)`, `datetime(…)` and the rest hold. Functions that convert
//! texts read the same forms.

mod calendar;
mod duration;
#[cfg(test)]
mod tests;

pub use calendar::{format_datetime, read_datetime};
pub use duration::{format_timespan, read_suffixed, read_timespan};

use crate::{Type, Value};

/// A type that has a literal with parentheses.
#[derive(Clone, Copy)]
pub(crate) struct Kind(Type);

impl Kind {
    /// By the word before the parenthesis.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Some(Self(match word {
            "bool" => Type::Bool,
            "int" | "int32" => Type::Int,
            "long" | "int64" => Type::Long,
            "real" | "double" => Type::Real,
            "decimal" => Type::Decimal,
            "datetime" | "date" => Type::DateTime,
            "timespan" | "time" => Type::TimeSpan,
            "guid" => Type::Guid,
            _ => return None,
        }))
    }

    pub(crate) const fn ty(self) -> Type {
        self.0
    }

    /// A literal of this type that is right.
    pub(crate) const fn example(self) -> &'static str {
        match self.0 {
            Type::Bool => "For example: bool(true).",
            Type::Int => "For example: int(5), between -2147483648 and 2147483647.",
            Type::Real => "For example: real(0.5).",
            Type::Decimal => "For example: decimal(0.5).",
            Type::DateTime => "For example: datetime(2024-12-31T23:59:59Z).",
            Type::TimeSpan => "For example: timespan(1.02:03:04) or timespan(90m).",
            Type::Guid => "For example: guid(00000000-0000-0000-0000-000000000000).",
            _ => "For example: long(5).",
        }
    }

    /// What the text in the parentheses means; nothing in them is null.
    pub(crate) fn read(self, inside: &str) -> Option<Value> {
        let inside = inside.trim();
        if inside.is_empty() || inside == "null" {
            return Some(Value::Null(self.0));
        }
        let inside = unquoted(inside);
        Some(match self.0 {
            Type::Bool => Value::Bool(read_bool(inside)?),
            Type::Int => Value::Int(i32::try_from(read_long(inside)?).ok()?),
            Type::Long => Value::Long(read_long(inside)?),
            Type::Real => Value::Real(read_real(inside)?),
            Type::Decimal => Value::Decimal(read_decimal(inside)?.into()),
            Type::DateTime => Value::DateTime(read_datetime(inside)?),
            Type::TimeSpan => Value::TimeSpan(read_timespan(inside)?),
            Type::Guid => Value::Guid(read_guid(inside)?),
            Type::String | Type::Dynamic => return None,
        })
    }
}

fn unquoted(text: &str) -> &str {
    let within = |quote| text.strip_prefix(quote).and_then(|rest: &str| rest.strip_suffix(quote));
    within('"').or_else(|| within('\'')).unwrap_or(text)
}

fn read_bool(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        return Some(true);
    }
    if text.eq_ignore_ascii_case("false") {
        return Some(false);
    }
    read_long(text).map(|number| number != 0)
}

/// Decimal digits with a sign, or hexadecimal ones after `0x`.
pub fn read_long(text: &str) -> Option<i64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => read_hex(hex),
        None => text.parse().ok(),
    }
}

/// Hexadecimal digits, of which the highest may be the sign.
pub(crate) fn read_hex(digits: &str) -> Option<i64> {
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(digits, 16).ok().map(u64::cast_signed)
}

/// A double as written, `nan`, `inf`, `+inf` and `-inf` included.
pub fn read_real(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let named = ["nan", "inf", "infinity"].iter().any(|name| digits.eq_ignore_ascii_case(name));
    if named || digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        text.parse().ok()
    } else {
        None
    }
}

/// Significant digits of a decimal.
const DECIMAL_DIGITS: usize = 34;

/// A decimal as its digits: a sign if negative, at least one digit before the point, an exponent as written.
pub fn read_decimal(text: &str) -> Option<String> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i16>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    let significant = digits().skip_while(|digit| *digit == b'0').count();
    if digits().next().is_none()
        || !digits().all(|digit| digit.is_ascii_digit())
        || significant > DECIMAL_DIGITS
    {
        return None;
    }
    let mut out = String::new();
    if text.starts_with('-') {
        out.push('-');
    }
    let shorter = whole.trim_start_matches('0');
    out.push_str(if shorter.is_empty() { "0" } else { shorter });
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    if exponent != 0 {
        out.push('e');
        out.push_str(&exponent.to_string());
    }
    Some(out)
}

/// The 128 bits of a guid: 32 hexadecimal digits, with hyphens or without, perhaps in braces.
pub fn read_guid(text: &str) -> Option<[u8; 16]> {
    let bare = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
    let hyphens = bare.bytes().enumerate().filter(|(_, byte)| *byte == b'-').map(|(at, _)| at);
    let digits: String = bare.chars().filter(|next| *next != '-').collect();
    if digits.len() != 32 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    if bare.len() != 32 && !hyphens.eq([8, 13, 18, 23]) {
        return None;
    }
    u128::from_str_radix(&digits, 16).ok().map(u128::to_be_bytes)
}

/// A guid as it is written.
pub fn format_guid(guid: [u8; 16]) -> String {
    let digits = format!("{:032x}", u128::from_be_bytes(guid));
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}
