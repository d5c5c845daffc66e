//! Summary of a series.

use dps_kql::Scalar;

use super::{Series, columns, element_text, mean, variance};
use crate::functions::datum::Datum;
use crate::functions::json::{self, Bag};
use crate::functions::kernel::arg;
use crate::functions::udf::Call;

/// `series_stats`: min, its index, max, its index, avg, stdev, variance; and `series_stats_dynamic`, a bag that also has
/// sum and len. All are null where an element is not finite, unless the second argument says to pass over those.
pub fn stats<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    const NAMES: [&str; 9] = ["min", "min_idx", "max", "max_idx", "avg", "stdev", "variance", "sum", "len"];
    let Some(series) = Series::at(args, 0) else { return Datum::Null };
    let ignore = arg(args, 1).truth() == Some(true);
    let finite = |value: &Option<f64>| value.filter(|value| value.is_finite());
    let numbers: Vec<f64> = series.values.iter().filter_map(finite).collect();
    let usable = !numbers.is_empty() && (ignore || numbers.len() == series.values.len());
    let texts: Vec<String> = if usable {
        let place = |better: fn(f64, f64) -> bool| {
            let mut best: Option<(usize, f64)> = None;
            for (index, value) in series.values.iter().enumerate() {
                if let Some(value) =
                    finite(value).filter(|value| best.is_none_or(|(_, best)| better(*value, best)))
                {
                    best = Some((index, value));
                }
            }
            best.unwrap_or((0, 0.0))
        };
        let ((min_index, min), (max_index, max)) =
            (place(|value, best| value < best), place(|value, best| value > best));
        let variance = variance(&numbers);
        vec![
            element_text(Some(min), series.whole),
            min_index.to_string(),
            element_text(Some(max), series.whole),
            max_index.to_string(),
            json::real_text(mean(&numbers)),
            json::real_text(variance.sqrt()),
            json::real_text(variance),
            json::real_text(numbers.iter().sum()),
            numbers.len().to_string(),
        ]
    } else {
        vec!["null".to_owned(); NAMES.len()]
    };
    if call.function == Scalar::SeriesStats {
        return columns(texts.get(..7).unwrap_or_default());
    }
    let mut bag = Bag::default();
    for (name, text) in NAMES.iter().zip(&texts) {
        bag.push(name, text);
    }
    bag.finish()
}
