//! The service REST as service clients see it.

use bytes::Bytes;
use dps_attestation::SasToken;
use dps_devhub::POLICY;
use dps_device_api::foreign::HttpFront;
use dps_model::Secret;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use crate::fixture::{Answer, HUB, OTHER, World};

fn failed(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.header("iothub-errorcode")), (status, code), "{answer:?}");
    let message = answer.body["Message"].as_str().unwrap();
    assert!(message.starts_with(&format!("ErrorCode:{code};")), "{message}");
    let exception = answer.body["ExceptionMessage"].as_str().unwrap();
    assert!(exception.starts_with("Tracking ID:"), "{exception}");
}

fn request(host: &str, authorization: Option<String>, call: &str) -> Request<Full<Bytes>> {
    let (method, path) = call.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(path).header("host", host);
    if let Some(text) = authorization {
        request = request.header("authorization", text);
    }
    request.body(Full::default()).unwrap()
}

#[tokio::test]
async fn front_claims_its_prefixes_by_segment() {
    let world = World::new();
    for path in ["/devices", "/devices/x", "/twins/x/methods", "/jobs/1", "/statistics/devices", "/jobs/"] {
        assert!(world.hubs.claims_http("any", path), "{path}");
    }
    for path in ["/", "", "/devicesx", "/0ne/registrations/x", "/enrollments/devices", "//devices"] {
        assert!(!world.hubs.claims_http("any", path), "{path}");
    }
}

#[tokio::test]
async fn authorization_wrong_or_missing_refused_in_hub_style() {
    let world = World::new();
    let soon = 1_700_003_600;
    let bad = [
        None,
        Some("Bearer x".into()),
        Some(SasToken::sign(HUB, &Secret::new(vec![8; 32]), soon, Some(POLICY))),
        Some(SasToken::sign(HUB, &world.key, soon - 7200, Some(POLICY))),
        Some(SasToken::sign("elsewhere", &world.key, soon, Some(POLICY))),
        Some(SasToken::sign(HUB, &world.key, soon, Some("device"))),
    ];
    for authorization in bad {
        let answer = world.raw(request(HUB, authorization, "GET /devices/d1")).await;
        failed(&answer, 401, "IotHubUnauthorizedAccess");
    }
    for resource in [HUB, "HUB.local", "hub.local:8443", "127.0.0.1:8443"] {
        let authorization = Some(SasToken::sign(resource, &world.key, soon, Some(POLICY)));
        let answer = world.raw(request("127.0.0.1:8443", authorization, "GET /devices")).await;
        assert_eq!(answer.status, 200, "{resource}");
    }
}

#[tokio::test]
async fn host_names_the_hub_and_an_unknown_one_is_the_first() {
    let world = World::new();
    world.device("d1").await;
    for (host, status) in [(HUB, 200), ("HUB.LOCAL:8443", 200), ("nobody", 200), (OTHER, 404)] {
        let answer = world.raw(request(host, Some(world.token(host)), "GET /devices/d1")).await;
        assert_eq!(answer.status, status, "{host}");
    }
}

#[tokio::test]
async fn device_created_with_empty_keys_gets_some_and_keeps_them() {
    let world = World::new();
    let body = json!({"deviceId": "d1", "authentication": {
        "type": "sas", "symmetricKey": {"primaryKey": "", "secondaryKey": ""}}});
    let created = world.call("PUT /devices/d1", &[], body.clone()).await;
    assert_eq!(created.status, 200);
    let key = created.body["authentication"]["symmetricKey"]["primaryKey"].clone();
    assert_eq!(key.as_str().unwrap().len(), 44);
    assert_ne!(key, created.body["authentication"]["symmetricKey"]["secondaryKey"]);
    assert_eq!(created.header("etag"), format!("\"{}\"", created.body["etag"].as_str().unwrap()));
    let updated = world.call("PUT /devices/d1", &[("if-match", "*")], body).await;
    assert_eq!(updated.body["authentication"]["symmetricKey"]["primaryKey"], key);
}

#[tokio::test]
async fn device_shown_has_the_members_that_clients_read() {
    let world = World::new();
    let device = world.device("d1").await.body;
    for member in [
        "deviceId",
        "generationId",
        "etag",
        "connectionState",
        "status",
        "statusReason",
        "connectionStateUpdatedTime",
        "statusUpdatedTime",
        "lastActivityTime",
        "cloudToDeviceMessageCount",
        "authentication",
        "capabilities",
    ] {
        assert!(device.get(member).is_some(), "{member}");
    }
    assert_eq!(device["connectionState"], "Disconnected");
    assert_eq!(device["lastActivityTime"], "0001-01-01T00:00:00");
    let listed = world.call("GET /devices", &[], None).await;
    assert_eq!(listed.body, json!([device]));
}

