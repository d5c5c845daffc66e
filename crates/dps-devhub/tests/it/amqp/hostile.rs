//! Devices and services that stall, take too little, or show what is not theirs.

use std::time::Duration;

use dps_attestation::SasToken;
use dps_devhub::POLICY;
use dps_wire::amqp::message::{Message, Properties};
use dps_wire::amqp::performative::{DeliveryState, Performative, Role};
use dps_wire::amqp::sasl::Mechanism;
use dps_wire::amqp::value::{Symbol, Value};
use serde_json::json;

use super::peer::{Amqp, annotation, twin};
use super::{DESIRED, condition, text};
use crate::fixture::{HUB, OTHER, World};

/// Longer than any patience of the hub.
const FOR_EVER: Duration = Duration::from_hours(24);

const DEVICE_BOUND: &str = "/devices/d1/messages/devicebound";

fn to_d1(payload: impl Into<bytes::Bytes>) -> Message {
    let to = Some(DEVICE_BOUND.to_owned());
    Message {
        properties: Some(Box::new(Properties { to, ..Properties::default() })),
        ..Message::data(payload)
    }
}

/// A service with the policy's token, and its link.
async fn service(world: &World) -> (Amqp, u32) {
    let mut service = Amqp::open(world).await;
    service.cbs().await;
    assert_eq!(service.token(HUB, &world.token(HUB)).await.0, 200);
    let sends = service.link(Role::Sender, "/messages/devicebound").await;
    (service, sends)
}

#[tokio::test(start_paused = true)]
async fn device_that_does_not_read_holds_no_sender() {
    let world = World::new();
    world.device("d1").await;
    let (mut service, sends) = service(&world).await;
    let mut device = Amqp::device(&world, "d1").await;
    device.link(Role::Receiver, DEVICE_BOUND).await;
    let message = to_d1(vec![0; 60_000]);
    let all = async {
        // The stream takes a megabyte that nobody reads.
        for _ in 0..17 {
            assert_eq!(service.send(sends, &message).await, DeliveryState::Accepted);
        }
        assert_eq!(service.send(sends, &message).await, DeliveryState::Accepted, "on its way");
        assert_eq!(condition(service.send(sends, &message).await), "com.microsoft:timeout");
        let answer = world.call("POST /devices/d1/messages/deviceBound", &[], json!("x")).await;
        assert_eq!(answer.status, 504, "{answer:?}");
        // What its sender gave up is not delivered when the device reads again.
        for _ in 0..18 {
            assert_eq!(device.message().await, message);
        }
        assert_eq!(service.send(sends, &to_d1("late")).await, DeliveryState::Accepted);
        assert_eq!(device.message().await.body.as_bytes(), Some(&b"late"[..]));
    };
    tokio::time::timeout(FOR_EVER, all).await.expect("the service is held for ever");
}

#[tokio::test]
async fn message_larger_than_a_device_takes_refused_and_the_device_stays() {
    let world = World::new();
    world.device("d1").await;
    let (mut service, sends) = service(&world).await;
    let mut device = Amqp::device(&world, "d1").await;
    for address in [DEVICE_BOUND, "/devices/d1/methods/devicebound"] {
        device.ask_for(Role::Receiver, address, Some(150)).await;
        assert!(matches!(device.next().await, Some(Performative::Attach(_))));
        device.credit(device.last_handle(), 50).await;
    }
    assert_eq!(condition(service.send(sends, &to_d1(vec![0; 200])).await), "amqp:not-found");
    let call = json!({"methodName": "m", "payload": "x".repeat(200), "connectTimeoutInSeconds": 0});
    assert_eq!(world.call("POST /twins/d1/methods", &[], call).await.status, 404);
    assert_eq!(service.send(sends, &to_d1("small")).await, DeliveryState::Accepted);
    assert_eq!(device.message().await.body.as_bytes(), Some(&b"small"[..]));
}

#[tokio::test]
async fn properties_of_a_service_arrive_where_the_standard_has_them() {
    let world = World::new();
    world.device("d1").await;
    let (mut service, sends) = service(&world).await;
    let mut device = Amqp::device(&world, "d1").await;
    device.link(Role::Receiver, DEVICE_BOUND).await;
    let properties = Properties {
        message_id: Some(text("m")),
        user_id: Some(bytes::Bytes::from_static(b"u")),
        to: Some(DEVICE_BOUND.to_owned()),
        correlation_id: Some(text("c")),
        content_type: Some("text/plain".to_owned()),
        content_encoding: Some("utf-8".to_owned()),
        absolute_expiry_time: Some(1_800_000_000_123),
        ..Properties::default()
    };
    let message = Message { properties: Some(Box::new(properties.clone())), ..Message::data("x") };
    assert_eq!(service.send(sends, &message).await, DeliveryState::Accepted);
    let came = device.message().await;
    assert_eq!(came.properties.as_deref(), Some(&properties));
    assert!(came.application_properties.is_empty(), "{:?}", came.application_properties);
}

