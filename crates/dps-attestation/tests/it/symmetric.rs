//! Symmetric keys and tokens: what is accepted, and one refusal per reason and per known mistake.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_attestation::sas_token::sign_for_device;
use dps_attestation::symmetric_key::{GroupKeys, derive_device_key, read};
use dps_attestation::{
    Attested, Denial, EnrollmentKind, Evidence, Reason, RefusedToken, SasError, SasMistake, SasToken, Slot,
};
use dps_model::attestation::{Mechanism, SymmetricKeys};
use dps_model::hub::HubAuthentication;
use dps_model::limits::{MAX_SAS_TOKEN, SAS_CLOCK_SKEW};
use dps_model::{ErrorCode, IdScope, RegistrationId, Secret};

use crate::pki::{NOW, code, judge, now};

const SR: &str = "0ne00TEST01%2Fregistrations%2Fdevice-1";
const NOW_SECONDS: i64 = NOW / 1000;

fn keys() -> SymmetricKeys {
    SymmetricKeys { primary: Secret::new(vec![7; 64]), secondary: Secret::new(vec![9; 16]) }
}

fn hmac(key: &Secret, text: &str) -> Vec<u8> {
    derive_device_key(key, text).expose().to_vec()
}

fn token_of(sr: &str, se: i64, signature: &str) -> String {
    let signature = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    format!("SharedAccessSignature sr={sr}&sig={signature}&se={se}&skn=registration")
}

fn verdict(kind: EnrollmentKind, text: &str) -> Result<Attested, Reason> {
    let token = SasToken::parse(text).unwrap();
    judge(&Mechanism::SymmetricKey(keys()), &Evidence::Sas(token), kind, "device-1", now())
}

fn signed(key: &Secret, se: i64) -> String {
    SasToken::sign("0ne00TEST01/registrations/device-1", key, se, Some("registration"))
}

#[test]
fn individual_either_key_accepted_with_both_for_the_hub() {
    for (key, slot) in [(keys().primary, Slot::Primary), (keys().secondary, Slot::Secondary)] {
        let attested = verdict(EnrollmentKind::Individual, &signed(&key, NOW_SECONDS + 30)).unwrap();
        assert_eq!((attested.slot(), attested.kind()), (slot, "symmetricKey"));
        let expected = HubAuthentication::Sas { primary: keys().primary, secondary: keys().secondary };
        assert!(*attested.authentication() == expected);
        assert!(attested.certificate().is_none());
        assert!(!format!("{attested:?}").contains("[7"), "no key in Debug");
    }
}

#[test]
fn group_derived_keys_accepted_and_given_to_the_hub() {
    let derived = |key: &Secret| derive_device_key(key, "device-1");
    let attested = verdict(EnrollmentKind::Group, &signed(&derived(&keys().secondary), NOW_SECONDS)).unwrap();
    assert_eq!(attested.slot(), Slot::Secondary);
    let expected =
        HubAuthentication::Sas { primary: derived(&keys().primary), secondary: derived(&keys().secondary) };
    assert!(*attested.authentication() == expected);
}

#[test]
fn group_key_derived_from_lower_case_accepted_and_told() {
    let id = "Device-1";
    let scope = IdScope::parse("0ne00TEST01").unwrap();
    let registration = RegistrationId::parse(id).unwrap();
    for (spelling, lower) in [("Device-1", false), ("device-1", true)] {
        let key = derive_device_key(&keys().primary, spelling);
        let token = SasToken::parse(&sign_for_device(&scope, &registration, &key, NOW_SECONDS)).unwrap();
        let mechanism = Mechanism::SymmetricKey(keys());
        let attested = judge(&mechanism, &Evidence::Sas(token), EnrollmentKind::Group, id, now()).unwrap();
        assert_eq!(attested.derived_from_lower_case(), lower);
        assert!(
            matches!(attested.authentication(), HubAuthentication::Sas { primary, .. } if *primary == key)
        );
    }
}

