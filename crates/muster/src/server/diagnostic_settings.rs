//! Diagnostic settings at work: events on their way to destinations outside the server, metrics by the minute, and the
//! settings of services that are gone. Must not know what a setting says.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use dps_core::Instances;
use dps_core::ports::Clock;
use dps_events::Metrics;
use dps_events::recorder::Listener;
use dps_management_api::InstanceResources;
use dps_model::Timestamp;
use dps_model::limits::{METRIC_EXPORT_INTERVAL, SETTINGS_FORGET_INTERVAL};
use dps_monitor::destinations::Destination;
use dps_monitor::metrics::Rollups;
use dps_monitor::settings::{Deliveries, Destinations, MetricExport, Rows, SettingsBook};
use dps_monitor::{IdParts, MonitorState, Projection, Resource};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::place::WorkspacePlace;

/// Diagnostic settings, and what follows from them.
pub struct DiagnosticSettings {
    /// What is set.
    pub book: Arc<SettingsBook>,
    state: Arc<dyn MonitorState>,
    deliveries: Arc<Deliveries>,
    clock: Arc<dyn Clock>,
    /// Once there are instances that events can be told of.
    projection: Arc<OnceLock<Projection>>,
}

impl DiagnosticSettings {
    /// Reads what was set. Destinations outside the server go by the id that a setting names, in lower case.
    pub async fn open(
        state: Arc<dyn MonitorState>,
        place: &WorkspacePlace,
        external: BTreeMap<String, Arc<dyn Destination>>,
        metrics: &Arc<Metrics>,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let destinations = Destinations { workspace: Some(place.named()), external };
        let book = SettingsBook::open(Arc::clone(&state), destinations).await;
        let book = Arc::new(book.context("cannot read the diagnostic settings")?);
        let deliveries = Deliveries::new(Arc::clone(&book), Arc::clone(metrics), Handle::current());
        Ok(Self { book, state, deliveries: Arc::new(deliveries), clock, projection: Arc::default() })
    }

    /// A listener of the recorder that sends each event on its way before another one sees it.
    pub fn delivering(&self, mut then: Listener) -> Listener {
        let (deliveries, projection) = (Arc::clone(&self.deliveries), Arc::clone(&self.projection));
        let clock = Arc::clone(&self.clock);
        Box::new(move |event| {
            if let Some(projection) = projection.get() {
                deliveries.observe(event, projection, clock.now());
            }
            then(event);
        })
    }

    /// From now on events are delivered.
    pub fn begin(&self, place: &WorkspacePlace, instances: &Arc<Instances>) {
        let projection = Projection {
            resources: Arc::new(InstanceResources(Arc::clone(instances))),
            workspace: place.id.to_string(),
            addresses: place.addresses,
        };
        let _ = self.projection.set(projection); // it is begun once
    }

    /// Exports metrics, and forgets what is of nobody any more, until the task is ended.
    pub fn keep_up(
        &self,
        rollups: Arc<Rollups>,
        instances: Arc<Instances>,
        rows: Option<Rows>,
    ) -> AbortHandle {
        let (book, deliveries) = (Arc::clone(&self.book), Arc::clone(&self.deliveries));
        let state = Arc::clone(&self.state);
        let export = MetricExport::new(Arc::clone(&book), rollups, state, Arc::clone(&deliveries), rows);
        let keeper = Keeper { book, deliveries, export, instances, clock: Arc::clone(&self.clock) };
        tokio::spawn(keeper.run()).abort_handle()
    }

    /// Delivers what waits, within its bound; later events go nowhere.
    pub async fn close(&self) {
        self.deliveries.close().await;
    }
}

struct Keeper {
    book: Arc<SettingsBook>,
    deliveries: Arc<Deliveries>,
    export: MetricExport,
    instances: Arc<Instances>,
    clock: Arc<dyn Clock>,
}

impl Keeper {
    async fn run(self) {
        let mut tick = tokio::time::interval(Duration::from_secs(METRIC_EXPORT_INTERVAL));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut looked: Option<Timestamp> = None;
        let mut failing = false;
        loop {
            tick.tick().await;
            let now = self.clock.now();
            self.deliveries.settle();
            let mut result =
                self.export.run(&self.resources(), now).await.map(drop).map_err(|it| it.to_string());
            let due =
                looked.is_none_or(|at| now.seconds().abs_diff(at.seconds()) >= SETTINGS_FORGET_INTERVAL);
            if due && result.is_ok() {
                looked = Some(now);
                result = self.forget().await.map_err(|error| error.to_string());
            }
            // A full disk must not flood the log: the first failure is said.
            let failed = result.is_err();
            if let Err(error) = result
                && !failing
            {
                tracing::error!(error, "metrics cannot be exported now; it is tried again");
            }
            failing = failed;
        }
    }

    fn resources(&self) -> Vec<Resource> {
        let of = |instance: &Arc<dps_model::instance::Instance>| Resource {
            id: instance.resource_id.clone(),
            location: instance.location.clone(),
        };
        self.instances.all().iter().map(of).collect()
    }

    async fn forget(&self) -> Result<(), dps_monitor::StateError> {
        let instances = &self.instances;
        let exists = |id: &str| {
            let found = instances.by_name(IdParts::of(id).name);
            found.is_some_and(|instance| instance.resource_id.eq_ignore_ascii_case(id))
        };
        let gone = self.book.forget(exists).await?;
        if gone > 0 {
            tracing::info!(gone, "diagnostic settings of provisioning services that are gone were removed");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
