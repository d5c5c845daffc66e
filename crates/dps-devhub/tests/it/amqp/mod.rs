//! Devices and services at the hub over AMQP.

mod hostile;
mod peer;

use bytes::Bytes;
use dps_device_api::foreign::{AmqpClaim, ForeignFront};
use dps_wire::amqp::message::{Message, Properties};
use dps_wire::amqp::performative::{AmqpError, DeliveryState, Detach, Performative, Role, SaslCode};
use dps_wire::amqp::sasl::Mechanism;
use dps_wire::amqp::value::{Symbol, Value};
use serde_json::{Value as Json, json};

use self::peer::{Amqp, annotation, twin};
use crate::fixture::{HUB, OTHER, World};

const DESIRED: &str = "/notifications/twin/properties/desired";

fn body(message: &Message) -> Json {
    serde_json::from_slice(message.body.as_bytes().unwrap()).unwrap()
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn condition(state: DeliveryState) -> String {
    match state {
        DeliveryState::Rejected(Some(error)) => error.condition.to_string(),
        other => panic!("{other:?} instead of a rejection"),
    }
}

#[tokio::test]
async fn front_claims_what_is_a_hubs() {
    let world = World::new();
    let claims = |claim| world.hubs.claims_amqp(claim);
    assert!(claims(AmqpClaim::Mechanism(Mechanism::MsSbCbs)));
    for (user, claimed) in [
        ("d1@sas.hub.local", true),
        ("d@1@sas.HUB.local", true),
        ("d1@sas.other", true),
        ("d1@sas.nowhere", false),
        ("0ne1/registrations/d1", false),
    ] {
        assert_eq!(claims(AmqpClaim::User(user)), claimed, "{user}");
    }
    for (address, claimed) in [
        ("$cbs", true),
        ("amqps://hub.local/devices/d1/twin", true),
        ("/messages/devicebound", true),
        ("0ne1/registrations/d1", false),
        ("", false),
    ] {
        assert_eq!(claims(AmqpClaim::Address(address)), claimed, "{address}");
    }
}

#[tokio::test]
async fn token_that_is_not_the_devices_answered_401_with_one_record() {
    let world = World::new();
    world.device("d1").await;
    world.device("d2").await;
    world.call("PUT /devices/off", &[], json!({"status": "disabled"})).await;
    let mut amqp = Amqp::open(&world).await;
    amqp.cbs().await;
    for (audience, token, why) in [
        ("hub.local/devices/d1", world.device_token("d1", 9, 60), "SasSignatureMismatch"),
        ("hub.local/devices/d1", world.device_token("d1", 1, -400), "SasExpired"),
        ("hub.local/devices/d1", world.device_token("d2", 1, 60), "sr is not"),
        ("hub.local/devices/nobody", world.device_token("nobody", 1, 60), "no such device"),
        ("hub.local/devices/off", world.device_token("off", 1, 60), "disabled"),
        ("hub.local/devices/d1", "nonsense".to_owned(), "cannot be read"),
        ("nowhere/devices/d1", world.device_token("d1", 1, 60), "no hub"),
        ("hub.local", world.device_token("d1", 1, 60), "skn"),
    ] {
        let (status, description) = amqp.token(audience, &token).await;
        let reasons = world.refusals();
        assert_eq!(status, 401, "{why}");
        assert!(description.contains("Tracking ID"), "{description}");
        assert!(matches!(&reasons[..], [one] if one.contains(why)), "{why}: {reasons:?}");
    }
    let audience = format!("{HUB}/devices/d1");
    let mut amqp = Amqp::open(&world).await;
    amqp.cbs().await;
    assert_eq!(amqp.token(&audience, "nonsense").await.0, 401);
    assert_eq!(amqp.token(&audience, &world.device_token("d1", 2, 60)).await.0, 200);
    assert_eq!(amqp.token(&format!("{HUB}/devices/d2"), &world.device_token("d2", 1, 60)).await.0, 401);
}

#[tokio::test]
async fn tokens_refused_again_and_again_end_the_connection() {
    let world = World::new();
    let mut amqp = Amqp::open(&world).await;
    amqp.cbs().await;
    for _ in 0..=dps_model::limits::MAX_TOKENS_REFUSED {
        assert_eq!(amqp.token(&format!("{HUB}/devices/d1"), "nonsense").await.0, 401);
    }
    assert_eq!(amqp.closed().await.condition, Symbol::from_static("amqp:not-allowed"));
    assert!(world.refusals().pop().unwrap().contains("too many tokens"));
}

#[tokio::test]
async fn message_on_cbs_that_is_no_token_rejected() {
    let world = World::new();
    let mut amqp = Amqp::open(&world).await;
    let sender = amqp.link(Role::Sender, "$cbs").await;
    // Nowhere to answer yet.
    let argument = "com.microsoft:argument-error";
    assert_eq!(condition(amqp.send(sender, &Message::data("t")).await), argument);
    amqp.link(Role::Receiver, "$cbs").await;
    let put = |pairs: &[(&str, &str)]| Message {
        application_properties: pairs.iter().map(|(key, value)| ((*key).to_owned(), text(value))).collect(),
        ..Message::data("t")
    };
    let kind = ("type", "servicebus.windows.net:sastoken");
    for pairs in [
        &[][..],
        &[("operation", "delete-token")],
        &[("operation", "put-token"), ("type", "jwt"), ("name", "hub.local/devices/d")],
        &[("operation", "put-token"), kind],
        &[("operation", "put-token"), kind, ("name", "/")],
    ] {
        assert_eq!(condition(amqp.send(sender, &put(pairs)).await), argument, "{pairs:?}");
    }
    assert_eq!(
        condition(amqp.send_bytes(sender, Bytes::from_static(b"nonsense")).await),
        "amqp:decode-error"
    );
    assert!(world.refusals().is_empty(), "nobody was refused");
}

#[tokio::test]
async fn telemetry_is_kept_with_its_properties() {
    let world = World::new();
    world.device("d1").await;
    let mut amqp = Amqp::device(&world, "d1").await;
    let events = amqp.link(Role::Sender, "/devices/d1/messages/events").await;
    let message = Message {
        message_annotations: vec![(Symbol::from_static("iothub-interface-id"), text("i"))],
        properties: Some(Box::new(Properties {
            message_id: Some(Value::Uuid([0x11; 16])),
            content_type: Some("application/json".to_owned()),
            ..Properties::default()
        })),
        application_properties: vec![("a b".to_owned(), text("c/d")), ("n".to_owned(), Value::Int(-1))],
        ..Message::data("{\"t\":1}")
    };
    assert_eq!(amqp.send(events, &message).await, DeliveryState::Accepted);
    assert_eq!(amqp.send(events, &Message::data("")).await, DeliveryState::Accepted);
    let nested = Message {
        application_properties: vec![("l".to_owned(), Value::List(Vec::new()))],
        ..Message::default()
    };
    assert_eq!(condition(amqp.send(events, &nested).await), "com.microsoft:argument-error");
    let kept = world.hubs.telemetry(&dps_model::HubName::parse(HUB).unwrap());
    assert_eq!(kept.len(), 2);
    assert_eq!(kept[0].payload.as_ref(), b"{\"t\":1}");
    let expected = [
        ("$.mid", "11111111-1111-1111-1111-111111111111"),
        ("$.ct", "application/json"),
        ("$.ifid", "i"),
        ("a b", "c/d"),
        ("n", "-1"),
    ];
    assert_eq!(kept[0].properties, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    assert_eq!(world.call("GET /devices/d1", &[], None).await.body["connectionState"], "Connected");
    amqp.say(Performative::Close(None)).await;
    assert_eq!(amqp.next().await, Some(Performative::Close(None)));
    assert_eq!(amqp.next().await, None);
    assert_eq!(world.call("GET /devices/d1", &[], None).await.body["connectionState"], "Disconnected");
    let ends: Vec<bool> = world.connections().into_iter().map(|(_, connected)| connected).collect();
    assert_eq!(ends, [true, false]);
}

#[tokio::test]
async fn twin_get_report_and_desired_travel() {
    let world = World::new();
    world.device("d1").await;
    world.call("PATCH /twins/d1", &[], json!({"properties": {"desired": {"a": 1}}})).await;
    let mut amqp = Amqp::device(&world, "d1").await;
    let asks = amqp.link(Role::Sender, "/devices/d1/twin").await;
    let get = twin("GET", None, " ");
    assert_eq!(condition(amqp.send(asks, &get).await), "com.microsoft:argument-error", "no way back");
    amqp.link(Role::Receiver, "/devices/d1/twin").await;
    let ask = async |amqp: &mut Amqp, message: &Message| {
        assert_eq!(amqp.send(asks, message).await, DeliveryState::Accepted);
        let answer = amqp.message().await;
        assert_eq!(answer.correlation_id(), Some(&text("c")));
        answer
    };
    let answer = ask(&mut amqp, &get).await;
    assert_eq!(annotation(&answer, "status"), Some(200));
    assert_eq!(body(&answer), json!({"desired": {"a": 1, "$version": 2}, "reported": {"$version": 1}}));

    let report = |body: &str| twin("PATCH", Some("/properties/reported"), body);
    let answer = ask(&mut amqp, &report("{\"temperature\": 20}")).await;
    assert_eq!((annotation(&answer, "status"), annotation(&answer, "version")), (Some(204), Some(2)));
    let shown = world.call("GET /twins/d1", &[], None).await.body;
    assert_eq!(shown["properties"]["reported"]["temperature"], 20);
    for bad in
        [report("[1]"), report("{"), report("{\"a.b\": 1}"), twin("POST", None, ""), twin("PUT", None, "")]
    {
        let answer = ask(&mut amqp, &bad).await;
        assert_eq!(annotation(&answer, "status"), Some(400));
        assert!(body(&answer)["Message"].as_str().unwrap().contains("ArgumentInvalid"));
    }

    // Nothing is told before it is asked for, nor after it was asked off.
    world.call("PATCH /twins/d1", &[], json!({"properties": {"desired": {"a": 2}}})).await;
    assert_eq!(annotation(&ask(&mut amqp, &twin("PUT", Some(DESIRED), " ")).await, "status"), Some(200));
    world.call("PATCH /twins/d1", &[], json!({"properties": {"desired": {"a": null, "b": 2}}})).await;
    let told = amqp.message().await;
    assert_eq!((told.correlation_id(), annotation(&told, "version")), (None, Some(4)));
    assert_eq!(body(&told), json!({"a": null, "b": 2, "$version": 4}));
    assert_eq!(annotation(&ask(&mut amqp, &twin("DELETE", Some(DESIRED), " ")).await, "status"), Some(200));
    world.call("PATCH /twins/d1", &[], json!({"properties": {"desired": {"b": 3}}})).await;
    assert_eq!(body(&ask(&mut amqp, &get).await)["desired"], json!({"b": 3, "$version": 5}));
}

#[tokio::test]
async fn method_is_answered_by_the_device() {
    let world = World::new();
    world.device("d1").await;
    let mut amqp = Amqp::device(&world, "d1").await;
    let answers = amqp.link(Role::Sender, "/devices/d1/methods/devicebound").await;
    amqp.link(Role::Receiver, "/devices/d1/methods/devicebound").await;
    let call = json!({"methodName": "reboot", "payload": {"in": 5}, "responseTimeoutInSeconds": 30});
    let device = async {
        let asked = amqp.message().await;
        assert_eq!(asked.application_property("IoThub-methodname"), Some(&text("reboot")));
        assert_eq!(body(&asked), json!({"in": 5}));
        let answer = |id: Option<Value>, status: Option<i32>| Message {
            properties: Some(Box::new(Properties { correlation_id: id, ..Properties::default() })),
            application_properties: status
                .map(|status| ("IoThub-status".to_owned(), Value::Int(status)))
                .into_iter()
                .collect(),
            ..Message::data("{\"done\":true}")
        };
        let id = asked.correlation_id().cloned();
        for bad in [answer(None, Some(1)), answer(Some(text("x")), Some(1)), answer(id.clone(), None)] {
            assert_eq!(condition(amqp.send(answers, &bad).await), "com.microsoft:argument-error");
        }
        assert_eq!(amqp.send(answers, &answer(id, Some(207))).await, DeliveryState::Accepted);
    };
    let (answer, ()) = tokio::join!(world.call("POST /twins/d1/methods", &[], call), device);
    assert_eq!(answer.body, json!({"status": 207, "payload": {"done": true}}));
}

#[tokio::test]
async fn message_of_a_service_reaches_who_listens() {
    let world = World::new();
    world.device("d1").await;
    let mut service = Amqp::open(&world).await;
    service.cbs().await;
    assert_eq!(service.token(HUB, &world.token(HUB)).await.0, 200);
    let sends = service.link(Role::Sender, "/messages/devicebound").await;
    let to = |to: &str| Message {
        properties: Some(Box::new(Properties {
            to: Some(to.to_owned()),
            message_id: Some(text("m1")),
            ..Properties::default()
        })),
        application_properties: vec![("colour".to_owned(), text("blue"))],
        ..Message::data("hello")
    };
    let good = to("/devices/d1/messages/devicebound");
    assert_eq!(condition(service.send(sends, &good).await), "amqp:not-found", "nobody is there");
    let mut device = Amqp::device(&world, "d1").await;
    assert_eq!(condition(service.send(sends, &good).await), "amqp:not-found", "nobody listens");
    device.link(Role::Receiver, "/devices/d1/messages/devicebound").await;
    assert_eq!(service.send(sends, &good).await, DeliveryState::Accepted);
    let message = device.message().await;
    assert_eq!(message.body.as_bytes(), Some(&b"hello"[..]));
    assert_eq!(message.application_properties, [("colour".to_owned(), text("blue"))]);
    assert_eq!(message.properties.unwrap().message_id, Some(text("m1")));
    for (bad, why) in [
        ("/devices/nobody/messages/devicebound", "amqp:not-found"),
        ("/devices/d1/twin", "com.microsoft:argument-error"),
        ("nonsense", "com.microsoft:argument-error"),
    ] {
        assert_eq!(condition(service.send(sends, &to(bad)).await), why);
    }
    let large = Message { body: dps_wire::amqp::message::Body::Data(vec![0; 65 * 1024].into()), ..good };
    assert_eq!(condition(service.send(sends, &large).await), "com.microsoft:argument-error");
    let refused = service.refused(Role::Sender, "/devices/d1/messages/events").await;
    assert_eq!(refused.condition, Symbol::from_static("amqp:unauthorized-access"));
    // A device is no service.
    device.refused(Role::Sender, "/messages/devicebound").await;
    assert_eq!(device.closed().await.condition, Symbol::from_static("amqp:unauthorized-access"));
}

#[tokio::test]
async fn certificate_judged_with_the_first_link_of_the_hub_that_open_names() {
    let world = World::new();
    let known = b"certificate one";
    let digest = hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, known));
    let authentication = json!({"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": digest}});
    assert_eq!(
        world.call("PUT /devices/x", &[], json!({"authentication": authentication})).await.status,
        200
    );
    let address = "/devices/x/messages/events";
    let mut amqp = Amqp::open_to(&world, Some(known), HUB).await;
    let events = amqp.link(Role::Sender, address).await;
    assert_eq!(amqp.send(events, &Message::data("1")).await, DeliveryState::Accepted);
    // A name that no hub has is the first hub's.
    let mut amqp = Amqp::open_to(&world, Some(known), "localhost").await;
    amqp.link(Role::Sender, address).await;
    assert!(world.refusals().is_empty());
    for (leaf, hub) in [(Some(&b"another"[..]), HUB), (None, HUB), (Some(known), OTHER)] {
        let mut amqp = Amqp::open_to(&world, leaf, hub).await;
        let refused: AmqpError = amqp.refused(Role::Sender, address).await;
        assert_eq!(refused.condition, Symbol::from_static("amqp:unauthorized-access"));
        assert_eq!(amqp.closed().await, refused);
        assert_eq!(world.refusals().len(), 1);
    }
}

