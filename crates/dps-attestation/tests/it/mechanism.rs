//! Attestation as a client of the service API writes it: what is read, and the sentence for each broken rule.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_attestation::EnrollmentKind::{self, Group, Individual};
use dps_attestation::mechanism::{read, read_update};
use dps_model::ErrorCode;
use dps_model::attestation::{AttestationInput, Mechanism};
use serde_json::{Value, json};

use crate::pki::{Ca, self_signed};
use crate::software_tpm::SoftwareTpm;

fn input(value: Value) -> AttestationInput {
    serde_json::from_value(value).unwrap()
}

fn refused(value: Value, kind: EnrollmentKind) -> String {
    match read(&input(value), kind) {
        Ok(_) => panic!("accepted"),
        Err(error) => {
            assert_eq!(error.code, ErrorCode::ArgumentInvalid);
            error.message.into_owned()
        }
    }
}

fn pem(der: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
}

fn client(primary: &str, secondary: Option<&str>) -> Value {
    let certificate = |text: &str| json!({ "certificate": text });
    json!({ "type": "x509", "x509": { "clientCertificates": {
        "primary": certificate(primary), "secondary": secondary.map(certificate),
    }}})
}

fn signing(primary: &str) -> Value {
    json!({ "type": "x509", "x509": { "signingCertificates": { "primary": { "certificate": primary } } } })
}

fn keys_of(mechanism: &Mechanism) -> (Vec<u8>, Vec<u8>) {
    match mechanism {
        Mechanism::SymmetricKey(keys) => (keys.primary.expose().to_vec(), keys.secondary.expose().to_vec()),
        _ => panic!("no keys"),
    }
}

#[test]
fn symmetric_keys_left_out_are_generated_and_differ() {
    for value in [
        json!({ "type": "symmetricKey" }),
        json!({ "type": "symmetricKey", "symmetricKey": {} }),
        json!({ "type": "symmetricKey", "symmetricKey": { "primaryKey": null, "secondaryKey": "" } }),
        json!({ "type": "symmetricKey", "symmetricKey": null, "x509": null, "tpm": null }),
    ] {
        let (primary, secondary) = keys_of(&read(&input(value), Group).unwrap());
        assert_eq!((primary.len(), secondary.len()), (64, 64));
        assert_ne!(primary, secondary);
    }
}

#[test]
fn symmetric_keys_given_are_taken_and_kept_over_an_update() {
    let given = json!({ "type": "symmetricKey",
        "symmetricKey": { "primaryKey": STANDARD.encode([1; 16]), "secondaryKey": STANDARD.encode([2; 64]) } });
    let stored = read(&input(given), Individual).unwrap();
    assert_eq!(keys_of(&stored), (vec![1; 16], vec![2; 64]));
    let again = read_update(&input(json!({ "type": "symmetricKey" })), Individual, Some(&stored)).unwrap();
    assert!(again == stored);
    let one = json!({ "type": "symmetricKey", "symmetricKey": { "primaryKey": STANDARD.encode([3; 32]) } });
    let rolled = read_update(&input(one), Individual, Some(&stored)).unwrap();
    assert_eq!(keys_of(&rolled), (vec![3; 32], vec![2; 64]));
}

#[test]
fn symmetric_keys_broken_are_named() {
    for (key, expected) in [
        (STANDARD.encode([1; 15]), "decodes to 15 bytes"),
        (STANDARD.encode([1; 65]), "decodes to 65 bytes"),
        ("not base64!".into(), "white space at position 4"),
        ("ab_d".into(), "URL-safe alphabet at position 3"),
        ("YWJj$A==".into(), "outside the alphabet at position 5"),
    ] {
        let value = json!({ "type": "symmetricKey", "symmetricKey": { "secondaryKey": key } });
        let message = refused(value, Individual);
        assert!(
            message.contains("attestation.symmetricKey.secondaryKey") && message.contains(expected),
            "{message}"
        );
    }
}