#[test]
fn published_vectors_of_derived_keys_hold() {
    let first = "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==";
    let second = "oiK77Oy7rBw8YB6IS6ukRChAw+Yq6GC61RMrPLSTiOOtdI+XDu0LmLuNm11p+qv2I+adqGUdZHm46zXAQdZoOA==";
    for (key, id, derived) in [
        (first, "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6", "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc="),
        (second, "breakroom499-contoso-tstrsd-007", "JC8F96eayuQwwz+PkE7IzjH2lIAjCUnAa61tDigBnSs="),
        (second, "mainbuilding167-contoso-hpsd-088", "6uejA9PfkQgmYylj8Zerp3kcbeVrGZ172YLa7VSnJzg="),
    ] {
        assert_eq!(STANDARD.encode(derive_device_key(&read(key).unwrap(), id).expose()), derived);
    }
}

#[test]
fn every_clients_spelling_of_a_token_accepted() {
    // facts: wire-protocol.md §1, "SAS tokens": what each SDK sends for `sr`, in which order, with which `skn`.
    let se = NOW_SECONDS + 3600;
    for sr in [
        "0ne00TEST01%2Fregistrations%2Fdevice-1",
        "0ne00TEST01%2fregistrations%2fdevice-1",
        "0ne00TEST01/registrations/device-1",
        "0ne00test01%2Fregistrations%2Fdevice-1",
    ] {
        let signature = STANDARD.encode(hmac(&keys().primary, &format!("{sr}\n{se}")));
        let escaped = signature.replace('+', "%2b").replace('/', "%2f").replace('=', "%3d");
        for text in [
            format!("SharedAccessSignature sr={sr}&sig={escaped}&se={se}"),
            format!("SharedAccessSignature sr={sr}&sig={escaped}&skn=registration&se={se}"),
            format!("SharedAccessSignature sr={sr}&sig={signature}&se={se}&skn="),
            format!("sharedaccesssignature se={se}&sig={escaped}&future=1&sr={sr}"),
            format!("sr={sr}&sig={escaped}&se={se}"),
        ] {
            assert!(verdict(EnrollmentKind::Individual, &text).is_ok(), "{text}");
        }
    }
}

#[test]
fn token_for_something_else_is_named() {
    for resource in
        ["0ne00TEST01/registrations/device-2", "0ne00OTHER1/registrations/device-1", "0ne00TEST01"]
    {
        let text = SasToken::sign(resource, &keys().primary, NOW_SECONDS + 60, None);
        let reason = verdict(EnrollmentKind::Individual, &text).unwrap_err();
        assert_eq!(
            reason,
            Reason::SasResourceMismatch {
                presented: resource.into(),
                expected: "0ne00TEST01/registrations/device-1".into()
            }
        );
        assert_eq!(code(Err(reason)), "SAS_RESOURCE_MISMATCH");
    }
}

#[test]
fn expired_token_says_by_how_much_and_skew_is_forgiven() {
    for kind in [EnrollmentKind::Individual, EnrollmentKind::Group] {
        let key = match kind {
            EnrollmentKind::Individual => keys().primary,
            EnrollmentKind::Group => derive_device_key(&keys().primary, "device-1"),
        };
        assert!(verdict(kind, &signed(&key, NOW_SECONDS - SAS_CLOCK_SKEW)).is_ok());
        let se = NOW_SECONDS - SAS_CLOCK_SKEW - 1;
        let reason = verdict(kind, &signed(&key, se)).unwrap_err();
        assert_eq!(reason, Reason::SasExpired { expired_at: se, by_seconds: SAS_CLOCK_SKEW + 1 });
        assert_eq!(code(Err(reason)), "SAS_EXPIRED");
    }
}

#[test]
fn wrong_key_is_named_without_a_mistake() {
    let other = Secret::new(vec![1; 32]);
    for kind in [EnrollmentKind::Individual, EnrollmentKind::Group] {
        let reason = verdict(kind, &signed(&other, NOW_SECONDS + 60)).unwrap_err();
        assert_eq!(reason, Reason::SasSignatureMismatch { expired_by: None });
        let denial = Denial::from(reason.clone());
        assert_eq!((denial.code, &*denial.message), (ErrorCode::Unauthorized, "Unauthorized"));
        assert_eq!(code(Err(reason)), "SAS_SIGNATURE_MISMATCH");
        let reason = verdict(kind, &signed(&other, NOW_SECONDS - 900)).unwrap_err();
        assert_eq!(reason, Reason::SasSignatureMismatch { expired_by: Some(900) });
    }
}

