//! Custom allocation: what a webhook is told, what its answer does, and that asking survives whatever happens.

use dps_core::ports::{WebhookAnswer, WebhookError};
use dps_core::{DeviceOperation, DeviceRequest};
use dps_events::Outcome;
use dps_model::limits;
use dps_model::registration::{DeviceRegistration, Status, Substatus, TpmKeys};
use serde_json::{Value, json};

use crate::bed::{Bed, Device, later, primary, symmetric, with};
use crate::hubs::{Behaviour, Call};
use crate::pki::{Ca, clients, self_signed, signers};

const A: &str = "hub-a.example";
const B: &str = "hub-b.example";
const URL: &str = "https://f.example/api/allocate?code=s3cret";

fn custom(body: Value) -> Value {
    let body = with(body, "allocationPolicy", json!("custom"));
    with(body, "customAllocationDefinition", json!({"webhookUrl": URL, "apiVersion": "2021-10-01"}))
}

fn policy(update: bool, migrate: bool) -> Value {
    json!({"updateHubAssignment": update, "migrateDeviceData": migrate})
}

#[allow(clippy::unnecessary_wraps)] // what the port answers
fn hub(name: &str) -> Result<WebhookAnswer, WebhookError> {
    Ok(WebhookAnswer { hub: Some(name.to_owned()), ..WebhookAnswer::default() })
}

async fn device(bed: &Bed, body: Value) -> Device {
    Device::keyed("dev-1", primary(&bed.enroll("dev-1", custom(body)).await))
}

fn registering(bed: &Bed, device: &Device, payload: &str) -> DeviceRequest {
    let payload = serde_json::value::RawValue::from_string(payload.to_owned()).unwrap();
    let body = DeviceRegistration { payload: Some(payload), ..DeviceRegistration::default() };
    bed.request(device, DeviceOperation::Register(body))
}

