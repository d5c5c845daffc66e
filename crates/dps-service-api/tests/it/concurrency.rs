//! Create, update and delete under `If-Match`.

use serde_json::{Value, json};

use crate::bed::{Bed, ask};

const ITEMS: [(&str, &str); 2] =
    [("/enrollments/a", "registrationId"), ("/enrollmentGroups/a", "enrollmentGroupId")];

fn body(id: &str) -> Value {
    json!({ id: "a", "attestation": { "type": "symmetricKey" } })
}

#[tokio::test]
async fn put_without_if_match_creates_once() {
    let bed = Bed::new().await;
    for (path, id) in ITEMS {
        assert_eq!(bed.call(ask("PUT", path).json(&body(id))).await.code(), "200");
        assert_eq!(bed.call(ask("PUT", path).json(&body(id))).await.code(), "409201");
        // An empty header is none.
        assert_eq!(bed.call(ask("PUT", path).json(&body(id)).header("if-match", "")).await.code(), "409201");
    }
}

#[tokio::test]
async fn put_with_the_etag_in_every_spelling_updates_and_keeps_the_keys() {
    let bed = Bed::new().await;
    for (path, id) in ITEMS {
        let created = bed.call(ask("PUT", path).json(&body(id))).await.json();
        let mut etag = created["etag"].as_str().unwrap().to_owned();
        for spelling in ["TAG", "\"TAG\"", " TAG ", "*", "\"*\""] {
            let if_match = spelling.replace("TAG", &etag);
            let updated = bed.call(ask("PUT", path).json(&body(id)).header("if-match", &if_match)).await;
            assert_eq!(updated.code(), "200", "{if_match}");
            assert_eq!(updated.json()["attestation"], created["attestation"]);
            let fresh = updated.json()["etag"].as_str().unwrap().to_owned();
            assert_ne!(fresh, etag);
            etag = fresh;
        }
        let stale = created["etag"].as_str().unwrap();
        assert_eq!(
            bed.call(ask("PUT", path).json(&body(id)).header("if-match", stale)).await.code(),
            "412001"
        );
    }
}

#[tokio::test]
async fn delete_with_and_without_if_match() {
    let bed = Bed::new().await;
    for (path, id) in ITEMS {
        assert_eq!(bed.call(ask("DELETE", path)).await.code(), "404201");
        let created = bed.call(ask("PUT", path).json(&body(id))).await.json();
        let etag = created["etag"].as_str().unwrap();
        assert_eq!(bed.call(ask("DELETE", path).header("if-match", "\"stale\"")).await.code(), "412001");
        assert_eq!(bed.call(ask("DELETE", path).header("if-match", etag)).await.code(), "204");
        assert_eq!(bed.call(ask("GET", path)).await.code(), "404201");
        bed.call(ask("PUT", path).json(&body(id))).await;
        assert_eq!(bed.call(ask("DELETE", path)).await.code(), "204");
        bed.call(ask("PUT", path).json(&body(id))).await;
        assert_eq!(bed.call(ask("DELETE", path).header("if-match", "*")).await.code(), "204");
    }
}

#[tokio::test]
async fn ids_in_another_case_or_escaped_name_the_same_thing() {
    let bed = Bed::new().await;
    let body = json!({ "registrationId": "my.dev_01:A", "attestation": { "type": "symmetricKey" } });
    let created = bed.call(ask("PUT", "/enrollments/my.dev_01%3AA").json(&body)).await;
    assert_eq!(created.json()["registrationId"], "my.dev_01:A");
    for path in ["/Enrollments/MY.dev_01%3aa", "/enrollments/my.dev_01:a/"] {
        let got = bed.call(ask("GET", path)).await;
        assert_eq!(got.json()["registrationId"], "my.dev_01:A", "{path}");
    }
}
