//! The control packets of MQTT 3.1.1 as types: a packet that breaks the standard's shape can hardly be built.
//!
//! Owns no bytes on the wire (see `codec`) and no rule about when a packet may be sent (see `session`).

use std::fmt;
use std::num::NonZeroU16;

use bytes::Bytes;
use zeroize::Zeroizing;

/// A packet identifier; zero is not one (MQTT 3.1.1 §2.3.1).
pub type PacketId = NonZeroU16;

/// The kind of a control packet: the high four bits of its first byte (§2.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PacketType {
    /// CONNECT, client to server.
    Connect = 1,
    /// CONNACK, server to client.
    ConnAck = 2,
    /// PUBLISH, both ways.
    Publish = 3,
    /// PUBACK, both ways (QoS 1).
    PubAck = 4,
    /// PUBREC, both ways (QoS 2, step 1).
    PubRec = 5,
    /// PUBREL, both ways (QoS 2, step 2).
    PubRel = 6,
    /// PUBCOMP, both ways (QoS 2, step 3).
    PubComp = 7,
    /// SUBSCRIBE, client to server.
    Subscribe = 8,
    /// SUBACK, server to client.
    SubAck = 9,
    /// UNSUBSCRIBE, client to server.
    Unsubscribe = 10,
    /// UNSUBACK, server to client.
    UnsubAck = 11,
    /// PINGREQ, client to server.
    PingReq = 12,
    /// PINGRESP, server to client.
    PingResp = 13,
    /// DISCONNECT, client to server.
    Disconnect = 14,
}

impl PacketType {
    /// The type of the first byte's high four bits; `None` for the reserved values 0 and 15.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            1 => Self::Connect,
            2 => Self::ConnAck,
            3 => Self::Publish,
            4 => Self::PubAck,
            5 => Self::PubRec,
            6 => Self::PubRel,
            7 => Self::PubComp,
            8 => Self::Subscribe,
            9 => Self::SubAck,
            10 => Self::Unsubscribe,
            11 => Self::UnsubAck,
            12 => Self::PingReq,
            13 => Self::PingResp,
            14 => Self::Disconnect,
            _ => return None,
        })
    }
}

impl fmt::Display for PacketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "CONNECT",
            Self::ConnAck => "CONNACK",
            Self::Publish => "PUBLISH",
            Self::PubAck => "PUBACK",
            Self::PubRec => "PUBREC",
            Self::PubRel => "PUBREL",
            Self::PubComp => "PUBCOMP",
            Self::Subscribe => "SUBSCRIBE",
            Self::SubAck => "SUBACK",
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::UnsubAck => "UNSUBACK",
            Self::PingReq => "PINGREQ",
            Self::PingResp => "PINGRESP",
            Self::Disconnect => "DISCONNECT",
        })
    }
}

/// One control packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// A client introduces itself.
    Connect(Box<Connect>),
    /// The server's answer to CONNECT.
    ConnAck(ConnAck),
    /// A message.
    Publish(Publish),
    /// A QoS 1 message is received.
    PubAck(PacketId),
    /// QoS 2, step 1.
    PubRec(PacketId),
    /// QoS 2, step 2.
    PubRel(PacketId),
    /// QoS 2, step 3.
    PubComp(PacketId),
    /// A client asks for messages.
    Subscribe(Subscribe),
    /// The server's answer to SUBSCRIBE.
    SubAck(SubAck),
    /// A client asks for no more messages.
    Unsubscribe(Unsubscribe),
    /// The server's answer to UNSUBSCRIBE.
    UnsubAck(PacketId),
    /// Are you there?
    PingReq,
    /// I am.
    PingResp,
    /// A client leaves in good order.
    Disconnect,
}

