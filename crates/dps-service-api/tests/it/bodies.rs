//! Golden bodies of enrollments and groups: what is shown, and what never is.

use serde_json::{Value, json};

use crate::bed::{Ask, Bed, NOW_TEXT, Reply, ask};

const DEVICE_CERTIFICATE: &str = include_str!("certificates/device-1.pem");
const SIGNING_CERTIFICATE: &str = include_str!("certificates/line-7-ca.pem");
const PRIMARY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const SECONDARY: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

fn symmetric_keys() -> Value {
    json!({ "type": "symmetricKey", "symmetricKey": { "primaryKey": PRIMARY, "secondaryKey": SECONDARY } })
}

/// The body with its etag, which is new each time, looked at and taken out.
#[track_caller]
fn stamped(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{}", reply.text);
    let mut body = reply.json();
    let etag = body.as_object_mut().unwrap().remove("etag").unwrap();
    assert_eq!(etag.as_str().unwrap().len(), 52, "base64 of a quoted GUID");
    body
}

/// PUT, GET and `attestationmechanism` of one thing.
async fn shown(bed: &Bed, path: &str, body: &Value) -> [Value; 3] {
    let put = bed.call(ask("PUT", path).json(body)).await;
    let get = bed.call(ask("GET", path)).await;
    assert_eq!(put.json()["etag"], get.json()["etag"]);
    let mechanism: Ask = ask("POST", &format!("{path}/attestationmechanism"));
    let mechanism = bed.call(mechanism).await;
    assert_eq!(mechanism.status, 200);
    [stamped(&put), stamped(&get), mechanism.json()]
}

