//! Periods, and a series taken apart into season, trend and rest.

use super::elementwise::correlation;
use super::fit::Line;
use super::{Series, columns, mean, quantile, reals, sorted};
use crate::functions::datum::Datum;
use crate::functions::kernel::{arg, long_at, real_at, text_at};
use crate::functions::limits::SERIES_WORK;
use crate::functions::udf::Call;

/// The shortest period that can be told.
const SHORTEST: usize = 4;
const DEFAULT_THRESHOLD: f64 = 0.6;
/// At most so many periods are answered.
const MOST_PERIODS: usize = 1000;

/// A series taken apart.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    pub(super) baseline: Vec<f64>,
    seasonal: Vec<f64>,
    trend: Vec<f64>,
    pub(super) residual: Vec<f64>,
}

/// What is asked for, from an argument on: seasonality, trend, test points, threshold of the season's score.
pub(super) struct Wish {
    pub(super) period: i64,
    pub(super) trend: Trend,
    pub(super) test_points: usize,
    pub(super) threshold: f64,
}

#[derive(Clone, Copy)]
pub(super) enum Trend {
    Average,
    Line,
    None,
}

pub(super) fn trend_at(args: &[Datum<'_>], index: usize) -> Trend {
    match text_at(args, index) {
        "linefit" => Trend::Line,
        "none" => Trend::None,
        _ => Trend::Average,
    }
}

pub(super) fn points_at(args: &[Datum<'_>], index: usize) -> usize {
    long_at(args, index).and_then(|points| usize::try_from(points).ok()).unwrap_or(0)
}

pub(super) fn threshold_at(args: &[Datum<'_>], index: usize) -> f64 {
    real_at(args, index).unwrap_or(DEFAULT_THRESHOLD)
}

impl Parts {
    /// Season first, then the trend of what is left, learnt from all but the last points.
    pub(super) fn of(values: &[f64], wish: &Wish) -> Self {
        let learnt = values.len().saturating_sub(wish.test_points);
        let known = values.get(..learnt).unwrap_or_default();
        let period = match wish.period {
            0 => None,
            period if period > 0 => usize::try_from(period).ok(),
            _ => best_periods(known, SHORTEST, known.len() / 2, 1)
                .first()
                .filter(|(_, score)| *score >= wish.threshold)
                .map(|(period, _)| *period),
        };
        let phases = period.map(|period| phases(known, period)).unwrap_or_default();
        let season = |index: usize| match phases.len() {
            0 => 0.0,
            period => phases.get(index % period).copied().unwrap_or(0.0),
        };
        let seasonal: Vec<f64> = (0..values.len()).map(season).collect();
        let rest: Vec<f64> = known.iter().zip(&seasonal).map(|(value, season)| value - season).collect();
        let trend = match wish.trend {
            Trend::None => vec![0.0; values.len()],
            Trend::Average => vec![mean(&rest); values.len()],
            Trend::Line => Line::fit(&rest).points(values.len()),
        };
        let baseline: Vec<f64> = seasonal.iter().zip(&trend).map(|(season, trend)| season + trend).collect();
        let residual = values.iter().zip(&baseline).map(|(value, base)| value - base).collect();
        Self { baseline, seasonal, trend, residual }
    }
}

/// The median of each phase.
fn phases(values: &[f64], period: usize) -> Vec<f64> {
    let period = period.min(values.len().max(1));
    (0..period)
        .map(|phase| {
            let same: Vec<f64> = values.iter().copied().skip(phase).step_by(period).collect();
            quantile(&sorted(&same), 0.5)
        })
        .collect()
}

/// How strongly a series repeats itself after so many points.
fn score(values: &[f64], period: usize) -> f64 {
    let (Some(early), Some(late)) = (values.get(..values.len().saturating_sub(period)), values.get(period..))
    else {
        return 0.0;
    };
    correlation(early, late).unwrap_or(0.0).max(0.0)
}

/// Periods that score higher than their neighbours, best first; multiples of a better one are left out. Where a series is
/// so long that all could not be tried, the shorter ones are.
fn best_periods(values: &[f64], shortest: usize, longest: usize, most: usize) -> Vec<(usize, f64)> {
    let shortest = shortest.max(SHORTEST);
    let longest = longest.min(values.len() / 2).min(shortest + SERIES_WORK / values.len().max(1));
    if longest < shortest {
        return Vec::new();
    }
    // Without its own line, which would let every period score.
    let line = Line::fit(values).points(values.len());
    let level: Vec<f64> = values.iter().zip(&line).map(|(value, trend)| value - trend).collect();
    let scores: Vec<f64> = (shortest - 1..=longest + 1).map(|period| score(&level, period)).collect();
    let mut peaks: Vec<(usize, f64)> = scores
        .windows(3)
        .enumerate()
        .filter_map(|(index, near)| match near {
            [before, score, after] if score > before && score >= after && *score > 0.0 => {
                Some((shortest + index, *score))
            }
            _ => None,
        })
        .collect();
    peaks.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
    let mut kept: Vec<(usize, f64)> = Vec::new();
    for (period, score) in peaks {
        if kept.len() >= most {
            break;
        }
        // A shorter period that is nearly as good is the period; its multiples repeat it.
        if let Some(multiple) = kept.iter_mut().find(|(known, _)| known.is_multiple_of(period)) {
            if score >= multiple.1 * 0.9 {
                *multiple = (period, score);
            }
        } else if !kept.iter().any(|(known, _)| period.is_multiple_of(*known)) {
            kept.push((period, score));
        }
    }
    kept
}

/// `series_decompose`: baseline, seasonal, trend, residual.
pub fn decompose<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(series) = Series::at(args, 0) else { return Datum::Null };
    let wish = Wish {
        period: long_at(args, 1).unwrap_or(-1),
        trend: trend_at(args, 2),
        test_points: points_at(args, 3),
        threshold: threshold_at(args, 4),
    };
    let parts = Parts::of(&series.filled(), &wish);
    columns(&[reals(&parts.baseline), reals(&parts.seasonal), reals(&parts.trend), reals(&parts.residual)])
}

/// `series_decompose_forecast(series, points, seasonality, trend, threshold)`: the baseline, learnt from what comes before
/// the last points.
pub fn decompose_forecast<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(series) = Series::at(args, 0) else { return Datum::Null };
    let wish = Wish {
        period: long_at(args, 2).unwrap_or(-1),
        trend: trend_at(args, 3),
        test_points: points_at(args, 1),
        threshold: threshold_at(args, 4),
    };
    Datum::json(reals(&Parts::of(&series.filled(), &wish).baseline))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn period_at(args: &[Datum<'_>], index: usize) -> usize {
    real_at(args, index).unwrap_or(0.0).clamp(0.0, 1e9) as usize
}

/// `series_periods_detect(series, min, max, count)`: the periods, and their scores.
pub fn periods_detect<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(series) = Series::at(args, 0) else { return Datum::Null };
    let most = usize::try_from(long_at(args, 3).unwrap_or(1)).unwrap_or(0).min(MOST_PERIODS);
    let found = best_periods(&series.filled(), period_at(args, 1), period_at(args, 2), most);
    #[allow(clippy::cast_precision_loss, reason = "at most half of a series")]
    let mut periods: Vec<f64> = found.iter().map(|(period, _)| *period as f64).collect();
    let mut scores: Vec<f64> = found.iter().map(|(_, score)| *score).collect();
    periods.resize(most, 0.0);
    scores.resize(most, 0.0);
    columns(&[reals(&periods), reals(&scores)])
}

/// `series_periods_validate(series, period, …)`: the periods, and their scores; 0 for what cannot be told.
pub fn periods_validate<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(series) = Series::at(args, 0) else { return Datum::Null };
    let values = series.filled();
    let line = Line::fit(&values).points(values.len());
    let level: Vec<f64> = values.iter().zip(&line).map(|(value, trend)| value - trend).collect();
    let asked: Vec<f64> = (1..args.len()).map(|index| real_at(args, index).unwrap_or(0.0)).collect();
    let scores: Vec<f64> = (1..args.len())
        .map(|index| period_at(args, index))
        .map(
            |period| {
                if (SHORTEST..=values.len() / 2).contains(&period) { score(&level, period) } else { 0.0 }
            },
        )
        .collect();
    columns(&[reals(&asked), reals(&scores)])
}

/// `series_seasonal(series, period)`; the period is detected where none is given.
pub fn seasonal<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(series) = Series::at(args, 0) else { return Datum::Null };
    let wish = Wish {
        period: arg(args, 1).integer().unwrap_or(-1),
        trend: Trend::None,
        test_points: 0,
        threshold: DEFAULT_THRESHOLD,
    };
    Datum::json(reals(&Parts::of(&series.filled(), &wish).seasonal))
}
