//! Uploaded CA certificates and the enrollments that refer to them: verified, rolled over, deleted, refused by name.

use std::sync::Arc;

use dps_core::ports::Clock;
use dps_core::{CaCertificates, DeviceResponse};
use dps_model::etag::IfMatch;
use dps_model::instance::Instance;
use dps_model::registration::Status;
use dps_model::{Error, ErrorCode};
use serde_json::json;

use crate::bed::{Bed, Device, input, register};
use crate::pki::{Ca, references, signers, text};

/// The bed, with its CA certificates.
async fn beds() -> (Bed, CaCertificates) {
    let bed = Bed::new().await;
    let clock: Arc<dyn Clock> = Arc::clone(&bed.clock) as _;
    let certificates = CaCertificates::new(Arc::clone(&bed.instances), clock);
    (bed, certificates)
}

/// What the instance is now.
fn dps(bed: &Bed) -> Arc<Instance> {
    bed.instances.default_instance()
}

async fn verified(bed: &Bed, certificates: &CaCertificates, name: &str, ca: &Ca) {
    certificates.put(&dps(bed), name, &text(&ca.der), Some(true), None).await.unwrap();
}

/// Writes a group under what the instance is now.
async fn group(bed: &Bed, id: &str, attestation: serde_json::Value) -> Result<(), Error> {
    let instance = bed.instances.default_instance();
    let body = json!({"attestation": attestation});
    let put = |if_match| bed.enrollments.put_group(&instance, id, input(&body), if_match);
    match put(None).await {
        Err(error) if error.code == ErrorCode::EnrollmentExists => put(Some(IfMatch::Any)).await.map(drop),
        other => other.map(drop),
    }
}

/// A device of that CA registers; the reason of its refusal.
async fn registers(bed: &Bed, id: &str, ca: &Ca) -> Result<(), String> {
    let device = Device::certified(id, &[&ca.issue(id)]);
    if let Ok(operation) = bed.register(&device).await {
        let state = bed.poll(&device, &operation).await.unwrap();
        assert_eq!(state.status, Status::Assigned, "{id}");
        return Ok(());
    }
    let attempt = bed.events.last_attempt();
    let candidate = attempt.candidates.first().map(|candidate| candidate.reason);
    Err(candidate.unwrap_or("NO_CANDIDATE").to_owned())
}

#[tokio::test]
async fn possession_is_proven_with_the_last_code_alone() {
    let (bed, certificates) = beds().await;
    let ca = Ca::root("Plant");
    let made = certificates.put(&dps(&bed), "plant", &text(&ca.der), None, None).await.unwrap();
    assert!(made.previous.is_none() && !made.certificate.is_verified);
    let seen = IfMatch::Tag(made.certificate.etag.clone());
    let first =
        certificates.generate_verification_code(&dps(&bed), "PLANT", Some(&seen)).await.unwrap().certificate;
    let stale = certificates.generate_verification_code(&dps(&bed), "plant", Some(&seen)).await;
    assert_eq!(stale.err().unwrap().code, ErrorCode::EtagMismatch);
    let second =
        certificates.generate_verification_code(&dps(&bed), "plant", Some(&IfMatch::Any)).await.unwrap();
    let (old, code) = (first.verification_code.unwrap(), second.certificate.verification_code.unwrap());
    let is_code = |code: &str| {
        code.len() == 48 && code.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b))
    };
    assert!(is_code(&old) && is_code(&code) && old != code);

    let prove = |proof: Vec<u8>| {
        let (certificates, bed) = (&certificates, &bed);
        async move { certificates.verify(&dps(bed), "plant", &text(&proof), Some(&IfMatch::Any)).await }
    };
    let refused = prove(ca.issue(&old)).await.err().unwrap();
    assert!(refused.message.contains("verification code that was generated last"), "{}", refused.message);
    assert!(prove(Ca::root("Plant").issue(&code)).await.is_err(), "another key of that name");
    assert!(prove(ca.issue(&code)).await.unwrap().certificate.is_verified);
    assert!(prove(ca.issue(&code)).await.is_err(), "a code is good for one proof");

    // The same certificate stays verified, another one has to be proven again.
    let again =
        certificates.put(&dps(&bed), "plant", &text(&ca.der), None, Some(&IfMatch::Any)).await.unwrap();
    assert!(again.certificate.is_verified);
    let other = text(&Ca::root("Plant").der);
    assert!(certificates.put(&dps(&bed), "plant", &other, None, None).await.is_err(), "it exists");
    let other = certificates.put(&dps(&bed), "plant", &other, None, Some(&IfMatch::Any)).await.unwrap();
    assert!(!other.certificate.is_verified);
    assert_eq!(bed.instances.default_instance().certificates.len(), 1);
}

#[tokio::test]
async fn group_refers_to_certificates_that_exist_and_unverified_ones_let_nobody_in() {
    let (bed, certificates) = beds().await;
    let ca = Ca::root("Plant");
    let refused = group(&bed, "plant", references("plant", None)).await.err().unwrap();
    assert!(refused.message.contains("caReferences.primary is \"plant\""), "{}", refused.message);
    certificates.put(&dps(&bed), "Plant", &text(&ca.der), None, None).await.unwrap();
    group(&bed, "plant", references("plant", None)).await.unwrap();
    assert_eq!(registers(&bed, "device-1", &ca).await, Err("X509_CA_NOT_VERIFIED".into()));
    certificates.put(&dps(&bed), "plant", &text(&ca.der), Some(true), Some(&IfMatch::Any)).await.unwrap();
    assert_eq!(registers(&bed, "device-1", &ca).await, Ok(()));
    assert_eq!(registers(&bed, "device-2", &Ca::root("Other")).await, Err("NO_CANDIDATE".into()));
    let attempt = &bed.events.attempts()[1];
    assert_eq!(attempt.slot, Some("primary"));
}

