//! Certificates themselves, apart from paths: the individual enrollment's, the common name, the bounds of a chain,
//! lookups, and evidence of another kind.

use dps_attestation::x509::{chain_lookups, signing_key_lookups, thumbprint_lookup};
use dps_attestation::{EnrollmentKind, Evidence, PresentedChain, Reason, Slot};
use dps_model::ErrorCode;
use dps_model::attestation::{CaReferences, Mechanism};
use dps_model::limits::{MAX_CERTIFICATE, MAX_CHAIN_CERTIFICATES};
use rcgen::{DnType, KeyPair, date_time_ymd};

use crate::pki::{Ca, code, group, individual, judge, name, now, pair, self_signed};

#[test]
fn common_name_must_be_the_registration_id() {
    let root = Ca::root("Root");
    let reason = group(&root.der, None, &[&root.issue("device-2")]).unwrap_err();
    assert_eq!(
        reason,
        Reason::CommonNameMismatch { common_name: "device-2".into(), registration_id: "device-1".into() }
    );
    assert_eq!(code(Err(reason.clone())), "X509_COMMON_NAME_MISMATCH");
    assert_eq!(reason.public(), (ErrorCode::CertificateRejected, "Unauthorized"));
    let nameless = root.issue_with("x", |params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Contoso");
    });
    assert_eq!(code(group(&root.der, None, &[&nameless])), "X509_COMMON_NAME_MISSING");
    let other = self_signed("device-2", |_| {});
    assert_eq!(code(individual(&other, None, &other)), "X509_COMMON_NAME_MISMATCH");
}

#[test]
fn individual_primary_and_secondary_matched_exactly() {
    let (primary, secondary) = (self_signed("device-1", |_| {}), Ca::root("Any").issue("Device-1"));
    assert_eq!(individual(&primary, Some(&secondary), &primary).unwrap().slot(), Slot::Primary);
    let attested = individual(&primary, Some(&secondary), &secondary).unwrap();
    assert_eq!(attested.slot(), Slot::Secondary);
    assert!(attested.signing_certificate().is_none());
    let ca_flagged = Ca::root("device-1");
    assert!(individual(&ca_flagged.der, None, &ca_flagged.der).is_ok());
}

#[test]
fn individual_other_certificate_named_with_what_it_shares() {
    let key = KeyPair::generate().unwrap();
    let enrolled = Ca::root_key("device-1", KeyPair::try_from(key.serialized_der()).unwrap(), |_| {});
    let renewed = Ca::root_key("device-1", key, |params| params.serial_number = Some(7_u64.into()));
    let reason = individual(&enrolled.der, None, &renewed.der).unwrap_err();
    assert!(matches!(&reason, Reason::CertificateNotEnrolled { same_key: true, .. }), "{reason}");
    assert_eq!(code(Err(reason)), "X509_CERTIFICATE_NOT_ENROLLED");
    let reason = individual(&enrolled.der, None, &Ca::root("device-1").der).unwrap_err();
    assert!(
        matches!(&reason, Reason::CertificateNotEnrolled { same_key: false, same_subject: true, .. }),
        "{reason}"
    );
}

#[test]
fn individual_times_are_judged() {
    let old = self_signed("device-1", |params| params.not_after = date_time_ymd(2029, 12, 31));
    assert_eq!(code(individual(&old, None, &old)), "X509_CERTIFICATE_EXPIRED");
}

#[test]
fn presented_chain_bounds_are_named() {
    let leaf = self_signed("device-1", |_| {});
    let parse = |chain: &[Vec<u8>]| PresentedChain::parse(chain).unwrap_err().reason.code();
    assert_eq!(parse(&[]), "EVIDENCE_MISSING");
    assert_eq!(parse(&vec![leaf.clone(); MAX_CHAIN_CERTIFICATES + 1]), "X509_CHAIN_TOO_LONG");
    assert_eq!(parse(&[leaf.clone(), vec![0; MAX_CERTIFICATE + 1]]), "X509_CERTIFICATE_TOO_LARGE");
    assert_eq!(parse(&[b"garbage".to_vec()]), "X509_CERTIFICATE_MALFORMED");
    let mut longer = leaf;
    longer.push(0);
    assert_eq!(parse(&[longer]), "X509_CERTIFICATE_MALFORMED");
}

#[test]
fn missing_certificate_that_came_unreadable_is_named_so() {
    let root = Ca::root("Root");
    let middle = root.issue_ca("Middle");
    let cut = middle.der.get(..200).unwrap();
    let reason = group(&root.der, None, &[&middle.issue("device-1"), cut]).unwrap_err();
    assert!(matches!(&reason, Reason::CertificateMalformed { position: 1, .. }), "{reason}");
}

#[test]
fn unresolved_ca_reference_is_named() {
    let leaf = self_signed("device-1", |_| {});
    let chain = PresentedChain::parse(&[leaf]).unwrap();
    let names = CaReferences { primary: Some("plant-1".into()), secondary: None };
    let mechanism = Mechanism::CaReferences(names);
    let result = judge(&mechanism, &Evidence::X509(chain), EnrollmentKind::Group, "device-1", now());
    assert_eq!(code(result), "X509_CA_REFERENCE_UNRESOLVED");
}

#[test]
fn evidence_of_another_kind_is_named() {
    let leaf = self_signed("device-1", |_| {});
    let mechanism = Mechanism::ClientCertificates(pair(&leaf, None));
    let individual = EnrollmentKind::Individual;
    let reason = judge(&mechanism, &Evidence::None, individual, "device-1", now()).unwrap_err();
    assert_eq!(reason.public().0, ErrorCode::CertificateRejected);
    assert_eq!(code(Err(reason)), "EVIDENCE_MISSING");
    let token = dps_attestation::SasToken::parse("sr=a&sig=YQ==&se=1").unwrap();
    let result = judge(&mechanism, &Evidence::Sas(token), individual, "device-1", now());
    assert_eq!(code(result), "EVIDENCE_OTHER_KIND");
}

#[test]
fn lookups_of_chain_meet_lookups_of_its_signers() {
    let root = Ca::root("Root");
    let first = root.issue_ca("First");
    let second = first.issue_ca("Second");
    let leaf = second.issue("device-1");
    let chain = PresentedChain::parse(&[leaf.clone(), second.der.clone(), first.der.clone()]).unwrap();
    let asked = chain_lookups(&chain);
    for signer in [&root, &first, &second] {
        let stored = signing_key_lookups(&signer.der).unwrap();
        assert!(stored.iter().any(|key| asked.contains(key)), "{stored:?} {asked:?}");
    }
    let stored = signing_key_lookups(&Ca::root("Other").der).unwrap();
    assert!(!stored.iter().any(|key| asked.contains(key)));
    assert!(thumbprint_lookup(&leaf).starts_with("x5t:"));
    assert_ne!(thumbprint_lookup(&leaf), thumbprint_lookup(&second.der));
}

#[test]
fn subject_text_escapes_what_a_terminal_would_obey() {
    let leaf = self_signed("x", |params| {
        params.distinguished_name = name("a\u{1b}[2J,b");
    });
    let info = dps_attestation::x509::certificate::read_der(&leaf).unwrap().info;
    assert_eq!(info.subject_name, "CN=\"a\\u{1b}[2J,b\", O=Contoso");
}
