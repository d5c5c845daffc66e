//! Queries over the wire: pages, headers, continuations, and the bounds of a page.

use std::collections::BTreeSet;

use dps_core::registration::{EnrollmentName, Identities, Proof, RegistrationRecord};
use dps_model::RegistrationId;
use dps_model::limits::{DEFAULT_QUERY_PAGE, MAX_QUERY_PAGE_BYTES, MAX_QUERY_SCAN};
use dps_model::registration::{DeviceRegistrationResult, Status};
use serde_json::{Value, json};

use crate::bed::{Ask, Bed, INSTANCE, Reply, ask};

fn query(path: &str, text: &str) -> Ask {
    ask("POST", path).json(&json!({ "query": text }))
}

async fn fill(bed: &Bed, path: &str, id: &str, ids: impl Iterator<Item = String>) {
    for name in ids {
        let body = json!({ id: name, "attestation": { "type": "symmetricKey" }, "deviceId": null });
        assert_eq!(bed.call(ask("PUT", &format!("{path}/{name}")).json(&body)).await.code(), "200");
    }
}

/// Ids of a page.
#[track_caller]
fn ids(reply: &Reply, id: &str) -> Vec<String> {
    assert_eq!(reply.status, 200, "{}", reply.text);
    let rows = reply.json();
    rows.as_array().unwrap().iter().map(|row| row[id].as_str().unwrap().to_owned()).collect()
}

/// Follows continuations to the end; the sizes of the pages and all ids.
async fn all(bed: &Bed, path: &str, text: &str, count: &str, id: &str) -> (Vec<usize>, Vec<String>) {
    let (mut sizes, mut found, mut token) = (Vec::new(), Vec::new(), None::<String>);
    loop {
        let mut asked = query(path, text).header("x-ms-max-item-count", count);
        if let Some(token) = &token {
            asked = asked.header("x-ms-continuation", token);
        }
        let reply = bed.call(asked).await;
        let page = ids(&reply, id);
        sizes.push(page.len());
        found.extend(page);
        match reply.header("x-ms-continuation") {
            Some(next) => token = Some(next.to_owned()),
            None => return (sizes, found),
        }
    }
}

#[tokio::test]
async fn query_pages_hold_every_enrollment_once_and_end_without_an_empty_one() {
    let bed = Bed::new().await;
    for (path, id, item_type) in [
        ("/enrollments", "registrationId", "Enrollment"),
        ("/enrollmentGroups", "enrollmentGroupId", "EnrollmentGroup"),
    ] {
        fill(&bed, path, id, (0..120).map(|n| format!("n-{n}"))).await;
        let path = format!("{path}/query");
        let first = bed.call(query(&path, "SELECT *")).await;
        assert_eq!(ids(&first, id).len(), DEFAULT_QUERY_PAGE);
        assert_eq!(first.header("x-ms-item-type"), Some(item_type));
        assert_eq!(first.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(first.header("content-type"), Some("application/json; charset=utf-8"));
        for (count, sizes) in [
            ("0", vec![100, 20]),
            ("", vec![]),
            ("60", vec![60, 60]),
            ("50", vec![50, 50, 20]),
            ("119", vec![119, 1]),
            ("120", vec![120]),
            ("99999999999999999999999", vec![120]),
        ] {
            if count.is_empty() {
                continue;
            }
            let (pages, found) = all(&bed, &path, "SELECT * FROM enrollments", count, id).await;
            assert_eq!(pages, sizes, "{count}");
            assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), 120);
        }
    }
}

#[tokio::test]
async fn query_rows_are_what_a_get_shows_without_keys_and_state() {
    let bed = Bed::new().await;
    fill(&bed, "/enrollments", "registrationId", ["dev-1".to_owned()].into_iter()).await;
    let mut got = bed.call(ask("GET", "/enrollments/dev-1")).await.json();
    got.as_object_mut().unwrap().remove("registrationState").unwrap();
    let rows = bed.call(query("/enrollments/query", "select *")).await.json();
    assert_eq!(rows, json!([got]));
}

#[tokio::test]
async fn query_where_takes_what_it_says() {
    let bed = Bed::new().await;
    fill(&bed, "/enrollments", "registrationId", (0..30).map(|n| format!("n-{n:02}"))).await;
    let body = json!({ "attestation": { "type": "symmetricKey" }, "provisioningStatus": "disabled",
                       "initialTwin": { "tags": { "line": 7 } } });
    for n in [3, 17] {
        let path = format!("/enrollments/n-{n:02}");
        bed.call(ask("PUT", &path).json(&body).header("if-match", "*")).await;
    }
    let text =
        "SELECT * FROM enrollments e WHERE e.provisioningStatus = 'disabled' AND initialTwin.tags.line = 7";
    let (sizes, found) = all(&bed, "/enrollments/query", text, "1", "registrationId").await;
    assert_eq!(found, ["n-03", "n-17"]);
    assert!(sizes.len() <= 3, "{sizes:?}");
    let refused = bed.call(query("/enrollments/query", "SELECT * WHERE colour = 'red'")).await;
    assert_eq!(refused.code(), "400004");
    assert!(refused.text.contains("at character 16"), "{}", refused.text);
    for text in [
        "SELECT * WHERE attestation.symmetricKey.primaryKey = 'x'",
        "SELECT * WHERE IS_DEFINED(attestation.symmetricKey)",
    ] {
        assert_eq!(bed.call(query("/enrollments/query", text)).await.code(), "400004", "{text}");
    }
}

