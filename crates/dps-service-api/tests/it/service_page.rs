//! docs/reference/service-api.md: its calls, members, modes and codes are what the code does.

use std::collections::BTreeSet;

use dps_model::ErrorCode;
use serde_json::{Value, json};

use crate::bed::{Ask, Bed, POLICIES, ask, token};
use crate::query_page::table_of;

const PAGE: &str = include_str!("../../../../docs/reference/service-api.md");

fn table(heading: &str) -> Vec<Vec<String>> {
    table_of(PAGE, heading)
}

/// A body with which the call succeeds.
fn body(method: &str, path: &str) -> Option<Value> {
    let attestation = json!({ "type": "symmetricKey" });
    match (method, path) {
        ("PUT", _) => Some(json!({ "attestation": attestation })),
        ("POST", "/enrollments") => {
            let item = json!({ "registrationId": "b", "attestation": attestation });
            Some(json!({ "mode": "create", "enrollments": [item] }))
        }
        ("POST", "/enrollmentGroups") => {
            let item = json!({ "enrollmentGroupId": "b", "attestation": attestation });
            Some(json!({ "mode": "create", "enrollmentGroups": [item] }))
        }
        ("POST", path) if path.ends_with("/query") => Some(json!({ "query": "SELECT *" })),
        _ => None,
    }
}

#[tokio::test]
async fn service_page_calls_succeed_and_need_the_right_as_written() {
    let bed = Bed::new().await;
    crate::registrations::register(&bed, "a").await;
    let calls = table("Calls");
    assert_eq!(calls.len(), 15);
    for call in calls {
        let [call, success, right] = call.as_slice() else { panic!("three cells: {call:?}") };
        let (method, path) = call.split_once(' ').unwrap();
        let path = path.replace("{registrationId}", "a").replace("{enrollmentGroupId}", "a");
        let asked = |policy: &str| -> Ask {
            let asked = ask(method, &path).header("authorization", &token(policy));
            match body(method, &path) {
                Some(body) => asked.json(&body),
                None => asked,
            }
        };
        // Those without the right first: a policy with it would already delete.
        let written = right.replace("Read", "Write");
        for (policy, _) in POLICIES.iter().filter(|(name, _)| *name != "provisioningserviceowner") {
            if policy != right && *policy != written {
                assert_eq!(bed.call(asked(policy)).await.code(), "401000", "{call} as {policy}");
            }
        }
        let reply = bed.call(asked(right)).await;
        assert_eq!(reply.code(), *success, "{call}: {}", reply.text);
    }
}

#[tokio::test]
async fn service_page_members_are_those_that_are_taken_and_shown() {
    let bed = Bed::new().await;
    let written: BTreeSet<String> = table("Enrollments").into_iter().map(|row| row[0].clone()).collect();
    let mut full = json!({
        "attestation": { "type": "symmetricKey" },
        "provisioningStatus": "enabled",
        "capabilities": { "iotEdge": false },
        "initialTwin": { "tags": {}, "properties": { "desired": {} } },
        "reprovisionPolicy": { "updateHubAssignment": true, "migrateDeviceData": true },
        "allocationPolicy": "static",
        "iotHubs": ["a.example"],
        "iotHubHostName": "a.example",
        "customAllocationDefinition": { "webhookUrl": "https://a.example", "apiVersion": "2019-03-31" },
        "credentialPolicyName": "a",
    });
    let mut shown = BTreeSet::new();
    let put = bed.call(ask("PUT", "/enrollmentGroups/a").json(&full)).await;
    shown.extend(put.json().as_object().unwrap().keys().cloned());
    full["deviceId"] = json!("a");
    full["optionalDeviceInformation"] = json!({});
    let put = bed.call(ask("PUT", "/enrollments/a").json(&full)).await;
    shown.extend(put.json().as_object().unwrap().keys().cloned());
    for read_only in ["createdDateTimeUtc", "lastUpdatedDateTimeUtc"] {
        assert!(shown.remove(read_only));
    }
    assert_eq!(written, shown);
}

#[tokio::test]
async fn service_page_modes_are_those_that_are_taken() {
    let bed = Bed::new().await;
    let modes = table("Bulk operations");
    assert_eq!(modes.len(), 4);
    for mode in modes {
        let body = json!({ "mode": mode[0], "enrollments": [{ "registrationId": "a", "etag": "*" }] });
        let reply = bed.call(ask("POST", "/enrollments").json(&body)).await;
        assert_eq!(reply.code(), "200", "{}: {}", mode[0], reply.text);
    }
}

#[test]
fn service_page_codes_are_in_the_catalogue() {
    let known: BTreeSet<String> = ErrorCode::ALL.iter().map(|code| code.row().code.to_string()).collect();
    let rows = table("Failures");
    assert!(rows.len() >= 12);
    for code in rows.iter().flat_map(|row| row[0].split(", ")) {
        assert!(known.contains(code), "{code}");
    }
}