#[tokio::test]
async fn numbers_of_initial_twin_come_back_as_they_were_sent() {
    let twin = r#""tags":{"a":-1.7969314742435888e-9,"b":6.934698245112694e+276,"c":18446744073709551615}"#;
    let body = format!(r#"{{"attestation":{},"initialTwin":{{{twin}}}}}"#, symmetric_keys());
    let bed = Bed::new().await;
    let put = bed.call(ask("PUT", "/enrollments/dev-1").text("application/json", body)).await;
    let get = bed.call(ask("GET", "/enrollments/dev-1")).await;
    for reply in [put, get] {
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert!(reply.text.contains(twin), "{}", reply.text);
    }
}

#[tokio::test]
async fn individual_symmetric_key_shown_with_keys_by_put_and_attestation_mechanism_alone() {
    let body = json!({
        "registrationId": "Dev-1",
        "deviceId": "machine-1",
        "attestation": symmetric_keys(),
        "capabilities": { "iotEdge": true },
        "initialTwin": { "tags": { "line": 7 }, "properties": { "desired": { "speed": 3 } } },
        "provisioningStatus": "enabled",
        "reprovisionPolicy": { "updateHubAssignment": true, "migrateDeviceData": false },
        "allocationPolicy": "hashed",
        "iotHubs": ["hub-1.example"],
        "optionalDeviceInformation": { "colour": "red" },
        "registrationState": null,
        "unknownMember": [1, 2, 3]
    });
    let [put, get, mechanism] = shown(&Bed::new().await, "/enrollments/Dev-1", &body).await;
    let mut expected = json!({
        "registrationId": "Dev-1",
        "deviceId": "machine-1",
        "optionalDeviceInformation": { "colour": "red" },
        "attestation": symmetric_keys(),
        "capabilities": { "iotEdge": true },
        "initialTwin": { "tags": { "line": 7 }, "properties": { "desired": { "speed": 3 } } },
        "provisioningStatus": "enabled",
        "reprovisionPolicy": { "updateHubAssignment": true, "migrateDeviceData": false },
        "allocationPolicy": "hashed",
        "iotHubs": ["hub-1.example"],
        "createdDateTimeUtc": NOW_TEXT,
        "lastUpdatedDateTimeUtc": NOW_TEXT,
    });
    assert_eq!(put, expected);
    expected["attestation"] = json!({ "type": "symmetricKey" });
    expected["registrationState"] = json!({ "registrationId": "Dev-1", "status": "unassigned" });
    assert_eq!(get, expected);
    assert_eq!(mechanism, symmetric_keys());
}

#[tokio::test]
async fn group_symmetric_key_shown_with_keys_by_put_and_attestation_mechanism_alone() {
    let body = json!({ "enrollmentGroupId": "line-7", "attestation": symmetric_keys() });
    let [put, get, mechanism] = shown(&Bed::new().await, "/enrollmentgroups/line-7", &body).await;
    let mut expected = json!({
        "enrollmentGroupId": "line-7",
        "attestation": symmetric_keys(),
        "createdDateTimeUtc": NOW_TEXT,
        "lastUpdatedDateTimeUtc": NOW_TEXT,
    });
    assert_eq!(put, expected);
    expected["attestation"] = json!({ "type": "symmetricKey" });
    assert_eq!(get, expected);
    assert_eq!(mechanism, symmetric_keys());
}

#[tokio::test]
async fn individual_without_keys_gets_generated_ones_that_stay() {
    let bed = Bed::new().await;
    let body = json!({ "registrationId": "dev-1", "attestation": { "type": "symmetricKey" } });
    let [put, get, mechanism] = shown(&bed, "/enrollments/dev-1", &body).await;
    let keys = &put["attestation"]["symmetricKey"];
    for name in ["primaryKey", "secondaryKey"] {
        assert_eq!(keys[name].as_str().unwrap().len(), 88, "base64 of 64 bytes");
    }
    assert_ne!(keys["primaryKey"], keys["secondaryKey"]);
    assert_eq!(&mechanism["symmetricKey"], keys);
    assert!(!get.to_string().contains("primaryKey"));
}

fn certificate_info(name: &str, sha1: &str, sha256: &str, serial: &str) -> Value {
    json!({ "info": {
        "subjectName": name,
        "sha1Thumbprint": sha1,
        "sha256Thumbprint": sha256,
        "issuerName": name,
        "notBeforeUtc": "2026-11-23T01:59:43.0000000Z",
        "notAfterUtc": "2126-10-30T01:59:43.0000000Z",
        "serialNumber": serial,
        "version": 3
    }})
}

#[tokio::test]
async fn individual_x509_shown_as_info_alone_with_the_primary_as_secondary() {
    let body = json!({ "registrationId": "device-1", "attestation": { "type": "x509", "x509": {
        "clientCertificates": { "primary": { "certificate": DEVICE_CERTIFICATE } } } } });
    let [put, get, mechanism] = shown(&Bed::new().await, "/enrollments/device-1", &body).await;
    let info = certificate_info(
        "CN=device-1, O=Contoso",
        "3DFD37B08E9BBC01150965FAF90F82308EBC7103",
        "B1616D9C4D0512AE1AB06F4245C42ED164A4AFFD9C5880CBFCC662A6A46BC744",
        "1234ABCD",
    );
    let attestation =
        json!({ "type": "x509", "x509": { "clientCertificates": { "primary": info, "secondary": info } } });
    assert_eq!(put["attestation"], attestation);
    assert_eq!(get["attestation"], attestation);
    assert_eq!(mechanism, attestation);
    assert_eq!(get["registrationState"], json!({ "registrationId": "device-1", "status": "unassigned" }));
}

#[tokio::test]
async fn group_x509_shown_as_info_alone_with_the_primary_as_secondary() {
    let body = json!({ "enrollmentGroupId": "line-7", "attestation": { "type": "x509", "x509": {
        "signingCertificates": { "primary": { "certificate": SIGNING_CERTIFICATE } } } } });
    let [put, get, mechanism] = shown(&Bed::new().await, "/enrollmentGroups/line-7", &body).await;
    let info = certificate_info(
        "CN=Line 7 CA, O=Contoso",
        "80E8ADEC8157DABB939B238DF892C46C01F78A7D",
        "43736A77F586AD5CDE4EE61B956CB823E15E10856750E07EADA23AA253FBD902",
        "77",
    );
    let attestation =
        json!({ "type": "x509", "x509": { "signingCertificates": { "primary": info, "secondary": info } } });
    assert_eq!(put["attestation"], attestation);
    assert_eq!(get["attestation"], attestation);
    assert_eq!(mechanism, attestation);
    assert!(!get.to_string().contains("BEGIN"), "PEM never leaves");
}

#[tokio::test]
async fn answers_carry_azures_headers() {
    let bed = Bed::new().await;
    let body = json!({ "registrationId": "dev-1", "attestation": symmetric_keys() });
    let ok = bed.call(ask("PUT", "/enrollments/dev-1").json(&body)).await;
    let failed = bed.call(ask("GET", "/enrollments/other")).await;
    let deleted = bed.call(ask("DELETE", "/enrollments/dev-1")).await;
    let events = bed.events();
    for (reply, event) in [&ok, &failed, &deleted].into_iter().zip(events) {
        assert_eq!(reply.header("x-ms-request-id"), Some(event.tracking_id.to_string().as_str()));
        assert_eq!(reply.header("strict-transport-security"), Some("max-age=31536000; includeSubDomains"));
    }
    assert_eq!(ok.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(failed.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    assert_eq!(deleted.header("content-type"), None);
    assert_eq!(failed.json()["trackingId"].as_str(), failed.header("x-ms-request-id"));
    assert_eq!(failed.json()["timestampUtc"], NOW_TEXT);
}
