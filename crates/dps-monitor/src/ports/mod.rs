//! What monitoring needs of others.

mod log_store;
mod query_engine;
mod state;

pub use log_store::{LogError, LogStore, StoreFacts};
pub use query_engine::{
    Answer, AnswerTable, PartialAnswer, QueryEngine, QueryError, QueryLimits, QueryRequest, Scope,
};
pub use state::{Kept, MonitorState, Shelf, StateError, StateWrite};
