//! What happens after a 202: hubs that fail, devices that ask twice, operations that are taken up, one identity.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dps_core::Throttle;
use dps_core::ports::{Collection, Document, Page, Store, StoreError, Write};
use dps_events::Outcome;
use dps_model::hub::HubAuthentication;
use dps_model::registration::{Status, Substatus};
use dps_model::{Secret, limits};
use dps_store::{FaultyStore, MemoryStore, Schedule};
use serde_json::json;
use tokio::sync::{Notify, Semaphore};

use crate::bed::{Bed, Device, NOW, code, later, linked, primary, register, symmetric, with};
use crate::hubs::{Behaviour, Call, unauthorized, unreachable};
use crate::pki::{clients, self_signed};

const A: &str = "hub-a.example";
const B: &str = "hub-b.example";

/// Every call takes so many seconds.
fn slow(seconds: u64) -> impl FnMut(&str, Call) -> Behaviour + Send + 'static {
    move |_, _| Behaviour { delay: Duration::from_secs(seconds), ..Behaviour::default() }
}

#[tokio::test(start_paused = true)]
async fn registering_while_assigning_gets_the_same_operation() {
    let bed = Bed::new().await;
    let device = bed.keyed("dev-1").await;
    bed.hubs.behave(slow(5));
    let id = bed.register(&device).await.unwrap();
    assert_eq!(bed.register(&device).await.unwrap(), id);
    let status = bed.poll(&device, &id).await.unwrap();
    assert_eq!(status.status, Status::Assigning);
    let state = serde_json::to_value(status.registration_state.unwrap()).unwrap();
    assert_eq!(state, json!({"registrationId": "dev-1", "status": "assigning"}));
    later(5).await;
    assert_eq!(bed.poll(&device, &id).await.unwrap().status, Status::Assigned);
    assert_eq!(bed.hubs.puts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn registering_while_assigning_with_another_credential_follows_with_that_one() {
    let bed = Bed::new().await;
    let (one, two) = (self_signed("dev-1"), self_signed("dev-1"));
    bed.enroll("dev-1", json!({"attestation": clients(&one, Some(&two))})).await;
    bed.hubs.behave(slow(5));
    let first = bed.register(&Device::certified("dev-1", &[&one])).await.unwrap();
    let device = Device::certified("dev-1", &[&two]);
    let second = bed.register(&device).await.unwrap();
    assert_ne!(first, second);
    later(11).await;
    for id in [&first, &second] {
        assert_eq!(bed.poll(&device, id).await.unwrap().status, Status::Assigned);
    }
    let thumbprint = dps_attestation::x509::certificate::thumbprint(&two);
    let (on_hub, _) = bed.hubs.device(A, "dev-1").unwrap();
    assert!(matches!(
        on_hub.authentication,
        HubAuthentication::SelfSigned { primary_thumbprint, .. } if primary_thumbprint == thumbprint
    ));
    let outcomes: Vec<_> = bed.events.assignments().into_iter().map(|event| event.outcome.code()).collect();
    assert_eq!(outcomes, [Some(409_203), None], "the first was replaced, the second assigned");
}

#[tokio::test(start_paused = true)]
async fn transient_hub_failure_is_retried_and_the_device_assigned() {
    let bed = Bed::new().await;
    let device = bed.keyed("dev-1").await;
    let throttled = dps_core::ports::HubError::Throttled { text: "slow down".into(), retry_after: Some(4) };
    bed.hubs.fail(vec![unreachable(), throttled]);
    let id = bed.register(&device).await.unwrap();
    assert_eq!(bed.poll(&device, &id).await.unwrap().status, Status::Assigning);
    later(2).await;
    assert!(bed.hubs.puts().is_empty(), "never sooner than the hub asks");
    later(3).await;
    assert_eq!(bed.poll(&device, &id).await.unwrap().status, Status::Assigned);
    let assignment = bed.events.assignments().pop().unwrap();
    assert_eq!((assignment.attempts, assignment.resumed), (3, false));
    assert_eq!(assignment.substatus, Some(Substatus::InitialAssignment));
}

#[tokio::test(start_paused = true)]
async fn hub_that_never_answers_fails_the_operation_after_its_attempts() {
    let bed = Bed::new().await;
    let device = bed.keyed("dev-1").await;
    bed.hubs.behave(|_, _| Behaviour { before: Some(unreachable()), ..Behaviour::default() });
    let id = bed.register(&device).await.unwrap();
    for _ in 0..limits::HUB_ATTEMPTS {
        later(limits::OPERATION_BACKOFF).await;
    }
    let state = bed.poll(&device, &id).await.unwrap().registration_state.unwrap();
    assert_eq!((state.status, state.error_code), (Status::Failed, Some(500_101)));
    let assignments = bed.events.assignments();
    assert_eq!((assignments.len(), assignments[0].attempts), (1, limits::HUB_ATTEMPTS));
}

#[tokio::test(start_paused = true)]
async fn permanent_hub_failure_fails_with_its_code_and_text() {
    let bed = Bed::new().await;
    let device = bed.keyed("dev-1").await;
    bed.hubs.fail(vec![unauthorized()]);
    let id = bed.register(&device).await.unwrap();
    let status = bed.poll(&device, &id).await.unwrap();
    let state = status.registration_state.unwrap();
    assert_eq!(
        (status.status, state.error_code),
        (Status::Failed, Some(dps_model::ErrorCode::HubUnauthorized.row().code))
    );
    assert_eq!(state.error_message.as_deref(), Some("ErrorCode:IotHubUnauthorizedAccess;Unauthorized"));
    assert!(state.assigned_hub.is_none() && state.substatus.is_none() && state.etag.is_some());
    assert_eq!(
        bed.events.assignments()[0].outcome.code(),
        Some(dps_model::ErrorCode::HubUnauthorized.row().code)
    );
    assert_eq!(bed.provision(&device).await.status, Status::Assigned, "the next request mends it");
}

#[tokio::test(start_paused = true)]
async fn registration_removed_under_way_is_a_conflict_and_stays_removed() {
    let bed = Bed::new().await;
    let device = bed.keyed("dev-1").await;
    bed.hubs.behave(slow(5));
    let id = bed.register(&device).await.unwrap();
    bed.enrollments.delete_registration(&bed.instance, "dev-1", None).await.unwrap();
    later(6).await;
    assert_eq!(bed.events.assignments()[0].outcome.code(), Some(409_203));
    assert!(bed.document("dev-1").await.is_none());
    assert_eq!(code(bed.poll(&device, &id).await), 404_203);
}

#[tokio::test(start_paused = true)]
async fn disabling_under_way_does_not_break_the_promise() {
    let bed = Bed::new().await;
    let device = bed.keyed("dev-1").await;
    bed.hubs.behave(slow(5));
    let id = bed.register(&device).await.unwrap();
    bed.enroll("dev-1", with(symmetric(), "provisioningStatus", json!("disabled"))).await;
    assert!(bed.ask(bed.request(&device, register())).await.is_ok());
    later(6).await;
    assert_eq!(bed.poll(&device, &id).await.unwrap().status, Status::Assigned);
}

#[tokio::test(start_paused = true)]
async fn failed_registering_again_does_not_forget_where_the_device_is() {
    let bed = Bed::new().await;
    let device = bed.keyed("dev-1").await;
    let never = json!({"updateHubAssignment": false, "migrateDeviceData": false});
    bed.enroll("dev-1", with(symmetric(), "reprovisionPolicy", never)).await;
    bed.provision(&device).await;
    let others: Vec<String> = (0..8).map(|n| format!("hub-{n}.example")).collect();
    let mut names: Vec<&str> = others.iter().map(String::as_str).collect();
    names.push(A);
    let bed = bed.restarted(&names).await;
    bed.hubs.fail(vec![unauthorized()]);
    assert_eq!(bed.provision(&device).await.status, Status::Failed);
    let state = bed.provision(&device).await;
    assert_eq!(state.assigned_hub.unwrap().as_str(), A);
    assert_eq!(bed.hubs.names(), [(A.to_owned(), "dev-1".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn device_that_moves_leaves_no_identity_behind() {
    let bed = Bed::with_hubs(&[A, B]).await;
    let on = |hub: &str| with(symmetric(), "iotHubs", json!([hub]));
    let device = Device::keyed("dev-1", primary(&bed.enroll("dev-1", on(A)).await));
    bed.provision(&device).await;
    bed.enroll("dev-1", on(B)).await;
    // The new hub is written, the old one does not answer: the operation is not over until both are done.
    bed.hubs.behave(|hub, _| Behaviour { before: (hub == A).then(unreachable), ..Behaviour::default() });
    let id = bed.register(&device).await.unwrap();
    assert_eq!(bed.poll(&device, &id).await.unwrap().status, Status::Assigning);
    bed.hubs.heal();
    later(limits::OPERATION_BACKOFF).await;
    let state = bed.poll(&device, &id).await.unwrap().registration_state.unwrap();
    assert_eq!((state.status, state.assigned_hub.unwrap().as_str()), (Status::Assigned, B));
    assert_eq!(bed.hubs.names(), [(B.to_owned(), "dev-1".to_owned())]);
    bed.enroll("dev-1", with(on(B), "deviceId", json!("renamed"))).await;
    bed.provision(&device).await;
    assert_eq!(bed.hubs.names(), [(B.to_owned(), "renamed".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn identity_written_by_a_failed_operation_is_removed_by_the_next() {
    let bed = Bed::with_hubs(&[A, B]).await;
    let on = |hub: &str| with(symmetric(), "iotHubs", json!([hub]));
    let device = Device::keyed("dev-1", primary(&bed.enroll("dev-1", on(A)).await));
    bed.hubs.behave(|_, _| Behaviour { after: Some(unauthorized()), ..Behaviour::default() });
    assert_eq!(bed.provision(&device).await.status, Status::Failed);
    assert_eq!(bed.hubs.names().len(), 1, "the hub did it and said no");
    bed.hubs.heal();
    bed.enroll("dev-1", on(B)).await;
    assert_eq!(bed.provision(&device).await.status, Status::Assigned);
    assert_eq!(bed.hubs.names(), [(B.to_owned(), "dev-1".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn operation_that_outlives_its_lease_is_not_taken_from_the_node_that_runs_it() {
    let bed = Bed::new().await;
    let device = bed.keyed("dev-1").await;
    bed.hubs.behave(slow(limits::OPERATION_LEASE as u64 + 10));
    let sweeping = tokio::spawn(bed.operations.clone().sweep_on());
    let id = bed.register(&device).await.unwrap();
    for _ in 0..=limits::OPERATION_LEASE + 10 {
        later(1).await;
    }
    assert_eq!(bed.poll(&device, &id).await.unwrap().status, Status::Assigned);
    let assignments = bed.events.assignments();
    assert_eq!((assignments.len(), &assignments[0].outcome), (1, &Outcome::Success));
    sweeping.abort();
}

#[tokio::test(start_paused = true)]
async fn page_of_operations_that_all_run_here_does_not_turn_the_sweep_in_circles() {
    let hubs: Vec<String> = (0..4).map(|n| format!("hub-{n}.example")).collect();
    let bed = Bed::with_hubs(&hubs.iter().map(String::as_str).collect::<Vec<_>>()).await;
    bed.hubs.behave(slow(600));
    for (n, hub) in (0..limits::OPERATIONS_PER_SWEEP).zip(hubs.iter().cycle()) {
        let id = format!("dev-{n}");
        let enrolled = bed.enroll(&id, with(symmetric(), "iotHubs", json!([hub]))).await;
        bed.register(&Device::keyed(&id, primary(&enrolled))).await.unwrap();
    }
    bed.clock.advance(limits::OPERATION_LEASE + 1);
    assert!(!bed.operations.sweep(dps_core::ports::Clock::now(&*bed.clock)).await.unwrap());
}

/// Devices of one hub, more than there are places, and one of another hub.
async fn crowd(bed: &Bed) -> (Vec<Device>, Device) {
    let on = |hub: &str| with(symmetric(), "iotHubs", json!([hub]));
    let mut at_a = Vec::new();
    for n in 0..=limits::MAX_RUNNING_OPERATIONS {
        let id = format!("dev-{n}");
        at_a.push(Device::keyed(&id, primary(&bed.enroll(&id, on(A)).await)));
    }
    (at_a, Device::keyed("other", primary(&bed.enroll("other", on(B)).await)))
}

fn stalls_at(stalled: &'static str) -> impl FnMut(&str, Call) -> Behaviour + Send + 'static {
    move |hub, _| Behaviour {
        delay: Duration::from_secs(if hub == stalled { 100_000 } else { 0 }),
        ..Behaviour::default()
    }
}

#[tokio::test(start_paused = true)]
async fn hub_that_stalls_keeps_nobody_from_another() {
    let bed = Bed::with_hubs(&[A, B]).await;
    let (at_a, other) = crowd(&bed).await;
    bed.hubs.behave(stalls_at(A));
    for device in &at_a {
        bed.register(device).await.unwrap();
    }
    let id = bed.register(&other).await.unwrap();
    later(1).await;
    assert_eq!(bed.poll(&other, &id).await.unwrap().status, Status::Assigned);
}

#[tokio::test(start_paused = true)]
async fn sweep_puts_off_what_is_for_a_hub_that_stalls_and_reaches_what_is_behind() {
    let bed = Bed::with_hubs(&[A, B]).await;
    let (at_a, other) = crowd(&bed).await;
    bed.hubs.behave(|_, _| Behaviour { delay: Duration::from_secs(100_000), ..Behaviour::default() });
    for device in &at_a {
        bed.register(device).await.unwrap();
    }
    let id = bed.register(&other).await.unwrap();
    bed.hubs.behave(stalls_at(A));
    let after = bed.restarted(&[A, B]).await;
    let sweeping = tokio::spawn(after.operations.clone().sweep_on());
    later(3 + limits::SWEEP_PATIENCE_MS / 1_000).await;
    assert_eq!(after.poll(&other, &id).await.unwrap().status, Status::Assigned);
    after.hubs.heal();
    sweeping.abort();
}

#[tokio::test(start_paused = true)]
async fn sweep_over_a_store_that_takes_no_writes_does_not_turn_in_circles() {
    let faulty = Arc::new(FaultyStore::new(MemoryStore::new(), Schedule::quiet()));
    let bed =
        Bed::over(Arc::clone(&faulty) as _, Arc::default(), Arc::default(), vec![linked(A, 1)], NOW).await;
    bed.hubs.behave(slow(600));
    for n in 0..limits::OPERATIONS_PER_SWEEP {
        let device = bed.keyed(&format!("dev-{n}")).await;
        bed.register(&device).await.unwrap();
    }
    let after = bed.restarted(&[A]).await;
    after.clock.advance(limits::OPERATION_LEASE + 1);
    faulty.revive(Schedule::seeded(7, 0, 1_000));
    let now = dps_core::ports::Clock::now(&*after.clock);
    assert!(!after.operations.sweep(now).await.unwrap(), "nothing has moved");
}

#[tokio::test(start_paused = true)]
async fn device_whose_operation_was_admitted_by_a_clock_that_was_ahead_gets_another_one() {
    let bed = Bed::new().await;
    let device = bed.keyed("dev-1").await;
    bed.hubs.behave(slow(3_600));
    let first = bed.register(&device).await.unwrap();
    let after = bed.restarted(&[A]).await;
    after.hubs.heal();
    after.clock.advance(-86_400);
    let second = after.register(&device).await.unwrap();
    assert_ne!(second, first, "the first waits in the store for tomorrow");
    later(1).await;
    assert_eq!(after.poll(&device, &second).await.unwrap().status, Status::Assigned);
}

#[tokio::test(start_paused = true)]
async fn restart_takes_up_what_was_admitted_and_writes_the_same_hub() {
    let bed = Bed::with_hubs(&[A]).await;
    let device = bed.keyed("dev-1").await;
    bed.hubs.behave(slow(3_600));
    let id = bed.register(&device).await.unwrap();
    let sealed = bed.document("dev-1").await.unwrap().sealed;
    assert!(sealed.is_some(), "a running operation keeps its keys");
    bed.hubs.heal();
    // More hubs and another enrollment by now: the plan is what was decided.
    let names: Vec<String> = (0..8).map(|n| format!("hub-{n}.example")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.push(A);
    let after = bed.restarted(&names).await;
    let sweeping = tokio::spawn(after.operations.clone().sweep_on());
    later(1).await;
    let state = after.poll(&device, &id).await.unwrap().registration_state.unwrap();
    assert_eq!((state.status, state.assigned_hub.unwrap().as_str()), (Status::Assigned, A));
    assert!(after.document("dev-1").await.unwrap().sealed.is_none(), "an ended one does not");
    let resumed: Vec<_> =
        after.events.assignments().into_iter().filter(|event| event.outcome == Outcome::Success).collect();
    assert_eq!((resumed.len(), resumed[0].resumed), (1, true));
    sweeping.abort();
}

#[tokio::test(start_paused = true)]
async fn keys_changed_under_way_reach_the_hub() {
    let bed = Bed::new().await;
    let device = bed.keyed("dev-1").await;
    bed.hubs.behave(slow(5));
    bed.register(&device).await.unwrap();
    let key = |n: u8| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [n; 32]);
    let keys = json!({"primaryKey": key(1), "secondaryKey": key(2)});
    bed.enroll("dev-1", json!({"attestation": {"type": "symmetricKey", "symmetricKey": keys}})).await;
    let rolled = Device::keyed("dev-1", Secret::new(vec![1; 32]));
    let id = bed.register(&rolled).await.unwrap();
    later(11).await;
    assert_eq!(bed.poll(&rolled, &id).await.unwrap().status, Status::Assigned);
    let (on_hub, _) = bed.hubs.device(A, "dev-1").unwrap();
    assert!(
        matches!(on_hub.authentication, HubAuthentication::Sas { primary, .. } if primary == Secret::new(vec![1; 32]))
    );
}

#[tokio::test(start_paused = true)]
async fn device_that_goes_away_while_it_is_admitted_leaves_no_operation_unstarted() {
    let store = Arc::new(Writer {
        inner: Arc::new(MemoryStore::new()),
        open: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
        taken: Notify::new(),
    });
    let throttle = |clock| Throttle::new(limits::Profile::None, clock);
    let hubs = vec![linked(A, 1)];
    let (hub, events) = (Arc::default(), Arc::default());
    let bed = Bed::throttled(Arc::clone(&store) as _, hub, events, hubs, NOW, throttle).await;
    let device = bed.keyed("dev-1").await;
    store.taken.notified().await;
    let permits = store.open.forget_permits(Semaphore::MAX_PERMITS);
    tokio::select! {
        biased;
        answer = bed.ask(bed.request(&device, register())) => panic!("answered before the commit: {answer:?}"),
        () = store.taken.notified() => {}
    }
    // The device has gone; the commit comes after it.
    store.open.add_permits(permits);
    later(1).await;
    let attempt = bed.events.last_attempt();
    assert_eq!(attempt.outcome, Outcome::Success, "what is durable is not called abandoned");
    let id = attempt.operation_id.unwrap();
    assert_eq!(bed.poll(&device, &id).await.unwrap().status, Status::Assigned);
    let assignments = bed.events.assignments();
    assert_eq!((assignments.len(), assignments[0].resumed), (1, false), "nobody waited for a sweep");
    assert_eq!(bed.hubs.puts().len(), 1);
}

/// A store that carries out what was handed to it, whoever waits for that, and only while it has permits.
struct Writer {
    inner: Arc<MemoryStore>,
    open: Arc<Semaphore>,
    taken: Notify,
}

#[async_trait]
impl Store for Writer {
    async fn get(&self, of: Collection, instance: &str, id: &str) -> Result<Option<Document>, StoreError> {
        self.inner.get(of, instance, id).await
    }

    async fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let (inner, open) = (Arc::clone(&self.inner), Arc::clone(&self.open));
        let written = tokio::spawn(async move {
            let _open = open.acquire().await.unwrap();
            inner.write(writes).await
        });
        self.taken.notify_one();
        written.await.unwrap()
    }

    async fn find(
        &self,
        of: Collection,
        instance: &str,
        keys: &[String],
    ) -> Result<Vec<Document>, StoreError> {
        self.inner.find(of, instance, keys).await
    }

    async fn page(&self, page: Page<'_>) -> Result<Vec<Document>, StoreError> {
        self.inner.page(page).await
    }

    async fn due(
        &self,
        of: Collection,
        due: i64,
        limit: usize,
    ) -> Result<Vec<(String, Document)>, StoreError> {
        self.inner.due(of, due, limit).await
    }

    async fn count(&self, of: Collection, instance: &str) -> Result<u64, StoreError> {
        self.inner.count(of, instance).await
    }
}
