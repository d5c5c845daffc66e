//! One event a request, on every way out, telling what happened and no secret.

use std::collections::HashSet;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_core::ports::{Collection, Store as _};
use dps_core::{DeviceOperation, DeviceRequest};
use dps_events::{AttemptRecord, Operation, Outcome};
use dps_model::registration::DeviceRegistration;
use dps_model::{Secret, limits};
use dps_store::{FaultyStore, MemoryStore, Schedule};
use serde_json::json;
use std::sync::Arc;

use crate::bed::{Bed, Credential, Device, NOW, linked, primary, register, symmetric};
use crate::hubs::Behaviour;
use crate::pki::{Ca, signers};

#[tokio::test]
async fn every_exit_records_one_event_under_its_tracking_id() {
    let bed = Bed::new().await;
    let device = bed.keyed("dev-1").await;
    bed.enroll_group("line", symmetric()).await;
    let poll = |id: &str| DeviceOperation::OperationStatus { operation_id: id.into() };
    let lookup = || DeviceOperation::RegistrationLookup(DeviceRegistration::default());
    let changed = |change: fn(&mut DeviceRequest)| {
        let mut request = bed.request(&device, register());
        change(&mut request);
        request
    };
    let wrong = |id: &str| Device::keyed(id, Secret::new(vec![9; 32]));
    let requests = [
        (bed.request(&device, lookup()), Operation::RegistrationLookup, Some(404_202)),
        (bed.request(&device, poll("5.0.x")), Operation::OperationStatus, Some(404_203)),
        (bed.request(&device, register()), Operation::Register, None),
        (bed.request(&device, lookup()), Operation::RegistrationLookup, None),
        (bed.request(&wrong("dev-1"), register()), Operation::Register, Some(401_000)),
        (bed.request(&wrong("dev-9"), register()), Operation::Register, Some(401_000)),
        (
            bed.request(&Device::new("dev-1", Credential::Nothing), register()),
            Operation::Register,
            Some(401_000),
        ),
        (changed(|request| request.api_version = None), Operation::Register, Some(400_001)),
        (changed(|request| request.id_scope = "0ne".into()), Operation::Register, Some(404_204)),
        (changed(|request| request.registration_id = "/".into()), Operation::Register, Some(400_004)),
        (
            changed(|request| request.sas_token = Some(Secret::new(vec![0xff]))),
            Operation::Register,
            Some(401_000),
        ),
    ];
    for (request, operation, expected) in requests {
        let (tracking_id, before) = (request.tracking_id, bed.events.attempts().len());
        let answer = bed.ask(request).await;
        let attempts = bed.events.attempts();
        assert_eq!(attempts.len(), before + 1, "{expected:?}");
        let record = attempts.last().unwrap();
        assert_eq!((record.tracking_id, record.operation), (tracking_id, operation));
        assert_eq!(record.outcome.code(), expected);
        assert_eq!(answer.is_ok(), record.outcome == Outcome::Success);
    }
    let ids: HashSet<_> = bed.events.attempts().iter().map(|record| record.tracking_id).collect();
    assert_eq!(ids.len(), bed.events.attempts().len());
    assert_eq!(bed.events.assignments().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn accepted_attempt_tells_enrollment_steps_and_operation() {
    let bed = Bed::new().await;
    let root = Ca::root("Root");
    bed.enroll_group("Line", json!({"attestation": signers(&root.der)})).await;
    let leaf = root.issue("dev-1");
    let device = Device::certified("dev-1", &[&leaf]);
    let id = bed.register(&device).await.unwrap();
    let record = bed.events.last_attempt();
    assert_eq!(record.enrollment.as_ref().unwrap().id, "Line");
    assert_eq!((record.mechanism, record.slot, record.reason), (Some("x509"), Some("primary"), None));
    assert_eq!(
        (record.operation_id.as_deref(), record.hub.as_deref()),
        (Some(id.as_str()), Some("hub-a.example"))
    );
    assert_eq!((record.instance.as_deref(), record.chain.len()), (Some("dps"), 1));
    let steps: Vec<_> = record.steps.iter().map(|step| step.name).collect();
    assert_eq!(steps, ["findEnrollment", "verify", "allocate", "admit"]);
    let assignment = bed.events.assignments().pop().unwrap();
    assert_eq!((assignment.operation_id, assignment.enrollment.kind), (id, "EnrollmentGroup"));
    let steps: Vec<_> = assignment.steps.iter().map(|step| step.name).collect();
    assert_eq!(steps, ["putDevice", "commitRegistration"]);
}

#[tokio::test]
async fn dropped_request_is_recorded_once_and_is_abandoned_until_it_is_admitted() {
    let bed = Bed::new().await;
    // A ring whose trial leaves this thread, and a hub that lets the request wait.
    let key = primary(&bed.enroll_group("line", symmetric()).await);
    bed.hubs.behave(|_, _| Behaviour { delay: Duration::from_hours(1), ..Behaviour::default() });
    for (n, polls) in (0_usize..6).enumerate() {
        let request = bed.request(&Device::derived(&format!("dev-{n}"), &key), register());
        let tracking_id = request.tracking_id;
        {
            let mut serving = pin!(bed.ask(request));
            for _ in 0..polls {
                let pending =
                    std::future::poll_fn(|context| Poll::Ready(serving.as_mut().poll(context).is_pending()));
                if !pending.await {
                    break;
                }
            }
        }
        let recorded = || -> Vec<AttemptRecord> {
            bed.events.attempts().into_iter().filter(|record| record.tracking_id == tracking_id).collect()
        };
        // The admission goes on without the request, and has the record then.
        while polls > 0 && recorded().is_empty() {
            tokio::task::yield_now().await;
        }
        let records = recorded();
        // A future that never ran asked nothing.
        assert_eq!(records.len(), usize::from(polls > 0));
        let outcome = |record: &AttemptRecord| match record.operation_id {
            Some(_) => Outcome::Success,
            None => Outcome::Abandoned,
        };
        assert!(records.iter().all(|record| record.outcome == outcome(record)));
    }
}

#[tokio::test(start_paused = true)]
async fn operation_dropped_under_way_is_recorded_once_as_abandoned() {
    let bed = Bed::new().await;
    let device = bed.keyed("dev-1").await;
    bed.hubs.behave(|_, _| Behaviour { delay: Duration::from_hours(1), ..Behaviour::default() });
    let events = Arc::clone(&bed.events);
    // The runtime of the operation dies with its tasks.
    let (store, hubs) = (Arc::clone(&bed.store), Arc::clone(&bed.hubs));
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let bed = Bed::over(store, hubs, events, vec![linked("hub-a.example", 1)], NOW).await;
            bed.register(&device).await.unwrap();
        });
    })
    .join()
    .unwrap();
    let assignments = bed.events.assignments();
    assert_eq!((assignments.len(), &assignments[0].outcome), (1, &Outcome::Abandoned));
}

