//! Devices at a hub, whatever they speak: the proof, the place, and what a connected device may do. Owns what happens
//! between the proof and the farewell; must not know topics, links or who is asked first.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use dps_core::ports::Clock;
use dps_model::limits::{MAX_METHODS_WAITING, SAS_CLOCK_SKEW};
use dps_model::{DeviceId, TrackingId};
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use crate::access::{self, Denied, Shown};
use crate::failure::HubFailure;
use crate::presence::{Command, MethodAnswer, Place};
use crate::registry::Authentication;
use crate::{DevHub, DevHubs, Hook, Telemetry};

/// Why a device has no place.
pub(crate) enum Turned {
    /// It did not prove what it says, in one sentence for the operator.
    Away(Denied),
    /// The hub could not judge.
    Back(HubFailure),
}

/// A device that has proven who it is.
pub(crate) struct Proven {
    hub: Arc<DevHub>,
    id: DeviceId,
    authentication: Authentication,
    /// Monotonic millisecond at which the proof is over.
    expires: Option<u64>,
}

/// A connected device.
pub(crate) struct Guest {
    pub(crate) hub: Arc<DevHub>,
    pub(crate) id: DeviceId,
    clock: Arc<dyn Clock>,
    hook: Arc<dyn Hook>,
    place: Place,
    expires: Option<u64>,
    /// Calls that the device has not answered.
    methods: HashMap<u64, oneshot::Sender<MethodAnswer>>,
    next_method: u64,
}

/// What a device hears of its twin.
pub(crate) struct TwinAnswer {
    /// As in HTTP.
    pub(crate) status: u16,
    /// Of what was reported.
    pub(crate) version: Option<u64>,
    /// JSON, or nothing.
    pub(crate) body: String,
}

impl DevHubs {
    /// Judges a device by what it shows.
    pub(crate) async fn prove(
        &self,
        hub: &Arc<DevHub>,
        device_id: &str,
        shown: &Shown<'_>,
    ) -> Result<Proven, Turned> {
        let id = DeviceId::parse(device_id).map_err(|error| Turned::Away(error.to_string()))?;
        let device = hub.registry.get(&id).await.map_err(Turned::Back)?;
        let device = device.ok_or_else(|| Turned::Away("the hub has no such device".to_owned()))?;
        let admitted = access::device(&device, hub.name.as_str(), &self.key, shown, self.clock.now())
            .map_err(Turned::Away)?;
        let expires = admitted.until.map(|until| self.monotonic_expiry(until));
        Ok(Proven { hub: Arc::clone(hub), id, authentication: device.authentication, expires })
    }

    /// Gives a device its place, unless its proof turns out to be out of date.
    pub(crate) async fn seat(&self, proven: Proven) -> Result<Guest, Turned> {
        let Proven { hub, id, authentication, expires } = proven;
        let place = hub.presence.enter(&id);
        // The verdict may be out of date: only a change from here on reaches the place.
        let still = hub.registry.get(&id).await;
        if !still.is_ok_and(|device| {
            device.is_some_and(|device| device.is_enabled() && device.authentication == authentication)
        }) {
            return Err(Turned::Away("the identity changed while the device connected".to_owned()));
        }
        Ok(Guest {
            hub,
            id,
            clock: Arc::clone(&self.clock),
            hook: Arc::clone(&self.hook),
            place,
            expires,
            methods: HashMap::new(),
            next_method: 0,
        })
    }

    /// The monotonic millisecond at which a token that is valid until then (Unix seconds) is no longer taken.
    pub(crate) fn monotonic_expiry(&self, until: i64) -> u64 {
        let left = until
            .saturating_add(SAS_CLOCK_SKEW)
            .saturating_mul(1000)
            .saturating_sub(self.clock.now().millis());
        (self.clock.monotonic_micros() / 1000).saturating_add(u64::try_from(left).unwrap_or(0))
    }
}

impl Guest {
    /// It was told that it is welcome.
    pub(crate) fn arrived(&self) {
        tracing::info!(hub = %self.hub.name, device = %self.id, "device connected to the development hub");
        self.hook.on_connection(&self.hub.name, &self.id, true);
    }

