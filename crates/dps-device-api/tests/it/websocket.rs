//! MQTT and AMQP over WebSocket: an independent client, and frames made by hand.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use dps_device_api::Fronts;
use dps_events::{Event, Operation, Outcome};
use dps_model::Protocol;
use dps_wire::mqtt::codec::encode;
use dps_wire::mqtt::packet::{Delivery, Packet, QoS};
use futures_util::{SinkExt, StreamExt};
use rustls::version::TLS12;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error as ClientError, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::amqp_sdks::{NODE, check_answers, play};
use crate::fixture::{SCOPE, Server, connect};
use crate::https::Http;
use crate::hub::Hub;
use crate::mqtt::{Mqtt, REGISTER, greeting, once, poll, user};
use crate::pki::{Device, EC};

type Tls = TlsStream<TcpStream>;

const PATH: &str = "/$iothub/websocket";
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// The independent client's handshake: the WebSocket, and the sub-protocol that was chosen.
async fn dial(stream: Tls, path: &str, offered: &str) -> Result<(WebSocketStream<Tls>, String), ClientError> {
    let mut request = format!("wss://localhost{path}").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", offered.parse().unwrap());
    let (socket, response) = client_async(request, stream).await?;
    let chosen = response.headers()["sec-websocket-protocol"].to_str().unwrap().to_owned();
    Ok((socket, chosen))
}

/// A byte stream over a WebSocket, in messages of that size, and the close code that it ends with.
fn stream<S>(mut socket: WebSocketStream<S>, size: usize) -> (DuplexStream, JoinHandle<Option<CloseCode>>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (near, mut far) = tokio::io::duplex(256 * 1024);
    let pump = tokio::spawn(async move {
        let mut piece = vec![0; size];
        let mut writing = true;
        loop {
            tokio::select! {
                read = far.read(&mut piece), if writing => match read {
                    Ok(count @ 1..) => {
                        socket.send(Message::Binary(Bytes::copy_from_slice(&piece[..count]))).await.ok()?;
                    }
                    _ => writing = false,
                },
                message = socket.next() => match message?.ok()? {
                    Message::Binary(bytes) => far.write_all(&bytes).await.ok()?,
                    Message::Close(frame) => {
                        // The answer leaves while the end is awaited.
                        while socket.next().await.is_some() {}
                        return frame.map(|frame| frame.code);
                    }
                    Message::Ping(_) | Message::Pong(_) => {}
                    other => panic!("not bytes: {other:?}"),
                },
            }
        }
    });
    (near, pump)
}

async fn open(server: &Server, size: usize) -> (Mqtt<DuplexStream>, JoinHandle<Option<CloseCode>>) {
    let tls = connect(server.https, server.plain()).await.unwrap();
    let (socket, _) = dial(tls, PATH, "mqtt").await.unwrap();
    let (near, pump) = stream(socket, size);
    (Mqtt::new(near), pump)
}

/// Frames by hand.
struct Raw(Tls);

impl Raw {
    /// After the handshake; what is given follows it in the same record.
    async fn open(server: &Server, behind: &[u8]) -> Self {
        let mut raw = Self(connect(server.https, server.plain()).await.unwrap());
        let (head, _) = raw.ask(&handshake("mqtt"), behind).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.to_lowercase().contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
        raw
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// Sends a request by hand; gives the head of the answer and its body.
    async fn ask(&mut self, request: &str, behind: &[u8]) -> (String, Vec<u8>) {
        self.send(&[request.as_bytes(), behind].concat()).await;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).await.unwrap();
        (head, body)
    }

    /// The next frame of the server: its first byte and its data. `None` at the end.
    async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let first = self.0.read_u8().await.ok()?;
        let length = match self.0.read_u8().await.ok()? {
            126 => usize::from(self.0.read_u16().await.ok()?),
            length => usize::from(length),
        };
        assert!(!(0x7e..=0x80).contains(&length), "longer than these tests make it, or masked");
        let mut data = vec![0; length];
        self.0.read_exact(&mut data).await.ok()?;
        Some((first, data))
    }
}

fn handshake(subprotocol: &str) -> String {
    format!(
        "GET {PATH} HTTP/1.1\r\nHost: localhost\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {subprotocol}\r\n\r\n"
    )
}

