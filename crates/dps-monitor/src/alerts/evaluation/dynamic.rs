//! Dynamic thresholds, by a method of our own (D-620; docs/reference/alert-evaluation.md): what was normal at this hour of
//! the week, of the day, or ever, as far as the history allows, and a band around it that is as wide as values usually
//! stray, times a factor for the sensitivity. Medians throughout: an attack of an hour teaches nothing. Must not know
//! rules that were not asked for.

use std::collections::HashMap;

use dps_model::Timestamp;
use dps_model::limits::{
    DYNAMIC_HISTORY_DAYS, MAX_DYNAMIC_POINTS, MAX_DYNAMIC_SERIES, MAX_ROLLUPS_READ, MIN_DYNAMIC_DAYS,
    MIN_DYNAMIC_SAMPLES, SHORT_DYNAMIC_HISTORY_DAYS,
};

use super::metric::{question, targets};
use super::{EvaluationError, Figure, Finding, Series, minute};
use crate::alerts::rule::{DynamicCriterion, Rule, Sensitivity, Side};
use crate::metrics::{Aggregation, Budget, Grain, ReadError, Rollups, Span, Timeseries, Unit};

const DAY: i64 = 1_440;
const HOURS_OF_A_DAY: i64 = 24;
const HOURS_OF_A_WEEK: i64 = 168;
/// Days of history from which the days of the week are told apart (Azure: three weeks).
const WEEKLY_DAYS: i64 = 21;
/// Values without which an hour of the day or of the week says nothing of its own.
const MIN_SLOT: usize = 3;
/// Values without which it does not know how far its values stray.
const MIN_SLOT_SPREAD: usize = 12;
/// Of a normal distribution, the standard deviation is that many median deviations.
const SIGMA: f64 = 1.4826;
/// The least spread, as a part of what is normal: what strays less is no trouble to anybody.
const LEAST_PART: f64 = 0.05;

/// A value of the history: the minute at which its window begins, and what it was.
pub type Sample = (i64, f64);

/// What the history of a series teaches.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// By hour of the week; empty where the history is too short.
    weekly: HashMap<i64, Slot>,
    /// By hour of the day.
    daily: HashMap<i64, Slot>,
    /// Of all values.
    whole: Slot,
    /// No value was ever negative.
    is_positive: bool,
    /// Figures are counts of things that happen by chance.
    is_counted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Slot {
    center: f64,
    /// None where there are too few values.
    spread: Option<f64>,
}

/// Values that are nothing special.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    /// The least.
    pub lower: f64,
    /// The greatest.
    pub upper: f64,
}

impl Profile {
    /// Learns from the history up to a minute; none where it has too few days or values.
    pub fn learn(samples: &[Sample], is_counted: bool, at: i64) -> Option<Self> {
        let first = samples.iter().map(|(minute, _)| *minute).min()?;
        let days = at.saturating_sub(first) / DAY;
        if samples.len() < MIN_DYNAMIC_SAMPLES || days < MIN_DYNAMIC_DAYS {
            return None;
        }
        let whole = Slot::of(samples.iter().map(|(_, value)| *value).collect())?;
        let daily = slots(samples, HOURS_OF_A_DAY);
        let weekly = if days >= WEEKLY_DAYS { slots(samples, HOURS_OF_A_WEEK) } else { HashMap::new() };
        let is_positive = samples.iter().all(|(_, value)| *value >= 0.0);
        let mut profile = Self { weekly, daily, whole, is_positive, is_counted };
        // How far values stray from what is normal at their hour, over all hours: what an hour with few values borrows.
        let strayed = samples.iter().map(|(minute, value)| (value - profile.slot(*minute).center).abs());
        let usual = median(strayed.collect())?;
        profile.whole.spread = Some(SIGMA * usual);
        Some(profile)
    }

    fn slot(&self, minute: i64) -> Slot {
        let weekly = self.weekly.get(&hour(minute, HOURS_OF_A_WEEK));
        let slot = weekly.or_else(|| self.daily.get(&hour(minute, HOURS_OF_A_DAY)));
        *slot.unwrap_or(&self.whole)
    }

