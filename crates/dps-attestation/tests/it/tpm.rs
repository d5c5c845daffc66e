//! TPM attestation from outside: keys in all their forms, challenges that are answered, and one refusal per reason.

use aws_lc_rs::rsa::KeySize;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_attestation::sas_token::sign_for_device;
use dps_attestation::tpm::{
    ActivationBlob, ByteOrder, ChallengeSecret, Challenger, PublicArea, Template, endorsement_key_lookup,
    key_lookup, system_random,
};
use dps_attestation::{
    Attested, EnrollmentKind, Evidence, Reason, SasToken, Subject, TpmEvidence, Verdict, verify,
};
use dps_model::attestation::Mechanism;
use dps_model::hub::HubAuthentication;
use dps_model::limits::TPM_CHALLENGE_WINDOW;
use dps_model::registration::TpmKeys;
use dps_model::{ErrorCode, IdScope, RegistrationId, Secret, Timestamp};

use crate::pki::{NOW, code};
use crate::software_tpm::{Key, Properties, SoftwareTpm, parts, sized};

const SCOPE: &str = "0ne00TEST01";
/// A moment in the middle of a window.
const BEGIN: i64 = NOW / 1000 / TPM_CHALLENGE_WINDOW * TPM_CHALLENGE_WINDOW + TPM_CHALLENGE_WINDOW / 2;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

/// A server that has challenged devices before, or not.
struct Server {
    secret: ChallengeSecret,
    last_admitted: &'static str,
    scope: IdScope,
    registration_id: RegistrationId,
}

impl Server {
    fn new() -> Self {
        Self {
            secret: ChallengeSecret::new(&Secret::new(vec![3; 32])),
            last_admitted: "",
            scope: IdScope::parse(SCOPE).unwrap(),
            registration_id: RegistrationId::parse("Device-1").unwrap(),
        }
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            id_scope: &self.scope,
            registration_id: &self.registration_id,
            scope: EnrollmentKind::Individual,
            authorities: &[],
            challenger: Some(Challenger { secret: &self.secret, last_admitted: self.last_admitted }),
        }
    }

    fn verify(&self, enrolled: &TpmKeys, shown: &TpmKeys, sas: Option<&str>, seconds: i64) -> Verdict {
        let sas = sas.map(|text| SasToken::parse(text).unwrap());
        let evidence = match TpmEvidence::read(shown, sas) {
            Ok(evidence) => Evidence::Tpm(Box::new(evidence)),
            Err(denial) => return Verdict::Denied(denial),
        };
        verify(&Mechanism::Tpm(enrolled.clone()), &evidence, &self.subject(), at(seconds))
    }

    fn challenge(&self, keys: &TpmKeys, seconds: i64) -> ActivationBlob {
        match self.verify(keys, keys, None, seconds) {
            Verdict::Challenge(challenge) => {
                assert!(challenge.expires.seconds() - seconds >= TPM_CHALLENGE_WINDOW);
                assert!(challenge.expires.seconds() - seconds <= 2 * TPM_CHALLENGE_WINDOW);
                challenge.blob
            }
            other => panic!("{other:?}"),
        }
    }

    fn token(&self, key: &[u8], expiry: i64) -> String {
        sign_for_device(&self.scope, &self.registration_id, &Secret::new(key.to_vec()), expiry)
    }

    fn answer(&self, keys: &TpmKeys, token: &str, seconds: i64) -> Result<Attested, Reason> {
        self.verify(keys, keys, Some(token), seconds).into_result().map_err(|denial| denial.reason)
    }
}

fn refused(verdict: Verdict) -> (Reason, ErrorCode) {
    let denial = verdict.into_result().expect_err("refused");
    assert!(denial.reason.to_string().contains(' '), "{}", denial.reason);
    (denial.reason, denial.code)
}

