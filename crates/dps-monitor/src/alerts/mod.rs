//! Alert rules: what they are, when they fire and resolve, and who is told. Owns rules, action groups, alerts and
//! notifications as documents of the state; must not know routes, nor how metrics are kept or queries run.

pub mod alert;
pub mod alerting;
pub mod archive;
pub mod book;
pub mod delivery;
pub mod document;
pub mod driver;
pub mod evaluation;
#[cfg(test)]
mod fixtures;
pub mod group;
pub mod rule;
pub mod state;

use std::sync::Arc;

use dps_model::Timestamp;

/// What time it is.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;
