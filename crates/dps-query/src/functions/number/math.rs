//! Arithmetic and mathematics.

use dps_kql::{Scalar, Type};

use crate::functions::datum::Datum;
use crate::functions::kernel::{arg, long_at, real_at};
use crate::functions::udf::Call;
use crate::functions::{decimal, time};

/// `+`, `-`, `*`, `/`, `%` of what is not native. Whole numbers wrap, their quotient by zero is null; a datetime out of
/// range is null.
pub fn arithmetic<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    use Datum as D;
    let (left, right) = (arg(args, 0), arg(args, 1));
    match (left, right) {
        (D::Null, _) | (_, D::Null) => D::Null,
        (D::Decimal(_), _) | (_, D::Decimal(_)) => decimals(call.function, left, right),
        (D::DateTime(_) | D::TimeSpan(_), _) | (_, D::DateTime(_) | D::TimeSpan(_)) => {
            times(call.function, left, right)
        }
        _ if matches!(call.ty, Type::Long | Type::Int) => match (left.integer(), right.integer()) {
            (Some(left), Some(right)) => narrowed(call.ty, whole(call.function, left, right)),
            _ => D::Null,
        },
        _ => match (left.real(), right.real()) {
            (Some(left), Some(right)) => D::Real(real(call.function, left, right)),
            _ => D::Null,
        },
    }
}

#[allow(clippy::cast_possible_truncation, reason = "an int wraps")]
fn narrowed<'a>(ty: Type, value: Option<i64>) -> Datum<'a> {
    match value {
        Some(value) if ty == Type::Int => Datum::Int(value as i32),
        value => value.into(),
    }
}

/// Of whole numbers; a remainder is not negative.
pub fn whole(function: Scalar, left: i64, right: i64) -> Option<i64> {
    match function {
        Scalar::Add => Some(left.wrapping_add(right)),
        Scalar::Subtract => Some(left.wrapping_sub(right)),
        Scalar::Multiply => Some(left.wrapping_mul(right)),
        Scalar::Divide => (right != 0).then(|| left.wrapping_div(right)),
        _ => (right != 0).then(|| left.wrapping_rem_euclid(right)),
    }
}

fn real(function: Scalar, left: f64, right: f64) -> f64 {
    match function {
        Scalar::Add => left + right,
        Scalar::Subtract => left - right,
        Scalar::Multiply => left * right,
        Scalar::Divide => left / right,
        _ => left.rem_euclid(right),
    }
}

fn decimals<'a>(function: Scalar, left: &Datum<'a>, right: &Datum<'a>) -> Datum<'a> {
    let value = |value: &Datum<'_>| match value {
        Datum::Decimal(value) => Some(*value),
        Datum::Real(value) => decimal::from_real(*value),
        other => other.integer().map(decimal::from_long),
    };
    let (Some(left), Some(right)) = (value(left), value(right)) else { return Datum::Null };
    let result = match function {
        Scalar::Add => decimal::add(left, right),
        Scalar::Subtract => decimal::subtract(left, right),
        Scalar::Multiply => decimal::multiply(left, right),
        Scalar::Divide => decimal::divide(left, right),
        _ => decimal::modulo(left, right),
    };
    result.map_or(Datum::Null, Datum::Decimal)
}

#[allow(clippy::cast_precision_loss, reason = "a quotient of timespans is a real")]
fn times<'a>(function: Scalar, left: &Datum<'a>, right: &Datum<'a>) -> Datum<'a> {
    use Datum as D;
    let instant = |ticks: Option<i64>| ticks.and_then(time::in_range).map_or(D::Null, D::DateTime);
    let span = |ticks: Option<i64>| ticks.map_or(D::Null, D::TimeSpan);
    match (function, left, right) {
        (Scalar::Add, D::DateTime(left), D::TimeSpan(right))
        | (Scalar::Add, D::TimeSpan(left), D::DateTime(right)) => instant(left.checked_add(*right)),
        (Scalar::Subtract, D::DateTime(left), D::TimeSpan(right)) => instant(left.checked_sub(*right)),
        (Scalar::Add, D::TimeSpan(left), D::TimeSpan(right)) => span(left.checked_add(*right)),
        (Scalar::Subtract, D::DateTime(left), D::DateTime(right))
        | (Scalar::Subtract, D::TimeSpan(left), D::TimeSpan(right)) => span(left.checked_sub(*right)),
        (Scalar::Divide, D::TimeSpan(left), D::TimeSpan(right)) => D::Real(*left as f64 / *right as f64),
        (Scalar::Modulo, D::DateTime(left) | D::TimeSpan(left), D::TimeSpan(right)) => {
            span(left.checked_rem_euclid(*right))
        }
        (Scalar::Multiply, D::TimeSpan(ticks), by) | (Scalar::Multiply, by, D::TimeSpan(ticks)) => {
            span(scaled(*ticks, by, false))
        }
        (Scalar::Divide, D::TimeSpan(ticks), by) => span(scaled(*ticks, by, true)),
        _ => D::Null,
    }
}

