//! The log store port: rows in, kept once.

use crate::Row;

/// Where rows are kept. Called on a thread that may block.
pub trait LogStore: Send + Sync + 'static {
    /// Keeps the rows. When it returns `Ok` they survive a crash of the machine, each is there once, and a query sees
    /// them within a second.
    fn append(&self, rows: Vec<Row>) -> Result<(), LogError>;

    /// What it holds.
    fn facts(&self) -> StoreFacts;
}

/// Why rows were not kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log store failed: {0}")]
pub struct LogError(pub String);

/// What a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreFacts {
    /// Rows not yet rolled into files.
    pub hot_rows: u64,
    /// Bytes of memory that they take.
    pub hot_bytes: u64,
    /// Bytes of write-ahead segments on disk.
    pub segment_bytes: u64,
    /// Files of rows.
    pub files: u64,
    /// Their bytes.
    pub file_bytes: u64,
    /// Rows in them.
    pub file_rows: u64,
    /// Rows that retention has removed since the start.
    pub removed_rows: u64,
}
