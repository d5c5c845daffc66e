//! The conversation with one connected device: telemetry, twin, methods, messages from the cloud.
//! Owns the loop and its bounds; must not know who may connect.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dps_core::ports::Clock;
use dps_device_api::foreign::Stream;
use dps_model::limits::{MAX_KEEP_ALIVE, WRITE_TIMEOUT};
use dps_wire::mqtt::packet::{Delivery, Publish, Subscribe};
use dps_wire::mqtt::session::{Event, SendError, Session, SessionError};
use dps_wire::mqtt::topic::hub::{DeviceTopic, HubTopic, Property, PropertyBag};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use crate::end::End;
use crate::guest::{Guest, TwinAnswer};
use crate::presence::{Command, MethodAnswer};

/// Bytes taken from the stream at once.
const READ: usize = 8 * 1024;

impl From<SessionError> for End {
    fn from(error: SessionError) -> Self {
        Self::Broke(error.to_string())
    }
}

impl From<SendError> for End {
    fn from(error: SendError) -> Self {
        Self::Broke(error.to_string())
    }
}

/// A stream and the session on it.
pub(super) struct Line {
    stream: Box<dyn Stream>,
    clock: Arc<dyn Clock>,
    pub(super) session: Session,
}

impl Line {
    pub(super) fn new(stream: Box<dyn Stream>, clock: Arc<dyn Clock>, session: Session) -> Self {
        Self { stream, clock, session }
    }

    fn now_ms(&self) -> u64 {
        self.clock.monotonic_micros() / 1000
    }

    pub(super) fn poll(&mut self) -> Result<Option<Event>, SessionError> {
        let now = self.now_ms();
        self.session.poll(now)
    }

    pub(super) async fn accept(&mut self) -> Result<(), End> {
        let now = self.now_ms();
        self.session.accept(now)?;
        self.flush().await
    }

    /// Writes what waits; a peer that does not read is given up.
    pub(super) async fn flush(&mut self) -> Result<(), End> {
        if !self.session.has_output() {
            return Ok(());
        }
        let output = self.session.take_output();
        let write = async {
            self.stream.write_all(&output).await?;
            self.stream.flush().await
        };
        match tokio::time::timeout(Duration::from_secs(WRITE_TIMEOUT), write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::Silent),
        }
    }

    /// Writes what waits and closes; errors do not matter any more.
    pub(super) async fn close(&mut self) {
        self.flush().await.ok();
        tokio::time::timeout(Duration::from_secs(WRITE_TIMEOUT), self.stream.shutdown()).await.ok();
    }
}

/// One connected device.
pub(super) struct Connection<'a> {
    line: &'a mut Line,
    guest: Guest,
}

impl<'a> Connection<'a> {
    pub(super) fn new(line: &'a mut Line, guest: Guest) -> Self {
        Self { line, guest }
    }

    /// Serves until the end; `buffered` came behind CONNECT.
    pub(super) async fn run(&mut self, buffered: &[u8]) -> End {
        self.line.session.receive(buffered);
        match self.converse().await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    pub(super) async fn close(self, end: &End) {
        self.guest.leave(&end.to_string());
        self.line.close().await;
    }

    async fn converse(&mut self) -> Result<std::convert::Infallible, End> {
        let mut chunk = vec![0; READ];
        let mut heard = self.line.now_ms();
        loop {
            while let Some(event) = self.line.poll()? {
                self.handle(event).await?;
                self.line.flush().await?;
            }
            self.line.flush().await?;
            let now = self.line.now_ms();
            let (deadline, end) = self.deadline(heard);
            if now >= deadline {
                return Err(end);
            }
            tokio::select! {
                read = self.line.stream.read(&mut chunk), if self.line.session.wants_input() => {
                    let bytes = match read {
                        Ok(count @ 1..) => chunk.get(..count).unwrap_or_default(),
                        _ => return Err(End::Gone),
                    };
                    heard = self.line.now_ms();
                    self.line.session.receive(bytes);
                }
                command = self.guest.command() => {
                    self.command(command.ok_or(End::Displaced)?)?;
                }
                () = tokio::time::sleep(Duration::from_millis(deadline - now)) => {}
            }
        }
    }

    /// The next instant at which the connection is over, and why it would be.
    fn deadline(&self, heard: u64) -> (u64, End) {
        let most = heard.saturating_add(MAX_KEEP_ALIVE * 1500);
        let silent = self.line.session.deadline().map_or(most, |deadline| deadline.min(most));
        match self.guest.expires() {
            Some(expires) if expires < silent => (expires, End::Expired),
            _ => (silent, End::Silent),
        }
    }

    async fn handle(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Publish(publish) => self.publish(publish).await,
            Event::Subscribe(subscribe) => self.subscribe(&subscribe),
            Event::Disconnected => Err(End::Left),
            Event::Connect(_) | Event::UnsupportedProtocol(_) => Err(End::Broke("a second CONNECT".into())),
            Event::Unsubscribed(_) | Event::Delivered(_) => Ok(()),
        }
    }

