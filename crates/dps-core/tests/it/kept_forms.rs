//! Enrollments at rest: no key in the clear, and documents of an earlier release.

use std::sync::Arc;

use dps_core::enrollment::mend;
use dps_core::ports::{Collection, Document, Precondition, Write};
use dps_model::attestation::Mechanism;
use dps_model::registration::Status;
use dps_model::{Etag, Secret};
use dps_store::{OpenOptions, SqliteStore};
use serde_json::{Value, json};

use crate::bed::{Bed, Device, NOW, linked, symmetric, with};
use crate::pki::{Ca, references, text};

const URL: &str = "https://f.example/api?code=s3cret-of-the-hook";

fn custom() -> Value {
    let body = with(symmetric(), "allocationPolicy", json!("custom"));
    with(body, "customAllocationDefinition", json!({"webhookUrl": URL, "apiVersion": "2021-10-01"}))
}

/// Puts the document as an earlier release had it.
async fn age(bed: &Bed, collection: Collection, id: &str, change: impl FnOnce(&mut Document)) -> Etag {
    let mut document = bed.store.get(collection, "dps", id).await.unwrap().unwrap();
    change(&mut document);
    let etag = document.etag.clone();
    let (instance, precondition) = ("dps".to_owned(), Precondition::Present);
    bed.store.write(vec![Write::Put { collection, instance, document, precondition }]).await.unwrap();
    etag
}

#[tokio::test]
async fn query_of_a_webhook_url_is_in_no_file_of_the_store_in_the_clear() {
    let folder = tempfile::tempdir().unwrap();
    let options = OpenOptions::in_directory(folder.path());
    let store = Arc::new(SqliteStore::open(options).await.unwrap());
    let hubs = vec![linked("hub-a.example", 1)];
    let bed = Bed::over(Arc::clone(&store) as _, Arc::default(), Arc::default(), hubs, NOW).await;
    bed.enroll("dev-1", custom()).await;
    bed.enroll_group("fleet", custom()).await;
    let (kept, _) = bed.enrollments.individual(&bed.instance, "dev-1").await.unwrap();
    assert_eq!(kept.settings.custom_allocation_definition.unwrap().webhook_url, URL);
    let kept = bed.enrollments.group(&bed.instance, "fleet").await.unwrap();
    assert_eq!(kept.settings.custom_allocation_definition.unwrap().webhook_url, URL);
    let (mut heads, mut files) = (0, 0);
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let holds = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        assert!(!holds(b"s3cret-of-the-hook") && !holds(b"?code="));
        heads += usize::from(holds(b"https://f.example/api"));
        files += 1;
    }
    assert!(heads > 0 && files > 1, "the files that were read are the store's");
}

#[tokio::test]
async fn enrollment_with_an_open_webhook_url_is_read_and_sealed_at_the_next_start() {
    let bed = Bed::new().await;
    let mechanism: Mechanism = bed.enroll("dev-1", custom()).await;
    let etag = age(&bed, Collection::Enrollments, "dev-1", |document| {
        document.body = document.body.replace("https://f.example/api", URL);
        document.sealed = Some(mechanism.to_material());
    })
    .await;
    let url = async || {
        let (kept, _) = bed.enrollments.individual(&bed.instance, "dev-1").await.unwrap();
        assert!(kept.attestation == mechanism && kept.stamp.etag == etag);
        kept.settings.custom_allocation_definition.unwrap().webhook_url
    };
    assert_eq!(url().await, URL, "read as it is");
    assert_eq!(mend(bed.store.as_ref(), &bed.instances).await.unwrap(), 1);
    assert_eq!(url().await, URL);
    let document = bed.store.get(Collection::Enrollments, "dps", "dev-1").await.unwrap().unwrap();
    assert!(!document.body.contains("s3cret"), "{}", document.body);
    assert_eq!(mend(bed.store.as_ref(), &bed.instances).await.unwrap(), 0, "once");
}

#[tokio::test]
async fn group_of_references_without_its_texts_is_found_after_the_next_start() {
    let bed = Bed::new().await;
    let clock: Arc<dyn dps_core::ports::Clock> = Arc::clone(&bed.clock) as _;
    let ca = Ca::root("Plant");
    let certificates = dps_core::CaCertificates::new(Arc::clone(&bed.instances), clock);
    certificates
        .put(&bed.instances.default_instance(), "plant", &text(&ca.der), Some(true), None)
        .await
        .unwrap();
    let instance = bed.instances.default_instance();
    let body = crate::bed::input(&json!({"attestation": references("plant", None)}));
    bed.enrollments.put_group(&instance, "fleet", body, None).await.unwrap();
    age(&bed, Collection::EnrollmentGroups, "fleet", |document| document.lookups.clear()).await;
    bed.enroll_group("damaged", symmetric()).await;
    age(&bed, Collection::EnrollmentGroups, "damaged", |document| {
        document.sealed = Some(Secret::new(b"{}".to_vec()));
    })
    .await;
    let device = Device::certified("device-1", &[&ca.issue("device-1")]);
    assert!(bed.register(&device).await.is_err(), "no chain finds it");
    assert_eq!(mend(bed.store.as_ref(), &bed.instances).await.unwrap(), 1);
    assert_eq!(bed.provision(&device).await.status, Status::Assigned);
}
