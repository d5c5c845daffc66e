//! Callers that go away in the middle of a change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use dps_core::ports::{Collection, Document, Page, Store, StoreError, Write};
use dps_store::MemoryStore;
use serde_json::json;

use crate::fixture::World;

/// A store that, while told so, does its writes and never says that it did.
#[derive(Default)]
struct Mute {
    inner: MemoryStore,
    mute: AtomicBool,
}

#[async_trait]
impl Store for Mute {
    async fn get(
        &self,
        collection: Collection,
        instance: &str,
        id: &str,
    ) -> Result<Option<Document>, StoreError> {
        self.inner.get(collection, instance, id).await
    }

    async fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let written = self.inner.write(writes).await;
        if self.mute.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        written
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

#[tokio::test(start_paused = true)]
async fn change_whose_caller_left_disconnects_the_device() {
    let store = Arc::new(Mute::default());
    let world = World::on(store.clone());
    for (change, body) in [
        ("PUT /devices/d1", Some(json!({"status": "disabled"}))),
        ("PATCH /twins/d1", Some(json!({"properties": {"desired": {"a": 1}}}))),
        ("DELETE /devices/d1", None),
    ] {
        world.call("DELETE /devices/d1", &[], None).await;
        world.device("d1").await;
        let mut client = world.connected("d1").await;
        store.mute.store(true, Ordering::SeqCst);
        let caller = world.call(change, &[("if-match", "*")], body);
        assert!(tokio::time::timeout(std::time::Duration::from_secs(1), caller).await.is_err(), "{change}");
        store.mute.store(false, Ordering::SeqCst);
        let abandoned = tokio::time::Instant::now();
        assert_eq!(client.receive().await, None, "{change}");
        // At once, not when the keep alive ends: paused time would take us there too.
        assert_eq!(abandoned.elapsed().as_secs(), 0, "{change}");
    }
}
