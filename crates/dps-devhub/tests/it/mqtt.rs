//! Devices at the hub over MQTT.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use dps_device_api::foreign::ForeignFront;
use dps_wire::mqtt::packet::{ConnectReturnCode, Packet};
use serde_json::{Value, json};

use crate::fixture::{HUB, Hello, World};

const TWIN: [&str; 2] = ["$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#"];
const METHODS: [&str; 1] = ["$iothub/methods/POST/#"];

async fn code(world: &World, hello: Hello<'_>) -> ConnectReturnCode {
    world.connect(hello).await.0
}

#[tokio::test]
async fn front_claims_user_names_of_its_hubs() {
    let world = World::new();
    for name in ["hub.local/d/?api-version=x", "HUB.local/registrations/x", "other.local/d"] {
        assert!(world.hubs.claims_mqtt(name), "{name}");
    }
    for name in ["0ne00ABC/registrations/x/api-version=2019-03-31", "hub.local", "", "hub.localx/d"] {
        assert!(!world.hubs.claims_mqtt(name), "{name}");
    }
}

#[tokio::test]
async fn connect_either_key_in_any_spelling_accepted() {
    let world = World::new();
    world.device("d1").await;
    let tokens = [
        world.device_token("d1", 1, 60),
        world.device_token("d1", 2, 60),
        world.device_token("d1", 1, -200),
        dps_attestation::SasToken::sign(
            "HUB.local/devices/d1",
            &dps_model::Secret::new(vec![1; 32]),
            1_700_000_060,
            None,
        ),
        world.token(HUB),
    ];
    for token in tokens {
        let hello = Hello { id: "d1", password: Some(token), ..Hello::default() };
        assert_eq!(code(&world, hello).await, ConnectReturnCode::Accepted);
    }
    let user = Some("hub.local/d1");
    let hello = Hello { id: "d1", user, password: Some(world.device_token("d1", 1, 60)), ..Hello::default() };
    assert_eq!(code(&world, hello).await, ConnectReturnCode::Accepted);
    assert!(world.refusals().is_empty());
}

#[tokio::test]
async fn connect_refused_is_code_5_and_one_record() {
    let world = World::new();
    world.device("d1").await;
    world.device("d2").await;
    world.call("PUT /devices/off", &[], json!({"status": "disabled"})).await;
    world.call("PUT /devices/ca", &[], json!({"authentication": {"type": "certificateAuthority"}})).await;
    let token = |id: &str, key, lifetime| Some(world.device_token(id, key, lifetime));
    let cases: [(Hello<'_>, &str); 10] = [
        (Hello { id: "d1", password: token("d1", 9, 60), ..Hello::default() }, "SasSignatureMismatch"),
        (Hello { id: "d1", password: token("d1", 1, -400), ..Hello::default() }, "SasExpired"),
        (Hello { id: "d1", password: token("d2", 1, 60), ..Hello::default() }, "sr is not"),
        (Hello { id: "nobody", password: token("nobody", 1, 60), ..Hello::default() }, "no such device"),
        (Hello { id: "off", password: token("off", 1, 60), ..Hello::default() }, "disabled"),
        (Hello { id: "d1", ..Hello::default() }, "no token"),
        (Hello { id: "d1", password: Some("nonsense".into()), ..Hello::default() }, "cannot be read"),
        (
            Hello { id: "d1", client_id: Some("d2"), password: token("d1", 1, 60), ..Hello::default() },
            "client id",
        ),
        (
            Hello {
                id: "d1",
                user: Some("hub.local/d1/m1/?api-version=2021-04-12"),
                password: token("d1", 1, 60),
                ..Hello::default()
            },
            "modules",
        ),
        (Hello { id: "ca", leaf: Some(b"leaf"), ..Hello::default() }, "certificateAuthority"),
    ];
    for (hello, reason) in cases {
        let (code, mut client) = world.connect(hello).await;
        assert_eq!(code, ConnectReturnCode::NotAuthorized, "{reason}");
        assert_eq!(client.receive().await, None);
        let reasons = world.refusals();
        assert!(matches!(reasons.as_slice(), [one] if one.contains(reason)), "{reason}: {reasons:?}");
    }
    let user = Some("nowhere.local/d1/?api-version=2021-04-12");
    let hello = Hello { id: "d1", user, password: token("d1", 1, 60), ..Hello::default() };
    assert_eq!(code(&world, hello).await, ConnectReturnCode::ServerUnavailable);
}

#[tokio::test]
async fn connection_is_recorded_with_its_device_taken_or_refused() {
    let world = World::new();
    world.device("d1").await;
    let token = || Some(world.device_token("d1", 1, 60));
    code(&world, Hello { id: "d1", password: token(), ..Hello::default() }).await;
    let user = Some("HUB.local/d1/m1/?api-version=2021-04-12");
    code(&world, Hello { id: "d1", user, password: token(), ..Hello::default() }).await;
    let recorded = world.recorded();
    let [(taken, None), (refused, Some(why))] = recorded.as_slice() else { panic!("{recorded:?}") };
    assert_eq!((&*taken.hub, &*taken.device_id, taken.module_id.as_deref()), (HUB, "d1", None));
    assert_eq!((&*refused.hub, &*refused.device_id, refused.module_id.as_deref()), (HUB, "d1", Some("m1")));
    assert!(why.contains("modules"), "{why}");
}

#[tokio::test]
async fn connect_certificate_known_by_either_thumbprint() {
    let world = World::new();
    let (one, two) = (b"certificate one", b"certificate two");
    let authentication = json!({"type": "selfSigned", "x509Thumbprint": {
        "primaryThumbprint": hex::encode(digest(&SHA256, one)),
        "secondaryThumbprint": hex::encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, two))}});
    let made = world.call("PUT /devices/x", &[], json!({"authentication": authentication})).await;
    assert_eq!(made.status, 200);
    for (leaf, expected) in [
        (Some(one.as_slice()), ConnectReturnCode::Accepted),
        (Some(two.as_slice()), ConnectReturnCode::Accepted),
        (Some(b"another".as_slice()), ConnectReturnCode::NotAuthorized),
        (None, ConnectReturnCode::NotAuthorized),
    ] {
        assert_eq!(code(&world, Hello { id: "x", leaf, ..Hello::default() }).await, expected);
    }
    let password = Some(world.device_token("x", 1, 60));
    let hello = Hello { id: "x", leaf: Some(one), password, ..Hello::default() };
    assert_eq!(code(&world, hello).await, ConnectReturnCode::NotAuthorized);
}

