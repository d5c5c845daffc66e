//! What watches a running server: metrics by the minute, diagnostic settings, the built-in workspace, telemetry, and the
//! recorder that feeds them all. Owns the order in which they begin and end; must not know what any of them keeps.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use dps_core::Throttle;
use dps_core::ports::{Clock, Store};
use dps_events::recorder::Listener;
use dps_events::{AttemptLog, AttemptReader, EventSink, Metrics, Recorder};
use dps_monitor::MonitorState;
use dps_monitor::destinations::Destination;
use dps_monitor::inbox::Inbox;
use dps_monitor::metrics::Rollups;
use dps_monitor::settings::SettingsBook;
use dps_store::StoreState;
use tokio::task::AbortHandle;

use super::diagnostic_settings::DiagnosticSettings;
use super::explaining::Explaining;
use super::health::Health;
use super::last_shown::LastShownMemory;
use super::place::WorkspacePlace;
use super::rollups;
use super::rooms::{Outside, Site};
use super::telemetry::{Telemetry, Watched};
use super::unknown;
use super::workspace::Workspace;
use crate::config::{TelemetrySettings, WorkspaceSettings};

/// What watching begins with.
pub struct Plan<'a> {
    /// Where documents are kept.
    pub store: Arc<dyn dps_core::ports::Store>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where the workspace is, as Azure names places.
    pub place: WorkspacePlace,
    /// Its folder, unless settings say another.
    pub folder: PathBuf,
    /// How it keeps rows.
    pub workspace: &'a WorkspaceSettings,
    /// Destinations outside the server, by the id in lower case that a diagnostic setting names.
    pub destinations: BTreeMap<String, Arc<dyn Destination>>,
    /// The log of attempts.
    pub log: AttemptLog,
}

/// Everything that watches.
pub struct Watching {
    /// Metrics by the minute.
    pub rollups: Arc<Rollups>,
    /// Diagnostic settings.
    pub settings: Arc<SettingsBook>,
    /// The attempt log.
    pub attempts: AttemptReader,
    /// Devices that no enrollment knows.
    pub inbox: Arc<Inbox>,
    /// What refused devices showed last.
    pub shown: LastShownMemory,
    place: WorkspacePlace,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    diagnostics: DiagnosticSettings,
    workspace: Workspace,
    telemetry: Telemetry,
    explaining: Explaining,
    recorder: Arc<Recorder>,
    upkeep: Vec<AbortHandle>,
}

impl Watching {
    /// Opens what is kept, and takes events from now on. They go to whoever else listens, too.
    pub async fn open(plan: Plan<'_>, listener: Listener) -> anyhow::Result<Self> {
        let Plan { store, clock, metrics, place, folder, workspace, destinations, log } = plan;
        let state: Arc<dyn MonitorState> = Arc::new(StoreState::new(store));
        let rollups = Arc::new(Rollups::new(Arc::clone(&state)));
        let diagnostics =
            DiagnosticSettings::open(Arc::clone(&state), &place, destinations, &metrics, Arc::clone(&clock))
                .await?;
        let workspace = Workspace::open(folder, workspace, &clock)?;
        let telemetry = Telemetry::default();
        let listener = rollups::counting(&rollups, telemetry.recording(listener));
        let inbox = Arc::new(Inbox::open(state).await?);
        let shown = LastShownMemory::default();
        let listener = shown.noting(diagnostics.delivering(listener));
        let listener = unknown::noting(&inbox, workspace.recording(listener));
        let attempts = log.reader();
        let explaining = Explaining::default();
        let explainer = explaining.explainer(Arc::clone(&clock));
        let recorder = Arc::new(Recorder::start(Arc::clone(&metrics), log, explainer, listener)?);
        let (settings, upkeep) = (Arc::clone(&diagnostics.book), Vec::new());
        Ok(Self {
            rollups,
            settings,
            attempts,
            inbox,
            shown,
            place,
            clock,
            metrics,
            diagnostics,
            workspace,
            telemetry,
            explaining,
            recorder,
            upkeep,
        })
    }

    /// What rooms are given of it, with what else they stand on.
    pub fn outside(
        &self,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        throttle: Arc<Throttle>,
        metrics: Arc<Metrics>,
    ) -> Outside {
        Outside {
            store,
            clock,
            sink: self.sink(),
            throttle,
            rollups: Arc::clone(&self.rollups),
            settings: Arc::clone(&self.settings),
            metrics,
            attempts: self.attempts.clone(),
            inbox: Arc::clone(&self.inbox),
            shown: self.shown.clone(),
            links: Arc::default(),
        }
    }

    /// Where closed events go.
    pub fn sink(&self) -> Arc<dyn EventSink> {
        Arc::clone(&self.recorder) as Arc<dyn EventSink>
    }

    /// Where the built-in workspace is.
    pub fn place(&self) -> &WorkspacePlace {
        &self.place
    }

    /// Now that there are instances, events become rows, and queries are answered.
    pub fn begin(&self, site: &mut Site, outside: &Outside) -> anyhow::Result<()> {
        let routes = Arc::clone(&self.settings);
        self.explaining.begin(&site.instances);
        self.diagnostics.begin(&self.place, &site.instances);
        self.workspace.begin(&self.place, &site.instances, routes as _, &self.metrics)?;
        let fronts = self.workspace.fronts(&self.place, site, outside);
        site.http.extend(fronts);
        site.queries = self.workspace.queries();
        Ok(())
    }

    /// Works on what is kept, until the end.
    pub fn keep_up(&mut self, instances: Arc<dps_core::Instances>) {
        let unknown = unknown::keep_up(Arc::clone(&self.inbox), Arc::clone(&instances));
        let export = self.diagnostics.keep_up(Arc::clone(&self.rollups), instances, self.workspace.rows());
        self.upkeep.extend([export, unknown, self.workspace.keep_up(Arc::clone(&self.clock))]);
    }

    /// Sends telemetry from now on.
    pub fn export(
        &self,
        settings: &TelemetrySettings,
        tls: rustls::ClientConfig,
        health: &Arc<Health>,
    ) -> anyhow::Result<()> {
        let watched = Watched {
            health: Arc::clone(health),
            metrics: Arc::clone(&self.metrics),
            clock: Arc::clone(&self.clock),
            addresses: self.place.addresses,
        };
        self.telemetry.begin(settings, tls, watched)
    }

    /// Keeps and delivers what waits, now that nothing more comes. What is still to be counted is counted before figures are
    /// written.
    pub async fn close(self) {
        self.upkeep.iter().for_each(AbortHandle::abort);
        tokio::task::block_in_place(|| self.recorder.close());
        self.diagnostics.close().await;
        tokio::task::block_in_place(|| self.workspace.close());
        self.telemetry.close().await;
        rollups::close(&self.rollups, self.clock.now()).await;
        unknown::close(&self.inbox).await;
    }
}
