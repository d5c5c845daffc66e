//! Why bytes are not a packet, in one sentence for the operator, with the offset inside the packet.

use thiserror::Error;

use crate::mqtt::packet::PacketType;

/// What made the bytes unreadable. `at` counts bytes from the packet's first byte. Nothing of the peer's
/// content is repeated, so that no secret can leak through an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// §2.2.1: type 0 or 15.
    #[error("byte 0 has the reserved packet type {bits}: this is not MQTT, or the stream lost its place")]
    UnknownType {
        /// The high four bits.
        bits: u8,
    },
    /// §2.2.2: flags that the type does not allow.
    #[error("{packet} has the flags {flags:#06b} in byte 0, which MQTT 3.1.1 reserves")]
    ReservedFlags {
        /// Of which packet.
        packet: PacketType,
        /// The low four bits.
        flags: u8,
    },
    /// §2.2.3: more than four length bytes.
    #[error("{packet} has a remaining length of more than four bytes (byte {at} says that it goes on)")]
    RemainingLength {
        /// Of which packet.
        packet: PacketType,
        /// Of the fourth length byte.
        at: usize,
    },
    /// The fixed header announces more than we take.
    #[error("{packet} announces {length} bytes, and at most {limit} are accepted")]
    TooLarge {
        /// Of which packet.
        packet: PacketType,
        /// The whole packet, fixed header included.
        length: usize,
        /// The bound in force.
        limit: usize,
    },
    /// §3.1: the first packet was another one.
    #[error("the first packet is {packet}, and it must be {expected}")]
    FirstPacket {
        /// What came.
        packet: PacketType,
        /// What must come.
        expected: PacketType,
    },
    /// §3.1.0-2: CONNECT (or CONNACK) a second time.
    #[error("{packet} came a second time on one connection")]
    Repeated {
        /// What came.
        packet: PacketType,
    },
    /// A packet that only the other side may send.
    #[error("{packet} came from the side that only receives it")]
    WrongDirection {
        /// What came.
        packet: PacketType,
    },
    /// The remaining length of a packet of fixed size is another one.
    #[error("{packet} has {actual} bytes after the fixed header, and it must have {expected}")]
    BodyLength {
        /// Of which packet.
        packet: PacketType,
        /// What the standard says.
        expected: usize,
        /// What the fixed header says.
        actual: usize,
    },
    /// The packet ended inside a field.
    #[error("{packet} ends inside its {field}, which begins at byte {at}")]
    Truncated {
        /// Of which packet.
        packet: PacketType,
        /// Which field.
        field: Field,
        /// Where the field begins.
        at: usize,
    },
    /// Something follows the last field.
    #[error("{packet} has {extra} bytes too many from byte {at} on")]
    TrailingBytes {
        /// Of which packet.
        packet: PacketType,
        /// Where they begin.
        at: usize,
        /// How many.
        extra: usize,
    },
    /// §1.5.3-1: ill-formed UTF-8, surrogates included.
    #[error("the {field} is not valid UTF-8 at byte {at}")]
    NotUtf8 {
        /// Which field.
        field: Field,
        /// The first bad byte.
        at: usize,
    },
    /// §1.5.3-2: U+0000 in a string.
    #[error("the {field} has a null character at byte {at}")]
    NullCharacter {
        /// Which field.
        field: Field,
        /// The null.
        at: usize,
    },
    /// §3.1.2.1: neither `MQTT` nor `MQIsdp`.
    #[error("the protocol name at byte {at} is neither MQTT nor MQIsdp")]
    ProtocolName {
        /// Where it begins.
        at: usize,
    },
    /// §3.1.2.3: bit 0 of the connect flags is reserved.
    #[error("the connect flags at byte {at} have their reserved bit 0 set")]
    ConnectReservedFlag {
        /// The flags byte.
        at: usize,
    },
    /// §3.1.2.5 to 3.1.2.7: will QoS or retain without a will, or will QoS 3.
    #[error("the connect flags at byte {at} contradict themselves about the will (QoS, retain)")]
    WillFlags {
        /// The flags byte.
        at: usize,
    },
    /// §3.1.2-22: a password needs a user name.
    #[error("the connect flags at byte {at} announce a password without a user name")]
    PasswordWithoutUserName {
        /// The flags byte.
        at: usize,
    },
    /// §3.2.2.1: bits 7 to 1 of CONNACK's first byte.
    #[error("the acknowledge flags at byte {at} have a reserved bit set, or session present in a refusal")]
    ConnAckFlags {
        /// The flags byte.
        at: usize,
    },
    /// A return code that the standard does not know.
    #[error("{packet} has the reserved return code {code} at byte {at}")]
    ReturnCode {
        /// CONNACK or SUBACK.
        packet: PacketType,
        /// The byte.
        code: u8,
        /// Where.
        at: usize,
    },
    /// §2.3.1: identifier 0.
    #[error("{packet} has the packet identifier 0 at byte {at}")]
    PacketIdZero {
        /// Of which packet.
        packet: PacketType,
        /// Where.
        at: usize,
    },
    /// QoS 3.
    #[error("{packet} asks for the reserved quality of service 3 at byte {at}")]
    ReservedQos {
        /// Of which packet.
        packet: PacketType,
        /// Where.
        at: usize,
    },
    /// §3.8.3-4: the upper six bits beside a requested QoS.
    #[error("SUBSCRIBE has a reserved bit set in the requested quality of service at byte {at}")]
    RequestedQosBits {
        /// Where.
        at: usize,
    },
    /// §3.3.1-2: a duplicate of a message that is never sent twice.
    #[error("PUBLISH with quality of service 0 has the duplicate flag set in byte 0")]
    DuplicateQos0,
    /// §4.7.3-1: an empty topic.
    #[error("the {field} at byte {at} is empty")]
    EmptyTopic {
        /// Which field.
        field: Field,
        /// Where it begins.
        at: usize,
    },
    /// §3.3.2-2: `+` or `#` where a topic name is due.
    #[error("the {field} has a wildcard at byte {at}")]
    Wildcard {
        /// Which field.
        field: Field,
        /// The wildcard.
        at: usize,
    },
    /// §4.7.1: `+` that is not a whole level, or `#` that is not the whole last level.
    #[error("the topic filter has a wildcard at byte {at} that is not a whole level, or a # before the end")]
    FilterWildcard {
        /// The wildcard.
        at: usize,
    },
    /// §3.8.3-3, §3.10.3-2: a list without entries.
    #[error("{packet} has no topic filter")]
    NoFilters {
        /// Of which packet.
        packet: PacketType,
    },
    /// More filters, or results, than we take.
    #[error("{packet} has more than {limit} topic filters (the next one begins at byte {at})")]
    TooManyFilters {
        /// Of which packet.
        packet: PacketType,
        /// The bound in force.
        limit: usize,
        /// Where the first one too many begins.
        at: usize,
    },
}

