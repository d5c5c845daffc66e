//! One certificate, one enrollment: also when two writes come at the same instant, and over moves and deletions.

use std::sync::Arc;

use async_trait::async_trait;
use dps_core::enrollment::Enrolled as _;
use dps_core::ports::{Collection, Document, Page, Precondition, Store, StoreError, Write};
use dps_model::enrollment::{EnrollmentGroup, IndividualEnrollment};
use dps_model::etag::IfMatch;
use dps_model::{Error, RegistrationId, Timestamp};
use dps_store::MemoryStore;
use serde_json::json;
use tokio::sync::Barrier;

use crate::bed::{Bed, NOW, code, input, linked};
use crate::pki::{Ca, clients, self_signed, signers};

/// A store whose writes of two enrollments wait for each other: both have read before either writes.
struct Together {
    inner: MemoryStore,
    both: Barrier,
}

#[async_trait]
impl Store for Together {
    async fn get(&self, c: Collection, instance: &str, id: &str) -> Result<Option<Document>, StoreError> {
        self.inner.get(c, instance, id).await
    }
    async fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let enrolls = writes.iter().any(|write| match write {
            Write::Put { collection, .. }
            | Write::Delete { collection, .. }
            | Write::Clear { collection, .. } => {
                matches!(collection, Collection::Enrollments | Collection::EnrollmentGroups)
            }
        });
        if enrolls {
            self.both.wait().await;
        }
        self.inner.write(writes).await
    }
    async fn find(&self, c: Collection, i: &str, texts: &[String]) -> Result<Vec<Document>, StoreError> {
        self.inner.find(c, i, texts).await
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

async fn bed_over(store: Arc<dyn Store>) -> Bed {
    Bed::over(store, Arc::default(), Arc::default(), vec![linked("hub-a.example", 1)], NOW).await
}

#[tokio::test]
async fn certificate_of_two_simultaneous_writes_goes_to_one() {
    let bed = bed_over(Arc::new(Together { inner: MemoryStore::new(), both: Barrier::new(2) })).await;
    let shared = self_signed("shared");
    let body = json!({"attestation": clients(&shared, None)});
    let put = |id: &'static str| bed.enrollments.put_individual(&bed.instance, id, input(&body), None);
    let (a, b) = tokio::join!(put("a"), put("b"));
    let refused: Vec<Error> = [a.err(), b.err()].into_iter().flatten().collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0].code.row().code, 409_204);
    assert!(refused[0].message.contains("used by enrollment "), "{}", refused[0].message);
    let kept = [
        bed.enrollments.individual(&bed.instance, "a").await,
        bed.enrollments.individual(&bed.instance, "b").await,
    ];
    assert_eq!(kept.iter().filter(|found| found.is_ok()).count(), 1);

    let ca = Ca::root("Shared").der;
    let body = json!({"attestation": signers(&ca)});
    let put = |id: &'static str| bed.enrollments.put_group(&bed.instance, id, input(&body), None);
    let (a, b) = tokio::join!(put("a"), put("b"));
    assert_eq!([a.is_err(), b.is_err()].iter().filter(|refused| **refused).count(), 1);
}

#[tokio::test]
async fn certificate_is_free_again_when_its_enrollment_moves_on_or_goes() {
    let bed = bed_over(Arc::new(MemoryStore::new())).await;
    let (first, second) = (self_signed("first"), self_signed("second"));
    let with = |one: &[u8], two| input(&json!({"attestation": clients(one, two)}));
    let put =
        |id: &'static str, body, if_match| bed.enrollments.put_individual(&bed.instance, id, body, if_match);
    let any = || Some(IfMatch::Any);
    put("a", with(&first, Some(&second)), None).await.unwrap();
    assert_eq!(code(put("b", with(&second, None), None).await), 409_204);
    // The secondary becomes the primary, and the old one is free.
    put("a", with(&second, None), any()).await.unwrap();
    put("b", with(&first, None), None).await.unwrap();
    assert_eq!(code(put("a", with(&first, None), any()).await), 409_204);
    bed.enrollments.delete_individual(&bed.instance, "a", None).await.unwrap();
    put("b", with(&second, Some(&first)), any()).await.unwrap();
    // From certificates to keys.
    put("b", input(&crate::bed::symmetric()), any()).await.unwrap();
    put("c", with(&first, Some(&second)), None).await.unwrap();
    let claims = bed.store.count(Collection::CertificateClaims, &bed.instance.name).await.unwrap();
    assert_eq!(claims, 2, "those of c, and none that is left over");
}

#[tokio::test]
async fn certificate_of_an_enrollment_without_a_claim_is_still_its_own() {
    let bed = bed_over(Arc::new(MemoryStore::new())).await;
    let leaf = self_signed("old");
    let made = bed
        .enrollments
        .put_individual(&bed.instance, "new", input(&json!({"attestation": clients(&leaf, None)})), None)
        .await
        .unwrap()
        .value;
    bed.enrollments.delete_individual(&bed.instance, "new", None).await.unwrap();
    // As an earlier release wrote it: the enrollment alone.
    let old = IndividualEnrollment { registration_id: RegistrationId::parse("old").unwrap(), ..made };
    bed.store.write(vec![old.write(&bed.instance.name, Precondition::Absent).unwrap()]).await.unwrap();
    let body = json!({"attestation": clients(&leaf, None)});
    let refused = bed.enrollments.put_individual(&bed.instance, "new", input(&body), None).await;
    assert_eq!(code(refused), 409_204);
    bed.enrollments.put_individual(&bed.instance, "old", input(&body), Some(IfMatch::Any)).await.unwrap();
    assert_eq!(bed.store.count(Collection::CertificateClaims, &bed.instance.name).await.unwrap(), 1);
}