#[tokio::test(start_paused = true)]
async fn webhook_is_told_of_enrollment_device_and_hubs_and_of_no_secret() {
    let bed = Bed::with_hubs(&[A, B]).await;
    let device = device(&bed, with(symmetric(), "iotHubs", json!([B, A]))).await;
    bed.hubs.answer(|_| hub(A));
    bed.ask(registering(&bed, &device, r#"{"deep": [1, {"a":  2}]}"#)).await.unwrap();
    bed.ask(registering(&bed, &device, "7")).await.unwrap();
    let asked = bed.hubs.asked();
    let enrollment = &asked[0]["individualEnrollment"];
    assert_eq!(enrollment["attestation"], json!({"type": "symmetricKey"}));
    assert_eq!(
        enrollment["customAllocationDefinition"],
        json!({"webhookUrl": "https://f.example/api/allocate?****", "apiVersion": "2021-10-01"})
    );
    assert!(asked[0].get("enrollmentGroup").is_none());
    assert_eq!(
        asked[0]["deviceRuntimeContext"],
        json!({"registrationId": "dev-1", "symmetricKey": {}, "payload": {"deep": [1, {"a": 2}]}})
    );
    assert_eq!(asked[0]["linkedHubs"], json!([B, A]));
    assert_eq!(
        asked[1]["deviceRuntimeContext"],
        json!({"registrationId": "dev-1", "currentIotHubHostName": A, "currentDeviceId": "dev-1",
               "symmetricKey": {}, "payload": 7})
    );
    let told = format!("{asked:?}{:?}{:?}", bed.events.all(), bed.document("dev-1").await.unwrap().body);
    assert!(!told.contains("s3cret"));
}

#[tokio::test(start_paused = true)]
async fn webhook_is_told_of_the_mechanism_in_use() {
    let bed = Bed::with_hubs(&[A, B]).await;
    bed.hubs.answer(|_| hub(B));
    let (own, ca) = (self_signed("dev-1"), Ca::root("Line"));
    bed.enroll("dev-1", custom(json!({"attestation": clients(&own, None)}))).await;
    bed.enroll_group("line", custom(json!({"attestation": signers(&ca.der)}))).await;
    let issued = ca.issue("dev-2");
    for (device, kind, id) in [
        (Device::certified("dev-1", &[&own]), "individualEnrollment", "dev-1"),
        (Device::certified("dev-2", &[&issued]), "enrollmentGroup", "dev-2"),
    ] {
        assert_eq!(bed.provision(&device).await.assigned_hub.unwrap().as_str(), B);
        let asked = bed.hubs.asked().pop().unwrap();
        assert!(asked[kind].is_object(), "{asked}");
        assert_eq!(asked["deviceRuntimeContext"], json!({"registrationId": id, "x509": {}}));
        assert_eq!(asked["linkedHubs"], json!([A, B]));
    }
    // A TPM's keys are public. An older version knows neither symmetric keys nor payloads.
    let tpm = TpmKeys { endorsement_key: "EK".into(), storage_root_key: Some("SRK".into()) };
    assert_eq!(serde_json::to_value(tpm).unwrap(), json!({"endorsementKey": "EK", "storageRootKey": "SRK"}));
    let old = json!({"webhookUrl": URL, "apiVersion": "2018-09-01-preview"});
    let body = with(custom(symmetric()), "customAllocationDefinition", old);
    let device = Device::keyed("dev-3", primary(&bed.enroll("dev-3", body).await));
    bed.ask(registering(&bed, &device, "7")).await.unwrap();
    let asked = bed.hubs.asked().pop().unwrap();
    assert_eq!(asked["deviceRuntimeContext"], json!({"registrationId": "dev-3"}));
}

#[tokio::test(start_paused = true)]
async fn answer_decides_hub_twin_and_payload() {
    let bed = Bed::with_hubs(&[A, B]).await;
    let own = json!({"tags": {"by": "enrollment"}});
    let body = with(with(symmetric(), "initialTwin", own), "reprovisionPolicy", policy(true, false));
    let device = device(&bed, body).await;
    bed.hubs.answer(|_| {
        let twin = json!({"tags": {"by": "webhook"}, "properties": {"desired": {"n": 1}}});
        Ok(WebhookAnswer {
            hub: Some(B.to_uppercase()),
            initial_twin: serde_json::from_value(twin).unwrap(),
            payload: Some(json!({"welcome": [1, 2]})),
        })
    });
    let state = bed.provision(&device).await;
    assert_eq!((state.assigned_hub.unwrap().as_str(), state.payload), (B, Some(json!({"welcome": [1, 2]}))));
    assert_eq!(state.substatus, Some(Substatus::InitialAssignment));
    let tags = |hub: &str| Value::from(bed.hubs.device(hub, "dev-1").unwrap().1.tags);
    assert_eq!(tags(B), json!({"by": "webhook"}));
    // Where the device stays, the twin of an answer is ignored; its payload is not, nor is its absence.
    bed.hubs.answer(|_| {
        let twin = serde_json::from_value(json!({"tags": {"by": "ignored"}})).unwrap();
        Ok(WebhookAnswer { initial_twin: twin, ..hub(B)? })
    });
    let state = bed.provision(&device).await;
    assert_eq!((state.payload, tags(B)), (None, json!({"by": "webhook"})));
    // A reset takes it, a move without one begins with the enrollment's.
    bed.hubs.answer(|_| hub(A));
    let state = bed.provision(&device).await;
    assert_eq!((state.substatus, tags(A)), (Some(Substatus::DeviceDataReset), json!({"by": "enrollment"})));
    let event = bed.events.assignments().pop().unwrap();
    let webhook = event.webhook.unwrap();
    assert_eq!((webhook.calls, webhook.url.as_str()), (1, "https://f.example/api/allocate?****"));
    assert_eq!(bed.events.last_register().allocation.unwrap().policy, "custom");
}

#[tokio::test(start_paused = true)]
async fn migration_by_a_webhook_carries_the_twin_and_ignores_the_one_of_the_answer() {
    let bed = Bed::with_hubs(&[A, B]).await;
    let device = device(&bed, with(symmetric(), "reprovisionPolicy", policy(true, true))).await;
    bed.hubs.answer(|_| hub(A));
    bed.provision(&device).await;
    bed.hubs.report(A, "dev-1", "lived", json!(true));
    bed.hubs.answer(|_| {
        let twin = serde_json::from_value(json!({"tags": {"by": "ignored"}})).unwrap();
        Ok(WebhookAnswer { initial_twin: twin, ..hub(B)? })
    });
    assert_eq!(bed.provision(&device).await.substatus, Some(Substatus::DeviceDataMigrated));
    let (_, twin) = bed.hubs.device(B, "dev-1").unwrap();
    assert_eq!((twin.tags.len(), Value::from(twin.reported)), (0, json!({"lived": true})));
}

#[tokio::test(start_paused = true)]
async fn policy_never_offers_the_present_hub_alone() {
    let bed = Bed::with_hubs(&[A, B]).await;
    let device = device(&bed, with(symmetric(), "reprovisionPolicy", policy(false, true))).await;
    bed.hubs.answer(|_| hub(A));
    bed.provision(&device).await;
    let state = bed.provision(&device).await;
    assert_eq!(state.substatus, Some(Substatus::ReprovisionedToInitialAssignment));
    assert_eq!(bed.hubs.asked()[1]["linkedHubs"], json!([A]));
    bed.hubs.answer(|_| hub(B));
    let state = bed.provision(&device).await;
    assert_eq!((state.status, state.error_code), (Status::Failed, Some(400_207)));
    assert_eq!(bed.hubs.names(), [(A.to_owned(), "dev-1".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn failure_is_told_with_azures_code_and_leaves_the_device_where_it_is() {
    let bed = Bed::with_hubs(&[A, B]).await;
    let device = device(&bed, symmetric()).await;
    bed.hubs.answer(|_| hub(A));
    bed.provision(&device).await;
    for (answer, code, message) in [
        (Ok(WebhookAnswer::default()), 400_208, "Custom allocation did not specify an IoT hub."),
        (Err(WebhookError::Unauthorized), 400_209, "Custom allocation was not authorized."),
        (hub("gone.example"), 400_207, "Custom allocation failed with status code: 200"),
        (
            Err(WebhookError::Refused { status: 404, why: "no".into() }),
            400_207,
            "Custom allocation failed with status code: 404",
        ),
    ] {
        bed.hubs.answer(move |_| answer.clone());
        let state = bed.provision(&device).await;
        assert_eq!((state.status, state.error_code), (Status::Failed, Some(code)));
        assert_eq!(state.error_message.as_deref(), Some(message));
        assert_eq!(bed.hubs.names(), [(A.to_owned(), "dev-1".to_owned())]);
    }
    let event = bed.events.assignments().pop().unwrap();
    assert_eq!(event.outcome.code(), Some(400_207));
    bed.hubs.answer(|_| hub(A));
    assert_eq!(bed.provision(&device).await.status, Status::Assigned, "the next request mends it");
}

#[tokio::test(start_paused = true)]
async fn busy_webhook_is_asked_eleven_times_while_the_device_sees_assigning() {
    let bed = Bed::with_hubs(&[A]).await;
    let device = device(&bed, symmetric()).await;
    bed.hubs.answer(|_| Err(WebhookError::Busy { status: 503, retry_after: None }));
    let id = bed.register(&device).await.unwrap();
    let pauses: u64 = (0..10).map(|n| 1 + 9 * n).sum();
    for _ in 0..pauses - 1 {
        later(1).await;
    }
    assert_eq!(bed.poll(&device, &id).await.unwrap().status, Status::Assigning);
    assert_eq!(bed.register(&device).await.unwrap(), id, "it is sent to the operation under way");
    assert_eq!(bed.hubs.asked().len(), 10);
    later(10).await;
    let state = bed.poll(&device, &id).await.unwrap().registration_state.unwrap();
    assert_eq!((state.status, state.error_code), (Status::Failed, Some(400_207)));
    assert_eq!(state.error_message.unwrap(), "Custom allocation failed with status code: 503");
    assert_eq!(bed.hubs.asked().len(), 11);
    let events = bed.events.assignments();
    assert_eq!((events.len(), events[0].webhook.as_ref().unwrap().calls), (1, 11));
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_webhook_holds_no_place_and_survives_a_restart() {
    let bed = Bed::with_hubs(&[A]).await;
    bed.hubs.answer(|_| Err(WebhookError::Busy { status: 429, retry_after: Some(82) }));
    let many = limits::MAX_RUNNING_WEBHOOKS + limits::MAX_RUNNING_OPERATIONS + 1;
    let mut devices = Vec::new();
    for n in 0..many {
        let id = format!("dev-{n}");
        devices.push(Device::keyed(&id, primary(&bed.enroll(&id, custom(symmetric())).await)));
        bed.register(&devices[n]).await.unwrap();
    }
    later(1).await;
    assert_eq!(bed.hubs.asked().len(), many, "none waits for another's pause");
    let after = bed.restarted(&[A]).await;
    after.hubs.answer(|_| hub(A));
    let sweeping = tokio::spawn(after.operations.clone().sweep_on());
    later(30).await;
    assert_eq!(after.hubs.asked().len(), many, "the pause is kept over the restart");
    later(60).await;
    assert_eq!(after.lookup(&devices[0]).await.unwrap().status, Status::Assigned);
    assert_eq!(after.hubs.names().len(), many);
    sweeping.abort();
}

#[tokio::test(start_paused = true)]
async fn slow_webhooks_keep_nobody_from_a_hub() {
    let bed = Bed::with_hubs(&[A]).await;
    bed.hubs.answer(|_| hub(A));
    bed.hubs.behave(|_, call| Behaviour {
        delay: std::time::Duration::from_secs(if call == Call::Ask { 3_600 } else { 0 }),
        ..Behaviour::default()
    });
    let group = primary(&bed.enroll_group("line", custom(symmetric())).await);
    for n in 0..=limits::MAX_RUNNING_WEBHOOKS {
        bed.register(&Device::derived(&format!("g-{n}"), &group)).await.unwrap();
    }
    let device = bed.keyed("plain").await;
    assert_eq!(bed.provision(&device).await.status, Status::Assigned);
}

#[tokio::test(start_paused = true)]
async fn crash_while_asking_asks_again_and_one_after_the_answer_does_not() {
    let bed = Bed::with_hubs(&[A, B]).await;
    let device = device(&bed, symmetric()).await;
    bed.hubs.answer(|_| hub(B));
    bed.hubs.behave(|_, _| Behaviour { linger: std::time::Duration::from_hours(1), ..Behaviour::default() });
    let id = bed.register(&device).await.unwrap();
    assert_eq!(bed.hubs.asked().len(), 1);
    // The process dies with the answer on its way: the next asks again; it dies at the hub, and the next does not.
    let second = bed.restarted(&[A, B]).await;
    second.hubs.behave(|_, call| Behaviour {
        delay: std::time::Duration::from_secs(if call == Call::Put { 3_600 } else { 0 }),
        ..Behaviour::default()
    });
    let sweeping = tokio::spawn(second.operations.clone().sweep_on());
    later(1).await;
    assert_eq!(second.hubs.asked().len(), 2);
    sweeping.abort();
    let third = second.restarted(&[A, B]).await;
    third.hubs.heal();
    third.hubs.answer(|_| hub(A));
    let sweeping = tokio::spawn(third.operations.clone().sweep_on());
    later(1).await;
    let state = third.poll(&device, &id).await.unwrap().registration_state.unwrap();
    assert_eq!((state.status, state.assigned_hub.unwrap().as_str()), (Status::Assigned, B));
    assert_eq!(third.hubs.asked().len(), 2, "the answer was durable before the hub heard of it");
    sweeping.abort();
}

#[tokio::test(start_paused = true)]
async fn registering_anew_while_it_waits_replaces_it_at_once() {
    let bed = Bed::with_hubs(&[A]).await;
    let (one, two) = (self_signed("dev-1"), self_signed("dev-1"));
    bed.enroll("dev-1", custom(json!({"attestation": clients(&one, Some(&two))}))).await;
    bed.hubs.answer(|_| Err(WebhookError::Busy { status: 429, retry_after: Some(80) }));
    let first = bed.register(&Device::certified("dev-1", &[&one])).await.unwrap();
    bed.hubs.answer(|_| hub(A));
    let device = Device::certified("dev-1", &[&two]);
    let second = bed.register(&device).await.unwrap();
    assert_ne!(first, second);
    later(1).await;
    assert_eq!(bed.poll(&device, &second).await.unwrap().status, Status::Assigned);
    let outcomes: Vec<_> = bed.events.assignments().into_iter().map(|event| event.outcome).collect();
    assert_eq!((outcomes[0].code(), &outcomes[1]), (Some(409_203), &Outcome::Success));
}