    /// What is nothing special in a window that begins with that minute.
    pub fn band(&self, minute: i64, sensitivity: Sensitivity) -> Band {
        let slot = self.slot(minute);
        let center = slot.center;
        let mut least = f64::max(1.0, LEAST_PART * center.abs());
        if self.is_counted {
            // What happens by chance so often on the average strays by that much anyhow.
            least = least.max(center.abs().sqrt());
        }
        let spread = slot.spread.or(self.whole.spread).unwrap_or(0.0).max(least);
        let width = factor(sensitivity) * spread;
        let lower = center - width;
        let lower = if self.is_positive { lower.max(0.0) } else { lower };
        Band { lower, upper: center + width }
    }
}

impl Slot {
    fn of(values: Vec<f64>) -> Option<Self> {
        let count = values.len();
        let center = median(values.clone())?;
        let strayed = median(values.into_iter().map(|value| (value - center).abs()).collect())?;
        Some(Self { center, spread: (count >= MIN_SLOT_SPREAD).then_some(SIGMA * strayed) })
    }
}

/// How many spreads of a normal value are nothing special.
const fn factor(sensitivity: Sensitivity) -> f64 {
    match sensitivity {
        Sensitivity::High => 2.0,
        Sensitivity::Medium => 3.0,
        Sensitivity::Low => 4.0,
    }
}

fn hour(minute: i64, of: i64) -> i64 {
    minute.div_euclid(60).rem_euclid(of)
}

fn slots(samples: &[Sample], hours: i64) -> HashMap<i64, Slot> {
    let mut by_hour: HashMap<i64, Vec<f64>> = HashMap::new();
    for (minute, value) in samples {
        by_hour.entry(hour(*minute, hours)).or_default().push(*value);
    }
    let enough = by_hour.into_iter().filter(|(_, values)| values.len() >= MIN_SLOT);
    enough.filter_map(|(hour, values)| Slot::of(values).map(|slot| (hour, slot))).collect()
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    values.get(middle.saturating_sub(1)).map(|lower| f64::midpoint(*lower, upper))
}

impl Band {
    /// Is the value outside, on that side?
    pub fn is_left_by(self, value: f64, side: Side) -> bool {
        let (above, below) = (value > self.upper, value < self.lower);
        match side {
            Side::Above => above,
            Side::Below => below,
            Side::Either => above || below,
        }
    }

    /// The bound that a value is compared with.
    fn bound(self, value: Option<f64>, side: Side) -> f64 {
        match side {
            Side::Below => self.lower,
            Side::Either if value.is_some_and(|value| value < self.lower) => self.lower,
            Side::Above | Side::Either => self.upper,
        }
    }
}

/// Profiles of the series of a rule; None where a series has too little history.
pub type Learnt = HashMap<Series, Option<Profile>>;

/// Reads the history of a rule up to that minute and learns from it.
pub async fn learn(
    rollups: &Rollups,
    rule: &Rule,
    criterion: &DynamicCriterion,
    at: i64,
    now: Timestamp,
) -> Result<Learnt, EvaluationError> {
    let (measure, is_counted) = (&criterion.measure, is_counted(criterion));
    let mut learnt = Learnt::new();
    for target in targets(rule, [measure]) {
        for series in history(rollups, rule, criterion, target, at, now).await? {
            let samples = samples(&series.0, series.1, rule.window, measure.aggregation);
            let profile = Profile::learn(&samples, is_counted, at);
            learnt.insert(of(target, series.0.dimensions), profile);
            if learnt.len() > MAX_DYNAMIC_SERIES {
                return Err(EvaluationError::too_many_dynamic());
            }
        }
    }
    Ok(learnt)
}

fn is_counted(criterion: &DynamicCriterion) -> bool {
    let definition = criterion.measure.metric.definition();
    let is_summed = matches!(criterion.measure.aggregation, Aggregation::Total | Aggregation::Count);
    is_summed && (definition.unit == Unit::Count || criterion.measure.aggregation == Aggregation::Count)
}

