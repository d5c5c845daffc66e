//! A store as it would be with one more document: reads go through, nothing is ever written. Must not know what the
//! document means.

use std::sync::Arc;

use async_trait::async_trait;

use crate::ports::{Collection, Document, Page, Store, StoreError, Write};

/// The store beneath, and what is laid over it.
pub(super) struct Overlay {
    beneath: Arc<dyn Store>,
    over: Option<Laid>,
}

/// A document in place of the one of its id, or beside all others.
pub(crate) struct Laid {
    pub(crate) collection: Collection,
    pub(crate) instance: String,
    pub(crate) document: Document,
}

impl Laid {
    /// What a write would store.
    pub(crate) fn of(write: Write) -> Option<Self> {
        match write {
            Write::Put { collection, instance, document, .. } => {
                Some(Self { collection, instance, document })
            }
            Write::Delete { .. } | Write::Clear { .. } => None,
        }
    }
}

impl Overlay {
    pub(super) fn new(beneath: Arc<dyn Store>, over: Option<Laid>) -> Self {
        Self { beneath, over }
    }

    fn laid(&self, collection: Collection, instance: &str) -> Option<&Document> {
        let laid = self.over.as_ref()?;
        (laid.collection == collection && laid.instance == instance).then_some(&laid.document)
    }
}

/// Puts the document among others that are in the order of ids.
fn insert(documents: &mut Vec<Document>, document: &Document) {
    documents.retain(|other| other.id != document.id);
    let place = documents.partition_point(|other| other.id < document.id);
    documents.insert(place, document.clone());
}

#[async_trait]
impl Store for Overlay {
    async fn get(
        &self,
        collection: Collection,
        instance: &str,
        id: &str,
    ) -> Result<Option<Document>, StoreError> {
        match self.laid(collection, instance).filter(|document| document.id == id) {
            Some(document) => Ok(Some(document.clone())),
            None => self.beneath.get(collection, instance, id).await,
        }
    }

    async fn write(&self, _writes: Vec<Write>) -> Result<(), StoreError> {
        Err(StoreError::Failed("a rehearsal writes nothing".into()))
    }

    async fn find(
        &self,
        collection: Collection,
        instance: &str,
        lookups: &[String],
    ) -> Result<Vec<Document>, StoreError> {
        let mut found = self.beneath.find(collection, instance, lookups).await?;
        if let Some(document) = self.laid(collection, instance) {
            found.retain(|other| other.id != document.id);
            if document.lookups.iter().any(|text| lookups.contains(text)) {
                insert(&mut found, document);
            }
        }
        Ok(found)
    }

    async fn page(&self, page: Page<'_>) -> Result<Vec<Document>, StoreError> {
        let mut found = self.beneath.page(page).await?;
        let Some(document) = self.laid(page.collection, page.instance) else { return Ok(found) };
        let whole = found.len() == page.limit;
        // On a whole page what comes behind its last belongs to the next one.
        let last = found.last().map(|document| document.id.clone()).filter(|_| whole);
        found.retain(|other| other.id != document.id);
        let listed = page.owner.is_none_or(|owner| document.owner.as_deref() == Some(owner))
            && page.after.is_none_or(|after| document.id.as_str() > after)
            && last.is_none_or(|last| document.id <= last);
        if listed {
            insert(&mut found, document);
        }
        Ok(found)
    }

    async fn due(
        &self,
        collection: Collection,
        at_or_before: i64,
        limit: usize,
    ) -> Result<Vec<(String, Document)>, StoreError> {
        self.beneath.due(collection, at_or_before, limit).await
    }

    async fn count(&self, collection: Collection, instance: &str) -> Result<u64, StoreError> {
        self.beneath.count(collection, instance).await
    }
}