#[tokio::test]
async fn burst_that_a_device_has_no_credit_for_waits_for_it() {
    let world = World::new();
    world.device("d1").await;
    let mut device = Amqp::device(&world, "d1").await;
    let asks = device.link(Role::Sender, "/devices/d1/twin").await;
    let (hears, _) = device.attach(Role::Receiver, "/devices/d1/twin").await;
    device.credit(hears, 2).await;
    device.send(asks, &twin("PUT", Some(DESIRED), "")).await;
    device.message().await;
    for number in 0..40 {
        world.call("PATCH /twins/d1", &[], json!({"properties": {"desired": {"n": number}}})).await;
    }
    assert_eq!(annotation(&device.message().await, "version"), Some(2));
    device.credit(hears, 50).await;
    for number in 1..40 {
        assert_eq!(annotation(&device.message().await, "version"), Some(2 + number));
    }
}

#[tokio::test]
async fn policys_token_for_one_device_opens_no_other_and_no_service() {
    let world = World::new();
    world.device("d1").await;
    world.device("d2").await;
    let until = 1_700_000_000 + 3600;
    let sign = |resource: &str| SasToken::sign(resource, &world.key, until, Some(POLICY));
    let scoped = sign("hub.local/devices/d1");
    for audience in ["hub.local", "hub.local/devices/d2"] {
        let mut amqp = Amqp::open(&world).await;
        amqp.cbs().await;
        assert_eq!(amqp.token(audience, &scoped).await.0, 401, "{audience}");
    }
    let mut amqp = Amqp::open(&world).await;
    amqp.cbs().await;
    assert_eq!(amqp.token("hub.local/devices/d1", &scoped).await.0, 200);
}

#[tokio::test]
async fn token_of_another_hub_or_kind_refused() {
    let world = World::new();
    world.device("d1").await;
    let device = world.device_token("d1", 1, 60);
    let elsewhere = world.token(OTHER);
    for (audience, token) in [
        // A device's token for a service, and for its namesake at the other hub.
        (HUB, &device),
        ("other.local/devices/d1", &device),
        // The policy's token for another hub, as a service and as a device.
        (HUB, &elsewhere),
        ("hub.local/devices/d1", &elsewhere),
        // Case and escapes.
        ("hub.local/devices/D1", &device),
        ("hub.local/devices/%64%32", &device),
        ("hub.local/devices/d1/", &world.device_token("d1", 9, 60)),
        ("hub.local:5671/devices/../d1", &device),
    ] {
        let mut amqp = Amqp::open(&world).await;
        amqp.cbs().await;
        let mut payload = bytes::BytesMut::new();
        let message = Message {
            application_properties: [
                ("operation", "put-token"),
                ("type", "servicebus.windows.net:sastoken"),
                ("name", audience),
            ]
            .map(|(key, value)| (key.to_owned(), text(value)))
            .to_vec(),
            body: dps_wire::amqp::message::Body::Value(text(token)),
            ..Message::default()
        };
        message.encode(&mut payload);
        if let DeliveryState::Accepted = amqp.send_bytes(0, payload.freeze()).await {
            let answer = amqp.message().await;
            assert_eq!(answer.application_property("status-code").and_then(Value::as_i64), Some(401));
        }
        let refused = amqp.refused(Role::Sender, "/devices/d1/messages/events").await;
        assert_eq!(refused.condition, Symbol::from_static("amqp:unauthorized-access"), "{audience}");
    }
    // A time beyond every calendar is no trap.
    let far = SasToken::sign("hub.local/devices/d1", &dps_model::Secret::new(vec![1; 32]), i64::MAX, None);
    let mut amqp = Amqp::open(&world).await;
    amqp.cbs().await;
    assert_eq!(amqp.token("hub.local/devices/d1", &far).await.0, 200);
    let events = amqp.link(Role::Sender, "/devices/d1/messages/events").await;
    let odd = Message {
        properties: Some(Box::new(Properties {
            absolute_expiry_time: Some(i64::MIN),
            user_id: Some(bytes::Bytes::from_static(b"\xff")),
            ..Properties::default()
        })),
        application_properties: vec![("t".to_owned(), Value::Timestamp(i64::MAX))],
        ..Message::data("x")
    };
    assert_eq!(amqp.send(events, &odd).await, DeliveryState::Accepted);
}

