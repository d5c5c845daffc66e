//! Linear filters.

use super::{Series, made};
use crate::functions::datum::Datum;
use crate::functions::kernel::arg;
use crate::functions::limits::SERIES_WORK;
use crate::functions::udf::Call;

/// `series_fir(series, filter, normalize, center)`.
pub fn fir<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let (Some(series), Some(filter)) = (Series::at(args, 0), Series::at(args, 1)) else { return Datum::Null };
    let (values, mut filter) = (series.filled(), filter.filled());
    if values.len().saturating_mul(filter.len()) > SERIES_WORK {
        return Datum::Null;
    }
    let negative = filter.iter().any(|weight| *weight < 0.0);
    if arg(args, 2).truth().unwrap_or(!negative) {
        if negative {
            return Datum::Null;
        }
        let sum: f64 = filter.iter().sum();
        for weight in &mut filter {
            *weight /= sum;
        }
    }
    let ahead = if arg(args, 3).truth() == Some(true) { filter.len().saturating_sub(1) / 2 } else { 0 };
    let filtered = (0..values.len()).map(|index| {
        let terms = filter.iter().enumerate().filter_map(|(back, weight)| {
            let value = (index + ahead).checked_sub(back).and_then(|place| values.get(place))?;
            Some(weight * value)
        });
        Some(terms.sum())
    });
    made(filtered, false)
}

/// `series_iir(series, numerators, denominators)`.
pub fn iir<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let parts = (Series::at(args, 0), Series::at(args, 1), Series::at(args, 2));
    let (Some(series), Some(forward), Some(feedback)) = parts else { return Datum::Null };
    let (values, forward, feedback) = (series.filled(), forward.filled(), feedback.filled());
    let Some((first, feedback)) = feedback.split_first() else { return Datum::Null };
    if *first == 0.0 || values.len().saturating_mul(forward.len() + feedback.len()) > SERIES_WORK {
        return Datum::Null;
    }
    let mut filtered: Vec<f64> = Vec::with_capacity(values.len());
    for index in 0..values.len() {
        let term = |of: &[f64], back: usize, weight: &f64| {
            index.checked_sub(back).and_then(|place| of.get(place)).map_or(0.0, |value| weight * value)
        };
        let ahead: f64 = forward.iter().enumerate().map(|(back, weight)| term(&values, back, weight)).sum();
        let behind: f64 =
            feedback.iter().enumerate().map(|(back, weight)| term(&filtered, back + 1, weight)).sum();
        filtered.push((ahead - behind) / first);
    }
    made(filtered.into_iter().map(Some), false)
}
