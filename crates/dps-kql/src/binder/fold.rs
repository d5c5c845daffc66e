//! What calls of known arguments come to, as far as a plan needs to know it: times before now, counts, percentages, names.
//! A call that is not folded is computed by the engine, so there is nothing here that would differ from it.

use serde_json::json;

use crate::{Expr, ExprKind, Scalar, Type, Value};

/// The value of a call, if all arguments are literals and the function is one of these.
pub(super) fn fold(function: Scalar, args: &[Expr], ty: Type) -> Option<Value> {
    let mut values = Vec::with_capacity(2);
    if args.len() > 2 {
        return None;
    }
    for arg in args {
        match &arg.kind {
            ExprKind::Literal(value) => values.push(value),
            _ => return None,
        }
    }
    match (function, values.as_slice()) {
        (Scalar::Negate, [value]) => negate(value),
        (Scalar::Add | Scalar::Subtract | Scalar::Multiply | Scalar::Divide, [left, right]) => {
            arithmetic(function, left, right)
        }
        (Scalar::Bin | Scalar::Floor, [value, width]) => bin(value, width),
        (Scalar::ToLong, [value]) => whole(value).map(Value::Long),
        (Scalar::ToInt, [value]) => {
            whole(value).and_then(|number| i32::try_from(number).ok()).map(Value::Int)
        }
        (Scalar::ToReal, [value]) => real(value).map(Value::Real),
        (Scalar::ToDecimal, [value]) => whole(value).map(|number| Value::Decimal(number.to_string().into())),
        (Scalar::ToString, [value]) => text(value).map(|text| Value::String(text.into())),
        (Scalar::Not, [Value::Bool(value)]) => Some(Value::Bool(!value)),
        _ => None,
    }
    .filter(|value| value.ty() == ty)
}

/// What a literal is in JSON; nothing of what JSON cannot tell apart again.
pub(super) fn json(value: &Value) -> Option<serde_json::Value> {
    match value {
        Value::Bool(value) => Some(json!(value)),
        Value::Int(value) => Some(json!(value)),
        Value::Long(value) => Some(json!(value)),
        Value::Real(value) if value.is_finite() => Some(json!(value)),
        Value::String(value) => Some(json!(value)),
        Value::Dynamic(value) => Some(value.clone()),
        _ => None,
    }
}

/// An element of a dynamic literal as a literal of a type, where it is of that kind.
pub(super) fn element(value: &serde_json::Value, ty: Type) -> Option<Value> {
    match ty {
        Type::String => Some(Value::String(match value {
            serde_json::Value::String(text) => text.as_str().into(),
            serde_json::Value::Number(number) => number.to_string().into(),
            _ => return None,
        })),
        Type::Long => value.as_i64().map(Value::Long),
        Type::Int => value.as_i64().and_then(|number| i32::try_from(number).ok()).map(Value::Int),
        Type::Real => value.as_f64().map(Value::Real),
        Type::Bool => value.as_bool().map(Value::Bool),
        _ => None,
    }
}

fn negate(value: &Value) -> Option<Value> {
    match value {
        Value::Int(value) => value.checked_neg().map(Value::Int),
        Value::Long(value) => value.checked_neg().map(Value::Long),
        Value::Real(value) => Some(Value::Real(-value)),
        Value::TimeSpan(value) => value.checked_neg().map(Value::TimeSpan),
        _ => None,
    }
}

fn arithmetic(function: Scalar, left: &Value, right: &Value) -> Option<Value> {
    match (left, right) {
        (Value::Long(left), Value::Long(right)) => integers(function, *left, *right).map(Value::Long),
        (Value::Real(left), Value::Real(right)) => Some(Value::Real(match function {
            Scalar::Add => left + right,
            Scalar::Subtract => left - right,
            Scalar::Multiply => left * right,
            _ => left / right,
        })),
        (Value::TimeSpan(left), Value::TimeSpan(right)) if function != Scalar::Divide => {
            sum(function, *left, *right).map(Value::TimeSpan)
        }
        (Value::DateTime(left), Value::TimeSpan(right)) => sum(function, *left, *right).map(Value::DateTime),
        (Value::TimeSpan(left), Value::DateTime(right)) if function == Scalar::Add => {
            sum(function, *left, *right).map(Value::DateTime)
        }
        (Value::DateTime(left), Value::DateTime(right)) if function == Scalar::Subtract => {
            sum(function, *left, *right).map(Value::TimeSpan)
        }
        (Value::TimeSpan(left), Value::Long(right)) => integers(function, *left, *right)
            .filter(|_| matches!(function, Scalar::Multiply | Scalar::Divide))
            .map(Value::TimeSpan),
        (Value::Long(left), Value::TimeSpan(right)) if function == Scalar::Multiply => {
            left.checked_mul(*right).map(Value::TimeSpan)
        }
        _ => None,
    }
}

