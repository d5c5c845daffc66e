//! `rehearsals`: what may be asked, what is told, and what is wrong with a question.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::bed::{Ask, Bed, DEFAULT, ask};

fn rehearse(body: &Value) -> Ask {
    let uri = format!("{DEFAULT}/providers/Muster.Diagnosis/rehearsals?api-version=2026-11-01");
    ask("POST", "").uri(&uri).json(body)
}

fn key(n: u8) -> String {
    STANDARD.encode([n; 32])
}

fn keys(n: u8) -> Value {
    json!({"type": "symmetricKey", "symmetricKey": {"primaryKey": key(n), "secondaryKey": key(n)}})
}

async fn enrolled() -> Bed {
    let bed = Bed::new().await;
    let input = serde_json::from_value(json!({"attestation": keys(1)})).unwrap();
    bed.enrollments.put_individual(&bed.instances.default_instance(), "dev-1", input, None).await.unwrap();
    bed
}

#[tokio::test]
async fn device_and_what_it_would_meet() {
    let bed = enrolled().await;
    let told = bed
        .call(rehearse(&json!({
            "registrationId": "dev-1", "evidence": {"symmetricKey": key(1)}, "protocol": "mqtt",
            "payload": {"a": 1}, "clientAddress": "203.0.113.9",
        })))
        .await
        .ok();
    // There is no hub.
    assert_eq!(told["outcome"]["status"], "wouldFail");
    assert_eq!(told["outcome"]["accepted"], false);
    assert_eq!(told["outcome"]["code"], told["record"]["outcome"]["code"]);
    assert_eq!(told["enrollment"], json!({"kind": "IndividualEnrollment", "id": "dev-1"}));
    assert_eq!((&told["registrationId"], &told["hub"]), (&json!("dev-1"), &Value::Null));
    let steps = told["steps"].as_array().unwrap();
    let failed: Vec<_> = steps.iter().filter(|step| step["result"] == "failed").collect();
    assert_eq!((steps.len(), failed.len(), &failed[0]["name"]), (10, 1, &json!("allocate")));
    assert!(steps.iter().all(|step| step["title"].is_string() && step["detail"].is_string()));
    assert_eq!(told["record"]["protocol"], "Mqtt");
    assert!(told["record"]["peer"].as_str().unwrap().starts_with("203.0.113.9:"));
    assert_eq!(told["causes"], json!([]));
    let event = bed.events().pop().unwrap();
    assert_eq!(event.operation, "Muster.Diagnosis/rehearsals/action");
    assert!(!told.to_string().contains(&key(1)), "a key is never answered");
}

#[tokio::test]
async fn refusal_tells_candidates_and_is_explained() {
    let bed = enrolled().await;
    let body = json!({"registrationId": "dev-1", "evidence": {"symmetricKey": key(2)}});
    let told = bed.call(rehearse(&body)).await.ok();
    assert_eq!(told["outcome"]["status"], "wouldBeRefused");
    assert_eq!(
        (&told["outcome"]["code"], &told["outcome"]["message"]),
        (&json!(401_000), &json!("Unauthorized"))
    );
    assert_eq!(told["candidates"][0]["reason"], "SAS_SIGNATURE_MISMATCH");
    assert_eq!(told["record"]["client"], "SAS_SIGNATURE_MISMATCH", "the port was asked");
    assert!(told["record"]["peer"].as_str().unwrap().starts_with("192.0.2.7:"), "the caller's address");
    let proposed = json!({"registrationId": "dev-1", "evidence": {"symmetricKey": key(2)},
        "proposed": {"individualEnrollment": {"registrationId": "dev-1", "attestation": keys(2)}}});
    assert_eq!(bed.call(rehearse(&proposed)).await.ok()["outcome"]["status"], "wouldFail", "let in");
    assert_eq!(bed.call(rehearse(&body)).await.ok()["outcome"]["status"], "wouldBeRefused");
}

