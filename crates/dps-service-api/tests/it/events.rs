//! One event for every call, on every exit.

use std::sync::Arc;

use async_trait::async_trait;
use dps_core::ports::store::{Collection, Document, Page, Store, StoreError, Write};
use dps_events::Outcome;
use dps_store::MemoryStore;
use serde_json::json;

use crate::bed::{Bed, INSTANCE, NOW, ask};

#[tokio::test]
async fn call_recorded_once_with_who_what_and_versions() {
    let bed = Bed::new().await;
    let body = json!({ "attestation": { "type": "symmetricKey" } });
    let created =
        bed.call(ask("PUT", "/enrollments/Dev-1").json(&body).header("user-agent", "node/1.2")).await;
    let event = bed.event();
    assert_eq!(
        (event.operation, event.kind, event.id.as_deref()),
        ("Upsert", "IndividualEnrollment", Some("Dev-1"))
    );
    assert_eq!((event.instance.as_deref(), event.time.seconds()), (Some(INSTANCE), NOW));
    assert_eq!(event.micros, 1);
    assert_eq!(
        (event.api_version.as_deref(), event.client.as_deref(), event.caller.as_deref()),
        (Some("2021-10-01"), Some("node/1.2"), Some("provisioningserviceowner"))
    );
    assert_eq!((event.peer.to_string().as_str(), event.previous_etag), ("192.0.2.7:50000", None));
    assert_eq!(event.outcome, Outcome::Success);

    let etag = created.json()["etag"].as_str().unwrap().to_owned();
    bed.call(ask("PUT", "/enrollments/dev-1").json(&body).header("if-match", "*")).await;
    assert_eq!(bed.event().previous_etag, Some(etag));
}

#[tokio::test]
async fn operation_and_kind_of_every_route_named() {
    let bed = Bed::new().await;
    for (method, path, operation, kind) in [
        ("PUT", "/enrollmentGroups/a", "Upsert", "EnrollmentGroup"),
        ("GET", "/enrollments/a", "Get", "IndividualEnrollment"),
        ("DELETE", "/registrations/a", "Delete", "Registration"),
        ("POST", "/enrollments/a/attestationmechanism", "GetAttestationMechanism", "IndividualEnrollment"),
        ("POST", "/registrations/a/query", "Query", "Registration"),
        ("POST", "/enrollmentGroups", "BulkOperation", "EnrollmentGroup"),
        ("PATCH", "/enrollments/a", "Unrouted", "IndividualEnrollment"),
        ("GET", "/elsewhere", "Unrouted", "Unknown"),
    ] {
        let reply = bed.call(ask(method, path)).await;
        let event = bed.event();
        assert_eq!((event.operation, event.kind), (operation, kind), "{method} {path}");
        assert_eq!(reply.header("x-ms-request-id").unwrap(), event.tracking_id.to_string());
        assert_eq!(event.outcome.status(), Some(u32::from(reply.status)).filter(|status| *status >= 400));
    }
}

#[tokio::test]
async fn texts_of_the_client_kept_in_bounds() {
    let bed = Bed::new().await;
    let long = "x".repeat(9000);
    bed.call(ask("GET", &format!("/enrollments/{long}")).header("user-agent", &long)).await;
    let event = bed.event();
    assert_eq!(event.id.unwrap().len(), 1024);
    assert_eq!(event.client.unwrap().len(), 1024);
}

/// A store that goes wrong in the ways a handler cannot.
struct BadStore {
    inner: MemoryStore,
    panics: bool,
}

#[async_trait]
impl Store for BadStore {
    async fn get(
        &self,
        collection: Collection,
        instance: &str,
        id: &str,
    ) -> Result<Option<Document>, StoreError> {
        match (collection, self.panics) {
            (Collection::Enrollments, true) => panic!("a defect"),
            (Collection::Enrollments, false) => std::future::pending().await,
            _ => self.inner.get(collection, instance, id).await,
        }
    }
    async fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.inner.write(writes).await
    }
    async fn find(
        &self,
        c: Collection,
        instance: &str,
        lookups: &[String],
    ) -> Result<Vec<Document>, StoreError> {
        self.inner.find(c, instance, lookups).await
    }
    async fn page(&self, page: Page<'_>) -> Result<Vec<Document>, StoreError> {
        self.inner.page(page).await
    }
    async fn due(&self, c: Collection, at: i64, limit: usize) -> Result<Vec<(String, Document)>, StoreError> {
        self.inner.due(c, at, limit).await
    }
    async fn count(&self, collection: Collection, instance: &str) -> Result<u64, StoreError> {
        self.inner.count(collection, instance).await
    }
}

#[tokio::test]
async fn call_dropped_half_way_recorded_as_abandoned() {
    let bed = Bed::over(Arc::new(BadStore { inner: MemoryStore::new(), panics: false })).await;
    let call = bed.api.serve(ask("GET", "/enrollments/dev-1").request());
    tokio::select! {
        biased;
        _ = call => unreachable!("the store never answers"),
        () = std::future::ready(()) => {}
    }
    let event = bed.event();
    assert_eq!((event.operation, event.outcome), ("Get", Outcome::Abandoned));
}

#[tokio::test]
async fn call_that_panics_recorded_as_abandoned() {
    let bed = Arc::new(Bed::over(Arc::new(BadStore { inner: MemoryStore::new(), panics: true })).await);
    let caller = Arc::clone(&bed);
    let task = tokio::spawn(async move { caller.call(ask("GET", "/enrollments/dev-1")).await.status });
    assert!(task.await.unwrap_err().is_panic());
    let event = bed.event();
    assert_eq!((event.id.as_deref(), event.outcome), (Some("dev-1"), Outcome::Abandoned));
}
