//! Devices that are let in: every mechanism, which enrollment decides, polls, lookups, registering again.

use std::sync::Arc;

use dps_core::DeviceResponse;
use dps_core::allocation::regions::RegionMap;
use dps_model::hub::HubAuthentication;
use dps_model::registration::{DeviceRegistrationResult, Status, Substatus};
use dps_model::{ErrorCode, limits};
use serde_json::json;

use crate::bed::{Bed, Credential, Device, code, linked, primary, register, secondary, symmetric, with};
use crate::pki::{Ca, clients, self_signed, signers};

fn assigned_on(state: &DeviceRegistrationResult, hub: &str, device_id: &str) {
    assert_eq!(state.status, Status::Assigned);
    assert_eq!(state.assigned_hub.as_ref().unwrap().as_str(), hub);
    assert_eq!(state.device_id.as_ref().unwrap().as_str(), device_id);
    assert_eq!(state.substatus, Some(Substatus::InitialAssignment));
    assert!(state.etag.is_some() && state.error_code.is_none() && state.created_date_time_utc.is_some());
}

#[tokio::test(start_paused = true)]
async fn individual_key_either_slot_is_assigned_with_both_keys_on_the_hub() {
    let bed = Bed::new().await;
    let keys = bed.enroll("dev-1", symmetric()).await;
    for (key, slot) in [(primary(&keys), "primary"), (secondary(&keys), "secondary")] {
        let device = Device::keyed("dev-1", key);
        let state = bed.provision(&device).await;
        assigned_on(&state, "hub-a.example", "dev-1");
        assert_eq!(state.symmetric_key.unwrap().enrollment_group_id, None);
        assert!(state.x509.is_none());
        let attempts = bed.events.attempts();
        assert_eq!(attempts[attempts.len() - 2].slot, Some(slot));
    }
    let (on_hub, _) = bed.hubs.device("hub-a.example", "dev-1").unwrap();
    let expected = HubAuthentication::Sas { primary: primary(&keys), secondary: secondary(&keys) };
    assert!(on_hub.authentication == expected);
}

#[tokio::test(start_paused = true)]
async fn individual_with_device_id_twin_and_capabilities_reaches_the_hub_so() {
    let bed = Bed::new().await;
    let twin = json!({"tags": {"site": "north"}, "properties": {"desired": {"rate": 5}}});
    let body = with(with(symmetric(), "deviceId", json!("Pump@7")), "initialTwin", twin);
    let keys = bed.enroll("dev-1", with(body, "capabilities", json!({"iotEdge": true}))).await;
    let state = bed.provision(&Device::keyed("dev-1", primary(&keys))).await;
    assigned_on(&state, "hub-a.example", "Pump@7");
    let (device, twin) = bed.hubs.device("hub-a.example", "Pump@7").unwrap();
    assert!(device.capabilities.iot_edge);
    assert_eq!((twin.tags["site"].as_str(), twin.desired["rate"].as_i64()), (Some("north"), Some(5)));
}

#[tokio::test]
async fn group_key_either_slot_is_assigned_with_derived_keys_on_the_hub() {
    let bed = Bed::new().await;
    bed.enroll_group("other", symmetric()).await;
    let keys = bed.enroll_group("Line-7", symmetric()).await;
    for (id, key) in [("dev-1", primary(&keys)), ("Dev-2", secondary(&keys))] {
        let state = bed.provision(&Device::derived(id, &key)).await;
        assigned_on(&state, "hub-a.example", id);
        assert_eq!(state.symmetric_key.unwrap().enrollment_group_id.as_deref(), Some("Line-7"));
        let (on_hub, _) = bed.hubs.device("hub-a.example", id).unwrap();
        let derived = |key| dps_attestation::symmetric_key::derive_device_key(&key, id);
        let expected =
            HubAuthentication::Sas { primary: derived(primary(&keys)), secondary: derived(secondary(&keys)) };
        assert!(on_hub.authentication == expected);
    }
}

