//! One frame's header, read byte by byte, and a whole frame written. Must not know messages.

use bytes::{BufMut, BytesMut};

use super::limits::{MAX_CONTROL_DATA, MAX_HEADER};
use super::{FrameError, Role};

/// In place of a length: two bytes with it follow.
const LENGTH_OF_2: u8 = 0x7e;
/// In place of a length: eight bytes with it follow.
const LENGTH_OF_8: u8 = 0x7f;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// More of the message before it.
    Continuation = 0,
    /// Begins a message of bytes.
    Binary = 2,
    /// The last frame of its sender.
    Close = 8,
    /// Asks for a pong.
    Ping = 9,
    /// Answers a ping, or says that its sender is there.
    Pong = 10,
}

impl Opcode {
    /// May stand between the frames of a message.
    pub(super) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// A frame's header. Without a mask the mask is zero, which changes nothing.
#[derive(Debug)]
pub(super) struct Header {
    pub fin: bool,
    pub opcode: Opcode,
    pub length: u64,
    mask: [u8; 4],
}

impl Header {
    /// Takes the mask off a part of the payload that begins `offset` bytes into it.
    pub(super) fn unmask(&self, data: &mut [u8], offset: u64) {
        apply(self.mask, offset, data);
    }
}

/// Masks or unmasks (§5.3).
fn apply(mut mask: [u8; 4], offset: u64, data: &mut [u8]) {
    if mask == [0; 4] {
        return;
    }
    mask.rotate_left((offset % 4) as usize);
    for quad in data.chunks_mut(4) {
        for (byte, key) in quad.iter_mut().zip(mask) {
            *byte ^= key;
        }
    }
}

/// The bytes of a header until it is whole.
#[derive(Debug, Default)]
pub(super) struct HeaderBytes {
    bytes: [u8; MAX_HEADER],
    held: usize,
}

impl HeaderBytes {
    /// Takes the next byte. What can be judged is judged at once: a bad frame does not wait for its length.
    pub(super) fn push(&mut self, byte: u8, role: Role) -> Result<Option<Header>, FrameError> {
        // Never full: a header that is whole empties it below, and none has more than MAX_HEADER bytes.
        self.bytes[self.held] = byte;
        self.held += 1;
        let [first, second, ..] = self.bytes;
        let opcode = opcode(first)?;
        if self.held == 1 {
            return Ok(None);
        }
        let fin = first & 0x80 != 0;
        let masked = second & 0x80 != 0;
        match role {
            Role::Server if !masked => return Err(FrameError::Unmasked),
            Role::Client if masked => return Err(FrameError::Masked),
            _ => {}
        }
        let short = second & 0x7f;
        if opcode.is_control() && !fin {
            return Err(FrameError::ControlFragmented);
        }
        if opcode.is_control() && usize::from(short) > MAX_CONTROL_DATA {
            return Err(FrameError::ControlTooLong);
        }
        let extended = match short {
            LENGTH_OF_2 => 2,
            LENGTH_OF_8 => 8,
            _ => 0,
        };
        if self.held < 2 + extended + if masked { 4 } else { 0 } {
            return Ok(None);
        }
        let length = match extended {
            0 => u64::from(short),
            _ => self.bytes[2..2 + extended].iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        let least = match extended {
            0 => 0,
            2 => 126,
            _ => 0x1_0000,
        };
        if length < least || length >> 63 != 0 {
            return Err(FrameError::LengthNotMinimal);
        }
        let mut mask = [0; 4];
        if masked {
            mask.copy_from_slice(&self.bytes[2 + extended..6 + extended]);
        }
        self.held = 0;
        Ok(Some(Header { fin, opcode, length, mask }))
    }
}

fn opcode(first: u8) -> Result<Opcode, FrameError> {
    if first & 0x70 != 0 {
        return Err(FrameError::ReservedBit);
    }
    match first & 0x0f {
        0 => Ok(Opcode::Continuation),
        1 => Err(FrameError::Text),
        2 => Ok(Opcode::Binary),
        8 => Ok(Opcode::Close),
        9 => Ok(Opcode::Ping),
        10 => Ok(Opcode::Pong),
        other => Err(FrameError::UnknownOpcode(other)),
    }
}

/// Writes a frame that is a message of its own; with a mask as clients must. Of a control frame's data the first
/// `MAX_CONTROL_DATA` bytes are written.
pub fn encode(opcode: Opcode, data: &[u8], mask: Option<[u8; 4]>, output: &mut BytesMut) {
    let data = if opcode.is_control() { &data[..data.len().min(MAX_CONTROL_DATA)] } else { data };
    output.reserve(MAX_HEADER + data.len());
    output.put_u8(0x80 | opcode as u8);
    let masked: u8 = if mask.is_some() { 0x80 } else { 0 };
    if let Ok(length) = u8::try_from(data.len())
        && length < LENGTH_OF_2
    {
        output.put_u8(masked | length);
    } else if let Ok(length) = u16::try_from(data.len()) {
        output.put_u8(masked | LENGTH_OF_2);
        output.put_u16(length);
    } else {
        output.put_u8(masked | LENGTH_OF_8);
        output.put_u64(data.len() as u64);
    }
    output.put_slice(&mask.unwrap_or_default()[..if mask.is_some() { 4 } else { 0 }]);
    let begin = output.len();
    output.put_slice(data);
    apply(mask.unwrap_or_default(), 0, &mut output[begin..]);
}
