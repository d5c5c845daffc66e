//! Why a session ends, and why an answer was not written.

use thiserror::Error;

use crate::mqtt::codec::{DecodeError, EncodeError};
use crate::mqtt::packet::{PacketId, PacketType};

/// What the peer did that ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SessionError {
    /// The bytes are not MQTT 3.1.1.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A PUBLISH with QoS 2, which Azure's services do not take.
    #[error("PUBLISH has quality of service 2, which is not served: publish with 0 or 1")]
    ExactlyOnce,
    /// A packet that answers nothing.
    #[error("{packet} came, and nothing was sent that it could answer")]
    Unexpected {
        /// Which packet.
        packet: PacketType,
    },
    /// What the peer asked for could not be answered.
    #[error("{packet} could not be sent: {source}")]
    Answer {
        /// Our answer.
        packet: PacketType,
        /// Why.
        source: SendError,
    },
}

/// Why nothing was sent. The session goes on, unless it is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SendError {
    /// The connection is over.
    #[error("the connection is closed")]
    Closed,
    /// CONNECT is not accepted yet, or already.
    #[error("this answer does not belong to the connection's present state")]
    WrongMoment,
    /// Nobody subscribed to the topic.
    #[error("the peer holds no subscription for the topic: it must subscribe first")]
    NotSubscribed,
    /// QoS 1 messages wait for their acknowledgement.
    #[error("{limit} messages wait for the peer's PUBACK already")]
    TooManyInFlight {
        /// The bound.
        limit: usize,
    },
    /// Bytes wait to be written.
    #[error("{limit} bytes or more wait to be written: the peer does not read")]
    OutputFull {
        /// The bound.
        limit: usize,
    },
    /// Not the oldest unacknowledged message.
    #[error("the message {packet_id} is not the oldest that waits for its PUBACK")]
    OutOfOrder {
        /// Of the message.
        packet_id: PacketId,
    },
    /// The packet has no legal bytes.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}
