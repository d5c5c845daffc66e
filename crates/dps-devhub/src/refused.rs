//! The one place where the development hubs record: connections that were refused before they were a device's. Must
//! not decide anything.

use dps_events::{ConnectionRecord, Event};
use dps_model::limits::MAX_EVENT_TEXT;
use dps_model::{Channel, Timestamp, TrackingId};

use crate::DevHubs;

/// When a unit of work began.
#[derive(Clone, Copy)]
pub(crate) struct Begun {
    time: Timestamp,
    micros: u64,
}

impl DevHubs {
    /// A unit of work begins now.
    pub(crate) fn begin(&self) -> Begun {
        Begun { time: self.clock.now(), micros: self.clock.monotonic_micros() }
    }

    /// What was refused, under the tracking id that the peer was told, if it was told one.
    pub(crate) fn refused(
        &self,
        begun: Begun,
        channel: &Channel,
        tracking_id: TrackingId,
        claimed: Option<&str>,
        reason: &str,
    ) {
        self.sink.record(Event::Connection(Box::new(ConnectionRecord {
            tracking_id,
            time: begun.time,
            micros: self.clock.monotonic_micros().saturating_sub(begun.micros),
            protocol: channel.protocol,
            peer: channel.peer,
            stage: "connect",
            reason: bounded(reason),
            claimed: claimed.map(bounded),
        })));
    }
}

fn bounded(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_EVENT_TEXT)].to_owned()
}
