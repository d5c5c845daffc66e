//! The one place where the doors record events: connections and requests that were refused before the core saw them.
//! What reaches the core is recorded there. Must not decide anything.

use std::io;
use std::sync::Arc;

use dps_core::ports::Clock;
use dps_events::{AttemptRecord, ConnectionRecord, Event, EventSink, HandshakeRecord, Operation, Outcome};
use dps_model::{Channel, Error, Protocol, Timestamp, TrackingId, limits};

/// When a connection or a request began.
#[derive(Clone, Copy)]
pub(crate) struct Opened {
    time: Timestamp,
    micros: u64,
}

/// What is known of a request that does not reach the core.
#[derive(Default)]
pub(crate) struct Claims {
    pub operation: Option<Operation>,
    pub id_scope: String,
    pub registration_id: String,
    pub api_version: Option<String>,
    pub client: Option<String>,
}

/// A connection that is ended before there was a request: where it stood and why, in one sentence.
pub(crate) struct Ended {
    /// What the peer is told to quote.
    pub tracking_id: TrackingId,
    pub stage: &'static str,
    pub reason: String,
    pub claimed: Option<String>,
    /// The TLS handshake that it ended in.
    pub handshake: Option<Box<HandshakeRecord>>,
}

impl Ended {
    pub(crate) fn at(stage: &'static str, reason: impl Into<String>) -> Self {
        Self {
            tracking_id: TrackingId::fresh(),
            stage,
            reason: reason.into(),
            claimed: None,
            handshake: None,
        }
    }
}

/// Why a conversation is over.
pub(crate) enum Over {
    /// As the peer wished, or by its protocol without a word: nothing to tell.
    Quietly,
    /// Refused: this is the event.
    Refused(Ended),
}

impl Over {
    /// Names who it was, where the refusal itself does not.
    pub(crate) fn of(self, claimed: impl FnOnce() -> Option<String>) -> Self {
        match self {
            Self::Refused(ended) => Self::Refused(Ended { claimed: ended.claimed.or_else(claimed), ..ended }),
            Self::Quietly => Self::Quietly,
        }
    }
}

impl From<io::Error> for Over {
    /// A peer that does not read, or breaks TLS, is cut; one that went away has gone.
    fn from(error: io::Error) -> Self {
        if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::InvalidData) {
            return Self::Refused(Ended::at("protocol", error.to_string()));
        }
        Self::Quietly
    }
}

/// Records refusals.
pub(crate) struct Refused {
    sink: Arc<dyn EventSink>,
    clock: Arc<dyn Clock>,
}

impl Refused {
    pub(crate) fn new(sink: Arc<dyn EventSink>, clock: Arc<dyn Clock>) -> Self {
        Self { sink, clock }
    }

    /// A unit of work begins now.
    pub(crate) fn open(&self) -> Opened {
        Opened { time: self.clock.now(), micros: self.clock.monotonic_micros() }
    }

    /// A connection ended before there was a request.
    pub(crate) fn connection(
        &self,
        opened: Opened,
        protocol: Protocol,
        peer: std::net::SocketAddr,
        ended: Ended,
    ) {
        self.sink.record(Event::Connection(Box::new(ConnectionRecord {
            tracking_id: ended.tracking_id,
            time: opened.time,
            micros: self.since(opened),
            protocol,
            peer,
            stage: ended.stage,
            reason: bounded(ended.reason),
            causes: Vec::new(),
            claimed: ended.claimed.map(bounded),
            hub_device: None,
            handshake: ended.handshake,
        })));
    }

    /// A request is at the door; `tracking_id` will be in its error body. Whatever becomes of it, it is recorded
    /// once: here when it is refused or abandoned, by the core when it is handed on.
    pub(crate) fn request<'a>(
        &'a self,
        opened: Opened,
        channel: &'a Channel,
        tracking_id: TrackingId,
        claims: Claims,
    ) -> AtTheDoor<'a> {
        AtTheDoor { of: self, opened, channel, tracking_id, claims: Some(claims) }
    }

    fn since(&self, opened: Opened) -> u64 {
        self.clock.monotonic_micros().saturating_sub(opened.micros)
    }
}

/// A request that is neither refused nor with the core yet. Dropped so, it was abandoned.
pub(crate) struct AtTheDoor<'a> {
    of: &'a Refused,
    opened: Opened,
    channel: &'a Channel,
    tracking_id: TrackingId,
    claims: Option<Claims>,
}

impl AtTheDoor<'_> {
    /// What is known of it by now.
    pub(crate) fn claims(&mut self) -> &mut Claims {
        self.claims.get_or_insert_default()
    }

    /// It goes to the core, which records it.
    pub(crate) fn hand_on(mut self) -> Claims {
        self.claims.take().unwrap_or_default()
    }

    /// It goes no further.
    pub(crate) fn refuse(mut self, error: &Error) {
        self.close(Outcome::failed(error));
    }

    fn close(&mut self, outcome: Outcome) {
        let Some(claims) = self.claims.take() else { return };
        let channel = self.channel;
        let operation = claims.operation.unwrap_or(Operation::Unrouted);
        let mut record = AttemptRecord::open(self.tracking_id, self.opened.time, channel, operation);
        record.micros = self.of.since(self.opened);
        record.id_scope = bounded(claims.id_scope);
        record.registration_id = bounded(claims.registration_id);
        record.api_version = claims.api_version.map(bounded);
        record.client = claims.client.map(bounded);
        record.outcome = outcome;
        self.of.sink.record(Event::Attempt(Box::new(record)));
    }
}

impl Drop for AtTheDoor<'_> {
    fn drop(&mut self) {
        self.close(Outcome::Abandoned);
    }
}

/// Cuts a text of the peer to what an event keeps.
fn bounded(mut text: String) -> String {
    if text.len() > limits::MAX_EVENT_TEXT {
        let end = text.floor_char_boundary(limits::MAX_EVENT_TEXT);
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::bounded;

    #[test]
    fn event_text_long_cut_at_a_character() {
        assert_eq!(bounded("short".into()), "short");
        let cut = bounded("ü".repeat(1024));
        assert_eq!(cut.len(), 1024);
        assert_eq!(bounded(format!("x{}", "ü".repeat(1024))).len(), 1023);
    }
}
