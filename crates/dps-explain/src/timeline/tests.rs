use dps_events::{
    Allocation, AssignmentRecord, AttemptRecord, Candidate, ConnectionRecord, Enrollment, Event,
    HubConnectionRecord, HubDeviceName, Operation, Outcome, PollsRecord, Score, ServiceCallRecord, Step,
};
use dps_model::registration::{Status, Substatus};
use dps_model::{Channel, Error, ErrorCode, Protocol, Timestamp, TlsSession, TrackingId};

use super::gap::is_open;
use super::{Line, Sources, Timeline, Verdict, of, related};

const HUB: &str = "hub-1.localhost";

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_796_083_200_000 + millis)
}

/// As the attempt log has it, read back.
fn line(event: &Event) -> Line {
    Line::read(&serde_json::to_string(&event.line()).unwrap()).unwrap()
}

fn enrollment() -> Enrollment {
    Enrollment { kind: "EnrollmentGroup", id: "factory".into() }
}

fn request(millis: i64, operation: Operation) -> AttemptRecord {
    let tls = TlsSession {
        version: "TLSv1.3".into(),
        cipher: "TLS_AES_256_GCM_SHA384".into(),
        sni: Some("dps.localhost".into()),
        ..TlsSession::default()
    };
    let channel = Channel { protocol: Protocol::Mqtt, peer: "10.0.0.9:5".parse().unwrap(), tls };
    let mut record = AttemptRecord::open(TrackingId::fresh(), at(millis), &channel, operation);
    record.instance = Some("dps".into());
    record.registration_id = "dev-1".into();
    record.micros = 20_000;
    record
}

fn register(millis: i64) -> AttemptRecord {
    let mut record = request(millis, Operation::Register);
    record.enrollment = Some(enrollment());
    record.mechanism = Some("symmetricKey");
    record.slot = Some("primary");
    record.candidates.push(Candidate {
        enrollment: Enrollment { kind: "EnrollmentGroup", id: "other".into() },
        reason: "SAS_SIGNATURE_MISMATCH",
        detail: "the token is not signed with a key of the group other".into(),
    });
    let scores = [(HUB, Some(12)), ("hub-2.localhost", None)];
    record.allocation = Some(Allocation {
        policy: "geoLatency",
        region: Some("westeurope".into()),
        scores: scores.map(|(hub, latency_ms)| Score { hub: hub.into(), latency_ms }).into(),
    });
    record.hub = Some(HUB.into());
    record.operation_id = Some("5.op".into());
    record.steps = [("findEnrollment", 2_000), ("verify", 3_000), ("allocate", 1_000), ("admit", 9_000)]
        .map(|(name, micros)| Step { name, micros })
        .into();
    record.outcome = Outcome::Success;
    record
}

fn refused(millis: i64) -> Event {
    let mut record = request(millis, Operation::Register);
    record.mechanism = Some("symmetricKey");
    record.reason = Some("SAS_EXPIRED");
    record.outcome = Outcome::failed(&Error::new(ErrorCode::Unauthorized).because("the token is old"));
    Event::Attempt(Box::new(record))
}

fn accepted(millis: i64) -> Event {
    Event::Attempt(Box::new(register(millis)))
}

fn assigned(millis: i64) -> AssignmentRecord {
    AssignmentRecord {
        tracking_id: TrackingId::fresh(),
        time: at(millis),
        micros: 8_000,
        instance: "dps".into(),
        registration_id: "dev-1".into(),
        operation_id: "5.op".into(),
        protocol: Some(Protocol::Mqtt),
        enrollment: enrollment(),
        hub: Some(HUB.into()),
        device_id: Some("dev-1".into()),
        substatus: Some(Substatus::InitialAssignment),
        moved_from: None,
        twin: Some("initial"),
        webhook: None,
        hub_answer: None,
        attempts: 1,
        resumed: false,
        fault: None,
        steps: vec![
            Step { name: "putDevice", micros: 6_000 },
            Step { name: "commitRegistration", micros: 2_000 },
        ],
        causes: Vec::new(),
        outcome: Outcome::Success,
    }
}

fn assignment(millis: i64) -> Event {
    Event::Assignment(Box::new(assigned(millis)))
}

