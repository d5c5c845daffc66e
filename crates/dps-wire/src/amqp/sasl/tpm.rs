//! The mechanism TPM of DPS as a state machine: messages in, steps out.
//!
//! ```text
//! client  00 | idScope | 00 | registrationId | 00 | EK     server  00
//! client  00 | SRK                                         server  80 | first part of the activation blob
//! client  00                                               server  C1 | the rest
//! client  00 | SAS token
//! ```
//!
//! The first byte of a message controls: bit 7 says that it is a segment, bit 6 that it is the last one, bits 0 and
//! 1 count. Must not know keys, blobs or tokens from the inside.

use thiserror::Error;

use super::identity;
use crate::amqp::limits::{MAX_IDENTITY, MAX_TPM_KEY_BYTES, MAX_TPM_SEGMENT};
use crate::amqp::value::Secret;

const SEGMENT: u8 = 0x80;
const LAST: u8 = 0x40;
const SEQUENCE: u8 = 0x03;
/// Where a blob is cut that allows it: a split that the C, C#, Java and Node SDKs take.
const FIRST_PART: usize = 400;

/// Who asks, and the public areas (`TPM2B_PUBLIC`) of its keys. What the client says, nothing is proved yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TpmKeys {
    /// The ID scope.
    pub id_scope: String,
    /// The registration id.
    pub registration_id: String,
    /// The endorsement key.
    pub endorsement_key: Vec<u8>,
    /// The storage root key.
    pub storage_root_key: Vec<u8>,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TpmStep {
    /// Send this challenge, and give the response to [`TpmExchange::receive`].
    Challenge(Secret),
    /// Make the activation blob for these keys and give it to [`TpmExchange::activate`].
    Activate(Box<TpmKeys>),
    /// The device has activated: check its SAS token and send the outcome.
    Token(Secret),
}

/// Why the exchange ends. Nothing of the peer's bytes is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TpmError {
    /// No control byte.
    #[error("the TPM message is empty: a control byte is due")]
    Empty,
    /// A control byte with bits that no message has.
    #[error("the TPM message has the control byte {control:#04x}, which is neither 0 nor a segment's")]
    Control {
        /// The byte.
        control: u8,
    },
    /// Another segment than the one due.
    #[error("the TPM segment {came} came, and {due} is due")]
    Sequence {
        /// Its number.
        came: u8,
        /// The number due.
        due: u8,
    },
    /// More than any key.
    #[error("the TPM message has more than {MAX_TPM_KEY_BYTES} bytes over its segments")]
    TooLong,
    /// Two zero bytes divide three parts.
    #[error("the first TPM message has not the form idScope NUL registrationId NUL endorsementKey")]
    Form,
    /// Identities are text of some length.
    #[error(
        "the first TPM message names an identity that is empty, not UTF-8, or longer than {MAX_IDENTITY} bytes"
    )]
    Identity,
    /// A key is missing.
    #[error("the TPM message has no key")]
    NoKey,
    /// The answer to a segment of ours says something.
    #[error("the answer to a segment of the activation blob is not one zero byte")]
    Acknowledgement,
    /// A token is text.
    #[error("the last TPM message has no token, or one that is not UTF-8")]
    Token,
    /// A blob that two segments cannot hold, or none.
    #[error("the activation blob has {length} bytes, and 2 to {max} fit into two segments", max = 2 * MAX_TPM_SEGMENT)]
    Blob {
        /// Its length.
        length: usize,
    },
    /// A message, or a blob, that is not due.
    #[error("nothing of that kind is due in the TPM exchange")]
    WrongMoment,
}

#[derive(Debug)]
enum State {
    /// Identity and EK are due.
    Init,
    /// The SRK is due.
    StorageRootKey { id_scope: String, registration_id: String, endorsement_key: Vec<u8> },
    /// The caller makes the blob.
    Blob,
    /// The first part is out; this is the rest.
    Segment(Secret),
    /// All is out, the token is due.
    Token,
    /// Done, or failed.
    Over,
}

/// The server's side of one exchange.
#[derive(Debug)]
pub struct TpmExchange {
    state: State,
    segments: Vec<u8>,
    due: u8,
}

impl Default for TpmExchange {
    fn default() -> Self {
        Self::new()
    }
}

impl TpmExchange {
    /// Before the initial response.
    pub fn new() -> Self {
        Self { state: State::Init, segments: Vec::new(), due: 0 }
    }

    /// Takes the initial response, then each response. After an error nothing is due any more.
    pub fn receive(&mut self, message: &Secret) -> Result<TpmStep, TpmError> {
        let outcome = self.step(message.expose());
        if outcome.is_err() {
            self.state = State::Over;
        }
        outcome
    }

