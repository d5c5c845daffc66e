//! The embedded store's own promises: reopening, keys, damage, group commit, closing.

use std::os::unix::fs::PermissionsExt;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use dps_core::ports::store::Collection::{Enrollments, Registrations};
use dps_core::ports::store::{Page, Precondition, Refusal, Store, StoreError};
use dps_model::limits::{MAX_WRITES_PER_COMMIT, MAX_WRITES_WAITING};
use dps_store::suite::{assert_same, delete_if, document, full_document, put, put_if};
use dps_store::{OpenOptions, SqliteStore};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::new_sqlite;

fn options(directory: &TempDir) -> OpenOptions {
    OpenOptions::in_directory(directory.path())
}

async fn refusal(options: OpenOptions) -> String {
    SqliteStore::open(options).await.err().expect("the store was opened").to_string()
}

/// Changes the database behind the store's back.
fn tamper(directory: &TempDir, sql: &str) {
    let connection = Connection::open(options(directory).database).unwrap();
    assert!(connection.execute(sql, []).unwrap() > 0, "{sql}");
}

#[tokio::test]
async fn store_reopened_keeps_everything() {
    let (directory, store) = new_sqlite().await;
    let expected = full_document("d");
    store.write(vec![put(Enrollments, "i", expected.clone())]).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let store = SqliteStore::open(options(&directory)).await.unwrap();
    assert_same(&store.get(Enrollments, "i", "d").await.unwrap().unwrap(), &expected);
    assert_eq!(store.count(Enrollments, "i").await.unwrap(), 1);
    assert_eq!(store.find(Enrollments, "i", &expected.lookups).await.unwrap().len(), 1);
}

#[tokio::test]
async fn store_closed_or_dropped_leaves_no_log_behind() {
    for close in [true, false] {
        let (directory, store) = new_sqlite().await;
        store.write(vec![put(Enrollments, "i", document("d"))]).await.unwrap();
        if close {
            store.close().await.unwrap();
            assert!(store.close().await.is_err());
            assert!(store.count(Enrollments, "i").await.unwrap_err().to_string().contains("closed"));
            let write = store.write(vec![put(Enrollments, "i", document("d"))]).await;
            assert!(write.unwrap_err().to_string().contains("closed"));
        }
        drop(store);
        let mut names: Vec<_> =
            std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["store.db", "store.key"]);
    }
}

#[tokio::test]
async fn store_files_are_private() {
    let (directory, store) = new_sqlite().await;
    store.write(vec![put(Enrollments, "i", document("d"))]).await.unwrap();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
    }
}

#[tokio::test]
async fn store_secret_is_nowhere_readable_on_disk() {
    let (directory, store) = new_sqlite().await;
    let mut secret = document("d");
    secret.sealed = Some(dps_model::Secret::new(b"very-recognisable-key".to_vec()));
    store.write(vec![put(Enrollments, "i", secret)]).await.unwrap();
    let there = |needle: &[u8]| {
        std::fs::read_dir(directory.path()).unwrap().any(|entry| {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            bytes.windows(needle.len()).any(|window| window == needle)
        })
    };
    assert!(there(br#"{"id":"d"}"#));
    assert!(!there(b"very-recognisable-key"));
    store.close().await.unwrap();
    assert!(!there(b"very-recognisable-key"));
}

#[tokio::test]
async fn key_wrong_missing_or_open_to_others_is_refused_with_a_sentence() {
    let (directory, store) = new_sqlite().await;
    drop(store);
    let key = options(&directory).key_file;
    let kept = std::fs::read(&key).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let told = refusal(options(&directory)).await;
    assert!(told.contains("open to other users (mode 0644)") && told.contains("chmod 600"), "{told}");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&key, [7; 32]).unwrap();
    let told = refusal(options(&directory)).await;
    assert!(told.contains("is not the one that the store was sealed with"), "{told}");
    std::fs::remove_file(&key).unwrap();
    let told = refusal(options(&directory)).await;
    assert!(told.contains("is missing"), "{told}");
    assert!(!key.exists(), "a new key was made for an old store");
    std::fs::write(&key, kept).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    SqliteStore::open(options(&directory)).await.unwrap();
}

#[tokio::test]
async fn database_that_is_none_is_refused_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let text = "not a database, but somebody's notes ".repeat(100);
    std::fs::write(options(&directory).database, &text).unwrap();
    let told = refusal(options(&directory)).await;
    assert!(told.contains("store.db") && told.contains("not a database"), "{told}");
    assert_eq!(std::fs::read_to_string(options(&directory).database).unwrap(), text);
    let nowhere = OpenOptions::in_directory(&directory.path().join("missing"));
    assert!(refusal(nowhere).await.contains("missing"));
}