#[test]
fn device_answers_its_challenge_and_gets_a_hub_key_that_only_its_tpm_unwraps() {
    let (server, tpm) = (Server::new(), SoftwareTpm::new());
    let keys = tpm.keys();
    assert!(keys.endorsement_key.starts_with("AToAAQALAAMAsgAg"));
    let blob = server.challenge(&keys, BEGIN);
    assert_eq!(
        parts(blob.as_bytes()).iter().map(|part| part.len() + 2).collect::<Vec<_>>()[..5],
        [54, 258, 144, 258, 50]
    );
    let (key, uri) = tpm.activate(blob.as_bytes()).unwrap();
    assert_eq!((key.len(), uri.as_slice()), (32, &b"0ne00TEST01/registrations/Device-1"[..]));
    let attested = server.answer(&keys, &server.token(&key, BEGIN + 3600), BEGIN + 1).unwrap();
    assert_eq!(attested.kind(), "tpm");
    let proven = attested.endorsement_key().unwrap();
    assert_eq!((proven.template, proven.enrolled_order), (Template::EndorsementLowRange, ByteOrder::Wire));
    assert_eq!(proven.name, hex::encode(tpm.endorsement.name()));
    let HubAuthentication::Sas { primary, secondary } = attested.authentication() else { panic!("keys") };
    assert!(primary != secondary && !primary.matches(&key) && primary.expose().len() == 32);
    let evidence = TpmEvidence::read(&keys, None).unwrap();
    let blob = evidence.wrap_hub_key(&server.subject(), primary).unwrap();
    assert!(primary.matches(&tpm.activate(blob.as_bytes()).unwrap().0));
    // Another TPM gets nothing out of it.
    assert!(SoftwareTpm::new().activate(blob.as_bytes()).is_none());
    let shown = format!("{attested:?}{blob:?}{evidence:?}{:?}", server.subject());
    assert!(
        !shown.contains(&hex::encode(&key)) && !shown.contains(&hex::encode(primary.expose())),
        "{shown}"
    );
}

#[test]
fn blob_with_any_part_changed_is_not_activated() {
    let (server, tpm) = (Server::new(), SoftwareTpm::new());
    let blob = server.challenge(&tpm.keys(), BEGIN).as_bytes().to_vec();
    let mut start = 0;
    // The sixth part is not authenticated, as in Azure's: it is nobody's input.
    for part in &parts(&blob)[..5] {
        start += 2;
        let mut changed = blob.clone();
        changed[start + part.len() / 2] ^= 1;
        assert!(tpm.activate(&changed).is_none(), "byte {}", start + part.len() / 2);
        start += part.len();
    }
}

#[test]
fn larger_keys_other_hashes_and_policies_are_activated() {
    let high_range = Properties {
        size: KeySize::Rsa3072,
        name_algorithm: 0x000c,
        attributes: 0x0003_00f2,
        policy: vec![5; 48],
        symmetric_bits: 256,
    };
    let storage = Properties { size: KeySize::Rsa4096, ..Properties::storage() };
    let (server, tpm) = (Server::new(), SoftwareTpm::with(high_range, storage));
    let keys = tpm.keys();
    let (key, _) = tpm.activate(server.challenge(&keys, BEGIN).as_bytes()).unwrap();
    let attested = server.answer(&keys, &server.token(&key, BEGIN), BEGIN).unwrap();
    assert_eq!(attested.endorsement_key().unwrap().template, Template::EndorsementHighRange);
}

#[test]
fn challenge_is_bound_to_device_keys_server_and_last_use() {
    let (server, tpm) = (Server::new(), SoftwareTpm::new());
    let keys = tpm.keys();
    let (key, _) = tpm.activate(server.challenge(&keys, BEGIN).as_bytes()).unwrap();
    let token = server.token(&key, BEGIN + 3600);
    // Another node, or the same after a restart, knows the answer; the id's case does not matter.
    let mut same = Server::new();
    same.registration_id = RegistrationId::parse("device-1").unwrap();
    assert!(same.answer(&keys, &token, BEGIN).is_ok());
    // Once a request was admitted by it, it is spent.
    let spent = Server { last_admitted: "5.0000000000000000.op", ..Server::new() };
    assert_eq!(code(spent.answer(&keys, &token, BEGIN)), "TPM_KEY_NOT_ACTIVATED");
    let other_secret = Server { secret: ChallengeSecret::new(&Secret::new(vec![4; 32])), ..Server::new() };
    assert_eq!(code(other_secret.answer(&keys, &token, BEGIN)), "TPM_KEY_NOT_ACTIVATED");
    // Another device, and another service, whose tokens name them as they must.
    let other_id = Server { registration_id: RegistrationId::parse("device-2").unwrap(), ..Server::new() };
    assert_eq!(code(other_id.answer(&keys, &token, BEGIN)), "SAS_RESOURCE_MISMATCH");
    let other_scope = Server { scope: IdScope::parse("0ne00TEST02").unwrap(), ..Server::new() };
    for other in [&other_id, &other_scope] {
        let token = other.token(&key, BEGIN + 3600);
        assert_eq!(code(other.answer(&keys, &token, BEGIN)), "TPM_KEY_NOT_ACTIVATED");
    }
    let other_srk = TpmKeys { storage_root_key: SoftwareTpm::new().keys().storage_root_key, ..keys.clone() };
    assert_eq!(code(server.answer(&other_srk, &token, BEGIN)), "TPM_KEY_NOT_ACTIVATED");
    // A challenge asked for in between does not spoil the one under way.
    assert_ne!(server.challenge(&keys, BEGIN + 1), server.challenge(&other_srk, BEGIN + 2));
    assert!(server.answer(&keys, &token, BEGIN + 3).is_ok());
}

