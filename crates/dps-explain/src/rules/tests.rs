use dps_attestation::SasMistake;
use dps_events::{
    AssignmentRecord, AttemptRecord, Candidate, Cause, CertificateSummary, ConnectionRecord, Enrollment,
    Event, HandshakeRecord, HubDeviceName, LinkProbeRecord, ManagementCallRecord, Operation, Outcome,
    SasSummary, WebhookCall,
};
use dps_model::{Channel, Error, ErrorCode, Protocol, Timestamp, TlsSession, TrackingId};

use super::{duration, explain, word};
use crate::known::{Authority, Known, Near, NearKind, SasMatch, Signer, Wanted};

const NOW: i64 = 1_800_000_000;

fn attempt(fill: impl FnOnce(&mut AttemptRecord)) -> Event {
    let peer = "24.18.226.7:5000".parse().unwrap();
    let channel = Channel { protocol: Protocol::Mqtt, peer, tls: TlsSession::default() };
    let now = Timestamp::from_millis(NOW * 1000);
    let mut record = AttemptRecord::open(TrackingId::fresh(), now, &channel, Operation::Register);
    record.registration_id = "press-7".into();
    record.instance = Some("dps".into());
    record.id_scope = "0ne0000000A".into();
    record.outcome = Outcome::failed(&Error::new(ErrorCode::Unauthorized).because("nobody knows it"));
    fill(&mut record);
    Event::Attempt(Box::new(record))
}

fn codes(causes: &[Cause]) -> Vec<&str> {
    causes.iter().map(|cause| cause.code).collect()
}

fn sas(expiry: i64) -> SasSummary {
    SasSummary { resource: "x".into(), expiry, policy: None, signature_hash: "00".into() }
}

fn refused_by(kind: &'static str, reason: &'static str, detail: &str) -> Candidate {
    Candidate { enrollment: Enrollment { kind, id: "factory".into() }, reason, detail: detail.into() }
}

fn certificate(subject: &str, issuer: &str, issuer_key: Option<&str>) -> CertificateSummary {
    CertificateSummary {
        subject: subject.into(),
        issuer: issuer.into(),
        sha256_thumbprint: String::new(),
        subject_key_id: Some(format!("key of {subject}")),
        authority_key_id: issuer_key.map(Into::into),
        not_before: Timestamp::from_millis(0),
        not_after: Timestamp::from_millis(0),
    }
}

fn signer(subject: &str, key: &str) -> Signer {
    Signer { group: "factory".into(), subject: subject.into(), issuer: subject.into(), key: Some(key.into()) }
}

fn authority(subject: &str, verified: bool) -> Authority {
    Authority {
        name: "root-1".into(),
        subject: subject.into(),
        issuer: subject.into(),
        key: Some(format!("key of {subject}")),
        verified,
    }
}

#[test]
fn group_key_that_was_used_is_all_there_is_to_say() {
    let event = attempt(|record| record.sas = Some(sas(NOW + 60)));
    assert_eq!(Wanted::of(&event), Wanted { near: true, sas: true, ..Wanted::default() });
    let known = Known {
        sas: vec![SasMatch { group: Some("factory".into()), mistake: SasMistake::GroupKeyUsed }],
        ..Known::default()
    };
    let causes = explain(&event, &known);
    assert_eq!(codes(&causes), ["SAS_GROUP_KEY_USED"]);
    let [first, ..] = causes.as_slice() else { panic!() };
    assert!(!first.inferred && first.sentence.contains("enrollment group factory"), "{first:?}");
    assert_eq!(
        first.fix[0].command.as_deref(),
        Some("muster enrollment-group compute-device-key --enrollment-id factory --registration-id press-7")
    );
}

