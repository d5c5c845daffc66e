//! The log store: rows in, kept once; a write-ahead log, a part in memory, hourly Parquet files. Owns their layout on
//! disk and their life; must not know queries, events or whose rows they are.

mod archive;
mod columns;
pub mod disk;
mod frame;
mod hot;
pub mod limits;
mod manifest;
mod merge;
mod open;
mod order;
mod parquet;
mod record;
mod retention;
mod roll;
pub mod scan;
pub mod schema;
mod segment;
mod upkeep;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use datafusion::object_store::ObjectStore;
use dps_monitor::{LogError, LogStore, Row, StoreFacts, Table};

pub use scan::{DataFile, HotBatch, Snapshot, Snapshots, objects_url};
pub use upkeep::Upkept;

use archive::Archive;
use disk::Disk;
use hot::Hot;
use limits::{MAX_APPEND_BYTES, MAX_SEGMENT_BYTES};
use segment::Segment;
use upkeep::Upkeep;

/// How a store keeps its rows.
#[derive(Clone)]
pub struct StoreOptions {
    /// The folder of segments and manifest, on a local disk; it belongs to this process alone.
    pub dir: PathBuf,
    /// Where files of rows go.
    pub files: Place,
    /// Bytes of rows in memory beyond which they are rolled before the hour is over; at most
    /// [`limits::MAX_HOT_BYTES`]. At twice of it appends are refused.
    pub hot_bytes: u64,
    /// How long after an hour's end its rows are rolled: what arrives until then is not late.
    pub grace: Duration,
    /// How long rows are kept; for ever, if none.
    pub keep_for: Option<Duration>,
    /// How many bytes files and segments may take; the oldest hours go first.
    pub keep_bytes: Option<u64>,
}

/// Where files of rows are kept.
#[derive(Clone)]
pub enum Place {
    /// In a folder.
    Folder(PathBuf),
    /// In an object store.
    Objects(Arc<dyn ObjectStore>),
}

/// What was found damaged since the start, and set aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Stretches of segments that cannot be read.
    pub frames: u64,
    /// Files of rows that are missing or cannot be read.
    pub files: u64,
    /// Manifests.
    pub manifests: u64,
}

impl StoreOptions {
    /// A store in that folder, which keeps 93 days.
    pub fn new(dir: PathBuf) -> Self {
        let files = Place::Folder(dir.join("tables"));
        let keep_for = Some(Duration::from_hours(93 * 24));
        Self { dir, files, hot_bytes: 32 << 20, grace: Duration::from_mins(2), keep_for, keep_bytes: None }
    }
}

/// A log store of segments and Parquet files.
pub struct ParquetStore {
    options: StoreOptions,
    disk: Arc<dyn Disk>,
    /// The folder of segments.
    segments: PathBuf,
    archive: Archive,
    // Locks are taken in this order: upkeep, writer, state.
    upkeep: Mutex<Upkeep>,
    writer: Mutex<Writer>,
    state: RwLock<State>,
}

/// The end of the write-ahead log.
struct Writer {
    active: Option<Segment>,
    /// The number of the next segment.
    next: u64,
}

/// What a snapshot sees.
#[derive(Default)]
struct State {
    hot: Hot,
    files: BTreeMap<Table, Vec<Arc<DataFile>>>,
    /// Bytes of each segment on disk.
    segment_bytes: BTreeMap<u64, u64>,
    removed_rows: u64,
    damage: Damage,
}

