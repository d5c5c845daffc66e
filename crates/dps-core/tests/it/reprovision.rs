//! A device that registers again: every row of the reprovision table, what happens on both hubs, and what is kept when
//! something fails in between.

use dps_model::registration::{DeviceRegistrationResult, Status, Substatus};
use serde_json::{Value, json};

use crate::bed::{Bed, Device, code, primary, symmetric, with};
use crate::hubs::{Behaviour, Call, unauthorized, unreachable};

const A: &str = "hub-a.example";
const B: &str = "hub-b.example";

fn body(hub: &str, policy: Option<(bool, bool)>) -> Value {
    let body = with(symmetric(), "iotHubs", json!([hub]));
    let twin = json!({"tags": {"made": hub}, "properties": {"desired": {"from": "enrollment"}}});
    let body = with(body, "initialTwin", twin);
    match policy {
        Some((update, migrate)) => with(
            body,
            "reprovisionPolicy",
            json!({"updateHubAssignment": update, "migrateDeviceData": migrate}),
        ),
        None => body,
    }
}

/// A device on hub A that has lived there: its twin is no longer what it began with.
async fn settled(policy: Option<(bool, bool)>) -> (Bed, Device) {
    let bed = Bed::with_hubs(&[A, B]).await;
    let device = Device::keyed("dev-1", primary(&bed.enroll("dev-1", body(A, policy)).await));
    let state = bed.provision(&device).await;
    assert_eq!(state.substatus, Some(Substatus::InitialAssignment));
    bed.hubs.report(A, "dev-1", "firmware", json!("1.2"));
    bed.enroll("dev-1", body(B, policy)).await;
    (bed, device)
}

fn at(state: &DeviceRegistrationResult) -> &str {
    state.assigned_hub.as_ref().unwrap().as_str()
}

/// Tags, desired and reported properties on a hub.
fn twin(bed: &Bed, hub: &str) -> Value {
    let (_, twin) = bed.hubs.device(hub, "dev-1").unwrap();
    json!([twin.tags, twin.desired, twin.reported])
}

fn lived() -> Value {
    json!([{"made": A}, {"from": "enrollment"}, {"firmware": "1.2"}])
}

fn fresh(hub: &str) -> Value {
    json!([{"made": hub}, {"from": "enrollment"}, {}])
}

#[tokio::test(start_paused = true)]
async fn migrate_moves_the_device_with_its_whole_twin() {
    for policy in [Some((true, true)), None] {
        let (bed, device) = settled(policy).await;
        let state = bed.provision(&device).await;
        assert_eq!((at(&state), state.substatus), (B, Some(Substatus::DeviceDataMigrated)));
        assert_eq!(bed.hubs.names(), [(B.to_owned(), "dev-1".to_owned())]);
        assert_eq!(twin(&bed, B), lived());
        let event = bed.events.assignments().pop().unwrap();
        assert_eq!((event.moved_from.as_deref(), event.twin), (Some(A), Some("carried")));
        let sealed = bed.document("dev-1").await.unwrap().sealed;
        assert!(sealed.is_none(), "nothing of the twin stays behind");
        let again = bed.provision(&device).await;
        assert_eq!(again.substatus, Some(Substatus::InitialAssignment), "it has not moved this time");
    }
}

#[tokio::test(start_paused = true)]
async fn reset_moves_the_device_and_begins_anew() {
    let (bed, device) = settled(Some((true, false))).await;
    let state = bed.provision(&device).await;
    assert_eq!((at(&state), state.substatus), (B, Some(Substatus::DeviceDataReset)));
    assert_eq!(bed.hubs.names(), [(B.to_owned(), "dev-1".to_owned())]);
    assert_eq!(twin(&bed, B), fresh(B));
    assert_eq!(bed.events.assignments().pop().unwrap().twin, Some("reset"));
}

