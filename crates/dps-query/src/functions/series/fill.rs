//! Filling what is missing.

use dps_kql::Scalar;

use super::{Series, made};
use crate::functions::datum::Datum;
use crate::functions::kernel::{arg, real_at};
use crate::functions::udf::Call;

/// `series_fill_const`, `series_fill_forward`, `series_fill_backward`, `series_fill_linear`.
pub fn fill<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(series) = Series::at(args, 0) else { return Datum::Null };
    let placeholder = real_at(args, if call.function == Scalar::SeriesFillConst { 2 } else { 1 });
    let mut values: Vec<Option<f64>> =
        series.values.iter().map(|value| value.filter(|_| !is_missing(*value, placeholder))).collect();
    let mut whole = series.whole;
    match call.function {
        Scalar::SeriesFillConst => {
            let constant = real_at(args, 1);
            whole &= constant.is_none_or(|constant| constant.fract() == 0.0);
            for value in &mut values {
                *value = value.or(constant);
            }
        }
        Scalar::SeriesFillForward => forward(values.iter_mut()),
        Scalar::SeriesFillBackward => forward(values.iter_mut().rev()),
        _ => {
            let edges = !matches!(arg(args, 2), Datum::Bool(false));
            if values.iter().all(Option::is_none) {
                let constant = if args.len() > 3 { real_at(args, 3) } else { Some(0.0) };
                return made(values.iter().map(|_| constant), false);
            }
            linear(&mut values);
            if edges {
                forward(values.iter_mut());
                forward(values.iter_mut().rev());
            }
        }
    }
    // A placeholder that nothing stands in for stays.
    made(values.iter().zip(&series.values).map(|(filled, was)| filled.or(*was)), whole)
}

#[allow(clippy::float_cmp, reason = "a placeholder is that very number")]
fn is_missing(value: Option<f64>, placeholder: Option<f64>) -> bool {
    match (value, placeholder) {
        (None, _) => true,
        (Some(value), Some(placeholder)) => value == placeholder,
        (Some(_), None) => false,
    }
}

fn forward<'a>(values: impl Iterator<Item = &'a mut Option<f64>>) {
    let mut last = None;
    for value in values {
        *value = value.or(last);
        last = *value;
    }
}

#[allow(clippy::cast_precision_loss, reason = "a series has at most a million points")]
fn linear(values: &mut [Option<f64>]) {
    let known: Vec<(usize, f64)> =
        values.iter().enumerate().filter_map(|(index, value)| Some((index, (*value)?))).collect();
    for pair in known.windows(2) {
        let [(start, from), (end, to)] = pair else { continue };
        let slope = (to - from) / (end - start) as f64;
        for (step, value) in values.iter_mut().take(*end).skip(start + 1).enumerate() {
            *value = Some(from + slope * (step + 1) as f64);
        }
    }
}
