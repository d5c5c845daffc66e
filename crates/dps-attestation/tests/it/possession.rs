//! Proof of possession of a CA's key, and what counts as a CA certificate.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_attestation::x509::possession::{NoCaCertificate, NoProof, check, read_ca};

use crate::pki::{Ca, leaf_params, now};

const CODE: &str = "0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF";

fn text(der: &[u8]) -> String {
    STANDARD.encode(der)
}

#[test]
fn proof_signed_by_the_ca_over_the_code_is_taken() {
    let ca = Ca::root("Plant");
    let uploaded = read_ca(&text(&ca.der)).unwrap();
    let proof = ca.issue(CODE);
    assert_eq!(check(&uploaded, CODE, &text(&proof), now()), Ok(()));
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", text(&proof));
    assert_eq!(check(&uploaded, CODE, &pem, now()), Ok(()), "PEM");
    assert_eq!(check(&uploaded, CODE, &text(pem.as_bytes()), now()), Ok(()), "base64 of PEM");
    assert_eq!(check(&uploaded, CODE, &text(&ca.issue(&CODE.to_lowercase())), now()), Ok(()));
}

#[test]
fn proof_of_something_else_says_what() {
    let (ca, namesake, other) = (Ca::root("Plant"), Ca::root("Plant"), Ca::root("Other"));
    let uploaded = read_ca(&text(&ca.der)).unwrap();
    let checked = |proof: &[u8]| check(&uploaded, CODE, &text(proof), now()).unwrap_err();
    assert_eq!(checked(&ca.issue("another")), NoProof::OtherCode { found: "another".into() });
    assert_eq!(checked(&namesake.issue(CODE)), NoProof::OtherKey);
    assert!(matches!(checked(&other.issue(CODE)), NoProof::OtherIssuer { .. }));
    let mut params = leaf_params(CODE);
    params.not_after = rcgen::date_time_ymd(2029, 1, 1);
    let expired = ca.issue_with(CODE, |leaf| *leaf = params);
    let said = checked(&expired).to_string();
    assert!(said.starts_with("the verification certificate (") && said.contains("expired at 2029"), "{said}");
    assert!(matches!(check(&uploaded, CODE, "?", now()), Err(NoProof::Unreadable(_))));
}

#[test]
fn uploaded_certificate_must_be_one_of_a_ca() {
    let ca = Ca::root("Plant");
    let read = |der: &[u8]| read_ca(&text(der)).unwrap_err();
    assert!(matches!(read(&ca.issue("device-1")), NoCaCertificate::NotCa { .. }));
    let silent = Ca::root_with("Silent", |params| {
        params.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign];
    });
    assert!(matches!(read(&silent.der), NoCaCertificate::MayNotSign { .. }));
    let block = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", text(&ca.der));
    assert_eq!(read_ca(&block.repeat(2)), Err(NoCaCertificate::NotOne { found: 2 }));
    assert!(read_ca("-----BEGIN EC PRIVATE KEY-----\nAA==\n-----END EC PRIVATE KEY-----").is_err());
}
