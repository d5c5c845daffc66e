//! `inbox`: who is shown where, what accepting makes, and what it says where something is missing.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_attestation::x509::ParsedCertificate;
use dps_events::{AttemptRecord, CertificateSummary, Event, Operation, Outcome, SasSummary, Step};
use dps_model::{Channel, Error, ErrorCode, Protocol, Timestamp, TlsSession, TrackingId};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

use crate::bed::{Ask, Bed, DEFAULT, NOW, ask};

/// A refused attempt that no enrollment knows.
fn attempt(instance: &str, id: &str, chain: &[Vec<u8>]) -> AttemptRecord {
    let tls = TlsSession { chain: chain.into(), ..TlsSession::default() };
    let channel = Channel { protocol: Protocol::Amqp, peer: SocketAddr::from(([192, 0, 2, 1], 1)), tls };
    let time = Timestamp::from_millis(NOW * 1_000);
    let mut record = AttemptRecord::open(TrackingId::fresh(), time, &channel, Operation::Register);
    record.instance = Some(instance.to_owned());
    id.clone_into(&mut record.registration_id);
    record.steps = vec![Step { name: "findEnrollment", micros: 1 }];
    record.outcome = Outcome::failed(&Error::new(ErrorCode::Unauthorized));
    record
}

/// With a token.
pub fn keyed(instance: &str, id: &str) -> Event {
    let mut record = attempt(instance, id, &[]);
    let (resource, signature_hash) = (String::new(), String::new());
    record.sas = Some(SasSummary { resource, expiry: 0, policy: None, signature_hash });
    Event::Attempt(Box::new(record))
}

fn certified(id: &str, chain: &[Vec<u8>]) -> Event {
    let mut record = attempt("dps", id, chain);
    record.chain = chain
        .iter()
        .map(|der| {
            let parsed = ParsedCertificate::parse(der).unwrap();
            CertificateSummary {
                subject: parsed.info().subject_name.clone(),
                issuer: parsed.info().issuer_name.clone(),
                sha256_thumbprint: parsed.info().sha256_thumbprint.clone(),
                subject_key_id: parsed.subject_key_id(),
                authority_key_id: parsed.authority_key_id(),
                not_before: parsed.info().not_before_utc,
                not_after: parsed.info().not_after_utc,
            }
        })
        .collect();
    Event::Attempt(Box::new(record))
}

/// A CA and a certificate that it issued for each name.
fn issued(names: &[&str]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let named = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.use_authority_key_identifier_extension = true;
        params
    };
    let (mut ca, key) = (named("Line CA"), KeyPair::generate().unwrap());
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let der = ca.self_signed(&key).unwrap().der().to_vec();
    let issuer = Issuer::from_params(&ca, &key);
    let issue =
        |name: &&str| named(name).signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().der().to_vec();
    (der, names.iter().map(issue).collect())
}

fn at(method: &'static str, what: &str) -> Ask {
    ask(method, "").uri(&format!("{DEFAULT}/providers/Muster.Diagnosis/inbox{what}?api-version=2026-11-01"))
}

async fn groups(bed: &Bed) -> Vec<Value> {
    bed.call(at("GET", "")).await.ok()["value"].as_array().unwrap().clone()
}

async fn only(bed: &Bed) -> (String, Value) {
    let groups = groups(bed).await;
    assert_eq!(groups.len(), 1, "{groups:?}");
    (groups[0]["id"].as_str().unwrap().to_owned(), groups[0].clone())
}

async fn accept(bed: &Bed, id: &str, body: &Value) -> crate::bed::Reply {
    bed.call(at("POST", &format!("/{id}/accept")).json(body)).await
}

#[tokio::test]
async fn unknown_device_is_shown_ignored_and_forgotten() {
    let bed = Bed::new().await;
    bed.inbox.observe(&keyed("dps", "pump-1"));
    bed.inbox.observe(&keyed("DPS", "PUMP-1"));
    bed.inbox.observe(&keyed("elsewhere", "pump-2"));
    let (id, group) = only(&bed).await;
    assert_eq!(
        (&group["kind"], &group["title"], &group["count"]),
        (&json!("symmetricKey"), &json!("pump-1"), &json!(2))
    );
    assert_eq!((&group["protocols"], &group["networks"]), (&json!({"Amqp": 2}), &json!(["192.0.2.0/24"])));
    assert_eq!(group["accepts"], json!({"individualEnrollment": true, "enrollmentGroup": false}));
    assert_eq!(bed.call(at("GET", &format!("/{id}"))).await.ok(), group);
    let ignore = |body: Value| at("POST", &format!("/{id}/ignore")).json(&body);
    assert_eq!(bed.call(ignore(json!({}))).await.ok()["ignored"], true);
    assert_eq!(bed.call(ignore(json!({"ignored": false}))).await.ok()["ignored"], false);
    assert_eq!(bed.call(at("POST", &format!("/{id}/ignore"))).await.ok()["ignored"], true, "without a body");
    assert_eq!(bed.call(ignore(json!({"off": true}))).await.status, 400);
    assert_eq!(bed.call(at("DELETE", &format!("/{id}"))).await.status, 200);
    assert!(groups(&bed).await.is_empty());
    assert_eq!(bed.call(at("DELETE", &format!("/{id}"))).await.status, 404);
    let other = bed.inbox.list(|_| true)[0].id.clone();
    assert_eq!(bed.call(at("GET", &format!("/{other}"))).await.status, 404, "it asked another service");
}

