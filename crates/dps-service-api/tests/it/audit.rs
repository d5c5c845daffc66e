//! Every change has an event that says who made it, with which credential, of what, from which version to which.

use dps_access::Role;
use dps_core::ports::{Collection, Document, Precondition, Write};
use dps_model::Etag;
use serde_json::{Value, json};

use crate::bed::{Ask, Bed, MANAGEMENT_TOKEN, ask, token};

/// Caller, kind of credential, and which one; as the event has them.
type Who = (&'static str, &'static str, Option<&'static str>);

/// Each kind of credential that may change something.
fn callers(bed: &Bed) -> [(String, Who); 3] {
    let principal =
        "iss=https://login.test role=Device Provisioning Service Data Contributor jti=token-1 kid=key-1";
    [
        (
            token("provisioningserviceowner"),
            ("provisioningserviceowner", "SharedAccessSignature", Some("primary")),
        ),
        (bed.issuer.token(Role::DataContributor), ("someone", "Bearer", Some(principal))),
        (format!("Bearer {MANAGEMENT_TOKEN}"), ("management-token", "ManagementToken", None)),
    ]
}

/// The part of a credential that nobody else may see: a signature, or the whole of a token without one.
fn secret_of(authorization: &str) -> &str {
    match authorization.split_once("sig=") {
        Some((_, rest)) => rest.split('&').next().unwrap(),
        None => authorization.rsplit(['.', ' ']).next().unwrap(),
    }
}

/// Makes the call; its body, and the versions before and after of its event.
async fn change(
    bed: &Bed,
    authorization: &str,
    who: Who,
    asked: Ask,
) -> (Value, Option<String>, Option<String>) {
    let reply = bed.call(asked.header("authorization", authorization)).await;
    assert!(reply.status < 300, "{} {}", reply.status, reply.text);
    let event = bed.event();
    let (caller, auth, credential) = who;
    assert_eq!(
        (event.caller.as_deref(), event.auth, event.credential.as_deref()),
        (Some(caller), Some(auth), credential)
    );
    let shown = serde_json::to_string(&event).unwrap();
    assert!(!shown.contains(secret_of(authorization)), "the event shows a credential");
    let body = if reply.text.is_empty() { Value::Null } else { reply.json() };
    (body, event.previous_etag, event.etag)
}

fn body() -> Value {
    json!({ "attestation": { "type": "symmetricKey" } })
}

#[tokio::test]
async fn change_of_every_route_recorded_with_who_and_both_versions() {
    for path in ["/enrollments/a", "/enrollmentGroups/a"] {
        let bed = Bed::new().await;
        for (authorization, who) in callers(&bed) {
            let (created, before, after) =
                change(&bed, &authorization, who, ask("PUT", path).json(&body())).await;
            assert_eq!((before, after.as_deref()), (None, created["etag"].as_str()));
            let update = ask("PUT", path).json(&body()).header("if-match", "*");
            let (updated, before, after) = change(&bed, &authorization, who, update).await;
            assert_eq!(
                (before.as_deref(), after.as_deref()),
                (created["etag"].as_str(), updated["etag"].as_str())
            );
            let (_, before, after) = change(&bed, &authorization, who, ask("DELETE", path)).await;
            assert_eq!((before.as_deref(), after), (updated["etag"].as_str(), None));
        }
    }
}

#[tokio::test]
async fn deletion_of_a_registration_recorded_with_who_and_its_last_version() {
    let bed = Bed::new().await;
    for (authorization, who) in callers(&bed) {
        let etag = Etag::fresh();
        let document = Document {
            id: "dev-1".into(),
            etag: etag.clone(),
            body: json!({
                "enrollment": "Individual", "proof": {"SasToken": "hash"}, "operation": null,
                "identities": {"home": null, "strays": []},
                "state": {"registrationId": "dev-1", "status": "disabled"},
            })
            .to_string(),
            sealed: None,
            owner: None,
            due: None,
            lookups: Vec::new(),
        };
        let put = Write::Put {
            collection: Collection::Registrations,
            instance: "muster".into(),
            document,
            precondition: Precondition::Absent,
        };
        bed.store.write(vec![put]).await.unwrap();
        let (_, before, after) =
            change(&bed, &authorization, who, ask("DELETE", "/registrations/dev-1")).await;
        assert_eq!((before, after), (Some(etag.to_string()), None));
    }
}

#[tokio::test]
async fn bulk_operation_recorded_once_with_the_versions_of_each_item() {
    for (path, member, id) in [
        ("/enrollments", "enrollments", "registrationId"),
        ("/enrollmentGroups", "enrollmentGroups", "enrollmentGroupId"),
    ] {
        let bed = Bed::new().await;
        for (authorization, who) in callers(&bed) {
            let item = |name: &str, etag: Option<&str>| {
                let mut item = body();
                item[id] = json!(name);
                item["etag"] = json!(etag);
                item
            };
            let run = async |mode: &str, items: Vec<Value>| {
                let asked = ask("POST", path).json(&json!({"mode": mode, member: items}));
                let reply = bed.call(asked.header("authorization", &authorization)).await;
                assert_eq!(reply.status, 200, "{}", reply.text);
                let event = bed.event();
                assert_eq!((event.caller.as_deref(), event.auth), (Some(who.0), Some(who.1)));
                let seen = event.items.into_iter();
                seen.map(|item| (item.id, item.previous_etag, item.etag, item.outcome.code()))
                    .collect::<Vec<_>>()
            };
            let created = run("create", vec![item("a", None), item("b", None), item("A", None)]).await;
            let [(a, None, Some(first), None), (b, None, Some(_), None), (_, None, None, Some(400_004))] =
                &created[..]
            else {
                panic!("{created:?}")
            };
            assert_eq!((a.as_str(), b.as_str()), ("a", "b"));
            let updated = run("update", vec![item("a", Some("*")), item("b", Some("stale"))]).await;
            let [(_, Some(before), Some(second), None), (_, None, None, Some(412_001))] = &updated[..] else {
                panic!("{updated:?}")
            };
            assert_eq!(before, first);
            let deleted = run("delete", vec![item("a", None), item("b", None), item("c", None)]).await;
            let [(_, Some(last), None, None), (_, Some(_), None, None), (_, None, None, Some(404_201))] =
                &deleted[..]
            else {
                panic!("{deleted:?}")
            };
            assert_eq!(last, second);
        }
    }
}