#[tokio::test]
async fn connection_over_amqp_is_recorded_with_its_device_and_a_modules_link_once() {
    let world = World::new();
    world.device("d1").await;
    let mut amqp = Amqp::sasl(&world, Mechanism::MsSbCbs, "").await.ok().unwrap();
    amqp.cbs().await;
    assert_eq!(amqp.token(&format!("{HUB}/devices/d1"), "nonsense").await.0, 401);
    assert_eq!(amqp.token(&format!("{HUB}/devices/d1"), &world.device_token("d1", 1, 60)).await.0, 200);
    for _ in 0..2 {
        amqp.refused(Role::Sender, "/devices/d1/modules/m1/messages/events").await;
    }
    let recorded = world.recorded();
    let told: Vec<_> = recorded
        .iter()
        .map(|(device, why)| (&*device.device_id, device.module_id.as_deref(), why.is_some()))
        .collect();
    assert_eq!(told, [("d1", None, true), ("d1", None, false), ("d1", Some("m1"), true)], "{recorded:?}");
}

#[tokio::test]
async fn plain_user_of_a_hub_judged_in_sasl() {
    let world = World::new();
    world.device("d1").await;
    let plain = |user: &str, token: &str| format!("\0{user}\0{token}");
    let good = world.device_token("d1", 1, 60);
    let mut amqp =
        Amqp::sasl(&world, Mechanism::Plain, &plain("d1@sas.hub.local", &good)).await.ok().unwrap();
    amqp.link(Role::Sender, "/devices/d1/messages/events").await;
    for (user, token) in [("d1@sas.hub.local", "nonsense"), ("d1@sas.other", &good), ("d2@sas.hub", &good)] {
        let refused = Amqp::sasl(&world, Mechanism::Plain, &plain(user, token)).await.err();
        assert_eq!(refused, Some(SaslCode::Auth), "{user}");
        assert_eq!(world.refusals().len(), 1);
    }
    let mut amqp = Amqp::sasl(&world, Mechanism::MsSbCbs, "").await.ok().unwrap();
    amqp.cbs().await;
    assert_eq!(amqp.token(&format!("{HUB}/devices/d1"), &good).await.0, 200);
}

