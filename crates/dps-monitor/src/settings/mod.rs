//! Diagnostic settings: which resource logs and metrics of a provisioning service go where. Owns the documents and
//! their rules, what is in force, and the deliveries that follow from it; must not know routes of ARM, how a
//! destination is spoken to, or who records events.

mod book;
mod deliveries;
mod effect;
#[cfg(test)]
mod fixtures;
mod metric_export;
mod rules;
mod setting;

pub use book::{BookError, Change, SettingsBook};
pub use deliveries::Deliveries;
pub use effect::{Effect, Outlet, OutletKey};
pub use metric_export::{MetricExport, Rows};
pub use rules::{Destinations, Refusal, Workspace, check};
pub use setting::{
    CATEGORY_GROUPS, DEFAULT_SETTING, DestinationKind, LogChoice, METRICS_CATEGORY, MetricChoice, Retention,
    Setting, groups_of,
};
