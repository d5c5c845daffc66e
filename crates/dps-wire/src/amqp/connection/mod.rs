//! The server's side of one AMQP connection, without the connection: bytes in -> [`Event`]s, answers -> bytes out.
//!
//! Owns what the protocol demands of a server whatever is served: headers, SASL frames, sessions, links, windows,
//! credit, deliveries, heartbeats, the closing handshakes. Must not know addresses' meaning, sockets or the clock:
//! `now_ms` is any monotonic count of milliseconds. An idle connection holds no buffer at all.
//!
//! The caller's loop: [`Connection::receive`] what came, [`Connection::poll`] until it gives `None`, answer each
//! event, write [`Connection::take_output`], wait for bytes or for [`Connection::deadline`], then
//! [`Connection::tick`]. Links and deliveries may be answered at any later time and in any order.
//!
//! ```
//! # use std::sync::Arc;
//! # use dps_wire::amqp::address::DpsAddress;
//! # use dps_wire::amqp::connection::{Config, Connection, Event};
//! # use dps_wire::amqp::message::Message;
//! # use dps_wire::amqp::performative::{AmqpError, Role, SaslCode};
//! # use dps_wire::amqp::sasl::{Mechanism, Plain};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (came, now_ms) = (b"AMQP\x00\x01\x00\x00\0\0\0\x11\x02\0\0\0\0\x53\x10\xc0\x04\x01\xa1\x01c", 0);
//! let config = Arc::new(Config::new("IoTDPSGW_0", vec![Mechanism::Plain.symbol()]));
//! let mut connection = Connection::new(config, now_ms);
//! let mut answers = None; // the link that takes from us
//! connection.receive(came);
//! while let Some(event) = connection.poll(now_ms)? {
//!     match event {
//!         Event::SaslInit(init) => {
//!             let plain = init.initial_response.as_ref().map(Plain::parse);
//!             let known = matches!(plain, Some(Ok(plain)) if DpsAddress::parse(&plain.user).is_ok());
//!             connection.sasl_outcome(if known { SaslCode::Ok } else { SaslCode::Auth })?;
//!         }
//!         Event::Open(_) => connection.accept_open(now_ms)?, // or refuse_open(error)
//!         Event::Attach { link, attach } => match attach.address().map(DpsAddress::parse) {
//!             Some(Ok(_)) => {
//!                 if attach.role == Role::Receiver {
//!                     answers = Some(link);
//!                 }
//!                 connection.accept_link(link)?;
//!             }
//!             _ => connection.refuse_link(link, AmqpError::new("amqp:not-found", "{}"))?,
//!         },
//!         Event::Delivery { id, .. } => {
//!             connection.accept(id)?; // or reject(id, error)
//!             if let Some(link) = answers {
//!                 connection.send(link, &Message::data("{}"), false)?;
//!             }
//!         }
//!         Event::SaslResponse(_) | Event::Verdict { .. } | Event::Detached { .. } | Event::Closed(_) => {}
//!     }
//! }
//! assert!(connection.is_open() && connection.take_output().starts_with(came.split_at(8).0));
//! # Ok(())
//! # }
//! ```

mod delivery;
mod error;
mod handshake;
mod session;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use self::delivery::Sent;
pub use self::error::{ConnectionError, SendError};
pub use self::handshake::OPEN_ERROR;
use self::session::{Link, Session};
use super::frame::Frame;
use super::limits;
use super::message::Message;
use super::performative::{AmqpError, Attach, DeliveryState, Open, Performative, SaslInit};
use super::value::{DecodeError, Secret, Symbol};