#[tokio::test(start_paused = true)]
async fn registering_in_another_spelling_keeps_the_identity_and_its_twin() {
    let bed = Bed::new().await;
    let twin = |n: i64| with(symmetric(), "initialTwin", json!({"tags": {"n": n}}));
    let (group, own) = (bed.enroll_group("line-7", twin(1)).await, bed.enroll("Own-1", twin(1)).await);
    bed.provision(&Device::derived("Dev-1", &primary(&group))).await;
    bed.provision(&Device::keyed("Own-1", primary(&own))).await;
    bed.enroll_group("line-7", twin(2)).await;
    bed.enroll("Own-1", twin(2)).await;
    for (again, id) in [
        (Device::derived("dEV-1", &primary(&group)), "Dev-1"),
        (Device::keyed("own-1", primary(&own)), "Own-1"),
    ] {
        assigned_on(&bed.provision(&again).await, "hub-a.example", id);
        let (_, twin) = bed.hubs.device("hub-a.example", id).expect("the identity stays");
        assert_eq!(twin.tags["n"], 1, "and its twin");
    }
    assert_eq!(bed.hubs.names().len(), 2);
}

#[tokio::test]
async fn group_key_is_remembered_and_forgotten_when_it_changes() {
    let bed = Bed::new().await;
    let keys = bed.enroll_group("line", symmetric()).await;
    let device = Device::derived("dev-1", &primary(&keys));
    bed.provision(&device).await;
    let tried = |bed: &Bed| bed.events.attempts().iter().map(|attempt| attempt.groups_tried).sum::<u32>();
    assert_eq!(tried(&bed), 1);
    bed.provision(&device).await;
    assert_eq!(tried(&bed), 1, "the match is remembered");
    let after = bed.restarted(&["hub-a.example"]).await;
    after.provision(&device).await;
    assert_eq!(tried(&after), 1, "the registration remembers it over a restart");

    let key = |n: u8| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [n; 32]);
    let new = json!({"type": "symmetricKey", "symmetricKey": {"primaryKey": key(1), "secondaryKey": key(2)}});
    after.enroll_group("line", json!({"attestation": new})).await;
    assert_eq!(code(after.register(&device).await), 401_000);
    let attempt = after.events.last_attempt();
    assert_eq!(attempt.groups_tried, 1, "all groups are tried again");
    assert_eq!(attempt.candidates[0].reason, "SAS_SIGNATURE_MISMATCH");
    assert_eq!(attempt.candidates[0].enrollment.id, "line");
    let rolled = Device::derived("dev-1", &dps_model::Secret::new(vec![2; 32]));
    assert_eq!(after.provision(&rolled).await.status, Status::Assigned);
}

#[tokio::test(start_paused = true)]
async fn individual_certificate_either_slot_is_assigned_with_its_thumbprint_on_the_hub() {
    let bed = Bed::new().await;
    let (one, two) = (self_signed("dev-1"), self_signed("dev-1"));
    bed.enroll("dev-1", json!({"attestation": clients(&one, Some(&two))})).await;
    for der in [&one, &two] {
        let state = bed.provision(&Device::certified("dev-1", &[der])).await;
        assigned_on(&state, "hub-a.example", "dev-1");
        assert_eq!(state.x509.unwrap().enrollment_group_id, None);
        let (device, _) = bed.hubs.device("hub-a.example", "dev-1").unwrap();
        let thumbprint = dps_attestation::x509::certificate::thumbprint(der);
        assert!(matches!(
            device.authentication,
            HubAuthentication::SelfSigned { primary_thumbprint, .. } if primary_thumbprint == thumbprint
        ));
    }
}

