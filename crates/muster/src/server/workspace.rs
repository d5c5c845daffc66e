//! The built-in workspace: rows of closed events on disk, and the engine that answers queries about them. Owns their
//! lifetimes and the upkeep of the log store; must not know what a row or a query means.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use dps_core::Instances;
use dps_core::ports::Clock;
use dps_device_api::foreign::{Body, HttpFront};
use dps_events::Metrics;
use dps_events::recorder::Listener;
use dps_management_api::InstanceResources;
use dps_management_api::logs::{self, LogsApi};
use dps_model::limits::{MAX_QUERIES_RUNNING, MAX_QUERIES_WAITING, WORKSPACE_UPKEEP};
use dps_monitor::settings::Rows;
use dps_monitor::{Ingestion, Projection, QueryEngine, Routes};
use dps_query::store::{ParquetStore, Place, StoreOptions};
use dps_query::{DataFusionEngine, EngineOptions};
use tokio::task::AbortHandle;

use super::destinations;
use super::place::WorkspacePlace;
use super::rooms::{Outside, Site};
use crate::config::WorkspaceSettings;

/// The workspace.
pub struct Workspace {
    store: Arc<ParquetStore>,
    engine: Arc<DataFusionEngine>,
    /// Once there are instances that events can be told of.
    ingestion: Arc<OnceLock<Ingestion>>,
}

impl Workspace {
    /// Opens its folder, by default that one; it is created when missing.
    pub fn open(
        folder: PathBuf,
        settings: &WorkspaceSettings,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let folder = settings.folder.clone().unwrap_or(folder);
        let failed = format!("cannot open the log store {}", folder.display());
        let mut kept = StoreOptions::new(folder);
        kept.keep_for = settings.keep_for.or(kept.keep_for);
        kept.keep_bytes = settings.keep_size;
        if let Some(files) = &settings.files {
            kept.files = Place::Objects(Arc::new(destinations::objects(files, clock)?));
        }
        // A bucket is listed, by the runtime that this thread is of.
        let opened = tokio::task::block_in_place(|| ParquetStore::open(kept));
        let store = Arc::new(opened.context(failed)?);
        let options = EngineOptions {
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            running: NonZeroUsize::new(MAX_QUERIES_RUNNING).unwrap_or(NonZeroUsize::MIN),
            waiting: MAX_QUERIES_WAITING,
        };
        let engine = Arc::new(DataFusionEngine::open(Arc::clone(&store) as _, options)?);
        Ok(Self { store, engine, ingestion: Arc::default() })
    }

    /// A listener of the recorder that sends each event's row on its way before another one sees the event.
    pub fn recording(&self, mut then: Listener) -> Listener {
        let ingestion = Arc::clone(&self.ingestion);
        Box::new(move |event| {
            if let Some(ingestion) = ingestion.get() {
                ingestion.take(event);
            }
            then(event);
        })
    }

    /// From now on those rows are kept that the routes send here.
    pub fn begin(
        &self,
        place: &WorkspacePlace,
        instances: &Arc<Instances>,
        routes: Arc<dyn Routes>,
        metrics: &Arc<Metrics>,
    ) -> anyhow::Result<()> {
        let projection = Projection {
            resources: Arc::new(InstanceResources(Arc::clone(instances))),
            workspace: place.id.to_string(),
            addresses: place.addresses,
        };
        let store = Arc::clone(&self.store);
        let begun = Ingestion::start(store as _, projection, routes, Arc::clone(metrics))?;
        let _ = self.ingestion.set(begun); // it is begun once
        tracing::info!(workspace = %place.id, "log rows are kept, and queries answered");
        Ok(())
    }

    /// Takes rows that are no event's.
    #[allow(clippy::unnecessary_wraps)] // as in a build without
    pub fn rows(&self) -> Option<Rows> {
        let ingestion = Arc::clone(&self.ingestion);
        Some(Arc::new(move |row| {
            if let Some(ingestion) = ingestion.get() {
                ingestion.append(row);
            }
        }))
    }

    /// Who answers queries on the shared port.
    pub fn fronts(&self, place: &WorkspacePlace, site: &Site, outside: &Outside) -> Vec<Arc<dyn HttpFront>> {
        let workspace = logs::Workspace { id: place.id, resource_id: place.resource_id() };
        let api = LogsApi::new(
            Arc::clone(&self.engine) as _,
            Arc::clone(&site.instances),
            workspace,
            Arc::clone(&site.access),
            Arc::clone(&outside.sink),
            Arc::clone(&outside.clock),
        );
        vec![Arc::new(LogsFront(api))]
    }

    /// Who answers queries.
    #[allow(clippy::unnecessary_wraps)] // as in a build without
    pub fn queries(&self) -> Option<Arc<dyn QueryEngine>> {
        Some(Arc::clone(&self.engine) as _)
    }

    /// Rolls hours that are over into files, merges small ones and removes old ones, until the task is ended.
    pub fn keep_up(&self, clock: Arc<dyn Clock>) -> AbortHandle {
        let store = Arc::clone(&self.store);
        let upkeep = async move {
            let mut tick = tokio::time::interval(Duration::from_secs(WORKSPACE_UPKEEP));
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tick.tick().await;
                let (store, now) = (Arc::clone(&store), logs::ticks(clock.now()));
                match tokio::task::spawn_blocking(move || store.maintain(now)).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => tracing::error!(%error, "the log store could not be tidied"),
                    Err(error) => tracing::error!(%error, "the upkeep of the log store broke off"),
                }
            }
        };
        tokio::spawn(upkeep).abort_handle()
    }

    /// Keeps what waits; later events have no rows. What is in segments is there after the next start.
    pub fn close(&self) {
        if let Some(ingestion) = self.ingestion.get() {
            ingestion.close();
        }
    }
}

/// Queries on the shared port.
struct LogsFront(LogsApi);

#[async_trait]
impl HttpFront for LogsFront {
    fn claims_http(&self, _host: &str, path: &str) -> bool {
        logs::claims(path)
    }

    async fn http(&self, request: http::Request<Body>) -> http::Response<Body> {
        self.0.serve(request).await
    }
}