#[tokio::test]
async fn device_if_match_rules_hold() {
    let world = World::new();
    let created = world.device("d1").await;
    let etag = created.header("etag").to_owned();
    let body = |status: &str| json!({"deviceId": "d1", "status": status});
    failed(&world.call("PUT /devices/d1", &[], body("enabled")).await, 409, "DeviceAlreadyExists");
    let stale = [("if-match", "\"c3RhbGU=\"")];
    failed(&world.call("PUT /devices/d1", &stale, body("disabled")).await, 412, "PreconditionFailed");
    failed(&world.call("PUT /devices/d2", &[("if-match", "\"*\"")], json!({})).await, 404, "DeviceNotFound");
    let updated = world.call("PUT /devices/d1", &[("if-match", &etag)], body("disabled")).await;
    assert_eq!((updated.status, &updated.body["status"]), (200, &json!("disabled")));
    assert_eq!(updated.body["generationId"], created.body["generationId"]);
    assert_ne!(updated.header("etag"), etag);
    failed(&world.call("DELETE /devices/d1", &[("if-match", &etag)], None).await, 412, "PreconditionFailed");
    assert_eq!(world.call("DELETE /devices/d1", &[("if-match", "*")], None).await.status, 204);
    failed(&world.call("DELETE /devices/d1", &[], None).await, 404, "DeviceNotFound");
    failed(&world.call("GET /devices/d1", &[], None).await, 404, "DeviceNotFound");
}

#[tokio::test]
async fn device_updated_without_a_word_on_authentication_keeps_it() {
    let world = World::new();
    let x509 = json!({"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": "ab".repeat(32)}});
    world.call("PUT /devices/d1", &[], json!({"authentication": x509})).await;
    let any = [("if-match", "*")];
    let updated = world.call("PUT /devices/d1", &any, json!({"statusReason": "fine"})).await;
    assert_eq!(updated.body["authentication"]["x509Thumbprint"]["primaryThumbprint"], "AB".repeat(32));
    let keyed = world.call("PUT /devices/d1", &any, json!({"authentication": {"type": "sas"}})).await;
    assert_eq!(keyed.body["authentication"]["type"], "sas");
    assert!(keyed.body["authentication"]["symmetricKey"]["primaryKey"].is_string());
}

#[tokio::test]
async fn device_bad_input_refused_by_name() {
    let world = World::new();
    let auth = |value: Value| json!({"deviceId": "d1", "authentication": value});
    for body in [
        json!([]),
        json!({"deviceId": "d2"}),
        json!({"deviceId": "d1", "status": "asleep"}),
        json!({"deviceId": "d1", "statusReason": "x".repeat(129)}),
        auth(json!({"type": "magic"})),
        auth(json!({"type": "selfSigned"})),
        auth(json!({"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": "xyz"}})),
        auth(json!({"symmetricKey": {"primaryKey": "not base64", "secondaryKey": "AAAA"}})),
        auth(json!({"symmetricKey": {"primaryKey": "AAAA", "secondaryKey": "AAAA"}})),
        auth(json!({"symmetricKey": {"primaryKey": "AQEBAQEBAQEBAQEBAQEBAQ=="}})),
    ] {
        let answer = world.call("PUT /devices/d1", &[], body.clone()).await;
        failed(&answer, 400, "ArgumentInvalid");
    }
    failed(&world.call("PUT /devices/a%20b", &[], json!({})).await, 400, "ArgumentInvalid");
    failed(&world.call("PUT /devices/%ff", &[], json!({})).await, 400, "ArgumentInvalid");
    failed(&world.call("GET /devices/d1", &[], None).await, 404, "DeviceNotFound");
}

#[tokio::test]
async fn routes_unknown_or_misused_answered_cleanly() {
    let world = World::new();
    for call in
        ["POST /jobs/create", "GET /jobs/1", "GET /devices/d1/modules", "GET /statistics/x", "GET /twins"]
    {
        failed(&world.call(call, &[], None).await, 404, "RouteNotFound");
    }
    let answer = world.call("PATCH /devices/d1", &[], None).await;
    failed(&answer, 405, "MethodNotAllowed");
    assert_eq!(answer.header("allow"), "GET, PUT, DELETE");
    let large = Request::builder()
        .method("POST")
        .uri("/devices")
        .header("host", HUB)
        .header("authorization", world.token(HUB))
        .body(Full::new(Bytes::from(vec![b' '; 600 * 1024])))
        .unwrap();
    failed(&world.raw(large).await, 413, "MessageTooLarge");
    assert!(world.hubs.claims_http(HUB, "/Devices/d1"));
    world.device("d1").await;
    assert_eq!(world.call("GET /TWINS/d1", &[], None).await.status, 200);
    failed(&world.call("POST /devices", &[], None).await, 400, "ArgumentInvalid");
}