#[tokio::test(start_paused = true)]
async fn group_certificate_of_intermediate_or_root_is_assigned() {
    let bed = Bed::new().await;
    let root = Ca::root("Root");
    let intermediate = root.issue_ca("Line 7");
    bed.enroll_group("all", json!({"attestation": signers(&root.der)})).await;
    let leaf = intermediate.issue("dev-1");
    let device = Device::certified("dev-1", &[&leaf, &intermediate.der]);
    let group = |state: DeviceRegistrationResult| state.x509.unwrap().enrollment_group_id.unwrap();
    assert_eq!(group(bed.provision(&device).await), "all");
    // A group nearer to the leaf decides once it is there.
    bed.enroll_group("line-7", json!({"attestation": signers(&intermediate.der)})).await;
    assert_eq!(group(bed.provision(&device).await), "line-7");
    assert_eq!(bed.hubs.names().len(), 1);
}

#[tokio::test]
async fn individual_enrollment_decides_before_any_group() {
    let bed = Bed::new().await;
    let group = primary(&bed.enroll_group("line", symmetric()).await);
    let own = primary(&bed.enroll("dev-1", symmetric()).await);
    assert_eq!(code(bed.register(&Device::derived("dev-1", &group)).await), 401_000);
    let attempt = bed.events.last_attempt();
    assert_eq!((attempt.candidates.len(), attempt.groups_tried), (1, 0));
    assert_eq!(attempt.candidates[0].enrollment.kind, "IndividualEnrollment");
    let state = bed.provision(&Device::keyed("DEV-1", own)).await;
    assert_eq!(state.symmetric_key.unwrap().enrollment_group_id, None);
    bed.enrollments.delete_individual(&bed.instance, "dev-1", None).await.unwrap();
    let state = bed.provision(&Device::derived("dev-1", &group)).await;
    assert_eq!(state.symmetric_key.unwrap().enrollment_group_id.as_deref(), Some("line"));
}

#[tokio::test(start_paused = true)]
async fn poll_with_the_same_proof_or_a_new_one_is_answered_and_a_strangers_refused() {
    let bed = Bed::new().await;
    let device = bed.keyed("dev-1").await;
    let other = bed.keyed("dev-2").await;
    let id = bed.register(&device).await.unwrap();
    for lifetime in [3_600, 7_200] {
        let status = bed.poll(&Device { lifetime, ..device.clone() }, &id).await.unwrap();
        assert_eq!((status.operation_id.as_str(), status.status), (id.as_str(), Status::Assigned));
    }
    let Credential::Key(key) = other.credential.clone() else { panic!() };
    for stranger in [
        Device::keyed("dev-1", key),
        Device::new("dev-1", Credential::Nothing),
        Device::certified("dev-1", &[&self_signed("dev-1")]),
    ] {
        let code = code(bed.poll(&stranger, &id).await);
        assert!(code == 401_000 || code == 401_002, "{code}");
    }
    // Another device may not even learn that the operation exists.
    assert_eq!(code(bed.poll(&other, &id).await), 404_203);
    for unknown in ["5.0000000000000000.x", "nonsense"] {
        assert_eq!(code(bed.poll(&device, unknown).await), 404_203);
    }
    for bad in ["", "a b", &"x".repeat(limits::MAX_OPERATION_ID + 1)] {
        assert_eq!(code(bed.poll(&device, bad).await), 400_004);
    }
}

#[tokio::test(start_paused = true)]
async fn poll_with_an_expired_token_is_refused_even_with_the_known_signature() {
    let bed = Bed::new().await;
    let device = bed.keyed("dev-1").await;
    let request = bed.request(&device, register());
    let token = request.sas_token.clone().unwrap();
    let Ok(DeviceResponse::Admitted { operation_id, .. }) = bed.ask(request).await else { panic!() };
    let poll = |token: dps_model::Secret| {
        let operation = dps_core::DeviceOperation::OperationStatus { operation_id: operation_id.to_string() };
        let mut request = bed.request(&device, operation);
        request.sas_token = Some(token);
        bed.provisioning.serve(request)
    };
    assert!(poll(token.clone()).await.is_ok());
    bed.clock.advance(3_600 + limits::SAS_CLOCK_SKEW + 1);
    assert_eq!(code(poll(token.clone()).await), 401_000);
    // The same signature beside a later expiry is no proof.
    let text = String::from_utf8(token.expose().to_vec()).unwrap();
    let expiry = text.split("&se=").nth(1).unwrap().split('&').next().unwrap();
    let forged = text.replace(expiry, "4000000000");
    assert_ne!(text, forged);
    assert_eq!(code(poll(forged.into()).await), 401_000);
}

