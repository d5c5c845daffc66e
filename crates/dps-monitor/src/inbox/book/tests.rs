use std::net::SocketAddr;
use std::sync::Arc;

use dps_events::{
    AttemptRecord, Candidate, Cause, CertificateSummary, ConnectionRecord, Enrollment, Event, Fact,
    Operation, Outcome, SasSummary, Step,
};
use dps_model::limits::{
    INBOX_GROUPS_LEFT, MAX_INBOX_BYTES, MAX_INBOX_CERTIFICATES, MAX_INBOX_GROUPS, MAX_INBOX_NETWORKS,
    MAX_INBOX_SAMPLES, MAX_INBOX_WRITES,
};
use dps_model::{Channel, Error, ErrorCode, Protocol, Timestamp, TlsSession, TrackingId};

use super::super::group::Because;
use super::super::sighting::sha256;
use super::{Group, Inbox, InboxError, Kind};
use crate::metrics::fixtures::{Break, MemoryState};

const NOW: i64 = 1_796_083_200;

/// A refused attempt of a device that nobody knows.
fn attempt(id: &str, from: [u8; 4], second: i64, chain: &[Vec<u8>]) -> AttemptRecord {
    let tls = TlsSession { chain: chain.into(), ..TlsSession::default() };
    let channel = Channel { protocol: Protocol::Mqtt, peer: SocketAddr::from((from, 40_000)), tls };
    let time = Timestamp::from_millis((NOW + second) * 1_000);
    let mut record = AttemptRecord::open(TrackingId::fresh(), time, &channel, Operation::Register);
    record.instance = Some("dps".into());
    record.registration_id = id.to_owned();
    record.steps = vec![Step { name: "findEnrollment", micros: 1 }];
    record.outcome = Outcome::failed(&Error::new(ErrorCode::Unauthorized));
    record
}

fn event(record: AttemptRecord) -> Event {
    Event::Attempt(Box::new(record))
}

/// With a token.
fn keyed(id: &str, from: [u8; 4], second: i64) -> AttemptRecord {
    let mut record = attempt(id, from, second, &[]);
    record.sas =
        Some(SasSummary { resource: "r".into(), expiry: 0, policy: None, signature_hash: "h".into() });
    record
}

fn summary(der: &[u8], subject: &str, issuer: &str, keys: (&str, &str)) -> CertificateSummary {
    let time = Timestamp::from_millis(NOW * 1_000);
    CertificateSummary {
        subject: subject.into(),
        issuer: issuer.into(),
        sha256_thumbprint: sha256(der),
        subject_key_id: Some(keys.0.into()),
        authority_key_id: Some(keys.1.into()),
        not_before: time,
        not_after: time,
    }
}

/// With a certificate of that issuer, which it presents or not.
fn certified(id: &str, issuer: &str, second: i64, presents_issuer: bool) -> AttemptRecord {
    let (leaf, ca) = (format!("leaf of {id}").into_bytes(), format!("ca {issuer}").into_bytes());
    let chain = if presents_issuer { vec![leaf.clone(), ca.clone()] } else { vec![leaf.clone()] };
    let mut record = attempt(id, [192, 0, 2, 1], second, &chain);
    record.chain.push(summary(&leaf, &format!("CN={id}"), issuer, ("11", "CA")));
    if presents_issuer {
        record.chain.push(summary(&ca, issuer, "CN=Root", ("ca", "00")));
    }
    record
}

fn let_in(mut record: AttemptRecord, kind: &'static str) -> AttemptRecord {
    record.enrollment = Some(Enrollment { kind, id: "e".into() });
    record.outcome = Outcome::Success;
    record
}

async fn open(state: &Arc<MemoryState>) -> Inbox {
    Inbox::open(Arc::clone(state) as _).await.unwrap()
}

async fn inbox() -> (Inbox, Arc<MemoryState>) {
    let state = Arc::new(MemoryState::default());
    (open(&state).await, state)
}

fn all(inbox: &Inbox) -> Vec<Group> {
    inbox.list(|_| true)
}

fn only(inbox: &Inbox) -> Group {
    let all = all(inbox);
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].clone()
}