#[tokio::test]
async fn row_damaged_is_an_error_that_names_it() {
    let (directory, store) = new_sqlite().await;
    let damages = [
        ("a", "UPDATE enrollments SET sealed = zeroblob(40) WHERE id = 'a'"),
        ("b", "UPDATE enrollments SET body = CAST(x'ff' AS TEXT) WHERE id = 'b'"),
        ("c", "UPDATE enrollments SET lookups = '[1' WHERE id = 'c'"),
        ("d", "UPDATE enrollments SET etag = x'00' WHERE id = 'd'"),
        // The sealed part of another document: its secret must not become this one's.
        (
            "e",
            "UPDATE enrollments SET sealed = (SELECT sealed FROM enrollments WHERE id = 'whole') WHERE id = 'e'",
        ),
    ];
    store.write(vec![put(Enrollments, "i", full_document("whole"))]).await.unwrap();
    for (id, sql) in damages {
        store.write(vec![put(Enrollments, "j", full_document(id))]).await.unwrap();
        tamper(&directory, sql);
        let page = Page { collection: Enrollments, instance: "j", owner: None, after: None, limit: 10 };
        for error in [
            store.get(Enrollments, "j", id).await.map(drop).unwrap_err(),
            store.page(page).await.map(drop).unwrap_err(),
        ] {
            let told = error.to_string();
            assert!(told.contains(&format!("{id} of enrollments is damaged")), "{told}");
        }
        // Nobody else suffers, and what is due behind it is still found.
        let due = store.due(Enrollments, i64::MAX, 10).await.unwrap();
        assert_eq!(due.iter().map(|(_, document)| document.id.as_str()).collect::<Vec<_>>(), ["whole"]);
        assert!(store.get(Enrollments, "i", "whole").await.unwrap().is_some());
        // Damage that a write must read is an error of that write.
        let over = store.write(vec![put(Enrollments, "j", full_document(id))]).await;
        assert_eq!(over.is_err(), matches!(id, "c" | "d"), "{over:?}");
        tamper(&directory, "DELETE FROM enrollments WHERE instance = 'j'");
    }
}

#[tokio::test]
async fn page_of_the_file_damaged_is_an_error_and_no_panic() {
    let (directory, store) = new_sqlite().await;
    let writes = (0..500).map(|number| put(Enrollments, "i", full_document(&format!("{number:04}"))));
    store.write(writes.collect()).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let database = options(&directory).database;
    let whole = std::fs::read(&database).unwrap();
    let mut errors = 0;
    for page in 1..whole.len() / 4096 {
        let mut damaged = whole.clone();
        damaged[page * 4096..page * 4096 + 64].fill(0xA5);
        std::fs::write(&database, &damaged).unwrap();
        let Ok(store) = SqliteStore::open(options(&directory)).await else {
            errors += 1;
            continue;
        };
        for number in (0..500).step_by(50) {
            let id = format!("{number:04}");
            errors += usize::from(store.get(Enrollments, "i", &id).await.is_err());
            errors += usize::from(store.find(Enrollments, "i", &[format!("text '{id}'")]).await.is_err());
        }
        errors += usize::from(store.due(Enrollments, i64::MAX, 1_000).await.is_err());
        errors += usize::from(store.write(vec![put(Enrollments, "i", full_document("0100"))]).await.is_err());
    }
    assert!(errors > 0, "no damage was noticed");
}