#[tokio::test]
async fn twin_patch_merges_and_put_replaces() {
    let world = World::new();
    world.device("d1").await;
    let patch = json!({"tags": {"a": 1, "b": {"c": 1}}, "properties": {"desired": {"x": 1, "y": 2}}});
    let first = world.call("PATCH /twins/d1", &[("if-match", "\"*\"")], patch).await;
    assert_eq!(first.status, 200);
    assert_eq!(first.body["properties"]["desired"]["$version"], 2);
    assert!(first.body["properties"]["desired"]["$metadata"]["x"]["$lastUpdated"].is_string());
    let patch = json!({"tags": {"a": null}, "properties": {"desired": {"y": null}, "reported": {"r": 1}}});
    let etag = first.header("etag").to_owned();
    let second = world.call("PATCH /twins/d1", &[("if-match", &etag)], patch.clone()).await;
    assert_eq!(second.body["tags"], json!({"b": {"c": 1}}));
    assert_eq!(second.body["properties"]["reported"].get("r"), None);
    failed(&world.call("PATCH /twins/d1", &[("if-match", &etag)], patch).await, 412, "PreconditionFailed");
    let put = world.call("PUT /twins/d1", &[], json!({"properties": {"desired": {"z": 1}}})).await;
    assert_eq!(put.body["tags"], json!({}));
    let desired = &put.body["properties"]["desired"];
    assert_eq!((&desired["z"], desired.get("x"), &desired["$version"]), (&json!(1), None, &json!(4)));
    failed(&world.call("GET /twins/nobody", &[], None).await, 404, "DeviceNotFound");
    failed(&world.call("PATCH /twins/d1", &[], json!({"tags": {"a.b": 1}})).await, 400, "ArgumentInvalid");
    let kept = world.call("GET /twins/d1", &[], None).await;
    assert_eq!(kept.body["etag"], put.body["etag"]);
}

