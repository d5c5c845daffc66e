//! The hub's device identity and twin as IoT Hub's service REST writes them (facts: wire-protocol.md §8.2).
//! Shared by the client of a linked hub and by the development hub; must not know either.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::enrollment::DeviceCapabilities;
use crate::{DeviceId, HubName, Secret};

/// How a device proves itself to its hub.
#[derive(Clone, PartialEq, Eq)]
pub enum HubAuthentication {
    /// Symmetric keys.
    Sas {
        /// First key.
        primary: Secret,
        /// Second key.
        secondary: Secret,
    },
    /// A certificate known by its SHA-256 thumbprint, upper-case hex.
    SelfSigned {
        /// First thumbprint.
        primary_thumbprint: String,
        /// Second thumbprint.
        secondary_thumbprint: Option<String>,
    },
}

/// The identity that provisioning writes to a hub.
#[derive(Clone, PartialEq, Eq)]
pub struct HubDevice {
    /// Id on the hub.
    pub device_id: DeviceId,
    /// How it proves itself.
    pub authentication: HubAuthentication,
    /// Capabilities.
    pub capabilities: DeviceCapabilities,
}

/// The sections of a twin that provisioning writes or carries over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HubTwin {
    /// Tags.
    #[serde(default)]
    pub tags: Map<String, Value>,
    /// Desired properties, without `$metadata` and `$version`.
    #[serde(default)]
    pub desired: Map<String, Value>,
    /// Reported properties, without `$metadata` and `$version`.
    #[serde(default)]
    pub reported: Map<String, Value>,
}

/// A hub that devices may be assigned to.
#[derive(Clone)]
pub struct LinkedHub {
    /// Host name.
    pub name: HubName,
    /// How this service reaches it.
    pub connection: crate::connection_string::ConnectionString,
    /// Share of devices under hashed allocation, 1 to 1000.
    pub allocation_weight: u32,
    /// False takes it out of allocation; devices on it stay.
    pub apply_allocation_policy: bool,
    /// Region that it is in; empty when nobody said.
    pub location: String,
}