/// Polls once: the write is queued, and not answered while the writer stands still.
async fn queued(future: std::pin::Pin<&mut (impl Future<Output = Result<(), StoreError>> + ?Sized)>) {
    let mut future = future;
    let poll = std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
    assert!(poll.is_pending(), "{poll:?}");
}

#[tokio::test]
async fn group_one_commit_and_each_batch_its_own_answer() {
    let (_directory, store) = new_sqlite().await;
    store.write(vec![put(Enrollments, "i", document("taken"))]).await.unwrap();
    let before = store.commits();
    let paused = store.pause().unwrap();
    // The pause may not have begun; a batch before it would be a commit of its own, so this one is let through.
    let absent = |id: &str| put_if(Enrollments, "i", document(id), Precondition::Absent);
    let mut first = pin!(store.write(vec![absent("a"), put(Registrations, "i", document("a"))]));
    let mut second = pin!(store.write(vec![put(Registrations, "i", document("b")), absent("taken")]));
    let mut third = pin!(store.write(vec![absent("a")]));
    let mut fourth = pin!(store.write(vec![delete_if(Enrollments, "i", "taken", Precondition::Present)]));
    queued(first.as_mut()).await;
    queued(second.as_mut()).await;
    queued(third.as_mut()).await;
    queued(fourth.as_mut()).await;
    drop(paused);
    assert_eq!(first.await, Ok(()));
    assert_eq!(second.await, Err(StoreError::Refused { index: 1, why: Refusal::Exists }));
    assert_eq!(third.await, Err(StoreError::Refused { index: 0, why: Refusal::Exists }));
    assert_eq!(fourth.await, Ok(()));
    assert_eq!(store.commits() - before, 1);
    assert!(store.get(Registrations, "i", "b").await.unwrap().is_none());
    assert_eq!(store.count(Enrollments, "i").await.unwrap(), 1);
    assert_eq!(store.count(Registrations, "i").await.unwrap(), 1);
}

#[tokio::test]
async fn queue_full_is_busy_and_then_serves_again() {
    let (_directory, store) = new_sqlite().await;
    let paused = store.pause().unwrap();
    let batch = |batch: usize| {
        let writes = (0..MAX_WRITES_PER_COMMIT)
            .map(|number| put(Enrollments, "i", document(&format!("{batch}-{number}"))));
        writes.collect::<Vec<_>>()
    };
    let mut waiting: Vec<_> = (0..MAX_WRITES_WAITING / MAX_WRITES_PER_COMMIT)
        .map(|number| Box::pin(store.write(batch(number))))
        .collect();
    for write in &mut waiting {
        queued(write.as_mut()).await;
    }
    assert_eq!(store.write(vec![put(Enrollments, "i", document("d"))]).await, Err(StoreError::Busy));
    drop(paused);
    for write in waiting {
        write.await.unwrap();
    }
    store.write(vec![put(Enrollments, "i", document("d"))]).await.unwrap();
    assert_eq!(store.count(Enrollments, "i").await.unwrap(), MAX_WRITES_WAITING as u64 + 1);
}

#[tokio::test]
async fn close_with_a_full_queue_does_what_was_asked_before() {
    let (directory, store) = new_sqlite().await;
    let store = Arc::new(store);
    let paused = store.pause().unwrap();
    let mut writes: Vec<_> = (0..100)
        .map(|number| Box::pin(store.write(vec![put(Enrollments, "i", document(&number.to_string()))])))
        .collect();
    for write in &mut writes {
        queued(write.as_mut()).await;
    }
    let mut close = pin!(store.close());
    queued(close.as_mut()).await;
    drop(paused);
    close.await.unwrap();
    for write in writes {
        assert_eq!(write.await, Ok(()));
    }
    let store = SqliteStore::open(options(&directory)).await.unwrap();
    assert_eq!(store.count(Enrollments, "i").await.unwrap(), 100);
}
