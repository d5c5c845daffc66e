//! Successful polls of one operation, told together: each alone says nothing, and there are many.

use dps_model::{Protocol, Timestamp, TrackingId};
use serde::Serialize;

/// Polls that were answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PollsRecord {
    /// Of the first of them.
    pub tracking_id: TrackingId,
    /// When the first began.
    pub time: Timestamp,
    /// Microseconds from then to the end of the last.
    pub micros: u64,
    /// Name of the instance.
    pub instance: Option<String>,
    /// Whose.
    pub registration_id: String,
    /// The operation.
    pub operation_id: String,
    /// How the first came.
    pub protocol: Protocol,
    /// How many.
    pub count: u32,
    /// When the last began.
    pub last: Timestamp,
    /// What the last was told.
    pub status: Option<dps_model::registration::Status>,
}
