//! What watching keeps, in any store: shelves become instances of one collection, the rollups have one of their own.
//! Must not know what stands on a shelf.

use std::sync::Arc;

use async_trait::async_trait;
use dps_core::ports::store::{Collection, Document, Page, Precondition, Store, StoreError, Write};
use dps_monitor::{Kept, MonitorState, Shelf, StateError, StateWrite};

/// The state of monitoring in a store.
#[derive(Clone)]
pub struct StoreState(Arc<dyn Store>);

impl StoreState {
    /// Over that store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }
}

#[async_trait]
impl MonitorState for StoreState {
    async fn get(&self, shelf: Shelf, id: &str) -> Result<Option<Kept>, StateError> {
        let found = self.0.get(collection(shelf), shelf.name(), id).await;
        found.map(|document| document.map(kept)).map_err(failed)
    }

    async fn list(&self, shelf: Shelf, after: Option<&str>, limit: usize) -> Result<Vec<Kept>, StateError> {
        let page = Page { collection: collection(shelf), instance: shelf.name(), owner: None, after, limit };
        let found = self.0.page(page).await.map_err(failed)?;
        Ok(found.into_iter().map(kept).collect())
    }

    async fn write(&self, writes: Vec<StateWrite>) -> Result<(), StateError> {
        self.0.write(writes.into_iter().map(write).collect()).await.map_err(failed)
    }
}

fn collection(shelf: Shelf) -> Collection {
    match shelf {
        Shelf::Rollups => Collection::Rollups,
        Shelf::DiagnosticSettings
        | Shelf::MetricAlerts
        | Shelf::QueryRules
        | Shelf::ActionGroups
        | Shelf::Evaluations
        | Shelf::Alerts
        | Shelf::Notifications
        | Shelf::Inbox
        | Shelf::Places => Collection::Monitoring,
    }
}

fn write(write: StateWrite) -> Write {
    match write {
        StateWrite::Put { shelf, document, over } => Write::Put {
            collection: collection(shelf),
            instance: shelf.name().to_owned(),
            document: document_of(document),
            precondition: match over {
                None => Precondition::None,
                Some(None) => Precondition::Absent,
                Some(Some(etag)) => Precondition::Matches(etag),
            },
        },
        StateWrite::Delete { shelf, id } => Write::Delete {
            collection: collection(shelf),
            instance: shelf.name().to_owned(),
            id,
            precondition: Precondition::None,
        },
    }
}

fn document_of(kept: Kept) -> Document {
    let Kept { id, etag, body, sealed } = kept;
    Document { id, etag, body, sealed, owner: None, due: None, lookups: Vec::new() }
}

fn kept(document: Document) -> Kept {
    let Document { id, etag, body, sealed, .. } = document;
    Kept { id, etag, body, sealed }
}

fn failed(error: StoreError) -> StateError {
    match error {
        StoreError::Refused { .. } => StateError::Changed,
        StoreError::Busy => StateError::Busy,
        StoreError::Failed(why) => StateError::Failed(why),
    }
}
