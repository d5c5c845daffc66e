//! The store in memory, which makes readers of registrations wait while a test holds it.

use std::collections::BTreeSet;

use async_trait::async_trait;
use dps_core::ports::{Collection, Document, Page, Store, StoreError, Write};
use dps_store::MemoryStore;
use tokio::sync::watch;

pub struct HeldStore {
    inner: MemoryStore,
    held: watch::Sender<bool>,
    asked: watch::Sender<BTreeSet<String>>,
}

impl HeldStore {
    pub fn new() -> Self {
        Self { inner: MemoryStore::new(), held: watch::Sender::new(false), asked: watch::Sender::default() }
    }

    /// Readers of registrations wait from now on, or go on.
    pub fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    /// Waits until somebody waits to read that registration.
    pub async fn asked_for(&self, id: &str) {
        self.asked.subscribe().wait_for(|asked| asked.contains(id)).await.unwrap();
    }
}

#[async_trait]
impl Store for HeldStore {
    async fn get(&self, of: Collection, instance: &str, id: &str) -> Result<Option<Document>, StoreError> {
        if of == Collection::Registrations && *self.held.borrow() {
            self.asked.send_modify(|asked| {
                asked.insert(id.to_owned());
            });
            self.held.subscribe().wait_for(|held| !held).await.unwrap();
        }
        self.inner.get(of, instance, id).await
    }

    async fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.inner.write(writes).await
    }

    async fn find(
        &self,
        of: Collection,
        instance: &str,
        lookups: &[String],
    ) -> Result<Vec<Document>, StoreError> {
        self.inner.find(of, instance, lookups).await
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
