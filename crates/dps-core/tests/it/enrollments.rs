//! Enrollments as administrators change them: etags, kept keys, one enrollment a certificate, what is refused.

use dps_core::enrollment::group_lane::GroupLane;
use dps_core::enrollment::{Enrollments, KeyRings};
use dps_model::attestation::Mechanism;
use dps_model::enrollment::{Keys, PlainWebhooks};
use dps_model::etag::IfMatch;
use dps_model::registration::Status;
use dps_model::{Error, Etag, limits};
use dps_store::{Fault, FaultyStore, MemoryStore, Schedule};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::bed::{Bed, Device, NOW, code, input, linked, primary, symmetric, with};
use crate::pki::{Ca, clients, self_signed, signers};

async fn put(
    bed: &Bed,
    id: &str,
    body: &Value,
    if_match: Option<IfMatch>,
) -> Result<(Etag, Mechanism), Error> {
    let changed = bed.enrollments.put_individual(&bed.instance, id, input(body), if_match).await?;
    Ok((changed.value.stamp.etag, changed.value.attestation))
}

async fn put_group(bed: &Bed, id: &str, body: &Value, if_match: Option<IfMatch>) -> Result<Etag, Error> {
    let changed = bed.enrollments.put_group(&bed.instance, id, input(body), if_match).await?;
    Ok(changed.value.stamp.etag)
}

#[allow(clippy::unnecessary_wraps, reason = "what every call takes")]
fn tag(etag: &Etag) -> Option<IfMatch> {
    Some(IfMatch::Tag(etag.clone()))
}

#[tokio::test]
async fn individual_etags_decide_in_every_case() {
    let bed = Bed::new().await;
    let stale = Etag::fresh();
    assert_eq!(code(put(&bed, "d", &symmetric(), Some(IfMatch::Any)).await), 404_201);
    assert_eq!(code(put(&bed, "d", &symmetric(), tag(&stale)).await), 412_001);
    let (first, keys) = put(&bed, "d", &symmetric(), None).await.unwrap();
    assert_eq!(code(put(&bed, "D", &symmetric(), None).await), 409_201);
    assert_eq!(code(put(&bed, "d", &symmetric(), tag(&stale)).await), 412_001);
    let (second, kept) = put(&bed, "D", &symmetric(), tag(&first)).await.unwrap();
    assert!(kept == keys && second != first, "keys left out are kept, the etag is new");
    let changed =
        bed.enrollments.put_individual(&bed.instance, "d", input(&symmetric()), Some(IfMatch::Any)).await;
    let changed = changed.unwrap();
    assert_eq!(changed.previous, Some(second.clone()));
    assert_eq!(code(put(&bed, "d", &symmetric(), tag(&second)).await), 412_001);

    let delete = |if_match| bed.enrollments.delete_individual(&bed.instance, "d", if_match);
    assert_eq!(code(delete(tag(&stale)).await), 412_001);
    assert_eq!(delete(tag(&changed.value.stamp.etag)).await.unwrap(), Some(changed.value.stamp.etag));
    assert_eq!(code(delete(None).await), 404_201);
    assert_eq!(code(delete(Some(IfMatch::Any)).await), 404_201);
    assert_eq!(code(bed.enrollments.individual(&bed.instance, "d").await), 404_201);
}

#[tokio::test]
async fn group_etags_decide_in_every_case() {
    let bed = Bed::new().await;
    assert_eq!(code(put_group(&bed, "g", &symmetric(), Some(IfMatch::Any)).await), 404_201);
    assert_eq!(code(put_group(&bed, "g", &symmetric(), tag(&Etag::fresh())).await), 412_001);
    let first = put_group(&bed, "g", &symmetric(), None).await.unwrap();
    let keys = bed.enrollments.group(&bed.instance, "G").await.unwrap().attestation;
    assert_eq!(code(put_group(&bed, "G", &symmetric(), None).await), 409_201);
    let second = put_group(&bed, "g", &symmetric(), tag(&first)).await.unwrap();
    assert_eq!(code(put_group(&bed, "g", &symmetric(), tag(&first)).await), 412_001);
    assert!(bed.enrollments.group(&bed.instance, "g").await.unwrap().attestation == keys);
    let delete = |if_match| bed.enrollments.delete_group(&bed.instance, "g", if_match);
    assert_eq!(code(delete(tag(&first)).await), 412_001);
    assert_eq!(delete(Some(IfMatch::Any)).await.unwrap(), Some(second));
    assert_eq!(code(delete(None).await), 404_201);
}