#[tokio::test]
async fn accepted_device_is_enrolled_with_what_it_showed() {
    let bed = Bed::new().await;
    let instance = bed.instances.default_instance();
    let (ca, leaves) = issued(&["cam-1", "cam-2"]);
    for (name, leaf) in ["cam-1", "cam-2"].iter().zip(&leaves) {
        bed.inbox.observe(&certified(name, &[leaf.clone(), ca.clone()]));
    }
    let (id, group) = only(&bed).await;
    assert_eq!((&group["kind"], &group["samples"]), (&json!("issuer"), &json!(["cam-1", "cam-2"])));
    assert_eq!(group["accepts"]["enrollmentGroup"], true);
    let (status, _, message) = accept(&bed, &id, &json!({})).await.refusal();
    assert!(status == 400 && message.contains("Several devices"), "{message}");
    bed.events();
    let body = json!({"id": "cam-1", "enrollment": {"deviceId": "camera", "provisioningStatus": "enabled"}});
    let made = accept(&bed, &id, &body).await.ok();
    assert_eq!(
        (&made["kind"], &made["enrollment"]["deviceId"]),
        (&json!("individualEnrollment"), &json!("camera"))
    );
    let event = bed.events().pop().unwrap();
    assert_eq!(event.operation, "Muster.Diagnosis/inbox/accept/action");
    assert!(event.caller.is_some() && event.etag.as_deref() == made["enrollment"]["etag"].as_str());
    let kept = bed.enrollments.individual(&instance, "cam-1").await.unwrap().0;
    let dps_model::attestation::Mechanism::ClientCertificates(pair) = kept.attestation else { panic!() };
    assert_eq!(pair.iter().next().unwrap().der, leaves[0]);
    let (_, group) = only(&bed).await;
    assert_eq!(group["samples"], json!(["cam-2"]));
    // The issuer.
    let made = accept(&bed, &id, &json!({"as": "enrollmentGroup", "id": "cameras"})).await.ok();
    assert_eq!(made["kind"], "enrollmentGroup");
    let kept = bed.enrollments.group(&instance, "cameras").await.unwrap();
    let dps_model::attestation::Mechanism::SigningCertificates(pair) = kept.attestation else { panic!() };
    assert_eq!(pair.iter().next().unwrap().der, ca);
    assert!(groups(&bed).await.is_empty());
    // A key: one is made, and another may be said.
    for (name, attestation) in [
        ("pump-1", None),
        (
            "pump-2",
            Some(json!({"type": "symmetricKey", "symmetricKey":
            {"primaryKey": STANDARD.encode([1; 32]), "secondaryKey": STANDARD.encode([1; 32])}})),
        ),
    ] {
        bed.inbox.observe(&keyed("dps", name));
        let (id, _) = only(&bed).await;
        let body = attestation.map_or(json!({}), |it| json!({"enrollment": {"attestation": it}}));
        let made = accept(&bed, &id, &body).await.ok();
        assert_eq!(made["enrollment"]["registrationId"], name);
        assert!(!made.to_string().contains("primaryKey"), "keys are not answered");
        assert_eq!(accept(&bed, &id, &body).await.status, 404);
    }
}

#[tokio::test]
async fn missing_certificate_and_unknown_scope_are_named() {
    let bed = Bed::new().await;
    let (ca, leaves) = issued(&["cam-1"]);
    bed.inbox.observe(&certified("cam-1", &leaves));
    let (id, group) = only(&bed).await;
    assert_eq!(group["accepts"], json!({"individualEnrollment": true, "enrollmentGroup": false}));
    let (status, _, message) = accept(&bed, &id, &json!({"as": "enrollmentGroup"})).await.refusal();
    assert!(status == 400 && message.contains("Line CA") && message.contains("Upload it"), "{message}");
    // Uploaded meanwhile.
    let path = format!("{DEFAULT}/certificates/line");
    bed.call(ask("PUT", &path).json(&json!({"certificate": STANDARD.encode(&ca)}))).await.ok();
    let made = accept(&bed, &id, &json!({"as": "enrollmentGroup"})).await.ok();
    assert_eq!(made["enrollment"]["attestation"]["x509"]["caReferences"]["primary"], "line");
    // Its id scope is one letter off.
    let mut lost = attempt("dps", "lost-1", &[]);
    (lost.instance, lost.id_scope, lost.steps) = (None, "0ne00ABCDEE".into(), Vec::new());
    lost.outcome = Outcome::failed(&Error::new(ErrorCode::IdScopeNotFound));
    bed.inbox.observe(&Event::Attempt(Box::new(lost)));
    let (id, group) = only(&bed).await;
    assert_eq!((&group["kind"], &group["nearest"]), (&json!("idScope"), &json!("0ne00ABCDEF")));
    let (status, _, message) = accept(&bed, &id, &json!({})).await.refusal();
    assert!(status == 400 && message.contains("right id scope"), "{message}");
    for (body, said) in [
        (json!({"as": "device"}), "as must be individualEnrollment or enrollmentGroup"),
        (json!({"enrolment": {}}), "has no member"),
        (json!({"enrollment": 7}), "enrollment"),
    ] {
        let (status, _, message) = accept(&bed, &id, &body).await.refusal();
        assert!(status == 400 && message.contains(said), "{message}");
    }
}
