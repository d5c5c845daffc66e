//! The hub port: what provisioning asks of a linked hub. A client of IoT Hub's service REST and the development hub
//! implement it alike.

use async_trait::async_trait;
use dps_model::hub::{HubDevice, HubTwin, LinkedHub};
use dps_model::{DeviceId, Error, ErrorCode};

/// Why a hub did not do what was asked. The text is the hub's own, fit for `errorMessage` of a failed registration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HubError {
    /// No such hub.
    #[error("{0}")]
    NotFound(String),
    /// The hub refused this service's key.
    #[error("{0}")]
    Unauthorized(String),
    /// The hub throttled this service.
    #[error("{text}")]
    Throttled {
        /// The hub's words.
        text: String,
        /// Seconds to wait, where the hub says.
        retry_after: Option<u32>,
    },
    /// No answer, or a server error.
    #[error("{0}")]
    Unreachable(String),
    /// The hub has no room, or its quota of the day is used up.
    #[error("{0}")]
    QuotaExceeded(String),
    /// The hub refused the request itself (400, 413 …).
    #[error("{text}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The hub's words.
        text: String,
    },
}

impl HubError {
    /// May the same request succeed later?
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Unreachable(_))
    }
}

impl From<HubError> for Error {
    fn from(error: HubError) -> Self {
        let text = error.to_string();
        match error {
            HubError::NotFound(_) => Error::new(ErrorCode::HubNotFound).because(text),
            HubError::Unauthorized(_) => Error::with(ErrorCode::HubUnauthorized, text),
            HubError::Throttled { .. } => Error::with(ErrorCode::HubThrottled, text),
            HubError::Unreachable(_) => Error::new(ErrorCode::HubUnreachable).because(text),
            HubError::QuotaExceeded(_) => Error::with(ErrorCode::HubQuotaExceeded, text),
            HubError::Refused { .. } => Error::with(ErrorCode::ArgumentInvalid, text),
        }
    }
}

/// How much of a twin a hub took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TwinTaken {
    /// All that was given.
    Whole,
    /// Tags and desired properties: this hub lets nobody but the device write what it reports.
    WithoutReported,
}

/// All hubs that may be linked, each reached by its link. Every call may be repeated: the second does no harm.
#[async_trait]
pub trait Hubs: Send + Sync + 'static {
    /// Creates the identity or makes the existing one equal to it; with `twin`, sets its tags and desired properties,
    /// and where the twin has reported properties and the hub allows it, those too. Durable on the hub when it returns.
    async fn put_device(
        &self,
        hub: &LinkedHub,
        device: &HubDevice,
        twin: Option<&HubTwin>,
    ) -> Result<TwinTaken, HubError>;

    /// The twin of a device; `None` when the hub has no such device.
    async fn twin(&self, hub: &LinkedHub, device_id: &DeviceId) -> Result<Option<HubTwin>, HubError>;

    /// Removes the identity; succeeds when there is none.
    async fn delete_device(&self, hub: &LinkedHub, device_id: &DeviceId) -> Result<(), HubError>;

    /// Asks the hub something cheap that needs the link's key: does the link work?
    async fn probe(&self, hub: &LinkedHub) -> Result<(), HubError>;
}