impl Packet {
    /// Which kind of packet this is.
    pub const fn packet_type(&self) -> PacketType {
        match self {
            Self::Connect(_) => PacketType::Connect,
            Self::ConnAck(_) => PacketType::ConnAck,
            Self::Publish(_) => PacketType::Publish,
            Self::PubAck(_) => PacketType::PubAck,
            Self::PubRec(_) => PacketType::PubRec,
            Self::PubRel(_) => PacketType::PubRel,
            Self::PubComp(_) => PacketType::PubComp,
            Self::Subscribe(_) => PacketType::Subscribe,
            Self::SubAck(_) => PacketType::SubAck,
            Self::Unsubscribe(_) => PacketType::Unsubscribe,
            Self::UnsubAck(_) => PacketType::UnsubAck,
            Self::PingReq => PacketType::PingReq,
            Self::PingResp => PacketType::PingResp,
            Self::Disconnect => PacketType::Disconnect,
        }
    }
}

/// Quality of service (§4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum QoS {
    /// 0: fire and forget.
    AtMostOnce = 0,
    /// 1: acknowledged by PUBACK.
    AtLeastOnce = 1,
    /// 2: four-way; Azure serves it nowhere.
    ExactlyOnce = 2,
}

impl QoS {
    /// The QoS of two bits; `None` for 3, which is reserved.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}

/// What the first two fields of CONNECT name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `MQIsdp`, level 3: MQTT 3.1. Answer CONNACK 1.
    V31,
    /// `MQTT`, level 4: the one we speak.
    V311,
    /// `MQTT` with another level, 5 for MQTT 5. Answer CONNACK 1. Nothing behind the level is decoded.
    Other(u8),
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V31 => f.write_str("MQTT 3.1"),
            Self::V311 => f.write_str("MQTT 3.1.1"),
            Self::Other(5) => f.write_str("MQTT 5"),
            Self::Other(level) => write!(f, "MQTT protocol level {level}"),
        }
    }
}

/// CONNECT (§3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect {
    /// Protocol name and level.
    pub protocol: Protocol,
    /// Asks for a session without a past.
    pub clean_session: bool,
    /// Seconds; 0 means that the client is never timed out.
    pub keep_alive: u16,
    /// The client identifier; may be empty (with `clean_session` unset the caller then owes CONNACK 2, §3.1.3-8).
    pub client_id: String,
    /// The last will, if one is set. Azure's services refuse or ignore it; the caller decides.
    pub will: Option<Will>,
    /// The user name, if its flag is set.
    pub user_name: Option<String>,
    /// The password, if its flag is set (an X.509 device sets none).
    pub password: Option<Password>,
}

/// The last will inside CONNECT (§3.1.2.5). Its message is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Will {
    /// Where it would be published.
    pub topic: String,
    /// What would be published.
    pub message: Bytes,
    /// With which quality of service.
    pub qos: QoS,
    /// Whether it would be retained.
    pub retain: bool,
}

impl fmt::Debug for Will {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Will")
            .field("topic", &self.topic)
            .field("message", &format_args!("{} bytes", self.message.len()))
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .finish()
    }
}

/// The password of a CONNECT: a SAS token. Not printed, and wiped when dropped. `==` takes no constant time: it is
/// for tests, never for authentication.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes; treat them as a secret.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text, if they are UTF-8, as a SAS token is.
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Password({} bytes)", self.0.len())
    }
}

/// CONNACK (§3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnAck {
    /// Always false from us, and always false when refused.
    pub session_present: bool,
    /// Accepted, or why not.
    pub code: ConnectReturnCode,
}

/// The return code of CONNACK (§3.2.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ConnectReturnCode {
    /// 0: welcome.
    Accepted = 0,
    /// 1: unacceptable protocol version.
    UnacceptableProtocolVersion = 1,
    /// 2: client identifier rejected.
    IdentifierRejected = 2,
    /// 3: server unavailable; DPS says it for an unknown ID scope.
    ServerUnavailable = 3,
    /// 4: bad user name or password.
    BadUserNameOrPassword = 4,
    /// 5: not authorized.
    NotAuthorized = 5,
}