#[test]
fn unexplained_signature_is_a_mismatch_and_asks_for_keys_alone() {
    let event = attempt(|record| {
        record.sas = Some(sas(NOW + 60));
        record.reason = Some("SAS_SIGNATURE_MISMATCH");
        record.candidates =
            vec![refused_by("IndividualEnrollment", "SAS_SIGNATURE_MISMATCH", "no key made it")];
    });
    assert_eq!(Wanted::of(&event), Wanted { sas: true, ..Wanted::default() });
    let causes = explain(&event, &Known::default());
    assert_eq!(codes(&causes), ["SAS_SIGNATURE_MISMATCH"]);
    assert_eq!(causes[0].sentence, "individual enrollment factory: no key made it");
}

#[test]
fn expired_token_tells_a_clock_that_is_behind_from_one_that_was_never_set() {
    let expired = |expiry| {
        attempt(|record| {
            record.sas = Some(sas(expiry));
            record.reason = Some("SAS_EXPIRED");
            record.candidates = vec![refused_by("IndividualEnrollment", "SAS_EXPIRED", "expired")];
        })
    };
    let causes = explain(&expired(NOW - 273_600), &Known::default());
    assert_eq!(codes(&causes), ["SAS_EXPIRED", "CLOCK_SKEW"]);
    assert!(causes[1].inferred && causes[1].sentence.contains("3 d 4 h"), "{causes:?}");
    assert_eq!(codes(&explain(&expired(4_000), &Known::default())), ["CLOCK_1970", "SAS_EXPIRED"]);
}

#[test]
fn leaf_alone_is_an_incomplete_chain_and_says_that_it_infers() {
    let event = attempt(|record| record.chain = vec![certificate("CN=press-7", "CN=Line 4", Some("cafe"))]);
    assert!(Wanted::of(&event).chain);
    let known = Known { signers: vec![signer("CN=Root", "beef")], ..Known::default() };
    let causes = explain(&event, &known);
    assert_eq!(codes(&causes), ["X509_CHAIN_INCOMPLETE", "X509_ISSUER_UNKNOWN", "ENROLLMENT_NOT_FOUND"]);
    assert!(causes[0].inferred && causes[0].sentence.contains("CN=Line 4"));
    assert!(causes[0].evidence.iter().any(|fact| fact.value == "cafe"));
}

#[test]
fn chain_to_an_uploaded_certificate_tells_verified_from_unverified() {
    let chain = |record: &mut AttemptRecord| {
        record.chain = vec![certificate("CN=press-7", "CN=Root", Some("key of CN=Root"))];
    };
    for (verified, code) in [(false, "X509_NO_VERIFIED_ANCHOR"), (true, "X509_NO_GROUP_FOR_CA")] {
        let known = Known { authorities: vec![authority("CN=Root", verified)], ..Known::default() };
        let causes = explain(&attempt(chain), &known);
        assert_eq!(codes(&causes)[0], code);
        assert!(causes[0].fix[0].command.as_ref().unwrap().contains("root-1"));
    }
}

#[test]
fn same_name_with_another_key_was_issued_anew() {
    let event = attempt(|record| record.chain = vec![certificate("CN=press-7", "CN=Root", Some("new"))]);
    let known = Known { signers: vec![signer("CN=Root", "old")], ..Known::default() };
    assert_eq!(codes(&explain(&event, &known))[0], "X509_SIGNER_REISSUED");
}

#[test]
fn candidate_that_came_furthest_is_named_first() {
    let event = attempt(|record| {
        record.chain = vec![certificate("CN=press-7", "CN=Root", None)];
        record.reason = Some("X509_CHAIN_INCOMPLETE");
        record.candidates = vec![
            refused_by("EnrollmentGroup", "X509_CHAIN_INCOMPLETE", "incomplete"),
            refused_by("EnrollmentGroup", "X509_CERTIFICATE_EXPIRED", "expired"),
        ];
    });
    assert_eq!(
        codes(&explain(&event, &Known::default())),
        ["X509_CERTIFICATE_EXPIRED", "X509_CHAIN_INCOMPLETE"]
    );
}

