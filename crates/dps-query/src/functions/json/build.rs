//! Writing.

use std::fmt::Write as _;

use crate::functions::datum::Datum;
use crate::functions::limits::VALUE_BYTES;
use crate::functions::{decimal, time};

/// An array being written.
#[derive(Debug)]
pub struct Array {
    text: String,
}

impl Default for Array {
    fn default() -> Self {
        Self { text: "[".to_owned() }
    }
}

impl Array {
    /// Appends JSON text.
    pub fn push(&mut self, json: &str) {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        self.text.push_str(json);
    }

    /// Whether it has become longer than a value may be. What makes many elements stops then.
    pub fn is_full(&self) -> bool {
        self.text.len() > VALUE_BYTES
    }

    /// The array, null where it is too long.
    pub fn finish<'a>(mut self) -> Datum<'a> {
        self.text.push(']');
        Datum::json(self.text)
    }
}

impl<T: AsRef<str>> FromIterator<T> for Array {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let mut array = Self::default();
        for element in elements {
            if array.is_full() {
                break;
            }
            array.push(element.as_ref());
        }
        array
    }
}

/// A bag being written.
#[derive(Debug)]
pub struct Bag {
    text: String,
}

impl Default for Bag {
    fn default() -> Self {
        Self { text: "{".to_owned() }
    }
}

impl Bag {
    /// Appends a member.
    pub fn push(&mut self, name: &str, json: &str) {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        self.text.push_str(&quote(name));
        self.text.push(':');
        self.text.push_str(json);
    }

    /// Whether it has become longer than a value may be.
    pub fn is_full(&self) -> bool {
        self.text.len() > VALUE_BYTES
    }

    /// The bag, null where it is too long.
    pub fn finish<'a>(mut self) -> Datum<'a> {
        self.text.push('}');
        Datum::json(self.text)
    }
}

/// A JSON string of the characters.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            control @ '\0'..='\u{1f}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// A double as a JSON number that stays a double; what is no number is text.
pub fn real_text(value: f64) -> String {
    if value.is_nan() {
        return "\"NaN\"".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" }.to_owned();
    }
    // The debug form has the shortest digits, a point or an exponent.
    format!("{value:?}")
}

/// A double, none of which is null.
pub fn number_text(value: Option<f64>) -> String {
    value.map_or_else(|| "null".to_owned(), real_text)
}

/// A value as JSON text; null where there is none.
pub fn of_datum(value: &Datum<'_>) -> String {
    match value {
        Datum::Null => "null".to_owned(),
        Datum::Bool(value) => value.to_string(),
        Datum::Int(value) => value.to_string(),
        Datum::Long(value) => value.to_string(),
        Datum::Real(value) => real_text(*value),
        Datum::Decimal(value) => quote(&decimal::format(*value)),
        Datum::Text(text) | Datum::Guid(text) => quote(text),
        Datum::DateTime(ticks) => quote(&time::iso(*ticks)),
        Datum::TimeSpan(ticks) => quote(&time::timespan_text(*ticks)),
        Datum::Json(text) => text.clone().into_owned(),
    }
}
