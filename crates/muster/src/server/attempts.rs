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
}

impl AttemptLogFiles {
    /// Of that log.
    pub fn new(reader: AttemptReader) -> Self {
        Self { reader, places: Semaphore::new(ATTEMPT_LOOKUPS_AT_ONCE) }
    }
}

#[async_trait]
impl Attempts for AttemptLogFiles {
    async fn find(&self, lookup: Lookup) -> io::Result<Found> {
        let _place = self.places.acquire().await.map_err(io::Error::other)?;
        let reader = self.reader.clone();
        tokio::task::spawn_blocking(move || reader.find(&lookup)).await.map_err(io::Error::other)?
    }
}
