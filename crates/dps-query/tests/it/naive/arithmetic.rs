//! Numbers, instants and durations.

use dps_kql::{Scalar, Type, Value};

use super::value::{self, integer, null, real};

/// `+`, `-`, `*`, `/`, `%`: none of a null.
pub fn compute(function: Scalar, left: &Value, right: &Value, ty: Type) -> Value {
    if value::is_null(left) || value::is_null(right) {
        return null(ty);
    }
    match ty {
        Type::Real => doubles(function, left, right),
        Type::Int | Type::Long => whole(function, left, right, ty),
        _ => ticks(function, left, right, ty),
    }
}

/// IEEE's, but that a remainder is never negative.
fn doubles(function: Scalar, left: &Value, right: &Value) -> Value {
    let (Some(left), Some(right)) = (real(left), real(right)) else { return null(Type::Real) };
    Value::Real(match function {
        Scalar::Add => left + right,
        Scalar::Subtract => left - right,
        Scalar::Multiply => left * right,
        Scalar::Divide => left / right,
        Scalar::Modulo => left.rem_euclid(right),
        other => panic!("{other:?} is no arithmetic"),
    })
}

/// 64 bits that wrap; a division by nought is null, a remainder never negative.
fn whole(function: Scalar, left: &Value, right: &Value, ty: Type) -> Value {
    let (Some(left), Some(right)) = (integer(left), integer(right)) else { return null(ty) };
    let number = match function {
        Scalar::Add => Some(left.wrapping_add(right)),
        Scalar::Subtract => Some(left.wrapping_sub(right)),
        Scalar::Multiply => Some(left.wrapping_mul(right)),
        Scalar::Divide => (right != 0).then(|| left.wrapping_div(right)),
        Scalar::Modulo => (right != 0).then(|| left.wrapping_rem_euclid(right)),
        other => panic!("{other:?} is no arithmetic"),
    };
    whole_of(number, ty)
}

#[expect(clippy::cast_possible_truncation, reason = "an int keeps the low bits")]
fn whole_of(number: Option<i64>, ty: Type) -> Value {
    match (number, ty) {
        (Some(number), Type::Int) => Value::Int(number as i32),
        (Some(number), _) => Value::Long(number),
        (None, _) => null(ty),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "what is made is small")]
fn ticks(function: Scalar, left: &Value, right: &Value, ty: Type) -> Value {
    let number = match (function, left, right) {
        (Scalar::Add, left, right) => integer(left).zip(integer(right)).map(|(left, right)| left + right),
        (Scalar::Subtract, left, right) => {
            integer(left).zip(integer(right)).map(|(left, right)| left - right)
        }
        (Scalar::Modulo, left, right) => {
            integer(left).zip(integer(right)).and_then(|(left, right)| left.checked_rem_euclid(right))
        }
        (Scalar::Multiply, left, right) => {
            real(left).zip(real(right)).map(|(left, right)| (left * right) as i64)
        }
        (Scalar::Divide, left, right) => real(left)
            .zip(real(right))
            .filter(|(_, right)| *right != 0.0)
            .map(|(left, right)| (left / right) as i64),
        (other, ..) => panic!("{other:?} is no arithmetic"),
    };
    match (number, ty) {
        (Some(ticks), Type::DateTime) => Value::DateTime(ticks),
        (Some(ticks), _) => Value::TimeSpan(ticks),
        (None, _) => null(ty),
    }
}

pub fn negate(of: &Value, ty: Type) -> Value {
    match (of, ty) {
        (Value::Int(number), Type::Int) => Value::Int(number.wrapping_neg()),
        (Value::Int(_) | Value::Long(_), _) => value::long(integer(of).map(i64::wrapping_neg)),
        (Value::Real(number), _) => Value::Real(-number),
        (Value::TimeSpan(ticks), _) => Value::TimeSpan(-ticks),
        _ => null(ty),
    }
}

/// `bin`: down to a multiple of the size, of its own type.
pub fn bin(of: &Value, size: &Value, ty: Type) -> Value {
    if ty == Type::Real {
        let (Some(number), Some(size)) = (real(of), real(size)) else { return null(ty) };
        return Value::Real((number / size).floor() * size);
    }
    let (Some(number), Some(size)) = (integer(of), integer(size)) else { return null(ty) };
    let floor = number.div_euclid(size) * size;
    match ty {
        Type::DateTime => Value::DateTime(floor),
        Type::TimeSpan => Value::TimeSpan(floor),
        ty => whole_of(Some(floor), ty),
    }
}

/// Functions of one double, or of one number that stays what it is.
pub fn of_one(function: Scalar, of: &Value, ty: Type) -> Value {
    if value::is_null(of) {
        return null(ty);
    }
    match (function, of) {
        (Scalar::Abs, Value::TimeSpan(ticks)) => Value::TimeSpan(ticks.abs()),
        (Scalar::Abs, Value::Int(_) | Value::Long(_)) => whole_of(integer(of).map(i64::wrapping_abs), ty),
        (Scalar::Sign, Value::Int(_) | Value::Long(_)) => match ty {
            Type::Real => Value::Real(f64::from(i8::try_from(integer(of).unwrap().signum()).unwrap())),
            ty => whole_of(integer(of).map(i64::signum), ty),
        },
        (Scalar::Ceiling, Value::Int(_) | Value::Long(_)) => whole_of(integer(of), ty),
        (function, of) => {
            let Some(number) = real(of) else { return null(ty) };
            Value::Real(match function {
                Scalar::Abs => number.abs(),
                Scalar::Ceiling => number.ceil(),
                Scalar::Sign if number == 0.0 || number.is_nan() => number,
                Scalar::Sign => number.signum(),
                Scalar::Sqrt if number < 0.0 => return null(ty),
                Scalar::Sqrt => number.sqrt(),
                Scalar::Exp2 => number.exp2(),
                other => panic!("{other:?} is no function of a number"),
            })
        }
    }
}

/// `round`: half away from nought, at a decimal place.
pub fn round(of: &Value, places: i64) -> Value {
    let Some(number) = real(of) else { return null(Type::Real) };
    let scale = 10_f64.powi(i32::try_from(places).unwrap());
    Value::Real((number * scale).round() / scale)
}
