//! One value of one row, and the columns that it is read from and written to. Owns the layout in Arrow; must not know
//! functions.

use std::borrow::Cow;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, BooleanBuilder, Decimal128Array, Decimal128Builder, Float64Array,
    Float64Builder, Int32Array, Int32Builder, Int64Array, Int64Builder, StringArray, StringBuilder,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{Decimal128Type, Float64Type, Int32Type, Int64Type};
use datafusion::common::{DataFusionError, Result, internal_datafusion_err};
use dps_kql::Type;

use super::limits::{BATCH_BYTES, VALUE_BYTES};
use super::{DECIMAL_PRECISION, DECIMAL_SCALE, arrow_type};

/// A value that knows its type; a null does not.
#[derive(Clone, Debug, PartialEq)]
pub enum Datum<'a> {
    /// None.
    Null,
    /// Truth.
    Bool(bool),
    /// 32 bits.
    Int(i32),
    /// 64 bits.
    Long(i64),
    /// Double.
    Real(f64),
    /// Scaled by 10^10.
    Decimal(i128),
    /// Text.
    Text(Cow<'a, str>),
    /// Ticks since 0001-01-01.
    DateTime(i64),
    /// Ticks.
    TimeSpan(i64),
    /// Lower case, with hyphens.
    Guid(Cow<'a, str>),
    /// Compact JSON text.
    Json(Cow<'a, str>),
}

impl Datum<'_> {
    /// Text that was made here.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(Cow::Owned(text.into()))
    }

    /// JSON that was made here; null where it is too long.
    pub fn json(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.len() > VALUE_BYTES { Self::Null } else { Self::Json(Cow::Owned(text)) }
    }

    /// The same, holding on to nothing.
    pub fn into_owned(self) -> Datum<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Null => Datum::Null,
            Self::Bool(value) => Datum::Bool(value),
            Self::Int(value) => Datum::Int(value),
            Self::Long(value) => Datum::Long(value),
            Self::Real(value) => Datum::Real(value),
            Self::Decimal(value) => Datum::Decimal(value),
            Self::Text(text) => Datum::Text(own(text)),
            Self::DateTime(value) => Datum::DateTime(value),
            Self::TimeSpan(value) => Datum::TimeSpan(value),
            Self::Guid(text) => Datum::Guid(own(text)),
            Self::Json(text) => Datum::Json(own(text)),
        }
    }

    /// Whether there is none.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Its characters, where it is held as text. Null is empty.
    pub fn chars(&self) -> &str {
        match self {
            Self::Text(text) | Self::Guid(text) | Self::Json(text) => text,
            _ => "",
        }
    }

    /// JSON text of an array, a bag or whatever else is dynamic.
    pub fn as_json(&self) -> Option<&str> {
        match self {
            Self::Json(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number: of an integer, of ticks, or of a dynamic number.
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(i64::from(*value)),
            Self::Long(value) | Self::DateTime(value) | Self::TimeSpan(value) => Some(*value),
            Self::Bool(value) => Some(i64::from(*value)),
            Self::Real(value) => super::number::real_to_long(*value),
            Self::Decimal(value) => i64::try_from(super::decimal::truncated(*value)).ok(),
            Self::Json(text) => match super::json::scalar(text) {
                Datum::Json(_) | Datum::Text(_) => None,
                inner => inner.integer(),
            },
            _ => None,
        }
    }

    /// A number as a double.
    #[allow(clippy::cast_precision_loss, reason = "doubles are what these are computed in")]
    pub fn real(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(f64::from(*value)),
            Self::Long(value) | Self::DateTime(value) | Self::TimeSpan(value) => Some(*value as f64),
            Self::Real(value) => Some(*value),
            Self::Decimal(value) => Some(super::decimal::to_real(*value)),
            Self::Json(text) => match super::json::scalar(text) {
                Datum::Json(_) | Datum::Text(_) => None,
                inner => inner.real(),
            },
            _ => None,
        }
    }

    /// Truth.
    pub fn truth(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Json(text) => match text.as_ref() {
                "true" => Some(true),
                "false" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }
}

impl From<Option<i64>> for Datum<'_> {
    fn from(value: Option<i64>) -> Self {
        value.map_or(Self::Null, Self::Long)
    }
}

impl From<Option<f64>> for Datum<'_> {
    fn from(value: Option<f64>) -> Self {
        value.map_or(Self::Null, Self::Real)
    }
}

impl From<Option<bool>> for Datum<'_> {
    fn from(value: Option<bool>) -> Self {
        value.map_or(Self::Null, Self::Bool)
    }
}

/// A column to read from.
#[derive(Debug)]
pub struct Reader<'a> {
    values: Values<'a>,
    ty: Type,
    /// One value for all rows.
    pub constant: bool,
}