#[tokio::test]
async fn query_pages_through_and_filters() {
    let world = World::new();
    for n in 0..5 {
        world.device(&format!("d{n}")).await;
    }
    world.call("PATCH /twins/d3", &[], json!({"tags": {"site": "a"}})).await;
    let all = json!({"query": "SELECT * FROM devices"});
    let (mut found, mut continuation) = (Vec::new(), String::new());
    loop {
        let headers = [("x-ms-max-item-count", "2"), ("x-ms-continuation", continuation.as_str())];
        let page = world.call("POST /devices/query", &headers, all.clone()).await;
        assert_eq!(page.header("x-ms-item-type"), "Twin");
        let rows = page.body.as_array().unwrap();
        assert!(rows.len() <= 2);
        found.extend(rows.iter().map(|twin| twin["deviceId"].as_str().unwrap().to_owned()));
        continuation = page.header("x-ms-continuation").to_owned();
        if continuation.is_empty() {
            break;
        }
    }
    assert_eq!(found, ["d0", "d1", "d2", "d3", "d4"]);
    let one = json!({"query": "SELECT * FROM devices WHERE tags.site = 'a'"});
    let page = world.call("POST /devices/query", &[], one).await;
    assert_eq!(page.body[0]["deviceId"], "d3");
    assert_eq!(page.body.as_array().unwrap().len(), 1);
    let beyond = json!({"query": "SELECT * FROM devices.jobs"});
    failed(&world.call("POST /devices/query", &[], beyond).await, 400, "ArgumentInvalid");
    assert_eq!(world.call("GET /devices", &[], None).await.body.as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn query_page_of_large_twins_ends_early_and_goes_on() {
    let world = World::new();
    let many: serde_json::Map<String, Value> = (0..2000).map(|n| (format!("key{n:04}"), json!(n))).collect();
    for n in 0..30 {
        world.device(&format!("d{n:02}")).await;
        let patch = json!({"properties": {"desired": many}});
        assert_eq!(world.call(&format!("PATCH /twins/d{n:02}"), &[], patch).await.status, 200);
    }
    let all = json!({"query": "SELECT * FROM devices"});
    let first = world.call("POST /devices/query", &[], all.clone()).await;
    let continuation = first.header("x-ms-continuation").to_owned();
    let rest = world.call("POST /devices/query", &[("x-ms-continuation", &continuation)], all).await;
    let (first, rest) = (first.body.as_array().unwrap().len(), rest.body.as_array().unwrap().len());
    assert!(first < 30, "{first}");
    assert_eq!(first + rest, 30);
}

#[tokio::test]
async fn list_top_bounds_the_answer() {
    let world = World::new();
    for n in 0..70 {
        world.device(&format!("d{n:02}")).await;
    }
    let token = Some(world.token(HUB));
    let most = world.raw(request(HUB, token.clone(), "GET /devices?top=69")).await;
    assert_eq!(most.body.as_array().unwrap().len(), 69);
    assert_eq!(most.body[68]["deviceId"], "d68");
    let all = world.call("GET /devices", &[], None).await;
    assert_eq!(all.body.as_array().unwrap().len(), 70);
    let two = world.raw(request(HUB, token.clone(), "GET /devices?top=2&api-version=2021-04-12")).await;
    assert_eq!(two.body.as_array().unwrap().len(), 2);
    for top in ["0", "x", "1001", "-1"] {
        let call = format!("GET /devices?top={top}");
        failed(&world.raw(request(HUB, token.clone(), &call)).await, 400, "ArgumentInvalid");
    }
}

#[tokio::test]
async fn bulk_does_each_device_for_itself() {
    let world = World::new();
    world.device("old").await;
    let items = json!([
        {"id": "new", "importMode": "create", "authentication": {"type": "sas"}, "tags": {"a": 1}},
        {"id": "old", "importMode": "create"},
        {"id": "gone", "importMode": "Delete"},
        {"id": "new2", "importMode": "CreateOrUpdate", "status": "Disabled", "authentication": {"type": "Sas"}},
        {"id": "old", "importMode": "updateTwin", "properties": {"desired": {"x": 1}}},
        {"id": "old", "importMode": "updateIfMatchETag", "eTag": "c3RhbGU="},
        {"id": "m", "moduleId": "m1", "importMode": "create"},
        {"id": "x", "importMode": "explode"},
        7
    ]);
    let answer = world.call("POST /devices", &[], items).await;
    assert_eq!((answer.status, &answer.body["isSuccessful"]), (400, &json!(false)));
    let errors: Vec<(&str, &str)> = answer.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| (error["deviceId"].as_str().unwrap(), error["errorCode"].as_str().unwrap()))
        .collect();
    assert_eq!(
        errors,
        [
            ("old", "DeviceAlreadyExists"),
            ("gone", "DeviceNotFound"),
            ("old", "PreconditionFailed"),
            ("m", "ArgumentInvalid"),
            ("x", "ArgumentInvalid"),
            ("", "ArgumentInvalid"),
        ]
    );
    let counts = world.call("GET /statistics/devices", &[], None).await.body;
    assert_eq!(counts, json!({"totalDeviceCount": 3, "enabledDeviceCount": 2, "disabledDeviceCount": 1}));
    assert_eq!(world.call("GET /twins/new", &[], None).await.body["tags"], json!({"a": 1}));
    assert_eq!(world.call("GET /twins/old", &[], None).await.body["properties"]["desired"]["x"], 1);
    let fine = world.call("POST /devices", &[], json!([{"id": "new", "importMode": "delete"}])).await;
    assert_eq!((fine.status, &fine.body["isSuccessful"]), (200, &json!(true)));
    let many: Vec<Value> = (0..101).map(|n| json!({"id": format!("n{n}")})).collect();
    failed(&world.call("POST /devices", &[], Value::from(many)).await, 400, "ArgumentInvalid");
}

#[tokio::test]
async fn registry_survives_its_process() {
    let world = World::new();
    let device = world.device("d1").await.body;
    let twin = world.call("PATCH /twins/d1", &[], json!({"tags": {"a": 1}})).await.body;
    let again = World::on(world.store.clone());
    assert_eq!(again.call("GET /devices/d1", &[], None).await.body, device);
    assert_eq!(again.call("GET /twins/d1", &[], None).await.body, twin);
}

#[tokio::test]
async fn stored_body_holds_no_key() {
    let world = World::new();
    world.device("d1").await;
    let document =
        world.store.get(dps_core::ports::Collection::HubDevices, HUB, "d1").await.unwrap().unwrap();
    assert!(!document.body.contains("AQEBAQ"), "{}", document.body);
    assert!(document.sealed.is_some());
}

#[tokio::test]
async fn refusal_waits_for_its_request_to_end() {
    let world = World::new();
    for (authorization, status) in [(String::new(), 401), (world.token(HUB), 413)] {
        let (seen, end) = tokio::sync::oneshot::channel();
        let body = Full::new(Bytes::from(vec![b' '; 600 * 1024]));
        let body = body.map_err(|never| match never {}).with_trailers(async move {
            let _ = seen.send(());
            None
        });
        let request = Request::builder()
            .method("POST")
            .uri("/devices")
            .header("host", HUB)
            .header("authorization", authorization)
            .body(body.boxed())
            .unwrap();
        assert_eq!(world.hubs.http(request).await.status(), status);
        end.await.expect("the body was read to its end");
    }
}
