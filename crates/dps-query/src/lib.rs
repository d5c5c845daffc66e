//! Runs KQL over the log store. The only crate that names `DataFusion`.

pub mod functions;
pub mod store;