/// The series of the longest history that can be read, and the minute at which each begins.
async fn history(
    rollups: &Rollups,
    rule: &Rule,
    criterion: &DynamicCriterion,
    target: &str,
    at: i64,
    now: Timestamp,
) -> Result<Vec<(Timeseries, i64)>, EvaluationError> {
    let ignored = criterion.ignore_before.map_or(i64::MIN, minute);
    let window = i64::from(rule.window).max(1);
    let mut failed = ReadError::TooMuchRead;
    for days in [DYNAMIC_HISTORY_DAYS, SHORT_DYNAMIC_HISTORY_DAYS] {
        // Whole windows, so that the last one ends here.
        let wanted = at.saturating_sub((days * DAY).max(window)).max(ignored);
        let from = at.saturating_sub(at.saturating_sub(wanted).max(0) / window * window);
        if from >= at {
            return Ok(Vec::new());
        }
        let span = Span { from, to: at };
        let question = question(&criterion.measure, target, span, Grain::Minutes(window))?;
        let mut budget = Budget::of(MAX_ROLLUPS_READ, MAX_DYNAMIC_POINTS);
        match rollups.read(&question, &mut budget, now).await {
            Ok(values) => return Ok(values.series.into_iter().map(|series| (series, from)).collect()),
            Err(error @ ReadError::State(_)) => return Err(error.into()),
            Err(error) => failed = error,
        }
    }
    Err(failed.into())
}

fn samples(series: &Timeseries, from: i64, window: u32, aggregation: Aggregation) -> Vec<Sample> {
    let starts = (0_i64..).map(|place| from.saturating_add(place.saturating_mul(i64::from(window))));
    let filled = starts.zip(&series.buckets);
    filled.filter_map(|(start, rollup)| Some((start, rollup.as_ref()?.value(aggregation)))).collect()
}

fn of(target: &str, dimensions: Vec<(String, String)>) -> Series {
    Series { target: target.to_owned(), dimensions }
}

/// Evaluates the last windows of a rule, the last of which ends with that minute, by what was learnt.
pub async fn dynamic(
    rollups: &Rollups,
    rule: &Rule,
    criterion: &DynamicCriterion,
    learnt: &Learnt,
    at: i64,
    now: Timestamp,
) -> Result<Vec<Finding>, EvaluationError> {
    let window = i64::from(rule.window).max(1);
    let periods = i64::from(criterion.failing.of.max(1));
    let span = Span { from: at.saturating_sub(window.saturating_mul(periods)), to: at };
    let mut findings = Vec::new();
    for target in targets(rule, [&criterion.measure]) {
        let question = question(&criterion.measure, target, span, Grain::Minutes(window))?;
        let values = rollups.read(&question, &mut Budget::default(), now).await?;
        for series in values.series {
            let key = of(target, series.dimensions.clone());
            let profile = learnt.get(&key).and_then(Option::as_ref);
            findings.push(judge(criterion, rule.window, key, &series, span.from, profile));
        }
        if findings.len() > MAX_DYNAMIC_SERIES {
            return Err(EvaluationError::too_many_dynamic());
        }
    }
    Ok(findings)
}

/// The minute up to which a rule learns for an evaluation: the windows that are judged teach nothing. It moves once an
/// hour, so that what was learnt can be used again.
pub fn learns_until(rule: &Rule, criterion: &DynamicCriterion, at: i64) -> i64 {
    let judged = i64::from(rule.window).saturating_mul(i64::from(criterion.failing.of.max(1)));
    at.saturating_sub(judged).div_euclid(60).saturating_mul(60)
}

fn judge(
    criterion: &DynamicCriterion,
    window: u32,
    key: Series,
    series: &Timeseries,
    from: i64,
    profile: Option<&Profile>,
) -> Finding {
    let (side, aggregation) = (criterion.side, criterion.measure.aggregation);
    let last = series.buckets.len().saturating_sub(1);
    let last = i64::try_from(last).unwrap_or(0).saturating_mul(i64::from(window)).saturating_add(from);
    let band = |minute| profile.map(|profile| profile.band(minute, criterion.sensitivity));
    let outside = samples(series, from, window, aggregation)
        .into_iter()
        .filter(|(minute, value)| band(*minute).is_some_and(|band| band.is_left_by(*value, side)))
        .count();
    let value = series.buckets.last().copied().flatten().map(|rollup| rollup.value(aggregation));
    let threshold = band(last).map(|band| band.bound(value, side));
    let dimensions = series.dimensions.clone();
    let wanted = usize::try_from(criterion.failing.at_least.max(1)).unwrap_or(usize::MAX);
    Finding { series: key, met: outside >= wanted, figures: vec![Figure { value, threshold, dimensions }] }
}

#[cfg(test)]
mod tests;
