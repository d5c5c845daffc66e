//! Questions about metrics: which, of whom, from when to when, in what grain, filtered, split, the first so many. Must
//! not know how they are asked or written.

use std::collections::HashMap;

use dps_model::Timestamp;
use dps_model::limits::{MAX_METRIC_POINTS, MAX_PAGE, MAX_ROLLUPS_READ, METRIC_RETENTION_MINUTES};

use super::definition::{Aggregation, Metric};
use super::document::{HOUR, Minutes, SeriesHour, dimensions_after_service, from_hour};
use super::filter::{Filter, Subject, subject};
use super::grain::{Grain, Span};
use super::rollup::{Rollup, fold_into};
use super::rollups::{OpenHour, Rollups, minute, read};
use crate::ports::{Kept, Shelf, StateError};

/// A provisioning service, as questions name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its name.
    pub service: String,
    /// Its ARM id.
    pub id: String,
    /// Its resource group.
    pub group: String,
}

/// A question about one metric.
#[derive(Clone, Debug)]
pub struct Question {
    /// Which.
    pub metric: Metric,
    /// Of whom; figures of several are folded unless the filter splits them.
    pub resources: Vec<Resource>,
    /// When.
    pub span: Span,
    /// In what grain.
    pub grain: Grain,
    /// Which series, and split by what.
    pub filter: Filter,
    /// Names of dimensions that the filter names and that do not split.
    pub rolled_up: Vec<String>,
    /// Which series come first.
    pub order: Order,
    /// How many; none for all.
    pub top: Option<usize>,
}

/// The order of series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// By what of the whole span.
    pub by: Aggregation,
    /// The least first.
    pub ascending: bool,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// As asked.
    pub span: Span,
    /// As asked.
    pub grain: Grain,
    /// Without a split, one; with one, those that have values.
    pub series: Vec<Timeseries>,
}

/// One series of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeseries {
    /// Name and value of each dimension that splits.
    pub dimensions: Vec<(String, String)>,
    /// One for each bucket of the span; none where nothing was counted.
    pub buckets: Vec<Option<Rollup>>,
}

impl Timeseries {
    /// All buckets folded.
    pub fn whole(&self) -> Option<Rollup> {
        let mut whole = None;
        self.buckets.iter().flatten().for_each(|rollup| fold_into(&mut whole, rollup));
        whole
    }
}

/// What the questions of one call may cost together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Stored hours of series that may be read.
    rollups: usize,
    /// Points that may be answered.
    points: i64,
}

impl Default for Budget {
    fn default() -> Self {
        Self::of(MAX_ROLLUPS_READ, MAX_METRIC_POINTS)
    }
}

impl Budget {
    /// So many stored hours of series, and so many points.
    pub const fn of(rollups: usize, points: i64) -> Self {
        Self { rollups, points }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Too many points.
    #[error(
        "The answer would have more than {MAX_METRIC_POINTS} points; ask for a shorter timespan, a coarser interval or fewer series."
    )]
    TooManyPoints,
    /// Too much to read.
    #[error(
        "The question covers more than {MAX_ROLLUPS_READ} stored hours of series; ask for a shorter timespan."
    )]
    TooMuchRead,
    /// The state failed; private.
    #[error(transparent)]
    State(#[from] StateError),
}

impl Question {
    /// The question without filter and order: everything of these resources.
    pub fn new(metric: Metric, resources: Vec<Resource>, span: Span, grain: Grain) -> Self {
        let order = Order { by: metric.definition().primary, ascending: false };
        let (filter, rolled_up, top) = (Filter::default(), Vec::new(), None);
        Self { metric, resources, span, grain, filter, rolled_up, order, top }
    }

    /// What splits the answer.
    fn split(&self) -> Vec<Subject> {
        let definition = self.metric.definition();
        let rolled: Vec<_> = self.rolled_up.iter().filter_map(|name| subject(name, definition)).collect();
        self.filter.subjects().into_iter().filter(|subject| !rolled.contains(subject)).collect()
    }
}

