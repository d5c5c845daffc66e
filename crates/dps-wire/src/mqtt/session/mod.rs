//! The server's side of one MQTT connection, without the connection: bytes in -> [`Event`]s, answers -> bytes out.
//!
//! Owns what the protocol demands of a server whatever is served: order of packets, keep alive, packet ids,
//! acknowledgements, granted subscriptions. Must not know topics' meaning, sockets or the clock: `now_ms` is
//! any monotonic count of milliseconds. An idle connection holds no buffer at all.
//!
//! The caller's loop: [`Session::receive`] what came, [`Session::poll`] until it gives `None`, answer each
//! event, write [`Session::take_output`], wait for bytes or for [`Session::deadline`].
//!
//! ```
//! # use std::sync::Arc;
//! # use bytes::Bytes;
//! # use dps_wire::mqtt::session::{Event, Session, SessionLimits};
//! # use dps_wire::mqtt::topic::dps::{Request, Response, SUBSCRIBE_FILTER};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (came, now_ms) = (b"\x10\x0e\0\x04MQTT\x04\x02\0\x3c\0\x02d1", 0);
//! let mut session = Session::new(Arc::new(SessionLimits::default()), now_ms);
//! session.receive(came);
//! while let Some(event) = session.poll(now_ms)? {
//!     match event {
//!         Event::Connect(_) => session.accept(now_ms)?, // or refuse(code)
//!         Event::Subscribe(wanted) => {
//!             session.grant(&wanted, |entry| entry.filter == SUBSCRIBE_FILTER)?;
//!         }
//!         Event::Publish(publish) => {
//!             let rid = Request::parse(&publish.topic)?.rid().to_owned();
//!             let topic = Response { status: 202, rid, retry_after: Some(3) }.topic()?;
//!             session.respond(publish.delivery, topic, Bytes::from_static(b"{}"))?;
//!         }
//!         Event::UnsupportedProtocol(_) | Event::Unsubscribed(_) | Event::Delivered(_) | Event::Disconnected => {}
//!     }
//! }
//! assert_eq!(&session.take_output()[..], [0x20, 2, 0, 0]);
//! # Ok(())
//! # }
//! ```

mod error;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

pub use self::error::{SendError, SessionError};
use crate::mqtt::codec::{Decoder, Limits, Role, encode};
use crate::mqtt::limits;
use crate::mqtt::packet::{
    ConnAck, Connect, ConnectReturnCode, Delivery, Packet, PacketId, PacketType, Protocol, Publish, QoS,
    SubAck, Subscribe, SubscribeFilter, SubscribeResult,
};
use crate::mqtt::topic::filter_matches;

/// What one connection may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// Sizes of packets and lists.
    pub codec: Limits,
    /// Granted filters held.
    pub max_subscriptions: usize,
    /// QoS 1 messages sent and not acknowledged.
    pub max_in_flight: usize,
    /// QoS 1 messages received and not acknowledged; beyond it `poll` pauses.
    pub max_unacknowledged: usize,
    /// Bytes that wait to be written.
    pub max_output: usize,
    /// Milliseconds from [`Session::new`] to CONNECT, and again from CONNECT to its verdict.
    pub connect_timeout_ms: u64,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            codec: Limits::default(),
            max_subscriptions: limits::DEFAULT_MAX_SUBSCRIPTIONS,
            max_in_flight: limits::DEFAULT_MAX_IN_FLIGHT,
            max_unacknowledged: limits::DEFAULT_MAX_UNACKNOWLEDGED,
            max_output: limits::DEFAULT_MAX_OUTPUT,
            connect_timeout_ms: limits::DEFAULT_CONNECT_TIMEOUT_MS,
        }
    }
}

/// What the peer asks of the caller. PINGREQ and UNSUBSCRIBE are answered inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Decide with [`Session::accept`] or [`Session::refuse`]; nothing else happens before. Always MQTT 3.1.1.
    Connect(Box<Connect>),
    /// Another version of MQTT. CONNACK 1 is in the output; write it and close.
    UnsupportedProtocol(Protocol),
    /// A message. With an id, answer with [`Session::acknowledge`] or [`Session::respond`], in order of arrival.
    Publish(Publish),
    /// Decide with [`Session::grant`].
    Subscribe(Subscribe),
    /// These filters are gone; UNSUBACK is in the output.
    Unsubscribed(Vec<String>),
    /// The peer acknowledged the message of this id, which [`Session::deliver`] or `respond` gave.
    Delivered(PacketId),
    /// The peer left in good order: close.
    Disconnected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Before CONNECT.
    New,
    /// CONNECT is with the caller; what follows waits.
    Judged,
    /// Accepted.
    Open,
    /// Refused, left or failed: nothing is read any more.
    Closed,
}

