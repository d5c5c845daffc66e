//! The store without a disk: the same behaviour in memory, for tests. Nothing survives the process.
//!
//! Owns the simplest statement of what the port means; the other stores are judged by the same suite.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use async_trait::async_trait;
use dps_core::ports::store::{Collection, Document, Page, Store, StoreError, Write};
use dps_model::limits::MAX_PAGE;
use tokio::sync::RwLock;

use crate::rules;

/// Documents in memory. Cheap to make; every test may have its own.
#[derive(Default)]
pub struct MemoryStore {
    shelves: RwLock<Shelves>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

/// Instance and id.
type Key = (String, String);

/// All collections, by name.
type Shelves = BTreeMap<&'static str, Shelf>;

/// One collection with its indexes.
#[derive(Default)]
struct Shelf {
    documents: BTreeMap<Key, Document>,
    /// Instance, text, id.
    lookups: BTreeSet<(String, String, String)>,
    /// Due, instance, id.
    due: BTreeSet<(i64, String, String)>,
}

impl Shelf {
    /// Takes a document out of the shelf and its indexes.
    fn take(&mut self, key: &Key) -> Option<Document> {
        let document = self.documents.remove(key)?;
        for text in &document.lookups {
            self.lookups.remove(&(key.0.clone(), text.clone(), key.1.clone()));
        }
        if let Some(due) = document.due {
            self.due.remove(&(due, key.0.clone(), key.1.clone()));
        }
        Some(document)
    }

    /// Puts a document in, over what was there.
    fn put(&mut self, key: Key, document: Document) -> Option<Document> {
        let before = self.take(&key);
        for text in &document.lookups {
            self.lookups.insert((key.0.clone(), text.clone(), key.1.clone()));
        }
        if let Some(due) = document.due {
            self.due.insert((due, key.0.clone(), key.1.clone()));
        }
        self.documents.insert(key, document);
        before
    }
}

/// Does one write, and says how to undo it.
fn apply(shelves: &mut Shelves, index: usize, write: Write) -> Result<Vec<Undo>, StoreError> {
    let (collection, instance, id, precondition, document) = match write {
        Write::Clear { collection, instance } => return Ok(clear(shelves, collection, &instance)),
        Write::Put { collection, instance, document, precondition } => {
            (collection, instance, document.id.clone(), precondition, Some(document))
        }
        Write::Delete { collection, instance, id, precondition } => {
            (collection, instance, id, precondition, None)
        }
    };
    let shelf = shelves.entry(collection.name()).or_default();
    let key = (instance, id);
    let current = shelf.documents.get(&key).map(|there| there.etag.0.as_str());
    rules::judge(&precondition, current).map_err(|why| StoreError::Refused { index, why })?;
    let before = match document {
        Some(document) => shelf.put(key.clone(), document),
        None => shelf.take(&key),
    };
    Ok(vec![Undo { collection, key, before }])
}

fn clear(shelves: &mut Shelves, collection: Collection, instance: &str) -> Vec<Undo> {
    let shelf = shelves.entry(collection.name()).or_default();
    let first = (instance.to_owned(), String::new());
    let keys = shelf.documents.range(first..).map(|(key, _)| key.clone());
    let keys: Vec<Key> = keys.take_while(|(whose, _)| whose == instance).collect();
    let mut undo = |key: Key| Undo { collection, before: shelf.take(&key), key };
    keys.into_iter().map(&mut undo).collect()
}

/// What a write replaced.
struct Undo {
    collection: Collection,
    key: Key,
    before: Option<Document>,
}

impl Undo {
    fn undo(self, shelves: &mut Shelves) {
        let shelf = shelves.entry(self.collection.name()).or_default();
        match self.before {
            Some(document) => {
                shelf.put(self.key, document);
            }
            None => {
                shelf.take(&self.key);
            }
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(
        &self,
        collection: Collection,
        instance: &str,
        id: &str,
    ) -> Result<Option<Document>, StoreError> {
        let shelves = self.shelves.read().await;
        let key = (instance.to_owned(), id.to_owned());
        Ok(shelves.get(collection.name()).and_then(|shelf| shelf.documents.get(&key)).cloned())
    }

    async fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        rules::check_writes(&writes)?;
        let mut shelves = self.shelves.write().await;
        let mut done = Vec::with_capacity(writes.len());
        for (index, write) in writes.into_iter().enumerate() {
            match apply(&mut shelves, index, write) {
                Ok(undo) => done.extend(undo),
                Err(error) => {
                    done.into_iter().rev().for_each(|undo| undo.undo(&mut shelves));
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    async fn find(
        &self,
        collection: Collection,
        instance: &str,
        lookups: &[String],
    ) -> Result<Vec<Document>, StoreError> {
        rules::check_lookups(lookups)?;
        let shelves = self.shelves.read().await;
        let Some(shelf) = shelves.get(collection.name()) else { return Ok(Vec::new()) };
        let mut found = BTreeMap::new();
        for text in lookups {
            let first = (instance.to_owned(), text.clone(), String::new());
            for (_, _, id) in
                shelf.lookups.range(first..).take_while(|(i, t, _)| i == instance && t == text).take(MAX_PAGE)
            {
                let key = (instance.to_owned(), id.clone());
                if let Some(document) = shelf.documents.get(&key) {
                    found.insert(id.clone(), document.clone());
                }
            }
        }
        Ok(found.into_values().take(MAX_PAGE).collect())
    }

    async fn page(&self, page: Page<'_>) -> Result<Vec<Document>, StoreError> {
        let shelves = self.shelves.read().await;
        let Some(shelf) = shelves.get(page.collection.name()) else { return Ok(Vec::new()) };
        let first = match page.after {
            Some(after) => Bound::Excluded((page.instance.to_owned(), after.to_owned())),
            None => Bound::Included((page.instance.to_owned(), String::new())),
        };
        Ok(shelf
            .documents
            .range((first, Bound::Unbounded))
            .take_while(|((instance, _), _)| instance == page.instance)
            .filter(|(_, document)| page.owner.is_none() || document.owner.as_deref() == page.owner)
            .take(rules::page_limit(page.limit))
            .map(|(_, document)| document.clone())
            .collect())
    }

    async fn due(
        &self,
        collection: Collection,
        at_or_before: i64,
        limit: usize,
    ) -> Result<Vec<(String, Document)>, StoreError> {
        let shelves = self.shelves.read().await;
        let Some(shelf) = shelves.get(collection.name()) else { return Ok(Vec::new()) };
        Ok(shelf
            .due
            .iter()
            .take_while(|(due, _, _)| *due <= at_or_before)
            .take(rules::page_limit(limit))
            .filter_map(|(_, instance, id)| {
                let document = shelf.documents.get(&(instance.clone(), id.clone()))?;
                Some((instance.clone(), document.clone()))
            })
            .collect())
    }

    async fn count(&self, collection: Collection, instance: &str) -> Result<u64, StoreError> {
        let shelves = self.shelves.read().await;
        let Some(shelf) = shelves.get(collection.name()) else { return Ok(0) };
        let first = (instance.to_owned(), String::new());
        let count = shelf.documents.range(first..).take_while(|((i, _), _)| i == instance).count();
        Ok(count as u64)
    }
}
