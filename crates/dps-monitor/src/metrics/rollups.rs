//! The rollups: recent hours in memory, every hour in the state. Takes points without ever waiting for a disk; a flush
//! writes what changed.
//!
//! An hour comes into memory with its first point and knows nothing yet of what an earlier run wrote. The flush that
//! sees it first reads the document and folds it in; from then on memory holds the absolute figures, and each write is of
//! those, so that a write that was done but not acknowledged harms nothing. `kill -9` costs what was not flushed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dps_events::Event;
use dps_model::limits::{
    MAX_DIMENSION_VALUE, MAX_METRIC_SERIES, MAX_ROLLUPS_PER_COMMIT, METRIC_RETENTION_MINUTES,
    ROLLUP_LINGER_MINUTES,
};
use dps_model::{Etag, Timestamp};

use super::definition::Metric;
use super::document::{HOUR, Minutes, Series, SeriesHour, from_hour, of_metric, of_service, place};
use super::point::{Point, Sample, points};
use super::rollup::Rollup;
use crate::ports::{Kept, MonitorState, Shelf, StateError, StateWrite};

/// Value of every dimension of points that found no place among the series.
const OTHER: &str = "Other";

/// The rollups of a server.
pub struct Rollups {
    open: Mutex<Open>,
    pub(super) state: Arc<dyn MonitorState>,
    /// One flush at a time.
    flushing: tokio::sync::Mutex<()>,
    overflowed: AtomicU64,
}

/// Hours in memory.
#[derive(Default)]
pub(super) struct Open {
    pub(super) hours: HashMap<SeriesHour, OpenHour>,
    /// Series of each metric and hour.
    series: HashMap<(Metric, i64), usize>,
}

#[derive(Clone, Default)]
pub(super) struct OpenHour {
    pub(super) minutes: Minutes,
    /// Holds what the state had, too.
    pub(super) whole: bool,
    /// Points taken since it came into memory, and how many of them are written.
    taken: u64,
    written: u64,
}

impl OpenHour {
    fn is_changed(&self) -> bool {
        self.taken != self.written
    }
}

impl Rollups {
    /// Over that state.
    pub fn new(state: Arc<dyn MonitorState>) -> Self {
        Self {
            open: Mutex::default(),
            state,
            flushing: tokio::sync::Mutex::default(),
            overflowed: AtomicU64::new(0),
        }
    }

    /// Folds in what an event counts.
    pub fn observe(&self, event: &Event) {
        self.take(points(event));
    }

    /// Folds in what was seen of the server.
    pub fn sample(&self, samples: &[Sample], time: Timestamp) {
        self.take(samples.iter().map(|sample| Point {
            metric: sample.metric,
            service: sample.service.as_deref(),
            values: sample.values.iter().map(|value| value.as_str().into()).collect(),
            time,
            rollup: Rollup::of(sample.value),
        }));
    }

