//! What the reads return, in which order, and how much.

use std::sync::Arc;

use dps_core::ports::store::Collection::{self, EnrollmentGroups, Enrollments, Registrations};
use dps_core::ports::store::{Document, Page, Precondition, Store, StoreError};
use dps_model::limits::{MAX_LOOKUP_KEYS, MAX_LOOKUPS, MAX_PAGE};

use super::{assert_same, delete_if, document, full_document, get, ids, put, put_if};

pub async fn documents_of_other_collections_and_instances_are_apart(store: Arc<dyn Store>) {
    let places: Vec<(Collection, &str)> =
        Collection::ALL.iter().flat_map(|collection| [(*collection, "a"), (*collection, "b")]).collect();
    let mut written = Vec::new();
    for (collection, instance) in &places {
        let document = full_document("d");
        store.write(vec![put(*collection, instance, document.clone())]).await.unwrap();
        written.push(document);
    }
    for ((collection, instance), expected) in places.iter().zip(&written) {
        assert_same(&get(&*store, *collection, instance, "d").await.unwrap(), expected);
        let found = store.find(*collection, instance, &["text 'd'".into()]).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_same(&found[0], expected);
        let page = page(&*store, *collection, instance, None, None, 10).await;
        assert_eq!(page.len(), 1);
        assert_same(&page[0], expected);
        assert_eq!(store.count(*collection, instance).await.unwrap(), 1);
    }
    store.write(vec![delete_if(Enrollments, "a", "d", Precondition::Present)]).await.unwrap();
    for (collection, instance) in places {
        let there = get(&*store, collection, instance, "d").await.is_some();
        assert_eq!(there, (collection, instance) != (Enrollments, "a"));
    }
}

fn with_lookups(id: &str, lookups: &[&str]) -> Document {
    let mut document = full_document(id);
    document.lookups = lookups.iter().map(ToString::to_string).collect();
    document
}

async fn find(store: &dyn Store, texts: &[&str]) -> Vec<String> {
    let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
    let found = store.find(EnrollmentGroups, "i", &texts).await.unwrap();
    found.into_iter().map(|document| document.id).collect()
}

pub async fn find_by_any_text_each_document_once_in_order(store: Arc<dyn Store>) {
    let documents = [
        with_lookups("c", &["ski:1", "name:x"]),
        with_lookups("a", &["ski:2", "name:x", "name:x"]),
        with_lookups("b", &["ski:3"]),
        with_lookups("d", &[]),
    ];
    let writes = documents.iter().map(|document| put(EnrollmentGroups, "i", document.clone())).collect();
    store.write(writes).await.unwrap();
    assert_eq!(find(&*store, &[]).await, [""; 0]);
    assert_eq!(find(&*store, &["ski:"]).await, [""; 0]);
    assert_eq!(find(&*store, &["SKI:1"]).await, [""; 0]);
    assert_eq!(find(&*store, &["ski:1"]).await, ["c"]);
    assert_eq!(find(&*store, &["name:x"]).await, ["a", "c"]);
    assert_eq!(find(&*store, &["ski:1", "name:x", "ski:2", "ski:1"]).await, ["a", "c"]);
    for size in 1..=MAX_LOOKUP_KEYS {
        let mut texts = vec!["nobody"; size];
        texts[size - 1] = "ski:3";
        assert_eq!(find(&*store, &texts).await, ["b"], "{size} texts");
    }
    let found = store.find(EnrollmentGroups, "i", &["name:x".into()]).await.unwrap();
    assert_same(&found[0], &documents[1]);
    assert_same(&found[1], &documents[0]);
    let full: Vec<String> = (0..MAX_LOOKUPS).map(|number| format!("full:{number}")).collect();
    let mut document = document("full");
    document.lookups.clone_from(&full);
    store.write(vec![put(EnrollmentGroups, "i", document)]).await.unwrap();
    for text in &full {
        assert_eq!(find(&*store, &[text]).await, ["full"]);
    }
}

