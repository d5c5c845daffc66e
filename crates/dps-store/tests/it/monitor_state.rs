//! The state of monitoring, on every store.

use std::sync::Arc;

use dps_core::ports::store::{Collection, Store};
use dps_model::{Etag, Secret};
use dps_monitor::{Kept, MonitorState as _, Shelf, StateError, StateWrite};
use dps_store::{Fault, FaultyStore, MemoryStore, OpenOptions, Schedule, SqliteStore, StoreState};
use rusqlite::Connection;

use crate::new_sqlite;

fn kept(id: &str, body: &str) -> Kept {
    Kept { id: id.into(), etag: Etag::fresh(), body: body.into(), sealed: None }
}

fn put(shelf: Shelf, document: Kept) -> StateWrite {
    StateWrite::Put { shelf, document, over: None }
}

fn put_over(shelf: Shelf, document: Kept, over: Option<Etag>) -> StateWrite {
    StateWrite::Put { shelf, document, over: Some(over) }
}

async fn body(state: &StoreState, shelf: Shelf, id: &str) -> Option<String> {
    state.get(shelf, id).await.unwrap().map(|kept| kept.body)
}

async fn shelves_are_apart(store: Arc<dyn Store>) {
    let state = StoreState::new(Arc::clone(&store));
    let writes = Shelf::ALL.map(|shelf| put(shelf, kept("same", shelf.name())));
    state.write(writes.into()).await.unwrap();
    for shelf in Shelf::ALL {
        assert_eq!(body(&state, shelf, "same").await.as_deref(), Some(shelf.name()));
        assert_eq!(state.list(shelf, None, 10).await.unwrap().len(), 1);
    }
    assert_eq!(store.count(Collection::Rollups, "rollups").await.unwrap(), 1);
    assert_eq!(store.count(Collection::Monitoring, "alerts").await.unwrap(), 1);
    let delete = StateWrite::Delete { shelf: Shelf::Alerts, id: "same".into() };
    state.write(vec![delete.clone()]).await.unwrap();
    state.write(vec![delete]).await.unwrap();
    assert_eq!(body(&state, Shelf::Alerts, "same").await, None);
    assert!(body(&state, Shelf::Places, "same").await.is_some());
}

async fn conditions_hold_or_nothing_is_written(store: Arc<dyn Store>) {
    let state = StoreState::new(store);
    let shelf = Shelf::MetricAlerts;
    let first = kept("a", "1");
    state.write(vec![put_over(shelf, first.clone(), None)]).await.unwrap();
    let batch = vec![put(shelf, kept("b", "x")), put_over(shelf, kept("a", "2"), None)];
    assert_eq!(state.write(batch).await, Err(StateError::Changed));
    assert_eq!(body(&state, shelf, "b").await, None);
    let second = kept("a", "2");
    state.write(vec![put_over(shelf, second, Some(first.etag.clone()))]).await.unwrap();
    let late = state.write(vec![put_over(shelf, kept("a", "3"), Some(first.etag))]).await;
    assert_eq!(late, Err(StateError::Changed));
    let missing = state.write(vec![put_over(shelf, kept("c", "1"), Some(Etag::fresh()))]).await;
    assert_eq!(missing, Err(StateError::Changed));
    assert_eq!(body(&state, shelf, "a").await.as_deref(), Some("2"));
}

async fn listed_in_order_after_and_limit(store: Arc<dyn Store>) {
    let state = StoreState::new(store);
    let writes = ["b", "a", "d", "c"].map(|id| put(Shelf::Rollups, kept(id, "{}")));
    state.write(writes.into()).await.unwrap();
    let ids = async |after, limit| -> Vec<String> {
        let listed = state.list(Shelf::Rollups, after, limit).await.unwrap();
        listed.into_iter().map(|kept| kept.id).collect()
    };
    assert_eq!(ids(None, 10).await, ["a", "b", "c", "d"]);
    assert_eq!(ids(Some("a"), 2).await, ["b", "c"]);
    assert!(ids(Some("d"), 2).await.is_empty());
}

async fn sealed_part_reads_back(store: Arc<dyn Store>) {
    let state = StoreState::new(store);
    let sealed = Some(Secret::new(b"https://hook/key".to_vec()));
    let document = Kept { sealed: sealed.clone(), ..kept("g", "{}") };
    state.write(vec![put(Shelf::ActionGroups, document)]).await.unwrap();
    let found = state.get(Shelf::ActionGroups, "g").await.unwrap().unwrap();
    assert!(found.sealed == sealed);
}

macro_rules! on_every_store {
    ($($case:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $case() {
                super::$case(crate::open_memory().await.1).await;
            })*
        }
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                let (_directory, store) = crate::open_sqlite().await;
                super::$case(store).await;
            })*
        }
    };
}

on_every_store!(
    shelves_are_apart,
    conditions_hold_or_nothing_is_written,
    listed_in_order_after_and_limit,
    sealed_part_reads_back,
);

#[tokio::test]
async fn state_reopened_is_there_and_its_secret_is_not_on_disk() {
    let (directory, store) = new_sqlite().await;
    let state = StoreState::new(Arc::new(store));
    let sealed = Some(Secret::new(b"hook-secret-value".to_vec()));
    let document = Kept { sealed, ..kept("g", "{}") };
    state.write(vec![put(Shelf::ActionGroups, document)]).await.unwrap();
    drop(state);
    let options = OpenOptions::in_directory(directory.path());
    let on_disk = std::fs::read(&options.database).unwrap();
    assert!(!on_disk.windows(17).any(|window| window == b"hook-secret-value"));

    // Sealed to its place: moved to another id, it opens no more.
    let connection = Connection::open(&options.database).unwrap();
    let copy = "INSERT INTO monitoring SELECT instance, 'moved', etag, body, sealed, owner, due, lookups \
                FROM monitoring WHERE id = 'g'";
    assert_eq!(connection.execute(copy, []).unwrap(), 1);
    drop(connection);
    let store = SqliteStore::open(OpenOptions::in_directory(directory.path())).await.unwrap();
    let state = StoreState::new(Arc::new(store));
    let found = state.get(Shelf::ActionGroups, "g").await.unwrap().unwrap();
    assert!(found.sealed.is_some_and(|sealed| sealed.expose() == b"hook-secret-value"));
    assert!(matches!(state.get(Shelf::ActionGroups, "moved").await, Err(StateError::Failed(_))));
}

#[tokio::test]
async fn store_that_is_busy_or_fails_says_which() {
    for (fault, busy) in [(Fault::Busy, true), (Fault::Before, false)] {
        let store = FaultyStore::new(MemoryStore::new(), Schedule::quiet().crash_at_write(0, fault));
        let state = StoreState::new(Arc::new(store));
        let error = state.write(vec![put(Shelf::Places, kept("p", "{}"))]).await.unwrap_err();
        assert_eq!(error == StateError::Busy, busy, "{error}");
        assert_eq!(matches!(error, StateError::Failed(_)), !busy, "{error}");
    }
}