#[tokio::test]
async fn telemetry_is_kept_and_told() {
    let world = World::new();
    world.device("d1").await;
    let mut client = world.connected("d1").await;
    client.tell("devices/d1/messages/events/%24.ct=application%2Fjson&a%20b=c%2Fd", "{\"t\":1}").await;
    client.tell("devices/d1/messages/events/", "2").await;
    let hub = dps_model::HubName::parse(HUB).unwrap();
    let kept = world.hubs.telemetry(&hub);
    assert_eq!(kept.len(), 2);
    assert_eq!(kept[0].payload.as_ref(), b"{\"t\":1}");
    let properties =
        [("$.ct", "application/json"), ("a b", "c/d")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(kept[0].properties, properties);
    assert_eq!(world.telemetry().len(), 2);
    let shown = world.call("GET /devices/d1", &[], None).await.body;
    assert_eq!(shown["connectionState"], "Connected");
    assert_eq!(shown["lastActivityTime"], "2023-11-14T22:13:20.0000000Z");
    let counts = world.call("GET /statistics/service", &[], None).await.body;
    assert_eq!(counts, json!({"connectedDeviceCount": 1}));
    client.send(&Packet::Disconnect).await;
    assert_eq!(client.receive().await, None);
}

#[tokio::test]
async fn telemetry_in_anothers_name_ends_the_connection() {
    let world = World::new();
    world.device("d1").await;
    for topic in ["devices/d2/messages/events/", "devices/d1/modules/m/messages/events/", "nonsense"] {
        let mut client = world.connected("d1").await;
        client.publish(topic, "x").await;
        assert_eq!(client.receive().await, None, "{topic}");
    }
    assert!(world.telemetry().is_empty());
}

#[tokio::test]
async fn twin_get_report_and_desired_travel() {
    let world = World::new();
    world.device("d1").await;
    world.call("PATCH /twins/d1", &[], json!({"properties": {"desired": {"a": 1}}})).await;
    let mut client = world.connected("d1").await;
    assert_eq!(client.subscribe(&TWIN).await, [true, true]);
    client.tell("$iothub/twin/GET/?$rid=1", " ").await;
    let (topic, body) = client.message().await;
    assert_eq!(topic, "$iothub/twin/res/200/?$rid=1");
    let expected = json!({"desired": {"a": 1, "$version": 2}, "reported": {"$version": 1}});
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);

    client.tell("$iothub/twin/PATCH/properties/reported/?$rid=r-2", "{\"temperature\": 20}").await;
    let (topic, body) = client.message().await;
    assert_eq!((topic.as_str(), body.len()), ("$iothub/twin/res/204/?$rid=r-2&$version=2", 0));
    let twin = world.call("GET /twins/d1", &[], None).await.body;
    assert_eq!(twin["properties"]["reported"]["temperature"], 20);

    for bad in ["[1]", "{", "{\"a.b\": 1}"] {
        client.tell("$iothub/twin/PATCH/properties/reported/?$rid=3", bad).await;
        assert_eq!(client.message().await.0, "$iothub/twin/res/400/?$rid=3");
    }

    world.call("PATCH /twins/d1", &[], json!({"properties": {"desired": {"a": null, "b": 2}}})).await;
    let (topic, body) = client.message().await;
    assert_eq!(topic, "$iothub/twin/PATCH/properties/desired/?$version=3");
    let told: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(told, json!({"a": null, "b": 2, "$version": 3}));
    world.call("PATCH /twins/d1", &[], json!({"tags": {"t": 1}})).await;
    world.call("PUT /twins/d1", &[], json!({"properties": {"desired": {"c": 3}}})).await;
    let (_, body) = client.message().await;
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), json!({"c": 3, "$version": 4}));
}

