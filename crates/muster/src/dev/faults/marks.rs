//! Marks on the events of those whom a fault struck, so that nobody looks for its cause elsewhere. Stands before the event
//! sink; must not know what is in an event besides whose it is.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use dps_events::{Event, EventSink, InjectedFault};
use dps_model::TrackingId;

use crate::dev::limits::MAX_MARKS;

/// Whose event is to be marked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Owner {
    Attempt(TrackingId),
    /// The next operation of a device that ends, by its registration id or its id on the hub, in lower case.
    Operation(String),
}

/// Marks that wait for their event.
#[derive(Default)]
pub struct Marks(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    marks: HashMap<Owner, InjectedFault>,
    order: VecDeque<Owner>,
}

impl Marks {
    /// The attempt of that id was struck.
    pub fn attempt(&self, id: TrackingId, mark: InjectedFault) {
        self.put(Owner::Attempt(id), mark);
    }

    /// The operation of that device was struck.
    pub fn operation(&self, device: &str, mark: InjectedFault) {
        self.put(Owner::Operation(device.to_ascii_lowercase()), mark);
    }

    fn put(&self, owner: Owner, mark: InjectedFault) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.marks.insert(owner.clone(), mark).is_none() {
            waiting.order.push_back(owner);
        }
        // Those that were taken are still in the order: it has a bound of its own.
        while waiting.order.len() > MAX_MARKS {
            if let Some(oldest) = waiting.order.pop_front() {
                waiting.marks.remove(&oldest);
            }
        }
    }

    fn take(&self, owner: &Owner) -> Option<InjectedFault> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.marks.remove(owner)
    }
}

/// An event sink that marks events on their way.
pub struct MarkingSink {
    /// Where they go.
    pub then: Arc<dyn EventSink>,
    /// What waits for them.
    pub marks: Arc<Marks>,
}

impl EventSink for MarkingSink {
    fn record(&self, mut event: Event) {
        match &mut event {
            Event::Attempt(attempt) => {
                if let Some(mark) = self.marks.take(&Owner::Attempt(attempt.tracking_id)) {
                    attempt.fault = Some(mark);
                }
            }
            Event::Assignment(assignment) => {
                let ids = [Some(assignment.registration_id.as_str()), assignment.device_id.as_deref()];
                for id in ids.into_iter().flatten() {
                    if let Some(mark) = self.marks.take(&Owner::Operation(id.to_ascii_lowercase())) {
                        assignment.fault = Some(mark);
                    }
                }
            }
            _ => {}
        }
        self.then.record(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(rule: &str) -> InjectedFault {
        InjectedFault { rule: rule.to_owned(), kind: "drop" }
    }

    #[test]
    fn mark_is_taken_once_and_the_oldest_are_forgotten() {
        let marks = Marks::default();
        marks.operation("Robot-1", mark("a"));
        let owner = Owner::Operation("robot-1".to_owned());
        assert_eq!((marks.take(&owner), marks.take(&owner)), (Some(mark("a")), None));
        for number in 0..=MAX_MARKS {
            marks.operation(&number.to_string(), mark("b"));
        }
        assert_eq!(marks.take(&Owner::Operation("0".to_owned())), None);
        assert_eq!(marks.take(&Owner::Operation(MAX_MARKS.to_string())), Some(mark("b")));
        let waiting = marks.0.lock().unwrap();
        assert!(waiting.marks.len() <= MAX_MARKS && waiting.order.len() <= MAX_MARKS);
    }
}
