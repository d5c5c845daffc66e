//! Functions of series: arrays of numbers, as `make-series` makes them. Owns their mathematics; must not know time.
//! What Kusto makes several columns of comes as one array of them, in the order of its reference.

mod elementwise;
mod fill;
mod filter;
mod fit;
mod outlier;
mod season;
mod stats;

pub use elementwise::*;
pub use fill::fill;
pub use filter::{fir, iir};
pub use fit::{fit_2lines, fit_line};
pub use outlier::{decompose_anomalies, outliers};
pub use season::{decompose, decompose_forecast, periods_detect, periods_validate, seasonal};
pub use stats::stats;

use super::datum::Datum;
use super::json::{self, Array};
use super::kernel::json_at;

#[cfg(test)]
mod tests;

/// A series as it was read.
#[derive(Clone, Debug, Default)]
struct Series {
    /// Null where an element is no number.
    values: Vec<Option<f64>>,
    /// No element was written with a fraction.
    whole: bool,
}

impl Series {
    fn read(json: &str) -> Option<Self> {
        let elements = json::elements(json)?;
        let mut whole = true;
        let values = elements
            .into_iter()
            .map(|element| {
                let value = json::scalar(element);
                whole &= !matches!(value, Datum::Real(_));
                match value {
                    Datum::Bool(value) => Some(f64::from(u8::from(value))),
                    value => value.real(),
                }
            })
            .collect();
        Some(Self { values, whole })
    }

    fn at(args: &[Datum<'_>], index: usize) -> Option<Self> {
        json_at(args, index).and_then(Self::read)
    }

    /// The numbers, when there are no nulls among them and at least so many.
    fn numbers(&self, least: usize) -> Option<Vec<f64>> {
        let numbers: Vec<f64> = self.values.iter().copied().collect::<Option<_>>()?;
        (numbers.len() >= least).then_some(numbers)
    }

    /// With nulls as zero.
    fn filled(&self) -> Vec<f64> {
        self.values.iter().map(|value| value.unwrap_or(0.0)).collect()
    }
}

fn series_text(values: impl IntoIterator<Item = Option<f64>>, whole: bool) -> String {
    let text = values.into_iter().map(|value| element_text(value, whole)).collect::<Array>().finish();
    match text {
        Datum::Json(text) => text.into_owned(),
        _ => "null".to_owned(),
    }
}

/// A number as a whole one where all are.
fn element_text(value: Option<f64>, whole: bool) -> String {
    match value {
        Some(value) if whole => super::number::real_to_long(value)
            .map_or_else(|| json::real_text(value), |value| value.to_string()),
        value => json::number_text(value),
    }
}

fn made<'a>(values: impl IntoIterator<Item = Option<f64>>, whole: bool) -> Datum<'a> {
    Datum::json(series_text(values, whole))
}

fn reals(values: &[f64]) -> String {
    series_text(values.iter().copied().map(Some), false)
}

/// Several results as one array.
fn columns<'a>(texts: &[String]) -> Datum<'a> {
    texts.iter().collect::<Array>().finish()
}

#[allow(clippy::cast_precision_loss, reason = "a series has at most a million points")]
fn len(values: &[f64]) -> f64 {
    values.len() as f64
}

fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / len(values) }
}

/// Of a sample.
fn variance(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (len(values) - 1.0)
}

/// The value below which a share of the sorted ones lies, between two of them where it falls there.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index within the values")]
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share.clamp(0.0, 1.0) * (len(sorted) - 1.0).max(0.0);
    let at = |place: f64| sorted.get(place as usize).copied().unwrap_or(0.0);
    let (low, high) = (at(place.floor()), at(place.ceil()));
    low + (high - low) * (place - place.floor())
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}
