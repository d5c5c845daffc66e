//! KQL's scalar and aggregate functions as `DataFusion` expressions. Owns their semantics and how values lie in Arrow;
//! must not know plans, tables or queries.
//!
//! In Arrow: bool `Boolean`, int `Int32`, long `Int64`, real `Float64`, decimal `Decimal128(38, 10)`, string `Utf8` and
//! never null, datetime and timespan `Int64` ticks, guid `Utf8` in lower case, dynamic `Utf8` of compact JSON text, whose
//! null is Arrow's.

mod aggregate;
mod datum;
pub mod decimal;
mod dynamic;
pub mod json;
mod kernel;
mod limits;
mod native;
mod number;
mod path;
mod regex;
mod series;
mod text;
pub mod time;
mod udf;
mod vector;

#[cfg(test)]
mod tests;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::Expr;
use datafusion::scalar::ScalarValue;
use dps_kql::{Scalar, Type, Value};

pub use aggregate::{AggregateCall, aggregate};
pub use path::{PathStep, path};
pub use regex::compile as compile_regex;

/// Digits of a decimal.
pub const DECIMAL_PRECISION: u8 = 38;
/// Digits of a decimal behind the point.
pub const DECIMAL_SCALE: i8 = 10;

/// The Arrow type of a KQL type.
pub fn arrow_type(ty: Type) -> DataType {
    match ty {
        Type::Bool => DataType::Boolean,
        Type::Int => DataType::Int32,
        Type::Long | Type::DateTime | Type::TimeSpan => DataType::Int64,
        Type::Real => DataType::Float64,
        Type::Decimal => DataType::Decimal128(DECIMAL_PRECISION, DECIMAL_SCALE),
        Type::String | Type::Guid | Type::Dynamic => DataType::Utf8,
    }
}

/// A literal as it lies in Arrow. A decimal that is out of range is null.
pub fn literal(value: &Value) -> ScalarValue {
    match value {
        Value::Null(ty) => null(*ty),
        Value::Bool(value) => ScalarValue::Boolean(Some(*value)),
        Value::Int(value) => ScalarValue::Int32(Some(*value)),
        Value::Long(value) | Value::DateTime(value) | Value::TimeSpan(value) => {
            ScalarValue::Int64(Some(*value))
        }
        Value::Real(value) => ScalarValue::Float64(Some(*value)),
        Value::Decimal(digits) => {
            ScalarValue::Decimal128(decimal::parse(digits), DECIMAL_PRECISION, DECIMAL_SCALE)
        }
        Value::String(text) => ScalarValue::Utf8(Some(text.to_string())),
        Value::Guid(bytes) => ScalarValue::Utf8(Some(text::guid_text(*bytes))),
        Value::Dynamic(json) => ScalarValue::Utf8(Some(json.to_string())),
    }
}

/// The null of a type; of a string, which has none, the empty one.
pub fn null(ty: Type) -> ScalarValue {
    match ty {
        Type::Bool => ScalarValue::Boolean(None),
        Type::Int => ScalarValue::Int32(None),
        Type::Long | Type::DateTime | Type::TimeSpan => ScalarValue::Int64(None),
        Type::Real => ScalarValue::Float64(None),
        Type::Decimal => ScalarValue::Decimal128(None, DECIMAL_PRECISION, DECIMAL_SCALE),
        Type::String => ScalarValue::Utf8(Some(String::new())),
        Type::Guid | Type::Dynamic => ScalarValue::Utf8(None),
    }
}

/// A call of a scalar function: its arguments lowered, with their KQL types, and the type that the binder gave the result.
pub fn scalar(function: Scalar, args: Vec<Expr>, types: &[Type], ty: Type) -> Result<Expr> {
    if args.len() != types.len() {
        return plan_err!("{} of {} arguments and {} types", function.name(), args.len(), types.len());
    }
    if let Some(expr) = native::lower(function, &args, types, ty) {
        return Ok(expr);
    }
    native::check_patterns(function, &args)?;
    Ok(udf::KqlFunction::call(function, args, types, ty))
}