#[tokio::test]
async fn link_that_is_not_the_devices_refused_and_a_newer_one_takes_the_place() {
    let world = World::new();
    world.device("d1").await;
    let mut amqp = Amqp::device(&world, "d1").await;
    for (role, address, why) in [
        (Role::Receiver, "/devices/d1/messages/events", "com.microsoft:argument-error"),
        (Role::Sender, "/devices/d1/messages/devicebound", "com.microsoft:argument-error"),
        (Role::Sender, "/devices/d2/messages/events", "amqp:unauthorized-access"),
        (Role::Sender, "/devices/D1/messages/events", "amqp:unauthorized-access"),
        (Role::Sender, "/devices/d1/modules/m/messages/events", "com.microsoft:argument-error"),
        (Role::Sender, "/devices/d1/files", "amqp:not-found"),
    ] {
        let refused = amqp.refused(role, address).await;
        assert_eq!(refused.condition.as_str(), why, "{address}");
        assert!(refused.description.unwrap().contains("Tracking ID"));
        // The other half of the refusal's handshake.
        amqp.say(Performative::Detach(Detach { handle: amqp.last_handle(), closed: true, error: None }))
            .await;
    }
    let older = amqp.link(Role::Sender, "/devices/d1/messages/events").await;
    amqp.ask(Role::Sender, "/devices/d1/messages/events").await;
    let stolen = match amqp.next().await {
        Some(Performative::Detach(detach)) => detach.error.unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(stolen.condition, Symbol::from_static("amqp:link:stolen"));
    amqp.say(Performative::Detach(Detach { handle: older, closed: true, error: None })).await;
    assert!(matches!(amqp.next().await, Some(Performative::Attach(_))));
    let newer = amqp.last_handle();
    assert_eq!(amqp.send(newer, &Message::data("1")).await, DeliveryState::Accepted);
}

#[tokio::test]
async fn second_connection_takes_the_place_of_the_first() {
    let world = World::new();
    world.device("d1").await;
    let mut first = Amqp::device(&world, "d1").await;
    let mut second = world.connected("d1").await;
    assert_eq!(first.closed().await.condition, Symbol::from_static("amqp:connection:forced"));
    second.tell("devices/d1/messages/events/", "over MQTT").await;
    let mut third = Amqp::device(&world, "d1").await;
    assert_eq!(second.receive().await, None);
    let change = json!({"status": "disabled"});
    assert!(world.call("PUT /devices/d1", &[("if-match", "*")], change).await.status < 300);
    assert_eq!(third.closed().await.condition, Symbol::from_static("amqp:connection:forced"));
}

#[tokio::test(start_paused = true)]
async fn token_over_its_time_ends_the_connection_unless_it_is_renewed() {
    let world = World::new();
    world.device("d1").await;
    let start = tokio::time::Instant::now();
    let audience = format!("{HUB}/devices/d1");
    for (renewed, seconds) in [(None, 60 + 300), (Some(120), 120 + 300)] {
        let mut amqp = Amqp::open(&world).await;
        amqp.cbs().await;
        assert_eq!(amqp.token(&audience, &world.device_token("d1", 1, 60)).await.0, 200);
        if let Some(lifetime) = renewed {
            assert_eq!(amqp.token(&audience, &world.device_token("d1", 2, lifetime)).await.0, 200);
        }
        let begun = start.elapsed().as_secs();
        assert_eq!(amqp.closed().await.condition, Symbol::from_static("amqp:unauthorized-access"));
        assert_eq!(start.elapsed().as_secs() - begun, seconds);
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_in_time_told_and_recorded_once() {
    let world = World::new();
    world.device("d1").await;
    let start = tokio::time::Instant::now();
    let mut amqp = Amqp::open(&world).await;
    amqp.cbs().await;
    let error = amqp.closed().await;
    assert_eq!(error.condition, Symbol::from_static("amqp:unauthorized-access"));
    assert_eq!(start.elapsed().as_secs(), dps_model::limits::CONNECT_TIMEOUT);
    assert!(matches!(&world.refusals()[..], [why] if why.contains("nobody") || why.contains("no device")));
}

#[tokio::test]
async fn garbage_ends_one_connection_and_no_other() {
    let world = World::new();
    world.device("d1").await;
    world.device("d2").await;
    let mut good = Amqp::device(&world, "d2").await;
    let events = good.link(Role::Sender, "/devices/d2/messages/events").await;
    for garbage in [&[0xff; 8][..], &[0, 0, 0, 8, 9, 0, 0, 0], &[0, 0, 0, 4, 2, 0, 0, 0]] {
        let mut bad = Amqp::device(&world, "d1").await;
        bad.bytes(garbage).await;
        while let Some(said) = bad.next().await {
            assert!(matches!(said, Performative::Close(Some(_))), "{said:?}");
        }
    }
    assert_eq!(good.send(events, &Message::data("fine")).await, DeliveryState::Accepted);
}
