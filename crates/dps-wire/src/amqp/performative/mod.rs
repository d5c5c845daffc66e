//! The performatives of AMQP 1.0 (§2.7) and of its SASL layer (§5.3.3), with the fields that Azure's SDKs use.
//! Locales, capabilities and unsettled maps are read over and not written.
//!
//! Owns the words. Their bytes are in `decode` and `encode`; what they ask for is the connection's business.

mod decode;
mod encode;

use std::fmt;

use bytes::Bytes;

pub(crate) use self::decode::{performative, sasl};
pub(crate) use self::encode::{put_performative, put_sasl};
use super::value::{Fields, Secret, Symbol, Value};

/// Numeric descriptors (§2.7, §2.8.14, §3.4, §5.3.3), and the names that stand for them.
pub(crate) mod code {
    pub(crate) const OPEN: u64 = 0x10;
    pub(crate) const BEGIN: u64 = 0x11;
    pub(crate) const ATTACH: u64 = 0x12;
    pub(crate) const FLOW: u64 = 0x13;
    pub(crate) const TRANSFER: u64 = 0x14;
    pub(crate) const DISPOSITION: u64 = 0x15;
    pub(crate) const DETACH: u64 = 0x16;
    pub(crate) const END: u64 = 0x17;
    pub(crate) const CLOSE: u64 = 0x18;
    pub(crate) const ERROR: u64 = 0x1d;
    pub(crate) const RECEIVED: u64 = 0x23;
    pub(crate) const ACCEPTED: u64 = 0x24;
    pub(crate) const REJECTED: u64 = 0x25;
    pub(crate) const RELEASED: u64 = 0x26;
    pub(crate) const MODIFIED: u64 = 0x27;
    pub(crate) const SOURCE: u64 = 0x28;
    pub(crate) const TARGET: u64 = 0x29;
    pub(crate) const MECHANISMS: u64 = 0x40;
    pub(crate) const INIT: u64 = 0x41;
    pub(crate) const CHALLENGE: u64 = 0x42;
    pub(crate) const RESPONSE: u64 = 0x43;
    pub(crate) const OUTCOME: u64 = 0x44;

    pub(crate) const NAMES: &[(&str, u64)] = &[
        ("amqp:open:list", OPEN),
        ("amqp:begin:list", BEGIN),
        ("amqp:attach:list", ATTACH),
        ("amqp:flow:list", FLOW),
        ("amqp:transfer:list", TRANSFER),
        ("amqp:disposition:list", DISPOSITION),
        ("amqp:detach:list", DETACH),
        ("amqp:end:list", END),
        ("amqp:close:list", CLOSE),
        ("amqp:error:list", ERROR),
        ("amqp:received:list", RECEIVED),
        ("amqp:accepted:list", ACCEPTED),
        ("amqp:rejected:list", REJECTED),
        ("amqp:released:list", RELEASED),
        ("amqp:modified:list", MODIFIED),
        ("amqp:source:list", SOURCE),
        ("amqp:target:list", TARGET),
        ("amqp:sasl-mechanisms:list", MECHANISMS),
        ("amqp:sasl-init:list", INIT),
        ("amqp:sasl-challenge:list", CHALLENGE),
        ("amqp:sasl-response:list", RESPONSE),
        ("amqp:sasl-outcome:list", OUTCOME),
    ];
}

/// What an AMQP frame asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Performative {
    /// §2.7.1.
    Open(Box<Open>),
    /// §2.7.2.
    Begin(Begin),
    /// §2.7.3.
    Attach(Box<Attach>),
    /// §2.7.4.
    Flow(Flow),
    /// §2.7.5.
    Transfer(Transfer),
    /// §2.7.6.
    Disposition(Disposition),
    /// §2.7.7.
    Detach(Detach),
    /// §2.7.8.
    End(Option<AmqpError>),
    /// §2.7.9.
    Close(Option<AmqpError>),
}

impl Performative {
    /// The standard's name for it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Open(_) => "open",
            Self::Begin(_) => "begin",
            Self::Attach(_) => "attach",
            Self::Flow(_) => "flow",
            Self::Transfer(_) => "transfer",
            Self::Disposition(_) => "disposition",
            Self::Detach(_) => "detach",
            Self::End(_) => "end",
            Self::Close(_) => "close",
        }
    }
}

/// The first performative of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Who speaks.
    pub container_id: String,
    /// Who is spoken to: a host name, as the client spells it.
    pub hostname: Option<String>,
    /// The largest frame that the speaker takes.
    pub max_frame_size: u32,
    /// The highest channel that the speaker takes.
    pub channel_max: u16,
    /// Milliseconds of silence that the speaker bears; `None` (or 0) for ever.
    pub idle_time_out: Option<u32>,
    /// Anything else.
    pub properties: Fields,
}

