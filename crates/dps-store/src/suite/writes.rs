//! What a write does, and when it does not happen.

use std::sync::Arc;

use dps_core::ports::store::Collection::{self, Enrollments, Registrations};
use dps_core::ports::store::{Precondition, Refusal, Store, StoreError, Write};
use dps_model::limits::{MAX_LOOKUPS, MAX_WRITES_PER_COMMIT};
use dps_model::{Etag, Secret};

use super::{assert_same, delete_if, document, full_document, get, put, put_if, refused};

pub async fn put_then_get_is_the_same(store: Arc<dyn Store>) {
    for collection in Collection::ALL {
        assert!(get(&*store, collection, "i", "d").await.is_none());
        for expected in [document("d"), full_document("d")] {
            store.write(vec![put(collection, "i", expected.clone())]).await.unwrap();
            assert_same(&get(&*store, collection, "i", "d").await.unwrap(), &expected);
        }
    }
    let mut large = full_document("large");
    large.body = "x".repeat(1_000_000);
    large.sealed = Some(Secret::new(vec![1; 100_000]));
    store.write(vec![put(Enrollments, "i", large.clone())]).await.unwrap();
    assert_same(&get(&*store, Enrollments, "i", "large").await.unwrap(), &large);
    let mut hollow = document("hollow");
    hollow.body = String::new();
    hollow.sealed = Some(Secret::new(Vec::new()));
    hollow.owner = Some(String::new());
    hollow.due = Some(i64::MIN);
    hollow.lookups = vec![String::new()];
    store.write(vec![put(Enrollments, "", hollow.clone())]).await.unwrap();
    assert_same(&get(&*store, Enrollments, "", "hollow").await.unwrap(), &hollow);
}

pub async fn put_over_another_replaces_everything(store: Arc<dyn Store>) {
    let full = full_document("d");
    let bare = document("d");
    for next in [&full, &bare, &full] {
        let before = get(&*store, Enrollments, "i", "d").await;
        let precondition =
            before.map_or(Precondition::Absent, |document| Precondition::Matches(document.etag));
        let mut next = next.clone();
        next.etag = Etag::fresh();
        store.write(vec![put_if(Enrollments, "i", next.clone(), precondition)]).await.unwrap();
        assert_same(&get(&*store, Enrollments, "i", "d").await.unwrap(), &next);
    }
}

pub async fn put_preconditions_hold_or_are_refused(store: Arc<dyn Store>) {
    let there = document("there");
    store.write(vec![put(Enrollments, "i", there.clone())]).await.unwrap();
    let current = Precondition::Matches(there.etag.clone());
    let other = Precondition::Matches(Etag::fresh());
    let refusals = [
        ("there", Precondition::Absent, Refusal::Exists),
        ("there", other.clone(), Refusal::Mismatch),
        ("gone", Precondition::Present, Refusal::Missing),
        ("gone", other, Refusal::Missing),
    ];
    for (id, precondition, why) in refusals {
        let write = put_if(Enrollments, "i", full_document(id), precondition.clone());
        assert_eq!(store.write(vec![write]).await, refused(0, why), "{id} {precondition:?}");
    }
    assert_same(&get(&*store, Enrollments, "i", "there").await.unwrap(), &there);
    assert!(get(&*store, Enrollments, "i", "gone").await.is_none());

    let mut next = full_document("there");
    store.write(vec![put_if(Enrollments, "i", next.clone(), current)]).await.unwrap();
    next.etag = Etag::fresh();
    store.write(vec![put_if(Enrollments, "i", next.clone(), Precondition::Present)]).await.unwrap();
    assert_same(&get(&*store, Enrollments, "i", "there").await.unwrap(), &next);
    let new = full_document("new");
    store.write(vec![put_if(Enrollments, "i", new.clone(), Precondition::Absent)]).await.unwrap();
    assert_same(&get(&*store, Enrollments, "i", "new").await.unwrap(), &new);
}

pub async fn delete_preconditions_hold_or_are_refused(store: Arc<dyn Store>) {
    let etag = |precondition| match precondition {
        Precondition::Matches(etag) => etag,
        _ => Etag::fresh(),
    };
    let current = Precondition::Matches(Etag::fresh());
    for (precondition, why) in [
        (Precondition::Absent, Some(Refusal::Exists)),
        (Precondition::Matches(Etag::fresh()), Some(Refusal::Mismatch)),
        (Precondition::None, None),
        (Precondition::Present, None),
        (current.clone(), None),
    ] {
        let mut there = full_document("d");
        there.etag = etag(current.clone());
        store.write(vec![put(Enrollments, "i", there)]).await.unwrap();
        let answer = store.write(vec![delete_if(Enrollments, "i", "d", precondition.clone())]).await;
        assert_eq!(answer, why.map_or(Ok(()), |why| refused(0, why)), "{precondition:?}");
        assert_eq!(get(&*store, Enrollments, "i", "d").await.is_some(), why.is_some(), "{precondition:?}");
    }
    for (precondition, why) in [
        (Precondition::None, None),
        (Precondition::Absent, None),
        (Precondition::Present, Some(Refusal::Missing)),
        (current, Some(Refusal::Missing)),
    ] {
        let answer = store.write(vec![delete_if(Enrollments, "i", "gone", precondition.clone())]).await;
        assert_eq!(answer, why.map_or(Ok(()), |why| refused(0, why)), "{precondition:?}");
    }
}