/// What we say of ourselves, and what one connection may use. Shared by all connections of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Who we are, in OPEN.
    pub container_id: String,
    /// Our host name, in OPEN; Azure's gateway sends one.
    pub hostname: Option<String>,
    /// SASL mechanisms that are offered.
    pub mechanisms: Vec<Symbol>,
    /// Whether a connection may begin without SASL, as X.509 devices do.
    pub without_sasl: bool,
    /// Largest frame, both ways.
    pub max_frame_size: u32,
    /// Highest channel.
    pub channel_max: u16,
    /// Highest handle.
    pub handle_max: u32,
    /// The idle time-out that we announce, in milliseconds; cut at twice this.
    pub idle_time_out_ms: u32,
    /// Sessions held.
    pub max_sessions: usize,
    /// Links held, over all sessions.
    pub max_links: usize,
    /// Credit of a link that sends to us.
    pub link_credit: u32,
    /// Largest message, both ways.
    pub max_message_size: usize,
    /// Bytes of half-received messages held.
    pub max_partial: usize,
    /// Messages that wait for one link's credit.
    pub max_queued: usize,
    /// Bytes that wait for credit.
    pub max_queued_bytes: usize,
    /// Messages of one session that the peer has not settled; beyond it sending pauses.
    pub max_unsettled: usize,
    /// Bytes that wait to be written.
    pub max_output: usize,
    /// Milliseconds from the beginning to the verdict about OPEN.
    pub handshake_timeout_ms: u64,
    /// The same once a SASL challenge was sent.
    pub challenge_timeout_ms: u64,
    /// Milliseconds that the peer has to answer CLOSE.
    pub close_timeout_ms: u64,
}

impl Config {
    /// The defaults under this name, which offer these mechanisms and allow a connection without SASL.
    pub fn new(container_id: impl Into<String>, mechanisms: Vec<Symbol>) -> Self {
        Self {
            container_id: container_id.into(),
            hostname: None,
            mechanisms,
            without_sasl: true,
            max_frame_size: limits::DEFAULT_MAX_FRAME,
            channel_max: limits::DEFAULT_CHANNEL_MAX,
            handle_max: limits::DEFAULT_HANDLE_MAX,
            idle_time_out_ms: limits::DEFAULT_IDLE_TIME_OUT_MS,
            max_sessions: limits::DEFAULT_MAX_SESSIONS,
            max_links: limits::DEFAULT_MAX_LINKS,
            link_credit: limits::DEFAULT_LINK_CREDIT,
            max_message_size: limits::DEFAULT_MAX_MESSAGE,
            max_partial: limits::DEFAULT_MAX_PARTIAL,
            max_queued: limits::DEFAULT_MAX_QUEUED,
            max_queued_bytes: limits::DEFAULT_MAX_QUEUED_BYTES,
            max_unsettled: limits::DEFAULT_MAX_UNSETTLED,
            max_output: limits::DEFAULT_MAX_OUTPUT,
            handshake_timeout_ms: limits::DEFAULT_HANDSHAKE_TIMEOUT_MS,
            challenge_timeout_ms: limits::DEFAULT_CHALLENGE_TIMEOUT_MS,
            close_timeout_ms: limits::DEFAULT_CLOSE_TIMEOUT_MS,
        }
    }
}

/// A link of this connection; never used twice on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkId(u32);

/// A delivery that waits for our verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeliveryId {
    link: LinkId,
    number: u32,
}

impl DeliveryId {
    /// The link that it came on.
    pub const fn link(self) -> LinkId {
        self.link
    }
}

/// A message of ours, which the peer may give a verdict about; never used twice on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SentId(u32);