    fn take<'a>(&self, points: impl IntoIterator<Item = Point<'a>>) {
        let mut open = self.open();
        for point in points {
            if !open.take(&point) {
                self.overflowed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Points so far that found no place among the series and count as `Other`.
    pub fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    /// Writes what has changed since the last flush. What could not be written is written by the next one.
    pub async fn flush(&self, now: Timestamp) -> Result<(), StateError> {
        let _alone = self.flushing.lock().await;
        let unread = self.keys(|hour| !hour.whole);
        for key in unread {
            let stored = self.stored(&key).await?;
            let mut open = self.open();
            if let Some(hour) = open.hours.get_mut(&key) {
                fold(&mut hour.minutes, &stored);
                hour.whole = true;
            }
        }
        let changed = self.keys(|hour| hour.whole && hour.is_changed());
        for batch in changed.chunks(MAX_ROLLUPS_PER_COMMIT) {
            let (writes, taken) = self.writes(batch);
            self.state.write(writes).await?;
            // Only now: a flush that fails or is broken off leaves all to the next one.
            let mut open = self.open();
            for (key, taken) in batch.iter().zip(taken) {
                if let Some(hour) = open.hours.get_mut(key) {
                    hour.written = taken;
                }
            }
        }
        self.open().forget(now);
        Ok(())
    }

    fn keys(&self, wanted: impl Fn(&OpenHour) -> bool) -> Vec<SeriesHour> {
        let open = self.open();
        open.hours.iter().filter(|(_, hour)| wanted(hour)).map(|(key, _)| key.clone()).collect()
    }

    async fn stored(&self, key: &SeriesHour) -> Result<Minutes, StateError> {
        let Some(document) = self.state.get(Shelf::Rollups, &key.id()).await? else {
            return Ok(Minutes::new());
        };
        Ok(read(key.series.metric, &document).map(|(_, minutes)| minutes).unwrap_or_default())
    }

    /// The documents of these hours as they are now, and how many points each holds.
    fn writes(&self, keys: &[SeriesHour]) -> (Vec<StateWrite>, Vec<u64>) {
        let open = self.open();
        let one = |key: &SeriesHour| {
            let hour = open.hours.get(key).cloned().unwrap_or_default();
            let document =
                Kept { id: key.id(), etag: Etag::fresh(), body: key.body(&hour.minutes), sealed: None };
            (StateWrite::Put { shelf: Shelf::Rollups, document, over: None }, hour.taken)
        };
        keys.iter().map(one).unzip()
    }

    /// Removes what is too old; answers how many hours of series that were.
    pub async fn expire(&self, now: Timestamp) -> Result<usize, StateError> {
        let oldest = minute(now).saturating_sub(METRIC_RETENTION_MINUTES).div_euclid(HOUR);
        let mut removed = 0;
        for metric in Metric::ALL {
            let mut after = of_metric(metric);
            while let Some(first) = self.next(metric, &after).await? {
                let service = first.0;
                removed += self.expire_service(metric, &service, oldest).await?;
                // Behind every id of that service: no id holds this character.
                after = format!("{}~", of_service(metric, &service));
            }
        }
        Ok(removed)
    }

    /// Service and hour of the first document of a metric behind that id.
    async fn next(&self, metric: Metric, after: &str) -> Result<Option<(String, i64)>, StateError> {
        let page = self.state.list(Shelf::Rollups, Some(after), 1).await?;
        let first = page.first().and_then(|kept| place(metric, &kept.id));
        Ok(first.map(|(service, hour)| (service.to_owned(), hour)))
    }

    async fn expire_service(&self, metric: Metric, service: &str, oldest: i64) -> Result<usize, StateError> {
        let (start, end) = (from_hour(metric, service, 0), from_hour(metric, service, oldest));
        let mut removed = 0;
        loop {
            let page = self.state.list(Shelf::Rollups, Some(&start), MAX_ROLLUPS_PER_COMMIT).await?;
            let old: Vec<StateWrite> = page
                .into_iter()
                .take_while(|kept| kept.id < end)
                .map(|kept| StateWrite::Delete { shelf: Shelf::Rollups, id: kept.id })
                .collect();
            if old.is_empty() {
                return Ok(removed);
            }
            removed += old.len();
            self.state.write(old).await?;
        }
    }

    pub(super) fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Folds a point in; false where its series found no place.
    fn take(&mut self, point: &Point<'_>) -> bool {
        let minute = minute(point.time);
        if minute < 0 {
            return true; // before 1970: a clock that was never set
        }
        let service = point.service.unwrap_or_default().to_owned();
        let values = point.values.iter().map(|value| cut(value)).collect();
        let series = Series { metric: point.metric, service, values };
        let mut key = SeriesHour { series, hour: minute.div_euclid(HOUR) };
        let fits = self.has_room(&key);
        if !fits {
            key.series.values.iter_mut().for_each(|value| OTHER.clone_into(value));
        }
        let hour = self.hours.entry(key).or_default();
        hour.taken = hour.taken.wrapping_add(1);
        let place = u8::try_from(minute.rem_euclid(HOUR)).unwrap_or(0);
        hour.minutes.entry(place).and_modify(|there| there.fold(&point.rollup)).or_insert(point.rollup);
        fits
    }

    fn has_room(&mut self, key: &SeriesHour) -> bool {
        if self.hours.contains_key(key) {
            return true;
        }
        let series = self.series.entry((key.series.metric, key.hour)).or_default();
        let fits = *series < MAX_METRIC_SERIES;
        *series += usize::from(fits);
        fits
    }

    /// Lets go of hours that are over and written.
    fn forget(&mut self, now: Timestamp) {
        let over = minute(now).saturating_sub(ROLLUP_LINGER_MINUTES).div_euclid(HOUR);
        self.hours.retain(|key, hour| key.hour >= over || hour.is_changed() || !hour.whole);
        let Self { hours, series } = self;
        series.retain(|(metric, hour), _| {
            *hour >= over || hours.keys().any(|key| key.hour == *hour && key.series.metric == *metric)
        });
    }
}

/// Reads a stored hour; damage is said, and counts as nothing.
pub(super) fn read(metric: Metric, document: &Kept) -> Option<(SeriesHour, Minutes)> {
    let read = SeriesHour::read(metric, &document.body);
    if read.is_none() {
        tracing::error!(id = document.id, "a stored rollup cannot be read and counts as nothing");
    }
    read
}

pub(super) fn fold(into: &mut Minutes, from: &Minutes) {
    for (minute, rollup) in from {
        into.entry(*minute).and_modify(|there| there.fold(rollup)).or_insert(*rollup);
    }
}

/// The minute of an instant, counted from 1970.
pub(super) fn minute(time: Timestamp) -> i64 {
    time.millis().div_euclid(60_000)
}

fn cut(value: &str) -> String {
    value.chars().take(MAX_DIMENSION_VALUE).collect()
}

#[cfg(test)]
mod tests;