#[allow(clippy::cast_precision_loss, reason = "a real factor makes a real")]
fn scaled(ticks: i64, by: &Datum<'_>, divide: bool) -> Option<i64> {
    match by {
        Datum::Real(by) => super::real_to_long(if divide { ticks as f64 / by } else { ticks as f64 * by }),
        by if divide => ticks.checked_div(by.integer()?),
        by => ticks.checked_mul(by.integer()?),
    }
}

/// Unary `-`.
pub fn negate<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    match arg(args, 0) {
        Datum::Int(value) => Datum::Int(value.wrapping_neg()),
        Datum::Long(value) => Datum::Long(value.wrapping_neg()),
        Datum::TimeSpan(value) => Datum::TimeSpan(value.wrapping_neg()),
        Datum::Real(value) => Datum::Real(-value),
        Datum::Decimal(value) => Datum::Decimal(value.wrapping_neg()),
        other => other.real().map(|value| -value).into(),
    }
}

/// `abs`.
pub fn abs<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    match arg(args, 0) {
        Datum::Int(value) => Datum::Int(value.wrapping_abs()),
        Datum::Long(value) => Datum::Long(value.wrapping_abs()),
        Datum::TimeSpan(value) => Datum::TimeSpan(value.wrapping_abs()),
        Datum::Decimal(value) => Datum::Decimal(value.wrapping_abs()),
        other => other.real().map(f64::abs).into(),
    }
}

/// `sign`: -1, 0 or 1.
pub fn sign<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(value) = real_at(args, 0) else { return Datum::Null };
    let sign = if value > 0.0 {
        1
    } else if value < 0.0 {
        -1
    } else {
        0_i32
    };
    if call.ty == Type::Real { Datum::Real(f64::from(sign)) } else { Datum::Int(sign) }
}

/// The largest multiple of the step that is not above the value.
pub fn bin_ticks(value: i64, step: i64) -> Option<i64> {
    if step <= 0 { None } else { value.checked_sub(value.rem_euclid(step)) }
}

/// `bin`, `floor`, `bin_at`: what keeps the type of the value. A step that is not positive makes null.
pub fn bin<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let one = Datum::Long(1);
    let step = if args.len() < 2 { &one } else { arg(args, 1) };
    let zero = Datum::Long(0);
    let from = if call.function == Scalar::BinAt { arg(args, 2) } else { &zero };
    let whole = |value: i64| {
        let (step, from) = (step.integer()?, from.integer()?);
        value.checked_sub(from).and_then(|value| bin_ticks(value, step))?.checked_add(from)
    };
    match arg(args, 0) {
        Datum::Real(value) => bin_real(*value, step.real(), from.real()).into(),
        Datum::Int(_) | Datum::Long(_) if matches!(step, Datum::Real(_)) => {
            real_at(args, 0).and_then(|value| bin_real(value, step.real(), from.real())).into()
        }
        Datum::Int(value) => narrowed(call.ty, whole(i64::from(*value))),
        Datum::Long(value) => whole(*value).into(),
        Datum::TimeSpan(value) => whole(*value).map_or(Datum::Null, Datum::TimeSpan),
        Datum::DateTime(value) => whole(*value).and_then(time::in_range).map_or(Datum::Null, Datum::DateTime),
        Datum::Decimal(value) => {
            let step = match step {
                Datum::Decimal(step) => Some(*step),
                Datum::Real(step) => decimal::from_real(*step),
                other => other.integer().map(decimal::from_long),
            };
            step.and_then(|step| decimal::bin(*value, step)).map_or(Datum::Null, Datum::Decimal)
        }
        _ => Datum::Null,
    }
}

fn bin_real(value: f64, step: Option<f64>, from: Option<f64>) -> Option<f64> {
    let (step, from) = (step?, from?);
    (step > 0.0).then(|| ((value - from) / step).floor() * step + from)
}

/// `ceiling`.
pub fn ceiling<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    match arg(args, 0) {
        value @ (Datum::Int(_) | Datum::Long(_)) => value.clone(),
        Datum::Decimal(value) => {
            let above = if value.rem_euclid(decimal::ONE) == 0 { 0 } else { decimal::ONE };
            decimal::bin(*value, decimal::ONE)
                .and_then(|below| decimal::add(below, above))
                .map_or(Datum::Null, Datum::Decimal)
        }
        other => other.real().map(f64::ceil).into(),
    }
}

