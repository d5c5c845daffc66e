//! The limit of service operations: for callers with rights alone, and with a word on when to come back.

use std::sync::Arc;

use dps_model::limits::Profile;
use dps_store::MemoryStore;

use crate::bed::{Bed, ask};

/// Azure: 1,000 service operations a minute and instance.
const OPERATIONS: usize = 1_000;

#[tokio::test]
async fn operations_beyond_the_limit_are_told_when_to_come_back() {
    let bed = Bed::limited(Arc::new(MemoryStore::new()), Profile::Azure).await;
    for _ in 0..OPERATIONS {
        let stranger = bed.call(ask("GET", "/enrollments/none").without("authorization")).await;
        assert_eq!(stranger.code(), "401000");
    }
    for _ in 0..OPERATIONS {
        assert_eq!(bed.call(ask("GET", "/enrollments/none")).await.code(), "404201");
    }
    let refused = bed.call(ask("GET", "/enrollments/none")).await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "429001"));
    assert!(refused.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
}
