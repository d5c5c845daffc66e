//! Hubs that remember what was written, and fail as a test tells them. Their delays are for tests that hold the clock
//! (`start_paused`).

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use dps_core::ports::{HubError, Hubs, TwinTaken};
use dps_model::DeviceId;
use dps_model::hub::{HubAuthentication, HubDevice, HubTwin, LinkedHub};

/// What becomes of one call.
#[derive(Clone, Debug, Default)]
pub struct Behaviour {
    /// How long it takes.
    pub delay: Duration,
    /// It fails so without having done a thing.
    pub before: Option<HubError>,
    /// It is done, and its answer is this.
    pub after: Option<HubError>,
    /// How long the answer takes once it is done.
    pub linger: Duration,
}

/// What is asked of a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Put,
    Delete,
    Probe,
}

type Script = Box<dyn FnMut(&str, Call) -> Behaviour + Send>;

/// All hubs. A device is kept under (hub, device id).
#[derive(Default)]
pub struct FakeHubs {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    devices: BTreeMap<(String, String), (HubDevice, HubTwin)>,
    puts: Vec<(String, String)>,
    script: Option<Script>,
}

impl FakeHubs {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// What each call does from now on; it is given the hub's name.
    pub fn behave(&self, script: impl FnMut(&str, Call) -> Behaviour + Send + 'static) {
        self.lock().script = Some(Box::new(script));
    }

    /// The next calls fail so, the ones after do as they are asked.
    pub fn fail(&self, errors: Vec<HubError>) {
        let mut errors = errors.into_iter();
        self.behave(move |_, _| Behaviour { before: errors.next(), ..Behaviour::default() });
    }

    /// Every call does as it is asked.
    pub fn heal(&self) {
        self.lock().script = None;
    }

    /// Hub, device id and credential of each identity.
    pub fn identities(&self) -> Vec<(String, String, HubAuthentication)> {
        let inner = self.lock();
        let one = |((hub, id), (device, _)): (&(String, String), &(HubDevice, HubTwin))| {
            (hub.clone(), id.clone(), device.authentication.clone())
        };
        inner.devices.iter().map(one).collect()
    }

    /// Hub and device id of each identity.
    pub fn names(&self) -> Vec<(String, String)> {
        self.lock().devices.keys().cloned().collect()
    }

    /// Identity and twin on that hub.
    pub fn device(&self, hub: &str, id: &str) -> Option<(HubDevice, HubTwin)> {
        self.lock().devices.get(&(hub.to_owned(), id.to_owned())).cloned()
    }

    /// Hub and device id of every put that was carried out, in order.
    pub fn puts(&self) -> Vec<(String, String)> {
        self.lock().puts.clone()
    }

    fn put(&self, hub: &str, device: &HubDevice, twin: Option<&HubTwin>) {
        let mut inner = self.lock();
        let key = (hub.to_owned(), device.device_id.as_str().to_owned());
        inner.puts.push(key.clone());
        let kept = inner.devices.remove(&key).map(|(_, twin)| twin).unwrap_or_default();
        let twin = match twin {
            Some(twin) => HubTwin { tags: twin.tags.clone(), desired: twin.desired.clone(), ..kept },
            None => kept,
        };
        inner.devices.insert(key, (device.clone(), twin));
    }

    async fn behaviour(&self, hub: &LinkedHub, call: Call) -> Behaviour {
        let behaviour =
            self.lock().script.as_mut().map(|script| script(hub.name.as_str(), call)).unwrap_or_default();
        if !behaviour.delay.is_zero() {
            tokio::time::sleep(behaviour.delay).await;
        }
        behaviour
    }
}

#[async_trait]
impl Hubs for FakeHubs {
    async fn put_device(
        &self,
        hub: &LinkedHub,
        device: &HubDevice,
        twin: Option<&HubTwin>,
    ) -> Result<TwinTaken, HubError> {
        let behaviour = self.behaviour(hub, Call::Put).await;
        if let Some(error) = behaviour.before {
            return Err(error);
        }
        self.put(&hub.name.key(), device, twin);
        answered(behaviour).await.map(|()| TwinTaken::Whole)
    }

    async fn twin(&self, hub: &LinkedHub, device_id: &DeviceId) -> Result<Option<HubTwin>, HubError> {
        Ok(self.device(&hub.name.key(), device_id.as_str()).map(|(_, twin)| twin))
    }

    async fn delete_device(&self, hub: &LinkedHub, device_id: &DeviceId) -> Result<(), HubError> {
        let behaviour = self.behaviour(hub, Call::Delete).await;
        if let Some(error) = behaviour.before {
            return Err(error);
        }
        self.lock().devices.remove(&(hub.name.key(), device_id.as_str().to_owned()));
        answered(behaviour).await
    }

    async fn probe(&self, hub: &LinkedHub) -> Result<(), HubError> {
        let behaviour = self.behaviour(hub, Call::Probe).await;
        behaviour.before.map_or(Ok(()), Err)
    }
}

async fn answered(behaviour: Behaviour) -> Result<(), HubError> {
    if !behaviour.linger.is_zero() {
        tokio::time::sleep(behaviour.linger).await;
    }
    behaviour.after.map_or(Ok(()), Err)
}

/// A failure that passes.
pub fn unreachable() -> HubError {
    HubError::Unreachable("the hub did not answer".into())
}

/// A failure that stays.
pub fn unauthorized() -> HubError {
    HubError::Unauthorized("ErrorCode:IotHubUnauthorizedAccess;Unauthorized".into())
}
