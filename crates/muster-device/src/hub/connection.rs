//! The conversation with a hub: one task that sends what the application asks and sorts what comes. Owns the requests
//! that wait for an answer and the signs of life; must not know who asked.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use dps_wire::mqtt::packet::{Delivery, Packet, PacketId, Publish};
use dps_wire::mqtt::topic::hub::{DeviceTopic, HubTopic};
use serde_json::{Map, Value};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};

use crate::error::Error;
use crate::limits::{MAX_REQUESTS_IN_FLIGHT, PING_INTERVAL};
use crate::mqtt::Line;
use crate::stream::BoxStream;

/// A connection to a hub.
pub(super) type HubLine = Line<BoxStream>;
/// Where a result goes. Its owner may have given up: then it goes nowhere.
type Promise<T> = oneshot::Sender<Result<T, Error>>;

/// What the application asks for.
pub(super) enum Command {
    /// A message to the cloud; done when the hub has it.
    Telemetry { topic: String, payload: Bytes, reply: Promise<()> },
    /// The whole twin.
    TwinGet { reply: Promise<Reply> },
    /// A change to the reported properties.
    Report { payload: Bytes, reply: Promise<Reply> },
}

/// A hub's answer to a twin request.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) version: Option<u64>,
    pub(super) body: Bytes,
}

pub(super) struct Connection {
    line: HubLine,
    commands: mpsc::Receiver<Command>,
    desired: broadcast::Sender<(u64, Map<String, Value>)>,
    /// Time that writing one packet may take.
    write_limit: Duration,
    /// Telemetry that waits for its PUBACK.
    telemetry: HashMap<PacketId, Promise<()>>,
    /// Twin requests that wait for their answer.
    twin: HashMap<String, Promise<Reply>>,
    last_rid: u64,
}

impl Connection {
    pub(super) fn new(
        line: HubLine,
        commands: mpsc::Receiver<Command>,
        desired: broadcast::Sender<(u64, Map<String, Value>)>,
        write_limit: Duration,
    ) -> Self {
        let (telemetry, twin) = (HashMap::new(), HashMap::new());
        Self { line, commands, desired, write_limit, telemetry, twin, last_rid: 0 }
    }

    /// Serves until the application leaves or the connection breaks; gives the reason for those who still ask.
    pub(super) async fn run(mut self) -> Error {
        match self.converse().await {
            Ok(()) => {
                self.line.close().await;
                Error::Disconnected("the device closed it".into())
            }
            // Nobody reads at the other end: there is no one to take leave of.
            Err(error) => Error::Disconnected(error.to_string()),
        }
    }

    async fn converse(&mut self) -> Result<(), Error> {
        let mut alive = tokio::time::interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
        alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut answered = true;
        loop {
            if self.is_full() {
                self.forget_those_who_gave_up();
            }
            let room = !self.is_full();
            tokio::select! {
                command = self.commands.recv(), if room => {
                    let Some(command) = command else { return Ok(()) };
                    self.command(command).await?;
                }
                packet = self.line.receive() => {
                    answered = true;
                    self.packet(packet?).await?;
                }
                _ = alive.tick() => {
                    if !answered {
                        return Err(Error::Timeout { limit: PING_INTERVAL, doing: "waiting for a sign of life" });
                    }
                    answered = false;
                    self.forget_those_who_gave_up();
                    self.send(Packet::PingReq).await?;
                }
            }
        }
    }

    async fn command(&mut self, command: Command) -> Result<(), Error> {
        match command {
            Command::Telemetry { topic, payload, reply } => {
                let packet_id = self.free_id();
                self.telemetry.insert(packet_id, reply);
                match self.publish(packet_id, topic, payload).await {
                    // Too large, for example: nothing was sent, and the connection is as it was.
                    Err(error @ Error::Setting(_)) => {
                        if let Some(reply) = self.telemetry.remove(&packet_id) {
                            reply.send(Err(error)).ok();
                        }
                        Ok(())
                    }
                    other => other,
                }
            }
            Command::TwinGet { reply } => {
                // A space, as the SDKs send it.
                self.twin_request(|rid| DeviceTopic::TwinGet { rid }, Bytes::from_static(b" "), reply).await
            }
            Command::Report { payload, reply } => {
                self.twin_request(|rid| DeviceTopic::TwinReported { rid }, payload, reply).await
            }
        }
    }