fn polls(millis: i64) -> Event {
    Event::Polls(Box::new(PollsRecord {
        tracking_id: TrackingId::fresh(),
        time: at(millis),
        micros: 3_000_000,
        instance: Some("dps".into()),
        registration_id: "dev-1".into(),
        operation_id: "5.op".into(),
        protocol: Protocol::Mqtt,
        count: 2,
        last: at(millis + 3_000),
        status: Some(Status::Assigned),
    }))
}

fn device(module_id: Option<&str>) -> HubDeviceName {
    let module_id = module_id.map(str::to_owned);
    HubDeviceName { hub: HUB.into(), device_id: "dev-1".into(), module_id }
}

fn on_hub(millis: i64) -> Event {
    Event::HubConnection(Box::new(HubConnectionRecord {
        tracking_id: TrackingId::fresh(),
        time: at(millis),
        micros: 2_000,
        device: device(None),
        protocol: Some(Protocol::Mqtt),
        peer: "10.0.0.9:6".parse().ok(),
    }))
}

fn hub_refusal(millis: i64) -> Event {
    Event::Connection(Box::new(ConnectionRecord {
        tracking_id: TrackingId::fresh(),
        time: at(millis),
        micros: 2_000,
        protocol: Protocol::Mqtt,
        peer: "10.0.0.9:6".parse().unwrap(),
        stage: "connect",
        reason: "modules are not served".into(),
        claimed: None,
        causes: Vec::new(),
        hub_device: Some(device(Some("m1"))),
        handshake: None,
    }))
}

fn change(millis: i64, operation: &'static str) -> Event {
    Event::ServiceCall(Box::new(ServiceCallRecord {
        tracking_id: TrackingId::fresh(),
        time: at(millis),
        micros: 1_000,
        instance: Some("dps".into()),
        operation,
        kind: "EnrollmentGroup",
        id: Some("factory".into()),
        api_version: None,
        client: Some("az-iot".into()),
        caller: Some("provisioningserviceowner".into()),
        auth: Some("SharedAccessSignature"),
        credential: None,
        peer: "10.0.0.1:1".parse().unwrap(),
        previous_etag: Some("1".into()),
        etag: Some("2".into()),
        items: Vec::new(),
        causes: Vec::new(),
        outcome: Outcome::Success,
    }))
}

fn timeline(events: &[Event], now: i64) -> Timeline {
    let lines: Vec<Line> = events.iter().map(line).collect();
    let telling_hubs = [HUB.to_uppercase() + ":8443"];
    of(&Sources { registration_id: "dev-1", lines: &lines, telling_hubs: &telling_hubs, now: Some(at(now)) })
}

fn kinds(timeline: &Timeline) -> Vec<&'static str> {
    timeline.entries.iter().map(|entry| entry.kind).collect()
}

fn open(timeline: &Timeline) -> Vec<&'static str> {
    timeline.gaps.iter().map(|gap| gap.kind).collect()
}

#[test]
fn entries_of_one_millisecond_keep_their_order_and_a_disabled_enrollment_is_a_refusal() {
    let mut record = register(0);
    record.time = Timestamp::parse("2026-12-01T00:00:00.1239Z").unwrap();
    record.steps = vec![Step { name: "findEnrollment", micros: 20 }, Step { name: "verify", micros: 20 }];
    record.micros = 60;
    record.status = Some(Status::Disabled);
    let events = [Event::Attempt(Box::new(record))];
    assert!(open(&timeline(&events, 3_600_000)).is_empty(), "nothing is waited for");
    let timeline = timeline(&events, 0);
    assert_eq!(kinds(&timeline), ["connection", "match", "attestation", "allocation", "registration"]);
    let last = timeline.entries.last().unwrap();
    assert_eq!((last.result, last.title.as_str()), (Verdict::Refused, "Refused: its enrollment is disabled"));
}

