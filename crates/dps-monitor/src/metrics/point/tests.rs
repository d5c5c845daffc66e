use dps_events::{AssignmentRecord, AttemptRecord, Enrollment, Event, Operation, Outcome, Step, WebhookCall};
use dps_model::{Channel, Error, ErrorCode, Protocol, Timestamp, TlsSession, TrackingId};

use super::points;

fn shown(event: &Event) -> Vec<String> {
    points(event)
        .into_iter()
        .map(|point| {
            let values = point.values.join(",");
            format!("{:?} {} [{values}] {}", point.metric, point.service.unwrap_or("-"), point.rollup.sum)
        })
        .collect()
}

fn attempt(operation: Operation, protocol: Protocol, outcome: Outcome) -> AttemptRecord {
    let channel = Channel { protocol, peer: "127.0.0.1:1".parse().unwrap(), tls: TlsSession::default() };
    let time = Timestamp::from_millis(59_999);
    let record = AttemptRecord::open(TrackingId::fresh(), time, &channel, operation);
    AttemptRecord { instance: Some("dps".into()), outcome, ..record }
}

fn assignment(outcome: Outcome) -> AssignmentRecord {
    AssignmentRecord {
        tracking_id: TrackingId::fresh(),
        time: Timestamp::from_millis(0),
        micros: 0,
        instance: "dps".into(),
        registration_id: "d".into(),
        operation_id: "o".into(),
        protocol: Some(Protocol::Mqtt),
        enrollment: Enrollment { kind: "IndividualEnrollment", id: "d".into() },
        hub: Some("hub.example".into()),
        device_id: Some("d".into()),
        substatus: None,
        moved_from: None,
        twin: None,
        webhook: None,
        hub_answer: None,
        attempts: 0,
        resumed: false,
        fault: None,
        steps: Vec::new(),
        causes: Vec::new(),
        outcome,
    }
}

#[test]
fn register_request_is_one_attempt_by_status_and_protocol() {
    let refused = || Outcome::failed(&Error::new(ErrorCode::Unauthorized));
    for (protocol, outcome, expected) in [
        (Protocol::Http, Outcome::Success, "Success,Http"),
        (Protocol::Mqtt, refused(), "ClientError,Mqtt"),
        (Protocol::AmqpWs, Outcome::Abandoned, "Failure,AmqpWs"),
    ] {
        let event = Event::Attempt(Box::new(attempt(Operation::Register, protocol, outcome)));
        assert_eq!(shown(&event), [format!("AttestationAttempts dps [{expected}] 1")]);
    }
}

#[test]
fn challenge_counts_nothing_and_its_answer_counts_once() {
    let challenge = attempt(Operation::Register, Protocol::Http, Outcome::Challenged);
    assert!(shown(&Event::Attempt(Box::new(challenge))).is_empty());
}

#[test]
fn polls_and_unknown_scopes_are_no_attempts() {
    let poll = attempt(Operation::OperationStatus, Protocol::Mqtt, Outcome::Success);
    assert_eq!(shown(&Event::Attempt(Box::new(poll))), ["DeviceLookups dps [OperationStatus,Success] 1"]);
    let mut stray = attempt(Operation::Register, Protocol::Mqtt, Outcome::Abandoned);
    stray.instance = None;
    stray.steps.push(Step { name: "verify", micros: 1 });
    assert!(shown(&Event::Attempt(Box::new(stray))).is_empty());
}

#[test]
fn throttled_request_counts_as_such_too() {
    let outcome = Outcome::failed(&Error::new(ErrorCode::Throttled));
    let event = Event::Attempt(Box::new(attempt(Operation::Register, Protocol::Amqp, outcome)));
    let points = shown(&event);
    assert!(points.contains(&"ThrottledRequests dps [Register,Amqp] 1".to_owned()), "{points:?}");
}

#[test]
fn point_stands_in_the_minute_in_which_its_work_ended() {
    let mut record = attempt(Operation::Register, Protocol::Http, Outcome::Success);
    record.micros = 2_000;
    let event = Event::Attempt(Box::new(record));
    assert_eq!(points(&event).first().unwrap().time.millis(), 60_001);
}

#[test]
fn assignment_counts_registration_hub_calls_and_webhook_calls() {
    let mut record = assignment(Outcome::Success);
    record.attempts = 3;
    record.steps.push(Step { name: "putDevice", micros: 2_500 });
    assert_eq!(
        shown(&Event::Assignment(Box::new(record))),
        [
            "RegistrationAttempts dps [hub.example,Success] 1",
            "DeviceAssignments dps [hub.example] 1",
            "HubCalls dps [hub.example,Success] 3",
            "StepDuration dps [putDevice] 2.5",
        ]
    );
    let mut record = assignment(Outcome::failed(&Error::new(ErrorCode::CustomAllocationFailed)));
    record.hub = None;
    record.webhook =
        Some(WebhookCall { url: "https://w".into(), calls: 2, answer: "500".into(), last: None });
    assert_eq!(
        shown(&Event::Assignment(Box::new(record))),
        ["RegistrationAttempts dps [,Failure] 1", "WebhookCalls dps [Failure] 2"]
    );
}
