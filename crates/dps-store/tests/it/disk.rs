//! A disk that is full or does not answer: nothing acknowledged is lost, nothing lost is acknowledged.

use dps_core::ports::store::Collection::Enrollments;
use dps_core::ports::store::{Precondition, Store, StoreError};
use dps_store::suite::{assert_same, document, full_document, put, put_if};

use crate::new_sqlite;

fn failed(answer: Result<(), StoreError>) -> String {
    match answer {
        Err(StoreError::Failed(cause)) => cause,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn disk_full_fails_writes_serves_reads_and_recovers() {
    let (_directory, store) = new_sqlite().await;
    let before = full_document("before");
    store.write(vec![put(Enrollments, "i", before.clone())]).await.unwrap();
    store.fill_disk().unwrap();
    let mut large = document("large");
    large.body = "x".repeat(100_000);
    for _ in 0..3 {
        let writes = vec![put(Enrollments, "i", document("small")), put(Enrollments, "i", large.clone())];
        assert!(failed(store.write(writes).await).contains("full"));
        assert_same(&store.get(Enrollments, "i", "before").await.unwrap().unwrap(), &before);
        assert!(store.get(Enrollments, "i", "small").await.unwrap().is_none());
        assert_eq!(store.count(Enrollments, "i").await.unwrap(), 1);
    }
    store.free_disk().unwrap();
    store.write(vec![put(Enrollments, "i", large.clone())]).await.unwrap();
    assert_same(&store.get(Enrollments, "i", "large").await.unwrap().unwrap(), &large);
    assert_eq!(store.count(Enrollments, "i").await.unwrap(), 2);
}

#[tokio::test]
async fn commit_fails_no_batch_of_the_group_happened() {
    let (_directory, store) = new_sqlite().await;
    store.fail_commits(1).unwrap();
    let insert = |id: &str| vec![put_if(Enrollments, "i", full_document(id), Precondition::Absent)];
    assert!(failed(store.write(insert("a")).await).contains("commit"));
    assert!(store.get(Enrollments, "i", "a").await.unwrap().is_none());
    store.write(insert("a")).await.unwrap();

    let paused = store.pause().unwrap();
    store.fail_commits(1).unwrap();
    let (one, two, ()) = tokio::join!(biased; store.write(insert("b")), store.write(insert("c")), async {
        drop(paused);
    });
    failed(one);
    failed(two);
    assert_eq!(store.count(Enrollments, "i").await.unwrap(), 1);
    let (one, two) = tokio::join!(store.write(insert("b")), store.write(insert("c")));
    assert_eq!((one, two), (Ok(()), Ok(())));
    assert_eq!(store.count(Enrollments, "i").await.unwrap(), 3);
}