#[tokio::test]
async fn unknown_devices_are_grouped_by_what_would_let_them_in() {
    let (inbox, _) = inbox().await;
    let mut tpm = attempt("tpm-1", [192, 0, 2, 1], 0, &[]);
    tpm.presented = tpm.presented.with_endorsement_key("AAEC");
    let mut scope = attempt("lost-1", [192, 0, 2, 1], 0, &[]);
    (scope.instance, scope.steps, scope.id_scope) = (None, Vec::new(), "0ne00FFFFFF".into());
    scope.outcome = Outcome::failed(&Error::new(ErrorCode::IdScopeNotFound));
    let mut own = attempt("self-1", [192, 0, 2, 1], 0, &[b"self".to_vec()]);
    own.chain = vec![summary(b"self", "CN=self-1", "CN=self-1", ("1", "1"))];
    let mut near = certified("near-1", "CN=Line", 0, false);
    near.candidates = vec![Candidate {
        enrollment: Enrollment { kind: "EnrollmentGroup", id: "g".into() },
        reason: "X509_SIGNER_NOT_IN_CHAIN",
        detail: String::new(),
    }];
    for record in [
        keyed("Pump-1", [192, 0, 2, 1], 0),
        keyed("pump-1", [192, 0, 2, 200], 1),
        keyed("pump-2", [2, 0, 0, 1], 2),
        certified("cam-1", "CN=Line", 3, false),
        certified("cam-2", "CN=Line", 4, true),
        near,
        own,
        tpm,
        scope,
        attempt("bare-1", [192, 0, 2, 1], 9, &[]),
    ] {
        inbox.observe(&event(record));
    }
    let groups = all(&inbox);
    let mut kinds: Vec<_> = groups.iter().map(|group| (group.kind.name(), group.count)).collect();
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        [
            ("certificate", 1),
            ("idScope", 1),
            ("issuer", 3),
            ("noEvidence", 1),
            ("symmetricKey", 1),
            ("symmetricKey", 2),
            ("tpm", 1)
        ]
    );
    assert_eq!(groups[0].kind, Kind::NoEvidence, "the latest is first");
    let of = |kind: Kind| groups.iter().find(|group| group.kind == kind && group.count != 1).unwrap();
    let pumps = of(Kind::SymmetricKey);
    assert_eq!(pumps.about.registration_id.as_deref(), Some("Pump-1"), "as it was written first");
    assert_eq!(pumps.networks, ["192.0.2.0/24"]);
    assert_eq!(pumps.protocols["Mqtt"], 2);
    let line = of(Kind::Issuer);
    assert_eq!(
        (line.about.issuer.as_deref(), line.about.authority_key_id.as_deref()),
        (Some("CN=Line"), Some("CA"))
    );
    assert_eq!(line.issuer_certificate.as_deref(), Some(&b"ca CN=Line"[..]), "once it was presented");
    let cam = line.device("CAM-1").unwrap();
    assert_eq!(cam.certificate.as_deref(), Some(&b"leaf of cam-1"[..]));
    let single = |kind: Kind| groups.iter().find(|group| group.kind == kind).unwrap();
    assert_eq!(single(Kind::Tpm).endorsement_key.as_deref(), Some("AAEC"));
    assert_eq!(single(Kind::IdScope).instance, None);
    assert_eq!(single(Kind::Certificate).samples[0].certificate.as_deref(), Some(&b"self"[..]));
}

#[tokio::test]
async fn connection_that_ends_for_its_id_scope_is_of_the_same_group() {
    let (inbox, _) = inbox().await;
    let refused = |claimed: &str, reason: &str| {
        Event::Connection(Box::new(ConnectionRecord {
            tracking_id: TrackingId::fresh(),
            time: Timestamp::from_millis(NOW * 1_000),
            micros: 1,
            protocol: Protocol::Mqtt,
            peer: SocketAddr::from(([192, 0, 2, 1], 1)),
            stage: "connect",
            reason: reason.into(),
            claimed: Some(claimed.into()),
            hub_device: None,
            handshake: None,
            causes: Vec::new(),
        }))
    };
    let why = format!("CONNACK 3: {}", ErrorCode::IdScopeNotFound.row().message);
    inbox.observe(&refused("0ne00FFFFFF/registrations/lost-1/api-version=2019-03-31", &why));
    inbox.observe(&refused("0NE00ffffff/registrations/lost-2", &why));
    inbox.observe(&refused("0ne00FFFFFF/registrations/lost-3", "CONNACK 5: bad user name"));
    inbox.observe(&refused("hub/device", &why));
    let group = only(&inbox);
    let ids: Vec<_> = group.samples.iter().map(|sample| sample.registration_id.as_str()).collect();
    assert_eq!((group.count, ids), (2, vec!["lost-1", "lost-2"]));
}