#[tokio::test]
async fn roll_over_from_primary_to_secondary_fails_no_device() {
    let (bed, certificates) = beds().await;
    let (old, new) = (Ca::root("Old"), Ca::root("New"));
    verified(&bed, &certificates, "old", &old).await;
    group(&bed, "fleet", references("old", None)).await.unwrap();
    let mut device = 0;
    let mut both = async |step: &str, old_too: bool, new_too: bool| {
        for (ca, wanted) in [(&old, old_too), (&new, new_too)] {
            device += 1;
            let registered = registers(&bed, &format!("device-{device}"), ca).await;
            assert_eq!(registered.is_ok(), wanted, "{step}: {registered:?}");
        }
    };
    both("before", true, false).await;
    verified(&bed, &certificates, "new", &new).await;
    both("uploaded", true, false).await;
    group(&bed, "fleet", references("old", Some("new"))).await.unwrap();
    both("both", true, true).await;
    group(&bed, "fleet", references("new", Some("old"))).await.unwrap();
    both("swapped", true, true).await;
    group(&bed, "fleet", references("new", None)).await.unwrap();
    both("rolled", false, true).await;
    certificates.delete(&dps(&bed), "old", Some(&IfMatch::Any)).await.unwrap();
    both("deleted", false, true).await;
}

#[tokio::test]
async fn certificate_in_use_is_not_deleted_and_the_enrollments_are_named() {
    let (bed, certificates) = beds().await;
    let ca = Ca::root("Plant");
    verified(&bed, &certificates, "plant", &ca).await;
    for number in 0..12 {
        group(&bed, &format!("Line-{number:02}"), references("plant", None)).await.unwrap();
    }
    let refused = certificates.delete(&dps(&bed), "plant", Some(&IfMatch::Any)).await.err().unwrap();
    assert_eq!(refused.code, ErrorCode::CaCertificateInUse);
    let said = refused.message;
    assert!(said.contains("enrollment group \"Line-00\"") && said.ends_with("2 more."), "{said}");
    for number in 0..12 {
        let instance = bed.instances.default_instance();
        bed.enrollments.delete_group(&instance, &format!("line-{number:02}"), None).await.unwrap();
    }
    assert_eq!(
        certificates.delete(&dps(&bed), "plant", None).await.err().unwrap().code,
        ErrorCode::EtagMismatch
    );
    certificates.delete(&dps(&bed), "plant", Some(&IfMatch::Any)).await.unwrap();
    let gone = certificates.delete(&dps(&bed), "plant", Some(&IfMatch::Any)).await.err().unwrap();
    assert_eq!(gone.code, ErrorCode::CaCertificateNotFound);
}

#[tokio::test]
async fn nearest_group_decides_be_it_by_reference_or_by_certificate() {
    let (bed, certificates) = beds().await;
    let root = Ca::root("Root");
    let (middle, other) = (root.issue_ca("Middle"), root.issue_ca("Other"));
    verified(&bed, &certificates, "middle", &middle).await;
    verified(&bed, &certificates, "root", &root).await;
    group(&bed, "by-root", references("root", None)).await.unwrap();
    group(&bed, "by-middle", references("middle", None)).await.unwrap();
    group(&bed, "by-other", signers(&other.der)).await.unwrap();
    let by = async |id: &str, ca: &Ca| {
        let device = Device::certified(id, &[&ca.issue(id), &ca.der]);
        match bed.ask(bed.request(&device, register())).await {
            Ok(DeviceResponse::Admitted { .. }) => bed.events.last_attempt().enrollment.unwrap().id,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(by("a", &middle).await, "by-middle");
    assert_eq!(by("b", &other).await, "by-other");
    assert_eq!(by("c", &root.issue_ca("Third")).await, "by-root");
}

#[tokio::test]
async fn certificates_beyond_the_quota_and_of_no_ca_are_refused() {
    let (bed, certificates) = beds().await;
    let ca = Ca::root("Plant");
    for number in 0..25 {
        // One certificate may stand under several names.
        let name = format!("plant-{number}");
        certificates.put(&dps(&bed), &name, &text(&ca.der), None, None).await.unwrap();
    }
    let put = |name: &'static str, der: Vec<u8>| {
        let (certificates, bed) = (&certificates, &bed);
        async move { certificates.put(&dps(bed), name, &text(&der), None, None).await.err().unwrap() }
    };
    assert_eq!(put("one-more", ca.der.clone()).await.code, ErrorCode::QuotaExceeded);
    let leaf = put("leaf", ca.issue("device-1")).await;
    assert!(leaf.message.contains("none of a CA"), "{}", leaf.message);
    for name in ["", "a b", "a/b", "é"] {
        assert_eq!(put(name, ca.der.clone()).await.code, ErrorCode::ArgumentInvalid, "{name}");
    }
}
