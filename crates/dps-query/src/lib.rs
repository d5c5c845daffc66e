//! Runs KQL over the log store: what keeps its rows, and what queries them.
//!
//! Owns the layout on disk and the lowering of plans; the only crate that names `DataFusion`. Must not know HTTP, or
//! where rows come from.

mod engine;
pub mod functions;
mod lower;
mod operator;
pub mod store;

pub use engine::{DataFusionEngine, EngineOptions, ScanStatistics};
