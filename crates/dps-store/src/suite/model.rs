//! Random operations, seeded, on a store and on a model of it: they must agree after every step.
//!
//! Knows that a failed write may or may not have happened, so it also judges a store that is made to fail.

use std::sync::Arc;

use dps_core::ports::store::Collection::{Enrollments, Registrations};
use dps_core::ports::store::{Collection, Document, Page, Precondition, Store, StoreError, Write};
use dps_model::{Etag, Secret};

use super::{assert_same, delete_if, document, put};
use crate::MemoryStore;

const STEPS: usize = 400;
const IDS: u64 = 12;

pub async fn random_operations_match_the_model(store: Arc<dyn Store>) {
    for seed in [1, 2] {
        random_operations(&*store, seed).await;
    }
}

/// Runs the operations of a seed in an instance of their own. The store may fail; it must not lie.
pub async fn random_operations(store: &dyn Store, seed: u64) {
    let model = MemoryStore::new();
    let mut dice = Dice(seed);
    let instance = format!("instance {seed}");
    for step in 0..STEPS {
        let batch = dice.batch(&model, &instance, step).await;
        let answer = store.write(batch.clone()).await;
        match answer {
            Ok(()) | Err(StoreError::Refused { .. }) => {
                assert_eq!(model.write(batch).await, answer, "seed {seed}, step {step}");
            }
            Err(StoreError::Busy) => {}
            Err(StoreError::Failed(_)) => {
                if happened(store, &batch).await {
                    model.write(batch).await.expect("the store did what the model refuses");
                }
            }
        }
        if step % 20 == 0 || step + 1 == STEPS {
            compare(store, &model, &instance).await;
        }
    }
}

/// A small generator (`SplitMix64`), so that a seed means the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }

    /// A batch that begins with a new version of a marker, by which its fate can be told.
    async fn batch(&mut self, model: &MemoryStore, instance: &str, step: usize) -> Vec<Write> {
        let marker = Document { body: step.to_string(), ..document("marker") };
        let mut batch = vec![put(Collection::Settings, instance, marker)];
        for _ in 0..=self.below(3) {
            let collection = if self.below(2) == 0 { Enrollments } else { Registrations };
            let id = format!("d{}", self.below(IDS));
            let current = model.get(collection, instance, &id).await.unwrap().map(|document| document.etag);
            let precondition = self.precondition(current);
            batch.push(if self.below(4) == 0 {
                delete_if(collection, instance, &id, precondition)
            } else {
                let document = self.document(&id);
                Write::Put { collection, instance: instance.to_owned(), document, precondition }
            });
        }
        batch
    }

    /// Mostly one that holds.
    fn precondition(&mut self, current: Option<Etag>) -> Precondition {
        match (self.below(8), current) {
            (0, _) => Precondition::Matches(Etag::fresh()),
            (1, _) => Precondition::Absent,
            (2, _) => Precondition::Present,
            (3, _) | (_, None) => Precondition::None,
            (_, Some(etag)) => Precondition::Matches(etag),
        }
    }

    fn document(&mut self, id: &str) -> Document {
        let texts = self.below(3);
        Document {
            sealed: (self.below(2) == 0).then(|| Secret::new(self.below(1_000).to_le_bytes().to_vec())),
            owner: (self.below(3) > 0).then(|| format!("owner {}", self.below(2))),
            due: (self.below(2) == 0).then(|| i64::try_from(self.below(50)).unwrap()),
            lookups: (0..texts).map(|_| format!("text {}", self.below(6))).collect(),
            ..document(id)
        }
    }
}

/// Asks until the store answers; a store that always fails is no store.
async fn insist<T, F: Future<Output = Result<T, StoreError>>>(ask: impl Fn() -> F) -> T {
    for _ in 0..1_000 {
        if let Ok(answer) = ask().await {
            return answer;
        }
    }
    panic!("no read of a thousand succeeded");
}

async fn happened(store: &dyn Store, batch: &[Write]) -> bool {
    let Write::Put { collection, instance, document, .. } = &batch[0] else { panic!("no marker") };
    let marker = insist(|| store.get(*collection, instance, &document.id)).await;
    marker.is_some_and(|marker| marker.etag == document.etag)
}

fn assert_all_same(found: &[Document], expected: &[Document]) {
    assert_eq!(super::ids(found), super::ids(expected));
    for (found, expected) in found.iter().zip(expected) {
        assert_same(found, expected);
    }
}

/// Every read of the store answers as the model does.
async fn compare(store: &dyn Store, model: &MemoryStore, instance: &str) {
    for collection in [Enrollments, Registrations] {
        let texts: Vec<String> = (0..4).map(|number| format!("text {number}")).collect();
        let found = insist(|| store.find(collection, instance, &texts)).await;
        assert_all_same(&found, &model.find(collection, instance, &texts).await.unwrap());
        for owner in [None, Some("owner 0")] {
            for after in [None, Some("d5")] {
                let page = Page { collection, instance, owner, after, limit: 7 };
                let found = insist(|| store.page(page)).await;
                assert_all_same(&found, &model.page(page).await.unwrap());
            }
        }
        let count = insist(|| store.count(collection, instance)).await;
        assert_eq!(count, model.count(collection, instance).await.unwrap());
        // Other instances of the store are due as well; the model knows this one.
        let due = insist(|| store.due(collection, 25, 1_000)).await;
        let due: Vec<Document> =
            due.into_iter().filter(|(whose, _)| whose == instance).map(|(_, document)| document).collect();
        let expected = model.due(collection, 25, 1_000).await.unwrap();
        assert_all_same(&due, &expected.into_iter().map(|(_, document)| document).collect::<Vec<_>>());
    }
}
