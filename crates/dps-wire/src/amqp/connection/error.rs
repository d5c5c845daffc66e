//! Why a connection ends, and why an answer was not written.

use thiserror::Error;

use crate::amqp::value::DecodeError;

/// What ends the connection from our side. What the peer may be told about it is in the output already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ConnectionError {
    /// The bytes are not AMQP 1.0.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Neither of the two headers, or one that is not offered here.
    #[error(
        "the connection does not begin with a protocol header that is served here (SASL, or AMQP 1.0 if allowed)"
    )]
    ProtocolHeader,
    /// A mechanism that was not offered.
    #[error("the client chose a SASL mechanism that was not offered")]
    Mechanism,
    /// A performative where it does not belong.
    #[error("{performative} came, and {expected}")]
    Unexpected {
        /// What came.
        performative: &'static str,
        /// What was due, as the rest of the sentence.
        expected: &'static str,
    },
    /// §2.7.1: a frame size below 512.
    #[error("the peer takes frames of at most {max_frame_size} bytes, and the standard demands 512")]
    PeerFrameSize {
        /// What the peer announced.
        max_frame_size: u32,
    },
    /// Beyond the channel that we announced.
    #[error("the session on channel {channel} is beyond the highest channel, {limit}")]
    Channel {
        /// The channel.
        channel: u16,
        /// The bound.
        limit: u16,
    },
    /// More sessions than we hold.
    #[error("there are {limit} sessions on the connection already")]
    TooManySessions {
        /// The bound.
        limit: usize,
    },
    /// More links than we hold, over all sessions.
    #[error("there are {limit} links on the connection already")]
    TooManyLinks {
        /// The bound.
        limit: usize,
    },
    /// No session has this channel.
    #[error("{performative} came on channel {channel}, where no session is")]
    NoSession {
        /// What came.
        performative: &'static str,
        /// Where.
        channel: u16,
    },
    /// No link has this handle.
    #[error("{performative} names the handle {handle}, which no link has")]
    NoLink {
        /// What came.
        performative: &'static str,
        /// The handle.
        handle: u32,
    },
    /// A link has this handle.
    #[error("attach names the handle {handle}, which another link has")]
    HandleInUse {
        /// The handle.
        handle: u32,
    },
    /// Beyond the handle that we announced.
    #[error("attach names the handle {handle}, and the highest is {limit}")]
    Handle {
        /// The handle.
        handle: u32,
        /// The bound.
        limit: u32,
    },
    /// More transfers than the window allows.
    #[error("a transfer came beyond the session's window")]
    Window,
    /// A first transfer without its id, or a later one with another.
    #[error("a transfer has no delivery id, or another one than the delivery that it continues")]
    DeliveryId,
    /// Half-received messages fill their bound.
    #[error("{limit} bytes of unfinished messages wait on the connection already")]
    TooMuchUnfinished {
        /// The bound.
        limit: usize,
    },
    /// What the protocol demands could not be written: the peer asks and does not read.
    #[error("{limit} bytes or more wait to be written: the peer does not read")]
    OutputFull {
        /// The bound.
        limit: usize,
    },
    /// The handshake took too long.
    #[error("the connection was not open in time")]
    Handshake,
    /// Silence.
    #[error("nothing came for twice the announced idle time-out")]
    Idle,
}

impl ConnectionError {
    /// The standard's condition for it (§2.8.15, §2.8.16).
    pub const fn condition(&self) -> &'static str {
        match self {
            Self::Decode(
                DecodeError::FrameTooSmall { .. }
                | DecodeError::FrameTooLarge { .. }
                | DecodeError::DataOffset { .. }
                | DecodeError::FrameType { .. },
            )
            | Self::ProtocolHeader
            | Self::Channel { .. }
            | Self::Handle { .. } => "amqp:connection:framing-error",
            Self::Decode(_) => "amqp:decode-error",
            Self::Mechanism => "amqp:unauthorized-access",
            Self::Unexpected { .. } => "amqp:illegal-state",
            Self::PeerFrameSize { .. } | Self::DeliveryId => "amqp:invalid-field",
            Self::TooManySessions { .. }
            | Self::TooManyLinks { .. }
            | Self::TooMuchUnfinished { .. }
            | Self::OutputFull { .. }
            | Self::Handshake
            | Self::Idle => "amqp:resource-limit-exceeded",
            Self::NoSession { .. } => "amqp:not-allowed",
            Self::NoLink { .. } => "amqp:session:unattached-handle",
            Self::HandleInUse { .. } => "amqp:session:handle-in-use",
            Self::Window => "amqp:session:window-violation",
        }
    }
}

/// Why nothing was sent. The connection goes on, unless it is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SendError {
    /// The connection is over, or being closed.
    #[error("the connection is closed")]
    Closed,
    /// This answer is not due now.
    #[error("this answer does not belong to the connection's present state")]
    WrongMoment,
    /// The link was detached meanwhile, or goes the other way.
    #[error("no link of that kind is attached: it was detached meanwhile, or goes the other way")]
    NoLink,
    /// The delivery is settled, or its link gone.
    #[error("the delivery waits for no verdict: it is settled, or its link is gone")]
    NoDelivery,
    /// The peer allows no such handle.
    #[error("the peer takes no link handle above {limit}")]
    NoHandle {
        /// The peer's bound.
        limit: u32,
    },
    /// The peer takes no message of this size.
    #[error("the message has {length} bytes, and the peer takes {limit}")]
    TooLarge {
        /// Of the message.
        length: usize,
        /// The peer's bound.
        limit: u64,
    },
    /// A SASL challenge that no frame can hold.
    #[error("the challenge does not fit into a SASL frame of 512 bytes: send it in segments")]
    ChallengeTooLarge,
    /// Messages wait for the peer's credit.
    #[error("too many messages wait for the peer's credit already")]
    QueueFull,
    /// Bytes wait to be written.
    #[error("{limit} bytes or more wait to be written: the peer does not read")]
    OutputFull {
        /// The bound.
        limit: usize,
    },
}

impl SendError {
    /// The standard's condition for it (§2.8.15, §2.8.17), for a caller that ends the connection over it.
    pub const fn condition(&self) -> &'static str {
        match self {
            Self::Closed | Self::WrongMoment | Self::NoLink | Self::NoDelivery => "amqp:illegal-state",
            Self::NoHandle { .. } | Self::QueueFull | Self::OutputFull { .. } => {
                "amqp:resource-limit-exceeded"
            }
            Self::TooLarge { .. } => "amqp:link:message-size-exceeded",
            Self::ChallengeTooLarge => "amqp:internal-error",
        }
    }
}