#[tokio::test]
async fn what_explains_the_attempt_is_told_with_the_nearest_enrollment() {
    let (inbox, _) = inbox().await;
    let cause = |code, sentence: &str, evidence| Cause {
        code,
        title: "",
        sentence: sentence.into(),
        inferred: true,
        evidence,
        fix: Vec::new(),
        docs: String::new(),
    };
    let mut record = keyed("pmup-1", [192, 0, 2, 1], 0);
    record.causes = vec![
        cause(
            "ENROLLMENT_NEAR_MISS",
            "nobody is pmup-1",
            vec![Fact { name: "nearest", value: "pump-1".into() }],
        ),
        cause("ENROLLMENT_NOT_FOUND", "nobody", Vec::new()),
    ];
    inbox.observe(&event(record));
    // Not each attempt is explained.
    inbox.observe(&event(keyed("pmup-1", [192, 0, 2, 1], 1)));
    let group = inbox.list(|_| true).remove(0);
    assert_eq!(group.count, 2);
    assert_eq!(group.device("pmup-1").unwrap().nearest.as_deref(), Some("pump-1"));
    let because = Because { code: "ENROLLMENT_NEAR_MISS".into(), sentence: "nobody is pmup-1".into() };
    assert_eq!(group.cause, Some(because));
}

#[tokio::test]
async fn device_that_is_known_but_refused_and_one_that_is_let_in_are_not_unknown() {
    let (inbox, _) = inbox().await;
    let mut wrong_key = keyed("pump-1", [192, 0, 2, 1], 0);
    wrong_key.candidates = vec![Candidate {
        enrollment: Enrollment { kind: "IndividualEnrollment", id: "pump-1".into() },
        reason: "SAS_SIGNATURE_MISMATCH",
        detail: String::new(),
    }];
    let mut kept_out = keyed("pump-2", [192, 0, 2, 1], 0);
    kept_out.steps.clear();
    inbox.observe(&event(wrong_key));
    inbox.observe(&event(kept_out));
    inbox.observe(&event(let_in(keyed("pump-3", [192, 0, 2, 1], 0), "IndividualEnrollment")));
    assert!(all(&inbox).is_empty());
    // Enrolled since: it is unknown no more.
    for id in ["cam-1", "cam-2"] {
        inbox.observe(&event(certified(id, "CN=Line", 0, false)));
    }
    inbox.observe(&event(keyed("pump-1", [192, 0, 2, 1], 0)));
    inbox.observe(&event(let_in(keyed("PUMP-1", [192, 0, 2, 1], 1), "EnrollmentGroup")));
    inbox.observe(&event(let_in(certified("cam-1", "CN=Line", 1, false), "IndividualEnrollment")));
    let group = only(&inbox);
    assert!(group.kind == Kind::Issuer && group.device("cam-1").is_none() && group.device("cam-2").is_some());
    inbox.observe(&event(let_in(certified("cam-3", "CN=Line", 1, false), "EnrollmentGroup")));
    assert!(all(&inbox).is_empty());
}

#[tokio::test]
async fn hundred_thousand_random_ids_stay_within_the_bounds_and_hide_no_one_else() {
    let (inbox, state) = inbox().await;
    for second in 0..3 {
        inbox.observe(&event(certified("honest-1", "CN=Line", second, true)));
    }
    let quiet = event(keyed("quiet-1", [203, 0, 113, 9], 0));
    inbox.observe(&quiet);
    let ignored = keyed("ignored-1", [198, 51, 100, 1], 0);
    inbox.observe(&event(ignored.clone()));
    let ignored_id =
        inbox.list(|group| group.about.registration_id.as_deref() == Some("ignored-1"))[0].id.clone();
    inbox.set_ignored(&ignored_id, true).await.unwrap();
    for n in 0..100_000_u32 {
        inbox.observe(&event(keyed(
            &format!("random-{n}"),
            [198, 51, 100, (n % 250) as u8],
            i64::from(n / 1_000),
        )));
        if n.is_multiple_of(20_000) {
            inbox.flush().await.unwrap();
            assert!(state.ids().len() <= MAX_INBOX_GROUPS + MAX_INBOX_WRITES + 1);
        }
    }
    let groups = all(&inbox);
    assert!(groups.len() <= MAX_INBOX_GROUPS + 1 && groups.len() >= INBOX_GROUPS_LEFT, "{}", groups.len());
    assert!(inbox.evicted() >= 98_000);
    let bytes: usize = groups.iter().map(Group::bytes).sum();
    assert!(bytes <= MAX_INBOX_BYTES);
    let has = |id: &str| groups.iter().any(|group| group.device(id).is_some());
    assert!(has("honest-1") && has("quiet-1"), "who is alone in his network stays");
    inbox.observe(&event(ignored));
    assert!(inbox.get(&ignored_id).unwrap().ignored, "and what is ignored stays so");
}

#[tokio::test]
async fn many_devices_of_one_issuer_are_one_group_of_bounded_size() {
    let (inbox, _) = inbox().await;
    for n in 0..500_u32 {
        let mut record = certified(&format!("cam-{n}"), "CN=Line", i64::from(n), false);
        record.peer = SocketAddr::from(([10, 0, (n % 200) as u8, 1], 1));
        inbox.observe(&event(record));
    }
    let group = only(&inbox);
    assert_eq!((group.count, group.samples.len(), group.more), (500, MAX_INBOX_SAMPLES, true));
    assert_eq!(group.networks.len(), MAX_INBOX_NETWORKS);
    let kept = group.samples.iter().filter(|sample| sample.certificate.is_some()).count();
    assert_eq!(kept, MAX_INBOX_CERTIFICATES);
    assert!(group.device("cam-499").is_some(), "the latest is remembered");
}