#[tokio::test(start_paused = true)]
async fn registration_etags_decide_and_deletion_makes_the_next_one_initial() {
    let bed = Bed::new().await;
    let device = bed.keyed("d").await;
    let (_, state) = bed.enrollments.individual(&bed.instance, "d").await.unwrap();
    assert_eq!(state.status, Status::Unassigned);
    let first = bed.provision(&device).await;
    let (_, state) = bed.enrollments.individual(&bed.instance, "d").await.unwrap();
    assert_eq!((state.status, state.etag.clone()), (Status::Assigned, first.etag.clone()));
    assert!(state.symmetric_key.is_none(), "the service API leaves it out");
    let delete = |if_match| bed.enrollments.delete_registration(&bed.instance, "D", if_match);
    assert_eq!(code(delete(tag(&Etag::fresh())).await), 412_001);
    assert_eq!(delete(tag(&first.etag.unwrap())).await.unwrap(), state.etag);
    assert_eq!(code(delete(None).await), 404_202);
    assert_eq!(code(bed.enrollments.registration(&bed.instance, "d").await), 404_202);
    bed.clock.advance(9);
    assert!(bed.provision(&device).await.created_date_time_utc > first.created_date_time_utc);
}

#[tokio::test]
async fn certificate_stands_in_one_enrollment_only() {
    let bed = Bed::new().await;
    let (root, leaf) = (Ca::root("Root"), self_signed("d"));
    let individual = json!({"attestation": clients(&leaf, None)});
    let group = json!({"attestation": signers(&root.der)});
    let (etag, _) = put(&bed, "d", &individual, None).await.unwrap();
    put(&bed, "d", &individual, tag(&etag)).await.unwrap();
    put_group(&bed, "g", &group, None).await.unwrap();
    let second = json!({"attestation": clients(&self_signed("e"), Some(&leaf))});
    for refused in [put(&bed, "e", &individual, None).await, put(&bed, "e", &second, None).await] {
        let error = refused.err().unwrap();
        assert_eq!(error.code.row().code, 409_204);
        assert!(error.message.contains("enrollment d "), "{}", error.message);
    }
    assert_eq!(code(put_group(&bed, "h", &group, None).await), 409_204);
    bed.enrollments.delete_individual(&bed.instance, "d", None).await.unwrap();
    put(&bed, "e", &second, None).await.unwrap();
}

#[tokio::test]
async fn input_that_breaks_a_rule_is_refused_and_names_it() {
    let bed = Bed::new().await;
    let huge = json!({"tags": {"text": "x".repeat(limits::MAX_TWIN_SECTION)}});
    let hubs: Vec<String> = (0..=limits::MAX_LINKED_HUBS).map(|n| format!("hub-{n}.example")).collect();
    let bodies = [
        (json!({}), "attestation"),
        (json!({"attestation": {"type": "none"}}), "attestation.type"),
        (json!({"attestation": {"type": "magic"}}), "attestation.type"),
        (
            json!({"attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": "AQID"}}}),
            "primaryKey",
        ),
        (json!({"attestation": {"type": "x509"}}), "clientCertificates"),
        (with(symmetric(), "registrationId", json!("other")), "registrationId"),
        (with(symmetric(), "enrollmentGroupId", json!("d")), "enrollmentGroupId"),
        (with(symmetric(), "deviceId", json!("a b")), "deviceId"),
        (with(symmetric(), "iotHubHostName", json!("a b")), "host name"),
        (with(symmetric(), "iotHubs", json!(["ok.example", ""])), "host name"),
        (with(symmetric(), "iotHubs", json!(hubs)), "iotHubs"),
        (with(symmetric(), "allocationPolicy", json!("custom")), "CustomAllocationDefinition"),
        (
            with(symmetric(), "customAllocationDefinition", webhook("http://localhost/", "2019-03-31")),
            "webhookUrl",
        ),
        (
            with(symmetric(), "customAllocationDefinition", webhook("https://f.example/", "2018-04-01")),
            "apiVersion",
        ),
        (
            with(with(symmetric(), "iotHubHostName", json!("a.example")), "iotHubs", json!(["b.example"])),
            "different hubs",
        ),
        (
            with(
                with(symmetric(), "iotHubHostName", json!("a.example")),
                "allocationPolicy",
                json!("hashed"),
            ),
            "static allocation",
        ),
        (with(symmetric(), "initialTwin", huge), "initialTwin.tags"),
        (
            with(
                with(symmetric(), "allocationPolicy", json!("static")),
                "iotHubs",
                json!(["a.example", "b.example"]),
            ),
            "static",
        ),
    ];
    for (body, named) in bodies {
        let error = put(&bed, "d", &body, None).await.err().expect(named);
        assert_eq!(error.code.row().code, 400_004, "{named}");
        assert!(error.message.contains(named), "{named}: {}", error.message);
    }
    assert_eq!(code(put(&bed, "a b", &symmetric(), None).await), 400_004);
    let leaf = self_signed("d");
    for body in [
        with(symmetric(), "deviceId", json!("x")),
        with(symmetric(), "registrationId", json!("g")),
        with(symmetric(), "enrollmentGroupId", json!("other")),
        json!({"attestation": clients(&leaf, None)}),
        json!({"attestation": signers(&leaf)}),
    ] {
        assert_eq!(code(put_group(&bed, "g", &body, None).await), 400_004, "{body}");
    }
    // Azure's clients send empty texts for what is not set.
    let empty = with(with(symmetric(), "deviceId", json!("")), "iotHubHostName", json!(""));
    put(&bed, "d", &empty, None).await.unwrap();
    put_group(&bed, "g", &empty, None).await.unwrap();
}

