//! A TPM's public area as a stranger sends it, in bytes and in base64. What is read reads back the same from its own
//! wire form, whatever order it came in; what is not has a sentence; and a challenge to it is a blob of six parts, or
//! a refusal with a sentence.
#![no_main]

use dps_attestation::tpm::{
    ByteOrder, ChallengeSecret, Challenger, PublicArea, TpmEvidence, endorsement_key_lookup, key_lookup,
};
use dps_attestation::{EnrollmentKind, Evidence, Subject, Verdict, verify};
use dps_model::attestation::Mechanism;
use dps_model::registration::TpmKeys;
use dps_model::{IdScope, RegistrationId, Secret, Timestamp};
use libfuzzer_sys::fuzz_target;

fn parts(mut blob: &[u8]) -> usize {
    let mut parts = 0;
    while let Some((length, rest)) = blob.split_first_chunk::<2>() {
        blob = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).expect("whole parts").1;
        parts += 1;
    }
    parts
}

fn challenged(key: &PublicArea) {
    let id_scope = IdScope::parse("0ne00TEST01").expect("a legal scope");
    let registration_id = RegistrationId::parse("device-1").expect("a legal id");
    let secret = ChallengeSecret::new(&Secret::new(vec![1; 32]));
    let subject = Subject {
        id_scope: &id_scope,
        registration_id: &registration_id,
        scope: EnrollmentKind::Individual,
        authorities: &[],
        challenger: Some(Challenger { secret: &secret, last_admitted: "" }),
    };
    let keys = TpmKeys { endorsement_key: key.to_base64(), storage_root_key: Some(key.to_base64()) };
    assert_eq!(endorsement_key_lookup(&keys), Some(key_lookup(key)));
    let evidence = TpmEvidence::read(&keys, None).expect("what was read reads again");
    let evidence = Evidence::Tpm(Box::new(evidence));
    match verify(&Mechanism::Tpm(keys), &evidence, &subject, Timestamp::from_millis(1_893_456_000_000)) {
        Verdict::Challenge(challenge) => assert_eq!(parts(challenge.blob.as_bytes()), 6),
        Verdict::Denied(denial) => assert!(denial.reason.to_string().contains(' ')),
        Verdict::Attested(_) => panic!("attested without an answer"),
    }
}

fuzz_target!(|data: &[u8]| {
    match PublicArea::parse(data) {
        Err(error) => assert!(error.to_string().contains(' ')),
        Ok(key) => {
            assert_eq!(key.byte_order() == ByteOrder::Wire, key.to_bytes() == data);
            let again = PublicArea::parse(&key.to_bytes()).expect("the wire form reads");
            assert_eq!((&again, again.byte_order()), (&key, ByteOrder::Wire));
            assert!(again.same_properties(&key) && matches!(key.bits(), 2048 | 3072 | 4096));
            challenged(&key);
        }
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(key) = PublicArea::read(text)
    {
        assert_eq!(PublicArea::read(&key.to_base64()).expect("its base64 reads"), key);
    }
});
