//! The record of a linked hub's probe. Must not know how a hub is asked.

use dps_model::{Timestamp, TrackingId};
use serde::Serialize;

use super::Outcome;
use crate::cause::Cause;

/// What a probe of a linked hub told that an operator must hear.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkProbeRecord {
    /// Its own correlation id.
    pub tracking_id: TrackingId,
    /// When the probe began.
    pub time: Timestamp,
    /// Microseconds until the hub had answered.
    pub micros: u64,
    /// Name of the instance.
    pub instance: String,
    /// The hub.
    pub hub: String,
    /// `Down`, `StillDown` or `Up`.
    pub news: &'static str,
    /// Since when the link is as it is.
    pub since: Timestamp,
    /// Named causes of how it ended, best first; filled before it is kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// What the hub answered.
    pub outcome: Outcome,
}
