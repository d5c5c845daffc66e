//! Frames and protocol headers <-> bytes (§2.2, §2.3, §5.3.1). A frame that is too large, or of another layer, is
//! refused from the first bytes that prove it, before its body is buffered.
//!
//! Must not know what a performative asks for, nor which layer is due: the connection says that.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use zeroize::Zeroize;

use super::limits::MAX_SASL_FRAME;
use super::performative::{self, Performative, Sasl};
use super::value::{DecodeError, Reader};

const HEADER: usize = 8;
const TYPE_AMQP: u8 = 0;
const TYPE_SASL: u8 = 1;

/// The eight bytes that a layer begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtocolHeader {
    /// `AMQP 0 1 0 0`.
    Amqp,
    /// `AMQP 3 1 0 0`.
    Sasl,
    /// TLS inside AMQP, another version, or another protocol altogether.
    Other,
}

impl ProtocolHeader {
    /// Its bytes; [`Self::Other`] has none of ours, the peer is shown what we speak.
    pub const fn bytes(self) -> [u8; 8] {
        match self {
            Self::Amqp => *b"AMQP\x00\x01\x00\x00",
            Self::Sasl | Self::Other => *b"AMQP\x03\x01\x00\x00",
        }
    }

    /// Takes a header off the front of `input`; `None` when more bytes are needed.
    pub fn decode(input: &mut BytesMut) -> Option<Self> {
        let known = [Self::Amqp, Self::Sasl];
        let fits = |header: &Self| header.bytes().iter().zip(input.iter()).all(|(due, came)| due == came);
        let Some(header) = known.into_iter().find(fits) else { return Some(Self::Other) };
        if input.len() < HEADER {
            return None;
        }
        input.advance(HEADER);
        Some(header)
    }
}

/// An AMQP frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The channel.
    pub channel: u16,
    /// The performative; `None` in an empty frame, which is a heartbeat.
    pub performative: Option<Performative>,
    /// What follows a transfer.
    pub payload: Bytes,
}

impl Frame {
    /// A frame without payload.
    pub fn new(channel: u16, performative: Performative) -> Self {
        Self { channel, performative: Some(performative), payload: Bytes::new() }
    }

    /// Takes the next whole frame off the front of `input`; `None` when more bytes are needed.
    pub fn decode(input: &mut BytesMut, max_frame: usize) -> Result<Option<Self>, DecodeError> {
        let Some((size, body)) = measure(input, max_frame, TYPE_AMQP)? else { return Ok(None) };
        let frame = input.split_to(size).freeze();
        let channel = frame.get(6..8).map_or(0, |mut bytes| bytes.get_u16());
        if body == size {
            return Ok(Some(Self { channel, performative: None, payload: Bytes::new() }));
        }
        let mut reader = Reader::new(&frame, body);
        let performative = performative::performative(&mut reader)?;
        let at = reader.at();
        if !matches!(performative, Performative::Transfer(_)) && at != size {
            return Err(DecodeError::TrailingBytes { at, extra: size - at });
        }
        Ok(Some(Self { channel, performative: Some(performative), payload: frame.slice(at..) }))
    }

    /// Writes the frame.
    pub fn encode(&self, out: &mut BytesMut) {
        write(out, TYPE_AMQP, self.channel, |out| {
            if let Some(performative) = &self.performative {
                performative::put_performative(performative, out);
            }
            out.put_slice(&self.payload);
        });
    }
}

/// Takes the next whole SASL frame off the front of `input`, and wipes its bytes; `None` when more are needed.
pub fn decode_sasl(input: &mut BytesMut) -> Result<Option<Sasl>, DecodeError> {
    let Some((size, body)) = measure(input, MAX_SASL_FRAME, TYPE_SASL)? else { return Ok(None) };
    let mut frame = input.split_to(size);
    let said = if body == size {
        Err(DecodeError::EmptySasl)
    } else {
        performative::sasl(&mut Reader::new(&frame, body))
    };
    frame.zeroize();
    said.map(Some)
}

/// Writes a SASL frame.
pub fn encode_sasl(sasl: &Sasl, out: &mut BytesMut) {
    write(out, TYPE_SASL, 0, |out| performative::put_sasl(sasl, out));
}

/// Judges what is there of a frame's header: (size, where the body begins) of a frame that is all there.
fn measure(input: &[u8], limit: usize, expected: u8) -> Result<Option<(usize, usize)>, DecodeError> {
    let Some(size) = input.first_chunk::<4>() else { return Ok(None) };
    let size = u32::from_be_bytes(*size) as usize;
    if size < HEADER {
        return Err(DecodeError::FrameTooSmall { size });
    }
    if size > limit {
        return Err(DecodeError::FrameTooLarge { size, limit });
    }
    let Some(&offset) = input.get(4) else { return Ok(None) };
    let body = usize::from(offset) * 4;
    if body < HEADER || body > size {
        return Err(DecodeError::DataOffset { offset });
    }
    match input.get(5) {
        None => Ok(None),
        Some(&actual) if actual != expected => Err(DecodeError::FrameType { actual, expected }),
        Some(_) if input.len() < size => Ok(None),
        Some(_) => Ok(Some((size, body))),
    }
}

fn write(out: &mut BytesMut, kind: u8, channel: u16, body: impl FnOnce(&mut BytesMut)) {
    let begin = out.len();
    out.put_slice(&[0, 0, 0, 0, 2, kind]);
    out.put_u16(channel);
    body(out);
    // The connection cuts payloads to the peer's frame size: four bytes of length always do.
    let size = u32::try_from(out.len() - begin).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(begin..begin + 4) {
        place.copy_from_slice(&size.to_be_bytes());
    }
}
