use dps_events::{AddressMask, AssignmentRecord, AttemptRecord, Enrollment, Event, Operation, Outcome, Step};
use dps_model::{Channel, Error, ErrorCode, Protocol, Timestamp, TlsSession, TrackingId};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;

use super::spans;

const OPERATION: &str = "5.2b75460dfe4c5518.2e03f8f6-c4fb-40ff-831f-133c6b8aa665";

pub fn attempt(operation: Operation, outcome: Outcome) -> AttemptRecord {
    let peer = "192.0.2.77:4711".parse().unwrap();
    let channel = Channel { protocol: Protocol::Http, peer, tls: TlsSession::default() };
    let time = Timestamp::from_millis(1_700_000_000_123);
    let mut record = AttemptRecord::open(TrackingId::fresh(), time, &channel, operation);
    (record.micros, record.outcome) = (900, outcome);
    record.registration_id = "meter-7".to_owned();
    record.operation_id = Some(OPERATION.to_owned());
    record.steps = vec![Step { name: "findEnrollment", micros: 100 }, Step { name: "verify", micros: 300 }];
    record
}

fn assignment() -> AssignmentRecord {
    AssignmentRecord {
        tracking_id: TrackingId::fresh(),
        time: Timestamp::from_millis(1_700_000_000_124),
        micros: 5_000,
        instance: "dps".into(),
        registration_id: "meter-7".into(),
        operation_id: OPERATION.into(),
        protocol: None,
        enrollment: Enrollment { kind: "IndividualEnrollment", id: "meter-7".into() },
        hub: Some("hub-1".into()),
        device_id: None,
        substatus: None,
        moved_from: None,
        twin: None,
        webhook: None,
        hub_answer: None,
        attempts: 1,
        resumed: false,
        fault: None,
        steps: vec![Step { name: "putDevice", micros: 4_000 }],
        causes: Vec::new(),
        outcome: Outcome::Success,
    }
}

fn attribute<'a>(span: &'a Span, key: &str) -> Option<&'a Value> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    found.value.as_ref()?.value.as_ref()
}

#[test]
fn registration_is_one_trace_from_the_request_to_the_hub() {
    let request = Event::Attempt(Box::new(attempt(Operation::Register, Outcome::Success)));
    let poll = Event::Attempt(Box::new(attempt(Operation::OperationStatus, Outcome::Success)));
    let request = spans(&request, AddressMask::Masked);
    let assigned = spans(&Event::Assignment(Box::new(assignment())), AddressMask::Masked);
    let poll = spans(&poll, AddressMask::Masked);
    let names: Vec<_> = request.iter().chain(&assigned).map(|span| &*span.name).collect();
    assert_eq!(names, ["AttestationAttempt", "findEnrollment", "verify", "RegistrationAttempt", "putDevice"]);
    for span in request.iter().chain(&assigned).chain(&poll) {
        assert_eq!(span.trace_id, request[0].trace_id);
    }
    assert!(request[0].parent_span_id.is_empty());
    assert_eq!(
        (&assigned[0].parent_span_id, &poll[0].parent_span_id),
        (&request[0].span_id, &request[0].span_id)
    );
    assert_eq!(assigned[1].parent_span_id, assigned[0].span_id);
    let mut ids: Vec<_> = request.iter().chain(&assigned).chain(&poll).map(|span| &span.span_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 8, "every span has an id of its own");
    assert_eq!(request[0].start_time_unix_nano, 1_700_000_000_123_000_000);
    assert_eq!(request[2].end_time_unix_nano, 1_700_000_000_123_400_000, "steps follow on each other");
    assert_eq!(attribute(&request[0], "client.address"), Some(&Value::StringValue("192.0.2.XXX".into())));
}

#[test]
fn refusal_is_a_trace_of_its_own_and_says_why() {
    let error = Error::new(ErrorCode::Unauthorized).because("the token has expired");
    let refused = attempt(Operation::OperationStatus, Outcome::failed(&error));
    let id = refused.tracking_id.0;
    let spans = spans(&Event::Attempt(Box::new(refused)), AddressMask::None);
    assert_eq!(spans[0].trace_id, id.as_bytes(), "whoever guesses an operation gets into no trace of others");
    let status = spans[0].status.as_ref().unwrap();
    assert_eq!((status.code, &*status.message), (2, "the token has expired"));
    assert_eq!(attribute(&spans[0], "muster.error_code"), Some(&Value::IntValue(401_000)));
}