/// A client's frame.
fn frame(first: u8, data: &[u8]) -> Vec<u8> {
    let mask = [0xa1, 0x02, 0x7f, 0x10];
    let mut frame = vec![first];
    if let Ok(length) = u8::try_from(data.len())
        && length < 126
    {
        frame.push(0x80 | length);
    } else {
        frame.push(0xfe);
        frame.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
    }
    frame.extend_from_slice(&mask);
    frame.extend(data.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

fn packets(packets: &[Packet]) -> BytesMut {
    let mut bytes = BytesMut::new();
    for packet in packets {
        encode(packet, &mut bytes).unwrap();
    }
    bytes
}

fn hello(id: &str) -> Packet {
    Packet::Connect(Box::new(greeting(&user(id), id)))
}

#[tokio::test]
async fn subprotocol_found_in_any_case_and_place_on_any_path() {
    let server = Server::start().await;
    for (path, offered, chosen) in [
        (PATH, "mqtt", "mqtt"),
        ("/", "MQTT", "MQTT"),
        ("/mqtt", "Mqtt,mqttv3.1", "Mqtt"),
        ("/devices/x?iothub-no-client-cert=true", "chat, mqtt", "mqtt"),
        (&format!("/{SCOPE}/registrations/d/register"), "mQtT, mqtt", "mQtT"),
    ] {
        let tls = connect(server.https, server.plain()).await.unwrap();
        let (socket, echoed) = dial(tls, path, offered).await.unwrap();
        assert_eq!(echoed, chosen, "{path}");
        let (near, pump) = stream(socket, 4096);
        let mut mqtt = Mqtt::new(near);
        assert_eq!(mqtt.connect(&user("d"), "d").await, 0);
        mqtt.send(&Packet::Disconnect).await;
        assert_eq!(mqtt.next().await, None);
        assert_eq!(pump.await.unwrap(), Some(CloseCode::Normal));
    }
    // In two headers instead of one list.
    let mut raw = Raw(connect(server.https, server.plain()).await.unwrap());
    let (head, _) = raw.ask(&handshake("other\r\nsec-websocket-protocol: MQTT"), b"").await;
    assert!(head.contains("\r\nSec-Websocket-Protocol: MQTT\r\n"), "{head}");
    // One that leaves without a word is no event.
    drop(raw);
    assert!(server.stop().await.is_empty());
}

#[tokio::test]
async fn conversation_is_that_of_the_mqtt_port_whatever_the_frames() {
    let server = Server::start().await;
    for size in [1, 3, 4096] {
        let (mut mqtt, pump) = open(&server, size).await;
        assert_eq!(mqtt.connect(&user("d"), "d").await, 0);
        mqtt.subscribe(QoS::AtLeastOnce).await;
        mqtt.publish(&format!("{REGISTER}1"), once(2), br#"{"registrationId":"d"}"#).await;
        assert!(matches!(mqtt.next().await, Some(Packet::PubAck(_))));
        let (topic, _, body) = mqtt.message().await;
        assert_eq!(topic, "$dps/registrations/res/202/?$rid=1&retry-after=3");
        assert_eq!(body["status"], "assigning");
        mqtt.publish(&poll("2", "5.x.y"), Delivery::AtMostOnce, b" ").await;
        assert_eq!(mqtt.message().await.0, "$dps/registrations/res/200/?$rid=2");
        mqtt.send(&Packet::Disconnect).await;
        assert_eq!(mqtt.next().await, None);
        assert_eq!(pump.await.unwrap(), Some(CloseCode::Normal));
        let seen = server.seen();
        assert_eq!(seen.len(), 2);
        assert!(seen.iter().all(|seen| seen.protocol == Protocol::MqttWs));
        assert_eq!(seen[0].sni.as_deref(), Some("localhost"));
    }
    assert!(server.stop().await.is_empty());
}

#[tokio::test]
async fn large_request_in_many_frames_and_in_one_refused_alike() {
    let mut server = Server::start().await;
    for size in [1000, 200_000] {
        let (mut mqtt, _pump) = open(&server, size).await;
        assert_eq!(mqtt.connect(&user("d"), "d").await, 0);
        mqtt.subscribe(QoS::AtLeastOnce).await;
        mqtt.publish(&format!("{REGISTER}1"), Delivery::AtMostOnce, &vec![b' '; 96 * 1024 + 1]).await;
        let (topic, _, body) = mqtt.message().await;
        assert_eq!(topic, "$dps/registrations/res/413/?$rid=1");
        let record = server.attempt_event().await;
        assert_eq!(body["trackingId"], record.tracking_id.to_string());
        assert_eq!(record.protocol, Protocol::MqttWs);
    }
}

#[tokio::test]
async fn client_certificate_of_the_handshake_is_the_devices() {
    let server = Server::start().await;
    let device = Device::new("d", EC);
    let tls = connect(server.https, server.ca.client(&TLS12, Some(&device))).await.unwrap();
    let (near, _pump) = stream(dial(tls, PATH, "mqtt").await.unwrap().0, 4096);
    let mut mqtt = Mqtt::new(near);
    let without = dps_wire::mqtt::packet::Connect { password: None, ..greeting(&user("d"), "d") };
    assert_eq!(mqtt.greet(without).await, 0);
    mqtt.subscribe(QoS::AtLeastOnce).await;
    mqtt.publish(&format!("{REGISTER}1"), Delivery::AtMostOnce, b"").await;
    mqtt.message().await;
    let seen = server.seen().pop().unwrap();
    assert_eq!((seen.chain, seen.sas_token, seen.protocol), (1, None, Protocol::MqttWs));
}

#[tokio::test]
async fn several_packets_in_one_frame_behind_the_handshake_answered() {
    let server = Server::start().await;
    let mut raw = Raw::open(&server, &frame(0x82, &packets(&[hello("d"), Packet::PingReq]))).await;
    assert_eq!(raw.next().await, Some((0x82, b"\x20\x02\x00\x00".to_vec())));
    assert_eq!(raw.next().await, Some((0x82, b"\xd0\x00".to_vec())));
    raw.send(&frame(0x88, b"\x0f\xa0done")).await;
    assert_eq!(raw.next().await, Some((0x88, b"\x0f\xa0".to_vec())), "the code comes back");
    assert_eq!(raw.next().await, None);
    assert!(server.stop().await.is_empty(), "the peer closed");
}

#[tokio::test]
async fn fragments_with_pings_between_them_are_one_stream() {
    let server = Server::start().await;
    let mut raw = Raw::open(&server, b"").await;
    let hello = packets(&[hello("d")]);
    let (one, two) = hello.split_at(7);
    for part in [frame(0x02, one), frame(0x89, b"ping"), frame(0x00, b"")] {
        for byte in part {
            raw.send(&[byte]).await;
        }
    }
    assert_eq!(raw.next().await, Some((0x8a, b"ping".to_vec())));
    raw.send(&frame(0x80, two)).await;
    assert_eq!(raw.next().await, Some((0x82, b"\x20\x02\x00\x00".to_vec())));
    // A pong that nobody asked for is no word at all (§5.5.3).
    raw.send(&frame(0x8a, b"here")).await;
    raw.send(&frame(0x82, &packets(&[Packet::PingReq]))).await;
    assert_eq!(raw.next().await, Some((0x82, b"\xd0\x00".to_vec())));
    raw.send(&frame(0x88, b"")).await;
    assert_eq!(raw.next().await, Some((0x88, vec![])), "no code gets none");
    assert_eq!(raw.next().await, None);
}

#[tokio::test]
async fn hostile_frames_closed_with_their_code_and_one_event() {
    let mut server = Server::start().await;
    let text = frame(0x81, b"hello");
    for (bytes, code, why) in [
        (&b"\x82\x02\xc0\x00"[..], 1002, "not masked"),
        (b"\xc2\x80\0\0\0\0", 1002, "reserved bit"),
        (b"\x83\x80\0\0\0\0", 1002, "unknown opcode"),
        (b"\x89\xfe\x00\x7e\0\0\0\0", 1002, "longer than 125"),
        (b"\x09\x80\0\0\0\0", 1002, "fragmented"),
        (b"\x80\x80\0\0\0\0", 1002, "continues nothing"),
        (b"\x82\xff\0\0\0\0\0\x10\0\x01\0\0\0\0", 1009, "more than 1048576 bytes"),
        (b"\x82\xff\xff\0\0\0\0\0\0\0\0\0\0\0", 1002, "shortest form"),
        (b"\x88\x81\0\0\0\0\x03", 1002, "no valid code"),
        (&text, 1003, "text"),
    ] {
        for ready in [false, true] {
            let mut raw = Raw::open(&server, b"").await;
            if ready {
                raw.send(&frame(0x82, &packets(&[hello("d")]))).await;
                raw.next().await;
            }
            raw.send(bytes).await;
            assert_eq!(raw.next().await, Some((0x88, u16::to_be_bytes(code).to_vec())), "{why}");
            raw.send(&frame(0x88, &u16::to_be_bytes(code))).await;
            drop(raw);
            let record = server.connection_event().await;
            assert_eq!((record.stage, record.protocol), ("protocol", Protocol::MqttWs));
            assert!(record.reason.contains(why), "{}", record.reason);
        }
    }
    // MQTT's own rules hold inside.
    let mut raw = Raw::open(&server, &frame(0x82, &[0xff; 64])).await;
    assert_eq!(raw.next().await, Some((0x88, b"\x03\xe8".to_vec())));
    drop(raw);
    assert_eq!(server.connection_event().await.protocol, Protocol::MqttWs);
    assert!(server.stop().await.is_empty());
}

#[tokio::test]
async fn connect_refused_in_mqtts_words_then_closed() {
    let mut server = Server::start().await;
    let (mut mqtt, pump) = open(&server, 4096).await;
    assert_eq!(mqtt.connect("0neUNKNOWN/registrations/d/api-version=2019-03-31", "d").await, 3);
    assert_eq!(mqtt.next().await, None);
    assert_eq!(pump.await.unwrap(), Some(CloseCode::Normal));
    let record = server.connection_event().await;
    assert_eq!((record.stage, record.protocol), ("connect", Protocol::MqttWs));
}

#[tokio::test]
async fn connection_of_a_hub_handed_on_as_mqtt_over_websocket() {
    let server = Server::with(Fronts { devices: vec![Arc::new(Hub)], ..Fronts::default() }).await;
    let connect = Packet::Connect(Box::new(greeting("hub.example/d/?api-version=2021-04-12", "d")));
    let behind = packets(&[connect, Packet::PingReq]);
    let mut raw = Raw::open(&server, &frame(0x82, &behind)).await;
    assert_eq!(raw.next().await, Some((0x82, b"d MqttWs 2".to_vec())));
    assert_eq!(raw.next().await, Some((0x88, b"\x03\xe8".to_vec())));
    drop(raw);
    assert!(server.stop().await.is_empty());
}

#[tokio::test]
async fn amqp_served_over_websocket_in_pieces() {
    let server = Server::start().await;
    let tls = connect(server.https, server.plain()).await.unwrap();
    let (socket, echoed) = dial(tls, PATH, "amqpwsb10").await.unwrap();
    assert_eq!(echoed, "amqpwsb10");
    let (mut near, pump) = stream(socket, 5);
    check_answers(&play(&mut near, NODE).await, true);
    assert!(server.seen().iter().all(|seen| seen.protocol == Protocol::AmqpWs));
    drop(near);
    assert_eq!(pump.await.unwrap(), Some(CloseCode::Normal));
    assert!(server.stop().await.is_empty());
}

#[tokio::test]
async fn handshake_that_is_none_refused_with_one_event_and_the_connection_kept() {
    let mut server = Server::start().await;
    let good = handshake("mqtt");
    let mut raw = Raw(connect(server.https, server.plain()).await.unwrap());
    for (request, status, why) in [
        (handshake("chat"), 400, "No sub-protocol is offered of: mqtt, AMQPWSB10."),
        (good.replace("Sec-WebSocket-Protocol: mqtt\r\n", ""), 400, "No sub-protocol"),
        (good.replace(KEY, "c2hvcnQ="), 400, "16 bytes"),
        (good.replace(&format!("Sec-WebSocket-Key: {KEY}\r\n"), ""), 400, "16 bytes"),
        (good.replace(KEY, &format!("{KEY}\r\nSec-WebSocket-Key: {KEY}")), 400, "16 bytes"),
        (good.replace("Version: 13", "Version: 8"), 400, "not 13"),
        (good.replace("GET", "PUT"), 405, ""),
        (good.replace("Host:", "Content-Length: 2\r\nHost:") + "{}", 400, "without a body"),
    ] {
        let (head, body) = raw.ask(&request, b"").await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert!(head.contains("Sec-Websocket-Version: 13"), "{head}");
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert!(body["message"].as_str().unwrap().contains(why), "{body}");
        let record = server.attempt_event().await;
        assert_eq!(body["trackingId"], record.tracking_id.to_string());
        assert_eq!(record.operation, Operation::Unrouted);
        assert!(matches!(record.outcome, Outcome::Failed { code, .. } if body["errorCode"] == code));
    }
    // Without `Connection: upgrade` it is a request like any other.
    let (head, _) = raw.ask(&good.replace("keep-alive, Upgrade", "keep-alive"), b"").await;
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
    server.attempt_event().await;
    let (head, _) = raw.ask(&good, b"").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
}

#[tokio::test]
async fn websocket_over_http2_is_not_offered_and_its_connect_refused() {
    let server = Server::start().await;
    let mut config = server.plain();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let mut stream = connect(server.https, config.clone()).await.unwrap();
    let mut headers = Vec::new();
    for (name, value) in [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", PATH),
        ("sec-websocket-protocol", "mqtt"),
    ] {
        // A literal that is not indexed, with a new name (RFC 7541 §6.2.2).
        headers.push(0);
        for text in [name, value] {
            headers.push(u8::try_from(text.len()).unwrap());
            headers.extend_from_slice(text.as_bytes());
        }
    }
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    bytes.extend_from_slice(&[0, 0, u8::try_from(headers.len()).unwrap(), 1, 4, 0, 0, 0, 1]);
    bytes.extend_from_slice(&headers);
    bytes.extend_from_slice(b"\0\0\x08\x06\0\0\0\0\0stillup?");
    stream.write_all(&bytes).await.unwrap();
    stream.flush().await.unwrap();
    let (mut reset, mut alive) = (false, false);
    // The stream is refused, and the connection serves on.
    while !alive || !reset {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let mut payload = vec![0; usize::from(head[2])];
        stream.read_exact(&mut payload).await.unwrap();
        match head[3] {
            // HEADERS, RST_STREAM, the answer to PING, SETTINGS.
            1 => panic!("the stream is answered: {payload:?}"),
            3 => reset = true,
            6 => alive = payload == b"stillup?",
            4 => assert!(!payload.chunks(6).any(|setting| setting.starts_with(&[0, 8])), "{payload:?}"),
            _ => {}
        }
    }
    assert!(server.seen().is_empty());
    let mut http = Http::two(connect(server.https, config).await.unwrap()).await;
    assert_eq!(http.register("d").await.status(), 202);
}

#[tokio::test]
async fn websocket_without_connect_timed_out_pings_or_not() {
    let mut server = Server::start().await;
    let mut raw = Raw::open(&server, &frame(0x89, b"")).await;
    assert_eq!(raw.next().await, Some((0x8a, vec![])));
    tokio::time::pause();
    assert_eq!(raw.next().await, Some((0x88, b"\x03\xe8".to_vec())));
    drop(raw);
    let record = server.connection_event().await;
    assert_eq!((record.stage, record.protocol), ("connect", Protocol::MqttWs));
    assert!(record.reason.contains("15 seconds"), "{}", record.reason);
}

#[tokio::test]
async fn peer_that_pings_and_does_not_read_is_cut() {
    let mut server = Server::start().await;
    let mut raw = Raw::open(&server, &frame(0x82, &packets(&[hello("d")]))).await;
    raw.next().await;
    // Both kinds: of the WebSocket's pings the last of many is answered, of MQTT's each.
    let pings = [frame(0x89, &[7; 125]), frame(0x82, &packets(&[Packet::PingReq]).repeat(1000))].concat();
    tokio::time::pause();
    while raw.0.write_all(&pings).await.is_ok() {}
    let record = server.connection_event().await;
    assert!(record.reason.contains("does not read"), "{}", record.reason);
    assert_eq!(record.protocol, Protocol::MqttWs);
}

#[tokio::test]
async fn peer_that_ignores_the_close_is_not_waited_for() {
    let server = Server::start().await;
    let mut raw = Raw::open(&server, &frame(0x82, &packets(&[hello("d"), Packet::Disconnect]))).await;
    assert_eq!(raw.next().await, Some((0x82, b"\x20\x02\x00\x00".to_vec())));
    assert_eq!(raw.next().await, Some((0x88, b"\x03\xe8".to_vec())));
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    assert_eq!(raw.next().await, None);
    assert!(begun.elapsed() < std::time::Duration::from_secs(3));
    assert!(server.stop().await.is_empty());
}

#[tokio::test]
async fn shutdown_closes_websockets_in_good_order() {
    let server = Server::start().await;
    let (mut mqtt, pump) = open(&server, 4096).await;
    assert_eq!(mqtt.connect(&user("d"), "d").await, 0);
    let left = server.stop().await;
    assert!(!left.iter().any(|event| matches!(event, Event::Connection(_))), "{left:?}");
    assert_eq!(pump.await.unwrap(), Some(CloseCode::Normal));
    assert_eq!(mqtt.next().await, None);
}