#[tokio::test]
async fn large_certificates_are_bounded_together() {
    let (inbox, _) = inbox().await;
    for n in 0..2_500_u32 {
        let der = n.to_be_bytes().repeat(1_000);
        let mut record = attempt(&format!("big-{n}"), [10, 0, 0, 1], 0, std::slice::from_ref(&der));
        record.chain = vec![summary(&der, "CN=a", &format!("CN={n}"), ("1", "2"))];
        inbox.observe(&event(record));
    }
    let bytes: usize = all(&inbox).iter().map(Group::bytes).sum();
    assert!(bytes <= MAX_INBOX_BYTES && bytes > 7_000_000, "{bytes}");
    for group in all(&inbox) {
        inbox.delete(&group.id).await.unwrap();
    }
    assert_eq!(inbox.groups().bytes, 0, "what is counted is what is there");
}

#[tokio::test]
async fn restart_keeps_what_was_flushed_and_what_was_decided() {
    let (inbox, state) = inbox().await;
    inbox.observe(&event(certified("cam-1", "CN=Line", 0, true)));
    inbox.observe(&event(keyed("pump-1", [192, 0, 2, 1], 1)));
    inbox.flush().await.unwrap();
    inbox.observe(&event(keyed("pump-1", [192, 0, 2, 1], 2)));
    let pump = inbox.list(|group| group.kind == Kind::SymmetricKey)[0].clone();
    inbox.set_ignored(&pump.id, true).await.unwrap();
    // Not flushed: kill -9.
    let again = open(&state).await;
    let groups = all(&again);
    assert_eq!(groups.len(), 2);
    let kept = again.get(&pump.id).unwrap();
    assert!(kept.ignored && kept.count == 2);
    let line = again.list(|group| group.kind == Kind::Issuer)[0].clone();
    assert_eq!(line.issuer_certificate.as_deref(), Some(&b"ca CN=Line"[..]));
    assert_eq!(line.device("cam-1").unwrap().certificate.as_deref(), Some(&b"leaf of cam-1"[..]));
    again.observe(&event(certified("cam-1", "CN=Line", 5, true)));
    assert_eq!(again.get(&line.id).unwrap().count, 2, "it is the same group");

    assert!(!again.set_ignored(&pump.id, false).await.unwrap().ignored);
    again.accepted(&line.id, Some("cam-1")).await.unwrap();
    again.delete(&pump.id).await.unwrap();
    assert_eq!(again.delete(&pump.id).await, Err(InboxError::Unknown));
    assert!(again.set_ignored(&pump.id, true).await.is_err());
    assert!(state.ids().is_empty() && all(&open(&state).await).is_empty());
}

#[tokio::test]
async fn state_that_fails_loses_nothing_and_acknowledges_nothing() {
    let (inbox, state) = inbox().await;
    inbox.observe(&event(keyed("pump-1", [192, 0, 2, 1], 0)));
    state.break_next(Break::Before);
    assert!(inbox.flush().await.is_err());
    inbox.flush().await.unwrap();
    assert_eq!(state.ids().len(), 1);
    let id = only(&inbox).id;
    state.break_next(Break::Before);
    assert!(inbox.set_ignored(&id, true).await.is_err());
    assert!(!only(&inbox).ignored);
    state.break_next(Break::Before);
    assert!(inbox.delete(&id).await.is_err());
    assert_eq!(all(&inbox).len(), 1);
    state.damage();
    let again = open(&state).await;
    assert!(all(&again).is_empty(), "what cannot be read is not shown");
    again.flush().await.unwrap();
    assert!(state.ids().is_empty(), "and is removed");
}

#[tokio::test]
async fn only_so_many_are_ignored_and_groups_of_services_that_are_gone_go_too() {
    let (inbox, state) = inbox().await;
    for n in 0..=dps_model::limits::MAX_INBOX_IGNORED {
        let id = format!("pump-{n}");
        inbox.observe(&event(keyed(&id, [192, 0, 2, 1], 0)));
        let group = inbox.list(|group| group.about.registration_id.as_deref() == Some(&id))[0].clone();
        let done = inbox.set_ignored(&group.id, true).await;
        assert_eq!(done.is_err(), n == dps_model::limits::MAX_INBOX_IGNORED, "{n}");
    }
    inbox.forget(|name| name != "dps");
    inbox.flush().await.unwrap();
    assert!(all(&inbox).is_empty() && state.ids().is_empty());
}