#[test]
fn type_must_be_given_and_fit() {
    for (value, kind, expected) in [
        (json!({}), Individual, "attestation.type is missing"),
        (json!({ "type": "none" }), Individual, "attestation is required"),
        (json!({ "type": "password" }), Individual, "attestation.type is unknown"),
        (
            json!({ "type": "symmetricKey", "tpm": { "endorsementKey": "AToA" } }),
            Individual,
            "attestation.tpm does not belong",
        ),
        (
            json!({ "type": "x509", "symmetricKey": { "primaryKey": "AAAA" } }),
            Individual,
            "attestation.symmetricKey does not belong",
        ),
        (json!({ "type": "x509" }), Individual, "clientCertificates.primary is missing"),
        (json!({ "type": "x509", "x509": {} }), Group, "signingCertificates.primary is missing"),
        (json!({ "type": "tpm" }), Individual, "attestation.tpm.endorsementKey is missing"),
        (
            json!({ "type": "tpm", "tpm": { "endorsementKey": "AToA" } }),
            Group,
            "belongs to individual enrollments",
        ),
    ] {
        let message = refused(value, kind);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn client_certificate_read_from_every_form() {
    let root = Ca::root("Root");
    let leaf = root.issue("device-1");
    let bundle = format!("subject=CN=Root\n{}{}", pem(&root.der), pem(&leaf));
    for text in [pem(&leaf), STANDARD.encode(&leaf), STANDARD.encode(pem(&leaf)), bundle] {
        let mechanism = read(&input(client(&text, None)), Individual).unwrap();
        let Mechanism::ClientCertificates(pair) = mechanism else { panic!("no client certificate") };
        assert!(pair.primary.der == leaf && pair.secondary.is_none());
        assert_eq!(pair.primary.info.subject_name, "CN=device-1, O=Contoso");
    }
}

#[test]
fn certificates_broken_are_named() {
    let leaf = self_signed("device-1", |_| {});
    let root = Ca::root("Root");
    let key = format!("{}-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", pem(&leaf));
    let many = pem(&leaf).repeat(11);
    let own = "attestation.x509.clientCertificates.primary.certificate";
    for (text, expected) in [
        ("hello world".to_owned(), "neither PEM"),
        (STANDARD.encode("hello"), "no X.509 certificate in DER"),
        (key, "private key"),
        ("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END".to_owned(), "CERTIFICATE REQUEST"),
        ("-----BEGIN CERTIFICATE-----\n!!\n-----END".to_owned(), "not base64"),
        (many, "more than 10"),
        ("A".repeat(70_000), "at most 65536"),
    ] {
        let message = refused(client(&text, None), Individual);
        assert!(message.contains(own) && message.contains(expected), "{message}");
    }
    assert!(refused(client(&pem(&leaf), None), Group).contains("belong to individual enrollments"));
    assert!(refused(signing(&pem(&root.der)), Individual).contains("belong to enrollment groups"));
    let lonely = json!({ "type": "x509", "x509": { "clientCertificates": {
        "secondary": { "certificate": pem(&leaf) } } } });
    assert!(refused(lonely, Individual).contains("clientCertificates.primary is missing"));
}

#[test]
fn signing_certificate_must_be_of_a_ca() {
    let root = Ca::root("Root");
    let middle = root.issue_ca("Middle");
    let bundle = format!("{}{}", pem(&root.der), pem(&middle.der));
    for (text, der) in [(pem(&root.der), &root.der), (bundle, &middle.der)] {
        let Mechanism::SigningCertificates(pair) = read(&input(signing(&text)), Group).unwrap() else {
            panic!("no signing certificate")
        };
        assert!(pair.primary.der == *der);
    }
    let message = refused(signing(&pem(&root.issue("device-1"))), Group);
    assert!(message.contains("CN=device-1, O=Contoso") && message.contains("CA:TRUE"), "{message}");
    let mute = Ca::root_with("Mute", |params| {
        params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    });
    assert!(refused(signing(&pem(&mute.der)), Group).contains("keyCertSign"));
}

#[test]
fn ca_references_kept_and_not_mixed() {
    let names =
        json!({ "type": "x509", "x509": { "caReferences": { "primary": "plant-1", "secondary": "" } } });
    let Mechanism::CaReferences(kept) = read(&input(names), Group).unwrap() else { panic!("no reference") };
    assert_eq!((kept.primary.as_deref(), kept.secondary), (Some("plant-1"), None));
    let root = Ca::root("Root");
    let mut both = signing(&pem(&root.der));
    both["x509"]["caReferences"] = json!({ "primary": "plant-1" });
    assert!(refused(both, Group).contains("one of the two"));
    let lonely = json!({ "type": "x509", "x509": { "caReferences": { "secondary": "plant-1" } } });
    assert!(refused(lonely, Group).contains("caReferences.primary is missing"));
}

#[test]
fn echoed_info_keeps_the_stored_certificates() {
    let (first, second) = (self_signed("device-1", |_| {}), self_signed("device-1", |_| {}));
    for stored in [client(&pem(&first), Some(&pem(&second))), client(&pem(&first), None)] {
        let stored = read(&input(stored), Individual).unwrap();
        // What a GET shows goes back as it is.
        let shown = stored.public_json();
        let kept = read_update(&input(shown.clone()), Individual, Some(&stored)).unwrap();
        assert!(kept == stored);
        assert!(refused(shown, Individual).contains("send the certificate"));
    }
}

#[test]
fn echoed_info_follows_its_certificate_to_the_other_slot() {
    let (first, second) = (self_signed("device-1", |_| {}), self_signed("device-1", |_| {}));
    let stored = read(&input(client(&pem(&first), Some(&pem(&second)))), Individual).unwrap();
    let shown = stored.public_json();
    let pair = &shown["x509"]["clientCertificates"];
    let third = self_signed("device-1", |_| {});
    let rolled = json!({ "type": "x509", "x509": { "clientCertificates": {
        "primary": pair["secondary"], "secondary": { "certificate": pem(&third) } } } });
    let Mechanism::ClientCertificates(kept) = read_update(&input(rolled), Individual, Some(&stored)).unwrap()
    else {
        panic!("no client certificates")
    };
    assert!(kept.primary.der == second && kept.secondary.unwrap().der == third);
    let mut foreign = shown;
    foreign["x509"]["clientCertificates"]["primary"]["info"]["sha256Thumbprint"] = json!("AA");
    let error = read_update(&input(foreign), Individual, Some(&stored)).map(|_| ()).unwrap_err();
    assert!(error.message.contains("clientCertificates.primary.certificate"), "{error}");
}

#[test]
fn tpm_keys_kept_as_written_and_checked() {
    let tpm = SoftwareTpm::new();
    let wire = tpm.keys().endorsement_key;
    let memory = STANDARD.encode(tpm.endorsement.properties.host_memory(&tpm.endorsement.modulus));
    let body = |key: &str| json!({ "type": "tpm", "tpm": { "endorsementKey": key } });
    for text in [&wire, &memory] {
        let kept = read(&input(body(&format!(" {text}\n"))), Individual).unwrap();
        assert_eq!(kept.public_json()["tpm"]["endorsementKey"], **text);
    }
    for (key, expected) in [
        ("???", "not base64"),
        ("AA==", "too short"),
        ("OgEBAA==", "length field"),
        (&"A".repeat(5000), "more than are read"),
    ] {
        let message = refused(body(key), Individual);
        assert!(
            message.contains("attestation.tpm.endorsementKey") && message.contains(expected),
            "{message}"
        );
    }
}