#[derive(Debug)]
struct Subscription {
    filter: Box<str>,
    qos: QoS,
}

/// The state of one connection.
#[derive(Debug)]
pub struct Session {
    decoder: Decoder,
    limits: Arc<SessionLimits>,
    phase: Phase,
    keep_alive: u16,
    last_id: u16,
    /// When the connection began, then when its last whole packet came.
    heard_ms: u64,
    input: BytesMut,
    output: BytesMut,
    subscriptions: Vec<Subscription>,
    in_flight: Vec<PacketId>,
    unacknowledged: Vec<PacketId>,
}

impl Session {
    /// The state of a connection that begins now; the limits are shared by all connections of a listener.
    pub fn new(limits: Arc<SessionLimits>, now_ms: u64) -> Self {
        Self {
            decoder: Decoder::new(Role::Server, limits.codec),
            limits,
            phase: Phase::New,
            keep_alive: 0,
            last_id: 0,
            heard_ms: now_ms,
            input: BytesMut::new(),
            output: BytesMut::new(),
            subscriptions: Vec::new(),
            in_flight: Vec::new(),
            unacknowledged: Vec::new(),
        }
    }

    /// Takes what came from the peer. Call [`Self::poll`] until `None` before the next `receive`, and
    /// do not read from the peer while [`Self::wants_input`] is false: that bounds the input.
    pub fn receive(&mut self, bytes: &[u8]) {
        if self.phase != Phase::Closed {
            self.input.extend_from_slice(bytes);
        }
    }

    /// Whether reading on makes sense now.
    pub fn wants_input(&self) -> bool {
        match self.phase {
            Phase::New => true,
            Phase::Open => !self.is_paused(),
            Phase::Judged | Phase::Closed => false,
        }
    }

    /// The next event, or `None` until more bytes come (or an answer is given). An error means: write the
    /// output, then close. It is returned once, `None` from then on.
    pub fn poll(&mut self, now_ms: u64) -> Result<Option<Event>, SessionError> {
        let outcome = self.advance(now_ms);
        if outcome.is_err() {
            self.close();
        }
        if self.input.is_empty() {
            // An idle connection holds no buffer.
            self.input = BytesMut::new();
        }
        outcome
    }