#[tokio::test(start_paused = true)]
async fn never_keeps_the_device_where_it_is() {
    for migrate in [true, false] {
        let (bed, device) = settled(Some((false, migrate))).await;
        let state = bed.provision(&device).await;
        assert_eq!((at(&state), state.substatus), (A, Some(Substatus::ReprovisionedToInitialAssignment)));
        assert_eq!(twin(&bed, A), lived());
        assert_eq!(bed.events.last_register().allocation.unwrap().policy, "kept");
    }
}

#[tokio::test(start_paused = true)]
async fn never_on_a_hub_that_is_not_linked_fails_and_stays() {
    let (bed, device) = settled(Some((false, true))).await;
    let bed = bed.restarted(&[B]).await;
    let state = bed.provision(&device).await;
    assert_eq!((state.status, state.error_code), (Status::Failed, Some(401_001)));
    assert_eq!(bed.hubs.names(), [(A.to_owned(), "dev-1".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn old_version_without_a_policy_stays() {
    let (bed, device) = settled(None).await;
    let mut request = bed.request(&device, crate::bed::register());
    request.api_version = Some("2018-04-01".into());
    bed.ask(request).await.unwrap();
    let state = bed.lookup(&device).await.unwrap();
    assert_eq!((at(&state), state.substatus), (A, Some(Substatus::ReprovisionedToInitialAssignment)));
}

#[tokio::test(start_paused = true)]
async fn former_hub_that_is_not_linked_any_more_lets_the_device_go_without_its_twin() {
    let (bed, device) = settled(Some((true, true))).await;
    let bed = bed.restarted(&[B]).await;
    let state = bed.provision(&device).await;
    assert_eq!((at(&state), state.substatus), (B, Some(Substatus::DeviceDataReset)));
    assert_eq!(twin(&bed, B), fresh(B));
    assert!(bed.hubs.device(A, "dev-1").is_some(), "there is no key to it any more");
}

#[tokio::test(start_paused = true)]
async fn former_hub_that_lost_the_device_leaves_nothing_to_carry() {
    let (bed, device) = settled(Some((true, true))).await;
    bed.hubs.forget(A, "dev-1");
    let state = bed.provision(&device).await;
    assert_eq!((at(&state), state.substatus), (B, Some(Substatus::DeviceDataReset)));
    assert_eq!(twin(&bed, B), fresh(B));
    assert_eq!(bed.events.assignments().pop().unwrap().twin, Some("lost"));
}

#[tokio::test(start_paused = true)]
async fn former_hub_that_refuses_the_reading_keeps_device_and_twin() {
    let (bed, device) = settled(Some((true, true))).await;
    bed.hubs.behave(|_, call| Behaviour {
        before: (call == Call::Twin).then(unauthorized),
        ..Behaviour::default()
    });
    let state = bed.provision(&device).await;
    assert_eq!((state.status, state.error_code), (Status::Failed, Some(401_002)));
    assert_eq!(bed.hubs.names(), [(A.to_owned(), "dev-1".to_owned())]);
    bed.hubs.heal();
    assert_eq!(at(&bed.provision(&device).await), B);
    assert_eq!(twin(&bed, B), lived());
}

#[tokio::test(start_paused = true)]
async fn hub_that_keeps_reported_properties_to_the_device_gets_the_rest_and_the_event_says_so() {
    let (bed, device) = settled(Some((true, true))).await;
    bed.hubs.keep_reported_to_the_device();
    let state = bed.provision(&device).await;
    assert_eq!((at(&state), state.substatus), (B, Some(Substatus::DeviceDataMigrated)));
    assert_eq!(twin(&bed, B), json!([{"made": A}, {"from": "enrollment"}, {}]));
    assert_eq!(bed.events.assignments().pop().unwrap().twin, Some("carriedWithoutReported"));
}

#[tokio::test(start_paused = true)]
async fn move_that_failed_half_way_is_ended_by_the_next_with_the_twin_it_had_read() {
    let (bed, device) = settled(Some((true, true))).await;
    // The former hub removes the device, and its answers never come: in the end the operation fails.
    bed.hubs.behave(|_, call| Behaviour {
        after: (call == Call::Delete).then(unreachable),
        ..Behaviour::default()
    });
    let id = bed.register(&device).await.unwrap();
    for _ in 0..8 {
        crate::bed::later(10).await;
    }
    assert_eq!(bed.poll(&device, &id).await.unwrap().status, Status::Failed);
    assert!(bed.hubs.device(A, "dev-1").is_none(), "it is gone there");
    let document = bed.document("dev-1").await.unwrap();
    assert!(document.sealed.is_some() && !document.body.contains("firmware"), "its twin is kept, sealed");
    bed.hubs.heal();
    // Back to A, where nothing of it is left; then on to B.
    bed.enroll("dev-1", body(A, Some((true, true)))).await;
    assert_eq!(at(&bed.provision(&device).await), A);
    assert_eq!(twin(&bed, A), lived());
    bed.enroll("dev-1", body(B, Some((true, true)))).await;
    assert_eq!(at(&bed.provision(&device).await), B);
    assert_eq!((bed.hubs.names().len(), twin(&bed, B)), (1, lived()));
}

#[tokio::test(start_paused = true)]
async fn reset_after_a_failed_migration_finds_nothing_of_it_at_the_new_hub() {
    let (bed, device) = settled(Some((true, true))).await;
    bed.hubs.behave(|_, call| Behaviour {
        after: (call == Call::Put).then(unauthorized),
        ..Behaviour::default()
    });
    assert_eq!(bed.provision(&device).await.status, Status::Failed);
    assert_eq!(twin(&bed, B), lived(), "the hub did it and said no");
    bed.hubs.heal();
    bed.enroll("dev-1", body(B, Some((true, false)))).await;
    assert_eq!(bed.provision(&device).await.substatus, Some(Substatus::DeviceDataReset));
    assert_eq!(twin(&bed, B), fresh(B));
}

#[tokio::test(start_paused = true)]
async fn device_id_of_an_enrollment_changed_moves_the_identity() {
    let (bed, device) = settled(Some((true, true))).await;
    bed.enroll("dev-1", with(body(A, Some((true, true))), "deviceId", json!("Pump-7"))).await;
    let state = bed.provision(&device).await;
    assert_eq!((at(&state), state.device_id.as_ref().unwrap().as_str()), (A, "Pump-7"));
    assert_eq!(state.substatus, Some(Substatus::DeviceDataMigrated));
    assert_eq!(bed.hubs.names(), [(A.to_owned(), "Pump-7".to_owned())]);
    // With its registration deleted nobody knows of the former identity any more: it stays (DPS facts §5.5).
    bed.enrollments.delete_registration(&bed.instance, "dev-1", None).await.unwrap();
    bed.enroll("dev-1", body(A, Some((true, true)))).await;
    assert_eq!(bed.provision(&device).await.substatus, Some(Substatus::InitialAssignment));
    assert_eq!(bed.hubs.names().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn moving_shows_assigning_and_the_twin_is_durable_before_the_former_identity_goes() {
    let (bed, device) = settled(Some((true, true))).await;
    bed.hubs.behave(|_, call| Behaviour {
        before: (call == Call::Delete).then(unreachable),
        ..Behaviour::default()
    });
    let id = bed.register(&device).await.unwrap();
    crate::bed::later(1).await;
    assert_eq!(bed.poll(&device, &id).await.unwrap().status, Status::Assigning);
    assert_eq!(bed.hubs.names().len(), 2, "the new one is there before the former goes");
    let document = bed.document("dev-1").await.unwrap();
    assert!(
        document.sealed.is_some_and(|sealed| String::from_utf8_lossy(sealed.expose()).contains("firmware"))
    );
    assert_eq!(code(bed.poll(&device, "5.0.x").await), 404_203);
}
