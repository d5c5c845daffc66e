//! Merging: small files of an hour become one. Must not touch an hour whose segments could still be replayed.

use std::collections::BTreeMap;
use std::sync::Arc;

use dps_monitor::Table;

use super::limits::{MAX_MERGE_BYTES, MAX_MERGE_FILES, MAX_MERGES, OPEN_HOUR_FILES, SMALL_FILE_BYTES};
use super::order::{Merged, SourceFailed};
use super::parquet::{self, HOUR, Note};
use super::scan::DataFile;
use super::upkeep::{Change, Upkeep};
use super::{ParquetStore, archive};

impl ParquetStore {
    /// Merges small files; `now` is the hour that goes on. Yields how many were merged.
    pub(super) fn merge(&self, upkeep: &mut Upkeep, now: i64) -> Result<u64, String> {
        // A store that is put together again without its manifest takes a file for rolled if its segments are gone. A
        // merged file no longer says from which it came, so they must be gone.
        if !upkeep.rolled_segments.is_empty() {
            return Ok(0);
        }
        let mut merged = 0;
        for (table, files) in self.mergeable(now).into_iter().take(MAX_MERGES) {
            merged += self.merge_files(upkeep, table, &files)?;
        }
        Ok(merged)
    }

    fn mergeable(&self, now: i64) -> Vec<(Table, Vec<Arc<DataFile>>)> {
        let mut hours: BTreeMap<(Table, i64), Vec<Arc<DataFile>>> = BTreeMap::new();
        for (table, files) in &self.state().files {
            for file in files.iter().filter(|f| f.size < SMALL_FILE_BYTES) {
                let hour = file.earliest.div_euclid(HOUR);
                hours.entry((*table, hour)).or_default().push(Arc::clone(file));
            }
        }
        let due = hours.into_iter().filter_map(|((table, hour), mut files)| {
            // The smallest first: those that late rows made, rather than those that were merged before.
            files.sort_by_key(|f| f.rows);
            let mut bytes = 0;
            files.truncate(MAX_MERGE_FILES);
            files.retain(|f| {
                bytes += f.size;
                bytes <= MAX_MERGE_BYTES
            });
            let least = if hour < now { 2 } else { OPEN_HOUR_FILES };
            (files.len() >= least).then_some((table, files))
        });
        due.collect()
    }

    fn merge_files(&self, upkeep: &mut Upkeep, table: Table, files: &[Arc<DataFile>]) -> Result<u64, String> {
        let mut note = Note { earliest: i64::MAX, latest: i64::MIN, ..Note::default() };
        let mut change = Change::default();
        let (mut sources, mut rows) = (Vec::new(), 0);
        for file in files {
            let bytes = match self.archive.read(&file.location, None) {
                Ok(bytes) => bytes,
                Err(error) if archive::is_missing(&error) => return self.lose(upkeep, file),
                Err(error) => return Err(error.to_string()),
            };
            let footer = footer(&bytes);
            let (Some(footer), Ok(source)) = (footer, parquet::read(bytes, table)) else {
                return self.lose(upkeep, file);
            };
            rows += footer.rows;
            note.through = note.through.max(footer.note.through);
            note.earliest = note.earliest.min(file.earliest);
            note.latest = note.latest.max(file.latest);
            note.merged.push(file.location.to_string());
            sources.push(source);
            change.remove.insert(file.location.clone());
        }
        let written = Merged::of(sources).and_then(|pieces| parquet::write(table, &note, pieces));
        let bytes = match written {
            Ok(bytes) => bytes,
            Err(SourceFailed { source, error }) => {
                return match source.and_then(|at| files.get(at)) {
                    Some(file) => self.lose(upkeep, file),
                    None => Err(error.to_string()),
                };
            }
        };
        let file = self.put(upkeep, table, &note, rows, bytes)?;
        change.add.push((table, file));
        self.commit(upkeep, change)?;
        Ok(files.len() as u64)
    }

    /// A file that is missing or cannot be read goes out and is set aside; the others of its hour are merged next time.
    fn lose(&self, upkeep: &mut Upkeep, file: &DataFile) -> Result<u64, String> {
        let remove = std::iter::once(file.location.clone()).collect();
        self.commit(upkeep, Change { remove, ..Change::default() })?;
        upkeep.doomed.retain(|doomed| doomed.location != file.location);
        self.tell_damaged(&file.location);
        Ok(0)
    }
}

fn footer(bytes: &[u8]) -> Option<parquet::Footer> {
    let length = usize::try_from(parquet::footer_length(bytes)?).ok()?;
    parquet::footer(bytes.get(bytes.len().checked_sub(length)?..)?)
}