    fn advance(&mut self, now_ms: u64) -> Result<Option<Event>, SessionError> {
        while self.wants_input() {
            let Some(packet) = self.decoder.decode(&mut self.input)? else { break };
            self.heard_ms = now_ms;
            if let Some(event) = self.handle(packet)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    fn handle(&mut self, packet: Packet) -> Result<Option<Event>, SessionError> {
        Ok(match packet {
            Packet::Connect(connect) => Some(self.on_connect(connect)?),
            Packet::Publish(publish) => Some(self.on_publish(publish)?),
            Packet::PubAck(id) => self.on_puback(id),
            Packet::Subscribe(subscribe) => Some(Event::Subscribe(subscribe)),
            Packet::Unsubscribe(unsubscribe) => {
                self.subscriptions
                    .retain(|held| !unsubscribe.filters.iter().any(|gone| **gone == *held.filter));
                self.answer(&Packet::UnsubAck(unsubscribe.packet_id))?;
                Some(Event::Unsubscribed(unsubscribe.filters))
            }
            Packet::PingReq => {
                self.answer(&Packet::PingResp)?;
                None
            }
            Packet::Disconnect => {
                self.close();
                Some(Event::Disconnected)
            }
            // QoS 2 is never begun here; the last four are refused by the decoder from their first byte.
            Packet::PubRec(_)
            | Packet::PubRel(_)
            | Packet::PubComp(_)
            | Packet::ConnAck(_)
            | Packet::SubAck(_)
            | Packet::UnsubAck(_)
            | Packet::PingResp => return Err(SessionError::Unexpected { packet: packet.packet_type() }),
        })
    }

    fn on_connect(&mut self, connect: Box<Connect>) -> Result<Event, SessionError> {
        if connect.protocol != Protocol::V311 {
            let code = ConnectReturnCode::UnacceptableProtocolVersion;
            self.answer(&Packet::ConnAck(ConnAck { session_present: false, code }))?;
            self.close();
            return Ok(Event::UnsupportedProtocol(connect.protocol));
        }
        self.phase = Phase::Judged;
        self.keep_alive = connect.keep_alive;
        Ok(Event::Connect(connect))
    }

    fn on_publish(&mut self, publish: Publish) -> Result<Event, SessionError> {
        match publish.delivery {
            Delivery::AtMostOnce => {}
            Delivery::AtLeastOnce { packet_id, .. } => self.unacknowledged.push(packet_id),
            Delivery::ExactlyOnce { .. } => return Err(SessionError::ExactlyOnce),
        }
        Ok(Event::Publish(publish))
    }

    /// An acknowledgement of nothing is ignored: the .NET SDK acknowledges whatever it gets.
    fn on_puback(&mut self, id: PacketId) -> Option<Event> {
        let index = self.in_flight.iter().position(|sent| *sent == id)?;
        self.in_flight.swap_remove(index);
        if self.in_flight.is_empty() {
            self.in_flight = Vec::new();
        }
        Some(Event::Delivered(id))
    }

    fn is_paused(&self) -> bool {
        self.unacknowledged.len() >= self.limits.max_unacknowledged
    }

    fn close(&mut self) {
        self.phase = Phase::Closed;
        self.input = BytesMut::new();
        self.subscriptions = Vec::new();
        self.in_flight = Vec::new();
        self.unacknowledged = Vec::new();
    }

    /// Answers CONNECT with CONNACK 0; a session is never present.
    pub fn accept(&mut self, now_ms: u64) -> Result<(), SendError> {
        self.expect(Phase::Judged)?;
        let code = ConnectReturnCode::Accepted;
        self.send(&Packet::ConnAck(ConnAck { session_present: false, code }))?;
        self.phase = Phase::Open;
        self.heard_ms = now_ms;
        Ok(())
    }

    /// Answers CONNECT with a refusal: write the output, then close.
    pub fn refuse(&mut self, code: ConnectReturnCode) -> Result<(), SendError> {
        self.expect(Phase::Judged)?;
        self.send(&Packet::ConnAck(ConnAck { session_present: false, code }))?;
        self.close();
        Ok(())
    }

    /// Answers SUBSCRIBE: what `admit` likes is granted with at most QoS 1, the rest is refused, as is what
    /// goes beyond the bound. Gives back how many were granted.
    pub fn grant(
        &mut self,
        subscribe: &Subscribe,
        mut admit: impl FnMut(&SubscribeFilter) -> bool,
    ) -> Result<usize, SendError> {
        self.expect(Phase::Open)?;
        let results: Vec<_> = subscribe
            .filters
            .iter()
            .map(|wanted| if admit(wanted) { self.hold(wanted) } else { SubscribeResult::Failure })
            .collect();
        let granted = results.iter().filter(|result| **result != SubscribeResult::Failure).count();
        self.send(&Packet::SubAck(SubAck { packet_id: subscribe.packet_id, results }))?;
        Ok(granted)
    }

    /// The same filter again replaces the one before (§3.8.4).
    fn hold(&mut self, wanted: &SubscribeFilter) -> SubscribeResult {
        let qos = wanted.qos.min(QoS::AtLeastOnce);
        let same = self.subscriptions.iter_mut().find(|held| *held.filter == *wanted.filter);
        if let Some(held) = same {
            held.qos = qos;
        } else if self.subscriptions.len() < self.limits.max_subscriptions {
            self.subscriptions.reserve_exact(1);
            self.subscriptions.push(Subscription { filter: wanted.filter.as_str().into(), qos });
        } else {
            return SubscribeResult::Failure;
        }
        SubscribeResult::Granted(qos)
    }

    /// Acknowledges the message of this id (PUBACK). Messages are acknowledged in their order (§4.6).
    pub fn acknowledge(&mut self, id: PacketId) -> Result<(), SendError> {
        self.expect(Phase::Open)?;
        if self.unacknowledged.first() != Some(&id) {
            return Err(SendError::OutOfOrder { packet_id: id });
        }
        self.send(&Packet::PubAck(id))?;
        self.unacknowledged.remove(0);
        if self.unacknowledged.is_empty() {
            self.unacknowledged = Vec::new();
        }
        Ok(())
    }

    /// Acknowledges a request, then delivers its response: PUBACK always comes first (the .NET SDK depends on it).
    pub fn respond(
        &mut self,
        request: Delivery,
        topic: String,
        payload: Bytes,
    ) -> Result<Option<PacketId>, SendError> {
        if let Some(id) = request.packet_id() {
            self.acknowledge(id)?;
        }
        self.deliver(topic, payload)
    }

    /// Sends a message with the quality of service that the peer's subscription was granted. Gives back the
    /// id that [`Event::Delivered`] will name; `None` for QoS 0.
    pub fn deliver(&mut self, topic: String, payload: Bytes) -> Result<Option<PacketId>, SendError> {
        self.expect(Phase::Open)?;
        let qos = self.granted(&topic).ok_or(SendError::NotSubscribed)?;
        let delivery = match qos {
            QoS::AtMostOnce => Delivery::AtMostOnce,
            QoS::AtLeastOnce | QoS::ExactlyOnce => {
                Delivery::AtLeastOnce { packet_id: self.free_id()?, dup: false }
            }
        };
        self.send(&Packet::Publish(Publish { topic, delivery, retain: false, payload }))?;
        let id = delivery.packet_id();
        if let Some(id) = id {
            self.in_flight.push(id);
            self.last_id = id.get();
        }
        Ok(id)
    }

    /// The best quality of service among the peer's subscriptions that this topic falls under.
    pub fn granted(&self, topic: &str) -> Option<QoS> {
        self.subscriptions
            .iter()
            .filter(|held| filter_matches(&held.filter, topic))
            .map(|held| held.qos)
            .max()
    }

    /// The next id that is not in flight; the bound on messages in flight keeps the search short.
    fn free_id(&self) -> Result<PacketId, SendError> {
        if self.in_flight.len() >= self.limits.max_in_flight {
            return Err(SendError::TooManyInFlight { limit: self.limits.max_in_flight });
        }
        (1..=u16::MAX)
            .filter_map(|step| PacketId::new(self.last_id.wrapping_add(step)))
            .find(|id| !self.in_flight.contains(id))
            .ok_or(SendError::TooManyInFlight { limit: self.limits.max_in_flight })
    }

    fn expect(&self, phase: Phase) -> Result<(), SendError> {
        match (self.phase, phase) {
            (now, wanted) if now == wanted => Ok(()),
            (Phase::Closed, _) => Err(SendError::Closed),
            _ => Err(SendError::WrongMoment),
        }
    }

    /// Writes for the caller; on an error nothing is written.
    fn send(&mut self, packet: &Packet) -> Result<(), SendError> {
        if self.output.len() >= self.limits.max_output {
            return Err(SendError::OutputFull { limit: self.limits.max_output });
        }
        Ok(encode(packet, &mut self.output)?)
    }

    /// Writes what the protocol demands; a peer that asks and does not read is cut off.
    fn answer(&mut self, packet: &Packet) -> Result<(), SessionError> {
        let packet_type: PacketType = packet.packet_type();
        self.send(packet).map_err(|source| SessionError::Answer { packet: packet_type, source })
    }

    /// Takes the bytes to write. Nothing of them stays here.
    pub fn take_output(&mut self) -> BytesMut {
        std::mem::take(&mut self.output)
    }

    /// Whether bytes wait to be written.
    pub fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Whether the connection is over: write the output, then close it.
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Whether CONNECT was accepted and the connection is not over.
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// How many messages wait for the peer's acknowledgement.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// When the peer will have been silent for too long: the connect timeout before the verdict, one and a half
    /// times the keep alive after it (§3.1.2.10); `None` for a keep alive of 0. Half a packet is silence.
    pub fn deadline(&self) -> Option<u64> {
        match self.phase {
            Phase::New | Phase::Judged => Some(self.heard_ms.saturating_add(self.limits.connect_timeout_ms)),
            Phase::Open if self.keep_alive == 0 => None,
            Phase::Open => Some(self.heard_ms.saturating_add(u64::from(self.keep_alive) * 1500)),
            Phase::Closed => None,
        }
    }

    /// Whether [`Self::deadline`] has passed: close without a word, as the standard asks.
    pub fn is_overdue(&self, now_ms: u64) -> bool {
        self.deadline().is_some_and(|deadline| now_ms >= deadline)
    }

    /// Seconds that the client promised to speak within; 0 for never.
    pub fn keep_alive(&self) -> u16 {
        self.keep_alive
    }
}