#[test]
fn windows_client_with_its_leaf_alone_is_told_of_the_store() {
    let event = attempt(|record| {
        record.client = Some("Microsoft.Azure.Devices.Provisioning.Client/1.19 (.NET; Windows 11)".into());
        record.chain = vec![certificate("CN=press-7", "CN=Line 4", None)];
        record.reason = Some("X509_CHAIN_INCOMPLETE");
        record.candidates = vec![refused_by("EnrollmentGroup", "X509_CHAIN_INCOMPLETE", "incomplete")];
    });
    let causes = explain(&event, &Known::default());
    assert!(causes[0].fix.iter().any(|fix| fix.text.contains("Windows")), "{causes:?}");
}

#[test]
fn swapped_board_is_told_by_its_endorsement_key() {
    let event = attempt(|record| {
        record.endorsement_key = Some("000b".into());
        record.outcome = Outcome::failed(&Error::new(ErrorCode::EnrollmentNotFound));
    });
    assert!(Wanted::of(&event).key_holders);
    let known = Known { key_holders: vec!["press-6".into()], ..Known::default() };
    assert_eq!(codes(&explain(&event, &known)), ["EK_ENROLLED_UNDER_OTHER_ID", "ENROLLMENT_NOT_FOUND"]);
}

#[test]
fn near_ids_are_offered_as_inferences() {
    let near = |kind| vec![Near { name: "press-77".into(), kind, distance: 1 }];
    let event = attempt(|record| record.sas = Some(sas(NOW + 60)));
    let known = Known { near: near(NearKind::Enrollment), ..Known::default() };
    let causes = explain(&event, &known);
    assert_eq!(codes(&causes), ["ENROLLMENT_NEAR_MISS", "ENROLLMENT_NOT_FOUND"]);
    assert!(causes[0].inferred);
    let event = attempt(|record| {
        record.instance = None;
        record.outcome = Outcome::failed(&Error::new(ErrorCode::IdScopeNotFound));
    });
    let known = Known { scopes: near(NearKind::Scope), ..Known::default() };
    assert_eq!(codes(&explain(&event, &known)), ["ID_SCOPE_NEAR_MISS", "ID_SCOPE_UNKNOWN"]);
}

#[test]
fn bad_registration_id_is_told_with_its_character() {
    let event = attempt(|record| {
        record.registration_id = "press@7".into();
        record.outcome = Outcome::failed(&Error::argument("registrationId is invalid"));
    });
    let causes = explain(&event, &Known::default());
    assert_eq!(codes(&causes), ["REGID_CHARSET"]);
    assert!(causes[0].sentence.contains('@'), "{causes:?}");
}

#[test]
fn reason_outside_the_catalogue_stands_beside_the_cause() {
    let event = attempt(|record| {
        record.reason = Some("THROTTLED_INSTANCE");
        record.outcome = Outcome::failed(&Error::new(ErrorCode::Throttled).because("too many at once"));
    });
    let causes = explain(&event, &Known::default());
    assert_eq!(codes(&causes), ["THROTTLED"]);
    assert_eq!(causes[0].evidence[0].value, "THROTTLED_INSTANCE");
}

fn assignment(error: &Error, webhook: Option<&str>) -> Event {
    Event::Assignment(Box::new(AssignmentRecord {
        tracking_id: TrackingId::fresh(),
        time: Timestamp::from_millis(0),
        micros: 1,
        instance: "dps".into(),
        registration_id: "press-7".into(),
        operation_id: "5.0.0".into(),
        protocol: None,
        enrollment: Enrollment { kind: "EnrollmentGroup", id: "factory".into() },
        hub: Some("hub-1.example".into()),
        device_id: None,
        substatus: None,
        moved_from: None,
        twin: None,
        webhook: webhook.map(|answer| WebhookCall {
            url: "https://w".into(),
            calls: 1,
            answer: answer.into(),
            last: None,
        }),
        hub_answer: None,
        attempts: 5,
        resumed: false,
        steps: Vec::new(),
        causes: Vec::new(),
        fault: None,
        outcome: Outcome::failed(error),
    }))
}