    fn step(&mut self, message: &[u8]) -> Result<TpmStep, TpmError> {
        // Not even a segment: nothing is asked for out of turn.
        if matches!(self.state, State::Blob | State::Over) {
            return Err(TpmError::WrongMoment);
        }
        let Some(whole) = self.gather(message)? else {
            return Ok(TpmStep::Challenge(Secret::new(vec![0])));
        };
        match std::mem::replace(&mut self.state, State::Over) {
            State::Init => {
                self.state = init(&whole)?;
                Ok(TpmStep::Challenge(Secret::new(vec![0])))
            }
            State::StorageRootKey { id_scope, registration_id, endorsement_key } => {
                if whole.is_empty() {
                    return Err(TpmError::NoKey);
                }
                self.state = State::Blob;
                let storage_root_key = whole;
                let keys = TpmKeys { id_scope, registration_id, endorsement_key, storage_root_key };
                Ok(TpmStep::Activate(Box::new(keys)))
            }
            State::Segment(rest) => {
                if !whole.is_empty() {
                    return Err(TpmError::Acknowledgement);
                }
                self.state = State::Token;
                Ok(TpmStep::Challenge(segment(SEGMENT | LAST | 1, rest.expose())))
            }
            State::Token => {
                if whole.is_empty() || std::str::from_utf8(&whole).is_err() {
                    return Err(TpmError::Token);
                }
                Ok(TpmStep::Token(Secret::new(whole)))
            }
            State::Blob | State::Over => Err(TpmError::WrongMoment),
        }
    }

