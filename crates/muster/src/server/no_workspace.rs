//! A server without log rows and queries, as builds are that measure the device plane (feature `logs`). Has the shape of
//! `workspace` and does nothing.

#![allow(clippy::unused_self, clippy::unnecessary_wraps, clippy::unused_async)] // the shape is the other build's

use std::path::PathBuf;
use std::sync::Arc;

use dps_core::Instances;
use dps_core::ports::Clock;
use dps_device_api::foreign::HttpFront;
use dps_events::recorder::Listener;
use dps_events::{AddressMask, Metrics};
use dps_monitor::QueryEngine;
use tokio::task::AbortHandle;

use super::rooms::{Outside, Site};
use crate::config::WorkspaceSettings;

/// Where the workspace would be.
#[allow(dead_code)] // nobody asks
pub struct WorkspacePlace {
    /// Its id.
    pub id: uuid::Uuid,
    /// The subscription that it would lie in.
    pub subscription: uuid::Uuid,
    /// How much of callers' addresses its rows would show.
    pub addresses: AddressMask,
}

/// No workspace.
pub struct Workspace;

impl Workspace {
    /// Opens nothing.
    pub fn open(_folder: PathBuf, _settings: &WorkspaceSettings) -> anyhow::Result<Self> {
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
        _metrics: &Arc<Metrics>,
    ) -> anyhow::Result<()> {
        Ok(())
    }

    /// Nobody.
    pub fn fronts(&self, _: &WorkspacePlace, _: &Site, _: &Outside) -> Vec<Arc<dyn HttpFront>> {
        Vec::new()
    }

    /// Nobody.
    #[allow(clippy::unused_self)] // as in a build with one
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