#[test]
fn hub_keys_are_new_with_every_challenge_spent_and_the_same_for_one() {
    let (server, tpm) = (Server::new(), SoftwareTpm::new());
    let keys = tpm.keys();
    let attest = |server: &Server| {
        let (key, _) = tpm.activate(server.challenge(&keys, BEGIN).as_bytes()).unwrap();
        server.answer(&keys, &server.token(&key, BEGIN + 60), BEGIN + 1).unwrap().authentication().clone()
    };
    let first = attest(&server);
    assert!(first == attest(&server), "asked again before anything was admitted");
    assert!(first != attest(&Server { last_admitted: "op", ..Server::new() }));
}

#[test]
fn challenge_answered_late_is_told_how_late() {
    let (server, tpm) = (Server::new(), SoftwareTpm::new());
    let keys = tpm.keys();
    let window = TPM_CHALLENGE_WINDOW;
    let (key, _) = tpm.activate(server.challenge(&keys, BEGIN).as_bytes()).unwrap();
    let token = server.token(&key, BEGIN + 100_000);
    let end = BEGIN + window / 2 + window;
    for seconds in [BEGIN - window, BEGIN, end - 1] {
        assert!(server.answer(&keys, &token, seconds).is_ok(), "{}", seconds - BEGIN);
    }
    for (seconds, expected) in [
        (end, "TPM_CHALLENGE_EXPIRED"),
        (end + 10 * window, "TPM_CHALLENGE_EXPIRED"),
        (end + 12 * window, "TPM_KEY_NOT_ACTIVATED"),
        (BEGIN - 2 * window, "TPM_KEY_NOT_ACTIVATED"),
    ] {
        let (reason, public) = refused(server.verify(&keys, &keys, Some(&token), seconds));
        assert_eq!((reason.code(), public), (expected, ErrorCode::Unauthorized), "{}", seconds - BEGIN);
    }
    let (reason, _) = refused(server.verify(&keys, &keys, Some(&token), end + 7));
    assert!(reason.to_string().contains("7 s too late"), "{reason}");
}

#[test]
fn token_that_the_tpm_did_not_sign_or_that_expired_refused() {
    let (server, tpm) = (Server::new(), SoftwareTpm::new());
    let keys = tpm.keys();
    let (key, _) = tpm.activate(server.challenge(&keys, BEGIN).as_bytes()).unwrap();
    let wrong = server.token(&[7; 32], BEGIN + 60);
    assert_eq!(code(server.answer(&keys, &wrong, BEGIN)), "TPM_KEY_NOT_ACTIVATED");
    let wrong = server.answer(&keys, &server.token(&[7; 32], BEGIN - 1000), BEGIN).unwrap_err();
    assert!(wrong.to_string().contains("expired by 1000 s"), "{wrong}");
    assert_eq!(code(server.answer(&keys, &server.token(&key, BEGIN - 1000), BEGIN)), "SAS_EXPIRED");
}

#[test]
fn endorsement_key_that_is_not_the_enrolled_one_told_apart_by_difference() {
    let server = Server::new();
    let enrolled = SoftwareTpm::new().keys();
    let differs = |properties: Properties, expected: &str, says: &str| {
        let shown = SoftwareTpm::with(properties, Properties::storage()).keys();
        let (reason, public) = refused(server.verify(&enrolled, &shown, None, BEGIN));
        assert_eq!((reason.code(), public), (expected, ErrorCode::Unauthorized));
        assert!(reason.to_string().contains(says), "{reason}");
        assert!(reason.to_string().contains(&PublicArea::read(&shown.endorsement_key).unwrap().name_hex()));
    };
    let standard = Properties::endorsement;
    differs(standard(), "EK_CHANGED", "empty unique");
    differs(
        Properties { size: KeySize::Rsa3072, ..standard() },
        "EK_TEMPLATE",
        "3072 bits, the enrolled one 2048",
    );
    let high = Properties { attributes: 0x0003_00f2, policy: vec![9; 32], ..standard() };
    differs(high, "EK_TEMPLATE", "the high-range endorsement key template, the enrolled one the standard");
}