#[tokio::test]
async fn what_a_device_showed_last_is_rehearsed_and_its_token_told_to_nobody() {
    let bed = enrolled().await;
    let told =
        bed.call(rehearse(&json!({"registrationId": "dev-1", "evidence": {"lastShown": true}}))).await.ok();
    assert_eq!(told["outcome"]["status"], "wouldFail", "let in; there is no hub");
    assert_eq!(told["record"]["protocol"], "AmqpWs");
    assert!(told["record"]["peer"].as_str().unwrap().starts_with("198.51.100.4:"));
    let of = |id: &str| {
        let uri = format!("{DEFAULT}/providers/Muster.Diagnosis/devices/{id}/shown?api-version=2026-11-01");
        ask("GET", "").uri(&uri)
    };
    let shown = bed.call(of("dev-1")).await.ok();
    assert_eq!((&shown["sasToken"], &shown["certificates"]), (&json!(true), &json!([])));
    assert_eq!((&shown["protocol"], &shown["address"]), (&json!("AmqpWs"), &json!("198.51.100.4")));
    assert!(!shown.to_string().contains("sig="), "{shown}");
    assert_eq!(bed.call(of("dev-2")).await.status, 404);
    let body = json!({"registrationId": "dev-2", "evidence": {"lastShown": true}});
    let (status, _, message) = bed.call(rehearse(&body)).await.refusal();
    assert!(status == 404 && message.contains("not remembered"), "{status} {message}");
    let body = json!({"registrationId": "dev-1", "evidence": {"lastShown": true, "symmetricKey": key(1)}});
    let (status, _, message) = bed.call(rehearse(&body)).await.refusal();
    assert!(status == 400 && message.contains("has no member \"symmetricKey\""), "{status} {message}");
}

#[tokio::test]
async fn question_that_is_wrong_is_refused_by_member() {
    let bed = enrolled().await;
    let device = |evidence: Value| json!({"registrationId": "dev-1", "evidence": evidence});
    for (body, said) in [
        (json!({"registration": "x"}), "has no member \"registration\""),
        (device(json!({"certificate": "x"})), "evidence has no member \"certificate\""),
        (device(json!({"sasToken": "x", "symmetricKey": "y"})), "sasToken and symmetricKey"),
        (device(json!({"symmetricKey": "!"})), "evidence.symmetricKey"),
        (device(json!({"certificateChain": []})), "evidence.certificateChain is empty"),
        (device(json!({"certificateChain": ["nonsense!"]})), "evidence.certificateChain[0]"),
        (device(json!({"certificateChain": [7]})), "evidence.certificateChain[0] must be a text"),
        (device(json!({"certificateChain": vec!["x"; 11]})), "has 11 items"),
        (device(json!({"tpm": {}})), "evidence.tpm.endorsementKey is required"),
        (device(json!({"tpm": {"ek": "x"}})), "evidence.tpm has no member \"ek\""),
        (device(json!({"sasToken": "x".repeat(5_000)})), "evidence.sasToken is longer"),
        (json!({"registrationId": "a", "clientAddress": "host"}), "clientAddress must be an IP address"),
        (json!({"registrationId": "a", "protocol": "coap"}), "protocol must be Http or Mqtt"),
        (json!({"registrationId": "a", "askWebhook": "yes"}), "askWebhook must be true or false"),
        (
            json!({"registrationId": "a", "proposed": {"enrollment": {}}}),
            "proposed has no member \"enrollment\"",
        ),
        (
            json!({"registrationId": "a", "proposed": {"individualEnrollment": {}, "enrollmentGroup": {}}}),
            "one of them",
        ),
        (
            json!({"registrationId": "a", "proposed": {"enrollmentGroup": {"attestation": {"type": 7}}}}),
            "proposed.enrollmentGroup.attestation.type",
        ),
        (
            json!({"registrationId": "a", "proposed": {"enrollmentGroup": {"attestation": keys(1)}}}),
            "enrollmentGroupId of the proposed enrollment group is required",
        ),
        (json!({}), "registrationId is required"),
    ] {
        let (status, _, message) = bed.call(rehearse(&body)).await.refusal();
        assert!(status == 400 && message.contains(said), "{said}: {status} {message}");
    }
    let path = format!("{DEFAULT}/providers/Muster.Diagnosis/rehearsals?api-version=2022-02-05");
    let (status, _, message) = bed.call(rehearse(&json!({})).uri(&path)).await.refusal();
    assert!(status == 400 && message.contains("2026-11-01"), "{message}");
    let path = path.replace("/dps/", "/other/").replace("2022-02-05", "2026-11-01");
    assert_eq!(bed.call(rehearse(&json!({})).uri(&path)).await.status, 404);
}
