//! The behaviour of every store, as tests: one suite, run on each of them by `store_suite!`.
//!
//! Owns what the port's words mean in practice. Must not know which store it judges, nor how long it may take.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "these are tests, compiled into a library; the name of each says what it asks"
)]

mod concurrent;
mod model;
mod reads;
mod writes;

pub use concurrent::*;
pub use model::*;
pub use reads::*;
pub use writes::*;

use dps_core::ports::store::{Collection, Document, Precondition, Refusal, Store, StoreError, Write};
use dps_model::{Etag, Secret};

/// Makes a module of tests out of a store.
///
/// Takes the module's name and an `async fn() -> (G, Arc<dyn Store>)` that makes an empty store; the first value lives
/// as long as the test (a temporary directory, a server).
#[macro_export]
macro_rules! store_suite {
    ($module:ident, $open:path) => {
        $crate::store_suite!(@cases $module, $open;
            put_then_get_is_the_same,
            put_over_another_replaces_everything,
            put_preconditions_hold_or_are_refused,
            clear_removes_what_an_instance_has_and_nothing_else,
            delete_preconditions_hold_or_are_refused,
            batch_refused_at_any_write_leaves_no_trace,
            batch_later_writes_see_earlier_ones,
            batch_without_writes_succeeds,
            batch_beyond_the_limits_is_refused_and_leaves_no_trace,
            documents_of_other_collections_and_instances_are_apart,
            find_by_any_text_each_document_once_in_order,
            find_follows_changes_and_deletes,
            find_beyond_the_limit_is_refused,
            page_in_order_of_bytes_after_and_limit,
            page_of_an_owner_follows_changes,
            page_limit_is_bounded,
            due_earliest_first_over_all_instances,
            due_follows_changes_and_deletes,
            count_follows_what_happened_only,
            concurrent_inserts_of_one_id_one_wins,
            concurrent_compare_and_set_loses_nothing,
            concurrent_batches_refused_ones_harm_no_others,
            concurrent_reads_see_every_acknowledged_write,
            random_operations_match_the_model,
        );
    };
    (@cases $module:ident, $open:path; $($case:ident,)*) => {
        mod $module {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let (_keep, store) = $open().await;
                    $crate::suite::$case(store).await;
                }
            )*
        }
    };
}

/// A document with the given id and nothing else.
pub fn document(id: &str) -> Document {
    Document {
        id: id.to_owned(),
        etag: Etag::fresh(),
        body: format!(r#"{{"id":"{id}"}}"#),
        sealed: None,
        owner: None,
        due: None,
        lookups: Vec::new(),
    }
}

/// A document with every field in use.
pub fn full_document(id: &str) -> Document {
    Document {
        body: "{\"text\":\"\u{e9}\u{1f511}\\u0000 '\\\" ;--\"}".into(),
        sealed: Some(Secret::new((0..=255).collect())),
        owner: Some(format!("owner of {id}")),
        due: Some(1_700_000_000_000),
        lookups: vec![format!("text '{id}'"), "\u{e9}\"[,]".into()],
        ..document(id)
    }
}

/// A put without a precondition.
pub fn put(collection: Collection, instance: &str, document: Document) -> Write {
    put_if(collection, instance, document, Precondition::None)
}

/// A put.
pub fn put_if(
    collection: Collection,
    instance: &str,
    document: Document,
    precondition: Precondition,
) -> Write {
    Write::Put { collection, instance: instance.to_owned(), document, precondition }
}

/// A delete.
pub fn delete_if(collection: Collection, instance: &str, id: &str, precondition: Precondition) -> Write {
    Write::Delete { collection, instance: instance.to_owned(), id: id.to_owned(), precondition }
}

/// Panics unless both are the same in every field.
pub fn assert_same(found: &Document, expected: &Document) {
    assert_eq!(found.id, expected.id);
    assert_eq!(found.etag, expected.etag, "{}", expected.id);
    assert_eq!(found.body, expected.body, "{}", expected.id);
    assert!(found.sealed == expected.sealed, "the sealed part of {}", expected.id);
    assert_eq!(found.owner, expected.owner, "{}", expected.id);
    assert_eq!(found.due, expected.due, "{}", expected.id);
    assert_eq!(found.lookups, expected.lookups, "{}", expected.id);
}

fn refused(index: usize, why: Refusal) -> Result<(), StoreError> {
    Err(StoreError::Refused { index, why })
}

fn ids(documents: &[Document]) -> Vec<&str> {
    documents.iter().map(|document| &*document.id).collect()
}

async fn get(store: &dyn Store, collection: Collection, instance: &str, id: &str) -> Option<Document> {
    store.get(collection, instance, id).await.unwrap()
}