#[test]
fn registration_is_told_from_its_connection_to_the_hub_in_order() {
    let events = [
        on_hub(9_000),
        polls(3_000),
        assignment(5),
        accepted(0),
        change(-1_000, "Upsert"),
        change(-900, "Get"),
    ];
    let told = timeline(&events, 600_000);
    assert_eq!(
        kinds(&told),
        [
            "enrollmentChange",
            "connection",
            "match",
            "attestation",
            "allocation",
            "hubWrite",
            "assigned",
            "registration",
            "polls",
            "hubConnection"
        ]
    );
    assert!(open(&told).is_empty() && told.entries.iter().all(|entry| entry.result != Verdict::Gap));
    let entry = |kind: &str| told.entries.iter().find(|entry| entry.kind == kind).unwrap();
    let matched = entry("match");
    assert_eq!(matched.title, "Matched enrollment group factory");
    assert!(matched.detail.starts_with("Not enrollment group other (SAS_SIGNATURE_MISMATCH)"));
    assert_eq!((matched.time, matched.duration_ms), (at(0), 2.0));
    assert_eq!((entry("attestation").time, entry("attestation").duration_ms), (at(2), 3.0));
    assert_eq!(entry("attestation").title, "Attested by symmetricKey (primary)");
    let allocation = entry("allocation");
    assert_eq!(allocation.title, format!("Allocated to {HUB} by geoLatency"));
    assert!(
        allocation.detail.contains(&format!("{HUB} 12 ms, hub-2.localhost unknown")),
        "{}",
        allocation.detail
    );
    assert_eq!(entry("hubWrite").title, format!("Identity dev-1 written at {HUB}"));
    assert_eq!(entry("polls").title, "Polled 2 times");
    assert_eq!(entry("hubConnection").title, format!("Connected to {HUB}, for the first time"));
    assert!(entry("enrollmentChange").detail.contains("By provisioningserviceowner, with az-iot"));
    let operations =
        told.entries.iter().filter(|entry| entry.operation_id.as_deref() == Some("5.op")).count();
    assert_eq!(operations, 4);
}

#[test]
fn refusal_is_told_where_it_came_to_pass() {
    let told = timeline(&[refused(0)], 600_000);
    assert_eq!(kinds(&told), ["connection", "attestation", "registration"]);
    let last = told.entries.last().unwrap();
    assert_eq!(last.result, Verdict::Refused);
    assert!(last.title.contains("401") && last.detail.contains("the token is old"), "{last:?}");
    assert!(told.entries[1].title.contains("SAS_EXPIRED"));
}

#[test]
fn device_that_registers_and_never_polls_is_a_gap_after_its_time() {
    let events = [accepted(0), assignment(5)];
    assert!(!open(&timeline(&events, 60_000)).contains(&"neverPolled"));
    let told = timeline(&events, 80_000);
    assert_eq!(open(&told), ["neverPolled", "neverOnHub"]);
    assert_eq!(told.gaps[0].cause, Some("NEVER_POLLED"));
    let entry = told.entries.iter().find(|entry| entry.kind == "neverPolled").unwrap();
    assert_eq!(entry.causes[0]["sentence"], "dev-1: registered, never polled");
    // Registering again is another story: the gap stays in the first one, closed.
    let again =
        [accepted(0), assignment(5), accepted(90_000), assignment(90_005), polls(93_000), on_hub(95_000)];
    let told = timeline(&again, 600_000);
    assert!(open(&told).is_empty(), "{:?}", told.gaps);
    let gaps: Vec<_> = told.entries.iter().filter(|entry| entry.result == Verdict::Gap).collect();
    // The polls name the same operation here, so nothing is missing at all.
    assert!(gaps.iter().all(|entry| !is_open(entry)));
}

#[test]
fn hub_that_refuses_or_is_never_seen_is_named_where_the_hub_tells() {
    let mut events = vec![accepted(0), assignment(5), polls(100)];
    assert_eq!(open(&timeline(&events, 100_000)), ["neverOnHub"]);
    events.push(hub_refusal(4_000));
    let told = timeline(&events, 100_000);
    assert_eq!(open(&told), ["refusedByHub"]);
    assert!(told.gaps[0].detail.contains("modules are not served"));
    assert_eq!(told.gaps[0].cause, Some("HUB_REFUSED_MODULE"));
    assert!(told.entries.iter().any(|entry| entry.title == format!("Refused by {HUB} as module m1")));
    events.push(on_hub(5_000));
    assert!(open(&timeline(&events, 100_000)).is_empty());
    // Of a hub that does not tell nothing is known.
    let mut elsewhere = assigned(5);
    elsewhere.hub = Some("hub.azure-devices.net".into());
    let events = [accepted(0), Event::Assignment(Box::new(elsewhere)), polls(100)];
    assert!(open(&timeline(&events, 100_000)).is_empty());
}