/// `round`: halves away from zero, to so many digits.
#[allow(clippy::cast_possible_truncation, reason = "clamped to what a double can have")]
pub fn round<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let digits = if args.len() > 1 { long_at(args, 1) } else { Some(0) };
    let (Some(value), Some(digits)) = (real_at(args, 0), digits) else { return Datum::Null };
    if digits >= 0
        && matches!(arg(args, 0), Datum::Int(_) | Datum::Long(_) | Datum::Decimal(_))
        && call.ty != Type::Real
    {
        return arg(args, 0).clone();
    }
    let scale = 10_f64.powi(digits.unsigned_abs().min(300) as i32);
    let rounded = if digits >= 0 { (value * scale).round() / scale } else { (value / scale).round() * scale };
    Datum::Real(if rounded.is_finite() { rounded } else { value })
}

/// `sqrt`, `exp`, `log`, `sin` and the like; null outside of where they are defined.
pub fn of_real<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(value) = real_at(args, 0) else { return Datum::Null };
    Datum::Real(match call.function {
        Scalar::Sqrt | Scalar::Log | Scalar::Log2 | Scalar::Log10 if value < 0.0 => return Datum::Null,
        Scalar::Asin | Scalar::Acos if !(-1.0..=1.0).contains(&value) => return Datum::Null,
        Scalar::Sqrt => value.sqrt(),
        Scalar::Exp => value.exp(),
        Scalar::Exp2 => value.exp2(),
        Scalar::Exp10 => 10_f64.powf(value),
        Scalar::Log => value.ln(),
        Scalar::Log2 => value.log2(),
        Scalar::Log10 => value.log10(),
        Scalar::Sin => value.sin(),
        Scalar::Cos => value.cos(),
        Scalar::Tan => value.tan(),
        Scalar::Asin => value.asin(),
        Scalar::Acos => value.acos(),
        Scalar::Atan => value.atan(),
        Scalar::Degrees => value.to_degrees(),
        Scalar::Radians => value.to_radians(),
        _ => value.tan().recip(),
    })
}

/// `pow`, `atan2`.
pub fn of_two_reals<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let (Some(left), Some(right)) = (real_at(args, 0), real_at(args, 1)) else { return Datum::Null };
    Datum::Real(if call.function == Scalar::Pow { left.powf(right) } else { left.atan2(right) })
}

/// `pi`.
pub fn pi<'a>(_: &Call, _: &[Datum<'a>]) -> Datum<'a> {
    Datum::Real(std::f64::consts::PI)
}

/// `rand()` in [0, 1), `rand(n)` whole in [0, n).
#[allow(clippy::cast_precision_loss, reason = "53 bits are what a double has")]
pub fn rand<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let (bits, _) = uuid::Uuid::new_v4().as_u64_pair();
    // The upper 48 bits of a version 4 are random throughout.
    let unit = (bits >> 16) as f64 / (1_u64 << 48) as f64;
    if args.is_empty() {
        return Datum::Real(unit);
    }
    real_at(args, 0).map(|below| (unit * below).floor()).into()
}

/// `isnan`, `isinf`, `isfinite`.
pub fn real_kind<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let value = real_at(args, 0);
    Datum::Bool(value.is_some_and(|value| match call.function {
        Scalar::IsNan => value.is_nan(),
        Scalar::IsInf => value.is_infinite(),
        _ => value.is_finite(),
    }))
}

/// `tohex`: two's complement in lower case, with at least so many digits.
pub fn to_hex<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(value) = long_at(args, 0) else { return Datum::Text("".into()) };
    let width = long_at(args, 1).and_then(|width| usize::try_from(width).ok()).unwrap_or(0).min(64);
    Datum::text(format!("{value:0width$x}"))
}

/// `binary_and` and its kin.
#[allow(clippy::cast_sign_loss, reason = "remainders of a positive number")]
pub fn bits<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(left) = long_at(args, 0) else { return Datum::Null };
    match call.function {
        Scalar::BinaryNot => return Datum::Long(!left),
        Scalar::BitsetCountOnes => return Datum::Long(i64::from(left.count_ones())),
        _ => {}
    }
    let Some(right) = long_at(args, 1) else { return Datum::Null };
    Datum::Long(match call.function {
        Scalar::BinaryAnd => left & right,
        Scalar::BinaryOr => left | right,
        Scalar::BinaryXor => left ^ right,
        _ if right < 0 => return Datum::Null,
        Scalar::BinaryShiftLeft => left << (right % 64) as u32,
        _ => left >> (right % 64) as u32,
    })
}