    /// Gives the place up. Before the connection closes: who sees the end of the stream finds the device gone.
    pub(crate) fn leave(self, reason: &str) {
        let Self { place, hub, id, hook, .. } = self;
        drop(place);
        hook.on_connection(&hub.name, &id, false);
        tracing::info!(hub = %hub.name, device = %id, reason, "device left the development hub");
    }

    /// Monotonic millisecond at which the proof is over.
    pub(crate) fn expires(&self) -> Option<u64> {
        self.expires
    }

    /// Is it the device of this proof?
    pub(crate) fn is(&self, proven: &Proven) -> bool {
        self.id == proven.id && Arc::ptr_eq(&self.hub, &proven.hub)
    }

    /// The same device has shown a newer proof.
    pub(crate) fn renew(&mut self, proven: &Proven) {
        self.expires = proven.expires;
    }

    /// What the hub wants to tell the device; `None` when the place is lost. May be dropped.
    pub(crate) async fn command(&mut self) -> Option<Command> {
        self.place.commands.recv().await
    }

    /// It spoke.
    pub(crate) fn active(&self) {
        self.hub.presence.active(&self.id);
    }

    /// It listens for something: who waits for it looks again.
    pub(crate) fn ready(&self) {
        self.hub.presence.ready();
    }

    pub(crate) fn telemetry(&self, properties: Vec<(String, String)>, payload: Bytes) {
        let message = Arc::new(Telemetry {
            hub: self.hub.name.clone(),
            device_id: self.id.clone(),
            time: self.clock.now(),
            properties,
            payload,
        });
        self.hook.on_telemetry(&message);
        self.hub.telemetry.push(message);
    }

    pub(crate) async fn twin(&self) -> TwinAnswer {
        let twin = self.hub.registry.device(&self.id).await;
        self.twin_answer(twin.map(|device| (200, None, device.twin_for_device().to_string())))
    }

    pub(crate) async fn report(&self, patch: &[u8]) -> TwinAnswer {
        let reported = match serde_json::from_slice::<Map<String, Value>>(patch) {
            Ok(patch) => self.hub.registry.report(&self.id, &patch).await,
            Err(error) => Err(HubFailure::argument(format!(
                "Reported properties are a JSON object: line {}, column {}",
                error.line(),
                error.column()
            ))),
        };
        self.twin_answer(reported.map(|version| (204, Some(version), String::new())))
    }

    /// The answer to an operation that shows nothing.
    pub(crate) fn twin_done(&self) -> TwinAnswer {
        self.twin_answer(Ok((200, None, String::new())))
    }

    /// The answer to an operation that a twin does not have.
    pub(crate) fn twin_failure(&self, failure: HubFailure) -> TwinAnswer {
        self.twin_answer(Err(failure))
    }

    fn twin_answer(&self, answer: Result<(u16, Option<u64>, String), HubFailure>) -> TwinAnswer {
        let (status, version, body) = answer.unwrap_or_else(|failure| {
            (failure.code.status(), None, failure.body(TrackingId::fresh(), self.clock.now()))
        });
        TwinAnswer { status, version, body }
    }

    /// A call begins: its number, which the device's answer names; `None` when too many wait already.
    pub(crate) fn call(&mut self, answer: oneshot::Sender<MethodAnswer>) -> Option<u64> {
        self.methods.retain(|_, waiting| !waiting.is_closed());
        if self.methods.len() >= MAX_METHODS_WAITING {
            return None;
        }
        self.next_method += 1;
        self.methods.insert(self.next_method, answer);
        Some(self.next_method)
    }

    /// The call never left.
    pub(crate) fn call_failed(&mut self, number: u64) {
        self.methods.remove(&number);
    }

    /// The device answers a call. That its caller may have given up is no fault of the device.
    pub(crate) fn called(&mut self, number: u64, answer: MethodAnswer) {
        if let Some(waiting) = self.methods.remove(&number) {
            waiting.send(answer).ok();
        }
    }
}
