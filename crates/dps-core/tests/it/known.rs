//! What is known of ids near an unknown one: a search by steps finds what comparing with each would.

use std::sync::Arc;

use dps_core::ports::{Collection, Document, Precondition, Store, Write};
use dps_core::{Instances, Known};
use dps_model::{Etag, limits};
use dps_store::MemoryStore;
use proptest::prelude::*;

use crate::bed::instance;

async fn near(ids: &[String], key: &str) -> Vec<(String, usize)> {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let instances = Instances::open(Arc::clone(&store), instance(Vec::new()), |_, _| {}).await.unwrap();
    let rows = instances.all().first().unwrap().rows().to_owned();
    let put = |id: &String| Write::Put {
        collection: Collection::Enrollments,
        instance: rows.clone(),
        document: Document {
            id: id.clone(),
            etag: Etag::fresh(),
            body: "{}".into(),
            sealed: None,
            owner: None,
            due: None,
            lookups: Vec::new(),
        },
        precondition: Precondition::None,
    };
    for some in ids.chunks(512) {
        store.write(some.iter().map(put).collect()).await.unwrap();
    }
    Known::new(Arc::new(instances)).ids_near(&rows, key).await.unwrap()
}

/// By comparing with each.
fn expected(ids: &[String], key: &str) -> Vec<(String, usize)> {
    let most = limits::MAX_NEAR_DISTANCE.min(key.len() / 4);
    let measured = ids.iter().map(|id| (id.clone(), strsim::osa_distance(id, key)));
    let mut near: Vec<_> = measured.filter(|(_, distance)| (1..=most).contains(distance)).collect();
    let least = near.iter().map(|(_, distance)| *distance).min();
    near.retain(|(_, distance)| Some(*distance) == least);
    near.sort();
    near.dedup();
    near.truncate(limits::MAX_NEAR);
    near
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

proptest! {
    #[test]
    fn near_ids_are_those_that_comparing_finds(
        ids in prop::collection::vec("[a-c1.-]{1,12}", 0..60),
        key in "[a-c1.-]{1,12}",
    ) {
        prop_assert_eq!(block_on(near(&ids, &key)), expected(&ids, &key));
    }

    /// Changed in one or two places anywhere, among many that look alike.
    #[test]
    fn typing_error_is_found_anywhere_in_a_fleet(
        device in 0..1_000_u32,
        places in prop::collection::vec((0..15_usize, "[a-z0-9]"), 1..=2),
    ) {
        let ids: Vec<String> = (0..1_000).map(|n| format!("press-{:09}", n * 7_919)).collect();
        let meant = format!("press-{:09}", device * 7_919);
        let mut key = meant.clone();
        for (place, letter) in &places {
            key.replace_range(*place..=*place, letter);
        }
        let found = block_on(near(&ids, &key));
        prop_assert_eq!(&found, &expected(&ids, &key));
        prop_assert!(ids.contains(&key) || !found.is_empty(), "{} {:?}", key, found);
    }
}

#[test]
fn no_text_confuses_the_search() {
    let ids = ["press-1".to_owned()];
    for key in ["", "~~~~~~~~", "ü-press-1", "PRESS-1x", "press-1\u{10ffff}"] {
        let _ = block_on(near(&ids, key));
    }
    assert_eq!(block_on(near(&ids, "press-l")), [("press-1".to_owned(), 1)]);
    assert_eq!(block_on(near(&ids, "rpess-1")), [("press-1".to_owned(), 1)], "swapped");
    assert_eq!(block_on(near(&ids, "ress-1x")), [], "two of seven letters");
}
