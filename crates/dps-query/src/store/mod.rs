//! The log store: rows in, kept once; a write-ahead log, a part in memory, hourly Parquet files. Owns their layout on
//! disk and their life; must not know queries, events or whose rows they are.

pub mod scan;
pub mod schema;

pub use scan::{DataFile, HotBatch, Snapshot, Snapshots, objects_url};
