//! What a hub sees of a device: the development hub tells it, and any other by its events. A device that it refuses is a connection that ended
//! before there was a request, with the same name of the device.

use std::net::SocketAddr;

use dps_model::{Protocol, Timestamp, TrackingId};
use serde::Serialize;

/// A device that connected to a hub and was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HubConnectionRecord {
    /// Its own correlation id.
    pub tracking_id: TrackingId,
    /// When it began.
    pub time: Timestamp,
    /// Microseconds until the hub had judged.
    pub micros: u64,
    /// Which device.
    #[serde(flatten)]
    pub device: HubDeviceName,
    /// How it came; a hub's event does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// Where from; a hub's event does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<SocketAddr>,
}

/// A device of a hub, as a connection named it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HubDeviceName {
    /// The hub.
    pub hub: String,
    /// Id on the hub.
    pub device_id: String,
    /// The module, where one was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module_id: Option<String>,
}
