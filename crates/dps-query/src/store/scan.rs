//! What a query reads: a table at one instant, as files and as batches in memory. Each row is in exactly one of them.
//! The files stay readable as long as the snapshot lives, whatever compaction and retention do meanwhile.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::object_store::ObjectStore;
use datafusion::object_store::path::Path;
use dps_kql::Type;
use dps_monitor::Table;

use super::schema;

/// Gives snapshots.
pub trait Snapshots: Send + Sync + 'static {
    /// The table as it is now: with every row whose append has returned. Cheap: nothing is copied or read.
    fn snapshot(&self, table: Table) -> Snapshot;
}

/// A table at one instant.
#[derive(Clone)]
pub struct Snapshot {
    /// Which.
    pub table: Table,
    /// Where the locations of `files` lead. To be registered with an engine under [`objects_url`].
    pub objects: Arc<dyn ObjectStore>,
    /// Parquet files, by `earliest`. Within a file rows are sorted by `TimeGenerated`; files may overlap.
    pub files: Vec<Arc<DataFile>>,
    /// Rows that are in no file yet, of [`schema::physical`], in the order of their arrival.
    pub hot: Vec<HotBatch>,
}

/// A Parquet file of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFile {
    /// Its place in the object store.
    pub location: Path,
    /// Its bytes.
    pub size: u64,
    /// Its rows, at least one.
    pub rows: u64,
    /// The least `TimeGenerated`, in ticks.
    pub earliest: i64,
    /// The greatest, in ticks.
    pub latest: i64,
    /// How many of the table's columns it has: those of the time when it was written, which come first.
    pub columns: usize,
}

/// Rows in memory.
#[derive(Clone, Debug)]
pub struct HotBatch {
    /// They.
    pub rows: RecordBatch,
    /// The least `TimeGenerated`, in ticks.
    pub earliest: i64,
    /// The greatest, in ticks.
    pub latest: i64,
}

/// The base of every snapshot's locations.
pub fn objects_url() -> ObjectStoreUrl {
    #[expect(clippy::expect_used, reason = "invariant: the text is a URL of a scheme and a host")]
    ObjectStoreUrl::parse("log-store://files").expect("invariant: the text is a URL")
}

impl Snapshot {
    /// What its files and batches have in common. A column that an older file lacks is nullable here: a reader fills it
    /// with nulls, and a `string` among them means empty.
    pub fn schema(&self) -> SchemaRef {
        let whole = schema::physical(self.table);
        let least = self.files.iter().map(|f| f.columns).min().unwrap_or(usize::MAX);
        if least >= whole.fields().len() {
            return whole;
        }
        let fields = whole.fields().iter().zip(self.table.columns()).enumerate();
        let fields = fields.map(|(at, (field, (name, ty)))| {
            if at >= least && *ty == Type::String {
                Arc::new(Field::new(*name, field.data_type().clone(), true))
            } else {
                Arc::clone(field)
            }
        });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// Its rows.
    pub fn rows(&self) -> u64 {
        let hot: usize = self.hot.iter().map(|b| b.rows.num_rows()).sum();
        self.files.iter().map(|f| f.rows).sum::<u64>() + hot as u64
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("table", &self.table)
            .field("files", &self.files.len())
            .field("hot", &self.hot.len())
            .finish_non_exhaustive()
    }
}
