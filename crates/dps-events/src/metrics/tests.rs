use dps_model::{Channel, Error, ErrorCode, Protocol, Timestamp, TlsSession, TrackingId};

use super::{LinkSample, LoadSample, Metrics};
use crate::record::{AssignmentRecord, AttemptRecord, Enrollment, Event, Operation, Outcome, Step};

#[test]
fn load_is_what_was_sampled_last() {
    let metrics = Metrics::new();
    metrics.sample(&LoadSample { registering: 9, connections: 4, ..LoadSample::default() });
    metrics.sample(&LoadSample { registering: 7, polling_waiting: 2, ..LoadSample::default() });
    let text = metrics.render();
    assert!(text.contains(r#"muster_requests{kind="Register",state="in_flight"} 7"#), "{text}");
    assert!(text.contains(r#"muster_requests{kind="Poll",state="waiting"} 2"#), "{text}");
    assert!(text.contains("muster_connections 0"), "{text}");
}

#[test]
fn links_are_as_they_were_sampled_last() {
    let metrics = Metrics::new();
    let link = |hub: &str, reason| LinkSample { instance: "dps".into(), hub: hub.into(), reason, since: 7 };
    metrics.sample_links(&[link("a", None), link("b", Some("HubUnauthorized"))]);
    let text = metrics.render();
    assert!(text.contains(r#"muster_linked_hub_up{instance="dps",hub="a"} 1"#), "{text}");
    assert!(text.contains(r#"muster_linked_hub_up{instance="dps",hub="b"} 0"#), "{text}");
    let trouble = r#"muster_linked_hub_trouble{instance="dps",hub="b",reason="HubUnauthorized"} 1"#;
    assert!(text.contains(trouble), "{text}");
    assert!(text.contains(r#"muster_linked_hub_since_seconds{instance="dps",hub="b"} 7"#), "{text}");
    metrics.sample_links(&[link("b", None)]);
    let text = metrics.render();
    assert!(!text.contains(r#"hub="a""#) && !text.contains("HubUnauthorized"), "{text}");
}

#[test]
fn attempts_are_counted_by_status_and_protocol() {
    let metrics = Metrics::new();
    let channel = Channel {
        protocol: Protocol::Http,
        peer: "127.0.0.1:1".parse().unwrap(),
        tls: TlsSession::default(),
    };
    let mut record =
        AttemptRecord::open(TrackingId::fresh(), Timestamp::from_millis(0), &channel, Operation::Register);
    record.outcome = Outcome::failed(&Error::new(ErrorCode::Unauthorized));
    record.steps.push(Step { name: "verify", micros: 70 });
    metrics.observe(&Event::Attempt(Box::new(record)));
    let text = metrics.render();
    assert!(
        text.contains(
            r#"dps_attestation_attempts_total{instance="",status="ClientError",protocol="Http"} 1"#
        ),
        "{text}"
    );
    assert!(text.contains(r#"muster_refusals_total{code="401000",reason=""} 1"#), "{text}");
    assert!(text.contains(r#"muster_step_seconds_bucket{le="0.0001",step="verify"} 1"#), "{text}");
}

fn attempt(outcome: Outcome) -> Event {
    let channel = Channel {
        protocol: Protocol::Http,
        peer: "127.0.0.1:1".parse().unwrap(),
        tls: TlsSession::default(),
    };
    let time = Timestamp::from_millis(0);
    let mut record = AttemptRecord::open(TrackingId::fresh(), time, &channel, Operation::Register);
    record.instance = Some("dps".into());
    record.outcome = outcome;
    record.steps.push(Step { name: "verify", micros: 70 });
    Event::Attempt(Box::new(record))
}

/// Events that give every counter of a device's way a sample.
pub(super) fn observe_everything(metrics: &Metrics) {
    metrics.observe(&attempt(Outcome::failed(&Error::new(ErrorCode::Unauthorized))));
    metrics.observe(&attempt(Outcome::Challenged));
    let assignment = AssignmentRecord {
        tracking_id: TrackingId::fresh(),
        time: Timestamp::from_millis(0),
        micros: 9,
        instance: "dps".into(),
        registration_id: "d".into(),
        operation_id: "o".into(),
        protocol: None,
        enrollment: Enrollment { kind: "IndividualEnrollment", id: "d".into() },
        hub: Some("hub".into()),
        device_id: None,
        substatus: None,
        moved_from: None,
        twin: None,
        webhook: None,
        hub_answer: None,
        attempts: 1,
        resumed: false,
        fault: None,
        steps: Vec::new(),
        causes: Vec::new(),
        outcome: Outcome::Success,
    };
    metrics.observe(&Event::Assignment(Box::new(assignment)));
}
