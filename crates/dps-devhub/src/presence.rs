//! Which devices of a hub are connected, and the way to speak to them. In memory: a restart disconnects everybody.
//! Owns takeover (one connection per device id) and the bounded queue to each connection; must not know MQTT.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use dps_core::ports::Clock;
use dps_model::limits::{DEVICEBOUND_TIMEOUT, MAX_DEVICES_SEEN, MAX_HUB_COMMANDS};
use dps_model::{DeviceId, Timestamp};
use serde_json::Value;
use tokio::sync::{Notify as Signal, mpsc, oneshot};

use crate::failure::{HubErrorCode, HubFailure};
use crate::registry::{Activity, Notify};

/// What a connection is asked to tell its device.
#[derive(Debug)]
pub(crate) enum Command {
    /// The desired properties changed.
    Desired { version: u64, told: Value },
    /// Call a method; answer when the device did.
    Method { name: String, payload: Bytes, answer: oneshot::Sender<MethodAnswer> },
    /// A message from the cloud; answer true when it is on its way, false when nobody listens for it.
    DeviceBound { properties: Vec<(String, String)>, payload: Bytes, answer: oneshot::Sender<bool> },
}

/// What a device says to a direct method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MethodAnswer {
    pub(crate) status: i32,
    pub(crate) payload: Bytes,
}

struct Seat {
    serial: u64,
    commands: mpsc::Sender<Command>,
}

#[derive(Default)]
struct Seats {
    next: u64,
    taken: HashMap<DeviceId, Seat>,
    /// When a device came or went, and spoke last. Kept for devices seen since the start, up to a bound.
    seen: HashMap<DeviceId, (Timestamp, Timestamp)>,
}

/// The connected devices of one hub.
pub(crate) struct Presence {
    clock: Arc<dyn Clock>,
    seats: Mutex<Seats>,
    arrived: Signal,
}

/// One connection's place. Dropping it frees the place, unless another connection has taken it over.
pub(crate) struct Place {
    presence: Arc<Presence>,
    id: DeviceId,
    serial: u64,
    /// `None` from it: the place is lost, close the connection.
    pub(crate) commands: mpsc::Receiver<Command>,
}