fn webhook(url: &str, version: &str) -> Value {
    json!({"webhookUrl": url, "apiVersion": version})
}

#[tokio::test]
async fn custom_policy_with_its_webhook_kept_as_it_came() {
    let bed = Bed::new().await;
    let definition = webhook("https://f.example/api?code=k", "2019-03-31");
    let body = with(
        with(symmetric(), "allocationPolicy", json!("custom")),
        "customAllocationDefinition",
        definition.clone(),
    );
    let made = bed.enrollments.put_group(&bed.instance, "g", input(&body), None).await.unwrap().value;
    let shown = made.to_json(Keys::Hidden);
    assert_eq!(
        (&shown["allocationPolicy"], &shown["customAllocationDefinition"]),
        (&json!("custom"), &definition)
    );
}

#[tokio::test]
async fn loopback_webhook_taken_where_it_may_be() {
    let bed = Bed::new().await;
    let (rings, lane) =
        (Arc::new(KeyRings::new(Arc::clone(&bed.store))), Arc::new(GroupLane::start().unwrap()));
    let enrollments = Enrollments::new(Arc::clone(&bed.store), Arc::clone(&bed.clock) as _, rings, lane)
        .with_plain_webhooks(PlainWebhooks::Loopback);
    let body = |url| {
        input(&with(
            with(symmetric(), "allocationPolicy", json!("custom")),
            "customAllocationDefinition",
            webhook(url, "2021-10-01"),
        ))
    };
    enrollments.put_individual(&bed.instance, "a", body("http://127.0.0.1:7071/x"), None).await.unwrap();
    let far = enrollments.put_individual(&bed.instance, "b", body("http://f.example/x"), None).await;
    assert_eq!(code(far), 400_004);
}

#[tokio::test]
async fn quotas_refuse_what_is_one_too_many_and_no_change() {
    let bed = Bed::new().await;
    let (rings, lane) =
        (Arc::new(KeyRings::new(Arc::clone(&bed.store))), Arc::new(GroupLane::start().unwrap()));
    let quotas = limits::Quotas {
        individual_enrollments: Some(2),
        x509_groups: Some(1),
        symmetric_key_groups: Some(2),
    };
    let limited = Enrollments::new(Arc::clone(&bed.store), Arc::clone(&bed.clock) as _, rings, lane)
        .with_quotas(quotas);
    let instance = &bed.instance;
    let put =
        |id: &'static str, if_match| limited.put_individual(instance, id, input(&symmetric()), if_match);
    put("a", None).await.unwrap();
    put("b", None).await.unwrap();
    let refused = put("c", None).await.err().unwrap();
    assert_eq!(refused.code.row().code, 403_001);
    assert_eq!(refused.message, "The provisioning service has 2 individual enrollments; its limit is 2.");
    put("a", Some(IfMatch::Any)).await.unwrap();
    limited.delete_individual(instance, "b", None).await.unwrap();
    put("c", None).await.unwrap();

    let group =
        |id: &'static str, body: Value, if_match| limited.put_group(instance, id, input(&body), if_match);
    let (one, two) = (
        json!({"attestation": signers(&Ca::root("1").der)}),
        json!({"attestation": signers(&Ca::root("2").der)}),
    );
    group("k1", symmetric(), None).await.unwrap();
    group("x1", one, None).await.unwrap();
    group("k2", symmetric(), None).await.unwrap();
    assert_eq!(code(group("x2", two.clone(), None).await), 403_001);
    assert_eq!(code(group("k3", symmetric(), None).await), 403_001);
    assert_eq!(code(group("k1", two, Some(IfMatch::Any)).await), 403_001, "a group that changes its kind");
}

#[tokio::test]
async fn group_written_whose_answer_was_lost_is_found_by_its_devices() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new(), Schedule::quiet()));
    let hubs = vec![linked("hub-a.example", 1)];
    let bed = Bed::over(Arc::clone(&store) as _, Arc::default(), Arc::default(), hubs, NOW).await;
    bed.enroll_group("first", symmetric()).await;
    let lost = Device::derived("dev-1", &primary(&bed.enroll_group("second", symmetric()).await));
    bed.provision(&lost).await;
    // Every node's key ring is loaded. Now the write's answer is lost.
    store.revive(Schedule::quiet().crash_at_write(0, Fault::After));
    assert!(put_group(&bed, "third", &symmetric(), None).await.is_err());
    store.revive(Schedule::quiet());
    let keys = bed.enrollments.group(&bed.instance, "third").await.unwrap().attestation;
    let device = Device::derived("dev-2", &primary(&keys));
    assert_eq!(bed.provision(&device).await.status, Status::Assigned);
}
