//! Bulk operations: every mode on every kind of item, and what one item is refused for while the others are done.

use dps_events::Outcome;
use serde_json::{Value, json};

use crate::bed::{Ask, Bed, ask};

const DEVICE_CERTIFICATE: &str = include_str!("certificates/device-1.pem");

/// Path, member of the items and of their ids.
const KINDS: [(&str, &str, &str); 2] = [
    ("/enrollments", "enrollments", "registrationId"),
    ("/enrollmentGroups", "enrollmentGroups", "enrollmentGroupId"),
];

fn symmetric() -> Value {
    json!({ "type": "symmetricKey" })
}

fn bulk(kind: (&str, &str, &str), mode: &str, items: &[Value]) -> Ask {
    ask("POST", kind.0).json(&json!({ "mode": mode, kind.1: items }))
}

fn items(kind: (&str, &str, &str), ids: &[&str]) -> Vec<Value> {
    ids.iter().map(|id| json!({ kind.2: id, "attestation": symmetric() })).collect()
}

/// `id code`, one for each error.
#[track_caller]
fn errors(reply: &crate::bed::Reply, id: &str) -> Vec<String> {
    assert_eq!(reply.status, 200, "{}", reply.text);
    let body = reply.json();
    let errors = body["errors"].as_array().unwrap();
    assert_eq!(body["isSuccessful"], errors.is_empty());
    assert_eq!(body.as_object().unwrap().len(), 2);
    for error in errors {
        assert_eq!(error.as_object().unwrap().len(), 3);
        assert!(!error["errorStatus"].as_str().unwrap().is_empty());
    }
    errors.iter().map(|error| format!("{} {}", error[id].as_str().unwrap(), error["errorCode"])).collect()
}

async fn etag(bed: &Bed, kind: (&str, &str, &str), id: &str) -> String {
    let got = bed.call(ask("GET", &format!("{}/{id}", kind.0))).await;
    got.json()["etag"].as_str().unwrap_or_else(|| panic!("{}", got.text)).to_owned()
}

#[tokio::test]
async fn bulk_creates_ten_and_refuses_what_exists() {
    let bed = Bed::new().await;
    for kind in KINDS {
        let ids = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        let reply = bed.call(bulk(kind, "create", &items(kind, &ids))).await;
        assert_eq!(reply.json(), json!({ "errors": [], "isSuccessful": true }));
        assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
        let again = bed.call(bulk(kind, "create", &items(kind, &["J", "k"]))).await;
        let expected = json!({
            "errors": [{ kind.2: "J", "errorCode": 409_201, "errorStatus": "Enrollment already exists." }],
            "isSuccessful": false
        });
        assert_eq!(again.json(), expected);
        etag(&bed, kind, "k").await;
    }
}

#[tokio::test]
async fn bulk_update_takes_the_version_that_each_item_names() {
    let bed = Bed::new().await;
    for kind in KINDS {
        bed.call(bulk(kind, "create", &items(kind, &["a", "b", "c", "d"]))).await;
        let with = |id: &str, etag: &str| json!({ kind.2: id, "attestation": symmetric(), "etag": etag, "provisioningStatus": "disabled" });
        let (a, b) = (etag(&bed, kind, "a").await, etag(&bed, kind, "b").await);
        let changes = [
            with("a", &a),
            with("b", &format!("\"{b}\"")),
            with("c", "*"),
            with("d", "AAAA"),
            with("e", "*"),
        ];
        let reply = bed.call(bulk(kind, "update", &changes)).await;
        assert_eq!(errors(&reply, kind.2), ["d 412001", "e 404201"]);
        for (id, status) in [("a", json!("disabled")), ("c", json!("disabled")), ("d", Value::Null)] {
            let got = bed.call(ask("GET", &format!("{}/{id}", kind.0))).await.json();
            assert_eq!(got["provisioningStatus"], status, "{id}");
        }
        // As recorded on Azure: an update without a version is not one.
        let reply = bed.call(bulk(kind, "update", &items(kind, &["a", "new"]))).await;
        assert_eq!(errors(&reply, kind.2), ["a 409201", "new 404201"]);
        let now = etag(&bed, kind, "a").await;
        let reply = bed
            .call(bulk(kind, "updateIfMatchETag", &[with("a", &now), items(kind, &["b"])[0].clone()]))
            .await;
        assert_eq!(errors(&reply, kind.2), ["b 400004"]);
        assert_ne!(etag(&bed, kind, "a").await, now);
    }
}

#[tokio::test]
async fn bulk_delete_takes_ids_alone_and_versions_where_given() {
    let bed = Bed::new().await;
    for kind in KINDS {
        bed.call(bulk(kind, "create", &items(kind, &["a", "b", "c"]))).await;
        let current = etag(&bed, kind, "b").await;
        let reply = bed
            .call(bulk(
                kind,
                "DELETE",
                &[
                    json!({ kind.2: "a" }),
                    json!({ kind.2: "b", "etag": current }),
                    json!({ kind.2: "c", "etag": "AAAA" }),
                    json!({ kind.2: "d" }),
                ],
            ))
            .await;
        assert_eq!(errors(&reply, kind.2), ["c 412001", "d 404201"]);
        assert_eq!(bed.call(ask("GET", &format!("{}/a", kind.0))).await.code(), "404201");
    }
}

