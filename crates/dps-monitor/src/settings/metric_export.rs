//! The export of metrics: each minute that is over, once, for the settings that send them. Dimensions are dropped: a
//! metric has one total a minute. Must not know where rows are kept.
//!
//! The minute that comes next is kept in the state and moved on before what was counted is handed over, so that a
//! restart doubles nothing; a crash in between costs that minute. Minutes of a standstill are made up for.

use std::sync::Arc;

use dps_model::limits::{MAX_METRIC_EXPORT_MINUTES, METRIC_EXPORT_DELAY};
use dps_model::{Etag, Timestamp};
use serde::{Deserialize, Serialize};

use super::book::SettingsBook;
use super::deliveries::Deliveries;
use crate::Row;
use crate::destinations::MetricMinute;
use crate::logs::{MetricTotal, rows_of_minute};
use crate::metrics::{
    Budget, Grain, Metric, Question, ReadError, Resource as Asked, Rollups, Span, Timeseries,
};
use crate::ports::{IdParts, Kept, MonitorState, Resource, Shelf, StateError, StateWrite};

/// Takes rows of the workspace.
pub type Rows = Arc<dyn Fn(Row) + Send + Sync>;

/// Exports metrics.
pub struct MetricExport {
    book: Arc<SettingsBook>,
    rollups: Arc<Rollups>,
    state: Arc<dyn MonitorState>,
    deliveries: Arc<Deliveries>,
    /// None where no workspace is kept.
    rows: Option<Rows>,
    /// The minute that comes next, counted from 1970.
    next: tokio::sync::Mutex<Option<i64>>,
}

#[derive(Serialize, Deserialize)]
struct Place {
    minute: i64,
}

/// Id of the place.
const PLACE: &str = "metricExport";
const MINUTE: i64 = 60_000;

impl MetricExport {
    /// Of what these rollups count.
    pub fn new(
        book: Arc<SettingsBook>,
        rollups: Arc<Rollups>,
        state: Arc<dyn MonitorState>,
        deliveries: Arc<Deliveries>,
        rows: Option<Rows>,
    ) -> Self {
        Self { book, rollups, state, deliveries, rows, next: tokio::sync::Mutex::default() }
    }

    /// Exports what is due of these resources; answers how many minutes had something. What fails is tried again by the
    /// next call.
    pub async fn run(&self, resources: &[Resource], now: Timestamp) -> Result<usize, ReadError> {
        let mut next = self.next.lock().await;
        let over = now.plus_millis(-METRIC_EXPORT_DELAY * 1_000).millis().div_euclid(MINUTE);
        let kept = match *next {
            Some(minute) => Some(minute),
            None => self.place().await?,
        };
        let first = if let Some(minute) = kept {
            minute
        } else {
            // The first start has nothing to make up for.
            self.move_on(over).await?;
            over
        };
        let mut exported = 0;
        let first = first.max(over.saturating_sub(MAX_METRIC_EXPORT_MINUTES));
        for minute in first..over {
            exported += usize::from(self.export(resources, minute, now).await?);
            *next = Some(minute + 1);
        }
        *next = Some(first.max(over));
        Ok(exported)
    }

    async fn place(&self) -> Result<Option<i64>, StateError> {
        let kept = self.state.get(Shelf::Places, PLACE).await?;
        Ok(kept.and_then(|kept| serde_json::from_str::<Place>(&kept.body).ok()).map(|place| place.minute))
    }

    /// A minute in which nothing was counted leaves no trace: it would export the same again.
    async fn export(&self, resources: &[Resource], minute: i64, now: Timestamp) -> Result<bool, ReadError> {
        let mut all = Vec::new();
        for resource in resources {
            let effect = self.book.effect(&resource.id.to_uppercase());
            let wanted = (effect.metrics_to_workspace() && self.rows.is_some())
                || effect.outlets.iter().any(|outlet| outlet.takes_metrics());
            if wanted {
                let totals = self.totals(resource, minute, now).await?;
                if !totals.is_empty() {
                    all.push((resource, effect, totals));
                }
            }
        }
        if all.is_empty() {
            return Ok(false);
        }
        self.move_on(minute + 1).await?;
        let time = Timestamp::from_millis(minute * MINUTE);
        for (resource, effect, totals) in all {
            if let (Some(rows), Some(workspace)) = (&self.rows, self.book.workspace())
                && effect.metrics_to_workspace()
            {
                for row in rows_of_minute(&workspace.id, resource, time, &totals) {
                    rows(row);
                }
            }
            let minutes: Vec<MetricMinute> = totals.iter().map(|total| of(total, time)).collect();
            for outlet in effect.outlets.iter().filter(|outlet| outlet.takes_metrics()) {
                self.deliveries.take_metrics(outlet, &minutes, now);
            }
        }
        Ok(true)
    }

    async fn move_on(&self, minute: i64) -> Result<(), StateError> {
        let body = serde_json::to_string(&Place { minute });
        let body = body.map_err(|error| StateError::Failed(error.to_string()))?;
        let document = Kept { id: PLACE.to_owned(), etag: Etag::fresh(), body, sealed: None };
        self.state.write(vec![StateWrite::Put { shelf: Shelf::Places, document, over: None }]).await
    }

    async fn totals(
        &self,
        resource: &Resource,
        minute: i64,
        now: Timestamp,
    ) -> Result<Vec<MetricTotal<'static>>, ReadError> {
        let parts = IdParts::of(&resource.id);
        let asked = Asked {
            service: parts.name.to_owned(),
            id: resource.id.clone(),
            group: parts.resource_group.to_owned(),
        };
        let mut totals = Vec::new();
        // Ours as well as Azure's (D-647).
        let of_a_service = |metric: &Metric| metric.definition().is_of_a_service();
        for metric in Metric::ALL.into_iter().filter(of_a_service) {
            let span = Span { from: minute, to: minute + 1 };
            let question = Question::new(metric, vec![asked.clone()], span, Grain::Minutes(1));
            let values = self.rollups.read(&question, &mut Budget::default(), now).await?;
            let definition = metric.definition();
            totals.extend(values.series.iter().filter_map(Timeseries::whole).map(|rollup| MetricTotal {
                name: definition.name,
                unit: definition.unit.name(),
                sum: rollup.sum,
                count: rollup.count,
                minimum: rollup.minimum,
                maximum: rollup.maximum,
            }));
        }
        Ok(totals)
    }
}

fn of(total: &MetricTotal<'static>, time: Timestamp) -> MetricMinute {
    let MetricTotal { name, unit, sum, count, minimum, maximum } = *total;
    MetricMinute { time, name, unit, total: sum, count, minimum, maximum }
}

#[cfg(test)]
mod tests;
