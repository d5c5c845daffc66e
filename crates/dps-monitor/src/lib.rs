//! Watching: what becomes of events once they are closed. Log rows into the store and to destinations, points into
//! rollups, rules over both. Owns tables, metrics, alert rules and diagnostic settings, and the ports that they need;
//! must not know HTTP routes, SQL, or what runs a query.

pub mod alerts;
pub mod destinations;
pub mod inbox;
pub mod ingestion;
pub mod logs;
pub mod metrics;
pub mod ports;
pub mod settings;
pub mod table;

pub use ingestion::Ingestion;
pub use logs::{Category, LogRecord, Projection, ResourceLog};
pub use ports::{
    Answer, AnswerTable, IdParts, Kept, LogError, LogStore, MemoryLogStore, MonitorState, Notifier,
    PartialAnswer, QueryEngine, QueryError, QueryLimits, QueryRequest, Resource, Resources, Routes,
    RuleSource, Scope, Shelf, StateError, StateWrite, StoreFacts, TryOut, WebhookPost,
};
pub use table::{Row, Table};