impl Rollups {
    /// Answers a question as of now: what was observed is there at once, flushed or not.
    pub async fn read(
        &self,
        question: &Question,
        budget: &mut Budget,
        now: Timestamp,
    ) -> Result<Values, ReadError> {
        if question.span.buckets(question.grain) > budget.points {
            return Err(ReadError::TooManyPoints);
        }
        let mut folding = Folding::new(question, budget.points);
        let left = &mut budget.rollups;
        if question.metric.definition().is_of_a_service() {
            for (place, resource) in question.resources.iter().enumerate() {
                self.fold_service(&mut folding, &resource.service, Some(place), now, left).await?;
            }
        } else {
            self.fold_service(&mut folding, "", None, now, left).await?;
        }
        budget.points = budget.points.saturating_sub(folding.points());
        Ok(folding.answer())
    }

    /// Folds the hours of a service: stored ones first, then those in memory, which stand for stored ones where they
    /// hold them. Hours that may be in memory wait for that; older ones are folded as they come.
    async fn fold_service(
        &self,
        folding: &mut Folding<'_>,
        service: &str,
        resource: Option<usize>,
        now: Timestamp,
        left: &mut usize,
    ) -> Result<(), ReadError> {
        let (metric, span) = (folding.question.metric, folding.question.span);
        let hour = minute(now).div_euclid(HOUR);
        let oldest = minute(now).saturating_sub(METRIC_RETENTION_MINUTES).div_euclid(HOUR);
        let first = span.from.div_euclid(HOUR).max(oldest);
        // Clocks differ a little, and not by more.
        let last = span.to.saturating_sub(1).div_euclid(HOUR).min(hour.saturating_add(1));
        if first > last {
            return Ok(());
        }
        let recent = self.first_in_memory(metric, service).unwrap_or(hour).min(hour.saturating_sub(1));
        let mut waiting: HashMap<SeriesHour, Minutes> = HashMap::new();
        let mut after = from_hour(metric, service, first);
        let end = from_hour(metric, service, last.saturating_add(1));
        loop {
            let page = self.state.list(Shelf::Rollups, Some(&after), MAX_PAGE).await?;
            let inside = page.into_iter().take_while(|document| document.id < end);
            let mut taken = 0;
            for document in inside {
                taken += 1;
                *left = left.checked_sub(1).ok_or(ReadError::TooMuchRead)?;
                after.clone_from(&document.id);
                fold_stored(folding, &document, resource, recent, &mut waiting)?;
            }
            if taken < MAX_PAGE {
                break;
            }
        }
        for (key, hour) in self.in_memory(metric, service, first, last) {
            if key.hour < recent && hour.whole {
                continue; // came into memory meanwhile; what is stored of it is folded
            }
            let stored = waiting.remove(&key);
            folding.fold(&key, &hour.minutes, resource)?;
            // What this run has not read yet is on top of what an earlier one wrote.
            if let Some(minutes) = stored.filter(|_| !hour.whole) {
                folding.fold(&key, &minutes, resource)?;
            }
        }
        waiting.iter().try_for_each(|(key, minutes)| folding.fold(key, minutes, resource))
    }

    fn first_in_memory(&self, metric: Metric, service: &str) -> Option<i64> {
        let open = self.open();
        let of = |key: &&SeriesHour| is_of(key, metric, service);
        open.hours.keys().filter(of).map(|key| key.hour).min()
    }

    fn in_memory(&self, metric: Metric, service: &str, first: i64, last: i64) -> Vec<(SeriesHour, OpenHour)> {
        let open = self.open();
        let wanted = |key: &SeriesHour| is_of(key, metric, service) && (first..=last).contains(&key.hour);
        open.hours
            .iter()
            .filter(|(key, _)| wanted(key))
            .map(|(key, hour)| (key.clone(), hour.clone()))
            .collect()
    }
}

fn is_of(key: &SeriesHour, metric: Metric, service: &str) -> bool {
    key.series.metric == metric && key.series.service.eq_ignore_ascii_case(service)
}

fn fold_stored(
    folding: &mut Folding<'_>,
    document: &Kept,
    resource: Option<usize>,
    recent: i64,
    waiting: &mut HashMap<SeriesHour, Minutes>,
) -> Result<(), ReadError> {
    let Some((key, minutes)) = read(folding.question.metric, document) else { return Ok(()) };
    if key.hour >= recent {
        waiting.insert(key, minutes);
        return Ok(());
    }
    folding.fold(&key, &minutes, resource)
}

