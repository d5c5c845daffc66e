//! A server without log rows and queries, as builds are that measure the device plane (feature `logs`). Has the shape of
//! `workspace` and does nothing.

#![allow(clippy::unused_self, clippy::unnecessary_wraps, clippy::unused_async)] // the shape is the other build's

use std::path::PathBuf;
use std::sync::Arc;

use dps_core::Instances;
use dps_core::ports::Clock;
use dps_device_api::foreign::HttpFront;
use dps_events::Metrics;
use dps_events::recorder::Listener;
use dps_monitor::settings::Rows;
use dps_monitor::{QueryEngine, Routes};
use tokio::task::AbortHandle;

use super::place::WorkspacePlace;
use super::rooms::{Outside, Site};
use crate::config::WorkspaceSettings;

/// No workspace.
pub struct Workspace;

impl Workspace {
    /// Opens nothing.
    pub fn open(
        _folder: PathBuf,
        _settings: &WorkspaceSettings,
        _clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        Ok(Self)
    }

    /// The listener as it is.
    pub fn recording(&self, then: Listener) -> Listener {
        then
    }

    /// Keeps nothing.
    pub fn begin(
        &self,
        _place: &WorkspacePlace,
        _instances: &Arc<Instances>,
        _routes: Arc<dyn Routes>,
        _metrics: &Arc<Metrics>,
    ) -> anyhow::Result<()> {
        Ok(())
    }

    /// Nobody takes any.
    pub fn rows(&self) -> Option<Rows> {
        None
    }

    /// Nobody.
    pub fn fronts(&self, _: &WorkspacePlace, _: &Site, _: &Outside) -> Vec<Arc<dyn HttpFront>> {
        Vec::new()
    }

    /// Nobody.
    pub fn queries(&self) -> Option<Arc<dyn QueryEngine>> {
        None
    }

    /// A task that has nothing to do.
    pub fn keep_up(&self, _clock: Arc<dyn Clock>) -> AbortHandle {
        tokio::spawn(async {}).abort_handle()
    }

    /// There is nothing to close.
    pub fn close(&self) {}
}
