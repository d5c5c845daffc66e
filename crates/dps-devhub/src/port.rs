//! The hub port in process: provisioning reaches a development hub of its own server without a socket, and with the
//! same semantics: the link's key is checked, failures have the words the REST would have.

use async_trait::async_trait;
use dps_core::ports::{HubError, Hubs, TwinTaken};
use dps_model::hub::{HubDevice, HubTwin, LinkedHub};
use dps_model::{DeviceId, TrackingId, etag::IfMatch};

use crate::failure::{HubErrorCode, HubFailure};
use crate::{DevHub, DevHubs, POLICY};

impl DevHubs {
    /// The hub of this link, when the link's key opens it.
    fn linked(&self, link: &LinkedHub) -> Result<&DevHub, HubError> {
        let hub = self.hub(link.name.as_str()).ok_or_else(|| {
            HubError::NotFound(format!("iothub not found: no hub of this server is called {}", link.name))
        })?;
        if link.connection.policy != POLICY || link.connection.key != self.key {
            return Err(self.error(&HubFailure::unauthorized()));
        }
        Ok(hub)
    }

    fn error(&self, failure: &HubFailure) -> HubError {
        let text = failure.body(TrackingId::fresh(), self.clock.now());
        match failure.code {
            HubErrorCode::IotHubUnauthorizedAccess => HubError::Unauthorized(text),
            HubErrorCode::ThrottlingException => {
                HubError::Throttled { text, retry_after: Some(dps_model::limits::RETRY_AFTER_BUSY) }
            }
            HubErrorCode::ServerError | HubErrorCode::GatewayTimeout => HubError::Unreachable(text),
            code => HubError::Refused { status: code.status(), text },
        }
    }
}

#[async_trait]
impl Hubs for DevHubs {
    async fn put_device(
        &self,
        hub: &LinkedHub,
        device: &HubDevice,
        twin: Option<&HubTwin>,
    ) -> Result<TwinTaken, HubError> {
        let hub = self.linked(hub)?;
        let put = hub.registry.put(device, twin).await;
        put.map(|_| TwinTaken::Whole).map_err(|failure| self.error(&failure))
    }

    async fn twin(&self, hub: &LinkedHub, device_id: &DeviceId) -> Result<Option<HubTwin>, HubError> {
        let hub = self.linked(hub)?;
        let device = hub.registry.get(device_id).await.map_err(|failure| self.error(&failure))?;
        Ok(device.map(|device| device.sections()))
    }

    async fn delete_device(&self, hub: &LinkedHub, device_id: &DeviceId) -> Result<(), HubError> {
        let hub = self.linked(hub)?;
        match hub.registry.delete(device_id, &IfMatch::Any).await {
            Err(failure) if failure.code != HubErrorCode::DeviceNotFound => Err(self.error(&failure)),
            _ => Ok(()),
        }
    }

    async fn probe(&self, hub: &LinkedHub) -> Result<(), HubError> {
        let hub = self.linked(hub)?;
        hub.registry.counts().await.map(drop).map_err(|failure| self.error(&failure))
    }
}
