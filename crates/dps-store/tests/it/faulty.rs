//! The store that fails on a schedule: it must fail as it says, and never lie.

use dps_core::ports::store::Collection::Enrollments;
use dps_core::ports::store::{Precondition, Store, StoreError};
use dps_store::suite::{document, put, put_if, random_operations};
use dps_store::{Fault, FaultyStore, MemoryStore, Schedule};

#[tokio::test]
async fn faulty_any_seed_fails_but_never_lies() {
    for seed in 0..20 {
        let store = FaultyStore::new(MemoryStore::new(), Schedule::seeded(seed, 100, 200));
        random_operations(&store, seed).await;
    }
}

#[tokio::test]
async fn faulty_sqlite_fails_but_never_lies() {
    let (_directory, store) = crate::new_sqlite().await;
    let store = FaultyStore::new(store, Schedule::seeded(7, 100, 200));
    random_operations(&store, 7).await;
}

#[tokio::test]
async fn faulty_same_seed_fails_the_same_calls() {
    let run = async |seed| {
        let store = FaultyStore::new(MemoryStore::new(), Schedule::seeded(seed, 0, 300));
        let mut answers = Vec::new();
        for _ in 0..100 {
            answers.push(store.write(vec![put(Enrollments, "i", document("d"))]).await.is_ok());
        }
        answers
    };
    let first = run(1).await;
    assert_eq!(first, run(1).await);
    assert_ne!(first, run(2).await);
    assert!(first.contains(&true) && first.contains(&false));
}

#[tokio::test]
async fn faulty_crash_on_either_side_then_dead_until_revived() {
    for (side, happened) in [(Fault::Before, false), (Fault::After, true)] {
        let store = FaultyStore::new(MemoryStore::new(), Schedule::quiet().crash_at_write(1, side));
        let insert = |id: &str| vec![put_if(Enrollments, "i", document(id), Precondition::Absent)];
        store.write(insert("a")).await.unwrap();
        assert!(matches!(store.write(insert("b")).await, Err(StoreError::Failed(_))));
        assert!(store.is_dead());
        assert!(store.write(insert("c")).await.is_err());
        assert!(store.get(Enrollments, "i", "a").await.is_err());
        store.revive(Schedule::quiet());
        assert!(store.get(Enrollments, "i", "a").await.unwrap().is_some());
        assert_eq!(store.get(Enrollments, "i", "b").await.unwrap().is_some(), happened);
        assert!(store.get(Enrollments, "i", "c").await.unwrap().is_none());
    }
}