#[test]
fn enrollment_in_the_hosts_byte_order_lets_the_device_in_and_says_so() {
    let (server, tpm) = (Server::new(), SoftwareTpm::new());
    let keys = tpm.keys();
    let memory = tpm.endorsement.properties.host_memory(&tpm.endorsement.modulus);
    let enrolled = TpmKeys { endorsement_key: STANDARD.encode(memory), storage_root_key: None };
    assert!(enrolled.endorsement_key.starts_with("OgEAAAEACwCyAAMAIAC"));
    assert_eq!(endorsement_key_lookup(&enrolled), endorsement_key_lookup(&keys));
    let (key, _) = tpm.activate(server.challenge(&keys, BEGIN).as_bytes()).unwrap();
    let token = server.token(&key, BEGIN + 60);
    let attested = server.verify(&enrolled, &keys, Some(&token), BEGIN).into_result().unwrap();
    assert_eq!(attested.endorsement_key().unwrap().enrolled_order, ByteOrder::Host);
    let converted = PublicArea::read(&enrolled.endorsement_key).unwrap();
    assert_eq!((converted.to_base64(), converted.byte_order()), (keys.endorsement_key, ByteOrder::Host));
    assert!(key_lookup(&converted).starts_with("ek:000b"));
}

#[test]
fn base64_with_line_breaks_escapes_or_without_padding_read() {
    let tpm = SoftwareTpm::new();
    let text = tpm.keys().endorsement_key;
    let wrapped: Vec<&str> =
        text.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let key = PublicArea::read(&text).unwrap();
    assert_eq!(key.to_bytes(), tpm.endorsement.public());
    assert_eq!((key.bits(), key.name()), (2048, tpm.endorsement.name()));
    for other in [wrapped.join("\r\n"), text.replace('/', "\\/"), text.trim_end_matches('=').to_owned()] {
        assert_eq!(PublicArea::read(&other).unwrap(), key);
    }
}

#[test]
fn key_that_cannot_be_challenged_refused_with_its_reason() {
    let key = Key::create(Properties::endorsement());
    let area = key.area();
    let with = |at: usize, bytes: &[u8]| {
        let mut area = area.clone();
        area[at..at + bytes.len()].copy_from_slice(bytes);
        sized(&area)
    };
    let host = key.properties.host_memory(&key.modulus);
    // Offsets of TPMT_PUBLIC with a policy of 32 bytes.
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("EK_ALGORITHM", with(0, &[0, 0x23]), "ECC key"),
        ("EK_ALGORITHM", with(0, &[0, 8]), "0x0008"),
        ("EK_PARSE", with(2, &[0, 4]), "name algorithm is 0x0004"),
        ("EK_PARSE", with(2, &[0, 0x0c]), "policy has 32 bytes"),
        ("EK_TEMPLATE", with(4, &[0, 3, 0, 0xb0]), "fixedTPM"),
        ("EK_TEMPLATE", with(4, &[0, 2, 0, 0xb2]), "restricted"),
        ("EK_TEMPLATE", with(4, &[0, 7, 0, 0xb2]), "sign is set"),
        ("EK_PARSE", with(42, &[0, 6, 0, 192]), "192 bits"),
        ("EK_PARSE", with(46, &[0, 0x44]), "mode 0x0044"),
        ("EK_ALGORITHM", with(50, &[4, 0]), "1024 bits"),
        ("EK_PARSE", with(52, &[0, 0, 0, 3]), "exponent is 3"),
        ("EK_PARSE", with(58, &[0x7f]), "modulus"),
        ("EK_PARSE", with(area.len() - 1, &[2]), "modulus"),
        ("EK_TEMPLATE", sized(&key.properties.area(&[0; 256])), "all zero"),
        ("EK_TEMPLATE", sized(&key.properties.area(&[])), "unique is empty"),
        ("EK_PARSE", sized(&key.properties.area(&key.modulus[..128])), "128 bytes"),
        ("EK_PARSE", sized(&[&area[..], &[0]].concat()), "1 bytes follow"),
        ("EK_PARSE", sized(&area[..100]), "within unique"),
        ("EK_PARSE", key.public()[..200].to_vec(), "length field says 314"),
        ("EK_PARSE", Vec::new(), "within size"),
        ("EK_PARSE", area.clone(), "without its length"),
        ("EK_PARSE", [&[0x30, 0x82][..], &[1; 300]].concat(), "DER"),
        ("EK_BYTE_ORDER", [&314_u16.to_le_bytes()[..], &area].concat(), "OgE"),
        ("EK_BYTE_ORDER", host[..90].to_vec(), "too short"),
        ("EK_BYTE_ORDER", [&[0x3b][..], &host[1..]].concat(), "length field"),
    ];
    let server = Server::new();
    let enrolled = SoftwareTpm::new().keys();
    for (expected, bytes, says) in cases {
        let shown = TpmKeys { endorsement_key: STANDARD.encode(&bytes), ..enrolled.clone() };
        let (reason, public) = refused(server.verify(&enrolled, &shown, None, BEGIN));
        assert_eq!((reason.code(), public), (expected, ErrorCode::ArgumentInvalid), "{reason}");
        assert!(reason.to_string().contains(says), "{reason} / {says}");
        // The same in the enrollment is the operator's: nothing of it leaves.
        let (reason, public) = refused(server.verify(&shown, &enrolled, None, BEGIN));
        assert_eq!((reason.code(), public), (expected, ErrorCode::Unauthorized), "{reason}");
        let shown = TpmKeys { storage_root_key: Some(STANDARD.encode(&bytes)), ..enrolled.clone() };
        let (reason, _) = refused(server.verify(&enrolled, &shown, None, BEGIN));
        assert!(reason.code().starts_with("SRK_"), "{reason}");
    }
    for (text, says) in [("???", "not base64"), ("-----BEGIN PUBLIC KEY-----", "PEM")] {
        let shown = TpmKeys { endorsement_key: text.into(), ..enrolled.clone() };
        let (reason, _) = refused(server.verify(&enrolled, &shown, None, BEGIN));
        assert!(reason.to_string().contains(says), "{reason}");
    }
}

