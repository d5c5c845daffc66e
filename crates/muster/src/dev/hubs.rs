//! Which hub is reached how: a development hub of this server in process, any other by its service REST.

use std::sync::Arc;

use async_trait::async_trait;
use dps_core::ports::{HubError, Hubs, TwinTaken};
use dps_devhub::DevHubs;
use dps_hub::RestHubs;
use dps_model::DeviceId;
use dps_model::hub::{HubDevice, HubTwin, LinkedHub};

/// All hubs that may be linked.
pub struct LinkedHubs {
    /// Those of this server.
    pub own: Arc<DevHubs>,
    /// All others.
    pub rest: RestHubs,
}

impl LinkedHubs {
    fn of(&self, hub: &LinkedHub) -> &dyn Hubs {
        if self.own.knows(&hub.name) { self.own.as_ref() } else { &self.rest }
    }
}

#[async_trait]
impl Hubs for LinkedHubs {
    async fn put_device(
        &self,
        hub: &LinkedHub,
        device: &HubDevice,
        twin: Option<&HubTwin>,
    ) -> Result<TwinTaken, HubError> {
        self.of(hub).put_device(hub, device, twin).await
    }

    async fn twin(&self, hub: &LinkedHub, device_id: &DeviceId) -> Result<Option<HubTwin>, HubError> {
        self.of(hub).twin(hub, device_id).await
    }

    async fn delete_device(&self, hub: &LinkedHub, device_id: &DeviceId) -> Result<(), HubError> {
        self.of(hub).delete_device(hub, device_id).await
    }

    async fn probe(&self, hub: &LinkedHub) -> Result<(), HubError> {
        self.of(hub).probe(hub).await
    }
}