pub async fn batch_refused_at_any_write_leaves_no_trace(store: Arc<dyn Store>) {
    let mut there = full_document("there");
    there.lookups = vec!["before".into()];
    store.write(vec![put(Enrollments, "i", there.clone())]).await.unwrap();
    for index in 0..4 {
        let mut changed = full_document("there");
        changed.lookups = vec!["after".into()];
        let mut writes = vec![
            put(Enrollments, "i", changed),
            put(Registrations, "i", full_document("new")),
            delete_if(Enrollments, "i", "there", Precondition::None),
        ];
        writes.insert(index, delete_if(Enrollments, "i", "gone", Precondition::Present));
        assert_eq!(store.write(writes).await, refused(index, Refusal::Missing));
        assert_same(&get(&*store, Enrollments, "i", "there").await.unwrap(), &there);
        assert!(get(&*store, Registrations, "i", "new").await.is_none());
        assert_eq!(store.find(Enrollments, "i", &["before".into()]).await.unwrap().len(), 1);
        assert_eq!(store.find(Enrollments, "i", &["after".into()]).await.unwrap().len(), 0);
        assert_eq!(store.due(Registrations, i64::MAX, 10).await.unwrap().len(), 0);
        assert_eq!(store.count(Enrollments, "i").await.unwrap(), 1);
        assert_eq!(store.count(Registrations, "i").await.unwrap(), 0);
    }
}

pub async fn batch_later_writes_see_earlier_ones(store: Arc<dyn Store>) {
    let first = full_document("d");
    let second = document("d");
    let writes = vec![
        put_if(Enrollments, "i", first.clone(), Precondition::Absent),
        put_if(Enrollments, "i", second.clone(), Precondition::Matches(first.etag.clone())),
        delete_if(Enrollments, "i", "d", Precondition::Matches(second.etag.clone())),
        put_if(Enrollments, "i", first.clone(), Precondition::Absent),
    ];
    store.write(writes).await.unwrap();
    assert_same(&get(&*store, Enrollments, "i", "d").await.unwrap(), &first);
    assert_eq!(store.count(Enrollments, "i").await.unwrap(), 1);
    let twice = vec![
        put_if(Enrollments, "i", document("e"), Precondition::Absent),
        put_if(Enrollments, "i", document("e"), Precondition::Absent),
    ];
    assert_eq!(store.write(twice).await, refused(1, Refusal::Exists));
    assert!(get(&*store, Enrollments, "i", "e").await.is_none());
}

pub async fn batch_without_writes_succeeds(store: Arc<dyn Store>) {
    assert_eq!(store.write(Vec::new()).await, Ok(()));
}

pub async fn batch_beyond_the_limits_is_refused_and_leaves_no_trace(store: Arc<dyn Store>) {
    let writes = |count: usize| -> Vec<Write> {
        (0..count).map(|number| put(Enrollments, "i", document(&number.to_string()))).collect()
    };
    let answer = store.write(writes(MAX_WRITES_PER_COMMIT + 1)).await;
    assert!(matches!(answer, Err(StoreError::Failed(_))), "{answer:?}");
    let mut many = document("many");
    many.lookups = (0..=MAX_LOOKUPS).map(|number| number.to_string()).collect();
    let answer = store.write(vec![put(Enrollments, "i", document("d")), put(Enrollments, "i", many)]).await;
    assert!(matches!(answer, Err(StoreError::Failed(_))), "{answer:?}");
    assert_eq!(store.count(Enrollments, "i").await.unwrap(), 0);
    store.write(writes(MAX_WRITES_PER_COMMIT)).await.unwrap();
    assert_eq!(store.count(Enrollments, "i").await.unwrap(), MAX_WRITES_PER_COMMIT as u64);
}

pub async fn clear_removes_what_an_instance_has_and_nothing_else(store: Arc<dyn Store>) {
    let clear = || Write::Clear { collection: Enrollments, instance: "i".to_owned() };
    for (collection, instance) in [(Enrollments, "i"), (Enrollments, "j"), (Registrations, "i")] {
        let documents = ["a", "b"].map(|id| put(collection, instance, full_document(id)));
        store.write(documents.to_vec()).await.unwrap();
    }
    let beside = put_if(Enrollments, "j", document("a"), Precondition::Absent);
    assert_eq!(store.write(vec![clear(), beside]).await, refused(1, Refusal::Exists));
    assert_eq!(store.count(Enrollments, "i").await.unwrap(), 2, "a refused batch leaves no trace");
    let found = store.find(Enrollments, "i", &full_document("b").lookups).await.unwrap();
    assert_eq!(found.len(), 2, "their texts lead to them still");

    let after = put_if(Enrollments, "i", document("c"), Precondition::Absent);
    store.write(vec![clear(), after]).await.unwrap();
    assert_eq!(store.count(Enrollments, "i").await.unwrap(), 1);
    assert!(get(&*store, Enrollments, "i", "a").await.is_none());
    let found = store.find(Enrollments, "i", &full_document("a").lookups).await.unwrap();
    assert!(found.is_empty(), "its texts lead nowhere");
    assert_eq!(store.count(Enrollments, "j").await.unwrap(), 2);
    assert_eq!(store.count(Registrations, "i").await.unwrap(), 2);
    store.write(vec![clear(), clear()]).await.unwrap();
    assert_eq!(store.count(Enrollments, "i").await.unwrap(), 0);
}