#[test]
fn known_mistakes_are_recognised() {
    use EnrollmentKind::{Group, Individual};
    let se = NOW_SECONDS + 60;
    let text = |key: &Secret| Secret::from(STANDARD.encode(key.expose()));
    let derived = derive_device_key(&keys().primary, "device-1");
    let (individual, group) = (keys().primary, derived.clone());
    let plain = |key: &Secret| token_of(SR, se, &STANDARD.encode(hmac(key, &format!("{SR}\n{se}"))));
    let cases = [
        (Group, plain(&keys().primary), SasMistake::GroupKeyUsed),
        (Group, plain(&keys().secondary), SasMistake::GroupKeyUsed),
        (Group, plain(&derive_device_key(&derived, "device-1")), SasMistake::DoubleDerived),
        (Group, plain(&text(&derived)), SasMistake::KeyNotDecoded),
        (Group, plain(&derive_device_key(&text(&individual), "device-1")), SasMistake::GroupKeyNotDecoded),
        (Individual, plain(&derived), SasMistake::DerivedFromIndividualKey),
        (Individual, plain(&text(&individual)), SasMistake::KeyNotDecoded),
        (
            Individual,
            token_of(SR, se, &hex::encode(hmac(&individual, &format!("{SR}\n{se}")))),
            SasMistake::HexDigest,
        ),
        (
            Group,
            token_of(SR, se, &STANDARD.encode(hex::encode(hmac(&group, &format!("{SR}\n{se}"))))),
            SasMistake::HexDigest,
        ),
        (
            Individual,
            token_of(SR, se, &STANDARD.encode(hmac(&individual, &format!("{SR}{se}")))),
            SasMistake::LineFeedMissing,
        ),
        (
            Individual,
            token_of(SR, se, &STANDARD.encode(hmac(&individual, &format!("{SR}\n{se}\n")))),
            SasMistake::LineFeedAtEnd,
        ),
        (
            Individual,
            token_of(
                SR,
                se,
                &STANDARD.encode(hmac(&individual, &format!("0ne00TEST01/registrations/device-1\n{se}"))),
            ),
            SasMistake::ResourceEscapedOtherwise,
        ),
        (
            Group,
            token_of(
                "0ne00TEST01/registrations/device-1",
                se,
                &STANDARD.encode(hmac(&group, &format!("{SR}\n{se}"))),
            ),
            SasMistake::ResourceEscapedOtherwise,
        ),
    ];
    for (kind, token, expected) in cases {
        let reason = verdict(kind, &token).unwrap_err();
        assert!(matches!(reason, Reason::SasSignatureMismatch { .. }), "{reason}");
        assert_eq!(mistake_of(kind, &token, "device-1"), Some(expected), "{kind:?}");
    }
}

/// What is found of a token when only its record is left.
fn mistake_of(kind: EnrollmentKind, token: &str, registration_id: &str) -> Option<SasMistake> {
    let token = SasToken::parse(token).unwrap();
    let refused = RefusedToken {
        resource: token.resource_text(),
        expiry: token.expiry(),
        signature_hash: &token.signature_hash(),
        id_scope: &IdScope::parse("0ne00TEST01").unwrap(),
        registration_id: &RegistrationId::parse(registration_id).unwrap(),
    };
    SasMistake::find(&keys(), kind, &refused)
}

#[test]
fn key_derived_for_the_id_in_other_letters_is_recognised() {
    let key = derive_device_key(&keys().primary, "DEVICE-1");
    let token = signed(&key, NOW_SECONDS + 60);
    let found = mistake_of(EnrollmentKind::Group, &token, "device-1");
    assert_eq!(found, Some(SasMistake::DerivedForOtherCase));
    let other = signed(&Secret::new(vec![1; 32]), NOW_SECONDS + 60);
    for kind in [EnrollmentKind::Group, EnrollmentKind::Individual] {
        assert_eq!(mistake_of(kind, &other, "device-1"), None);
    }
}

