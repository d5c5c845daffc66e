//! One call's event: opened before anything is looked at, recorded once when dropped, so on every exit, a panic or a
//! client that went away included. The one place of this crate that records.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use dps_access::Caller;
use dps_core::ports::Clock;
use dps_events::{Event, EventSink, Outcome, ServiceCallRecord};
use dps_model::limits::MAX_EVENT_TEXT;
use dps_model::{Channel, Timestamp, TrackingId};

/// Where a request without a connection comes from.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// An open call.
pub(crate) struct Call {
    /// What is known of it so far; `Abandoned` until it is closed.
    pub(crate) record: Box<ServiceCallRecord>,
    sink: Arc<dyn EventSink>,
    clock: Arc<dyn Clock>,
    began: u64,
}

impl Call {
    /// Opens a call that names no operation yet.
    pub(crate) fn open(sink: &Arc<dyn EventSink>, clock: &Arc<dyn Clock>, channel: Option<&Channel>) -> Self {
        let record = ServiceCallRecord {
            tracking_id: TrackingId::fresh(),
            time: clock.now(),
            micros: 0,
            instance: None,
            operation: "Unrouted",
            kind: "Unknown",
            id: None,
            api_version: None,
            client: None,
            caller: None,
            auth: None,
            credential: None,
            peer: channel.map_or(NOWHERE, |channel| channel.peer),
            previous_etag: None,
            etag: None,
            items: Vec::new(),
            causes: Vec::new(),
            outcome: Outcome::Abandoned,
        };
        let began = clock.monotonic_micros();
        Self { record: Box::new(record), sink: Arc::clone(sink), clock: Arc::clone(clock), began }
    }

    /// Name of the call in its answer and in the logs.
    pub(crate) fn tracking_id(&self) -> TrackingId {
        self.record.tracking_id
    }

    /// When it began: the one instant that all its decisions are made at.
    pub(crate) fn time(&self) -> Timestamp {
        self.record.time
    }

    /// Notes who calls.
    pub(crate) fn caller(&mut self, caller: &Caller) {
        self.record.caller = Some(caller.name().to_owned());
        self.record.auth = Some(caller.kind());
        self.record.credential = caller.credential();
    }

    /// Closes it with how it ended.
    pub(crate) fn close(mut self, outcome: Outcome) {
        self.record.outcome = outcome;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.record.micros = self.clock.monotonic_micros().saturating_sub(self.began);
        self.sink.record(Event::ServiceCall(self.record.clone()));
    }
}

/// A client's text, cut to what an event keeps.
pub(crate) fn kept(text: &str) -> String {
    text.chars().take(MAX_EVENT_TEXT).collect()
}