#[tokio::test(start_paused = true)]
async fn failing_store_is_recorded_and_hidden_from_the_device() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new(), Schedule::quiet()));
    let hubs = vec![linked("hub-a.example", 1)];
    let bed = Bed::over(Arc::clone(&store) as _, Arc::default(), Arc::default(), hubs, NOW).await;
    let device = bed.keyed("dev-1").await;
    store.revive(Schedule::seeded(1, 1_000, 1_000));
    assert!(store.get(Collection::Registrations, "dps", "x").await.is_err());
    let error = bed.register(&device).await.unwrap_err();
    assert_eq!((error.code.row().code, error.message.as_ref()), (500_000, "Internal server error."));
    match bed.events.last_attempt().outcome {
        Outcome::Failed { code: 500_000, cause: Some(cause), result_type: "Failure", .. } => {
            assert!(cause.contains("made to fail"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn no_secret_stands_in_any_event() {
    let bed = Bed::new().await;
    let own = bed.enroll("dev-1", symmetric()).await;
    let group = bed.enroll_group("line", symmetric()).await;
    let mut secrets =
        vec![primary(&own), crate::bed::secondary(&own), primary(&group), crate::bed::secondary(&group)];
    let derived = dps_attestation::symmetric_key::derive_device_key(&primary(&group), "dev-2");
    secrets.push(derived.clone());
    let devices = [
        Device::keyed("dev-1", primary(&own)),
        Device::keyed("dev-2", derived),
        // Mistakes that are explained: the group's key itself, an expired token, another device's key.
        Device::keyed("dev-3", primary(&group)),
        Device { lifetime: -9_999, ..Device::keyed("dev-1", primary(&own)) },
        Device::keyed("dev-2", primary(&own)),
    ];
    let mut texts = Vec::new();
    for device in devices {
        let request = bed.request(&device, register());
        let token = String::from_utf8(request.sas_token.as_ref().unwrap().expose().to_vec()).unwrap();
        let signature = token.split("sig=").nth(1).unwrap().split('&').next().unwrap().to_owned();
        texts.push(signature.replace("%2B", "+").replace("%2F", "/").replace("%3D", "="));
        texts.push(signature);
        let _ = bed.ask(request).await;
    }
    for secret in &secrets {
        texts.push(STANDARD.encode(secret.expose()));
        texts.push(hex(secret.expose()));
    }
    let events = bed.events.all();
    assert!(events.len() >= 7);
    for event in events {
        for shown in [serde_json::to_string(&event).unwrap(), format!("{event:?}")] {
            for text in &texts {
                assert!(!shown.to_lowercase().contains(&text.to_lowercase()), "{shown}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn texts_of_a_client_are_cut_to_their_bound() {
    let bed = Bed::new().await;
    let mut request = bed.request(&Device::new("dev-1", Credential::Nothing), register());
    // Cut between characters, wherever the bound falls.
    request.client = Some("ü".repeat(limits::MAX_EVENT_TEXT));
    request.id_scope = format!("x{}", "ü".repeat(limits::MAX_EVENT_TEXT));
    request.registration_id = "y".repeat(1_000_000);
    let _ = bed.ask(request).await;
    let record = bed.events.last_attempt();
    assert_eq!(record.client.unwrap().len(), limits::MAX_EVENT_TEXT);
    assert_eq!(record.id_scope.len(), limits::MAX_EVENT_TEXT - 1);
    assert_eq!(record.registration_id.len(), limits::MAX_EVENT_TEXT);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
