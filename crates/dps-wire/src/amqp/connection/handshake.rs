//! From the first byte to the verdict about OPEN: protocol headers, SASL frames, OPEN.

use bytes::BytesMut;

use super::{Connection, ConnectionError, Event, Peer, Phase, SendError};
use crate::amqp::frame::{ProtocolHeader, decode_sasl, encode_sasl};
use crate::amqp::limits::{MAX_SASL_FRAME, MIN_HEARTBEAT_MS, MIN_MAX_FRAME};
use crate::amqp::performative::{AmqpError, Open, Performative, Sasl, SaslCode};
use crate::amqp::value::{Fields, Secret, Symbol};

/// The property of OPEN under which Azure's gateway says why it closes at once.
pub const OPEN_ERROR: &str = "com.microsoft:open-error";

impl Connection {
    /// A header is answered by the same header (§2.2); another one by what we speak, and the end.
    pub(super) fn on_header(&mut self) -> Result<(), ConnectionError> {
        if self.input.is_empty() {
            return Ok(());
        }
        let first = self.phase == Phase::Header;
        let offers_sasl = first && !self.config.mechanisms.is_empty();
        let Some(header) = ProtocolHeader::decode(&mut self.input) else { return Ok(()) };
        match header {
            ProtocolHeader::Sasl if offers_sasl => {
                self.output.extend_from_slice(&header.bytes());
                encode_sasl(&Sasl::Mechanisms(self.config.mechanisms.clone()), &mut self.output);
                self.phase = Phase::SaslInit;
            }
            ProtocolHeader::Amqp if !first || self.config.without_sasl => {
                self.output.extend_from_slice(&header.bytes());
                self.phase = Phase::AwaitOpen;
            }
            _ => {
                let ours = if offers_sasl { ProtocolHeader::Sasl } else { ProtocolHeader::Amqp };
                self.output.extend_from_slice(&ours.bytes());
                return Err(ConnectionError::ProtocolHeader);
            }
        }
        Ok(())
    }

    pub(super) fn on_sasl(&mut self) -> Result<Option<Event>, ConnectionError> {
        let Some(said) = decode_sasl(&mut self.input)? else { return Ok(None) };
        let event = match (said, self.phase) {
            (Sasl::Init(init), Phase::SaslInit) => {
                if !self.config.mechanisms.contains(&init.mechanism) {
                    encode_sasl(&Sasl::Outcome(SaslCode::Auth), &mut self.output);
                    return Err(ConnectionError::Mechanism);
                }
                Event::SaslInit(init)
            }
            (Sasl::Response(response), Phase::SaslResponse) => Event::SaslResponse(response),
            (said, phase) => {
                let performative = match said {
                    Sasl::Mechanisms(_) => "sasl-mechanisms",
                    Sasl::Init(_) => "sasl-init",
                    Sasl::Challenge(_) => "sasl-challenge",
                    Sasl::Response(_) => "sasl-response",
                    Sasl::Outcome(_) => "sasl-outcome",
                };
                let expected =
                    if phase == Phase::SaslInit { "sasl-init is due" } else { "sasl-response is due" };
                return Err(ConnectionError::Unexpected { performative, expected });
            }
        };
        self.phase = Phase::SaslJudged;
        Ok(Some(event))
    }

    /// Answers a SASL message with a challenge of at most about 490 bytes.
    pub fn sasl_challenge(&mut self, challenge: Secret) -> Result<(), SendError> {
        self.expect(Phase::SaslJudged)?;
        let mut frame = BytesMut::new();
        encode_sasl(&Sasl::Challenge(challenge), &mut frame);
        if frame.len() > MAX_SASL_FRAME {
            return Err(SendError::ChallengeTooLarge);
        }
        self.output.extend_from_slice(&frame);
        self.challenged = true;
        self.phase = Phase::SaslResponse;
        Ok(())
    }

    /// Ends the SASL exchange. With another code than [`SaslCode::Ok`]: write the output, then close.
    pub fn sasl_outcome(&mut self, code: SaslCode) -> Result<(), SendError> {
        self.expect(Phase::SaslJudged)?;
        encode_sasl(&Sasl::Outcome(code), &mut self.output);
        if code == SaslCode::Ok {
            self.phase = Phase::SecondHeader;
        } else {
            self.close_now();
        }
        Ok(())
    }

    pub(super) fn on_open(&mut self, performative: Performative) -> Result<Event, ConnectionError> {
        let open = match performative {
            Performative::Open(open) => open,
            other => {
                let performative = other.name();
                return Err(ConnectionError::Unexpected { performative, expected: "open is due" });
            }
        };
        if open.max_frame_size < MIN_MAX_FRAME {
            return Err(ConnectionError::PeerFrameSize { max_frame_size: open.max_frame_size });
        }
        // Half of what the peer bears, so that a late heartbeat is still in time.
        let period = |time_out: u32| (u64::from(time_out) / 2).max(MIN_HEARTBEAT_MS);
        self.peer = Peer {
            max_frame: open.max_frame_size.min(self.config.max_frame_size),
            channel_max: open.channel_max,
            heartbeat_ms: open.idle_time_out.filter(|time_out| *time_out > 0).map(period),
        };
        self.phase = Phase::OpenJudged;
        Ok(Event::Open(open))
    }

    /// Answers OPEN with ours.
    pub fn accept_open(&mut self, now_ms: u64) -> Result<(), SendError> {
        self.expect(Phase::OpenJudged)?;
        self.put_open(Vec::new());
        self.phase = Phase::Open;
        self.heard_ms = now_ms;
        self.beat_ms = now_ms;
        Ok(())
    }

    /// Refuses at OPEN as Azure's gateway does: an OPEN whose properties hold the error, then CLOSE with the same.
    /// Go on reading until [`Self::is_closed`].
    pub fn refuse_open(&mut self, error: AmqpError, now_ms: u64) -> Result<(), SendError> {
        self.expect(Phase::OpenJudged)?;
        self.put_open(vec![(Symbol::from_static(OPEN_ERROR), error.to_value())]);
        self.put(0, Performative::Close(Some(error)));
        self.closing(now_ms);
        Ok(())
    }

    pub(super) fn put_open(&mut self, properties: Fields) {
        let open = Open {
            container_id: self.config.container_id.clone(),
            hostname: self.config.hostname.clone(),
            max_frame_size: self.config.max_frame_size,
            channel_max: self.config.channel_max,
            idle_time_out: Some(self.config.idle_time_out_ms),
            properties,
        };
        self.put(0, Performative::Open(Box::new(open)));
    }
}
