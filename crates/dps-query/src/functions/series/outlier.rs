//! Outliers, by Tukey's fences.

use super::season::{Parts, Wish, points_at, threshold_at, trend_at};
use super::{Series, columns, made, quantile, reals, sorted};
use crate::functions::datum::Datum;
use crate::functions::kernel::{long_at, real_at, text_at};
use crate::functions::udf::Call;

const DEFAULT_FENCE: f64 = 1.5;

/// The shares between which values are ordinary.
fn fences(kind: &str, low: Option<f64>, high: Option<f64>) -> (f64, f64) {
    let within = |percent: Option<f64>, default: f64| {
        percent.filter(|percent| (2.0..=98.0).contains(percent)).unwrap_or(default) / 100.0
    };
    if kind == "tukey" { (0.25, 0.75) } else { (within(low, 10.0), within(high, 90.0)) }
}

/// How many ranges of the ordinary a value lies above (or, negative, below) it.
fn scores(values: &[Option<f64>], (low, high): (f64, f64)) -> Vec<f64> {
    let known: Vec<f64> = values.iter().flatten().copied().filter(|value| value.is_finite()).collect();
    let known = sorted(&known);
    let (low, high) = (quantile(&known, low), quantile(&known, high));
    let range = high - low;
    let score = |value: f64| {
        let beyond = if value > high {
            value - high
        } else if value < low {
            value - low
        } else {
            0.0
        };
        if beyond == 0.0 || range <= 0.0 { 0.0 } else { beyond / range }
    };
    values.iter().map(|value| value.map_or(0.0, score)).collect()
}

/// `series_outliers(series, kind, ignored, low, high)`.
#[allow(clippy::float_cmp, reason = "what is ignored is that very number")]
pub fn outliers<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(series) = Series::at(args, 0) else { return Datum::Null };
    let ignored = real_at(args, 2);
    let values: Vec<Option<f64>> =
        series.values.iter().map(|value| value.filter(|value| ignored != Some(*value))).collect();
    let fences = fences(text_at(args, 1), real_at(args, 3), real_at(args, 4));
    made(scores(&values, fences).into_iter().map(Some), false)
}

/// `series_decompose_anomalies(series, threshold, seasonality, trend, test points, method, seasonality threshold)`: flags,
/// scores, baseline.
pub fn decompose_anomalies<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(series) = Series::at(args, 0) else { return Datum::Null };
    let threshold = real_at(args, 1).unwrap_or(DEFAULT_FENCE);
    let wish = Wish {
        period: long_at(args, 2).unwrap_or(-1),
        trend: trend_at(args, 3),
        test_points: points_at(args, 4),
        threshold: threshold_at(args, 6),
    };
    let parts = Parts::of(&series.filled(), &wish);
    let residual: Vec<Option<f64>> = parts.residual.iter().copied().map(Some).collect();
    let scores = scores(&residual, fences(text_at(args, 5), None, None));
    let flag = |score: &f64| {
        Some(if *score > threshold {
            1.0
        } else if *score < -threshold {
            -1.0
        } else {
            0.0
        })
    };
    let flags = super::series_text(scores.iter().map(flag), true);
    columns(&[flags, reals(&scores), reals(&parts.baseline)])
}
