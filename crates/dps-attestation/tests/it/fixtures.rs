//! Certificates that OpenSSL made (tests/fixtures/x509/make.sh), for the corners no Rust library makes.

use dps_attestation::x509::certificate::{read_text, spki};
use dps_attestation::{Attested, Reason};

use crate::pki::{code, group};

fn der(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/x509/{name}.pem", env!("CARGO_MANIFEST_DIR"));
    read_text(&std::fs::read_to_string(path).unwrap()).unwrap().remove(0).der().to_vec()
}

fn judged(signer: &str, presented: &[&str]) -> Result<Attested, Reason> {
    let presented: Vec<Vec<u8>> = presented.iter().map(|name| der(name)).collect();
    let presented: Vec<&[u8]> = presented.iter().map(Vec::as_slice).collect();
    group(&der(signer), None, &presented)
}

#[test]
fn version_1_leaf_accepted() {
    assert_eq!(judged("ec-root", &["v1-leaf"]).unwrap().certificate().unwrap().version, 1);
}

#[test]
fn version_1_signer_accepted_because_the_operator_named_it() {
    assert!(judged("v1-root", &["v1-root-leaf"]).is_ok());
}

#[test]
fn version_1_intermediate_is_none_of_a_ca() {
    let reason = judged("ec-root", &["v1-middle-leaf", "v1-middle"]).unwrap_err();
    assert!(matches!(&reason, Reason::IssuerNotCa { why, .. } if why.contains("version")), "{reason}");
}

#[test]
fn rsa_pss_with_standard_parameters_accepted() {
    for leaf in ["pss-sha256-leaf", "pss-sha384-leaf", "pss-sha512-leaf", "sha512-rsa-leaf"] {
        assert!(judged("rsa-root", &[leaf]).is_ok(), "{leaf}");
    }
    assert!(judged("pss-root", &["pss-root-leaf"]).is_ok());
}

#[test]
fn other_algorithms_are_named() {
    for (signer, leaf, named) in [
        ("rsa-root", "sha1-rsa-leaf", "RSA with SHA-1"),
        ("ec-root", "sha1-ec-leaf", "ECDSA with SHA-1"),
        ("rsa-root", "pss-sha1-leaf", "RSA-PSS with SHA-1"),
        ("rsa-root", "pss-salt-leaf", "RSA-PSS with SHA-256 and a salt of 20 bytes; 32 are accepted"),
        ("rsa-root", "pss-mask-leaf", "RSA-PSS with SHA-256 and another digest in its mask"),
        ("rsa-short", "rsa-short-leaf", "an RSA key of 1024 bits"),
    ] {
        let reason = judged(signer, &[leaf]).unwrap_err();
        let Reason::SignatureAlgorithmRefused { algorithm, .. } = &reason else { panic!("{leaf}: {reason}") };
        assert_eq!(algorithm, named, "{leaf}");
        assert_eq!(code(Err(reason)), "X509_SIGNATURE_ALGORITHM_REFUSED");
    }
}

#[test]
fn policy_constraints_are_not_understood_and_so_refused() {
    let reason = judged("policy-root", &["policy-leaf"]).unwrap_err();
    assert!(matches!(&reason, Reason::CriticalExtension { oid, .. } if oid == "2.5.29.36"), "{reason}");
}

#[test]
fn chain_over_rsa_and_ec_mixed_up_is_not_accepted() {
    // Same leaf name, other root: no path.
    assert_eq!(code(judged("rsa-root", &["v1-leaf"])), "X509_CHAIN_INCOMPLETE");
}

#[test]
fn public_key_found_without_parsing_the_rest() {
    let certificate = der("v1-leaf");
    let key = spki(&certificate).unwrap();
    // P-256: identifier and curve, then an uncompressed point.
    assert_eq!(key.algorithm.len(), 19);
    assert_eq!((key.key.len(), key.key.first()), (65, Some(&4)));
    assert!(spki(b"nonsense").is_none());
}

#[test]
fn lookups_of_a_signer_stay_what_stores_hold() {
    // Computed apart from this code: OpenSSL's key identifier, SHA-256 of its public key, SHA-256 of the canonical name.
    // Making the fixtures anew changes the first two; the third must never change.
    let stored = dps_attestation::x509::signing_key_lookups(&der("ec-root")).unwrap();
    assert_eq!(
        stored,
        [
            "ski:60bc482b9e207bbbcfbc5c9fc9ee9b157331def3",
            "spki:d597106b34ca8c5acb932925d5fa93011531ba6194db322ffe00783198866af0",
            "dn:8c191a0a609df79cba24ed063be4c7940d942d4092217fba0feabb74ec3956bc",
        ]
    );
}