pub async fn find_follows_changes_and_deletes(store: Arc<dyn Store>) {
    let first = with_lookups("d", &["one", "two"]);
    store.write(vec![put(EnrollmentGroups, "i", first.clone())]).await.unwrap();
    let second = with_lookups("d", &["two", "three"]);
    let matches = Precondition::Matches(first.etag);
    store.write(vec![put_if(EnrollmentGroups, "i", second.clone(), matches)]).await.unwrap();
    assert_eq!(find(&*store, &["one"]).await, [""; 0]);
    assert_eq!(find(&*store, &["two"]).await, ["d"]);
    assert_eq!(find(&*store, &["three"]).await, ["d"]);
    // The same texts again: they stay.
    let third = with_lookups("d", &["two", "three"]);
    let matches = Precondition::Matches(second.etag);
    store.write(vec![put_if(EnrollmentGroups, "i", third.clone(), matches)]).await.unwrap();
    assert_eq!(find(&*store, &["two", "three"]).await, ["d"]);
    let delete = delete_if(EnrollmentGroups, "i", "d", Precondition::Matches(third.etag));
    store.write(vec![delete]).await.unwrap();
    assert_eq!(find(&*store, &["one", "two", "three"]).await, [""; 0]);
    // Created anew, it is found by its new texts alone.
    store.write(vec![put(EnrollmentGroups, "i", with_lookups("d", &["four"]))]).await.unwrap();
    assert_eq!(find(&*store, &["one", "two", "three"]).await, [""; 0]);
    assert_eq!(find(&*store, &["four"]).await, ["d"]);
}

pub async fn find_beyond_the_limit_is_refused(store: Arc<dyn Store>) {
    let texts = vec!["x".to_owned(); MAX_LOOKUP_KEYS + 1];
    assert!(matches!(store.find(Enrollments, "i", &texts).await, Err(StoreError::Failed(_))));
}

async fn page(
    store: &dyn Store,
    collection: Collection,
    instance: &str,
    owner: Option<&str>,
    after: Option<&str>,
    limit: usize,
) -> Vec<Document> {
    store.page(Page { collection, instance, owner, after, limit }).await.unwrap()
}

pub async fn page_in_order_of_bytes_after_and_limit(store: Arc<dyn Store>) {
    let ordered = ["", "-", "A", "B", "a", "a-", "aa", "b", "\u{e9}", "\u{1f511}"];
    for id in ["b", "\u{1f511}", "a", "", "\u{e9}", "A", "aa", "-", "B", "a-"] {
        store.write(vec![put(Enrollments, "i", full_document(id))]).await.unwrap();
    }
    assert_eq!(ids(&page(&*store, Enrollments, "i", None, None, 100).await), ordered);
    assert_eq!(ids(&page(&*store, Enrollments, "i", None, None, 3).await), ordered[..3]);
    assert_eq!(ids(&page(&*store, Enrollments, "i", None, None, 0).await), [""; 0]);
    for (index, id) in ordered.iter().enumerate() {
        let next = page(&*store, Enrollments, "i", None, Some(id), 2).await;
        assert_eq!(ids(&next), ordered[index + 1..].iter().copied().take(2).collect::<Vec<_>>());
    }
    // After an id that is not there.
    assert_eq!(ids(&page(&*store, Enrollments, "i", None, Some("ab"), 1).await), ["b"]);
    assert_eq!(ids(&page(&*store, Enrollments, "j", None, None, 100).await), [""; 0]);
}

pub async fn page_of_an_owner_follows_changes(store: Arc<dyn Store>) {
    let owned = |id: &str, owner: Option<&str>| {
        let mut document = document(id);
        document.owner = owner.map(str::to_owned);
        document
    };
    let first = owned("a", Some("g"));
    for document in [first.clone(), owned("b", Some("h")), owned("c", Some("g")), owned("d", None)] {
        store.write(vec![put(Registrations, "i", document)]).await.unwrap();
    }
    let of = async |owner: &str, after: Option<&str>, limit: usize| -> Vec<String> {
        let page = page(&*store, Registrations, "i", Some(owner), after, limit).await;
        page.into_iter().map(|document| document.id).collect()
    };
    assert_eq!(of("g", None, 10).await, ["a", "c"]);
    assert_eq!(of("g", None, 1).await, ["a"]);
    assert_eq!(of("g", Some("a"), 10).await, ["c"]);
    assert_eq!(of("h", None, 10).await, ["b"]);
    assert_eq!(of("nobody", None, 10).await, [""; 0]);
    let moved = put_if(Registrations, "i", owned("a", Some("h")), Precondition::Matches(first.etag));
    store.write(vec![moved, delete_if(Registrations, "i", "c", Precondition::None)]).await.unwrap();
    assert_eq!(of("g", None, 10).await, [""; 0]);
    assert_eq!(of("h", None, 10).await, ["a", "b"]);
}

