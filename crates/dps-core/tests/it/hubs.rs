//! Hubs that remember what was written, a webhook that was asked, and both fail as a test tells them. Their delays are for tests that hold the clock
//! (`start_paused`).

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use dps_core::ports::{HubError, Hubs, TwinTaken, Webhook, WebhookAnswer, WebhookError};
use dps_model::hub::{HubAuthentication, HubDevice, HubTwin, LinkedHub};
use dps_model::{DeviceId, Secret};
use serde_json::Value;

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
    Twin,
    Probe,
    Ask,
}

type Script = Box<dyn FnMut(&str, Call) -> Behaviour + Send>;
type Answers = Box<dyn FnMut(&Value) -> Result<WebhookAnswer, WebhookError> + Send>;

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
    answers: Option<Answers>,
    asked: Vec<Value>,
    keeps_reported: bool,
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

    /// What the webhook answers from now on; it is given the request.
    pub fn answer(
        &self,
        answers: impl FnMut(&Value) -> Result<WebhookAnswer, WebhookError> + Send + 'static,
    ) {
        self.lock().answers = Some(Box::new(answers));
    }

    /// What the webhook was asked, in order.
    pub fn asked(&self) -> Vec<Value> {
        self.lock().asked.clone()
    }

    /// From now on only the device itself writes what it reports.
    pub fn keep_reported_to_the_device(&self) {
        self.lock().keeps_reported = true;
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

    /// What the device reports on that hub.
    pub fn report(&self, hub: &str, id: &str, key: &str, value: Value) {
        let mut inner = self.lock();
        let (_, twin) = inner.devices.get_mut(&(hub.to_owned(), id.to_owned())).unwrap();
        twin.reported.insert(key.to_owned(), value);
    }

    /// Somebody else removes the device.
    pub fn forget(&self, hub: &str, id: &str) {
        self.lock().devices.remove(&(hub.to_owned(), id.to_owned()));
    }

    fn put(&self, hub: &str, device: &HubDevice, twin: Option<&HubTwin>) {
        let mut inner = self.lock();
        let key = (hub.to_owned(), device.device_id.as_str().to_owned());
        inner.puts.push(key.clone());
        let kept = inner.devices.remove(&key).map(|(_, twin)| twin).unwrap_or_default();
        let twin = match twin {
            Some(twin) if twin.reported.is_empty() || inner.keeps_reported => {
                HubTwin { tags: twin.tags.clone(), desired: twin.desired.clone(), ..kept }
            }
            Some(twin) => twin.clone(),
            None => kept,
        };
        inner.devices.insert(key, (device.clone(), twin));
    }

    async fn behaviour(&self, hub: &LinkedHub, call: Call) -> Behaviour {
        self.behaviour_of(hub.name.as_str(), call).await
    }

    async fn behaviour_of(&self, whom: &str, call: Call) -> Behaviour {
        let behaviour = self.lock().script.as_mut().map(|script| script(whom, call)).unwrap_or_default();
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
        let whole = !self.lock().keeps_reported || twin.is_none_or(|twin| twin.reported.is_empty());
        let taken = if whole { TwinTaken::Whole } else { TwinTaken::WithoutReported };
        answered(behaviour).await.map(|()| taken)
    }

    async fn twin(&self, hub: &LinkedHub, device_id: &DeviceId) -> Result<Option<HubTwin>, HubError> {
        let behaviour = self.behaviour(hub, Call::Twin).await;
        if let Some(error) = behaviour.before {
            return Err(error);
        }
        let twin = self.device(&hub.name.key(), device_id.as_str()).map(|(_, twin)| twin);
        answered(behaviour).await.map(|()| twin)
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

#[async_trait]
impl Webhook for FakeHubs {
    async fn ask(&self, url: &Secret, body: &str) -> Result<WebhookAnswer, WebhookError> {
        assert!(url.expose().starts_with(b"https://"));
        let request: Value = serde_json::from_str(body).unwrap();
        let behaviour = self.behaviour_of("webhook", Call::Ask).await;
        if behaviour.before.is_some() {
            return Err(WebhookError::Unreachable("connection refused".into()));
        }
        let answer = {
            let mut inner = self.lock();
            inner.asked.push(request.clone());
            inner.answers.as_mut().expect("nobody told the webhook what to answer")(&request)
        };
        match answered(behaviour).await {
            Ok(()) => answer,
            Err(_) => Err(WebhookError::Busy { status: 503, retry_after: None }),
        }
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