    /// Takes a message, or a segment of one; `None` while more segments are due.
    fn gather(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, TpmError> {
        let (&control, data) = message.split_first().ok_or(TpmError::Empty)?;
        if self.segments.len().saturating_add(data.len()) > MAX_TPM_KEY_BYTES {
            return Err(TpmError::TooLong);
        }
        if control == 0 && self.due == 0 {
            return Ok(Some(data.to_vec()));
        }
        if control & SEGMENT == 0 {
            return Err(TpmError::Control { control });
        }
        // Bit 4 tells an SRK's segment from an EK's in the C SDK's source; the order says it already.
        let (came, due) = (control & SEQUENCE, self.due & SEQUENCE);
        if came != due {
            return Err(TpmError::Sequence { came, due });
        }
        self.segments.extend_from_slice(data);
        if control & LAST == 0 {
            // An empty segment without end would never fill the bound.
            if data.is_empty() {
                return Err(TpmError::NoKey);
            }
            // Only that some came, and the next number, matter: 1 to 4 stand for 1 to 0 modulo 4.
            self.due = came + 1;
            return Ok(None);
        }
        self.due = 0;
        Ok(Some(std::mem::take(&mut self.segments)))
    }

    /// Takes the activation blob for the keys that [`TpmStep::Activate`] gave: the first segment to send. It goes out
    /// in exactly two, which is all that the Java SDK takes.
    pub fn activate(&mut self, blob: &[u8]) -> Result<TpmStep, TpmError> {
        if !matches!(self.state, State::Blob) {
            return Err(TpmError::WrongMoment);
        }
        let length = blob.len();
        let cut = if length > FIRST_PART && length - FIRST_PART <= MAX_TPM_SEGMENT {
            FIRST_PART
        } else {
            length.div_ceil(2)
        };
        let (first, rest) = blob.split_at_checked(cut).ok_or(TpmError::Blob { length })?;
        if rest.is_empty() || first.len() > MAX_TPM_SEGMENT {
            return Err(TpmError::Blob { length });
        }
        self.state = State::Segment(Secret::new(rest.to_vec()));
        Ok(TpmStep::Challenge(segment(SEGMENT, first)))
    }
}

fn segment(control: u8, data: &[u8]) -> Secret {
    Secret::new([&[control], data].concat())
}

fn init(whole: &[u8]) -> Result<State, TpmError> {
    let mut parts = whole.splitn(3, |byte| *byte == 0);
    let (Some(id_scope), Some(registration_id), Some(key)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err(TpmError::Form);
    };
    let text = |bytes| identity(bytes).filter(|text| !text.is_empty()).ok_or(TpmError::Identity);
    let (id_scope, registration_id) = (text(id_scope)?, text(registration_id)?);
    if key.is_empty() {
        return Err(TpmError::NoKey);
    }
    Ok(State::StorageRootKey { id_scope, registration_id, endorsement_key: key.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INIT: &[u8] = b"\x000ne1\0d1\0EK\0EK";

    fn secret(bytes: &[u8]) -> Secret {
        Secret::new(bytes.to_vec())
    }

    fn challenge(bytes: &[u8]) -> TpmStep {
        TpmStep::Challenge(secret(bytes))
    }

    fn keys() -> TpmStep {
        TpmStep::Activate(Box::new(TpmKeys {
            id_scope: "0ne1".to_owned(),
            registration_id: "d1".to_owned(),
            endorsement_key: b"EK\0EK".to_vec(),
            storage_root_key: b"SRK".to_vec(),
        }))
    }

    /// Up to the blob.
    fn asked() -> TpmExchange {
        let mut exchange = TpmExchange::new();
        assert_eq!(exchange.receive(&secret(INIT)), Ok(challenge(&[0])));
        assert_eq!(exchange.receive(&secret(b"\0SRK")), Ok(keys()));
        exchange
    }

    #[test]
    fn exchange_goes_its_way() {
        let mut exchange = asked();
        let blob: Vec<u8> = (0..766u32).map(|n| n.to_be_bytes()[3]).collect();
        let segment = |control: u8, data: &[u8]| Ok(challenge(&[&[control], data].concat()));
        assert_eq!(exchange.activate(&blob), segment(0x80, &blob[..400]));
        assert_eq!(exchange.receive(&secret(&[0])), segment(0xc1, &blob[400..]));
        assert_eq!(exchange.receive(&secret(b"\0token")), Ok(TpmStep::Token(secret(b"token"))));
        assert_eq!(exchange.receive(&secret(b"\0token")), Err(TpmError::WrongMoment));
    }

    #[test]
    fn blob_goes_out_in_two_segments_or_not_at_all() {
        for length in [2, 3, 400, 401, 470, 766, 870, 871, 939, 940] {
            let mut exchange = asked();
            let Ok(TpmStep::Challenge(first)) = exchange.activate(&vec![7; length]) else {
                panic!("{length}")
            };
            let Ok(TpmStep::Challenge(rest)) = exchange.receive(&secret(&[0])) else { panic!("{length}") };
            let (first, rest) = (first.expose().len() - 1, rest.expose().len() - 1);
            assert_eq!(first + rest, length);
            assert!(
                (1..=MAX_TPM_SEGMENT).contains(&first) && (1..=MAX_TPM_SEGMENT).contains(&rest),
                "{length}"
            );
        }
        for length in [0, 1, 941] {
            assert_eq!(asked().activate(&vec![7; length]), Err(TpmError::Blob { length }));
        }
    }

    #[test]
    fn keys_may_come_in_segments() {
        let mut exchange = TpmExchange::new();
        let segments: [&[u8]; 5] = [b"\x800ne", b"\x811\0d", b"\x821\0E", b"\x83K\0", b"\xc0EK"];
        for segment in segments {
            assert_eq!(exchange.receive(&secret(segment)), Ok(challenge(&[0])));
        }
        assert_eq!(exchange.receive(&secret(b"\x90S")), Ok(challenge(&[0])));
        assert_eq!(exchange.receive(&secret(b"\xd1RK")), Ok(keys()));
    }

    #[test]
    fn message_out_of_form_ends_the_exchange() {
        let long = vec![0; MAX_TPM_KEY_BYTES + 2];
        for (message, error) in [
            (&b""[..], TpmError::Empty),
            (b"\x01x", TpmError::Control { control: 1 }),
            (b"\x81x", TpmError::Sequence { came: 1, due: 0 }),
            (b"\x80", TpmError::NoKey),
            (b"\x000ne1\0d1", TpmError::Form),
            (b"\0\0d1\0EK", TpmError::Identity),
            (b"\x000ne1\0\xff\0EK", TpmError::Identity),
            (b"\x000ne1\0d1\0", TpmError::NoKey),
            (&long, TpmError::TooLong),
        ] {
            let mut exchange = TpmExchange::new();
            assert_eq!(exchange.receive(&secret(message)), Err(error));
            assert_eq!(exchange.receive(&secret(INIT)), Err(TpmError::WrongMoment));
        }
    }

    #[test]
    fn answer_to_a_segment_says_nothing() {
        let mut exchange = asked();
        exchange.activate(&[7; 500]).expect("it fits");
        assert_eq!(exchange.receive(&secret(b"\0x")), Err(TpmError::Acknowledgement));
    }

    #[test]
    fn blob_is_due_once() {
        assert_eq!(TpmExchange::new().activate(&[7; 500]), Err(TpmError::WrongMoment));
        let mut exchange = asked();
        assert_eq!(exchange.receive(&secret(b"\x80x")), Err(TpmError::WrongMoment));
    }
}