pub async fn page_limit_is_bounded(store: Arc<dyn Store>) {
    let id = |number: usize| format!("{number:05}");
    for start in [0, 600] {
        let writes = (start..start + 600).map(|number| {
            let mut document = document(&id(number));
            document.due = Some(0);
            document.owner = Some("o".into());
            document.lookups = vec!["all".into()];
            put(Registrations, "i", document)
        });
        store.write(writes.collect()).await.unwrap();
    }
    for owner in [None, Some("o")] {
        let all = page(&*store, Registrations, "i", owner, None, usize::MAX).await;
        assert_eq!(all.len(), MAX_PAGE);
        assert_eq!(all[MAX_PAGE - 1].id, id(MAX_PAGE - 1));
    }
    let all = store.due(Registrations, 0, usize::MAX).await.unwrap();
    assert_eq!(all.len(), MAX_PAGE);
    assert_eq!(all[MAX_PAGE - 1].1.id, id(MAX_PAGE - 1));
    let all = store.find(Registrations, "i", &["all".into()]).await.unwrap();
    assert_eq!(all.len(), MAX_PAGE);
    assert_eq!(all[MAX_PAGE - 1].id, id(MAX_PAGE - 1));
}

async fn due(store: &dyn Store, at_or_before: i64, limit: usize) -> Vec<(String, String)> {
    let due = store.due(Registrations, at_or_before, limit).await.unwrap();
    due.into_iter().map(|(instance, document)| (instance, document.id)).collect()
}

fn with_due(id: &str, due: Option<i64>) -> Document {
    let mut document = full_document(id);
    document.due = due;
    document
}

fn named(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(instance, id)| ((*instance).to_owned(), (*id).to_owned())).collect()
}

pub async fn due_earliest_first_over_all_instances(store: Arc<dyn Store>) {
    for (instance, id, at) in [
        ("i", "late", Some(30)),
        ("j", "b", Some(10)),
        ("i", "a", Some(10)),
        ("i", "never", None),
        ("j", "a", Some(20)),
    ] {
        store.write(vec![put(Registrations, instance, with_due(id, at))]).await.unwrap();
    }
    assert_eq!(due(&*store, 9, 10).await, []);
    assert_eq!(due(&*store, 10, 10).await, named(&[("i", "a"), ("j", "b")]));
    assert_eq!(due(&*store, 29, 10).await, named(&[("i", "a"), ("j", "b"), ("j", "a")]));
    assert_eq!(due(&*store, i64::MAX, 2).await, named(&[("i", "a"), ("j", "b")]));
    assert_eq!(due(&*store, i64::MAX, 10).await.len(), 4);
    let all = store.due(Registrations, i64::MAX, 1).await.unwrap();
    assert!(all[0].1.sealed == full_document("a").sealed);
    assert_eq!(store.due(Enrollments, i64::MAX, 10).await.unwrap().len(), 0);
}

pub async fn due_follows_changes_and_deletes(store: Arc<dyn Store>) {
    let first = with_due("d", Some(10));
    store.write(vec![put(Registrations, "i", first.clone())]).await.unwrap();
    let second = with_due("d", Some(20));
    let matches = Precondition::Matches(first.etag);
    store.write(vec![put_if(Registrations, "i", second.clone(), matches)]).await.unwrap();
    assert_eq!(due(&*store, 19, 10).await, []);
    assert_eq!(due(&*store, 20, 10).await, named(&[("i", "d")]));
    let third = with_due("d", None);
    let matches = Precondition::Matches(second.etag);
    store.write(vec![put_if(Registrations, "i", third, matches)]).await.unwrap();
    assert_eq!(due(&*store, i64::MAX, 10).await, []);
    store.write(vec![put(Registrations, "i", with_due("d", Some(5)))]).await.unwrap();
    assert_eq!(due(&*store, i64::MAX, 10).await.len(), 1);
    store.write(vec![delete_if(Registrations, "i", "d", Precondition::None)]).await.unwrap();
    assert_eq!(due(&*store, i64::MAX, 10).await, []);
}

pub async fn count_follows_what_happened_only(store: Arc<dyn Store>) {
    let count = async || store.count(Enrollments, "i").await.unwrap();
    assert_eq!(count().await, 0);
    store
        .write(vec![put(Enrollments, "i", document("a")), put(Enrollments, "i", document("b"))])
        .await
        .unwrap();
    store.write(vec![put(Enrollments, "i", full_document("a"))]).await.unwrap();
    assert_eq!(count().await, 2);
    let refused = vec![
        put(Enrollments, "i", document("c")),
        put_if(Enrollments, "i", document("a"), Precondition::Absent),
    ];
    store.write(refused).await.unwrap_err();
    store.write(vec![delete_if(Enrollments, "i", "gone", Precondition::None)]).await.unwrap();
    assert_eq!(count().await, 2);
    store.write(vec![delete_if(Enrollments, "i", "a", Precondition::Present)]).await.unwrap();
    assert_eq!(count().await, 1);
    assert_eq!(store.count(Registrations, "i").await.unwrap(), 0);
    assert_eq!(store.count(Enrollments, "j").await.unwrap(), 0);
}