#[test]
fn failed_assignment_blames_hub_or_webhook_and_says_that_attestation_passed() {
    for (error, code) in [
        (Error::new(ErrorCode::HubUnauthorized), "HUB_LINK_UNAUTHORIZED"),
        (Error::new(ErrorCode::HubNotFound).because("gone"), "HUB_NOT_FOUND"),
        (Error::new(ErrorCode::HubUnreachable).because("refused"), "HUB_UNREACHABLE"),
        (Error::new(ErrorCode::HubQuotaExceeded), "HUB_QUOTA_EXCEEDED"),
        (Error::new(ErrorCode::CustomAllocationUnauthorized), "WEBHOOK_UNAUTHORIZED"),
        (Error::new(ErrorCode::CustomAllocationHubNotSpecified), "WEBHOOK_NAMED_NO_HUB"),
        (
            Error::new(ErrorCode::CustomAllocationFailed).because(
                "the webhook answered 200: it named \"x\", which is none of the linkedHubs that it was told",
            ),
            "WEBHOOK_NAMED_UNKNOWN_HUB",
        ),
        (
            Error::new(ErrorCode::CustomAllocationFailed).because("no answer from the webhook: refused"),
            "WEBHOOK_UNREACHABLE",
        ),
        (Error::new(ErrorCode::CustomAllocationFailed).because("the webhook answered 500"), "WEBHOOK_FAILED"),
    ] {
        let causes = explain(&assignment(&error, Some("answer")), &Known::default());
        assert_eq!(codes(&causes), [code]);
        assert!(causes[0].sentence.starts_with("attestation passed"), "{}", causes[0].sentence);
        assert!(!causes[0].fix.is_empty());
    }
}

#[test]
fn what_a_hub_says_in_json_is_told_in_its_words() {
    let told =
        r#"{"ExceptionMessage":"Tracking ID:1","Message":"ErrorCode:IotHubUnauthorizedAccess;Unauthorized"}"#;
    let error = Error::new(ErrorCode::HubUnauthorized).because(told);
    let causes = explain(&assignment(&error, None), &Known::default());
    let said = "hub-1.example refused the service's key: IotHubUnauthorizedAccess: Unauthorized";
    assert_eq!(causes[0].sentence, format!("attestation passed, but {said}"));
}

#[test]
fn handshakes_are_told_by_alert_and_error() {
    for (reason, code) in [
        ("unknown_ca", "TLS_CLIENT_ALERT_UNKNOWN_CA"),
        ("certificate_expired", "TLS_CLIENT_ALERT_CERTIFICATE"),
        ("handshake_failure", "TLS_CLIENT_ALERT"),
        ("received corrupt message of type InvalidContentType", "TLS_NOT_SPOKEN"),
        ("peer is incompatible: NoCipherSuitesInCommon", "TLS_CIPHERS"),
        ("the TLS handshake did not end within 10 seconds", "TLS_HANDSHAKE_TIMEOUT"),
        ("something else", "TLS_HANDSHAKE_FAILED"),
    ] {
        let event = Event::Connection(Box::new(ConnectionRecord {
            tracking_id: TrackingId::fresh(),
            time: Timestamp::from_millis(0),
            micros: 1,
            protocol: Protocol::Mqtt,
            peer: "127.0.0.1:9".parse().unwrap(),
            stage: "handshake",
            reason: format!("the TLS handshake failed: {reason}"),
            causes: Vec::new(),
            claimed: None,
            hub_device: None,
            handshake: Some(Box::new(HandshakeRecord {
                alert: reason.contains('_').then(|| reason.to_owned()),
                ..HandshakeRecord::default()
            })),
        }));
        assert_eq!(codes(&explain(&event, &Known::default())), [code], "{reason}");
    }
}