    async fn twin_request(
        &mut self,
        topic: impl FnOnce(String) -> DeviceTopic,
        payload: Bytes,
        reply: Promise<Reply>,
    ) -> Result<(), Error> {
        self.last_rid += 1;
        let rid = self.last_rid.to_string();
        let topic = topic(rid.clone()).topic().map_err(|error| Error::Setting(error.to_string()))?;
        self.twin.insert(rid.clone(), reply);
        let packet_id = self.free_id();
        match self.publish(packet_id, topic, payload).await {
            Err(error @ Error::Setting(_)) => {
                if let Some(reply) = self.twin.remove(&rid) {
                    reply.send(Err(error)).ok();
                }
                Ok(())
            }
            other => other,
        }
    }

    async fn publish(&mut self, packet_id: PacketId, topic: String, payload: Bytes) -> Result<(), Error> {
        let delivery = Delivery::AtLeastOnce { packet_id, dup: false };
        self.send(Packet::Publish(Publish { topic, delivery, retain: false, payload })).await
    }

    async fn packet(&mut self, packet: Packet) -> Result<(), Error> {
        match packet {
            Packet::PubAck(packet_id) => {
                if let Some(reply) = self.telemetry.remove(&packet_id) {
                    reply.send(Ok(())).ok();
                }
                Ok(())
            }
            Packet::Publish(publish) => {
                let taken = tokio::time::timeout(self.write_limit, self.line.acknowledge(&publish)).await;
                taken.unwrap_or_else(|_| Err(self.stuck()))?;
                self.sort(publish)
            }
            Packet::PingResp => Ok(()),
            other => Err(self.line.unexpected(&other)),
        }
    }

    /// Hands a message to whom it is for. One that nobody asked for is ignored.
    fn sort(&mut self, publish: Publish) -> Result<(), Error> {
        let topic = HubTopic::parse(&publish.topic)
            .map_err(|error| Error::Protocol(format!("the hub sent to a topic of no use: {error}")))?;
        match topic {
            HubTopic::TwinResponse { status, rid, version } => {
                if let Some(reply) = self.twin.remove(&rid) {
                    reply.send(Ok(Reply { status, version, body: publish.payload })).ok();
                }
            }
            HubTopic::TwinDesired { version } => {
                let patch = serde_json::from_slice(&publish.payload).map_err(|error| {
                    Error::Protocol(format!(
                        "the hub's desired properties are no JSON object: line {}, column {}",
                        error.line(),
                        error.column()
                    ))
                })?;
                // Without a listener the change is in the twin all the same.
                self.desired.send((version, patch)).ok();
            }
            HubTopic::CloudToDevice { .. } | HubTopic::ModuleInput { .. } | HubTopic::Method { .. } => {}
        }
        Ok(())
    }

    async fn send(&mut self, packet: Packet) -> Result<(), Error> {
        let sent = tokio::time::timeout(self.write_limit, self.line.send(&packet)).await;
        sent.unwrap_or_else(|_| Err(self.stuck()))
    }

    fn stuck(&self) -> Error {
        Error::Timeout { limit: self.write_limit, doing: "writing to the hub, which does not read" }
    }

    /// An identifier that no message under way has.
    fn free_id(&mut self) -> PacketId {
        loop {
            let id = self.line.next_id();
            // There are 65,535, and far fewer messages under way.
            if !self.telemetry.contains_key(&id) {
                return id;
            }
        }
    }

    fn is_full(&self) -> bool {
        self.telemetry.len() + self.twin.len() >= MAX_REQUESTS_IN_FLIGHT
    }

    /// An application that stopped waiting frees its place.
    fn forget_those_who_gave_up(&mut self) {
        self.telemetry.retain(|_, reply| !reply.is_closed());
        self.twin.retain(|_, reply| !reply.is_closed());
    }
}
