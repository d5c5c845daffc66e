//! An instance whose name another had before: nothing of the former one is the new one's.

use std::sync::Arc;

use async_trait::async_trait;
use dps_attestation::sas_token::sign_for_device;
use dps_attestation::symmetric_key::derive_device_key;
use dps_core::ports::{Clock, Collection, Document, Page, Store, StoreError, Write};
use dps_core::{DeviceRequest, Throttle};
use dps_model::instance::Instance;
use dps_model::limits::Profile;
use dps_model::{IdScope, RegistrationId, Secret};
use dps_store::MemoryStore;
use tokio::sync::Semaphore;

use crate::bed::{Bed, Device, NOW, input, instance, linked, primary, register, symmetric};

/// Lets the first write of a registration wait.
struct Holding {
    inner: MemoryStore,
    waits: Semaphore,
    go_on: Semaphore,
}

#[async_trait]
impl Store for Holding {
    async fn get(&self, c: Collection, instance: &str, id: &str) -> Result<Option<Document>, StoreError> {
        self.inner.get(c, instance, id).await
    }
    async fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let admits =
            |write: &Write| matches!(write, Write::Put { collection: Collection::Registrations, .. });
        if writes.iter().any(admits) {
            self.waits.add_permits(1);
            let _ = self.go_on.acquire().await.unwrap();
        }
        self.inner.write(writes).await
    }
    async fn find(&self, c: Collection, i: &str, texts: &[String]) -> Result<Vec<Document>, StoreError> {
        self.inner.find(c, i, texts).await
    }
    async fn page(&self, page: Page<'_>) -> Result<Vec<Document>, StoreError> {
        self.inner.page(page).await
    }
    async fn due(&self, c: Collection, at: i64, limit: usize) -> Result<Vec<(String, Document)>, StoreError> {
        self.inner.due(c, at, limit).await
    }
    async fn count(&self, collection: Collection, instance: &str) -> Result<u64, StoreError> {
        self.inner.count(collection, instance).await
    }
}

fn second() -> Instance {
    let hubs = vec![linked("hub-a.example", 1)];
    Instance { name: "second".into(), id_scope: IdScope::fresh(), ..instance(hubs) }
}

fn request(bed: &Bed, instance: &Instance, key: &Secret) -> DeviceRequest {
    let id = RegistrationId::parse("dev-1").unwrap();
    let token = sign_for_device(&instance.id_scope, &id, key, bed.clock.now().seconds() + 3_600);
    DeviceRequest {
        id_scope: instance.id_scope.as_str().to_owned(),
        sas_token: Some(token.into()),
        ..bed.request(&Device::keyed("dev-1", key.clone()), register())
    }
}

#[tokio::test]
async fn successor_of_a_deleted_instance_sees_no_late_registration_key_ring_or_used_up_throttle() {
    let (waits, go_on) = (Semaphore::new(0), Semaphore::new(0));
    let store = Arc::new(Holding { inner: MemoryStore::new(), waits, go_on });
    let hubs = vec![linked("hub-a.example", 1)];
    let throttle = |clock| Throttle::new(Profile::Azure, clock);
    let shared: Arc<dyn Store> = Arc::clone(&store) as _;
    let bed = Bed::throttled(shared, Arc::default(), Arc::default(), hubs, NOW, throttle).await;
    let former = bed.instances.create(second()).await.unwrap().instance;
    let made = bed.enrollments.put_group(&former, "fleet", input(&symmetric()), None).await.unwrap();
    let key = derive_device_key(&primary(&made.value.attestation), "dev-1");
    let (provisioning, asked) = (Arc::clone(&bed.provisioning), request(&bed, &former, &key));
    let late = tokio::spawn(async move { provisioning.serve(asked).await });
    store.waits.acquire().await.unwrap().forget();
    while bed.throttle.service_operation(former.rows()).is_ok() {}

    bed.instances.begin_deletion(&bed.instances.by_name("second").unwrap(), None).await.unwrap();
    bed.instances.purge("second").await.unwrap();
    let successor = bed.instances.create(second()).await.unwrap().instance;
    store.go_on.add_permits(1_000);
    late.await.unwrap().unwrap();
    assert!(bed.enrollments.registration(&successor, "dev-1").await.is_err(), "the former one's");
    assert!(bed.throttle.service_operation(successor.rows()).is_ok());
    assert!(bed.ask(request(&bed, &successor, &key)).await.is_err());
    assert_eq!(bed.events.last_register().groups_tried, 0, "the ring of the former one");
}
