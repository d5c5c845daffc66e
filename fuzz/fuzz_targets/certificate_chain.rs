//! Certificates as a stranger presents them: a chain whose members are framed by two bytes of length, judged against
//! each of its own members as an enrollment's certificate. Whatever comes, there is a verdict with a sentence, the
//! lookups stay in their bound, and a leaf that nobody enrolled is attested by a path only.
#![no_main]

use dps_attestation::x509::certificate::{read_der, read_text, spki};
use dps_attestation::x509::{chain_lookups, signing_key_lookups, thumbprint_lookup};
use dps_attestation::{EnrollmentKind, Evidence, PresentedChain, Subject, Verdict, verify};
use dps_model::attestation::{Certificates, Mechanism};
use dps_model::limits::{MAX_LOOKUP_KEYS, MAX_LOOKUPS};
use dps_model::{IdScope, RegistrationId, Timestamp};
use libfuzzer_sys::fuzz_target;

fn split(mut data: &[u8]) -> Vec<Vec<u8>> {
    let mut members = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (member, rest) = rest.split_at(length);
        members.push(member.to_vec());
        data = rest;
    }
    members
}

fuzz_target!(|data: &[u8]| {
    let members = split(data);
    for der in &members {
        let _ = spki(der);
        let _ = thumbprint_lookup(der);
        if let Ok(keys) = signing_key_lookups(der) {
            assert!(!keys.is_empty() && keys.len() <= MAX_LOOKUPS);
        }
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = read_text(text);
    }
    let chain = match PresentedChain::parse(&members) {
        Ok(chain) => chain,
        Err(denial) => return assert!(denial.reason.to_string().contains(' ')),
    };
    let keys = chain_lookups(&chain);
    assert!(!keys.is_empty() && keys.len() <= MAX_LOOKUP_KEYS);
    let id_scope = IdScope::parse("0ne00TEST01").expect("a legal scope");
    let registration_id = RegistrationId::parse("device-1").expect("a legal id");
    let evidence = Evidence::X509(chain);
    for der in &members {
        let Ok(certificate) = read_der(der) else { continue };
        let pair = Certificates { primary: certificate, secondary: None };
        for (mechanism, scope) in [
            (Mechanism::ClientCertificates(pair.clone()), EnrollmentKind::Individual),
            (Mechanism::SigningCertificates(pair.clone()), EnrollmentKind::Group),
        ] {
            let subject = Subject {
                id_scope: &id_scope,
                registration_id: &registration_id,
                scope,
                authorities: &[],
                challenger: None,
            };
            match verify(&mechanism, &evidence, &subject, Timestamp::from_millis(1_893_456_000_000)) {
                Verdict::Denied(denial) => assert!(denial.reason.to_string().contains(' ')),
                Verdict::Attested(attested) => {
                    let path = attested.path().expect("a certificate proved it");
                    let exact = path.leaf.sha256_thumbprint == pair.primary.info.sha256_thumbprint;
                    assert_eq!(exact, scope == EnrollmentKind::Individual);
                    assert_eq!(path.signer.is_some(), scope == EnrollmentKind::Group);
                }
            }
        }
    }
});