#[tokio::test(start_paused = true)]
async fn lookup_shows_the_state_to_its_device_alone() {
    let bed = Bed::new().await;
    let device = bed.keyed("dev-1").await;
    assert_eq!(code(bed.lookup(&device).await), 404_202);
    let state = bed.provision(&device).await;
    let seen = bed.lookup(&device).await.unwrap();
    assert_eq!((seen.status, seen.etag.clone()), (Status::Assigned, state.etag));
    let stranger = Device::new("dev-1", Credential::Nothing);
    assert_eq!(code(bed.lookup(&stranger).await), 401_000);
}

#[tokio::test(start_paused = true)]
async fn registering_again_keeps_hub_creation_time_and_twin() {
    let bed = Bed::new().await;
    let twin = json!({"tags": {"n": 1}});
    let keys = bed.enroll("dev-1", with(symmetric(), "initialTwin", twin)).await;
    let device = Device::keyed("dev-1", primary(&keys));
    let first = bed.provision(&device).await;
    // It stays, and so its twin is left alone.
    bed.enroll("dev-1", with(symmetric(), "initialTwin", json!({"tags": {"n": 2}}))).await;
    bed.clock.advance(60);
    let again = bed.provision(&device).await;
    assert_eq!(again.assigned_hub, first.assigned_hub);
    assert_eq!(again.created_date_time_utc, first.created_date_time_utc);
    assert!(again.last_updated_date_time_utc > first.last_updated_date_time_utc);
    assert_ne!(again.etag, first.etag);
    let (_, twin) = bed.hubs.device("hub-a.example", "dev-1").unwrap();
    assert_eq!(twin.tags["n"], 1);
    let never = json!({"updateHubAssignment": false, "migrateDeviceData": false});
    bed.enroll("dev-1", with(symmetric(), "reprovisionPolicy", never)).await;
    assert_eq!(bed.provision(&device).await.substatus, Some(Substatus::ReprovisionedToInitialAssignment));
}

#[tokio::test(start_paused = true)]
async fn superseded_operation_ids_are_answered_up_to_the_limit() {
    let bed = Bed::new().await;
    let device = bed.keyed("dev-1").await;
    let mut ids = Vec::new();
    for _ in 0..limits::MAX_SUPERSEDED_OPERATIONS + 2 {
        ids.push(bed.register(&device).await.unwrap());
    }
    assert_eq!(code(bed.poll(&device, &ids[0]).await), 404_203);
    for id in &ids[1..] {
        let status = bed.poll(&device, id).await.unwrap();
        assert_eq!((&status.operation_id, status.status), (id, Status::Assigned));
    }
}

#[tokio::test(start_paused = true)]
async fn disabled_enrollment_answers_disabled_and_leaves_an_assigned_device_alone() {
    let bed = Bed::new().await;
    let device = bed.keyed("dev-1").await;
    let disabled = with(symmetric(), "provisioningStatus", json!("disabled"));
    let answer = async |bed: &Bed| match bed.ask(bed.request(&device, register())).await.unwrap() {
        DeviceResponse::Status { status, retry_after: None } => *status,
        other => panic!("{other:?}"),
    };
    bed.enroll("dev-1", disabled.clone()).await;
    let status = answer(&bed).await;
    assert_eq!((status.operation_id.as_str(), status.status), ("", Status::Disabled));
    assert_eq!(bed.lookup(&device).await.unwrap().status, Status::Disabled);
    assert!(bed.hubs.names().is_empty());

    bed.enroll("dev-1", with(symmetric(), "provisioningStatus", json!("enabled"))).await;
    let id = bed.register(&device).await.unwrap();
    bed.enroll("dev-1", disabled).await;
    assert_eq!(answer(&bed).await.status, Status::Disabled);
    assert_eq!(bed.lookup(&device).await.unwrap().status, Status::Assigned);
    assert_eq!(bed.poll(&device, &id).await.unwrap().status, Status::Assigned);
}