#[test]
fn hub_that_refuses_a_device_is_no_broken_protocol() {
    for (module, code) in [(Some("sensor"), "HUB_REFUSED_MODULE"), (None, "HUB_REFUSED_DEVICE")] {
        let event = Event::Connection(Box::new(ConnectionRecord {
            tracking_id: TrackingId::fresh(),
            time: Timestamp::from_millis(0),
            micros: 1,
            protocol: Protocol::Mqtt,
            peer: "127.0.0.1:9".parse().unwrap(),
            stage: "connect",
            reason: "the key is another".into(),
            causes: Vec::new(),
            claimed: None,
            hub_device: Some(HubDeviceName {
                hub: "hub-1.example".into(),
                device_id: "press-7".into(),
                module_id: module.map(Into::into),
            }),
            handshake: None,
        }));
        let causes = explain(&event, &Known::default());
        assert_eq!(codes(&causes), [code]);
        assert!(causes[0].sentence.contains("hub-1.example refused press-7"), "{}", causes[0].sentence);
    }
}

#[test]
fn link_that_does_not_work_is_named_as_the_failure_that_it_will_be() {
    for (error, code) in [
        (Error::with(ErrorCode::HubUnauthorized, "401"), "HUB_LINK_UNAUTHORIZED"),
        (Error::new(ErrorCode::HubNotFound).because("no such name"), "HUB_NOT_FOUND"),
        (Error::new(ErrorCode::HubUnreachable).because("TCP: refused"), "HUB_UNREACHABLE"),
        (Error::with(ErrorCode::ArgumentInvalid, "400"), "HUB_UNREACHABLE"),
    ] {
        let event = Event::LinkProbe(Box::new(LinkProbeRecord {
            tracking_id: TrackingId::fresh(),
            time: Timestamp::from_millis(0),
            micros: 1,
            instance: "dps".into(),
            hub: "hub-1.example".into(),
            news: "Down",
            since: Timestamp::from_millis(0),
            causes: Vec::new(),
            outcome: Outcome::failed(&error),
        }));
        let causes = explain(&event, &Known::default());
        assert_eq!(codes(&causes), [code]);
        assert!(causes[0].sentence.contains("hub-1.example"), "{}", causes[0].sentence);
    }
}

#[test]
fn proof_of_another_ca_is_named() {
    let call = |told: &str| {
        Event::ManagementCall(Box::new(ManagementCallRecord {
            tracking_id: TrackingId::fresh(),
            time: Timestamp::from_millis(0),
            micros: 1,
            operation: "Microsoft.Devices/provisioningServices/certificates/verify/action",
            resource_id: None,
            instance: None,
            api_version: None,
            client: None,
            caller: None,
            auth: None,
            credential: None,
            peer: "127.0.0.1:9".parse().unwrap(),
            previous_etag: None,
            etag: None,
            changed: Vec::new(),
            causes: Vec::new(),
            outcome: Outcome::failed(&Error::argument(told.to_owned())),
        }))
    };
    for (told, code) in [
        ("its issuer is CN=Intermediate, the CA certificate's subject is CN=Root", "POP_WRONG_ISSUER"),
        ("its signature was not made by the key of the CA certificate", "POP_WRONG_ISSUER"),
        ("its common name is \"x\"; it must be the verification code", "POP_WRONG_CODE"),
        ("it holds 2 certificates; send the one that the CA signed over the code", "POP_INVALID"),
    ] {
        assert_eq!(codes(&explain(&call(told), &Known::default())), [code], "{told}");
    }
}

#[test]
fn texts_of_clients_are_one_word_of_a_shell() {
    assert_eq!(word("press-7"), "press-7");
    assert_eq!(word("a b'; rm"), r"'a b'\''; rm'");
    assert_eq!(
        (duration(-40), duration(720), duration(3_660)),
        ("40 s".into(), "12 min".into(), "1 h 1 min".into())
    );
}