#[tokio::test]
async fn query_bodies_that_ask_for_everything() {
    let bed = Bed::new().await;
    fill(&bed, "/enrollments", "registrationId", ["a".to_owned()].into_iter()).await;
    for body in
        [json!({}), json!({ "query": null }), json!({ "query": "", "other": 1 }), json!({ "query": "*" })]
    {
        let reply = bed.call(ask("POST", "/enrollments/query").json(&body)).await;
        assert_eq!(ids(&reply, "registrationId"), ["a"], "{body}");
    }
    for (body, code) in [("", "400006"), ("[1]", "400006"), ("{\"query\":5}", "400006")] {
        let reply = bed.call(ask("POST", "/enrollments/query").text("application/json", body)).await;
        assert_eq!(reply.code(), code, "{body}");
    }
    assert_eq!(bed.call(ask("POST", "/enrollments/query")).await.code(), "415000");
    for count in ["-1", "many", "1.5", " "] {
        let reply = bed.call(query("/enrollments/query", "*").header("x-ms-max-item-count", count)).await;
        assert_eq!(reply.code(), "400004", "{count}");
    }
}

#[tokio::test]
async fn continuation_of_another_query_or_changed_refused() {
    let bed = Bed::new().await;
    fill(&bed, "/enrollments", "registrationId", (0..3).map(|n| format!("n-{n}"))).await;
    let first = bed.call(query("/enrollments/query", "SELECT *").header("x-ms-max-item-count", "1")).await;
    let token = first.header("x-ms-continuation").unwrap().to_owned();
    let with = |asked: Ask, token: &str| asked.header("x-ms-continuation", token);
    let good = bed.call(with(query("/enrollments/query", "SELECT *"), &token)).await;
    assert_eq!(ids(&good, "registrationId"), ["n-1", "n-2"], "and another page size is no other query");
    for asked in [
        with(query("/enrollments/query", "SELECT * WHERE true"), &token),
        with(query("/enrollmentGroups/query", "SELECT *"), &token),
        with(query("/registrations/n-0/query", "SELECT *"), &token),
        with(query("/enrollments/query", "SELECT *"), &token[1..]),
        with(query("/enrollments/query", "SELECT *"), &format!("{token}A")),
        with(query("/enrollments/query", "SELECT *"), "%%%"),
        with(query("/enrollments/query", "SELECT *"), "W3sidG9rZW4iOiIrUklEOn4ifV0="),
    ] {
        let reply = bed.call(asked).await;
        assert_eq!(reply.code(), "400004");
        assert!(reply.text.contains("x-ms-continuation does not belong"), "{}", reply.text);
    }
    // Where it went on behind may be gone.
    bed.call(ask("DELETE", "/enrollments/n-0")).await;
    let good = bed.call(with(query("/enrollments/query", "SELECT *"), &token)).await;
    assert_eq!(ids(&good, "registrationId"), ["n-1", "n-2"]);
    let empty = bed.call(with(query("/enrollments/query", "SELECT *"), "")).await;
    assert_eq!(ids(&empty, "registrationId").len(), 2);
}

#[tokio::test]
async fn query_that_finds_nothing_looks_at_so_many_rows_a_page() {
    let bed = Bed::new().await;
    let count = MAX_QUERY_SCAN + 10;
    for first in (0..count).step_by(10) {
        let items: Vec<Value> = (first..count.min(first + 10))
            .map(|n| json!({ "enrollmentGroupId": format!("n-{n:05}"), "attestation": { "type": "symmetricKey" } }))
            .collect();
        let body = json!({ "mode": "create", "enrollmentGroups": items });
        assert_eq!(bed.call(ask("POST", "/enrollmentGroups").json(&body)).await.json()["isSuccessful"], true);
    }
    let last = format!("n-{:05}", count - 1);
    let text = format!("SELECT * WHERE ENDSWITH(enrollmentGroupId, '{last}')");
    let (sizes, found) = all(&bed, "/enrollmentGroups/query", &text, "0", "enrollmentGroupId").await;
    assert_eq!((sizes, found), (vec![0, 1], vec![last.clone()]));
    // What says how the id begins looks nowhere else.
    let text = format!("SELECT * WHERE STARTSWITH(enrollmentGroupId, '{}')", &last[..last.len() - 1]);
    let (sizes, found) = all(&bed, "/enrollmentGroups/query", &text, "0", "enrollmentGroupId").await;
    assert_eq!((sizes, found.last()), (vec![count % 10], Some(&last)));
}

