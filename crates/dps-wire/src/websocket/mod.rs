//! WebSocket framing (RFC 6455 §5) as IoT protocols use it: a byte stream in binary messages, whose frames mean nothing.
//!
//! Owns the frame grammar of both directions, and the close codes. Payload is taken out in place and handed on as it
//! comes, so that a large frame costs its reader no memory. Must not know the HTTP handshake, sockets, or what is in
//! the payload.

mod frame;
pub mod limits;

pub use frame::{Opcode, encode};

use bytes::Bytes;

use self::frame::{Header, HeaderBytes};

/// Close code of an ordinary end (§7.4.1).
pub const NORMAL: u16 = 1000;

/// Whose frames are read. A client masks its frames, a server does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads what a client sends.
    Server,
    /// Reads what a server sends.
    Client,
}

/// A peer that breaks the rules, or speaks of what this endpoint does not take. [`Self::close_code`] tells it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A reserved bit, which no extension gives a meaning.
    #[error("a WebSocket frame has a reserved bit set")]
    ReservedBit,
    /// An opcode without a meaning.
    #[error("a WebSocket frame has the unknown opcode {0}")]
    UnknownOpcode(u8),
    /// A text message; only binary ones carry bytes.
    #[error("a WebSocket message is text, and only binary ones are taken")]
    Text,
    /// A client's frame without a mask.
    #[error("a WebSocket frame of a client is not masked")]
    Unmasked,
    /// A server's frame with a mask.
    #[error("a WebSocket frame of a server is masked")]
    Masked,
    /// A control frame in pieces.
    #[error("a WebSocket control frame is fragmented")]
    ControlFragmented,
    /// A control frame with more than 125 bytes.
    #[error("a WebSocket control frame is longer than 125 bytes")]
    ControlTooLong,
    /// A continuation without a beginning.
    #[error("a WebSocket continuation frame continues nothing")]
    ContinuesNothing,
    /// A message inside another.
    #[error("a WebSocket message begins inside another")]
    Interleaved,
    /// A length in more bytes than it needs, or with its highest bit set.
    #[error("the length of a WebSocket frame is not encoded in the shortest form")]
    LengthNotMinimal,
    /// A message beyond the reader's bound.
    #[error("a WebSocket message has more than {limit} bytes")]
    TooLarge {
        /// The bound.
        limit: u64,
    },
    /// A close frame with half a code, or one that must not be sent.
    #[error("a WebSocket close frame has no valid code")]
    CloseCode,
    /// A close frame whose reason is not UTF-8.
    #[error("the reason of a WebSocket close frame is not UTF-8")]
    CloseReason,
}

impl FrameError {
    /// The code of the close frame that answers it (§7.4.1).
    pub fn close_code(&self) -> u16 {
        match self {
            Self::Text => 1003,
            Self::CloseReason => 1007,
            Self::TooLarge { .. } => 1009,
            _ => 1002,
        }
    }
}

/// Why no more will be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer sent a close frame, with this code if it named one.
    Closed(Option<u16>),
    /// The peer broke the rules.
    Failed(FrameError),
}

/// What a piece of the stream held.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// So many bytes of payload stand at the front of the piece now.
    pub payload: usize,
    /// The last ping, to be answered with a pong of the same data; earlier ones need no answer (§5.5.3).
    pub ping: Option<Bytes>,
    /// The stream is over; what came behind it is ignored.
    pub end: Option<End>,
}

/// Takes frames off a stream that comes in pieces. Holds a header or a control frame at most.
///
/// ```
/// use dps_wire::websocket::{Decoder, Role};
///
/// let mut decoder = Decoder::new(Role::Server, 1024);
/// let mut piece = *b"\x82\x82\x01\x02\x03\x04\xc1\x02";
/// let decoded = decoder.decode(&mut piece);
/// assert_eq!(&piece[..decoded.payload], b"\xc0\x00");
/// ```
#[derive(Debug)]
pub struct Decoder {
    role: Role,
    max_message: u64,
    header: HeaderBytes,
    /// The frame whose payload comes.
    frame: Option<Frame>,
    /// Length of the message in progress, as far as its frames announced it.
    message: Option<u64>,
    /// Data of the control frame in progress, masked still.
    control: Vec<u8>,
    ended: bool,
}