impl ParquetStore {
    /// What was damaged.
    pub fn damage(&self) -> Damage {
        self.state().damage
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn upkeep(&self) -> MutexGuard<'_, Upkeep> {
        self.upkeep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the active segment. Every row whose append has returned is in a segment up to the number that this yields.
    fn seal(&self) -> u64 {
        let mut writer = self.writer();
        writer.active = None;
        writer.next - 1
    }

    /// Makes room in memory, if there is none.
    fn relieve(&self) -> Result<(), LogError> {
        let bound = 2 * self.options.hot_bytes;
        if self.state().hot.bytes <= bound {
            return Ok(());
        }
        let mut upkeep = self.upkeep();
        // Whoever held the lock may have made it.
        if self.state().hot.bytes <= bound {
            return Ok(());
        }
        let rolled = self.roll_unless_just_failed(&mut upkeep);
        rolled.map_err(|e| LogError(format!("the part in memory is full and cannot be rolled: {e}")))
    }
}

impl Writer {
    fn segment(&mut self, store: &ParquetStore) -> std::io::Result<&mut Segment> {
        let full = self.active.as_ref().is_some_and(|s| s.length >= MAX_SEGMENT_BYTES);
        let active = match self.active.take() {
            Some(active) if !full => active,
            _ => {
                let new = Segment::create(&*store.disk, &store.segments, self.next)?;
                self.next += 1;
                new
            }
        };
        Ok(self.active.insert(active))
    }
}

impl LogStore for ParquetStore {
    fn append(&self, rows: Vec<Row>) -> Result<(), LogError> {
        if rows.is_empty() {
            return Ok(());
        }
        rows.iter().try_for_each(columns::check)?;
        let payload = record::write(&rows);
        if payload.len() > MAX_APPEND_BYTES {
            let (has, most) = (payload.len(), MAX_APPEND_BYTES);
            return Err(LogError(format!("{has} bytes of rows are more than the {most} of one append")));
        }
        let mut framed = Vec::with_capacity(payload.len() + frame::HEAD);
        frame::write(&mut framed, &payload);
        let batches = batches(&rows).map_err(|e| LogError(e.to_string()))?;
        self.relieve()?;

        let mut writer = self.writer();
        let segment = writer.segment(self).map_err(|e| LogError(format!("no new segment: {e}")))?;
        let (number, appended) = (segment.number, segment.append(&framed));
        let length = segment.length;
        let mut state = self.state_mut();
        state.segment_bytes.insert(number, length);
        appended.map_err(|e| LogError(format!("segment {number}: {e}")))?;
        for (table, batch) in batches {
            state.hot.push(number, table, batch);
        }
        let full = state.hot.bytes > self.options.hot_bytes;
        drop(state);
        drop(writer);
        if full && let Ok(mut upkeep) = self.upkeep.try_lock() {
            // The rows are kept; that they could not be rolled is told where it happens, and tried again.
            let _ = self.roll_unless_just_failed(&mut upkeep);
        }
        Ok(())
    }

    fn facts(&self) -> StoreFacts {
        let state = self.state();
        let files = || state.files.values().flatten();
        StoreFacts {
            hot_rows: state.hot.rows,
            hot_bytes: state.hot.bytes,
            segment_bytes: state.segment_bytes.values().sum(),
            files: files().count() as u64,
            file_bytes: files().map(|f| f.size).sum(),
            file_rows: files().map(|f| f.rows).sum(),
            removed_rows: state.removed_rows,
        }
    }
}

impl Snapshots for ParquetStore {
    fn snapshot(&self, table: Table) -> Snapshot {
        let state = self.state();
        Snapshot {
            table,
            objects: Arc::clone(&self.archive.objects),
            files: state.files.get(&table).cloned().unwrap_or_default(),
            hot: state.hot.batches(table),
        }
    }
}

impl fmt::Debug for ParquetStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParquetStore").field("dir", &self.options.dir).finish_non_exhaustive()
    }
}

/// Checked rows as a batch for each table.
fn batches(rows: &[Row]) -> Result<Vec<(Table, HotBatch)>, datafusion::arrow::error::ArrowError> {
    let mut found = Vec::new();
    for table in Table::ALL {
        let of_table: Vec<&Row> = rows.iter().filter(|row| row.table == table).collect();
        if !of_table.is_empty() {
            let batch = hot::bounded(columns::batch(table, &of_table)?);
            found.extend(batch.map(|batch| (table, batch)));
        }
    }
    Ok(found)
}