#[tokio::test(start_paused = true)]
async fn disabled_nearer_group_is_not_fallen_through() {
    let bed = Bed::new().await;
    let root = Ca::root("Root");
    let intermediate = root.issue_ca("Line 7");
    bed.enroll_group("all", json!({"attestation": signers(&root.der)})).await;
    let near = json!({"attestation": signers(&intermediate.der), "provisioningStatus": "disabled"});
    bed.enroll_group("line-7", near).await;
    let leaf = intermediate.issue("dev-1");
    let device = Device::certified("dev-1", &[&leaf, &intermediate.der]);
    match bed.ask(bed.request(&device, register())).await.unwrap() {
        DeviceResponse::Status { status, .. } => assert_eq!(status.status, Status::Disabled),
        other => panic!("{other:?}"),
    }
    assert_eq!(bed.events.last_attempt().enrollment.unwrap().id, "line-7");
}

#[tokio::test(start_paused = true)]
async fn no_hub_fails_with_its_code_and_is_mended_by_linking_one() {
    let bed = Bed::with_hubs(&[]).await;
    let device = bed.keyed("dev-1").await;
    let id = bed.register(&device).await.unwrap();
    let status = bed.poll(&device, &id).await.unwrap();
    let state = status.registration_state.unwrap();
    assert_eq!((status.status, state.error_code), (Status::Failed, Some(400_210)));
    assert_eq!(state.error_message.as_deref(), Some(ErrorCode::NoHubAvailable.row().message));
    assert!(state.assigned_hub.is_none() && state.device_id.is_none());
    assert!(bed.document("dev-1").await.unwrap().sealed.is_none(), "no key is kept for nothing");
    let assignment = bed.events.assignments().pop().unwrap();
    assert_eq!((assignment.outcome.code(), assignment.hub), (Some(400_210), None));
    let bed = bed.restarted(&["hub-a.example"]).await;
    assigned_on(&bed.provision(&device).await, "hub-a.example", "dev-1");
}

#[tokio::test]
async fn nearest_hub_is_assigned_and_the_event_tells_the_distances() {
    let mut hubs = vec![linked("eu.example", 1), linked("us.example", 1000)];
    (hubs[0].location, hubs[1].location) = ("westeurope".into(), "eastus".into());
    let store = Arc::new(dps_store::MemoryStore::new());
    let bed = Bed::over(store, Arc::default(), Arc::default(), hubs, crate::bed::NOW).await;
    let body = with(symmetric(), "allocationPolicy", json!("geoLatency"));
    let device = Device::keyed("dev-1", primary(&bed.enroll("dev-1", body).await));
    let networks = |region| RegionMap::parse(&format!("127.0.0.0/8 {region}"), "").unwrap();
    bed.regions.replace(networks("northeurope"));
    assert_eq!(bed.provision(&device).await.assigned_hub.unwrap().as_str(), "eu.example");
    let allocation = bed.events.last_register().allocation.unwrap();
    assert_eq!((allocation.policy, allocation.region.as_deref()), ("geoLatency", Some("northeurope")));
    let scores: Vec<_> =
        allocation.scores.iter().map(|score| (score.hub.as_str(), score.latency_ms)).collect();
    assert_eq!(scores, [("eu.example", Some(12)), ("us.example", Some(78))]);
    // The operator corrects the file, and the device registers again.
    bed.regions.replace(networks("canadacentral"));
    let state = bed.provision(&device).await;
    assert_eq!(state.assigned_hub.unwrap().as_str(), "us.example");
    assert_eq!(state.substatus, Some(dps_model::registration::Substatus::DeviceDataMigrated));
}
