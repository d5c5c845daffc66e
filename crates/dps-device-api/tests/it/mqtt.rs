//! Conversations over MQTT, byte for byte as the SDKs lead them.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use dps_device_api::Fronts;
use dps_events::{Operation, Outcome};
use dps_wire::mqtt::codec::{Decoder, Limits, Role, encode};
use dps_wire::mqtt::packet::{
    Connect, Delivery, Packet, PacketId, Password, Protocol, Publish, QoS, Subscribe, SubscribeFilter,
    SubscribeResult, Unsubscribe, Will,
};
use rustls::version::TLS12;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::fixture::{PENDING, SCOPE, Server, connect};
use crate::hub::Hub;
use crate::pki::{Device, EC};

/// A device's connection.
pub struct Mqtt<S = TlsStream<TcpStream>> {
    pub stream: S,
    decoder: Decoder,
    input: BytesMut,
}

impl Mqtt {
    pub async fn open(server: &Server) -> Self {
        Self::new(connect(server.mqtt, server.plain()).await.unwrap())
    }

    /// Connected and subscribed.
    pub async fn ready(server: &Server, id: &str) -> Self {
        let mut mqtt = Self::open(server).await;
        assert_eq!(mqtt.connect(&user(id), id).await, 0);
        mqtt.subscribe(QoS::AtLeastOnce).await;
        mqtt
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Mqtt<S> {
    pub fn new(stream: S) -> Self {
        let limits = Limits { max_packet: 200_000, ..Limits::default() };
        Self { stream, decoder: Decoder::new(Role::Client, limits), input: BytesMut::new() }
    }

    pub async fn send(&mut self, packet: &Packet) {
        let mut bytes = BytesMut::new();
        encode(packet, &mut bytes).unwrap();
        self.stream.write_all(&bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// The next packet; `None` at the end.
    pub async fn next(&mut self) -> Option<Packet> {
        loop {
            if let Some(packet) = self.decoder.decode(&mut self.input).unwrap() {
                return Some(packet);
            }
            if self.stream.read_buf(&mut self.input).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// Sends CONNECT, gives the return code.
    pub async fn connect(&mut self, user_name: &str, client_id: &str) -> u8 {
        self.greet(greeting(user_name, client_id)).await
    }

    pub async fn greet(&mut self, connect: Connect) -> u8 {
        self.send(&Packet::Connect(Box::new(connect))).await;
        match self.next().await {
            Some(Packet::ConnAck(ack)) => {
                assert!(!ack.session_present);
                ack.code as u8
            }
            other => panic!("no CONNACK: {other:?}"),
        }
    }

    pub async fn subscribe(&mut self, qos: QoS) -> SubscribeResult {
        self.subscribe_to("$dps/registrations/res/#", qos).await
    }

    async fn subscribe_to(&mut self, filter: &str, qos: QoS) -> SubscribeResult {
        let filters = vec![SubscribeFilter { filter: filter.to_owned(), qos }];
        self.send(&Packet::Subscribe(Subscribe { packet_id: id(1), filters })).await;
        match self.next().await {
            Some(Packet::SubAck(ack)) => ack.results[0],
            other => panic!("no SUBACK: {other:?}"),
        }
    }

    pub async fn publish(&mut self, topic: &str, delivery: Delivery, payload: &[u8]) {
        let payload = Bytes::copy_from_slice(payload);
        let topic = topic.to_owned();
        self.send(&Packet::Publish(Publish { topic, delivery, retain: false, payload })).await;
    }

    /// The next message, acknowledged.
    pub async fn message(&mut self) -> (String, Delivery, Value) {
        match self.next().await {
            Some(Packet::Publish(publish)) => {
                if let Some(id) = publish.delivery.packet_id() {
                    self.send(&Packet::PubAck(id)).await;
                }
                (publish.topic, publish.delivery, serde_json::from_slice(&publish.payload).unwrap())
            }
            other => panic!("no message: {other:?}"),
        }
    }
}

fn id(id: u16) -> PacketId {
    PacketId::new(id).unwrap()
}

pub fn once(packet: u16) -> Delivery {
    Delivery::AtLeastOnce { packet_id: id(packet), dup: false }
}

pub fn user(registration_id: &str) -> String {
    format!("{SCOPE}/registrations/{registration_id}/api-version=2019-03-31&ClientVersion=test%2F1")
}

pub fn greeting(user_name: &str, client_id: &str) -> Connect {
    Connect {
        protocol: Protocol::V311,
        clean_session: true,
        keep_alive: 60,
        client_id: client_id.to_owned(),
        will: None,
        user_name: Some(user_name.to_owned()),
        password: Some(Password::new(b"SharedAccessSignature sr=x".to_vec())),
    }
}

pub const REGISTER: &str = "$dps/registrations/PUT/iotdps-register/?$rid=";

pub fn poll(rid: &str, operation: &str) -> String {
    format!("$dps/registrations/GET/iotdps-get-operationstatus/?$rid={rid}&operationId={operation}")
}

#[tokio::test]
async fn python_conversation_register_poll_disconnect() {
    let server = Server::start().await;
    let stream = connect(server.mqtt, server.ca.client(&TLS12, None)).await.unwrap();
    let mut mqtt = Mqtt::new(stream);
    let connect = Connect { clean_session: false, ..greeting(&user("my.dev_01:a-b"), "my.dev_01:a-b") };
    assert_eq!(mqtt.greet(connect).await, 0);
    assert_eq!(mqtt.subscribe(QoS::AtLeastOnce).await, SubscribeResult::Granted(QoS::AtLeastOnce));
    let rid = "1d9d5a9c-5a8f-4d9b-8f39-0f2a3cb9a1d7";
    let body = br#"{"registrationId": "my.dev_01:a-b", "payload": null}"#;
    mqtt.publish(&format!("{REGISTER}{rid}"), once(2), body).await;
    // PUBACK stands before the response, on the wire.
    let mut first = [0; 5];
    mqtt.stream.read_exact(&mut first).await.unwrap();
    assert_eq!(first, [0x40, 0x02, 0x00, 0x02, 0x32]);
    mqtt.input.extend_from_slice(&first[4..]);
    let (topic, delivery, body) = mqtt.message().await;
    assert_eq!(topic, format!("$dps/registrations/res/202/?$rid={rid}&retry-after=3"));
    assert_eq!(delivery.qos(), QoS::AtLeastOnce);
    assert_eq!(body["status"], "assigning");
    let operation = body["operationId"].as_str().unwrap().to_owned();
    mqtt.publish(&poll("r2", &operation), once(3), b" ").await;
    assert_eq!(mqtt.next().await, Some(Packet::PubAck(id(3))));
    let (topic, _, body) = mqtt.message().await;
    assert_eq!(topic, "$dps/registrations/res/200/?$rid=r2");
    assert_eq!(body["registrationState"]["registrationId"], "my.dev_01:a-b");
    mqtt.send(&Packet::Disconnect).await;
    assert_eq!(mqtt.next().await, None);

    let [register, status] = &server.seen()[..] else { panic!("two requests") };
    assert_eq!((&*register.operation, &*status.operation), ("register", &*format!("status {operation}")));
    assert_eq!(register.client.as_deref(), Some("test/1"));
    assert_eq!(register.sas_token.as_deref(), Some("SharedAccessSignature sr=x"));
    assert_eq!((register.payload.as_deref(), register.api_version.as_deref()), (None, Some("2019-03-31")));
    assert!(server.stop().await.is_empty());
}

#[tokio::test]
async fn node_conversation_ends_with_unsuback() {
    let server = Server::start().await;
    let mut mqtt = Mqtt::ready(&server, "d").await;
    mqtt.publish(&format!("{REGISTER}a"), once(7), br#"{"registrationId":"d"}"#).await;
    assert_eq!(mqtt.next().await, Some(Packet::PubAck(id(7))));
    assert_eq!(mqtt.message().await.0, "$dps/registrations/res/202/?$rid=a&retry-after=3");
    mqtt.publish(&poll("b", PENDING), once(8), b" ").await;
    assert_eq!(mqtt.next().await, Some(Packet::PubAck(id(8))));
    assert_eq!(mqtt.message().await.0, "$dps/registrations/res/202/?$rid=b&retry-after=3");
    mqtt.send(&Packet::PingReq).await;
    assert_eq!(mqtt.next().await, Some(Packet::PingResp));
    let filters = vec!["$dps/registrations/res/#".to_owned()];
    mqtt.send(&Packet::Unsubscribe(Unsubscribe { packet_id: id(9), filters })).await;
    assert_eq!(mqtt.next().await, Some(Packet::UnsubAck(id(9))));
    mqtt.send(&Packet::Disconnect).await;
    assert_eq!(mqtt.next().await, None);
}

#[tokio::test]
async fn c_and_java_conversation_publishes_at_qos_0() {
    let server = Server::start().await;
    let mut mqtt = Mqtt::open(&server).await;
    let connect = Connect { keep_alive: 0, ..greeting(&user("d"), "d") };
    assert_eq!(mqtt.greet(connect).await, 0);
    mqtt.subscribe(QoS::AtLeastOnce).await;
    let body = br#"{"registrationId":"d"}"#;
    mqtt.publish(&format!("{REGISTER}1"), Delivery::AtMostOnce, body).await;
    assert_eq!(mqtt.message().await.0, "$dps/registrations/res/202/?$rid=1&retry-after=3");
    mqtt.publish(&poll("2", "5.x.y"), Delivery::AtMostOnce, body).await;
    assert_eq!(mqtt.message().await.0, "$dps/registrations/res/200/?$rid=2");
}

#[tokio::test]
async fn csharp_conversation_sends_empty_bodies() {
    let server = Server::start().await;
    let mut mqtt = Mqtt::ready(&server, "d").await;
    mqtt.publish(&format!("{REGISTER}2"), once(2), b"").await;
    assert_eq!(mqtt.next().await, Some(Packet::PubAck(id(2))));
    mqtt.message().await;
    mqtt.publish(&poll("3", "5.x.y"), once(3), b"").await;
    assert_eq!(mqtt.next().await, Some(Packet::PubAck(id(3))));
    assert_eq!(mqtt.message().await.0, "$dps/registrations/res/200/?$rid=3");
    // It acknowledges whatever it gets, and an acknowledgement of nothing harms nobody.
    mqtt.send(&Packet::PubAck(id(99))).await;
    mqtt.publish(&format!("{REGISTER}4"), once(4), br#"{"payload":{"a":1}}"#).await;
    assert_eq!(mqtt.next().await, Some(Packet::PubAck(id(4))));
    mqtt.message().await;
    assert_eq!(server.seen()[2].payload.as_deref(), Some(r#"{"a":1}"#));
}

#[tokio::test]
async fn requests_pipelined_answered_in_order() {
    let server = Server::start().await;
    let mut mqtt = Mqtt::ready(&server, "d").await;
    let mut bytes = BytesMut::new();
    for packet in 1..=50 {
        let topic = format!("{REGISTER}{packet}");
        let publish = Publish { topic, delivery: once(packet), retain: false, payload: Bytes::new() };
        encode(&Packet::Publish(publish), &mut bytes).unwrap();
    }
    mqtt.stream.write_all(&bytes).await.unwrap();
    for packet in 1..=50 {
        assert_eq!(mqtt.next().await, Some(Packet::PubAck(id(packet))));
        let (topic, ..) = mqtt.message().await;
        assert_eq!(topic, format!("$dps/registrations/res/202/?$rid={packet}&retry-after=3"));
    }
}

#[tokio::test]
async fn subscribe_other_filter_refused_and_qos_lowered() {
    let server = Server::start().await;
    let mut mqtt = Mqtt::open(&server).await;
    assert_eq!(mqtt.connect(&user("d"), "d").await, 0);
    for filter in ["#", "$dps/#", "devices/+/messages/devicebound/#"] {
        assert_eq!(mqtt.subscribe_to(filter, QoS::AtMostOnce).await, SubscribeResult::Failure, "{filter}");
    }
    assert_eq!(mqtt.subscribe(QoS::ExactlyOnce).await, SubscribeResult::Granted(QoS::AtLeastOnce));
    assert_eq!(mqtt.subscribe(QoS::AtMostOnce).await, SubscribeResult::Granted(QoS::AtMostOnce));
    mqtt.publish(&format!("{REGISTER}1"), once(1), b"").await;
    assert_eq!(mqtt.next().await, Some(Packet::PubAck(id(1))));
    assert_eq!(mqtt.message().await.1.qos(), QoS::AtMostOnce);
}

#[tokio::test]
async fn connect_decided_by_user_name_client_id_and_certificate() {
    let mut server = Server::start().await;
    let will = Will { topic: "a".into(), message: Bytes::new(), qos: QoS::AtMostOnce, retain: false };
    let tail = "api-version=2019-03-31";
    for (connect, code, why) in [
        (greeting(&user("D"), "d"), 0, ""),
        (greeting(&format!("{SCOPE}/registrations/d"), "d"), 0, ""),
        (greeting(&format!("{SCOPE}/registrations/d/api-version=1999-01-01"), "d"), 0, ""),
        (greeting(&format!("0neUNKNOWN/registrations/d/{tail}"), "d"), 3, "ID scope not found"),
        (greeting(&user("d"), "other"), 5, "client id"),
        (greeting("hub.example/d/?api-version=2021-04-12", "d"), 5, "not one that is served"),
        (greeting("", "d"), 5, "no user name"),
        (Connect { user_name: None, password: None, ..greeting("", "d") }, 5, "no user name"),
        (Connect { will: Some(will), ..greeting(&user("d"), "d") }, 5, "will"),
    ] {
        let claimed = connect.user_name.clone();
        let mut mqtt = Mqtt::open(&server).await;
        assert_eq!(mqtt.greet(connect).await, code, "{claimed:?}");
        if code != 0 {
            assert_eq!(mqtt.next().await, None, "closed after its CONNACK");
            let record = server.connection_event().await;
            assert_eq!((record.stage, record.claimed), ("connect", claimed));
            assert!(record.reason.contains(why), "{}", record.reason);
        }
    }
    for (common_name, code) in [("D", 0), ("other", 5)] {
        let device = Device::new(common_name, EC);
        let mut mqtt =
            Mqtt::new(connect(server.mqtt, server.ca.client(&TLS12, Some(&device))).await.unwrap());
        let without = Connect { password: None, ..greeting(&user("d"), "d") };
        assert_eq!(mqtt.greet(without).await, code);
        if code == 0 {
            mqtt.subscribe(QoS::AtLeastOnce).await;
            mqtt.publish(&format!("{REGISTER}1"), Delivery::AtMostOnce, b"").await;
            mqtt.message().await;
            let seen = server.seen().pop().unwrap();
            assert_eq!((seen.chain, seen.sas_token), (1, None));
        }
    }
    let record = server.connection_event().await;
    assert!(record.reason.contains("\"other\""), "{}", record.reason);
    assert!(server.stop().await.is_empty());
}

#[tokio::test]
async fn violation_names_the_device_that_it_is_of() {
    let mut server = Server::start().await;
    for topic in [&format!("{REGISTER}1"), "devices/d/messages/events/"] {
        let mut mqtt = Mqtt::open(&server).await;
        assert_eq!(mqtt.greet(greeting(&user("d"), "d")).await, 0);
        // Before it has subscribed, or where nothing is served.
        mqtt.publish(topic, Delivery::AtMostOnce, b"").await;
        assert_eq!(mqtt.next().await, None, "{topic}");
        let record = server.connection_event().await;
        let device = format!("{SCOPE}/registrations/d");
        assert_eq!((record.stage, record.claimed.as_deref()), ("protocol", Some(&*device)));
    }
    assert!(server.stop().await.is_empty());
}

#[tokio::test]
async fn connect_of_another_protocol_level_gets_connack_1() {
    let mut server = Server::start().await;
    for greeting in [
        &b"\x10\x0c\x00\x04MQTT\x05\x02\x00\x3c\x00\x00"[..],
        b"\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x00",
    ] {
        let mut mqtt = Mqtt::open(&server).await;
        mqtt.stream.write_all(greeting).await.unwrap();
        let mut answer = [0; 4];
        mqtt.stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, [0x20, 0x02, 0x00, 0x01]);
        assert_eq!(server.connection_event().await.stage, "connect");
    }
}

#[tokio::test]
async fn api_version_missing_filled_in_and_unknown_passed_on() {
    let server = Server::start().await;
    for (tail, expected) in
        [("", "2019-03-31"), ("/api-version=", "2019-03-31"), ("/api-version=1999-01-01", "1999-01-01")]
    {
        let mut mqtt = Mqtt::open(&server).await;
        assert_eq!(mqtt.connect(&format!("{SCOPE}/registrations/d{tail}"), "d").await, 0);
        mqtt.subscribe(QoS::AtLeastOnce).await;
        mqtt.publish(&format!("{REGISTER}1"), Delivery::AtMostOnce, b"").await;
        mqtt.message().await;
        assert_eq!(server.seen().pop().unwrap().api_version.as_deref(), Some(expected));
    }
}

#[tokio::test]
async fn failure_of_the_core_told_on_the_response_topic() {
    let server = Server::start().await;
    for (registration_id, topic, code) in [
        ("unauthorized", "$dps/registrations/res/401/?$rid=1", 401_000),
        ("throttled", "$dps/registrations/res/429/?$rid=1&retry-after=7", 429_001),
    ] {
        let mut mqtt = Mqtt::ready(&server, registration_id).await;
        mqtt.publish(&format!("{REGISTER}1"), once(1), b"").await;
        assert_eq!(mqtt.next().await, Some(Packet::PubAck(id(1))));
        let (told, _, body) = mqtt.message().await;
        assert_eq!((&*told, &body["errorCode"]), (topic, &Value::from(code)));
    }
    assert!(server.stop().await.is_empty(), "the core records what reaches it");
}

#[tokio::test]
async fn request_refused_at_the_door_told_on_the_topic_with_one_event() {
    let mut server = Server::start().await;
    let mut mqtt = Mqtt::ready(&server, "d").await;
    let large = vec![b' '; 96 * 1024 + 1];
    for (topic, payload, status, operation) in [
        (format!("{REGISTER}1"), &b"{\"payload\":"[..], 400, Operation::Register),
        (format!("{REGISTER}1"), &large, 413, Operation::Register),
        ("$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1".into(), b"", 400, Operation::Unrouted),
        ("$dps/registrations/PUT/other/?$rid=1".into(), b"", 400, Operation::Unrouted),
    ] {
        mqtt.publish(&topic, once(1), payload).await;
        assert_eq!(mqtt.next().await, Some(Packet::PubAck(id(1))));
        let (told, _, body) = mqtt.message().await;
        assert_eq!(told, format!("$dps/registrations/res/{status}/?$rid=1"));
        let record = server.attempt_event().await;
        assert_eq!(body["trackingId"], record.tracking_id.to_string());
        assert_eq!(record.operation, operation, "{topic}");
        assert_eq!((&*record.id_scope, &*record.registration_id), (SCOPE, "d"));
        assert!(matches!(record.outcome, Outcome::Failed { code, .. } if body["errorCode"] == code));
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn connection_of_a_hub_handed_on_with_what_came_behind_connect() {
    let server = Server::with(Fronts { devices: vec![Arc::new(Hub)], ..Fronts::default() }).await;
    let mut mqtt = Mqtt::open(&server).await;
    let mut bytes = BytesMut::new();
    let connect = greeting("hub.example/d/?api-version=2021-04-12", "d");
    encode(&Packet::Connect(Box::new(connect)), &mut bytes).unwrap();
    bytes.extend_from_slice(&[0xc0, 0x00, 0x30]);
    mqtt.stream.write_all(&bytes).await.unwrap();
    let mut answer = String::new();
    mqtt.stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "d Mqtt 3");
    assert!(server.stop().await.is_empty());
}
