//! Why bytes are not AMQP, in one sentence for the operator, with the offset inside the frame (or the message).

use thiserror::Error;

/// What made the bytes unreadable. `at` counts bytes from the frame's first byte, in a message from the first
/// byte of its first section. Nothing of the peer's content is repeated, so that no secret can leak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// §2.3.1: a frame is at least its own header.
    #[error("the frame announces {size} bytes, and its header alone has 8")]
    FrameTooSmall {
        /// The announced size.
        size: usize,
    },
    /// More than we take.
    #[error("the frame announces {size} bytes, and at most {limit} are accepted")]
    FrameTooLarge {
        /// The announced size.
        size: usize,
        /// The bound in force.
        limit: usize,
    },
    /// §2.3.1: below 2, or beyond the frame.
    #[error("the data offset {offset} in byte 4 points outside the frame's body")]
    DataOffset {
        /// In words of four bytes.
        offset: u8,
    },
    /// An AMQP frame where SASL is due, the reverse, or neither.
    #[error("the frame has type {actual} in byte 5, and {expected} is due")]
    FrameType {
        /// What came.
        actual: u8,
        /// 0 for AMQP, 1 for SASL.
        expected: u8,
    },
    /// §5.3.1: a SASL frame without a body.
    #[error("the SASL frame is empty")]
    EmptySasl,
    /// The bytes ended inside a value.
    #[error("the bytes end inside the value that byte {at} belongs to")]
    Truncated {
        /// Where more was due.
        at: usize,
    },
    /// No type has this code.
    #[error("byte {at} is {code:#04x}, which constructs no AMQP type")]
    Constructor {
        /// The byte.
        code: u8,
        /// Where.
        at: usize,
    },
    /// Lists in lists in lists.
    #[error("the values nest deeper than {limit} at byte {at}")]
    TooDeep {
        /// The bound.
        limit: usize,
        /// Where.
        at: usize,
    },
    /// More values than are kept.
    #[error("there are more than {limit} values at byte {at}")]
    TooManyValues {
        /// The bound.
        limit: usize,
        /// Where the first one too many begins.
        at: usize,
    },
    /// A text that is longer than we keep.
    #[error("the {kind} at byte {at} has {length} bytes, and at most {limit} are accepted")]
    TooLong {
        /// What it is.
        kind: &'static str,
        /// Its length.
        length: usize,
        /// The bound.
        limit: usize,
        /// Where its bytes begin.
        at: usize,
    },
    /// §1.6.20: ill-formed UTF-8.
    #[error("the string is not valid UTF-8 at byte {at}")]
    NotUtf8 {
        /// The first bad byte.
        at: usize,
    },
    /// §1.6.21: a symbol beyond ASCII.
    #[error("the symbol is not ASCII at byte {at}")]
    NotAscii {
        /// The first bad byte.
        at: usize,
    },
    /// §1.6.16: no Unicode scalar value.
    #[error("the char at byte {at} is no Unicode character")]
    NotAChar {
        /// Where.
        at: usize,
    },
    /// §1.6.2: 0x56 followed by something else than 0 or 1.
    #[error("the boolean at byte {at} is neither 0 nor 1")]
    NotABoolean {
        /// Where.
        at: usize,
    },
    /// §1.6.23: a key without a value.
    #[error("the map at byte {at} has an odd number of values")]
    OddMap {
        /// Where its values begin.
        at: usize,
    },
    /// The size and the values of a list, map or array contradict each other.
    #[error("the size of the compound value at byte {at} does not fit what is in it")]
    CompoundSize {
        /// Where its values begin.
        at: usize,
    },
    /// Another type than the standard says.
    #[error("the {field} at byte {at} has another type than the standard gives it")]
    WrongType {
        /// `performative.field`.
        field: &'static str,
        /// Where its value begins.
        at: usize,
    },
    /// A value that the standard does not allow.
    #[error("the {field} at byte {at} has a value that is not allowed")]
    BadValue {
        /// `performative.field`.
        field: &'static str,
        /// Where its value begins.
        at: usize,
    },
    /// A mandatory field is null or not there.
    #[error("the {field} is missing: it is mandatory (the list ends at byte {at})")]
    Missing {
        /// `performative.field`.
        field: &'static str,
        /// Where the list ends.
        at: usize,
    },
    /// The body does not begin with a performative that belongs here.
    #[error("the descriptor at byte {at} names nothing that is expected here")]
    Descriptor {
        /// Where.
        at: usize,
    },
    /// A performative that carries no payload has one.
    #[error("{extra} bytes follow the performative from byte {at} on, and only a transfer has a payload")]
    TrailingBytes {
        /// Where they begin.
        at: usize,
        /// How many.
        extra: usize,
    },
    /// §3.2: sections out of order, or twice.
    #[error("the message section at byte {at} is out of order or comes a second time")]
    SectionOrder {
        /// Where it begins.
        at: usize,
    },
}
