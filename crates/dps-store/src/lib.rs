//! Stores: documents with preconditions, kept on disk (`SqliteStore`) or in memory (`MemoryStore`).
//!
//! Owns SQL, durability and encryption at rest. Must not know what a document means: no enrollment, registration or
//! operation is named here. Every store passes the same `store_suite!` (feature `suite`); `FaultyStore` (feature
//! `faults`) breaks any of them on a seeded schedule.

mod memory;
mod monitor_state;
mod rules;
mod sqlite;

#[cfg(feature = "faults")]
mod faulty;
#[cfg(feature = "suite")]
pub mod suite;

#[cfg(feature = "faults")]
pub use faulty::{Fault, FaultyStore, Schedule};
pub use memory::MemoryStore;
pub use monitor_state::StoreState;
pub use sqlite::{OpenOptions, SqliteStore};