impl Open {
    /// With the standard's defaults.
    pub fn new(container_id: impl Into<String>) -> Self {
        Self {
            container_id: container_id.into(),
            hostname: None,
            max_frame_size: u32::MAX,
            channel_max: u16::MAX,
            idle_time_out: None,
            properties: Vec::new(),
        }
    }
}

/// Begins a session on a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begin {
    /// In an answer: the channel of the peer's begin.
    pub remote_channel: Option<u16>,
    /// Id of the next transfer that the speaker sends.
    pub next_outgoing_id: u32,
    /// Transfers that the speaker takes.
    pub incoming_window: u32,
    /// Transfers that the speaker may send.
    pub outgoing_window: u32,
    /// The highest handle that the speaker takes.
    pub handle_max: u32,
}

/// Which end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Sends deliveries.
    Sender,
    /// Takes deliveries.
    Receiver,
}

impl Role {
    /// The other end.
    pub const fn other(self) -> Self {
        match self {
            Self::Sender => Self::Receiver,
            Self::Receiver => Self::Sender,
        }
    }
}

/// When the sender settles (§2.8.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SenderSettleMode {
    /// 0: every delivery waits for a verdict.
    Unsettled,
    /// 1: every delivery is settled when it is sent.
    Settled,
    /// 2: some this way, some that.
    #[default]
    Mixed,
}

/// When the receiver settles (§2.8.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReceiverSettleMode {
    /// 0: at once.
    #[default]
    First,
    /// 1: after the sender has settled.
    Second,
}

/// Attaches a link to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attach {
    /// The link's name; the same name in the other direction is another link.
    pub name: String,
    /// The number that the speaker uses for it.
    pub handle: u32,
    /// The speaker's end.
    pub role: Role,
    /// Settlement by the sender.
    pub snd_settle_mode: SenderSettleMode,
    /// Settlement by the receiver.
    pub rcv_settle_mode: ReceiverSettleMode,
    /// Where messages come from, as sent: echoed, never interpreted but for its address.
    pub source: Option<Value>,
    /// Where messages go to, as sent.
    pub target: Option<Value>,
    /// Mandatory from a sender.
    pub initial_delivery_count: Option<u32>,
    /// Bytes of the largest message that the speaker takes; `None` (or 0) for any.
    pub max_message_size: Option<u64>,
    /// Anything else; Azure's api version and client version are here.
    pub properties: Fields,
}

impl Attach {
    /// The address at the far end of the speaker: a sender's target, a receiver's source. It names what the
    /// link is for.
    pub fn address(&self) -> Option<&str> {
        terminus_address(match self.role {
            Role::Sender => self.target.as_ref(),
            Role::Receiver => self.source.as_ref(),
        }?)
    }

    /// The property of this name, when it is text.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.as_text())
    }
}

/// The address of a source or target.
pub fn terminus_address(terminus: &Value) -> Option<&str> {
    let Value::Described(described) = terminus else { return None };
    let known = match &described.0 {
        Value::Ulong(number) => *number == code::SOURCE || *number == code::TARGET,
        Value::Symbol(name) => matches!(name.as_str(), "amqp:source:list" | "amqp:target:list"),
        _ => false,
    };
    match &described.1 {
        Value::List(fields) if known => fields.first()?.as_text(),
        _ => None,
    }
}

/// A source with an address and nothing else.
pub fn source(address: &str) -> Value {
    Value::described(code::SOURCE, Value::List(vec![Value::String(address.to_owned())]))
}

/// A target with an address and nothing else.
pub fn target(address: &str) -> Value {
    Value::described(code::TARGET, Value::List(vec![Value::String(address.to_owned())]))
}

/// Updates windows and credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flow {
    /// Id of the next transfer that the speaker expects; `None` before it saw the peer's begin.
    pub next_incoming_id: Option<u32>,
    /// Transfers that the speaker takes.
    pub incoming_window: u32,
    /// Id of the next transfer that the speaker sends.
    pub next_outgoing_id: u32,
    /// Transfers that the speaker may send.
    pub outgoing_window: u32,
    /// The link it is about; `None` for the session alone.
    pub handle: Option<u32>,
    /// Deliveries so far.
    pub delivery_count: Option<u32>,
    /// Deliveries from there on.
    pub link_credit: Option<u32>,
    /// Messages that wait at the sender.
    pub available: Option<u32>,
    /// Use the credit up now.
    pub drain: bool,
    /// Answer with a flow.
    pub echo: bool,
}

