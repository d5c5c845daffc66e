//! Many tasks at once: preconditions decide, nothing is lost, nobody suffers for another.

use std::sync::Arc;

use dps_core::ports::store::Collection::{Enrollments, Registrations};
use dps_core::ports::store::{Document, Precondition, Refusal, Store, StoreError};

use super::{assert_same, document, full_document, get, put, put_if, refused};

const TASKS: usize = 16;

/// Runs a task for each number and returns what they returned.
async fn together<T, F>(task: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = (0..TASKS).map(|number| tokio::spawn(task(number))).collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

pub async fn concurrent_inserts_of_one_id_one_wins(store: Arc<dyn Store>) {
    for round in 0..20 {
        let id = format!("d{round}");
        let answers = together(|number| {
            let store = Arc::clone(&store);
            let mut document = document(&id);
            document.body = number.to_string();
            async move { store.write(vec![put_if(Enrollments, "i", document, Precondition::Absent)]).await }
        })
        .await;
        let winners: Vec<usize> = answers
            .iter()
            .enumerate()
            .filter(|(_, answer)| answer.is_ok())
            .map(|(number, _)| number)
            .collect();
        assert_eq!(winners.len(), 1, "{answers:?}");
        assert!(answers.iter().all(|answer| answer.is_ok() || *answer == refused(0, Refusal::Exists)));
        assert_eq!(get(&*store, Enrollments, "i", &id).await.unwrap().body, winners[0].to_string());
    }
    assert_eq!(store.count(Enrollments, "i").await.unwrap(), 20);
}

pub async fn concurrent_compare_and_set_loses_nothing(store: Arc<dyn Store>) {
    const ADDITIONS: usize = 10;
    let mut counter = document("counter");
    counter.body = "0".into();
    store.write(vec![put(Enrollments, "i", counter)]).await.unwrap();
    together(|_| {
        let store = Arc::clone(&store);
        async move {
            for _ in 0..ADDITIONS {
                while !add_one(&*store).await {}
            }
        }
    })
    .await;
    let counter = get(&*store, Enrollments, "i", "counter").await.unwrap();
    assert_eq!(counter.body, (TASKS * ADDITIONS).to_string());
}

/// Adds one to the counter unless somebody else was faster.
async fn add_one(store: &dyn Store) -> bool {
    let counter = get(store, Enrollments, "i", "counter").await.unwrap();
    let value: usize = counter.body.parse().unwrap();
    let next = Document { body: (value + 1).to_string(), ..document("counter") };
    let write = put_if(Enrollments, "i", next, Precondition::Matches(counter.etag));
    match store.write(vec![write]).await {
        Ok(()) => true,
        Err(StoreError::Refused { index: 0, why: Refusal::Mismatch }) => false,
        Err(error) => panic!("{error}"),
    }
}

pub async fn concurrent_batches_refused_ones_harm_no_others(store: Arc<dyn Store>) {
    const BATCHES: usize = 20;
    store.write(vec![put(Enrollments, "i", document("taken"))]).await.unwrap();
    together(|task| {
        let store = Arc::clone(&store);
        async move {
            for batch in 0..BATCHES {
                let id = format!("{task}-{batch}");
                let mut writes =
                    vec![put(Enrollments, "i", document(&id)), put(Registrations, "i", full_document(&id))];
                let expected = if batch % 2 == 0 {
                    Ok(())
                } else {
                    writes.push(put_if(Enrollments, "i", document("taken"), Precondition::Absent));
                    refused(2, Refusal::Exists)
                };
                assert_eq!(store.write(writes).await, expected);
            }
        }
    })
    .await;
    for task in 0..TASKS {
        for batch in 0..BATCHES {
            let id = format!("{task}-{batch}");
            for collection in [Enrollments, Registrations] {
                assert_eq!(get(&*store, collection, "i", &id).await.is_some(), batch % 2 == 0, "{id}");
            }
        }
    }
    let kept = (TASKS * BATCHES / 2) as u64;
    assert_eq!(store.count(Enrollments, "i").await.unwrap(), kept + 1);
    assert_eq!(store.count(Registrations, "i").await.unwrap(), kept);
}

pub async fn concurrent_reads_see_every_acknowledged_write(store: Arc<dyn Store>) {
    together(|task| {
        let store = Arc::clone(&store);
        async move {
            for number in 0..20 {
                let mut expected = full_document(&format!("{task}"));
                expected.lookups = vec![format!("text {task} {number}")];
                store.write(vec![put(Registrations, "i", expected.clone())]).await.unwrap();
                let read = get(&*store, Registrations, "i", &expected.id).await.unwrap();
                assert_same(&read, &expected);
                let found = store.find(Registrations, "i", &expected.lookups).await.unwrap();
                assert_eq!(found.len(), 1);
                assert_same(&found[0], &expected);
            }
        }
    })
    .await;
}