impl ConnectReturnCode {
    /// The code of a byte; `None` for 6 to 255, which are reserved.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Accepted,
            1 => Self::UnacceptableProtocolVersion,
            2 => Self::IdentifierRejected,
            3 => Self::ServerUnavailable,
            4 => Self::BadUserNameOrPassword,
            5 => Self::NotAuthorized,
            _ => return None,
        })
    }
}

/// How a PUBLISH is delivered; only QoS 1 and 2 have an identifier and may be duplicates (§3.3.1, §3.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// QoS 0.
    AtMostOnce,
    /// QoS 1.
    AtLeastOnce {
        /// What PUBACK will name.
        packet_id: PacketId,
        /// Sent before.
        dup: bool,
    },
    /// QoS 2.
    ExactlyOnce {
        /// What PUBREC will name.
        packet_id: PacketId,
        /// Sent before.
        dup: bool,
    },
}

impl Delivery {
    /// The quality of service.
    pub const fn qos(self) -> QoS {
        match self {
            Self::AtMostOnce => QoS::AtMostOnce,
            Self::AtLeastOnce { .. } => QoS::AtLeastOnce,
            Self::ExactlyOnce { .. } => QoS::ExactlyOnce,
        }
    }

    /// The identifier, unless QoS 0.
    pub const fn packet_id(self) -> Option<PacketId> {
        match self {
            Self::AtMostOnce => None,
            Self::AtLeastOnce { packet_id, .. } | Self::ExactlyOnce { packet_id, .. } => Some(packet_id),
        }
    }
}

/// PUBLISH (§3.3). Its payload is the application's and is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Publish {
    /// Where to; never a wildcard, never empty.
    pub topic: String,
    /// QoS, identifier, duplicate flag.
    pub delivery: Delivery,
    /// Asks the server to keep the message.
    pub retain: bool,
    /// The message; may be empty.
    pub payload: Bytes,
}

impl fmt::Debug for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publish")
            .field("topic", &self.topic)
            .field("delivery", &self.delivery)
            .field("retain", &self.retain)
            .field("payload", &format_args!("{} bytes", self.payload.len()))
            .finish()
    }
}

/// SUBSCRIBE (§3.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribe {
    /// What SUBACK will name.
    pub packet_id: PacketId,
    /// At least one.
    pub filters: Vec<SubscribeFilter>,
}

/// One filter of a SUBSCRIBE with the quality of service asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribeFilter {
    /// A valid topic filter.
    pub filter: String,
    /// The most the client wants.
    pub qos: QoS,
}

/// SUBACK (§3.9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubAck {
    /// Of the SUBSCRIBE.
    pub packet_id: PacketId,
    /// One per filter, in order.
    pub results: Vec<SubscribeResult>,
}

/// What became of one filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscribeResult {
    /// Granted, with at most this quality of service.
    Granted(QoS),
    /// 0x80: refused.
    Failure,
}

/// UNSUBSCRIBE (§3.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsubscribe {
    /// What UNSUBACK will name.
    pub packet_id: PacketId,
    /// At least one.
    pub filters: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_debug_hides_content() {
        let shown = format!("{:?}", Password::new(b"SharedAccessSignature sr=x".to_vec()));
        assert_eq!(shown, "Password(26 bytes)");
    }

    #[test]
    fn publish_debug_hides_payload() {
        let payload = Bytes::from_static(b"hush");
        let publish =
            Publish { topic: "t".to_owned(), delivery: Delivery::AtMostOnce, retain: false, payload };
        let shown = format!("{publish:?}");
        assert!(shown.contains("4 bytes") && !shown.contains("hush"), "{shown}");
    }

    #[test]
    fn packet_type_bits_round_trip() {
        for bits in 0..=u8::MAX {
            match PacketType::from_bits(bits) {
                Some(kind) => assert_eq!(kind as u8, bits),
                None => assert!(bits == 0 || bits >= 15),
            }
        }
    }
}
