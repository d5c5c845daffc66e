//! A log store for tests: rows in memory, and failures on demand.

use std::sync::{Mutex, PoisonError};

use dps_model::limits::MAX_LOG_ROWS_WAITING;

use super::log_store::{LogError, LogStore, StoreFacts};
use crate::Row;

/// Rows in memory, in the order of their coming, as many as may wait for a store. They survive nothing: it is for tests.
#[derive(Debug, Default)]
pub struct MemoryLogStore {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    rows: Vec<Row>,
    appends: usize,
    failing: bool,
}

impl MemoryLogStore {
    /// Fails every call from now on, or none.
    pub fn fail(&self, failing: bool) {
        self.lock().failing = failing;
    }

    /// The rows so far.
    pub fn rows(&self) -> Vec<Row> {
        self.lock().rows.clone()
    }

    /// Calls so far that brought rows, those that failed included.
    pub fn appends(&self) -> usize {
        self.lock().appends
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogStore for MemoryLogStore {
    fn append(&self, mut rows: Vec<Row>) -> Result<(), LogError> {
        let mut kept = self.lock();
        kept.appends += 1;
        if kept.failing || kept.rows.len() + rows.len() > MAX_LOG_ROWS_WAITING {
            return Err(LogError("no room is left".to_owned()));
        }
        kept.rows.append(&mut rows);
        Ok(())
    }

    fn facts(&self) -> StoreFacts {
        StoreFacts { hot_rows: self.lock().rows.len() as u64, ..StoreFacts::default() }
    }
}
