//! The stores from outside: the suite on each, and what only a store on a disk can do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unused_async,
    reason = "these are tests"
)]

mod crash;
mod disk;
mod faulty;
mod monitor_state;
mod sqlite;

use std::sync::Arc;

use dps_core::ports::store::Store;
use dps_store::{FaultyStore, MemoryStore, OpenOptions, Schedule, SqliteStore};
use tempfile::TempDir;

async fn open_memory() -> ((), Arc<dyn Store>) {
    ((), Arc::new(MemoryStore::new()))
}

async fn open_sqlite() -> (TempDir, Arc<dyn Store>) {
    let (directory, store) = new_sqlite().await;
    (directory, Arc::new(store))
}

async fn open_faulty() -> ((), Arc<dyn Store>) {
    ((), Arc::new(FaultyStore::new(MemoryStore::new(), Schedule::quiet())))
}

async fn new_sqlite() -> (TempDir, SqliteStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(OpenOptions::in_directory(directory.path())).await.unwrap();
    (directory, store)
}

dps_store::store_suite!(memory_suite, open_memory);
dps_store::store_suite!(sqlite_suite, open_sqlite);
dps_store::store_suite!(faulty_suite, open_faulty);