#[test]
fn challenge_without_an_answer_is_a_gap_until_there_is_one() {
    let mut record = register(0);
    (record.mechanism, record.operation_id, record.outcome) = (Some("tpm"), None, Outcome::Challenged);
    let challenge = Event::Attempt(Box::new(record));
    assert_eq!(open(&timeline(std::slice::from_ref(&challenge), 59_000)), [""; 0]);
    assert_eq!(open(&timeline(std::slice::from_ref(&challenge), 90_000)), ["challengeNotAnswered"]);
    let answered = [challenge, accepted(500), assignment(505), polls(600), on_hub(700)];
    assert!(open(&timeline(&answered, 90_000)).is_empty());
}

#[test]
fn refused_device_whose_enrollment_was_changed_has_not_tried_since() {
    let events = [refused(0), change(10_000, "Upsert")];
    assert!(open(&timeline(&events, 20_000)).is_empty());
    assert_eq!(open(&timeline(&events, 100_000)), ["notRetried"]);
    assert!(open(&timeline(&[refused(0), change(10_000, "Get")], 100_000)).is_empty());
    assert!(open(&timeline(&[refused(0), change(10_000, "Upsert"), refused(20_000)], 100_000)).is_empty());
}

#[test]
fn operation_without_an_end_and_one_that_failed_are_told() {
    assert_eq!(open(&timeline(&[accepted(0)], 100_000)), ["operationNotEnded"]);
    let mut failed = assigned(5);
    failed.outcome = Outcome::failed(&Error::new(ErrorCode::HubUnreachable).because("connection refused"));
    failed.steps.clear();
    let told = timeline(&[accepted(0), Event::Assignment(Box::new(failed)), polls(100)], 100_000);
    assert!(open(&told).is_empty());
    let last = told.entries.iter().find(|entry| entry.kind == "assignmentFailed").unwrap();
    assert!(last.result == Verdict::Failed && last.detail.contains("connection refused"), "{last:?}");
}

#[test]
fn move_to_another_hub_is_a_reprovisioning() {
    let mut moved = assigned(5);
    moved.substatus = Some(Substatus::DeviceDataMigrated);
    moved.moved_from = Some("hub-0.localhost".into());
    let told = timeline(&[accepted(0), Event::Assignment(Box::new(moved)), polls(100), on_hub(200)], 100_000);
    let entry = told.entries.iter().find(|entry| entry.kind == "reprovisioned").unwrap();
    assert_eq!(entry.title, format!("Moved from hub-0.localhost to {HUB} as dev-1"));
    assert!(told.entries.last().unwrap().title.ends_with("for the first time"));
}

#[test]
fn timeline_that_ends_in_the_past_has_no_gaps() {
    let lines = [line(&accepted(0))];
    let sources = Sources { registration_id: "dev-1", lines: &lines, telling_hubs: &[], now: None };
    assert!(of(&sources).gaps.is_empty());
}

#[test]
fn related_names_the_groups_and_the_places_on_hubs() {
    let lines = [line(&accepted(0)), line(&assignment(5)), line(&refused(9))];
    let found = related(&lines);
    assert_eq!(found.groups.into_iter().collect::<Vec<_>>(), ["factory"]);
    assert_eq!(found.hub_devices.into_iter().collect::<Vec<_>>(), [(HUB.to_owned(), "dev-1".to_owned())]);
}

#[test]
fn lines_of_other_events_and_unknown_members_are_read_and_passed_over() {
    let probe = r#"{"time":"2026-11-29T08:00:00Z","resultType":"Success","correlationId":"x","new":1,
        "properties":{"event":"linkProbe","hub":"h"}}"#;
    let told = of(&Sources {
        registration_id: "d",
        lines: &[Line::read(probe).unwrap()],
        telling_hubs: &[],
        now: Some(at(0)),
    });
    assert!(told.entries.is_empty());
    assert!(Line::read("{\"cut").is_none());
}