/// What the peer asks of the caller. Sessions, windows, credit and heartbeats are handled inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The client chose a mechanism. Answer with [`Connection::sasl_challenge`] or [`Connection::sasl_outcome`];
    /// nothing else happens before.
    SaslInit(SaslInit),
    /// The answer to a challenge. Answer in the same way.
    SaslResponse(Secret),
    /// Decide with [`Connection::accept_open`] or [`Connection::refuse_open`]; nothing else happens before.
    Open(Box<Open>),
    /// A link is asked for. Decide with [`Connection::accept_link`] or [`Connection::refuse_link`]; other events
    /// may come before. [`Attach::address`] says what it is for, [`Attach::role`] is the peer's end.
    Attach {
        /// The link, from now on.
        link: LinkId,
        /// As it was sent.
        attach: Box<Attach>,
    },
    /// All of a delivery. Unless it is settled, give a verdict with [`Connection::accept`], [`Connection::reject`]
    /// or [`Connection::release`].
    Delivery {
        /// The delivery, and through it the link.
        id: DeliveryId,
        /// Whether the sender wants no verdict.
        settled: bool,
        /// The message, or why the bytes are none.
        message: Result<Box<Message>, DecodeError>,
    },
    /// The peer's verdict about a message of ours that was not sent settled.
    Verdict {
        /// The link.
        link: LinkId,
        /// What [`Connection::send`] gave.
        sent: SentId,
        /// The verdict; `None` when it was settled without one.
        state: Option<DeliveryState>,
    },
    /// The link is gone: detached by the peer, or by us for breaking the rules (what is due is in the output), or
    /// its session ended.
    Detached {
        /// The link.
        link: LinkId,
        /// What the peer said about it, or was told.
        error: Option<AmqpError>,
    },
    /// The peer closed the connection in good order; the answer is in the output.
    Closed(Option<AmqpError>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Before the first protocol header.
    Header,
    /// SASL: its first frame is due.
    SaslInit,
    /// SASL: the caller decides; what follows waits.
    SaslJudged,
    /// SASL: a challenge is out.
    SaslResponse,
    /// SASL went well: the AMQP header is due.
    SecondHeader,
    /// The AMQP headers are exchanged: OPEN is due.
    AwaitOpen,
    /// OPEN is with the caller; what follows waits.
    OpenJudged,
    /// Open.
    Open,
    /// We sent CLOSE and wait for the peer's.
    Closing,
    /// Over: nothing is read any more.
    Closed,
}

/// What the peer said in OPEN and still matters.
#[derive(Debug, Clone, Copy)]
struct Peer {
    max_frame: u32,
    channel_max: u16,
    heartbeat_ms: Option<u64>,
}

/// The state of one connection.
#[derive(Debug)]
pub struct Connection {
    config: Arc<Config>,
    phase: Phase,
    peer: Peer,
    /// When the connection began; in `Closing`, when CLOSE was written.
    since_ms: u64,
    /// When the last frame came.
    heard_ms: u64,
    /// When the last heartbeat was written.
    beat_ms: u64,
    challenged: bool,
    last_link: u32,
    last_sent: u32,
    input: BytesMut,
    output: BytesMut,
    sessions: Vec<Session>,
    /// Events beyond the one that is returned now; at most one for each link and each message sent.
    events: VecDeque<Event>,
}

impl Connection {
    /// The state of a connection that begins now.
    pub fn new(config: Arc<Config>, now_ms: u64) -> Self {
        Self {
            config,
            phase: Phase::Header,
            peer: Peer { max_frame: limits::MIN_MAX_FRAME, channel_max: 0, heartbeat_ms: None },
            since_ms: now_ms,
            heard_ms: now_ms,
            beat_ms: now_ms,
            challenged: false,
            last_link: 0,
            last_sent: 0,
            input: BytesMut::new(),
            output: BytesMut::new(),
            sessions: Vec::new(),
            events: VecDeque::new(),
        }
    }

    /// Goes on under other limits, such as those of the neighbour whose connection it turns out to be. What was
    /// announced to the peer already stays announced.
    pub fn adopt(&mut self, config: Arc<Config>) {
        self.config = config;
    }

    /// Takes what came from the peer. Call [`Self::poll`] until `None` before the next `receive`, and do not
    /// read from the peer while [`Self::wants_input`] is false: that bounds the input.
    pub fn receive(&mut self, bytes: &[u8]) {
        if self.phase != Phase::Closed {
            self.input.extend_from_slice(bytes);
        }
    }

    /// Whether reading on makes sense now.
    pub fn wants_input(&self) -> bool {
        !matches!(self.phase, Phase::SaslJudged | Phase::OpenJudged | Phase::Closed)
    }

    /// The next event, or `None` until more bytes come (or an answer is given). An error means: write the
    /// output, then close. It is returned once, `None` from then on.
    pub fn poll(&mut self, now_ms: u64) -> Result<Option<Event>, ConnectionError> {
        let outcome = match self.events.pop_front() {
            Some(event) => Ok(Some(event)),
            None => self.advance(now_ms),
        };
        if let Err(error) = outcome {
            self.fail(error);
        }
        if self.events.is_empty() {
            self.events = VecDeque::new();
        }
        if self.input.is_empty() {
            // An idle connection holds no buffer.
            self.input = BytesMut::new();
        }
        outcome
    }