#[tokio::test]
async fn bulk_item_that_breaks_a_rule_is_its_own_error_in_the_order_of_the_request() {
    let bed = Bed::new().await;
    let kind = KINDS[0];
    let reply = bed
        .call(bulk(
            kind,
            "create",
            &[
                json!({ "registrationId": "bad id", "attestation": symmetric() }),
                json!({ "registrationId": "a", "attestation": symmetric() }),
                json!({ "registrationId": "b" }),
                json!({ "registrationId": "c", "attestation": { "type": 5 } }),
                json!({ "registrationId": "A", "attestation": symmetric() }),
                json!({ "attestation": symmetric() }),
                json!("d"),
                json!({ "registrationId": "g", "enrollmentGroupId": "g", "attestation": symmetric() }),
                json!({ "registrationId": 7 }),
            ],
        ))
        .await;
    let expected =
        ["bad id 400004", "b 400004", "c 400006", "A 400004", " 400004", " 400006", "g 400004", " 400006"];
    assert_eq!(errors(&reply, kind.2), expected);
    let texts: Vec<String> = reply.json()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["errorStatus"].to_string())
        .collect();
    for (at, part) in [
        (0, "character ' ' at position 4"),
        (1, "attestation is required"),
        (2, "enrollments[3].attestation.type: a number stands where a string is expected"),
        (3, "registrationId stands twice"),
        (4, "registrationId is required"),
        (5, "enrollments[6]: a string stands where an object is expected"),
    ] {
        assert!(texts[at].contains(part), "{}", texts[at]);
    }
    etag(&bed, kind, "a").await;
}

#[tokio::test]
async fn bulk_certificate_in_two_items_goes_to_one_of_them() {
    let bed = Bed::new().await;
    let kind = KINDS[0];
    let attestation = json!({ "type": "x509", "x509": {
        "clientCertificates": { "primary": { "certificate": DEVICE_CERTIFICATE } } } });
    let of = |id: &str| json!({ "registrationId": id, "attestation": attestation });
    let reply = bed.call(bulk(kind, "create", &[of("a"), of("b"), of("c")])).await;
    let refused = errors(&reply, kind.2);
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert!(refused.iter().all(|error| error.ends_with(" 409204")), "{refused:?}");
}

#[tokio::test]
async fn bulk_request_that_is_none_refused_whole() {
    let bed = Bed::new().await;
    for kind in KINDS {
        let eleven: Vec<String> = (0..11).map(|n| format!("n{n}")).collect();
        let eleven: Vec<&str> = eleven.iter().map(String::as_str).collect();
        for (asked, code, part) in [
            (bulk(kind, "create", &items(kind, &eleven)), "400004", "11 items; at most 10"),
            (bulk(kind, "create", &[]), "400004", "is empty"),
            (bulk(kind, "upsert", &items(kind, &["n0"])), "400004", "mode is unknown"),
            (ask("POST", kind.0).json(&json!({ kind.1: items(kind, &["n0"]) })), "400004", "mode is unknown"),
            (ask("POST", kind.0).json(&json!({ "mode": "create", "other": [] })), "400004", "is empty"),
            (ask("POST", kind.0).json(&json!({ "mode": "create", kind.1: {} })), "400006", "an array"),
            (ask("POST", kind.0).text("application/json", "[]"), "400006", ""),
            (ask("POST", kind.0).text("text/plain", "{}"), "415000", ""),
        ] {
            let reply = bed.call(asked).await;
            assert_eq!(reply.code(), code, "{}", reply.text);
            assert!(reply.text.contains(part), "{}", reply.text);
        }
        assert_eq!(bed.call(ask("GET", &format!("{}/n0", kind.0))).await.code(), "404201");
    }
}

#[tokio::test]
async fn bulk_recorded_once_with_what_became_of_each_item() {
    let bed = Bed::new().await;
    let kind = KINDS[0];
    bed.call(bulk(kind, "create", &items(kind, &["a"]))).await;
    let before = etag(&bed, kind, "a").await;
    bed.events();
    bed.call(bulk(kind, "delete", &items(kind, &["a", "b"]))).await;
    let event = bed.event();
    assert_eq!((event.operation, event.outcome), ("BulkOperation", Outcome::Success));
    let items: Vec<_> = event
        .items
        .iter()
        .map(|item| (item.id.as_str(), item.previous_etag.clone(), item.outcome.status()))
        .collect();
    assert_eq!(items, [("a", Some(before), None), ("b", None, Some(404))]);
}