#[derive(Debug)]
enum Values<'a> {
    Bool(&'a BooleanArray),
    Int(&'a Int32Array),
    Long(&'a Int64Array),
    Real(&'a Float64Array),
    Decimal(&'a Decimal128Array),
    Text(&'a StringArray),
}

/// The array as the type lies in Arrow, whatever a scan made of it.
pub fn conform(array: ArrayRef, ty: Type) -> Result<ArrayRef> {
    let wanted = arrow_type(ty);
    if *array.data_type() == wanted { Ok(array) } else { Ok(cast(&array, &wanted)?) }
}

impl<'a> Reader<'a> {
    /// Over an array that has been made to conform.
    pub fn new(array: &'a dyn Array, ty: Type, constant: bool) -> Result<Self> {
        let values = match ty {
            Type::Bool => array.as_boolean_opt().map(Values::Bool),
            Type::Int => array.as_primitive_opt::<Int32Type>().map(Values::Int),
            Type::Long | Type::DateTime | Type::TimeSpan => {
                array.as_primitive_opt::<Int64Type>().map(Values::Long)
            }
            Type::Real => array.as_primitive_opt::<Float64Type>().map(Values::Real),
            Type::Decimal => array.as_primitive_opt::<Decimal128Type>().map(Values::Decimal),
            Type::String | Type::Guid | Type::Dynamic => array.as_string_opt::<i32>().map(Values::Text),
        };
        let values = values
            .ok_or_else(|| internal_datafusion_err!("a {} lies as {}", ty.name(), array.data_type()))?;
        Ok(Self { values, ty, constant })
    }

    /// The type of what is read.
    pub const fn ty(&self) -> Type {
        self.ty
    }

    /// The strings themselves, where it has them.
    pub fn strings(&self) -> Option<&'a StringArray> {
        match self.values {
            Values::Text(array) => Some(array),
            _ => None,
        }
    }

    /// The 64-bit numbers themselves, where it has them.
    pub fn longs(&self) -> Option<&'a Int64Array> {
        match self.values {
            Values::Long(array) => Some(array),
            _ => None,
        }
    }

    /// The value of a row.
    pub fn get(&self, row: usize) -> Datum<'a> {
        let row = if self.constant { 0 } else { row };
        match self.values {
            Values::Bool(array) if array.is_valid(row) => Datum::Bool(array.value(row)),
            Values::Int(array) if array.is_valid(row) => Datum::Int(array.value(row)),
            Values::Real(array) if array.is_valid(row) => Datum::Real(array.value(row)),
            Values::Decimal(array) if array.is_valid(row) => Datum::Decimal(array.value(row)),
            Values::Long(array) if array.is_valid(row) => match self.ty {
                Type::DateTime => Datum::DateTime(array.value(row)),
                Type::TimeSpan => Datum::TimeSpan(array.value(row)),
                _ => Datum::Long(array.value(row)),
            },
            Values::Text(array) if array.is_valid(row) => {
                let text = Cow::Borrowed(array.value(row));
                match self.ty {
                    Type::Guid => Datum::Guid(text),
                    Type::Dynamic => Datum::Json(text),
                    _ => Datum::Text(text),
                }
            }
            _ if self.ty == Type::String => Datum::Text(Cow::Borrowed("")),
            _ => Datum::Null,
        }
    }
}

/// A column being written.
#[derive(Debug)]
pub enum Writer {
    /// Bool.
    Bool(BooleanBuilder),
    /// Int.
    Int(Int32Builder),
    /// Long, datetime, timespan.
    Long(Int64Builder),
    /// Real.
    Real(Float64Builder),
    /// Decimal.
    Decimal(Decimal128Builder),
    /// String: never null.
    Text(StringBuilder),
    /// Guid, dynamic.
    Nullable(StringBuilder),
}

impl Writer {
    /// For so many rows of a type.
    pub fn new(ty: Type, rows: usize) -> Self {
        match ty {
            Type::Bool => Self::Bool(BooleanBuilder::with_capacity(rows)),
            Type::Int => Self::Int(Int32Builder::with_capacity(rows)),
            Type::Long | Type::DateTime | Type::TimeSpan => Self::Long(Int64Builder::with_capacity(rows)),
            Type::Real => Self::Real(Float64Builder::with_capacity(rows)),
            Type::Decimal => Self::Decimal(Decimal128Builder::with_capacity(rows)),
            Type::String => Self::Text(StringBuilder::with_capacity(rows, rows * 8)),
            Type::Guid | Type::Dynamic => Self::Nullable(StringBuilder::with_capacity(rows, rows * 8)),
        }
    }

    /// Appends. A value of another type is null: no function yields one.
    pub fn push(&mut self, value: &Datum<'_>) -> Result<()> {
        match self {
            Self::Bool(to) => to.append_option(value.truth()),
            Self::Int(to) => to.append_option(value.integer().and_then(|value| i32::try_from(value).ok())),
            Self::Long(to) => to.append_option(value.integer()),
            Self::Real(to) => to.append_option(value.real()),
            Self::Decimal(to) => to.append_option(match value {
                Datum::Decimal(value) => Some(*value),
                other => other.integer().map(super::decimal::from_long),
            }),
            Self::Text(to) => {
                let text = cut(value.chars());
                room(to, text)?;
                to.append_value(text);
            }
            Self::Nullable(to) => match value {
                Datum::Text(text) | Datum::Guid(text) | Datum::Json(text) => {
                    room(to, text)?;
                    to.append_value(text);
                }
                _ => to.append_null(),
            },
        }
        Ok(())
    }

    /// The column.
    pub fn finish(self) -> Result<ArrayRef> {
        Ok(match self {
            Self::Bool(mut to) => Arc::new(to.finish()),
            Self::Int(mut to) => Arc::new(to.finish()),
            Self::Long(mut to) => Arc::new(to.finish()),
            Self::Real(mut to) => Arc::new(to.finish()),
            Self::Decimal(mut to) => {
                Arc::new(to.finish().with_precision_and_scale(DECIMAL_PRECISION, DECIMAL_SCALE)?)
            }
            Self::Text(mut to) | Self::Nullable(mut to) => Arc::new(to.finish()),
        })
    }
}

/// The text, no longer than a value may be.
pub fn cut(text: &str) -> &str {
    if text.len() <= VALUE_BYTES {
        return text;
    }
    text.get(..text.floor_char_boundary(VALUE_BYTES)).unwrap_or_default()
}

fn room(to: &StringBuilder, text: &str) -> Result<()> {
    if to.values_slice().len() + text.len() > BATCH_BYTES {
        return Err(DataFusionError::ResourcesExhausted(format!(
            "a function made more than {BATCH_BYTES} bytes of one batch of rows"
        )));
    }
    Ok(())
}
