//! Throttles and the bound on handling as a device meets them: who is refused, with what, and whom it does not concern.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dps_core::Throttle;
use dps_core::ports::{Collection, Document, Page, Store, StoreError, Write};
use dps_core::throttle::Bounds;
use dps_model::limits::{self, Profile};
use dps_model::{Error, ErrorCode, Secret};
use dps_store::MemoryStore;
use tokio::sync::Semaphore;
use tokio::time::advance;

use crate::bed::{Bed, Device, NOW, code, linked, register};

async fn bed(profile: Profile) -> Bed {
    over(Arc::new(MemoryStore::new()), profile, Bounds::default()).await
}

async fn over(store: Arc<dyn Store>, profile: Profile, bounds: Bounds) -> Bed {
    let hubs = vec![linked("hub-a.example", 1)];
    let throttle = |clock| Throttle::bounded(profile, bounds, clock);
    Bed::throttled(store, Arc::default(), Arc::default(), hubs, NOW, throttle).await
}

/// The seconds that a throttled device was told.
fn told<T>(refused: Result<T, Error>) -> u32 {
    let refused = refused.err().expect("refused");
    assert_eq!(refused.code, ErrorCode::Throttled);
    refused.retry_after.unwrap()
}

#[tokio::test(start_paused = true)]
async fn sixth_poll_within_ten_seconds_is_refused_and_recorded() {
    for profile in [Profile::SelfHosted, Profile::Azure] {
        let bed = bed(profile).await;
        let (device, other) = (bed.keyed("dev-1").await, bed.keyed("dev-2").await);
        let (id, others) = (bed.register(&device).await.unwrap(), bed.register(&other).await.unwrap());
        for _ in 0..4 {
            assert!(bed.poll(&device, &id).await.is_ok(), "sooner than Retry-After, and answered");
        }
        assert!(bed.lookup(&device).await.is_ok());
        let told = told(bed.poll(&device, &id).await);
        assert!((10..=11).contains(&told), "{told}");
        let attempt = bed.events.last_attempt();
        assert_eq!((attempt.reason, attempt.outcome.code()), (Some("THROTTLED_DEVICE"), Some(429_001)));
        assert!(attempt.instance.is_some() && attempt.registration_id == "dev-1");
        assert!(bed.poll(&other, &others).await.is_ok());
        assert!(bed.register(&device).await.is_ok(), "registering is counted apart");
        advance(Duration::from_secs(told.into())).await;
        let id = bed.register(&device).await.unwrap();
        assert!(bed.poll(&device, &id).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn stranger_who_names_a_device_does_not_use_up_what_is_the_devices() {
    let bed = bed(Profile::Azure).await;
    let device = bed.keyed("dev-1").await;
    let stranger = Device::keyed("dev-1", Secret::new(vec![9; 32]));
    let id = bed.register(&device).await.unwrap();
    for _ in 0..1_200 {
        assert_eq!(code(bed.poll(&stranger, &id).await), 401_000);
        assert_eq!(code(bed.register(&stranger).await), 401_000);
    }
    for _ in 0..5 {
        assert!(bed.poll(&device, &id).await.is_ok());
    }
    assert!(bed.register(&device).await.is_ok());
    assert_eq!(bed.throttle.load().throttled_devices, 0);
}

#[tokio::test(start_paused = true)]
async fn registration_beyond_the_instances_rate_gets_a_place_that_is_kept_for_it() {
    let bed = bed(Profile::Azure).await;
    let (busy, late) = (bed.keyed("busy").await, bed.keyed("late").await);
    for _ in 0..1_000 {
        bed.register(&busy).await.unwrap();
    }
    let wait = told(bed.register(&late).await);
    assert_eq!(wait, 1);
    let attempt = bed.events.last_attempt();
    assert_eq!((attempt.reason, attempt.outcome.code()), (Some("THROTTLED_INSTANCE"), Some(429_001)));
    assert!(bed.document("late").await.is_none(), "nothing is written for a refused device");
    assert_eq!(bed.throttle.load().throttled_devices, 1);
    advance(Duration::from_secs(wait.into())).await;
    // One that does not wait takes all that is free, and finds the other's place taken.
    let mut taken = 0;
    while bed.register(&busy).await.is_ok() {
        taken += 1;
    }
    assert_eq!(taken, 15);
    assert!(bed.register(&late).await.is_ok());
    assert!(bed.register(&late).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn profile_decides_what_is_limited() {
    for (profile, registrations) in
        [(Profile::SelfHosted, true), (Profile::None, true), (Profile::Azure, false)]
    {
        let bed = bed(profile).await;
        let device = bed.keyed("dev-1").await;
        let mut all = true;
        for _ in 0..1_001 {
            all &= bed.register(&device).await.is_ok();
        }
        assert_eq!(all, registrations, "{profile:?}");
        let id = bed.events.attempts()[0].operation_id.clone().unwrap();
        let mut polls = 0;
        for _ in 0..20 {
            polls += usize::from(
                !matches!(bed.poll(&device, &id).await, Err(error) if error.code == ErrorCode::Throttled),
            );
        }
        assert_eq!(polls, if profile == Profile::None { 20 } else { 5 }, "{profile:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn full_server_refuses_new_registrations_early_and_ends_what_is_in_flight() {
    let store =
        Arc::new(SlowWrites { inner: MemoryStore::new(), open: Semaphore::new(Semaphore::MAX_PERMITS) });
    let bounds = Bounds { handling: 2, waiting: 1 };
    let bed = Arc::new(over(Arc::clone(&store) as _, Profile::None, bounds).await);
    let mut devices = Vec::new();
    for n in 0..5 {
        devices.push(bed.keyed(&format!("dev-{n}")).await);
    }
    let id = bed.register(&devices[0]).await.unwrap();
    let open = store.open.forget_permits(Semaphore::MAX_PERMITS);
    let started: Vec<_> = devices[1..4]
        .iter()
        .map(|device| {
            let request = bed.request(device, register());
            let bed = Arc::clone(&bed);
            tokio::spawn(async move { bed.ask(request).await })
        })
        .collect();
    while bed.throttle.load().registering.waiting < 1 {
        tokio::task::yield_now().await;
    }
    let load = bed.throttle.load();
    assert!(load.registering.overloaded && !load.polling.overloaded);
    assert_eq!(load.registering.in_flight, 2);
    let reads = bed.events.attempts().len();
    let wait = told(bed.register(&devices[4]).await);
    assert!((1..=limits::MAX_RETRY_AFTER_BUSY).contains(&wait));
    let attempt = bed.events.last_attempt();
    assert_eq!((attempt.reason, bed.events.attempts().len()), (Some("OVERLOADED"), reads + 1));
    assert!(attempt.sas.is_none() && attempt.candidates.is_empty(), "nothing was looked at");
    assert!(bed.poll(&devices[0], &id).await.is_ok(), "a poll of what was begun is answered");
    store.open.add_permits(open);
    for task in started {
        assert!(task.await.unwrap().is_ok());
    }
    assert_eq!(bed.throttle.load().registering.in_flight, 0);
    assert!(bed.register(&devices[4]).await.is_ok());
    advance(Duration::from_secs(limits::OVERLOAD_MEMORY)).await;
    assert!(!bed.throttle.load().registering.overloaded);
}

#[tokio::test(start_paused = true)]
async fn caller_that_goes_away_leaves_its_place_to_the_next() {
    let store =
        Arc::new(SlowWrites { inner: MemoryStore::new(), open: Semaphore::new(Semaphore::MAX_PERMITS) });
    let bed = over(Arc::clone(&store) as _, Profile::None, Bounds { handling: 1, waiting: 0 }).await;
    let (gone, next) = (bed.keyed("gone").await, bed.keyed("next").await);
    let open = store.open.forget_permits(Semaphore::MAX_PERMITS);
    let left = tokio::time::timeout(Duration::from_secs(5), bed.register(&gone)).await;
    assert!(left.is_err());
    assert_eq!(bed.throttle.load().registering.in_flight, 0);
    store.open.add_permits(open);
    assert!(bed.register(&next).await.is_ok());
}

/// A store whose writes wait while it has no permits.
struct SlowWrites {
    inner: MemoryStore,
    open: Semaphore,
}

#[async_trait]
impl Store for SlowWrites {
    async fn get(
        &self,
        collection: Collection,
        instance: &str,
        id: &str,
    ) -> Result<Option<Document>, StoreError> {
        self.inner.get(collection, instance, id).await
    }

    async fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let _open = self.open.acquire().await.unwrap();
        self.inner.write(writes).await
    }

    async fn find(
        &self,
        collection: Collection,
        instance: &str,
        lookups: &[String],
    ) -> Result<Vec<Document>, StoreError> {
        self.inner.find(collection, instance, lookups).await
    }

    async fn page(&self, page: Page<'_>) -> Result<Vec<Document>, StoreError> {
        self.inner.page(page).await
    }

    async fn due(
        &self,
        collection: Collection,
        at_or_before: i64,
        limit: usize,
    ) -> Result<Vec<(String, Document)>, StoreError> {
        self.inner.due(collection, at_or_before, limit).await
    }

    async fn count(&self, collection: Collection, instance: &str) -> Result<u64, StoreError> {
        self.inner.count(collection, instance).await
    }
}
