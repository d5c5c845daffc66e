//! Lines through a series.

use dps_kql::Scalar;

use super::{Series, columns, len, mean, reals, variance};
use crate::functions::datum::Datum;
use crate::functions::json::{self, Bag};
use crate::functions::udf::Call;

/// A line and how well it fits.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) slope: f64,
    pub(super) interception: f64,
    r_square: f64,
    variance: f64,
    residual_variance: f64,
}

impl Line {
    /// Least squares over the places 0, 1, 2 …
    #[allow(clippy::cast_precision_loss, reason = "a series has at most a million points")]
    pub(super) fn fit(values: &[f64]) -> Self {
        let count = len(values);
        let middle = (count - 1.0) / 2.0;
        let mean = mean(values);
        let (mut both, mut square) = (0.0, 0.0);
        for (index, value) in values.iter().enumerate() {
            let place = index as f64 - middle;
            both += place * (value - mean);
            square += place * place;
        }
        let slope = if square > 0.0 { both / square } else { 0.0 };
        let interception = mean - slope * middle;
        let line =
            Self { slope, interception, r_square: 0.0, variance: variance(values), residual_variance: 0.0 };
        let residuals: Vec<f64> =
            values.iter().zip(line.points(values.len())).map(|(value, fit)| value - fit).collect();
        let residual_variance = variance(&residuals);
        let r_square = if line.variance > 0.0 { 1.0 - residual_variance / line.variance } else { 0.0 };
        Self { r_square, residual_variance, ..line }
    }

    #[allow(clippy::cast_precision_loss, reason = "a series has at most a million points")]
    pub(super) fn points(&self, count: usize) -> Vec<f64> {
        (0..count).map(|index| self.interception + self.slope * index as f64).collect()
    }

    fn parts(&self) -> [(&'static str, String); 5] {
        [
            ("rsquare", json::real_text(self.r_square)),
            ("slope", json::real_text(self.slope)),
            ("variance", json::real_text(self.variance)),
            ("rvariance", json::real_text(self.residual_variance)),
            // The reference counts places from 1 where it says this.
            ("interception", json::real_text(self.interception - self.slope)),
        ]
    }
}

fn finish<'a>(parts: Vec<(&str, String)>, as_bag: bool) -> Datum<'a> {
    if !as_bag {
        return columns(&parts.into_iter().map(|(_, text)| text).collect::<Vec<_>>());
    }
    let mut bag = Bag::default();
    for (name, text) in &parts {
        bag.push(name, text);
    }
    bag.finish()
}

/// `series_fit_line`: rsquare, slope, variance, rvariance, interception, `line_fit`; a bag of them for `…_dynamic`.
pub fn fit_line<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(values) = Series::at(args, 0).and_then(|series| series.numbers(2)) else { return Datum::Null };
    let line = Line::fit(&values);
    let mut parts = line.parts().to_vec();
    parts.push(("line_fit", reals(&line.points(values.len()))));
    finish(parts, call.function == Scalar::SeriesFitLineDynamic)
}

/// `series_fit_2lines`: rsquare, `split_idx`, variance, rvariance, `line_fit`, then of the right and of the left line
/// rsquare, slope, interception, variance, rvariance. Bags `right` and `left` for `…_dynamic`.
pub fn fit_2lines<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(values) = Series::at(args, 0).and_then(|series| series.numbers(4)) else { return Datum::Null };
    let split = best_split(&values);
    let Some((before, behind)) = values.split_at_checked(split) else { return Datum::Null };
    let (left, right) = (Line::fit(before), Line::fit(behind));
    let mut fit = left.points(before.len());
    fit.extend(right.points(behind.len()));
    let residuals: Vec<f64> = values.iter().zip(&fit).map(|(value, fit)| value - fit).collect();
    let (all, residual) = (variance(&values), variance(&residuals));
    let r_square = if all > 0.0 { 1.0 - residual / all } else { 0.0 };
    let mut parts = vec![
        ("rsquare", json::real_text(r_square)),
        ("split_idx", split.to_string()),
        ("variance", json::real_text(all)),
        ("rvariance", json::real_text(residual)),
        ("line_fit", reals(&fit)),
    ];
    let as_bag = call.function == Scalar::SeriesFit2LinesDynamic;
    for (name, line) in [("right", &right), ("left", &left)] {
        let [r_square, slope, variance, residual, interception] = line.parts();
        let inner = vec![r_square, slope, interception, variance, residual];
        if as_bag {
            if let Datum::Json(text) = finish(inner, true) {
                parts.push((name, text.into_owned()));
            }
        } else {
            parts.extend(inner);
        }
    }
    finish(parts, as_bag)
}

/// Where two lines leave the least behind. Sums up to each place make it one pass.
#[allow(clippy::cast_precision_loss, reason = "a series has at most a million points")]
fn best_split(values: &[f64]) -> usize {
    let shift = mean(values);
    let mut sums = vec![[0.0_f64; 5]];
    let mut sum = [0.0_f64; 5];
    for (index, value) in values.iter().enumerate() {
        let (place, value) = (index as f64, value - shift);
        for (total, term) in sum.iter_mut().zip([1.0, place, value, place * value, value * value]) {
            *total += term;
        }
        sums.push(sum);
    }
    let squares: Vec<f64> = {
        // Sum of the squares of places, exact for all lengths.
        let below = |count: f64| (count - 1.0) * count * (2.0 * count - 1.0) / 6.0;
        (0..=values.len()).map(|count| if count == 0 { 0.0 } else { below(count as f64) }).collect()
    };
    let left_over = |from: usize, to: usize| {
        let (Some(start), Some(end)) = (sums.get(from), sums.get(to)) else { return f64::INFINITY };
        let of =
            |index: usize| end.get(index).copied().unwrap_or(0.0) - start.get(index).copied().unwrap_or(0.0);
        let square = squares.get(to).copied().unwrap_or(0.0) - squares.get(from).copied().unwrap_or(0.0);
        let (count, place, value, both, value_square) = (of(0), of(1), of(2), of(3), of(4));
        let places = square - place * place / count;
        let product = both - place * value / count;
        let total = value_square - value * value / count;
        if places > 0.0 { total - product * product / places } else { total }
    };
    let candidates = 2..=values.len().saturating_sub(2);
    let rest = |split: &usize| left_over(0, *split) + left_over(*split, values.len());
    candidates.min_by(|one, other| rest(one).total_cmp(&rest(other))).unwrap_or(values.len() / 2)
}
