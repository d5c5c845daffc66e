//! The upkeep of a store: what `maintain` does and in which order, and the one way in which the set of files changes.
//! Owns the manifest and the files that are out but may still be read; must not read a clock.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use datafusion::object_store::path::Path;
use dps_monitor::{LogError, Table};

use super::manifest::{self, Entry, Manifest};
use super::parquet::HOUR;
use super::scan::DataFile;
use super::{ParquetStore, disk, segment};

/// What is done to a store besides appending.
#[derive(Default)]
pub(super) struct Upkeep {
    /// As it is on disk, unless the last write of it failed.
    pub(super) manifest: Manifest,
    pub(super) doomed: Vec<Doomed>,
    /// Segments whose rows are in files and that are still there.
    pub(super) rolled_segments: BTreeSet<u64>,
    /// Segments that are set aside instead of removed.
    pub(super) damaged_segments: BTreeSet<u64>,
    /// The last hour at whose end everything was rolled.
    pub(super) hour: Option<i64>,
    /// Bytes in memory below which rolling is not tried again after a failure.
    pub(super) retry_at: u64,
}

/// A file that is out.
pub(super) struct Doomed {
    pub(super) location: Path,
    /// Held by snapshots as well.
    pub(super) file: Option<Arc<DataFile>>,
    /// The manifest on disk does not name it among those that are in.
    pub(super) committed: bool,
}

/// A change of the set of files.
#[derive(Default)]
pub(super) struct Change {
    pub(super) add: Vec<(Table, DataFile)>,
    pub(super) remove: HashSet<Path>,
    /// Segments up to this number are in files.
    pub(super) rolled: u64,
}

/// What a call of `maintain` did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upkept {
    /// Rows rolled from memory into files.
    pub rolled_rows: u64,
    /// Files merged into others.
    pub merged_files: u64,
    /// Rows that retention removed.
    pub removed_rows: u64,
}

impl Upkeep {
    /// Files that were written and are not in: they go once a manifest that does not name them is on disk.
    pub(super) fn doom(&mut self, locations: impl IntoIterator<Item = Path>) {
        let doomed = locations.into_iter().map(|location| Doomed { location, file: None, committed: false });
        self.doomed.extend(doomed);
    }
}

impl ParquetStore {
    /// Rolls rows of hours that are over, merges small files, removes what is too old or too much. To be called every
    /// minute or so, on a thread that may block, with the present time in ticks. Steps that can be done are done when
    /// others fail; the first failure is told.
    pub fn maintain(&self, now: i64) -> Result<Upkept, LogError> {
        let mut upkeep = self.upkeep();
        let grace = i64::try_from(self.options.grace.as_nanos() / 100).unwrap_or(i64::MAX);
        let hour = now.saturating_sub(grace).div_euclid(HOUR);
        let mut done = Upkept::default();
        let mut rolled = Ok(());
        if upkeep.hour.is_none_or(|last| hour > last) {
            rolled = self.roll(&mut upkeep).map(|rows| done.rolled_rows = rows);
            if rolled.is_ok() {
                upkeep.hour = Some(hour);
            }
        }
        let removed = self.retain(&mut upkeep, now).map(|rows| done.removed_rows = rows);
        self.sweep(&mut upkeep);
        let merged = self.merge(&mut upkeep, hour).map(|files| done.merged_files = files);
        self.sweep(&mut upkeep);
        rolled.and(removed).and(merged).map_err(LogError).map(|()| done)
    }

    /// Rolls everything that is in memory, whatever the hour: for an orderly end, and for tests.
    pub fn roll_all(&self) -> Result<u64, LogError> {
        let mut upkeep = self.upkeep();
        let rows = self.roll(&mut upkeep).map_err(LogError);
        self.sweep(&mut upkeep);
        rows
    }

    /// Changes the set of files, on disk and then for snapshots. After an error nothing has changed for snapshots; what
    /// is on disk is either the former set or the new one, so files of both stay until the next success.
    pub(super) fn commit(&self, upkeep: &mut Upkeep, change: Change) -> Result<(), String> {
        let mut manifest = upkeep.manifest.clone();
        let (out, mut files): (Vec<Entry>, Vec<Entry>) = manifest
            .files
            .into_iter()
            .partition(|e| Path::parse(&e.location).is_ok_and(|at| change.remove.contains(&at)));
        files.extend(change.add.iter().map(|(table, file)| Entry::new(*table, file)));
        manifest.files = files;
        manifest.rolled = manifest.rolled.max(change.rolled);
        manifest.removed = upkeep.doomed.iter().map(|d| d.location.to_string()).collect();
        manifest.removed.extend(out.into_iter().map(|e| e.location));
        if let Err(error) = manifest::write(&*self.disk, &self.options.dir, &manifest) {
            upkeep.doom(change.add.into_iter().map(|(_, file)| file.location));
            return Err(format!("the manifest: {error}"));
        }
        let rolled = manifest.rolled;
        upkeep.manifest = manifest;
        for doomed in &mut upkeep.doomed {
            doomed.committed = true;
        }
        let mut state = self.state_mut();
        for files in state.files.values_mut() {
            let out = files.extract_if(.., |file| change.remove.contains(&file.location));
            upkeep.doomed.extend(out.map(|file| Doomed {
                location: file.location.clone(),
                file: Some(file),
                committed: true,
            }));
        }
        let mut tables = BTreeMap::new();
        for (table, file) in change.add {
            tables.entry(table).or_insert_with(Vec::new).push(Arc::new(file));
        }
        for (table, new) in tables {
            let files = state.files.entry(table).or_default();
            files.extend(new);
            files.sort_by(|a, b| (a.earliest, &a.location).cmp(&(b.earliest, &b.location)));
        }
        state.hot.drop_through(rolled);
        upkeep.rolled_segments.extend(state.segment_bytes.range(..=rolled).map(|(number, _)| *number));
        Ok(())
    }

    /// Removes files that are out and that no snapshot holds, and segments whose rows are in files. What cannot be
    /// removed is tried again.
    pub(super) fn sweep(&self, upkeep: &mut Upkeep) {
        upkeep.doomed.retain(|doomed| {
            let held = doomed.file.as_ref().is_some_and(|file| Arc::strong_count(file) > 1);
            if held || !doomed.committed {
                return true;
            }
            let removed = self.archive.remove(&doomed.location);
            if let Err(error) = &removed {
                tracing::warn!(location = %doomed.location, error, "a file of the log store was not removed");
            }
            removed.is_err()
        });
        let mut swept = false;
        upkeep.rolled_segments.retain(|number| {
            let path = segment::path(&self.segments, *number);
            let removed = if upkeep.damaged_segments.contains(number) {
                disk::set_aside(&*self.disk, &path)
            } else {
                self.disk.remove(&path)
            };
            match removed {
                Ok(()) => {
                    self.state_mut().segment_bytes.remove(number);
                    swept = true;
                    false
                }
                Err(error) => {
                    tracing::warn!(number, %error, "a segment of the log store was not removed");
                    true
                }
            }
        });
        if swept {
            // If the names come back, the manifest says that their rows are in files.
            let _ = self.disk.sync_dir(&self.segments);
        }
    }
}
