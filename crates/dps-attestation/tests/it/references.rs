//! Enrollments that refer to uploaded CA certificates: only verified ones let a device in, each other case is named.

use dps_attestation::x509::certificate::read_der;
use dps_attestation::{Attested, EnrollmentKind, Evidence, PresentedChain, Reason, Slot};
use dps_model::attestation::{CaReferences, Mechanism};
use dps_model::certificate_authority::CaCertificate;
use dps_model::{Etag, Timestamp};

use crate::pki::{Ca, code, judge_with, now};

fn uploaded(name: &str, ca: &Ca, is_verified: bool) -> CaCertificate {
    CaCertificate {
        name: name.into(),
        certificate: read_der(&ca.der).unwrap(),
        lookups: Vec::new(),
        is_verified,
        verification_code: None,
        etag: Etag::fresh(),
        created: now(),
        updated: now(),
    }
}

fn judged(
    authorities: &[CaCertificate],
    primary: &str,
    secondary: Option<&str>,
    presented: &[Vec<u8>],
    now: Timestamp,
) -> Result<Attested, Reason> {
    let names = CaReferences { primary: Some(primary.into()), secondary: secondary.map(Into::into) };
    let chain = PresentedChain::parse(presented).map_err(|denial| denial.reason)?;
    let mechanism = Mechanism::CaReferences(names);
    judge_with(authorities, &mechanism, &Evidence::X509(chain), EnrollmentKind::Group, "device-1", now)
}

#[test]
fn references_primary_and_secondary_each_let_their_devices_in() {
    let (old, new) = (Ca::root("Old"), Ca::root("New"));
    let authorities = [uploaded("plant-old", &old, true), uploaded("plant-new", &new, true)];
    let by = |ca: &Ca| judged(&authorities, "PLANT-old", Some("plant-new"), &[ca.issue("device-1")], now());
    assert_eq!(by(&old).unwrap().slot(), Slot::Primary);
    let attested = by(&new).unwrap();
    assert_eq!(attested.slot(), Slot::Secondary);
    assert_eq!(attested.signing_certificate().unwrap().subject_name, "CN=New, O=Contoso");
    assert_eq!(code(by(&Ca::root("Other"))), "X509_CHAIN_INCOMPLETE");
}

#[test]
fn references_to_an_unverified_certificate_name_it() {
    let (old, new) = (Ca::root("Old"), Ca::root("New"));
    let authorities = [uploaded("plant-old", &old, true), uploaded("plant-new", &new, false)];
    let by = |ca: &Ca| judged(&authorities, "plant-old", Some("plant-new"), &[ca.issue("device-1")], now());
    let reason = by(&new).unwrap_err();
    assert_eq!(reason, Reason::CaNotVerified { name: "plant-new".into() });
    assert!(reason.to_string().contains("plant-new"), "{reason}");
    assert_eq!(code(by(&Ca::root("Other"))), "X509_CHAIN_INCOMPLETE", "the unverified one is not to blame");
    let alone = judged(&authorities, "plant-new", None, &[Ca::root("Other").issue("device-1")], now());
    assert_eq!(code(alone), "X509_CA_NOT_VERIFIED");
    let dangling = judged(&authorities, "gone", None, &[old.issue("device-1")], now());
    assert_eq!(dangling.unwrap_err(), Reason::CaReferenceUnresolved { names: "gone".into() });
}

#[test]
fn references_outside_the_signers_validity_are_refused_with_its_dates() {
    let times = |from: i32, to: i32| {
        Ca::root_with("Timed", |params| {
            params.not_before = rcgen::date_time_ymd(from, 1, 1);
            params.not_after = rcgen::date_time_ymd(to, 1, 1);
        })
    };
    let judged = |ca: &Ca| {
        judged(&[uploaded("timed", ca, true)], "timed", None, &[ca.issue("device-1")], now()).map(|_| ())
    };
    let expired = judged(&times(2020, 2029)).unwrap_err();
    assert_eq!(expired.code(), "X509_CERTIFICATE_EXPIRED");
    assert!(expired.to_string().contains("expired at 2029-01-01"), "{expired}");
    assert_eq!(judged(&times(2031, 2040)).unwrap_err().code(), "X509_CERTIFICATE_NOT_YET_VALID");
    assert_eq!(judged(&times(2020, 2040)), Ok(()));
}