/// A frame whose header has been read.
#[derive(Debug)]
struct Frame {
    header: Header,
    left: u64,
}

impl Decoder {
    /// A reader that takes messages up to so many bytes, whatever number of frames they come in.
    pub fn new(role: Role, max_message: u64) -> Self {
        Self {
            role,
            max_message,
            header: HeaderBytes::default(),
            frame: None,
            message: None,
            control: Vec::new(),
            ended: false,
        }
    }

    /// Takes the next piece of the stream and moves the payload in it to its front.
    pub fn decode(&mut self, piece: &mut [u8]) -> Decoded {
        let mut decoded = Decoded::default();
        let mut at = 0;
        while at < piece.len() && !self.ended {
            let went = if let Some(frame) = &mut self.frame {
                let left = usize::try_from(frame.left).unwrap_or(usize::MAX);
                let taken = left.min(piece.len() - at);
                if frame.header.opcode.is_control() {
                    self.control.extend_from_slice(&piece[at..at + taken]);
                } else {
                    piece.copy_within(at..at + taken, decoded.payload);
                    let payload = &mut piece[decoded.payload..decoded.payload + taken];
                    frame.header.unmask(payload, frame.header.length - frame.left);
                    decoded.payload += taken;
                }
                frame.left -= taken as u64;
                at += taken;
                Ok(())
            } else {
                at += 1;
                self.begin(piece[at - 1])
            };
            if let Err(error) = went.and_then(|()| self.finish(&mut decoded)) {
                decoded.end = Some(End::Failed(error));
            }
            self.ended = decoded.end.is_some();
        }
        decoded
    }

    /// Takes a byte of a header; the last one begins a frame.
    fn begin(&mut self, byte: u8) -> Result<(), FrameError> {
        let Some(header) = self.header.push(byte, self.role)? else { return Ok(()) };
        if !header.opcode.is_control() {
            let before = match (header.opcode, self.message) {
                (Opcode::Continuation, None) => return Err(FrameError::ContinuesNothing),
                (Opcode::Continuation, Some(before)) => before,
                (_, Some(_)) => return Err(FrameError::Interleaved),
                (_, None) => 0,
            };
            let length = before.saturating_add(header.length);
            if length > self.max_message {
                return Err(FrameError::TooLarge { limit: self.max_message });
            }
            self.message = Some(length);
        }
        self.frame = Some(Frame { left: header.length, header });
        Ok(())
    }

    /// Ends the frame whose payload is complete.
    fn finish(&mut self, decoded: &mut Decoded) -> Result<(), FrameError> {
        let Some(frame) = self.frame.take_if(|frame| frame.left == 0) else { return Ok(()) };
        let mut data = std::mem::take(&mut self.control);
        frame.header.unmask(&mut data, 0);
        match frame.header.opcode {
            Opcode::Ping => decoded.ping = Some(Bytes::from(data)),
            Opcode::Close => decoded.end = Some(End::Closed(close_code(&data)?)),
            Opcode::Binary | Opcode::Continuation if frame.header.fin => self.message = None,
            Opcode::Pong | Opcode::Binary | Opcode::Continuation => {}
        }
        Ok(())
    }
}

/// The code of a close frame, when it has one (§5.5.1, §7.4).
fn close_code(data: &[u8]) -> Result<Option<u16>, FrameError> {
    let Some((code, reason)) = data.split_first_chunk::<2>() else {
        return if data.is_empty() { Ok(None) } else { Err(FrameError::CloseCode) };
    };
    let code = u16::from_be_bytes(*code);
    // 1004, 1005, 1006 and 1015 must not be on the wire; below 3000 only registered codes are.
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(FrameError::CloseCode);
    }
    std::str::from_utf8(reason).map_err(|_| FrameError::CloseReason)?;
    Ok(Some(code))
}

#[cfg(test)]
mod tests;
