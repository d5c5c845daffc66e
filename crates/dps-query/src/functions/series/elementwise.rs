//! Element by element, and all into one.

use dps_kql::Scalar;

use super::{Series, made, mean};
use crate::functions::datum::Datum;
use crate::functions::json::Array;
use crate::functions::kernel::{arg, real_at};
use crate::functions::udf::Call;

/// The two sides, one number standing for a whole series.
fn sides(args: &[Datum<'_>]) -> Option<(Series, Series)> {
    let side = |index: usize| match Series::at(args, index) {
        Some(series) => Ok(series),
        None => Err(real_at(args, index)),
    };
    let spread = |value: Option<f64>, like: &Series| Series {
        values: vec![value; like.values.len()],
        whole: value.is_none_or(|value| value.fract() == 0.0) && like.whole,
    };
    match (side(0), side(1)) {
        (Ok(left), Ok(right)) => Some((left, right)),
        (Ok(left), Err(value)) => Some((left.clone(), spread(value, &left))),
        (Err(value), Ok(right)) => Some((spread(value, &right), right)),
        _ => None,
    }
}

/// The pairs; nulls where one side is shorter.
fn pairs(left: &Series, right: &Series) -> impl Iterator<Item = Option<(f64, f64)>> {
    let length = left.values.len().max(right.values.len());
    let value = |series: &Series, index: usize| series.values.get(index).copied().flatten();
    (0..length).map(move |index| value(left, index).zip(value(right, index)))
}

/// `series_add`, `series_subtract`, `series_multiply`, `series_divide`, `series_pow`.
pub fn pairwise<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some((left, right)) = sides(args) else { return Datum::Null };
    let compute = |(left, right): (f64, f64)| match call.function {
        Scalar::SeriesAdd => left + right,
        Scalar::SeriesSubtract => left - right,
        Scalar::SeriesMultiply => left * right,
        Scalar::SeriesDivide => left / right,
        _ => left.powf(right),
    };
    let whole =
        left.whole && right.whole && !matches!(call.function, Scalar::SeriesDivide | Scalar::SeriesPow);
    made(pairs(&left, &right).map(|pair| pair.map(compute)), whole)
}

/// `series_equals` and the other comparisons: an array of truth.
#[allow(clippy::float_cmp, reason = "that is what is asked")]
pub fn compare<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some((left, right)) = sides(args) else { return Datum::Null };
    let compute = |pair: Option<(f64, f64)>| match pair {
        Some((left, right)) => match call.function {
            Scalar::SeriesEquals => left == right,
            Scalar::SeriesNotEquals => left != right,
            Scalar::SeriesLess => left < right,
            Scalar::SeriesLessEquals => left <= right,
            Scalar::SeriesGreater => left > right,
            _ => left >= right,
        }
        .to_string(),
        None => "null".to_owned(),
    };
    pairs(&left, &right).map(compute).collect::<Array>().finish()
}

/// `series_abs`, `series_exp`, `series_log`, `series_sign`, `series_ceiling`, `series_floor`.
pub fn each<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(series) = Series::at(args, 0) else { return Datum::Null };
    let compute = |value: f64| match call.function {
        Scalar::SeriesAbs => Some(value.abs()),
        Scalar::SeriesExp => Some(value.exp()),
        Scalar::SeriesLog => (value > 0.0).then(|| value.ln()),
        Scalar::SeriesSign if value == 0.0 || value.is_nan() => Some(0.0),
        Scalar::SeriesSign => Some(value.signum()),
        Scalar::SeriesCeiling => Some(value.ceil()),
        _ => Some(value.floor()),
    };
    let whole = match call.function {
        Scalar::SeriesAbs => series.whole,
        Scalar::SeriesExp | Scalar::SeriesLog => false,
        _ => true,
    };
    made(series.values.iter().map(|value| value.and_then(compute)), whole)
}

/// `series_sum`, `series_product`, `series_magnitude`; nulls are passed over.
pub fn fold<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(series) = Series::at(args, 0) else { return Datum::Null };
    let numbers = series.values.iter().flatten();
    Datum::Real(match call.function {
        Scalar::SeriesSum => numbers.sum(),
        Scalar::SeriesProduct => numbers.product(),
        _ => numbers.map(|value| value * value).sum::<f64>().sqrt(),
    })
}

/// `series_dot_product`.
pub fn dot_product<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some((left, right)) = sides(args) else { return Datum::Null };
    Datum::Real(pairs(&left, &right).flatten().map(|(left, right)| left * right).sum())
}

/// `series_pearson_correlation`: null of series without a spread.
pub fn pearson_correlation<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    if arg(args, 0).is_null() || arg(args, 1).is_null() {
        return Datum::Null;
    }
    let Some((left, right)) = sides(args) else { return Datum::Null };
    let (left, right): (Vec<f64>, Vec<f64>) = pairs(&left, &right).flatten().unzip();
    correlation(&left, &right).into()
}

/// How two rows of numbers go together, between -1 and 1.
pub(super) fn correlation(left: &[f64], right: &[f64]) -> Option<f64> {
    let (left_mean, right_mean) = (mean(left), mean(right));
    let (mut both, mut left_square, mut right_square) = (0.0, 0.0, 0.0);
    for (left, right) in left.iter().zip(right) {
        let (left, right) = (left - left_mean, right - right_mean);
        both += left * right;
        left_square += left * left;
        right_square += right * right;
    }
    let spread = (left_square * right_square).sqrt();
    (spread > 0.0 && spread.is_finite()).then(|| both / spread)
}
