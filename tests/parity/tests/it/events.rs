//! The clock that tests hold, and every event, with a way to wait for one.

use std::sync::atomic::{AtomicI64, Ordering};

use dps_core::ports::Clock;
use dps_events::{AssignmentRecord, Event, EventSink};
use dps_model::Timestamp;
use tokio::sync::watch;

/// 2030-01-01T00:00:00Z: certificates made here are valid then.
const START: i64 = 1_893_456_000_000;

/// Time that stands still until a test moves it.
pub struct HeldClock(AtomicI64);

impl HeldClock {
    pub fn new() -> Self {
        Self(AtomicI64::new(START))
    }

    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000, Ordering::Relaxed);
    }
}

impl Clock for HeldClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }

    fn monotonic_micros(&self) -> u64 {
        u64::try_from(self.0.load(Ordering::Relaxed) - START).unwrap() * 1_000
    }
}

/// Every event, in order.
pub struct Events(watch::Sender<Vec<Event>>);

impl Events {
    pub fn new() -> Self {
        Self(watch::Sender::new(Vec::new()))
    }

    pub fn all(&self) -> Vec<Event> {
        self.0.borrow().clone()
    }

    /// Waits until so many operations of the device have ended.
    pub async fn operations_ended(&self, registration_id: &str, count: usize) {
        let ended = |events: &Vec<Event>| {
            events.iter().filter_map(assignment).filter(|of| of.registration_id == registration_id).count()
        };
        self.0.subscribe().wait_for(|events| ended(events) >= count).await.unwrap();
    }
}

impl EventSink for Events {
    fn record(&self, event: Event) {
        self.0.send_modify(|events| events.push(event));
    }
}

pub fn assignment(event: &Event) -> Option<&AssignmentRecord> {
    match event {
        Event::Assignment(record) => Some(record),
        _ => None,
    }
}