    fn advance(&mut self, now_ms: u64) -> Result<Option<Event>, ConnectionError> {
        while self.wants_input() {
            let before = (self.input.len(), self.phase);
            let event = match self.phase {
                Phase::Header | Phase::SecondHeader => self.on_header().map(|()| None),
                Phase::SaslInit | Phase::SaslResponse => self.on_sasl(),
                _ => self.on_frame(now_ms),
            }?;
            if event.is_some() {
                return Ok(event);
            }
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            if before == (self.input.len(), self.phase) {
                break;
            }
            self.heard_ms = now_ms;
        }
        Ok(None)
    }

    fn on_frame(&mut self, now_ms: u64) -> Result<Option<Event>, ConnectionError> {
        let max_frame = self.config.max_frame_size as usize;
        let Some(frame) = Frame::decode(&mut self.input, max_frame)? else { return Ok(None) };
        self.heard_ms = now_ms;
        // An empty frame is a heartbeat: that it came is all it says.
        let Some(performative) = frame.performative else { return Ok(None) };
        match self.phase {
            Phase::AwaitOpen => self.on_open(performative).map(Some),
            Phase::Closing => {
                if let Performative::Close(_) = performative {
                    self.close_now();
                }
                Ok(None)
            }
            _ => self.on_performative(frame.channel, performative, &frame.payload),
        }
    }

    fn on_performative(
        &mut self,
        channel: u16,
        performative: Performative,
        payload: &Bytes,
    ) -> Result<Option<Event>, ConnectionError> {
        match performative {
            Performative::Open(_) => Err(ConnectionError::Unexpected {
                performative: "open",
                expected: "the connection is open already",
            }),
            Performative::Begin(begin) => self.on_begin(channel, begin).map(|()| None),
            Performative::Attach(attach) => self.on_attach(channel, attach).map(Some),
            Performative::Flow(flow) => self.on_flow(channel, &flow).map(|()| None),
            Performative::Transfer(transfer) => self.on_transfer(channel, &transfer, payload),
            Performative::Disposition(disposition) => {
                self.on_disposition(channel, &disposition).map(|()| None)
            }
            Performative::Detach(detach) => self.on_detach(channel, detach),
            Performative::End(error) => self.on_end(channel, error.as_ref()).map(|()| None),
            Performative::Close(error) => {
                self.put(0, Performative::Close(None));
                self.close_now();
                Ok(Some(Event::Closed(error)))
            }
        }
    }

    /// Tells the peer, if it can be told, and ends.
    fn fail(&mut self, error: ConnectionError) {
        let said = AmqpError::new(error.condition(), error.to_string());
        match self.phase {
            Phase::AwaitOpen | Phase::OpenJudged => {
                self.put_open(Vec::new());
                self.put(0, Performative::Close(Some(said)));
            }
            Phase::Open => self.put(0, Performative::Close(Some(said))),
            _ => {}
        }
        self.close_now();
    }

    fn close_now(&mut self) {
        self.phase = Phase::Closed;
        self.input = BytesMut::new();
        self.sessions = Vec::new();
        self.events = VecDeque::new();
    }

    fn expect(&self, phase: Phase) -> Result<(), SendError> {
        match self.phase {
            now if now == phase => Ok(()),
            Phase::Closed | Phase::Closing => Err(SendError::Closed),
            _ => Err(SendError::WrongMoment),
        }
    }

    /// Whether there is room for what the caller wants to write.
    fn expect_room(&self) -> Result<(), SendError> {
        let limit = self.config.max_output;
        if self.output.len() >= limit { Err(SendError::OutputFull { limit }) } else { Ok(()) }
    }

    fn put(&mut self, channel: u16, performative: Performative) {
        Frame::new(channel, performative).encode(&mut self.output);
    }

    /// Writes what the protocol demands; a peer that asks and does not read is cut off.
    fn answer(&mut self, channel: u16, performative: Performative) -> Result<(), ConnectionError> {
        let limit = self.config.max_output;
        if self.output.len() >= limit {
            return Err(ConnectionError::OutputFull { limit });
        }
        self.put(channel, performative);
        Ok(())
    }

