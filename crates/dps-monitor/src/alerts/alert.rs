//! An alert: that a rule fired, and what became of it. It is kept 30 days.

use dps_model::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// An alert. It is the body of its document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// Id.
    pub id: Uuid,
    /// ARM id of its rule.
    pub rule: String,
    /// Name of its rule.
    pub rule_name: String,
    /// What the rule says of itself.
    pub description: String,
    /// Of the rule, when it fired.
    pub severity: u8,
    /// What is watched.
    pub signal: Signal,
    /// ARM id of the resource that it is about.
    pub target: String,
    /// Name and value of each dimension of the series that fired.
    pub dimensions: Vec<(String, String)>,
    /// Set by the rule.
    pub condition: MonitorCondition,
    /// Set by people.
    pub state: AlertState,
    /// When it fired.
    pub fired: Timestamp,
    /// When it resolved.
    pub resolved: Option<Timestamp>,
    /// When anything of it changed last.
    pub modified: Timestamp,
    /// `alertContext` of its last notification.
    pub context: Value,
    /// What happened to it, oldest first.
    pub history: Vec<Change>,
}

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
    /// A metric.
    Metric,
    /// A query.
    Log,
}

/// Does what fired it still hold?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MonitorCondition {
    /// Yes.
    Fired,
    /// No longer.
    Resolved,
}

/// What people did about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AlertState {
    /// Nothing.
    New,
    /// It is being looked at.
    Acknowledged,
    /// It is dealt with.
    Closed,
}

/// An entry of an alert's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// `AlertCreated`, `StateChange`, `MonitorConditionChange`, `ActionsTriggered` …
    pub event: ChangeEvent,
    /// What it was.
    pub old: String,
    /// What it became.
    pub new: String,
    /// Who did it; `System` for the rule.
    pub by: String,
    /// What they said.
    pub comment: String,
}

/// What happened to an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeEvent {
    /// It fired.
    AlertCreated,
    /// Somebody set its state.
    StateChange,
    /// It resolved.
    MonitorConditionChange,
    /// Action groups were told.
    ActionsTriggered,
}

impl AlertState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::New, Self::Acknowledged, Self::Closed];

    /// Azure's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "New",
            Self::Acknowledged => "Acknowledged",
            Self::Closed => "Closed",
        }
    }
}

impl MonitorCondition {
    /// Azure's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fired => "Fired",
            Self::Resolved => "Resolved",
        }
    }
}

impl Signal {
    /// Azure's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metric => "Metric",
            Self::Log => "Log",
        }
    }

    /// Azure's word for what watches it, in the list of alerts.
    pub const fn monitor_service(self) -> &'static str {
        match self {
            Self::Metric => "Platform",
            Self::Log => "Log Analytics",
        }
    }
}

impl ChangeEvent {
    /// Azure's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AlertCreated => "AlertCreated",
            Self::StateChange => "StateChange",
            Self::MonitorConditionChange => "MonitorConditionChange",
            Self::ActionsTriggered => "ActionsTriggered",
        }
    }
}
