//! The attempt log as the management API asks it. Owns how many questions read files at once; must not know what is asked.

use std::io;

use async_trait::async_trait;
use dps_events::AttemptReader;
use dps_events::attempt_log::{Found, Lookup};
use dps_management_api::diagnosis::Attempts;
use dps_model::limits::ATTEMPT_LOOKUPS_AT_ONCE;
use tokio::sync::Semaphore;

/// Reads the attempt log.
pub struct AttemptLogFiles {
    reader: AttemptReader,
    places: Semaphore,
    telling_hubs: Vec<String>,
}

impl AttemptLogFiles {
    /// Of that log, in which those hubs tell who connects.
    pub fn new(reader: AttemptReader, telling_hubs: Vec<String>) -> Self {
        Self { reader, places: Semaphore::new(ATTEMPT_LOOKUPS_AT_ONCE), telling_hubs }
    }
}

#[async_trait]
impl Attempts for AttemptLogFiles {
    async fn find(&self, lookup: Lookup) -> io::Result<Found> {
        let _place = self.places.acquire().await.map_err(io::Error::other)?;
        let reader = self.reader.clone();
        tokio::task::spawn_blocking(move || reader.find(&lookup)).await.map_err(io::Error::other)?
    }
    fn telling_hubs(&self) -> Vec<String> {
        self.telling_hubs.clone()
    }
}