#[test]
fn evidence_without_storage_root_key_or_server_without_secret_refused() {
    let (server, tpm) = (Server::new(), SoftwareTpm::new());
    let keys = tpm.keys();
    for missing in [None, Some(" ".to_owned())] {
        let shown = TpmKeys { storage_root_key: missing, ..keys.clone() };
        let (reason, public) = refused(server.verify(&keys, &shown, None, BEGIN));
        assert_eq!((reason.code(), public), ("SRK_MISSING", ErrorCode::ArgumentInvalid));
    }
    let mechanism = Mechanism::Tpm(keys.clone());
    let evidence = Evidence::Tpm(Box::new(TpmEvidence::read(&keys, None).unwrap()));
    let subject = Subject { challenger: None, ..server.subject() };
    let verdict = verify(&mechanism, &evidence, &subject, at(BEGIN));
    assert_eq!(refused(verdict).0.code(), "MECHANISM_UNAVAILABLE");
    // A challenge that nobody carries to the device is a refusal.
    let verdict = verify(&mechanism, &evidence, &server.subject(), at(BEGIN));
    assert_eq!(refused(verdict).0.code(), "TPM_CHALLENGE_UNANSWERED");
    // Keys where the enrollment asks for something else, and something else where it asks for keys.
    let token = SasToken::parse(&server.token(&[1; 32], BEGIN)).unwrap();
    for evidence in [Evidence::Sas(token), Evidence::None] {
        let reason = refused(verify(&mechanism, &evidence, &server.subject(), at(BEGIN))).0;
        assert!(reason.code().starts_with("EVIDENCE_"), "{reason}");
    }
    let keys = dps_attestation::symmetric_key::generate_pair().unwrap();
    let verdict = verify(&Mechanism::SymmetricKey(keys), &evidence, &server.subject(), at(BEGIN));
    assert!(refused(verdict).0.to_string().contains("presented a TPM's keys"));
}

#[test]
fn key_that_cannot_be_wrapped_and_randomness_that_fails_are_errors() {
    let tpm = SoftwareTpm::new();
    let [ek, srk] =
        [tpm.endorsement.public(), tpm.storage.public()].map(|key| PublicArea::parse(&key).unwrap());
    for length in [0, 65] {
        let key = Secret::new(vec![1; length]);
        assert!(ActivationBlob::wrap(&ek, &srk, &key, "", &mut system_random).is_err());
    }
    let key = Secret::new(vec![1; 64]);
    let mut broken = |_: &mut [u8]| Err(aws_lc_rs::error::Unspecified);
    assert!(ActivationBlob::wrap(&ek, &srk, &key, "", &mut broken).is_err());
    // A long text is cut, an empty one is a part of no length.
    for (text, length) in [("a".repeat(2000), 1024), (String::new(), 0)] {
        let blob = ActivationBlob::wrap(&ek, &srk, &key, &text, &mut system_random).unwrap();
        let (unwrapped, uri) = tpm.activate(blob.as_bytes()).unwrap();
        assert!(key.matches(&unwrapped));
        assert_eq!(uri.len(), length);
    }
}