    /// Closes: CLOSE with an error, or without. Go on reading until [`Self::is_closed`]; before the connection
    /// is open there is nothing to wait for.
    pub fn close(&mut self, error: Option<AmqpError>, now_ms: u64) {
        match self.phase {
            Phase::OpenJudged => self.put_open(Vec::new()),
            Phase::Open => {}
            Phase::Closing => return,
            _ => return self.close_now(),
        }
        self.put(0, Performative::Close(error));
        self.closing(now_ms);
    }

    fn closing(&mut self, now_ms: u64) {
        self.phase = Phase::Closing;
        self.since_ms = now_ms;
        self.sessions = Vec::new();
        self.events = VecDeque::new();
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

    /// Whether OPEN was accepted and the connection is not over.
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// When [`Self::tick`] is due: the end of the handshake's or the closing's time, the peer's silence, or our
    /// next heartbeat.
    pub fn deadline(&self) -> Option<u64> {
        match self.phase {
            Phase::Closed => None,
            Phase::Closing => Some(self.since_ms.saturating_add(self.config.close_timeout_ms)),
            Phase::Open => {
                let beat = self.peer.heartbeat_ms.map(|period| self.beat_ms.saturating_add(period));
                let silence = self.silence();
                Some(beat.map_or(silence, |beat| beat.min(silence)))
            }
            _ => {
                let time = if self.challenged {
                    self.config.challenge_timeout_ms
                } else {
                    self.config.handshake_timeout_ms
                };
                Some(self.since_ms.saturating_add(time))
            }
        }
    }

    /// When the peer will have been silent for too long.
    fn silence(&self) -> u64 {
        self.heard_ms.saturating_add(u64::from(self.config.idle_time_out_ms) * 2)
    }

    /// Does what is due by now: a heartbeat, or the end. Call it when [`Self::deadline`] has passed; earlier it
    /// does nothing. An error means: write the output, then close.
    pub fn tick(&mut self, now_ms: u64) -> Result<(), ConnectionError> {
        if self.deadline().is_none_or(|deadline| now_ms < deadline) {
            return Ok(());
        }
        let error = match self.phase {
            Phase::Closing => {
                self.close_now();
                return Ok(());
            }
            Phase::Open if now_ms < self.silence() => {
                // A peer that does not read needs no heartbeat either.
                if self.output.is_empty() {
                    let beat = Frame { channel: 0, performative: None, payload: Bytes::new() };
                    beat.encode(&mut self.output);
                }
                self.beat_ms = now_ms;
                return Ok(());
            }
            Phase::Open => ConnectionError::Idle,
            _ => ConnectionError::Handshake,
        };
        self.fail(error);
        Err(error)
    }

    /// Links that are attached or asked for.
    pub fn links(&self) -> usize {
        self.sessions.iter().map(|session| session.links.len()).sum()
    }

    /// Bytes that this connection holds, buffers included and what its links keep of their ATTACH not.
    pub fn footprint(&self) -> usize {
        let session = |session: &Session| {
            session.links.capacity() * size_of::<Link>()
                + session.incoming.capacity() * size_of::<(LinkId, u32)>()
                + session.outgoing.capacity() * size_of::<(LinkId, u32, SentId)>()
        };
        let (partial, queued) = self.held();
        size_of::<Self>()
            + self.input.capacity()
            + self.output.capacity()
            + self.events.capacity() * size_of::<Event>()
            + self.sessions.capacity() * size_of::<Session>()
            + self.sessions.iter().map(session).sum::<usize>()
            + partial
            + queued
    }

    /// Bytes of half-received messages, and of messages that wait for credit.
    fn held(&self) -> (usize, usize) {
        let links = self.sessions.iter().flat_map(|session| &session.links);
        links.fold((0, 0), |(partial, queued), link| {
            let unsent = |sent: &Sent| sent.payload.len();
            (
                partial + link.partial.as_ref().map_or(0, |partial| partial.payload.len()),
                queued + link.queue.iter().map(unsent).sum::<usize>(),
            )
        })
    }
}
