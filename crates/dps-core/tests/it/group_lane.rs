//! The group lane under a flood: wrong keys from one place never starve a device from another.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use dps_attestation::sas_token::{SasToken, sign_for_device};
use dps_attestation::symmetric_key::{GroupKeys, derive_device_key};
use dps_core::enrollment::group_lane::{GroupLane, KeyRing};
use dps_model::attestation::SymmetricKeys;
use dps_model::{ErrorCode, IdScope, RegistrationId, Secret, limits};
use tokio::task::JoinSet;

use crate::bed::{Bed, Device, SCOPE, primary, symmetric};

const GROUPS: u64 = 1_500;

fn key(n: u64) -> Secret {
    Secret::new(format!("group-key-{n:020}").into_bytes())
}

fn ring() -> KeyRing {
    let keys = |n| GroupKeys::prepare(&SymmetricKeys { primary: key(2 * n), secondary: key(2 * n + 1) });
    Arc::new((0..GROUPS).map(|n| (format!("group-{n}"), keys(n))).collect())
}

fn token(id: &RegistrationId, group_key: &Secret) -> SasToken {
    let key = derive_device_key(group_key, id.as_str());
    SasToken::parse(&sign_for_device(&IdScope::parse(SCOPE).unwrap(), id, &key, 2_000_000_000)).unwrap()
}

fn peer(n: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, n).into()
}

#[tokio::test]
async fn flood_of_wrong_keys_does_not_starve_a_device_from_elsewhere() {
    let (lane, ring) = (Arc::new(GroupLane::start().unwrap()), ring());
    let mut flood = JoinSet::new();
    for n in 0..limits::MAX_GROUP_LANE_WAITING_PER_PEER {
        let (lane, ring) = (Arc::clone(&lane), Arc::clone(&ring));
        let id = RegistrationId::parse(&format!("flood-{n}")).unwrap();
        flood.spawn(async move { lane.search(peer(1), &id, &token(&id, &key(999_999)), ring).await });
    }
    // The first of them are in the lane before this task goes on.
    tokio::task::yield_now().await;
    let id = RegistrationId::parse("honest").unwrap();
    let trial = lane.search(peer(2), &id, &token(&id, &key(2 * (GROUPS - 1))), ring).await.unwrap();
    assert_eq!(trial.group.as_deref(), Some(format!("group-{}", GROUPS - 1).as_str()));
    // In turns the two callers get the same share of the lane, so the one does not wait for all of the other's queue.
    // (Which turn is whose is told without a thread beside the queues themselves.)
    let mut served = 0;
    while let Some(done) = flood.try_join_next() {
        assert_eq!(done.unwrap().unwrap().group, None);
        served += 1;
    }
    assert!(served < limits::MAX_GROUP_LANE_WAITING_PER_PEER);
    while let Some(done) = flood.join_next().await {
        assert_eq!(done.unwrap().unwrap().group, None);
    }
}

#[tokio::test]
async fn full_share_of_one_caller_is_refused_with_a_time_to_come_back() {
    let (lane, ring) = (Arc::new(GroupLane::start().unwrap()), ring());
    let mut flood = JoinSet::new();
    for n in 0..2 * limits::MAX_GROUP_LANE_WAITING_PER_PEER {
        let (lane, ring) = (Arc::clone(&lane), Arc::clone(&ring));
        let id = RegistrationId::parse(&format!("flood-{n}")).unwrap();
        flood.spawn(async move { lane.search(peer(1), &id, &token(&id, &key(999_999)), ring).await });
    }
    let (mut tried, mut refused) = (0, 0);
    while let Some(done) = flood.join_next().await {
        match done.unwrap() {
            Ok(_) => tried += 1,
            Err(error) => {
                assert_eq!(error.code, ErrorCode::Throttled);
                assert_eq!(error.retry_after, Some(limits::RETRY_AFTER_BUSY));
                refused += 1;
            }
        }
    }
    assert_eq!(tried + refused, 2 * limits::MAX_GROUP_LANE_WAITING_PER_PEER);
    assert!(tried >= limits::MAX_GROUP_LANE_WAITING_PER_PEER && refused > 0);
}

#[tokio::test]
async fn callers_that_went_away_leave_the_lane_to_the_others() {
    let (lane, ring) = (GroupLane::start().unwrap(), ring());
    let id = RegistrationId::parse("dev").unwrap();
    for _ in 0..limits::MAX_GROUP_LANE_WAITING_PER_PEER / 2 {
        let wrong = token(&id, &key(999_999));
        let mut search = Box::pin(lane.search(peer(1), &id, &wrong, Arc::clone(&ring)));
        let _ = polled_once(search.as_mut()).await;
    }
    let trial = lane.search(peer(1), &id, &token(&id, &key(0)), ring).await.unwrap();
    assert_eq!((trial.group.as_deref(), trial.tried), (Some("group-0"), 1));
}

/// Polls once.
async fn polled_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}

#[tokio::test]
async fn known_device_does_not_wait_for_the_lane() {
    let bed = Bed::new().await;
    let keys = bed.enroll_group("line", symmetric()).await;
    let known = Device::derived("dev-1", &primary(&keys));
    bed.provision(&known).await;
    let mut flood = JoinSet::new();
    for n in 0..64 {
        let request = bed
            .request(&Device::keyed(&format!("flood-{n}"), Secret::new(vec![1; 32])), crate::bed::register());
        let provisioning = Arc::clone(&bed.provisioning);
        flood.spawn(async move { provisioning.serve(request).await });
    }
    tokio::task::yield_now().await;
    bed.provision(&known).await;
    assert_eq!(
        bed.events
            .attempts()
            .iter()
            .filter(|record| record.registration_id == "dev-1")
            .map(|record| record.groups_tried)
            .sum::<u32>(),
        1
    );
    while let Some(done) = flood.join_next().await {
        assert!(done.unwrap().is_err());
    }
}