/// A field of a packet, by the standard's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// CONNECT: protocol name.
    ProtocolName,
    /// CONNECT: protocol level.
    ProtocolLevel,
    /// CONNECT: connect flags.
    ConnectFlags,
    /// CONNECT: keep alive.
    KeepAlive,
    /// CONNECT: client identifier.
    ClientId,
    /// CONNECT: will topic.
    WillTopic,
    /// CONNECT: will message.
    WillMessage,
    /// CONNECT: user name.
    UserName,
    /// CONNECT: password.
    Password,
    /// PUBLISH: topic name.
    TopicName,
    /// SUBSCRIBE and UNSUBSCRIBE: topic filter.
    TopicFilter,
    /// SUBSCRIBE: requested QoS.
    RequestedQos,
    /// Packet identifier.
    PacketId,
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ProtocolName => "protocol name",
            Self::ProtocolLevel => "protocol level",
            Self::ConnectFlags => "connect flags",
            Self::KeepAlive => "keep alive",
            Self::ClientId => "client identifier",
            Self::WillTopic => "will topic",
            Self::WillMessage => "will message",
            Self::UserName => "user name",
            Self::Password => "password",
            Self::TopicName => "topic name",
            Self::TopicFilter => "topic filter",
            Self::RequestedQos => "requested quality of service",
            Self::PacketId => "packet identifier",
        })
    }
}

/// Why a packet has no bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// A two-byte length cannot say it.
    #[error("the {field} is {length} bytes long, and MQTT allows 65535: shorten it")]
    FieldTooLong {
        /// Which field.
        field: Field,
        /// Its length.
        length: usize,
    },
    /// Four length bytes cannot say it.
    #[error("{packet} would be {length} bytes long, and MQTT allows 268435455: send less at once")]
    PacketTooLong {
        /// Which packet.
        packet: PacketType,
        /// Its remaining length.
        length: usize,
    },
    /// U+0000 in a string.
    #[error("the {field} has a null character, which MQTT forbids: remove it")]
    NullCharacter {
        /// Which field.
        field: Field,
    },
    /// A wildcard in a topic name, an empty one, or a malformed filter.
    #[error("the {field} is empty or has a wildcard where MQTT forbids it: name one topic")]
    BadTopic {
        /// Which field.
        field: Field,
    },
    /// A list without entries.
    #[error("{packet} needs at least one topic filter")]
    NoFilters {
        /// Which packet.
        packet: PacketType,
    },
    /// A combination that the standard forbids.
    #[error("CONNECT has a password and no user name, which MQTT 3.1.1 forbids: set both")]
    PasswordWithoutUserName,
    /// CONNECT of a protocol whose tail we do not know.
    #[error("CONNECT of {0} cannot be written: use MQTT 3.1.1")]
    UnknownProtocol(crate::mqtt::packet::Protocol),
    /// Session present beside a refusal.
    #[error("CONNACK cannot say that a session is present and refuse the connection")]
    SessionPresentInRefusal,
}