impl Presence {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, seats: Mutex::default(), arrived: Signal::new() }
    }

    /// Gives the device its place; a connection that had it loses it.
    pub(crate) fn enter(self: &Arc<Self>, id: &DeviceId) -> Place {
        let (sender, commands) = mpsc::channel(MAX_HUB_COMMANDS);
        let now = self.clock.now();
        let serial = {
            let mut seats = self.seats();
            seats.next += 1;
            let serial = seats.next;
            seats.taken.insert(id.clone(), Seat { serial, commands: sender });
            note(&mut seats, id, now, true);
            serial
        };
        Place { presence: Arc::clone(self), id: id.clone(), serial, commands }
    }

    /// Says that a device is ready for methods; waiting callers look again.
    pub(crate) fn ready(&self) {
        self.arrived.notify_waiters();
    }

    /// Notes that the device spoke.
    pub(crate) fn active(&self, id: &DeviceId) {
        let now = self.clock.now();
        note(&mut self.seats(), id, now, false);
    }

    pub(crate) fn activity(&self, id: &DeviceId) -> Activity {
        let seats = self.seats();
        let seen = seats.seen.get(id);
        Activity {
            connected: seats.taken.contains_key(id),
            changed: seen.map(|(changed, _)| *changed),
            last: seen.map(|(_, last)| *last),
        }
    }

    pub(crate) fn connected(&self) -> usize {
        self.seats().taken.len()
    }

    /// Calls a method and waits for its answer, at most `response`; a device that is not there may come within
    /// `connect`.
    pub(crate) async fn method(
        &self,
        id: &DeviceId,
        name: &str,
        payload: &Bytes,
        connect: Duration,
        response: Duration,
    ) -> Result<MethodAnswer, HubFailure> {
        let offline = || {
            HubFailure::new(
                HubErrorCode::DeviceNotOnline,
                "The operation failed because the requested device isn't online. Subscribe to $iothub/methods/POST/# on the device and try again.",
            )
        };
        let patience = tokio::time::sleep(connect);
        tokio::pin!(patience);
        loop {
            // Enabled before the attempt, so that an arrival between the two is not missed.
            let arrival = self.arrived.notified();
            tokio::pin!(arrival);
            arrival.as_mut().enable();
            let (answer, answered) = oneshot::channel();
            let command = Command::Method { name: name.to_owned(), payload: payload.clone(), answer };
            if self.tell(id, command) {
                // A dropped answer means that the device does not listen, or left.
                match tokio::time::timeout(response, answered).await {
                    Ok(Ok(answer)) => return Ok(answer),
                    Ok(Err(_)) => {}
                    Err(_) => {
                        return Err(HubFailure::new(
                            HubErrorCode::GatewayTimeout,
                            "Timed out waiting for the response from device.",
                        ));
                    }
                }
            }
            tokio::select! {
                () = arrival => {}
                () = &mut patience => return Err(offline()),
            }
        }
    }

    /// Hands a message to the connected device, whose connection may be busy with a peer that hardly reads.
    pub(crate) async fn device_bound(
        &self,
        id: &DeviceId,
        properties: Vec<(String, String)>,
        payload: Bytes,
    ) -> Result<(), HubFailure> {
        let (answer, answered) = oneshot::channel();
        if self.tell(id, Command::DeviceBound { properties, payload, answer }) {
            match tokio::time::timeout(Duration::from_secs(DEVICEBOUND_TIMEOUT), answered).await {
                Ok(Ok(true)) => return Ok(()),
                Ok(Ok(false) | Err(_)) => {}
                Err(_) => {
                    return Err(HubFailure::new(
                        HubErrorCode::GatewayTimeout,
                        "Timed out waiting for the device to take the message.",
                    ));
                }
            }
        }
        Err(HubFailure::new(
            HubErrorCode::DeviceNotOnline,
            "The device is not connected, or does not listen for messages; this hub keeps none.",
        ))
    }

    /// Nobody is there, and nobody was.
    pub(crate) fn clear(&self) {
        let mut seats = self.seats();
        seats.taken.clear();
        seats.seen.clear();
    }

    /// False when nobody is there, or its queue is full.
    fn tell(&self, id: &DeviceId, command: Command) -> bool {
        let sender = self.seats().taken.get(id).map(|seat| seat.commands.clone());
        sender.is_some_and(|sender| sender.try_send(command).is_ok())
    }

    fn leave(&self, id: &DeviceId, serial: u64) {
        let now = self.clock.now();
        let mut seats = self.seats();
        if seats.taken.get(id).is_some_and(|seat| seat.serial == serial) {
            seats.taken.remove(id);
            note(&mut seats, id, now, true);
        }
    }

    fn seats(&self) -> std::sync::MutexGuard<'_, Seats> {
        // Every change under the lock is complete or did not begin: a panic elsewhere leaves nothing half done.
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn note(seats: &mut Seats, id: &DeviceId, now: Timestamp, changed: bool) {
    if let Some(times) = seats.seen.get_mut(id) {
        times.1 = now;
        if changed {
            times.0 = now;
        }
    } else if seats.seen.len() < MAX_DEVICES_SEEN {
        seats.seen.insert(id.clone(), (now, now));
    }
}

impl Notify for Arc<Presence> {
    /// A device that does not keep up with its queue loses its place: it comes back and reads the whole twin.
    fn desired(&self, id: &DeviceId, version: u64, told: Value) {
        let connected = self.seats().taken.contains_key(id);
        if connected && !self.tell(id, Command::Desired { version, told }) {
            self.unwelcome(id);
        }
    }

    fn unwelcome(&self, id: &DeviceId) {
        let now = self.clock.now();
        let mut seats = self.seats();
        if seats.taken.remove(id).is_some() {
            note(&mut seats, id, now, true);
        }
    }

    fn deleted(&self, id: &DeviceId) {
        let mut seats = self.seats();
        seats.taken.remove(id);
        seats.seen.remove(id);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.presence.leave(&self.id, self.serial);
    }
}
