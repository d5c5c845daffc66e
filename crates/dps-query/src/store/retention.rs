//! Retention: files whose rows are all too old go, then the oldest until the rest fits. Must not read files.

use std::sync::Arc;

use super::ParquetStore;
use super::scan::DataFile;
use super::upkeep::{Change, Upkeep};

impl ParquetStore {
    /// Removes what is not kept. Yields how many rows that were.
    pub(super) fn retain(&self, upkeep: &mut Upkeep, now: i64) -> Result<u64, String> {
        let removed: Vec<Arc<DataFile>> = self.surplus(now);
        if removed.is_empty() {
            return Ok(0);
        }
        let rows = removed.iter().map(|f| f.rows).sum();
        let remove = removed.iter().map(|f| f.location.clone()).collect();
        drop(removed);
        self.commit(upkeep, Change { remove, ..Change::default() })?;
        self.state_mut().removed_rows += rows;
        tracing::info!(rows, "rows of the log store were removed by its retention");
        Ok(rows)
    }

    fn surplus(&self, now: i64) -> Vec<Arc<DataFile>> {
        let state = self.state();
        let mut files: Vec<&Arc<DataFile>> = state.files.values().flatten().collect();
        files.sort_by_key(|f| f.latest);
        let keep_for = self.options.keep_for.map(|d| i64::try_from(d.as_nanos() / 100).unwrap_or(i64::MAX));
        let oldest = keep_for.map(|ticks| now.saturating_sub(ticks));
        let mut bytes = files.iter().map(|f| f.size).sum::<u64>() + state.segment_bytes.values().sum::<u64>();
        let surplus = files.into_iter().take_while(|file| {
            let old = oldest.is_some_and(|oldest| file.latest < oldest);
            let much = self.options.keep_bytes.is_some_and(|most| bytes > most);
            bytes -= file.size;
            old || much
        });
        surplus.cloned().collect()
    }
}
