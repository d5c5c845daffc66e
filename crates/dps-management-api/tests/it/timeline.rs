//! `devices/{registrationId}/timeline`: what is gathered for it, and what a wrong question is told.

use dps_events::{
    AssignmentRecord, AttemptRecord, Enrollment, Event, HubConnectionRecord, HubDeviceName, Operation,
    Outcome, ServiceCallRecord,
};
use dps_model::{Channel, Protocol, Timestamp, TlsSession, TrackingId};
use serde_json::{Value, json};

use crate::bed::{Bed, DEFAULT, NOW, Reply, ask};

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis((NOW + second) * 1_000)
}

async fn asked(bed: &Bed, question: &str) -> Reply {
    let uri = format!("{DEFAULT}/providers/Muster.Diagnosis/devices/{question}");
    bed.call(ask("GET", "").uri(&uri)).await
}

fn enrollment() -> Enrollment {
    Enrollment { kind: "EnrollmentGroup", id: "factory".into() }
}

fn story() -> Vec<Event> {
    let call = |instance: &str| {
        Event::ServiceCall(Box::new(ServiceCallRecord {
            tracking_id: TrackingId::fresh(),
            time: at(-200),
            micros: 1,
            instance: Some(instance.into()),
            operation: "Upsert",
            kind: "EnrollmentGroup",
            id: Some("factory".into()),
            api_version: None,
            client: None,
            caller: Some("ada".into()),
            auth: None,
            credential: None,
            peer: "192.0.2.1:1".parse().unwrap(),
            previous_etag: None,
            etag: None,
            items: Vec::new(),
            causes: Vec::new(),
            outcome: Outcome::Success,
        }))
    };
    let peer = "192.0.2.9:1".parse().unwrap();
    let channel = Channel { protocol: Protocol::Mqtt, peer, tls: TlsSession::default() };
    let mut attempt = AttemptRecord::open(TrackingId::fresh(), at(-150), &channel, Operation::Register);
    attempt.instance = Some("dps".into());
    attempt.registration_id = "Dev-1".into();
    attempt.enrollment = Some(enrollment());
    attempt.mechanism = Some("symmetricKey");
    attempt.operation_id = Some("5.op".into());
    attempt.outcome = Outcome::Success;
    let assignment = AssignmentRecord {
        tracking_id: TrackingId::fresh(),
        time: at(-149),
        micros: 1,
        instance: "dps".into(),
        registration_id: "Dev-1".into(),
        operation_id: "5.op".into(),
        protocol: None,
        enrollment: enrollment(),
        hub: Some("hub.local".into()),
        device_id: Some("robot".into()),
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
    vec![
        call("dps"),
        call("second"),
        Event::Attempt(Box::new(attempt)),
        Event::Assignment(Box::new(assignment)),
    ]
}

fn arrival(second: i64, device_id: &str) -> Event {
    Event::HubConnection(Box::new(HubConnectionRecord {
        tracking_id: TrackingId::fresh(),
        time: at(second),
        micros: 1,
        device: HubDeviceName { hub: "hub.local".into(), device_id: device_id.into(), module_id: None },
        protocol: Some(Protocol::Mqtt),
        peer: "192.0.2.9:2".parse().ok(),
    }))
}

fn kinds(told: &Value, of: &str, member: &str) -> Vec<String> {
    let listed = told[of].as_array().unwrap();
    listed.iter().map(|entry| entry[member].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn timeline_gathers_the_device_its_group_and_its_places_on_hubs() {
    let bed = Bed::new().await;
    bed.log(&story());
    let told = asked(&bed, "dev-1/timeline?api-version=2026-11-01").await.ok();
    assert_eq!(told["registrationId"], "dev-1");
    assert_eq!(kinds(&told, "gaps", "kind"), ["neverPolled", "neverOnHub"]);
    let expected = [
        "enrollmentChange",
        "connection",
        "match",
        "attestation",
        "registration",
        "neverPolled",
        "assigned",
        "neverOnHub",
    ];
    assert_eq!(kinds(&told, "entries", "kind"), expected);
    assert_eq!(told["entries"][0]["detail"], "By ada.");
    assert_eq!((&told["truncated"], &told["unreadable"]), (&json!(false), &json!(0)));
    bed.log(&[arrival(-100, "robot"), arrival(-90, "another")]);
    let told = asked(&bed, "DEV-1/timeline?api-version=2026-11-01").await.ok();
    assert_eq!(told["gaps"], json!([]));
    let last = &told["entries"].as_array().unwrap()[6];
    assert_eq!(last["title"], "Connected to hub.local, for the first time");
}

#[tokio::test]
async fn timeline_of_a_time_span_has_what_began_in_it_and_no_gaps() {
    let bed = Bed::new().await;
    bed.log(&story());
    let question =
        "dev-1/timeline?api-version=2026-11-01&from=2026-11-30T23%3A57%3A31Z&to=2026-12-01T00%3A00%3A00Z";
    let told = asked(&bed, question).await.ok();
    assert_eq!(kinds(&told, "entries", "kind"), ["assigned"]);
    assert_eq!(told["gaps"], json!([]));
}

#[tokio::test]
async fn timeline_of_an_unknown_device_is_empty_and_a_wrong_question_is_told() {
    let bed = Bed::new().await;
    let told = asked(&bed, "nobody/timeline?api-version=2026-11-01").await.ok();
    assert_eq!((&told["entries"], &told["gaps"]), (&json!([]), &json!([])));
    let (status, _, message) = asked(&bed, "x/timeline?api-version=2026-11-01&from=noon").await.refusal();
    assert!(status == 400 && message.contains("from is no time"), "{message}");
    let (status, _, message) = asked(&bed, "x/timeline?api-version=2022-02-05").await.refusal();
    assert!(status == 400 && message.contains("2026-11-01"), "{message}");
}

#[tokio::test]
async fn hub_tells_of_its_devices_by_events() {
    let bed = Bed::new().await;
    let key = "HostName=north.azure-devices.net;SharedAccessKeyName=iothubowner;SharedAccessKey=AQIDBA==";
    let hubs = json!([{"connectionString": key, "location": "westus"}]);
    let wanted = json!({"properties": {"iotHubs": hubs}});
    let reply = bed.call(ask("PUT", DEFAULT).json(&wanted)).await;
    assert!(reply.status < 300, "{}", reply.text);
    let mut story = story();
    for event in &mut story {
        if let Event::Assignment(assignment) = event {
            assignment.hub = Some("north.azure-devices.net".into());
        }
    }
    bed.log(&story);
    let uri = format!("{DEFAULT}/providers/Muster.Diagnosis/hubEvents?api-version=2026-11-01");
    let tell = async |body: Value| bed.call(ask("POST", "").uri(&uri).json(&body)).await.ok();
    let never = async || {
        let told = asked(&bed, "dev-1/timeline?api-version=2026-11-01").await.ok();
        (kinds(&told, "gaps", "kind").contains(&"neverOnHub".to_owned()), told)
    };
    assert!(!never().await.0, "a hub that tells nothing may have seen it");

    let code = "512d38b6-c7b8-40c8-89fe-f46f9e9622b6";
    let asks = json!([{
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": {"validationCode": code},
    }]);
    assert_eq!(tell(asks).await, json!({"validationResponse": code}));

    let connected = |hub: &str, device: &str| {
        json!({
            "eventType": "Microsoft.Devices.DeviceConnected",
            "eventTime": "2026-11-30T23:58:30.1234567Z",
            "data": {"hubName": hub, "deviceId": device, "moduleId": "camera"},
        })
    };
    let told = tell(json!([connected("NORTH", "other"), connected("elsewhere", "robot")])).await;
    assert_eq!(told, json!({"taken": 1, "ignored": 1}));
    bed.log(&bed.arrivals());
    assert!(never().await.0, "it tells now, and has not told of this one");

    tell(connected("north", "robot")).await;
    bed.log(&bed.arrivals());
    let (never, told) = never().await;
    assert!(!never);
    let last = told["entries"].as_array().unwrap().last().unwrap();
    assert_eq!(last["title"], "Connected to north.azure-devices.net, for the first time");
    assert_eq!(last["detail"], "As robot, module camera, as the hub's event says.");
}