/// An answer that comes about.
struct Folding<'a> {
    question: &'a Question,
    split: Vec<Subject>,
    buckets: usize,
    grain: i64,
    /// Points that there may be.
    most: i64,
    /// By the values of what splits.
    series: HashMap<Vec<String>, Vec<Option<Rollup>>>,
}

impl<'a> Folding<'a> {
    fn new(question: &'a Question, most: i64) -> Self {
        let split = question.split();
        let buckets = usize::try_from(question.span.buckets(question.grain)).unwrap_or(0);
        let mut series = HashMap::new();
        if split.is_empty() {
            series.insert(Vec::new(), vec![None; buckets]);
        }
        Self { question, split, buckets, grain: question.grain.minutes(question.span), most, series }
    }

    /// Folds what the question asks of an hour of a series.
    fn fold(
        &mut self,
        key: &SeriesHour,
        minutes: &Minutes,
        resource: Option<usize>,
    ) -> Result<(), ReadError> {
        let question = self.question;
        let resource = resource.and_then(|place| question.resources.get(place));
        let value = |subject: &Subject| value(key, *subject, resource);
        let fits = question.filter.groups.iter().all(|group| {
            // Of the server, nothing can be said by resource.
            value(&group.subject).is_some_and(|value| group.holds(&value))
        });
        if !fits {
            return Ok(());
        }
        let span = question.span;
        let start = key.hour.saturating_mul(HOUR);
        let inside = minutes
            .iter()
            .map(|(minute, rollup)| (start.saturating_add(i64::from(*minute)), rollup))
            .filter(|(minute, _)| (span.from..span.to).contains(minute));
        let mut inside = inside.peekable();
        if inside.peek().is_none() {
            return Ok(());
        }
        let name: Vec<String> = self.split.iter().map(|subject| value(subject).unwrap_or_default()).collect();
        let more = i64::try_from(self.buckets).unwrap_or(i64::MAX);
        if !self.series.contains_key(&name) && self.points().saturating_add(more) > self.most {
            return Err(ReadError::TooManyPoints);
        }
        let buckets = self.series.entry(name).or_insert_with(|| vec![None; self.buckets]);
        for (minute, rollup) in inside {
            let place = usize::try_from((minute - span.from) / self.grain).unwrap_or(usize::MAX);
            if let Some(bucket) = buckets.get_mut(place) {
                fold_into(bucket, rollup);
            }
        }
        Ok(())
    }

    fn points(&self) -> i64 {
        i64::try_from(self.series.len().saturating_mul(self.buckets)).unwrap_or(i64::MAX)
    }

    fn answer(self) -> Values {
        let Question { metric, span, grain, order, top, .. } = self.question;
        let definition = metric.definition();
        let names: Vec<&str> = self
            .split
            .iter()
            .map(|subject| match subject {
                Subject::Dimension(place) => definition.dimensions.get(*place).copied().unwrap_or_default(),
                Subject::ResourceId => "Microsoft.ResourceId",
                Subject::ResourceGroup => "Microsoft.ResourceGroupName",
            })
            .collect();
        let mut series: Vec<Timeseries> = self
            .series
            .into_iter()
            .map(|(values, buckets)| {
                let dimensions = names.iter().map(|name| (*name).to_owned()).zip(values).collect();
                Timeseries { dimensions, buckets }
            })
            .collect();
        let rank =
            |series: &Timeseries| series.whole().map_or(f64::NEG_INFINITY, |whole| whole.value(order.by));
        series.sort_by(|a, b| {
            let by_value = rank(a).total_cmp(&rank(b));
            let by_value = if order.ascending { by_value } else { by_value.reverse() };
            by_value.then_with(|| a.dimensions.cmp(&b.dimensions))
        });
        series.truncate(top.unwrap_or(usize::MAX));
        Values { span: *span, grain: *grain, series }
    }
}

/// The value of a subject; none where it has none.
fn value(key: &SeriesHour, subject: Subject, resource: Option<&Resource>) -> Option<String> {
    match subject {
        Subject::ResourceId => resource.map(|resource| resource.id.clone()),
        Subject::ResourceGroup => resource.map(|resource| resource.group.clone()),
        Subject::Dimension(place) => {
            let (all, after) = (
                key.series.metric.definition().dimensions.len(),
                dimensions_after_service(key.series.metric).len(),
            );
            match place.checked_sub(all - after) {
                Some(place) => key.series.values.get(place).cloned(),
                None => Some(key.series.service.clone()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