#[tokio::test]
async fn query_by_how_ids_begin_holds_those_and_the_id_that_is_no_longer() {
    let bed = Bed::new().await;
    let group = |n: usize| if n.is_multiple_of(2) { "even" } else { "odd" };
    fill(&bed, "/enrollments", "registrationId", (0..120).map(|n| format!("N-{n}"))).await;
    for n in 0..120 {
        register(&bed, &format!("N-{n}"), Some(group(n)), Status::Failed).await;
    }
    let id = "registrationId";
    let begins = "SELECT * WHERE STARTSWITH(registrationId, 'n-1')";
    for (path, text, sizes) in [
        ("/enrollments/query", begins, &[10, 10, 10, 1][..]),
        ("/enrollments/query", "SELECT * WHERE registrationId = 'n-11'", &[1]),
        (
            "/enrollments/query",
            "SELECT * WHERE STARTSWITH(registrationId, 'n-2') AND registrationId = 'n-1'",
            &[0],
        ),
        ("/enrollments/query", "SELECT * WHERE STARTSWITH(registrationId, 'zz')", &[0]),
        ("/registrations/odd/query", begins, &[10, 6]),
        ("/registrations/even/query", begins, &[10, 5]),
        ("/registrations/even/query", "SELECT * WHERE registrationId = 'n-11'", &[0]),
    ] {
        let (found_sizes, found) = all(&bed, path, text, "10", id).await;
        assert_eq!(found_sizes, sizes, "{path} {text}");
        let once: BTreeSet<&String> = found.iter().collect();
        assert_eq!(once.len(), found.len(), "{path} {text}");
        assert!(found.iter().all(|id| id.starts_with("N-1")), "{found:?}");
    }
}

#[tokio::test]
async fn query_page_ends_when_it_is_large() {
    let bed = Bed::new().await;
    let tags: Value = (0..10).map(|n| (format!("text-{n}"), json!("x".repeat(3_000)))).collect();
    for n in 0..50 {
        let body = json!({ "attestation": { "type": "symmetricKey" },
                           "initialTwin": { "tags": tags, "properties": { "desired": tags } } });
        assert_eq!(bed.call(ask("PUT", &format!("/enrollments/n-{n}")).json(&body)).await.code(), "200");
    }
    let reply = bed.call(query("/enrollments/query", "*")).await;
    assert!(reply.text.len() < MAX_QUERY_PAGE_BYTES + 100_000, "{}", reply.text.len());
    let (sizes, found) = all(&bed, "/enrollments/query", "*", "0", "registrationId").await;
    assert_eq!((sizes.len(), found.len()), (3, 50));
}

async fn register(bed: &Bed, id: &str, group: Option<&str>, status: Status) {
    let id = RegistrationId::parse(id).unwrap();
    let record = RegistrationRecord {
        state: DeviceRegistrationResult {
            error_code: Some(400_207),
            ..DeviceRegistrationResult::bare(id, status)
        },
        enrollment: group.map_or(EnrollmentName::Individual, |group| EnrollmentName::Group(group.into())),
        proof: Proof::SasToken("hash".into()),
        operation: None,
        identities: Identities::default(),
        carried: None,
    };
    let (write, _) = record.write(INSTANCE, None, None, None).unwrap();
    bed.store.write(vec![write]).await.unwrap();
}

#[tokio::test]
async fn registrations_of_a_group_shown_as_by_get_running_ones_too() {
    let bed = Bed::new().await;
    for n in 0..5 {
        register(&bed, &format!("d-{n}"), Some("Line-7"), Status::Failed).await;
    }
    register(&bed, "d-5", Some("line-7"), Status::Assigning).await;
    register(&bed, "e-1", Some("line-8"), Status::Assigned).await;
    register(&bed, "e-2", None, Status::Assigned).await;
    // The group need not exist any more, and the body may be empty.
    let reply = bed.call(ask("POST", "/registrations/LINE-7/query")).await;
    assert_eq!(ids(&reply, "registrationId"), ["d-0", "d-1", "d-2", "d-3", "d-4", "d-5"]);
    assert_eq!(reply.header("x-ms-item-type"), Some("DeviceRegistration"));
    for row in reply.json().as_array().unwrap() {
        let path = format!("/registrations/{}", row["registrationId"].as_str().unwrap());
        assert_eq!(*row, bed.call(ask("GET", &path)).await.json());
    }
    let (sizes, found) =
        all(&bed, "/registrations/line-7/query", "SELECT * WHERE status = 'failed'", "2", "registrationId")
            .await;
    assert_eq!((sizes, found.len()), (vec![2, 2, 1], 5));
    assert_eq!(bed.call(ask("DELETE", "/registrations/d-0")).await.code(), "204");
    let reply = bed.call(query("/registrations/line-7/query", "SELECT *")).await;
    assert_eq!(ids(&reply, "registrationId").len(), 5);
    assert_eq!(bed.call(ask("POST", "/registrations/none/query")).await.text, "[]");
    assert_eq!(bed.call(ask("POST", "/registrations/a%20b/query")).await.code(), "400004");
    assert_eq!(
        bed.call(ask("POST", "/registrations/g/query").text("text/plain", "x")).await.code(),
        "415000"
    );
}
