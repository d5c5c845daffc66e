//! Which trace an event is part of. A registration is one trace from the register request to the write at the hub: its id
//! is that of the operation, so that each event knows its place without having seen another one.

use uuid::Uuid;

use crate::record::{Event, Operation, Outcome};

/// An event's place in traces, as W3C Trace Context names ids; none is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TracePlace {
    /// The trace.
    pub trace: u128,
    /// The event's own span.
    pub span: u64,
    /// The span that it is part of.
    pub parent: Option<u64>,
}

impl Event {
    /// Its place.
    pub fn trace(&self) -> TracePlace {
        match self {
            Self::Attempt(attempt) => {
                let operation =
                    attempt.operation_id.as_deref().filter(|_| attempt.outcome == Outcome::Success);
                match (operation.and_then(operation_uuid), attempt.operation) {
                    (Some(operation), Operation::Register) => root(operation),
                    (Some(operation), _) => part(operation, attempt.tracking_id.0),
                    (None, _) => root(attempt.tracking_id.0),
                }
            }
            Self::Assignment(assignment) => match operation_uuid(&assignment.operation_id) {
                Some(operation) => part(operation, assignment.tracking_id.0),
                None => root(assignment.tracking_id.0),
            },
            Self::ServiceCall(call) => root(call.tracking_id.0),
            Self::ManagementCall(call) => root(call.tracking_id.0),
            Self::Connection(connection) => root(connection.tracking_id.0),
            Self::LinkProbe(probe) => root(probe.tracking_id.0),
            Self::Polls(polls) => match operation_uuid(&polls.operation_id) {
                Some(operation) => part(operation, polls.tracking_id.0),
                None => root(polls.tracking_id.0),
            },
            Self::HubConnection(connection) => root(connection.tracking_id.0),
        }
    }
}

/// The UUID that an operation id ends with.
fn operation_uuid(id: &str) -> Option<Uuid> {
    Uuid::try_parse(id.rsplit('.').next()?).ok()
}

fn root(id: Uuid) -> TracePlace {
    TracePlace { trace: id.as_u128().max(1), span: span(id), parent: None }
}

fn part(of: Uuid, id: Uuid) -> TracePlace {
    TracePlace { parent: Some(span(of)), span: span(id), ..root(of) }
}

fn span(id: Uuid) -> u64 {
    let (high, low) = id.as_u64_pair();
    (high ^ low).max(1)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{operation_uuid, part, root};

    #[test]
    fn operation_and_what_belongs_to_it_are_one_trace() {
        let operation = operation_uuid("5.2b75460dfe4c5518.2e03f8f6-c4fb-40ff-831f-133c6b8aa665").unwrap();
        let (begun, ended) = (root(operation), part(operation, Uuid::from_u128(7 << 64 | 1)));
        assert_eq!(begun.trace, 0x2e03_f8f6_c4fb_40ff_831f_133c_6b8a_a665);
        assert_eq!((ended.trace, ended.parent, ended.span), (begun.trace, Some(begun.span), 6));
        assert_eq!(root(Uuid::nil()).span, 1);
        assert_eq!(operation_uuid("5.2b75"), None);
    }
}