#[tokio::test]
async fn session_that_ends_takes_its_links_and_leaves_the_device() {
    let world = World::new();
    world.device("d1").await;
    let mut amqp = Amqp::device(&world, "d1").await;
    let asks = amqp.link(Role::Sender, "/devices/d1/twin").await;
    amqp.link(Role::Receiver, "/devices/d1/twin").await;
    amqp.send(asks, &twin("PUT", Some(DESIRED), "")).await;
    amqp.message().await;
    amqp.say(Performative::End(None)).await;
    assert_eq!(amqp.next().await, Some(Performative::End(None)));
    world.call("PATCH /twins/d1", &[], json!({"properties": {"desired": {"a": 1}}})).await;
    amqp.session().await;
    let asks = amqp.link(Role::Sender, "/devices/d1/twin").await;
    amqp.link(Role::Receiver, "/devices/d1/twin").await;
    // Whoever attaches anew has to ask anew.
    world.call("PATCH /twins/d1", &[], json!({"properties": {"desired": {"a": 2}}})).await;
    amqp.send(asks, &twin("GET", None, "")).await;
    assert_eq!(annotation(&amqp.message().await, "status"), Some(200));
    assert_eq!(world.call("GET /devices/d1", &[], None).await.body["connectionState"], "Connected");
}

#[tokio::test]
async fn device_gone_in_any_way_is_disconnected_and_told_once() {
    let world = World::new();
    world.device("d1").await;
    for (number, way) in ["close", "garbage", "second open", "eof"].into_iter().enumerate() {
        let good = world.device_token("d1", 1, 60);
        let mut amqp = match number % 2 {
            0 => Amqp::device(&world, "d1").await,
            _ => Amqp::sasl(&world, Mechanism::Plain, &format!("\0d1@sas.hub.local\0{good}"))
                .await
                .ok()
                .unwrap(),
        };
        assert_eq!(world.connections().len(), 2 * number + 1, "{way}");
        match way {
            "close" => amqp.say(Performative::Close(None)).await,
            "garbage" => amqp.bytes(&[0xff; 8]).await,
            "second open" => {
                let open = dps_wire::amqp::performative::Open::new("c");
                amqp.say(Performative::Open(Box::new(open))).await;
            }
            _ => amqp.finish().await,
        }
        while amqp.next().await.is_some() {}
        assert_eq!(world.connections().len(), 2 * number + 2, "{way}");
        let state = world.call("GET /devices/d1", &[], None).await.body["connectionState"].clone();
        assert_eq!(state, "Disconnected", "{way}");
    }
    assert!(world.refusals().is_empty(), "each was a device");
}

#[tokio::test]
async fn server_that_stops_says_so_to_whoever_is_there() {
    let world = World::new();
    world.device("d1").await;
    let (service, _) = service(&world).await;
    let mut nobody = Amqp::open(&world).await;
    nobody.cbs().await;
    let device = Amqp::device(&world, "d1").await;
    for (who, mut amqp) in [("service", service), ("nobody", nobody), ("device", device)] {
        amqp.stop();
        match amqp.next().await {
            Some(Performative::Close(Some(error))) => {
                assert_eq!(error.condition, Symbol::from_static("amqp:connection:forced"));
            }
            other => panic!("{who}: {other:?} instead of CLOSE"),
        }
        // It does not wait for our half.
        assert_eq!(amqp.next().await, None);
    }
    let ends: Vec<bool> = world.connections().into_iter().map(|(_, connected)| connected).collect();
    assert_eq!(ends, [true, false]);
    assert!(world.refusals().is_empty());
}

#[tokio::test(start_paused = true)]
async fn handshake_that_stalls_after_sasl_recorded_once() {
    let world = World::new();
    let mut amqp = Amqp::authenticated(&world, Mechanism::MsSbCbs, "").await.ok().unwrap();
    assert_eq!(amqp.next().await, None);
    assert!(matches!(&world.refusals()[..], [why] if why.contains("not open in time")));
}

#[tokio::test]
async fn message_with_large_properties_refused() {
    let world = World::new();
    world.device("d1").await;
    let (mut service, sends) = service(&world).await;
    let mut device = Amqp::device(&world, "d1").await;
    device.link(Role::Receiver, DEVICE_BOUND).await;
    let of = |length: usize| Message {
        application_properties: ["a", "b"].map(|key| (key.to_owned(), text(&"x".repeat(length)))).to_vec(),
        ..to_d1("x")
    };
    assert_eq!(condition(service.send(sends, &of(33_000)).await), "com.microsoft:argument-error");
    assert_eq!(service.send(sends, &of(25_000)).await, DeliveryState::Accepted);
    assert_eq!(device.message().await.application_properties.len(), 2);
}