#[test]
fn malformed_tokens_are_named() {
    let long = format!("sr=a&sig=YQ==&se=1&x={}", "y".repeat(MAX_SAS_TOKEN));
    for (text, error) in [
        ("", SasError::FieldMissing { field: "sr" }),
        ("sr=a&se=1", SasError::FieldMissing { field: "sig" }),
        ("sr=a&sig=YQ==", SasError::FieldMissing { field: "se" }),
        ("sr=&sig=YQ==&se=1", SasError::FieldMissing { field: "sr" }),
        ("sr=a&sr=a&sig=YQ==&se=1", SasError::FieldRepeated { field: "sr" }),
        ("sr=a&sig=YQ==&se=1&skn=a&skn=b", SasError::FieldRepeated { field: "skn" }),
        ("Bearer eyJ", SasError::PartWithoutValue { position: 1 }),
        ("sr=a&sig=YQ==&se=tomorrow", SasError::ExpiryNotSeconds),
        ("sr=a&sig=YQ==&se=-1", SasError::ExpiryNotSeconds),
        ("sr=a&sig=YQ==&se=99999999999999999999", SasError::ExpiryNotSeconds),
        ("sr=%ff&sig=YQ==&se=1", SasError::FieldNotText { field: "sr" }),
        ("sr=a&sig=!!&se=1", SasError::SignatureNotBase64),
        (&long, SasError::TooLong { length: long.len() }),
    ] {
        assert_eq!(SasToken::parse(text).unwrap_err(), error, "{text:.40}");
        let denial = Denial::from(error);
        assert_eq!((denial.code, denial.reason.code()), (ErrorCode::Unauthorized, "SAS_MALFORMED"));
        assert!(denial.reason.to_string().starts_with("the SAS token is malformed: "));
    }
}

#[test]
fn evidence_that_is_no_token_is_named() {
    let mechanism = Mechanism::SymmetricKey(keys());
    let reason =
        judge(&mechanism, &Evidence::None, EnrollmentKind::Individual, "device-1", now()).unwrap_err();
    assert_eq!(reason.public().0, ErrorCode::Unauthorized);
    assert_eq!(code(Err(reason)), "EVIDENCE_MISSING");
    let tpm = dps_model::registration::TpmKeys { endorsement_key: "AToA".into(), storage_root_key: None };
    let result = judge(&Mechanism::Tpm(tpm), &Evidence::None, EnrollmentKind::Individual, "device-1", now());
    assert_eq!(code(result), "EVIDENCE_MISSING");
}

#[test]
fn token_debug_and_hash_do_not_show_the_signature() {
    let text = signed(&keys().primary, NOW_SECONDS);
    let token = SasToken::parse(&text).unwrap();
    let signature = text.split("sig=").nth(1).unwrap().split('&').next().unwrap();
    assert!(!format!("{token:?}").contains(signature.get(..20).unwrap()));
    assert_eq!(token.signature_hash().len(), 64);
    assert_eq!(token.policy(), Some("registration"));
    assert_eq!(token.resource_text(), SR);
}

#[test]
fn resource_prefix_ends_at_a_segment() {
    let token = |resource: &str| {
        SasToken::parse(&SasToken::sign(resource, &keys().primary, NOW_SECONDS, Some("owner"))).unwrap()
    };
    let host = token("Muster.example");
    assert!(host.resource_covers("muster.example") && host.resource_covers("muster.example/enrollments/a"));
    assert!(!host.resource_covers("muster.example.evil") && !host.resource_covers("muster"));
    let deep = token("muster.example/enrollments/");
    assert!(deep.resource_covers("muster.example/enrollments/a") && !deep.resource_covers("muster.example"));
    assert!(!token("/").resource_covers("muster.example"));
    assert!(token("hub.example/devices/d").resource_is("HUB.example/devices/d"));
}

#[test]
fn group_keys_match_only_their_own_devices() {
    let prepared = GroupKeys::prepare(&keys());
    let id = RegistrationId::parse("device-1").unwrap();
    let of = |key: &Secret| SasToken::parse(&signed(key, NOW_SECONDS)).unwrap();
    let mine = of(&derive_device_key(&keys().secondary, "device-1"));
    assert_eq!(prepared.matches(&mine, &id).unwrap().slot, Slot::Secondary);
    assert!(prepared.matches(&of(&keys().primary), &id).is_none());
    assert!(prepared.matches(&of(&derive_device_key(&keys().primary, "device-2")), &id).is_none());
}
