//! What monitoring needs of others.

mod log_store;
mod memory_log_store;
mod notifier;
mod query_engine;
mod resources;
mod routes;
mod rules;
mod state;
mod webhook_post;

pub use log_store::{LogError, LogStore, StoreFacts};
pub use memory_log_store::MemoryLogStore;
pub use notifier::{Notifier, TryOut};
pub use query_engine::{
    Answer, AnswerTable, PartialAnswer, QueryEngine, QueryError, QueryLimits, QueryRequest, Scope,
};
pub use resources::{IdParts, Resource, Resources};
pub use routes::Routes;
pub use rules::RuleSource;
pub use state::{Kept, MonitorState, Shelf, StateError, StateWrite};
pub use webhook_post::WebhookPost;