#[tokio::test]
async fn deletion_that_meets_a_change_deletes_what_is_there_then() {
    let store = Arc::new(Together { inner: MemoryStore::new(), both: Barrier::new(1) });
    let bed = bed_over(Arc::clone(&store) as _).await;
    let body = json!({"attestation": signers(&Ca::root("Root").der)});
    bed.enrollments.put_group(&bed.instance, "g", input(&body), None).await.unwrap();
    let bed = bed_over(Arc::new(Changing { inner: store, left: 3.into() })).await;
    assert!(bed.enrollments.delete_group(&bed.instance, "g", None).await.is_ok());
    assert_eq!(code(bed.enrollments.group(&bed.instance, "g").await), 404_201);
    assert_eq!(bed.store.count(Collection::CertificateClaims, &bed.instance.name).await.unwrap(), 0);
}

#[tokio::test]
async fn replacement_of_any_version_that_meets_a_change_replaces_what_is_there_then() {
    let store = Arc::new(Together { inner: MemoryStore::new(), both: Barrier::new(1) });
    let bed = bed_over(Arc::clone(&store) as _).await;
    let made = bed.enrollments.put_group(&bed.instance, "g", input(&crate::bed::symmetric()), None).await;
    let first = made.unwrap().value.stamp.etag;
    let bed = bed_over(Arc::new(Changing { inner: store, left: 3.into() })).await;
    let body = || input(&crate::bed::symmetric());
    let put = |if_match| bed.enrollments.put_group(&bed.instance, "g", body(), Some(if_match));
    let changed = put(IfMatch::Any).await.unwrap();
    assert_ne!(changed.previous, Some(first), "what somebody else had made of it");
    // One version, and no other, is not tried again.
    let bed = bed_over(Arc::new(Changing { inner: Arc::clone(&bed.store), left: 1.into() })).await;
    let put =
        bed.enrollments.put_group(&bed.instance, "g", body(), Some(IfMatch::Tag(changed.value.stamp.etag)));
    assert_eq!(code(put.await), 412_001);
}

/// A store in which somebody else changes a group just before each of the next writes.
struct Changing {
    inner: Arc<dyn Store>,
    left: std::sync::atomic::AtomicU32,
}

#[async_trait]
impl Store for Changing {
    async fn get(&self, c: Collection, instance: &str, id: &str) -> Result<Option<Document>, StoreError> {
        self.inner.get(c, instance, id).await
    }
    async fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let of_group = match writes.first() {
            Some(Write::Delete { collection: Collection::EnrollmentGroups, instance, id, .. }) => {
                Some((instance, id))
            }
            Some(Write::Put { collection: Collection::EnrollmentGroups, instance, document, .. }) => {
                Some((instance, &document.id))
            }
            _ => None,
        };
        if let Some((instance, id)) = of_group
            && self.left.load(std::sync::atomic::Ordering::Relaxed) > 0
        {
            self.left.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
            let document = self.inner.get(Collection::EnrollmentGroups, instance, id).await?.unwrap();
            let mut group = EnrollmentGroup::read(&document).unwrap();
            group.stamp = group.stamp.changed(Timestamp::from_millis(NOW));
            self.inner.write(vec![group.write(instance, Precondition::Present).unwrap()]).await?;
        }
        self.inner.write(writes).await
    }
    async fn find(&self, c: Collection, i: &str, texts: &[String]) -> Result<Vec<Document>, StoreError> {
        self.inner.find(c, i, texts).await
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

/// A store in which, while a claim is read, somebody else makes the enrollment and deletes it again.
struct Meanwhile {
    inner: Arc<MemoryStore>,
    other: std::sync::Mutex<Option<Bed>>,
}

#[async_trait]
impl Store for Meanwhile {
    async fn get(&self, c: Collection, instance: &str, id: &str) -> Result<Option<Document>, StoreError> {
        let other = match c {
            Collection::CertificateClaims => self.other.lock().unwrap().take(),
            _ => None,
        };
        let Some(other) = other else { return self.inner.get(c, instance, id).await };
        let body = json!({"attestation": clients(&shared(), None)});
        other.enrollments.put_individual(&other.instance, "a", input(&body), None).await.unwrap();
        let claim = self.inner.get(c, instance, id).await;
        other.enrollments.delete_individual(&other.instance, "a", None).await.unwrap();
        claim
    }
    async fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.inner.write(writes).await
    }
    async fn find(&self, c: Collection, i: &str, texts: &[String]) -> Result<Vec<Document>, StoreError> {
        self.inner.find(c, i, texts).await
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

/// The same certificate each time.
fn shared() -> Vec<u8> {
    static SHARED: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    SHARED.get_or_init(|| self_signed("shared")).clone()
}

#[tokio::test]
async fn claim_that_is_released_while_it_is_read_leaves_no_enrollment_without_one() {
    let inner = Arc::new(MemoryStore::new());
    let other = bed_over(Arc::clone(&inner) as _).await;
    let store = Arc::new(Meanwhile { inner, other: std::sync::Mutex::new(None) });
    let bed = bed_over(Arc::clone(&store) as _).await;
    *store.other.lock().unwrap() = Some(other);
    let body = json!({"attestation": clients(&shared(), None)});
    let put = bed.enrollments.put_individual(&bed.instance, "a", input(&body), None).await;
    let count = async |collection| bed.store.count(collection, &bed.instance.name).await.unwrap();
    let (made, claims) = (count(Collection::Enrollments).await, count(Collection::CertificateClaims).await);
    assert_eq!((made, claims), (u64::from(put.is_ok()), u64::from(put.is_ok())), "{:?}", put.err());
}