/// A message, or a part of one; the payload follows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transfer {
    /// The link.
    pub handle: u32,
    /// The delivery's number in the session; mandatory in a delivery's first transfer.
    pub delivery_id: Option<u32>,
    /// The delivery's name in the link; mandatory in the first transfer.
    pub delivery_tag: Option<Bytes>,
    /// 0 for the messages of part 3.
    pub message_format: Option<u32>,
    /// Whether the sender wants no verdict.
    pub settled: Option<bool>,
    /// Whether more of the delivery follows.
    pub more: bool,
    /// Whether the delivery is to be forgotten.
    pub aborted: bool,
}

/// A verdict about deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disposition {
    /// The speaker's end: a receiver speaks of what it received.
    pub role: Role,
    /// The first delivery.
    pub first: u32,
    /// The last delivery; `None` for `first` alone.
    pub last: Option<u32>,
    /// Whether the speaker forgets them.
    pub settled: bool,
    /// The verdict.
    pub state: Option<DeliveryState>,
}

/// What became of a delivery (§3.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryState {
    /// Some of it came.
    Received,
    /// Taken.
    Accepted,
    /// Invalid, and why.
    Rejected(Option<AmqpError>),
    /// Not taken; send it again if you like.
    Released,
    /// Not taken, and changed.
    Modified {
        /// Counts as a failed delivery.
        delivery_failed: bool,
        /// Not here again.
        undeliverable_here: bool,
    },
    /// A state of another specification (transactions).
    Other,
}

/// Detaches a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detach {
    /// The link.
    pub handle: u32,
    /// Whether it is gone for good.
    pub closed: bool,
    /// Why.
    pub error: Option<AmqpError>,
}

/// An error as the peer reads it (§2.8.14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AmqpError {
    /// One of the standard's conditions, or of Azure's (`com.microsoft:…`).
    pub condition: Symbol,
    /// Azure puts its error JSON here.
    pub description: Option<String>,
    /// Anything else: `retry-after`.
    pub info: Fields,
}

impl AmqpError {
    /// A condition and a description.
    pub fn new(condition: &'static str, description: impl Into<String>) -> Self {
        Self {
            condition: Symbol::from_static(condition),
            description: Some(description.into()),
            info: Vec::new(),
        }
    }

    /// As a value, for a property.
    pub fn to_value(&self) -> Value {
        let mut fields = vec![Value::Symbol(self.condition.clone())];
        if self.description.is_some() || !self.info.is_empty() {
            fields.push(self.description.clone().map_or(Value::Null, Value::String));
        }
        if !self.info.is_empty() {
            let pairs = self.info.iter().map(|(key, value)| (Value::Symbol(key.clone()), value.clone()));
            fields.push(Value::Map(pairs.collect()));
        }
        Value::described(code::ERROR, Value::List(fields))
    }
}

/// What a SASL frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sasl {
    /// From the server: what may be chosen.
    Mechanisms(Vec<Symbol>),
    /// From the client: what was chosen.
    Init(SaslInit),
    /// From the server.
    Challenge(Secret),
    /// From the client.
    Response(Secret),
    /// From the server: the end.
    Outcome(SaslCode),
}

/// The client's choice (§5.3.3.2).
#[derive(Clone, PartialEq, Eq)]
pub struct SaslInit {
    /// The chosen mechanism.
    pub mechanism: Symbol,
    /// Its first message: identity, and with PLAIN the token.
    pub initial_response: Option<Secret>,
    /// The host name as the client spells it; the SDKs put several things here.
    pub hostname: Option<String>,
}

impl fmt::Debug for SaslInit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaslInit")
            .field("mechanism", &self.mechanism)
            .field("initial_response", &self.initial_response)
            .finish_non_exhaustive()
    }
}

/// How a SASL exchange ended (§5.3.3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaslCode {
    /// 0.
    Ok,
    /// 1: wrong credentials.
    Auth,
    /// 2: the server failed.
    Sys,
    /// 3: the server failed, and will again.
    SysPerm,
    /// 4: the server failed, try again.
    SysTemp,
}

impl SaslCode {
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Auth => 1,
            Self::Sys => 2,
            Self::SysPerm => 3,
            Self::SysTemp => 4,
        }
    }

    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Ok,
            1 => Self::Auth,
            2 => Self::Sys,
            3 => Self::SysPerm,
            4 => Self::SysTemp,
            _ => return None,
        })
    }
}