fn integers(function: Scalar, left: i64, right: i64) -> Option<i64> {
    match function {
        Scalar::Multiply => left.checked_mul(right),
        Scalar::Divide => left.checked_div(right),
        _ => sum(function, left, right),
    }
}

fn sum(function: Scalar, left: i64, right: i64) -> Option<i64> {
    match function {
        Scalar::Add => left.checked_add(right),
        Scalar::Subtract => left.checked_sub(right),
        _ => None,
    }
}

/// Toward minus infinity.
fn bin(value: &Value, width: &Value) -> Option<Value> {
    let floor = |value: i64, width: i64| {
        (width > 0).then(|| value.checked_sub(value.checked_rem_euclid(width)?)).flatten()
    };
    match (value, width) {
        (Value::Long(value), Value::Long(width)) => floor(*value, *width).map(Value::Long),
        (Value::TimeSpan(value), Value::TimeSpan(width)) => floor(*value, *width).map(Value::TimeSpan),
        (Value::DateTime(value), Value::TimeSpan(width)) => floor(*value, *width).map(Value::DateTime),
        _ => None,
    }
}

const fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Int(value) => Some(*value as i64),
        Value::Long(value) => Some(*value),
        Value::Bool(value) => Some(*value as i64),
        _ => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "what a real of a long is in Kusto")]
fn real(value: &Value) -> Option<f64> {
    match value {
        Value::Real(value) => Some(*value),
        value => whole(value).map(|number| number as f64),
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_string()),
        Value::Bool(true) => Some("True".to_owned()),
        Value::Bool(false) => Some("False".to_owned()),
        Value::Int(number) => Some(number.to_string()),
        Value::Long(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TICKS_PER_DAY;

    fn folded(function: Scalar, args: Vec<Value>, ty: Type) -> Option<Value> {
        let args: Vec<_> = args.into_iter().map(super::super::convert::literal).collect();
        fold(function, &args, ty)
    }

    #[test]
    fn arithmetic_of_longs_stays_whole() {
        let seven_halves = vec![Value::Long(7), Value::Long(2)];
        assert_eq!(folded(Scalar::Divide, seven_halves, Type::Long), Some(Value::Long(3)));
        assert_eq!(folded(Scalar::Divide, vec![Value::Long(7), Value::Long(0)], Type::Long), None);
        assert_eq!(folded(Scalar::Divide, vec![Value::Long(i64::MIN), Value::Long(-1)], Type::Long), None);
        assert_eq!(folded(Scalar::Add, vec![Value::Long(i64::MAX), Value::Long(1)], Type::Long), None);
    }

    #[test]
    fn day_before_an_instant_is_folded() {
        let args = vec![Value::DateTime(3 * TICKS_PER_DAY), Value::TimeSpan(TICKS_PER_DAY)];
        assert_eq!(folded(Scalar::Subtract, args, Type::DateTime), Some(Value::DateTime(2 * TICKS_PER_DAY)));
    }

    #[test]
    fn bin_of_a_negative_number_goes_down() {
        let args = vec![Value::Long(-7), Value::Long(5)];
        assert_eq!(folded(Scalar::Bin, args, Type::Long), Some(Value::Long(-10)));
        assert_eq!(folded(Scalar::Bin, vec![Value::Long(1), Value::Long(0)], Type::Long), None);
        assert_eq!(folded(Scalar::Bin, vec![Value::Long(i64::MIN), Value::Long(10)], Type::Long), None);
    }
}
