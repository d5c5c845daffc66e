//! Packets <-> bytes. Incremental and strict: an oversize, unexpected or malformed packet is refused from the
//! first byte that proves it, before its body is buffered.
//!
//! Owns the state that framing needs (has the first packet come?). Must not know what a packet asks for.

mod decode;
mod encode;
mod error;

use bytes::BytesMut;
use zeroize::Zeroize;

pub use self::encode::encode;
pub use self::error::{DecodeError, EncodeError, Field};
use crate::mqtt::limits;
use crate::mqtt::packet::{Packet, PacketType};

/// What a decoder refuses to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest packet in bytes, fixed header included.
    pub max_packet: usize,
    /// Largest CONNECT in bytes; the smaller of this and `max_packet` counts.
    pub max_connect: usize,
    /// Most filters in a SUBSCRIBE or UNSUBSCRIBE, most results in a SUBACK.
    pub max_filters: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_packet: limits::DEFAULT_MAX_PACKET,
            max_connect: limits::DEFAULT_MAX_CONNECT,
            max_filters: limits::DEFAULT_MAX_FILTERS,
        }
    }
}

/// Which side of the connection reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Reads what a client sends: CONNECT first and once.
    Server,
    /// Reads what a server sends: CONNACK first and once.
    Client,
}

/// Takes packets off a byte stream. After an error the stream has no meaning any more: the same error is
/// returned for ever, and the connection should be closed.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    role: Role,
    greeted: bool,
    failed: Option<DecodeError>,
}

impl Decoder {
    /// A decoder for one new connection.
    pub fn new(role: Role, limits: Limits) -> Self {
        Self { limits, role, greeted: false, failed: None }
    }

    /// Takes the next whole packet off the front of `input`; `None` when more bytes are needed.
    ///
    /// `input` never needs to hold more than one packet of `max_packet` bytes for this to make progress.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Packet>, DecodeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let outcome = self.next(input);
        if let Err(error) = outcome {
            self.failed = Some(error);
        }
        outcome
    }

    fn next(&mut self, input: &mut BytesMut) -> Result<Option<Packet>, DecodeError> {
        let Some(&first) = input.first() else { return Ok(None) };
        let packet = self.admit(first)?;
        let Some((header, body)) = remaining_length(packet, input)? else { return Ok(None) };
        let length = header + body;
        let limit = self.limit(packet);
        if length > limit {
            return Err(DecodeError::TooLarge { packet, length, limit });
        }
        decode::check_body_length(packet, body)?;
        if input.len() < length {
            return Ok(None);
        }
        let mut frame = input.split_to(length);
        let decoded = if packet == PacketType::Connect {
            // The password is in here: nothing of the frame stays behind.
            let decoded = decode::connect(&frame, header);
            frame.zeroize();
            decoded
        } else {
            decode::packet(packet, first & 0x0f, &frame.freeze(), header, &self.limits)
        }?;
        self.greeted = true;
        Ok(Some(decoded))
    }

    /// Judges the first byte alone: type, flags, direction, order.
    fn admit(&self, first: u8) -> Result<PacketType, DecodeError> {
        let bits = first >> 4;
        let flags = first & 0x0f;
        let packet = PacketType::from_bits(bits).ok_or(DecodeError::UnknownType { bits })?;
        decode::check_flags(packet, flags)?;
        let (greeting, foreign) = match self.role {
            Role::Server => (PacketType::Connect, is_server_only(packet)),
            Role::Client => (PacketType::ConnAck, is_client_only(packet)),
        };
        match (self.greeted, packet == greeting) {
            (false, false) => Err(DecodeError::FirstPacket { packet, expected: greeting }),
            (true, true) => Err(DecodeError::Repeated { packet }),
            _ if foreign => Err(DecodeError::WrongDirection { packet }),
            _ => Ok(packet),
        }
    }

    fn limit(&self, packet: PacketType) -> usize {
        if packet == PacketType::Connect {
            self.limits.max_connect.min(self.limits.max_packet)
        } else {
            self.limits.max_packet
        }
    }
}

const fn is_server_only(packet: PacketType) -> bool {
    matches!(packet, PacketType::ConnAck | PacketType::SubAck | PacketType::UnsubAck | PacketType::PingResp)
}

const fn is_client_only(packet: PacketType) -> bool {
    matches!(
        packet,
        PacketType::Connect
            | PacketType::Subscribe
            | PacketType::Unsubscribe
            | PacketType::PingReq
            | PacketType::Disconnect
    )
}

/// Reads the length bytes: (size of the fixed header, size of the rest); `None` when they are not all there.
fn remaining_length(packet: PacketType, input: &[u8]) -> Result<Option<(usize, usize)>, DecodeError> {
    let mut length = 0usize;
    for (index, byte) in input.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((index + 2, length)));
        }
    }
    if input.len() > 4 {
        return Err(DecodeError::RemainingLength { packet, at: 4 });
    }
    Ok(None)
}

/// Where the first wildcard of a topic name is, if there is one.
fn wildcard(topic: &[u8]) -> Option<usize> {
    topic.iter().position(|byte| matches!(byte, b'+' | b'#'))
}

/// Where a filter breaks §4.7.1, if it does: `+` must be a whole level, `#` the whole last one.
fn bad_wildcard(filter: &[u8]) -> Option<usize> {
    let last = filter.len().checked_sub(1)?;
    filter.iter().enumerate().find_map(|(at, byte)| {
        let begins = at == 0 || filter.get(at - 1) == Some(&b'/');
        let ends = at == last || filter.get(at + 1) == Some(&b'/');
        let fine = match byte {
            b'+' => begins && ends,
            b'#' => begins && at == last,
            _ => true,
        };
        (!fine).then_some(at)
    })
}
