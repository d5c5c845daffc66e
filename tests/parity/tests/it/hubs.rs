//! Linked hubs that remember what was written, wait while a test holds them, and fail as it says.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use async_trait::async_trait;
use dps_core::ports::{HubError, Hubs, TwinTaken};
use dps_model::DeviceId;
use dps_model::hub::{HubAuthentication, HubDevice, HubTwin, LinkedHub};
use std::sync::Mutex;
use tokio::sync::watch;

/// How writes end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Well,
    /// The first write of each device fails, and another try would not.
    FailsOnce,
    /// Every write fails, whoever tries.
    Refuses,
}

/// All hubs; a device is kept under (hub, device id).
pub struct HeldHubs {
    mood: Mutex<Mood>,
    held: watch::Sender<bool>,
    asked: watch::Sender<BTreeSet<String>>,
    failed: Mutex<HashSet<String>>,
    devices: Mutex<BTreeMap<(String, String), HubAuthentication>>,
}

impl HeldHubs {
    pub fn new() -> Self {
        Self {
            mood: Mutex::new(Mood::Well),
            held: watch::Sender::new(false),
            asked: watch::Sender::default(),
            failed: Mutex::default(),
            devices: Mutex::default(),
        }
    }

    pub fn be(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Writes wait from now on, or go on.
    pub fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    /// Waits until the identity of that device is written, or about to be.
    pub async fn asked_for(&self, device_id: &str) {
        self.asked.subscribe().wait_for(|asked| asked.contains(device_id)).await.unwrap();
    }

    /// Hub and credential of each identity of that device.
    pub fn identities(&self, device_id: &str) -> Vec<(String, HubAuthentication)> {
        let devices = self.devices.lock().unwrap();
        let of = devices.iter().filter(|((_, id), _)| id == device_id);
        of.map(|((hub, _), authentication)| (hub.clone(), authentication.clone())).collect()
    }
}

#[async_trait]
impl Hubs for HeldHubs {
    async fn put_device(
        &self,
        hub: &LinkedHub,
        device: &HubDevice,
        _twin: Option<&HubTwin>,
    ) -> Result<TwinTaken, HubError> {
        let id = device.device_id.as_str().to_owned();
        self.asked.send_modify(|asked| {
            asked.insert(id.clone());
        });
        self.held.subscribe().wait_for(|held| !held).await.unwrap();
        match *self.mood.lock().unwrap() {
            Mood::FailsOnce if self.failed.lock().unwrap().insert(id.clone()) => {
                return Err(HubError::Unreachable("the hub did not answer".into()));
            }
            Mood::Refuses => {
                let text = "ErrorCode:IotHubUnauthorizedAccess;Unauthorized";
                return Err(HubError::Unauthorized(text.into()));
            }
            Mood::Well | Mood::FailsOnce => {}
        }
        self.devices.lock().unwrap().insert((hub.name.key(), id), device.authentication.clone());
        Ok(TwinTaken::Whole)
    }

    async fn twin(&self, _hub: &LinkedHub, _device_id: &DeviceId) -> Result<Option<HubTwin>, HubError> {
        Ok(None)
    }

    async fn delete_device(&self, hub: &LinkedHub, device_id: &DeviceId) -> Result<(), HubError> {
        self.devices.lock().unwrap().remove(&(hub.name.key(), device_id.as_str().to_owned()));
        Ok(())
    }

    async fn probe(&self, _hub: &LinkedHub) -> Result<(), HubError> {
        Ok(())
    }
}