#[tokio::test]
async fn subscribe_foreign_filters_refused() {
    let world = World::new();
    world.device("d1").await;
    let mut client = world.connected("d1").await;
    let filters = [
        "devices/d1/messages/devicebound/#",
        "devices/d2/messages/devicebound/#",
        "#",
        "$iothub/methods/POST/#",
    ];
    assert_eq!(client.subscribe(&filters).await, [true, false, false, true]);
}

#[tokio::test]
async fn message_from_the_cloud_reaches_who_listens() {
    let world = World::new();
    world.device("d1").await;
    let path = "POST /devices/d1/messages/deviceBound";
    let headers = [("iothub-messageid", "m1"), ("iothub-app-colour", "blue")];
    assert_eq!(world.call(path, &headers, json!("hello")).await.status, 404);
    let mut client = world.connected("d1").await;
    assert_eq!(world.call(path, &headers, json!("hello")).await.status, 404);
    client.subscribe(&["devices/d1/messages/devicebound/#"]).await;
    assert_eq!(world.call(path, &headers, json!("hello")).await.status, 204);
    let (topic, body) = client.message().await;
    assert!(topic.starts_with("devices/d1/messages/devicebound/%24.to=%2Fdevices%2Fd1"), "{topic}");
    assert!(topic.contains("%24.mid=m1") && topic.contains("colour=blue"), "{topic}");
    assert_eq!(body.as_ref(), b"\"hello\"");
}

#[tokio::test]
async fn method_is_answered_by_the_device() {
    let world = World::new();
    world.device("d1").await;
    let mut client = world.connected("d1").await;
    client.subscribe(&METHODS).await;
    let body = json!({"methodName": "reboot", "payload": {"in": 5}, "responseTimeoutInSeconds": 30});
    let device = async {
        let (topic, payload) = client.message().await;
        let rid = topic.strip_prefix("$iothub/methods/POST/reboot/?$rid=").unwrap().to_owned();
        assert_eq!(payload.as_ref(), b"{\"in\":5}");
        client.tell("$iothub/methods/res/200/?$rid=unknown", "1").await;
        client.tell(&format!("$iothub/methods/res/207/?$rid={rid}"), "{\"done\":true}").await;
    };
    let (answer, ()) = tokio::join!(world.call("POST /twins/d1/methods", &[], body), device);
    assert_eq!(answer.body, json!({"status": 207, "payload": {"done": true}}));
}

