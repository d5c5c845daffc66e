//! Bad requests: each is refused with its own code, and names what to mend.

use dps_model::limits::MAX_BODY;
use dps_service_api::Body;
use http_body_util::BodyExt as _;
use serde_json::json;

use crate::bed::{Bed, ask, whole};

const PATH: &str = "/enrollments/dev-1";

/// A body that never gets to its end.
fn endless() -> Body {
    whole("{").with_trailers(std::future::pending()).boxed()
}

#[tokio::test]
async fn api_version_missing_or_unknown_refused() {
    let bed = Bed::new().await;
    for query in
        ["", "?", "?api-version", "?api-version=", "?api-version=2019-03-32", "?apiversion=2019-03-31"]
    {
        let reply = bed.call(ask("GET", PATH).uri(&format!("{PATH}{query}"))).await;
        assert_eq!(reply.code(), "400001", "{query}");
    }
    for query in
        ["?api-version=2019-03-31", "?x=1&API-Version=2021%2D10%2D01", "?api-version=2025-07-01-PREVIEW"]
    {
        let reply = bed.call(ask("GET", PATH).uri(&format!("{PATH}{query}"))).await;
        assert_eq!(reply.code(), "404201", "{query}");
    }
}

#[tokio::test]
async fn method_that_a_path_lacks_names_those_it_has() {
    let bed = Bed::new().await;
    for (method, path, allow) in [
        ("PATCH", "/enrollments/a", "GET, PUT, DELETE"),
        ("GET", "/enrollmentGroups/a/attestationmechanism", "POST"),
        ("PUT", "/registrations/a", "GET, DELETE"),
    ] {
        let reply = bed.call(ask(method, path)).await;
        assert_eq!((reply.code().as_str(), reply.header("allow")), ("405000", Some(allow)));
    }
}

#[tokio::test]
async fn media_type_other_than_json_refused() {
    let bed = Bed::new().await;
    for kind in
        ["", "text/plain", "application/jsonx", "application/x-www-form-urlencoded", ";application/json"]
    {
        assert_eq!(bed.call(ask("PUT", PATH).text(kind, "{}")).await.code(), "415000", "{kind}");
    }
    let body = json!({ "attestation": { "type": "symmetricKey" } }).to_string();
    let kind = "Application/JSON ;charset=utf-8";
    assert_eq!(bed.call(ask("PUT", PATH).text(kind, body)).await.code(), "200");
}

#[tokio::test]
async fn body_that_is_no_enrollment_named_with_its_place() {
    let bed = Bed::new().await;
    for (body, message) in [
        ("", "The request body is empty; JSON is expected."),
        ("{", "EOF while parsing an object at line 1 column 1"),
        (
            "{\n\"attestation\": {\"type\": {}}}",
            "attestation.type: an object stands where a string is expected at line 2 column 24",
        ),
    ] {
        let reply = bed.call(ask("PUT", PATH).text("application/json", body)).await;
        assert_eq!((reply.code().as_str(), &reply.json()["message"]), ("400006", &message.into()));
    }
    assert_eq!(bed.call(ask("PUT", PATH).json(&json!({}))).await.code(), "400004");
}

#[tokio::test(start_paused = true)]
async fn body_larger_than_a_message_refused_announced_or_not() {
    let bed = Bed::new().await;
    let body = |length: usize| " ".repeat(length - 2) + "{}";
    let put = |length| ask("PUT", PATH).text("application/json", body(length));
    assert_eq!(bed.call(put(MAX_BODY)).await.code(), "400004", "read, and lacks its attestation");
    assert_eq!(bed.call(put(MAX_BODY + 1)).await.code(), "413000");
    for length in ["98305", "99999999999"] {
        let announced = ask("POST", "/enrollments/a/attestationmechanism").header("content-length", length);
        assert_eq!(bed.call(announced.body(endless())).await.code(), "413000", "{length}");
    }
}

#[tokio::test]
async fn refusal_waits_for_its_request_to_end() {
    let bed = Bed::new().await;
    let large = || whole(" ".repeat(3 * MAX_BODY));
    for (ask, code) in [
        (ask("PUT", PATH).header("content-type", "application/json"), "413000"),
        (ask("PUT", PATH).without("authorization"), "401000"),
        (ask("GET", "/enrollments/a/b"), "404000"),
    ] {
        let (seen, end) = tokio::sync::oneshot::channel();
        let body = large().with_trailers(async move {
            let _ = seen.send(());
            None
        });
        assert_eq!(bed.call(ask.body(body.boxed())).await.code(), code);
        end.await.expect("the body was read to its end");
    }
}

#[tokio::test(start_paused = true)]
async fn body_that_never_arrives_given_up() {
    let bed = Bed::new().await;
    let reply = bed.call(ask("PUT", PATH).text("application/json", "").body(endless())).await;
    assert_eq!(reply.code(), "400006");
    assert_eq!(reply.json()["message"], "The request body did not arrive in time.");
}

#[tokio::test]
async fn body_that_breaks_off_refused() {
    let bed = Bed::new().await;
    let broken = whole("{")
        .map_err(|_| "the peer went away".into())
        .with_trailers(async { Some(Err("the peer went away".into())) });
    let reply = bed.call(ask("PUT", PATH).text("application/json", "").body(broken.boxed())).await;
    assert_eq!(
        (reply.code().as_str(), &reply.json()["message"]),
        ("400006", &"The request body ended early.".into())
    );
}

#[tokio::test]
async fn id_with_illegal_characters_named_by_position() {
    let bed = Bed::new().await;
    for (path, part) in [
        ("/enrollments/a%2Fb", "'/' at position 2"),
        ("/enrollmentGroups/a%20b", "' ' at position 2"),
        ("/registrations/%00", "position 1"),
        ("/enrollments/%FF", "percent-encoded UTF-8"),
    ] {
        let reply = bed.call(ask("GET", path)).await;
        assert_eq!(reply.code(), "400004", "{path}");
        assert!(reply.json()["message"].as_str().unwrap().contains(part), "{}", reply.text);
    }
    let long = format!("/enrollments/{}", "a".repeat(129));
    assert_eq!(bed.call(ask("GET", &long)).await.code(), "400004");
}
