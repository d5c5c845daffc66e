//! The state port: rules, settings, alerts and rollups as versioned documents, durable when acknowledged.

use async_trait::async_trait;
use dps_model::{Etag, Secret};

/// A kind of document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shelf {
    /// Minute rollups, an hour of a series each.
    Rollups,
    /// Diagnostic settings.
    DiagnosticSettings,
    /// Metric alert rules.
    MetricAlerts,
    /// Log alert rules.
    QueryRules,
    /// Action groups.
    ActionGroups,
    /// What each rule knows of itself between evaluations.
    Evaluations,
    /// Alerts, with their history.
    Alerts,
    /// Notifications not yet delivered.
    Notifications,
    /// Groups of unknown devices.
    Inbox,
    /// What else is kept: places of deliveries, switches.
    Places,
}

impl Shelf {
    /// Every shelf.
    pub const ALL: [Self; 10] = [
        Self::Rollups,
        Self::DiagnosticSettings,
        Self::MetricAlerts,
        Self::QueryRules,
        Self::ActionGroups,
        Self::Evaluations,
        Self::Alerts,
        Self::Notifications,
        Self::Inbox,
        Self::Places,
    ];

    /// Stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rollups => "rollups",
            Self::DiagnosticSettings => "diagnosticSettings",
            Self::MetricAlerts => "metricAlerts",
            Self::QueryRules => "queryRules",
            Self::ActionGroups => "actionGroups",
            Self::Evaluations => "evaluations",
            Self::Alerts => "alerts",
            Self::Notifications => "notifications",
            Self::Inbox => "inbox",
            Self::Places => "places",
        }
    }
}

/// A document.
#[derive(Clone)]
pub struct Kept {
    /// Id within its shelf, in the order of which a shelf is listed.
    pub id: String,
    /// Version; the writer makes a fresh one for each write.
    pub etag: Etag,
    /// JSON text; holds nothing secret.
    pub body: String,
    /// Encrypted at rest: a webhook's URL, a destination's key.
    pub sealed: Option<Secret>,
}

/// One write. Writes given together happen together or not at all.
#[derive(Clone)]
pub enum StateWrite {
    /// Create or replace.
    Put {
        /// Where.
        shelf: Shelf,
        /// What.
        document: Kept,
        /// Only over this version; none: only if nothing is there. Not checked when absent.
        over: Option<Option<Etag>>,
    },
    /// Remove; what is absent is no error.
    Delete {
        /// Where.
        shelf: Shelf,
        /// Which.
        id: String,
    },
}

/// Why the state could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// `over` did not hold; nothing was written.
    #[error("the document was changed by somebody else")]
    Changed,
    /// Too many writes wait; nothing was written.
    #[error("the store's queue is full")]
    Busy,
    /// The store failed; nothing was acknowledged.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// Where rules, settings, alerts and rollups are kept.
#[async_trait]
pub trait MonitorState: Send + Sync + 'static {
    /// The document of that id.
    async fn get(&self, shelf: Shelf, id: &str) -> Result<Option<Kept>, StateError>;

    /// Documents with greater ids than `after`, in their order; at most `limit`, and never more than
    /// `dps_model::limits::MAX_PAGE`.
    async fn list(&self, shelf: Shelf, after: Option<&str>, limit: usize) -> Result<Vec<Kept>, StateError>;

    /// Does all writes, or none. When it returns `Ok` they survive a crash of the machine.
    async fn write(&self, writes: Vec<StateWrite>) -> Result<(), StateError>;
}
