//! Does what a registration says still hold on the hub? Somebody may have deleted the device there. Owns the comparison;
//! must not mend anything.

use std::sync::Arc;

use dps_model::hub::LinkedHub;
use dps_model::instance::Instance;
use dps_model::{DeviceId, Error, HubName, RegistrationId};

use crate::ports::{Collection, Hubs, Store};
use crate::registration::Versioned;

/// Compares registrations with hubs.
pub struct Drift {
    store: Arc<dyn Store>,
    hubs: Arc<dyn Hubs>,
}

/// What a registration says of its hub, and what the hub says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// The hub and the id there; none of a device that is on none.
    pub assigned: Option<(HubName, DeviceId)>,
    /// What the hub says.
    pub on_hub: OnHub,
}

/// What a hub says of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnHub {
    /// It was not asked: the registration names no hub.
    NotAssigned,
    /// It has the device.
    There,
    /// It has no such device.
    Missing,
    /// It is linked no more, so it cannot be asked.
    NotLinked,
    /// It did not say.
    Unknown(String),
}

impl Drift {
    /// Between that store and those hubs.
    pub fn new(store: Arc<dyn Store>, hubs: Arc<dyn Hubs>) -> Self {
        Self { store, hubs }
    }

    /// Compares one registration; `None` when there is no such registration.
    pub async fn compare(&self, instance: &Instance, id: &RegistrationId) -> Result<Option<Compared>, Error> {
        let document = self.store.get(Collection::Registrations, instance.rows(), &id.key()).await?;
        let Some(kept) = document.as_ref().map(Versioned::read).transpose()? else { return Ok(None) };
        let state = kept.record.state;
        let (Some(hub), Some(device_id)) = (state.assigned_hub, state.device_id) else {
            return Ok(Some(Compared { assigned: None, on_hub: OnHub::NotAssigned }));
        };
        let on_hub = match instance.hub(&hub) {
            Some(linked) => self.ask(linked, &device_id).await,
            None => OnHub::NotLinked,
        };
        Ok(Some(Compared { assigned: Some((hub, device_id)), on_hub }))
    }

    async fn ask(&self, hub: &LinkedHub, device_id: &DeviceId) -> OnHub {
        match self.hubs.twin(hub, device_id).await {
            Ok(Some(_)) => OnHub::There,
            Ok(None) => OnHub::Missing,
            // That there is no such hub is no word about a device.
            Err(error) => OnHub::Unknown(error.to_string()),
        }
    }
}
