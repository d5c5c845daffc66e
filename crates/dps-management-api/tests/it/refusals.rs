//! What is refused, and how ARM's clients read it.

use serde_json::json;

use crate::bed::{Bed, DEFAULT, ask, least, service};

#[tokio::test]
async fn caller_without_the_token_reads_nothing_on_any_route() {
    let bed = Bed::new().await;
    for row in dps_management_api::ROUTES {
        let path = row.path.replace("{subscription}", "S-1").replace("{resourceGroup}", "muster");
        let path = path.replace("{name}", "dps").replace(['{', '}'], "");
        for authorization in ["", "Bearer other", "SharedAccessSignature sr=a&sig=b&se=1&skn=c"] {
            let call = ask(row.method, &path).header("authorization", authorization);
            let reply = bed.call(call).await;
            assert_eq!(reply.status, 401, "{} {path}", row.method);
            assert_eq!(reply.header("www-authenticate"), "Bearer");
        }
    }
    assert!(bed.events().iter().all(|event| event.caller.is_none() && event.outcome.code().is_some()));
}

#[tokio::test]
async fn refusal_names_the_member_in_both_shapes_that_clients_read() {
    let bed = Bed::new().await;
    let mut body = least();
    body["properties"]["ipFilterRules"] =
        json!([{"filterName": "a", "action": "Accept", "ipMask": "a secret"}]);
    let reply = bed.call(ask("PUT", &service("second")).json(&body)).await;
    let shown = reply.json();
    assert_eq!(shown["error"]["target"], "properties.ipFilterRules[0].ipMask");
    assert_eq!((&shown["code"], &shown["httpStatusCode"]), (&json!(400_004), &json!("BadRequest")));
    assert!(shown["details"].as_str().unwrap().contains(reply.header("x-ms-request-id")));
    assert_eq!(bed.events().pop().unwrap().tracking_id.to_string(), reply.header("x-ms-request-id"));
    assert!(bed.instances.by_name("second").is_none());
}

#[tokio::test]
async fn broken_requests_are_refused_by_what_is_wrong() {
    let bed = Bed::new().await;
    let path = service("second");
    let put = |body: &[u8]| ask("PUT", &path).bytes(body);
    let large = vec![b' '; dps_model::limits::MAX_MANAGEMENT_BODY + 1];
    let deep = "[".repeat(10_000);
    for (call, expected) in [
        (put(b""), (400, "InvalidRequestContent")),
        (put(b"{\"location\": s3cr3t"), (400, "InvalidRequestContent")),
        (put(deep.as_bytes()), (400, "InvalidRequestContent")),
        (put(&large), (413, "RequestTooLarge")),
        (put(b"{}").header("content-type", "text/plain"), (415, "UnsupportedMediaType")),
        (put(b"{}"), (400, "BadRequest")),
        (put(b"{}").uri(&path), (400, "InvalidApiVersionParameter")),
        (put(b"{}").uri(&format!("{path}?api-version=2000-01-01")), (400, "InvalidApiVersionParameter")),
        (ask("POST", &path), (405, "MethodNotAllowed")),
        (ask("GET", &format!("{path}/nothing")), (404, "InvalidResourceType")),
        (ask("GET", &format!("{path}/operationresults/x")), (404, "NotFound")),
    ] {
        let uri = call.uri.clone();
        let reply = bed.call(call).await;
        let (status, code, message) = reply.refusal();
        assert_eq!((status, code.as_str()), expected, "{uri}: {message}");
        assert!(!message.contains("s3cr3t"));
        if status == 405 {
            assert_eq!(reply.header("allow"), "PUT, GET, PATCH, DELETE");
        }
    }
    let moved = json!({"location": "eastus"});
    let (status, _, message) = bed.call(ask("PUT", DEFAULT).json(&moved)).await.refusal();
    assert!(status == 400 && message.contains("is in 'local'"), "{message}");
}