    fn subscribe(&mut self, subscribe: &Subscribe) -> Result<(), End> {
        let own = format!("devices/{}/messages/", self.guest.id);
        let served = |filter: &str| filter.starts_with("$iothub/") || filter.starts_with(&own);
        self.line.session.grant(subscribe, |wanted| served(&wanted.filter))?;
        self.guest.ready();
        Ok(())
    }

    async fn publish(&mut self, publish: Publish) -> Result<(), End> {
        self.guest.active();
        let topic = DeviceTopic::parse(&publish.topic).map_err(|error| End::Broke(error.to_string()))?;
        match topic {
            DeviceTopic::Telemetry { device_id, module_id, properties } => {
                if device_id != self.guest.id.as_str() || module_id.is_some() {
                    return Err(End::Broke("a message in another's name".into()));
                }
                let named = |property: Property| (property.key, property.value.unwrap_or_default());
                self.guest.telemetry(properties.0.into_iter().map(named).collect(), publish.payload);
                self.acknowledge(publish.delivery)
            }
            DeviceTopic::TwinGet { rid } => {
                let answer = self.guest.twin().await;
                self.twin_answer(publish.delivery, rid, answer)
            }
            DeviceTopic::TwinReported { rid } => {
                let answer = self.guest.report(&publish.payload).await;
                self.twin_answer(publish.delivery, rid, answer)
            }
            DeviceTopic::MethodResponse { status, rid } => {
                if let Ok(number) = u64::from_str_radix(&rid, 16) {
                    self.guest.called(number, MethodAnswer { status, payload: publish.payload });
                }
                self.acknowledge(publish.delivery)
            }
        }
    }

    fn acknowledge(&mut self, delivery: Delivery) -> Result<(), End> {
        match delivery.packet_id() {
            Some(id) => Ok(self.line.session.acknowledge(id)?),
            None => Ok(()),
        }
    }

    fn twin_answer(&mut self, request: Delivery, rid: String, answer: TwinAnswer) -> Result<(), End> {
        let TwinAnswer { status, version, body } = answer;
        let topic = HubTopic::TwinResponse { status, rid, version }
            .topic()
            .map_err(|error| End::Broke(error.to_string()))?;
        match self.line.session.respond(request, topic, Bytes::from(body)) {
            // It asked without listening: its loss.
            Ok(_) | Err(SendError::NotSubscribed) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// A device that does not acknowledge loses its connection; it comes back and reads what it missed.
    fn command(&mut self, command: Command) -> Result<(), End> {
        match command {
            Command::Desired { version, told } => {
                self.deliver(&HubTopic::TwinDesired { version }, Bytes::from(told.to_string()))?;
            }
            Command::Method { name, payload, answer } => self.method(name, payload, answer)?,
            // Its sender has been told that it was not taken in time.
            Command::DeviceBound { answer, .. } if answer.is_closed() => {}
            Command::DeviceBound { properties, payload, answer } => {
                let properties =
                    properties.into_iter().map(|(key, value)| Property { key, value: Some(value) }).collect();
                let topic = HubTopic::CloudToDevice {
                    device_id: self.guest.id.as_str().to_owned(),
                    properties: PropertyBag(properties),
                };
                let delivered = self.deliver(&topic, payload)?;
                answer.send(delivered).ok();
            }
        }
        Ok(())
    }

    fn method(
        &mut self,
        name: String,
        payload: Bytes,
        answer: oneshot::Sender<MethodAnswer>,
    ) -> Result<(), End> {
        let Some(number) = self.guest.call(answer) else { return Ok(()) };
        if !self.deliver(&HubTopic::Method { name, rid: format!("{number:x}") }, payload)? {
            self.guest.call_failed(number);
        }
        Ok(())
    }

    /// True when it is on its way, false when the device does not listen or the topic cannot be written.
    fn deliver(&mut self, topic: &HubTopic, payload: Bytes) -> Result<bool, End> {
        let Ok(topic) = topic.topic() else { return Ok(false) };
        match self.line.session.deliver(topic, payload) {
            Ok(_) => Ok(true),
            Err(SendError::NotSubscribed | SendError::Encode(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