#[tokio::test(start_paused = true)]
async fn method_without_a_device_or_an_answer_times_out() {
    let world = World::new();
    world.device("d1").await;
    let path = "POST /twins/d1/methods";
    let offline = world.call(path, &[], json!({"methodName": "m"})).await;
    assert_eq!((offline.status, offline.header("iothub-errorcode")), (404, "DeviceNotOnline"));
    let offline = world.call(path, &[], json!({"methodName": "m", "connectTimeoutInSeconds": 20})).await;
    assert_eq!(offline.header("iothub-errorcode"), "DeviceNotOnline");
    let mut client = world.connected("d1").await;
    let deaf = world.call(path, &[], json!({"methodName": "m"})).await;
    assert_eq!(deaf.header("iothub-errorcode"), "DeviceNotOnline");
    client.subscribe(&METHODS).await;
    let silent = world.call(path, &[], json!({"methodName": "m", "responseTimeoutInSeconds": 5})).await;
    assert_eq!((silent.status, silent.header("iothub-errorcode")), (504, "GatewayTimeout"));
    for body in [
        json!({}),
        json!({"methodName": "a/b"}),
        json!({"methodName": "m", "responseTimeoutInSeconds": 4}),
        json!({"methodName": "m", "connectTimeoutInSeconds": 301}),
    ] {
        assert_eq!(world.call(path, &[], body).await.status, 400);
    }
    assert_eq!(world.call("POST /twins/nobody/methods", &[], json!({"methodName": "m"})).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn method_waits_for_the_device_to_come() {
    let world = World::new();
    world.device("d1").await;
    let body = json!({"methodName": "m", "connectTimeoutInSeconds": 60});
    let device = async {
        tokio::time::advance(std::time::Duration::from_secs(30)).await;
        let mut client = world.connected("d1").await;
        client.subscribe(&METHODS).await;
        let (topic, _) = client.message().await;
        let rid = topic.rsplit('=').next().unwrap().to_owned();
        client.tell(&format!("$iothub/methods/res/200/?$rid={rid}"), "").await;
    };
    let (answer, ()) = tokio::join!(world.call("POST /twins/d1/methods", &[], body), device);
    assert_eq!(answer.body, json!({"status": 200, "payload": null}));
}

#[tokio::test]
async fn second_connection_takes_the_place_of_the_first() {
    let world = World::new();
    world.device("d1").await;
    let mut first = world.connected("d1").await;
    let mut second = world.connected("d1").await;
    assert_eq!(first.receive().await, None);
    second.tell("devices/d1/messages/events/", "still here").await;
    assert_eq!(world.call("GET /devices/d1", &[], None).await.body["connectionState"], "Connected");
    second.send(&Packet::Disconnect).await;
    assert_eq!(second.receive().await, None);
    assert_eq!(world.call("GET /devices/d1", &[], None).await.body["connectionState"], "Disconnected");
    let ends: Vec<bool> = world.connections().into_iter().map(|(_, connected)| connected).collect();
    assert_eq!(ends.iter().filter(|connected| **connected).count(), 2);
}

#[tokio::test]
async fn device_unwelcome_loses_its_connection() {
    let world = World::new();
    let changes = [
        ("DELETE /devices/d1", None),
        ("PUT /devices/d1", Some(json!({"status": "disabled"}))),
        ("PUT /devices/d1", Some(json!({"authentication": {"type": "none"}}))),
    ];
    for (change, body) in changes {
        world.call("DELETE /devices/d1", &[], None).await;
        world.device("d1").await;
        let mut client = world.connected("d1").await;
        assert!(world.call(change, &[("if-match", "*")], body).await.status < 300, "{change}");
        assert_eq!(client.receive().await, None, "{change}");
    }
}

#[tokio::test]
async fn garbage_ends_one_connection_and_no_other() {
    let world = World::new();
    world.device("d1").await;
    world.device("d2").await;
    let mut good = world.connected("d2").await;
    for garbage in
        [&[0xff, 0xff, 0xff, 0xff, 0xff][..], &[0x30, 0xff, 0xff, 0xff, 0x7f], &[0x10, 0], &[0x36, 2, 0, 0]]
    {
        let mut bad = world.connected("d1").await;
        bad.bytes(garbage).await;
        assert_eq!(bad.receive().await, None, "{garbage:?}");
    }
    good.tell("devices/d2/messages/events/", "fine").await;
}

#[tokio::test(start_paused = true)]
async fn silence_and_expiry_end_a_connection() {
    let world = World::new();
    world.device("d1").await;
    let start = tokio::time::Instant::now();
    for (keep_alive, lifetime, seconds) in [(60, 36_000, 90), (0, 36_000, 2_650), (600, 60, 360)] {
        let password = Some(world.device_token("d1", 1, lifetime));
        let (_, mut client) =
            world.connect(Hello { id: "d1", password, keep_alive, ..Hello::default() }).await;
        let begun = start.elapsed().as_secs();
        assert_eq!(client.receive().await, None);
        assert_eq!(start.elapsed().as_secs(), begun + seconds, "{keep_alive} {lifetime}");
    }
}
