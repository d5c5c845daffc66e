//! Peers that break rules, stall, or vanish: each gets its end and one event, and nobody else notices.

use std::time::Duration;

use dps_device_api::{Bounds, Fronts};
use dps_events::{Event, Outcome};
use dps_wire::mqtt::codec::encode;
use dps_wire::mqtt::packet::{Connect, Delivery, Packet, Publish, QoS};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::fixture::{SCOPE, Server, connect};
use crate::https::Http;
use crate::mqtt::{Mqtt, greeting, user};

/// A good device still gets its answer.
async fn assert_alive(server: &Server) {
    let mut http = Http::one(connect(server.https, server.plain()).await.unwrap()).await;
    assert_eq!(http.register("good").await.status(), 202);
    Mqtt::ready(server, "good").await;
}

#[tokio::test]
async fn garbage_instead_of_tls_refused_with_one_event() {
    let mut server = Server::start().await;
    for address in [server.https, server.mqtt, server.amqp] {
        let mut tcp = TcpStream::connect(address).await.unwrap();
        tcp.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut rest = Vec::new();
        // An alert, then the end (or a reset, for what we did not read).
        let _ = tcp.read_to_end(&mut rest).await;
        let record = server.connection_event().await;
        assert_eq!(record.stage, "handshake");
        assert!(record.reason.contains("handshake failed"), "{}", record.reason);
    }
    assert_alive(&server).await;
    assert!(server.stop().await.is_empty());
}

#[tokio::test]
async fn probe_that_leaves_without_a_word_is_no_event() {
    let server = Server::start().await;
    drop(TcpStream::connect(server.mqtt).await.unwrap());
    assert_alive(&server).await;
    assert!(server.stop().await.is_empty());
}

#[tokio::test]
async fn silent_peer_timed_out_on_every_port() {
    let mut server = Server::start().await;
    let mut held = Vec::new();
    for address in [server.https, server.mqtt, server.amqp] {
        held.push(TcpStream::connect(address).await.unwrap());
        // Half a record: the handshake has begun.
        let mut half = TcpStream::connect(address).await.unwrap();
        half.write_all(&[0x16, 0x03, 0x01, 0x02]).await.unwrap();
        held.push(half);
    }
    tokio::time::pause();
    for _ in &held {
        let record = server.connection_event().await;
        assert_eq!(record.stage, "handshake");
        assert!(record.reason.contains("15 seconds"), "{}", record.reason);
    }
    for mut tcp in held {
        assert_eq!(tcp.read(&mut [0]).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn mqtt_client_that_never_sends_connect_timed_out() {
    let mut server = Server::start().await;
    let mut silent = connect(server.mqtt, server.plain()).await.unwrap();
    let mut half = connect(server.mqtt, server.plain()).await.unwrap();
    half.write_all(b"\x10\x20\x00\x04MQ").await.unwrap();
    half.flush().await.unwrap();
    tokio::time::pause();
    for stream in [&mut silent, &mut half] {
        assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
        let record = server.connection_event().await;
        assert_eq!(record.stage, "connect");
        assert!(record.reason.contains("15 seconds"), "{}", record.reason);
    }
}

#[tokio::test]
async fn mqtt_client_silent_for_its_keep_alive_closed_quietly() {
    let server = Server::start().await;
    let mut mqtt = Mqtt::ready(&server, "d").await;
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    assert_eq!(mqtt.next().await, None);
    let waited = begun.elapsed();
    assert!(waited > Duration::from_secs(89) && waited < Duration::from_secs(91), "{waited:?}");
    tokio::time::resume();
    assert!(server.stop().await.is_empty());
}

#[tokio::test]
async fn mqtt_client_without_a_keep_alive_may_be_silent_for_days() {
    let server = Server::start().await;
    let mut mqtt = Mqtt::open(&server).await;
    assert_eq!(mqtt.greet(Connect { keep_alive: 0, ..greeting(&user("d"), "d") }).await, 0);
    tokio::time::pause();
    for _ in 0..3 {
        tokio::time::advance(Duration::from_hours(24)).await;
        mqtt.send(&Packet::PingReq).await;
        assert_eq!(mqtt.next().await, Some(Packet::PingResp));
    }
}

/// What a request is answered on a connection where the time stands still.
async fn exchange(stream: &mut TlsStream<TcpStream>, request: &[u8]) -> String {
    stream.write_all(request).await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test]
async fn http_connection_kept_between_requests_for_its_idle_time() {
    let server = Server::start().await;
    let request =
        format!("PUT /{SCOPE}/registrations/d/register HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
    let mut stream = connect(server.https, server.plain()).await.unwrap();
    assert!(exchange(&mut stream, request.as_bytes()).await.starts_with("HTTP/1.1 202 "));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(290)).await;
    assert!(exchange(&mut stream, request.as_bytes()).await.starts_with("HTTP/1.1 202 "));
    // A header that began has its own time, and silence the idle time.
    for (begun, patience) in [(&b""[..], 300), (&request.as_bytes()[..9], 15)] {
        let mut stream = connect(server.https, server.plain()).await.unwrap();
        assert!(exchange(&mut stream, request.as_bytes()).await.starts_with("HTTP/1.1 202 "));
        let since = tokio::time::Instant::now();
        stream.write_all(begun).await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
        let waited = since.elapsed().as_secs();
        assert!((patience - 1..=patience + 6).contains(&waited), "{waited} s instead of {patience} s");
    }
}

#[tokio::test]
async fn http_client_without_a_request_timed_out() {
    let mut server = Server::start().await;
    let mut h2 = server.plain();
    h2.alpn_protocols = vec![b"h2".to_vec()];
    let mut silent = connect(server.https, server.plain()).await.unwrap();
    let mut half = connect(server.https, server.plain()).await.unwrap();
    half.write_all(b"PUT /x HTTP/1.1\r\nhost:").await.unwrap();
    half.flush().await.unwrap();
    let mut two = connect(server.https, h2).await.unwrap();
    tokio::time::pause();
    for stream in [&mut silent, &mut half, &mut two] {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        let record = server.connection_event().await;
        assert_eq!(
            (record.stage, record.reason.contains("15 seconds")),
            ("protocol", true),
            "{}",
            record.reason
        );
    }
}

#[tokio::test]
async fn http_body_that_does_not_come_answered_and_closed() {
    let mut server = Server::start().await;
    let mut stream = connect(server.https, server.plain()).await.unwrap();
    let head =
        format!("PUT /{SCOPE}/registrations/d/register HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{{");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    tokio::time::pause();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&answer));
    server.attempt_event().await;
}

#[tokio::test]
async fn garbage_after_tls_refused_with_one_event() {
    let mut server = Server::start().await;
    for address in [server.https, server.mqtt, server.amqp] {
        let mut stream = connect(address, server.plain()).await.unwrap();
        stream.write_all(&[0xff; 64]).await.unwrap();
        stream.flush().await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert_eq!(server.connection_event().await.stage, "protocol");
    }
    assert_alive(&server).await;
    assert!(server.stop().await.is_empty());
}

#[tokio::test]
async fn broken_tls_after_the_handshake_refused_with_one_event() {
    let mut server = Server::start().await;
    let mut h2 = server.plain();
    h2.alpn_protocols = vec![b"h2".to_vec()];
    for (address, config) in
        [(server.https, h2.clone()), (server.https, server.plain()), (server.mqtt, server.plain())]
    {
        let mut stream = connect(address, config).await.unwrap();
        // Its session ticket says that the server has done its part of the handshake too.
        stream.get_ref().0.peek(&mut [0]).await.unwrap();
        stream.get_mut().0.write_all(&[0xff; 64]).await.unwrap();
        let record = server.connection_event().await;
        assert_eq!(record.stage, "protocol", "{}", record.reason);
    }
    let mut stream = connect(server.https, h2).await.unwrap();
    stream.write_all(&[0xff; 64]).await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(server.connection_event().await.stage, "protocol");
    // One that leaves in good order, or just leaves, is none.
    drop(connect(server.https, server.plain()).await.unwrap());
    connect(server.mqtt, server.plain()).await.unwrap().shutdown().await.unwrap();
    assert_alive(&server).await;
    assert!(server.stop().await.is_empty());
}

#[tokio::test]
async fn mqtt_violations_close_with_one_event() {
    let mut server = Server::start().await;
    let topic = "$dps/registrations/PUT/iotdps-register/?$rid=1";
    let publish = |topic: &str, delivery, retain| {
        Packet::Publish(Publish { topic: topic.to_owned(), delivery, retain, payload: bytes::Bytes::new() })
    };
    let packet_id = std::num::NonZeroU16::MIN;
    let exactly = Delivery::ExactlyOnce { packet_id, dup: false };
    for (packet, why) in [
        (publish(topic, Delivery::AtMostOnce, true), "retained"),
        (publish(topic, exactly, false), "quality of service 2"),
        (publish("devices/d/messages/events/", Delivery::AtMostOnce, false), "not one that is served"),
        (publish("$dps/registrations/PUT/iotdps-register/", Delivery::AtMostOnce, false), ""),
        (Packet::PubRel(packet_id), "nothing was sent"),
    ] {
        let mut mqtt = Mqtt::ready(&server, "d").await;
        mqtt.send(&packet).await;
        assert_eq!(mqtt.next().await, None, "{why}");
        let record = server.connection_event().await;
        assert_eq!(record.stage, "protocol");
        assert!(record.reason.contains(why), "{}", record.reason);
    }
    // An announced packet that is too large is refused from its first bytes.
    let mut mqtt = Mqtt::ready(&server, "d").await;
    mqtt.stream.write_all(&[0x30, 0xff, 0xff, 0x7f]).await.unwrap();
    assert_eq!(mqtt.next().await, None);
    assert!(server.connection_event().await.reason.contains("at most"));
    // A request that nobody would hear the answer of.
    let mut mqtt = Mqtt::open(&server).await;
    assert_eq!(mqtt.connect(&user("d"), "d").await, 0);
    mqtt.publish(topic, Delivery::AtMostOnce, b"").await;
    assert_eq!(mqtt.next().await, None);
    assert!(server.connection_event().await.reason.contains("subscribe"));
    assert!(server.seen().is_empty());
    assert_alive(&server).await;
}

#[tokio::test]
async fn panic_in_one_connection_harms_no_other() {
    let server = Server::start().await;
    let mut mqtt = Mqtt::ready(&server, "panic").await;
    mqtt.publish("$dps/registrations/PUT/iotdps-register/?$rid=1", Delivery::AtMostOnce, b"").await;
    assert_eq!(mqtt.next().await, None);
    assert_alive(&server).await;
}

/// Requests that are answered at the door, as bytes.
fn requests(count: u32) -> bytes::BytesMut {
    let mut bytes = bytes::BytesMut::new();
    for rid in 0..count {
        let topic = format!("$dps/registrations/PUT/other/?$rid={rid:0>250}");
        let payload = bytes::Bytes::new();
        let publish = Publish { topic, delivery: Delivery::AtMostOnce, retain: false, payload };
        encode(&Packet::Publish(publish), &mut bytes).unwrap();
    }
    bytes
}

/// The next event of a connection, past those of its requests.
async fn end_of_connection(server: &mut Server) -> String {
    loop {
        if let Event::Connection(record) = server.event().await {
            return record.reason;
        }
    }
}

#[tokio::test]
async fn client_that_acknowledges_nothing_is_cut() {
    let mut server = Server::start().await;
    let mut mqtt = Mqtt::ready(&server, "d").await;
    mqtt.stream.write_all(&requests(100)).await.unwrap();
    let reason = end_of_connection(&mut server).await;
    assert!(reason.contains("PUBACK"), "{reason}");
}

#[tokio::test]
async fn client_that_does_not_read_is_cut() {
    let mut server = Server::start().await;
    let mut mqtt = Mqtt::open(&server).await;
    assert_eq!(mqtt.connect(&user("d"), "d").await, 0);
    mqtt.subscribe(QoS::AtMostOnce).await;
    tokio::time::pause();
    let requests = requests(100);
    // Until the buffers of both directions are full and the server's patience has ended.
    while mqtt.stream.write_all(&requests).await.is_ok() {}
    let reason = end_of_connection(&mut server).await;
    assert!(reason.contains("does not read"), "{reason}");
}

#[tokio::test]
async fn connections_beyond_the_bound_closed_at_once() {
    let bounds = Bounds { connections: 1, ..Bounds::default() };
    let mut server = Server::bounded(Fronts::default(), bounds).await;
    let mut first = Mqtt::ready(&server, "d").await;
    let mut second = TcpStream::connect(server.https).await.unwrap();
    assert_eq!(second.read(&mut [0]).await.unwrap_or(0), 0);
    assert_eq!(server.connection_event().await.stage, "accept");
    first.send(&Packet::PingReq).await;
    assert_eq!(first.next().await, Some(Packet::PingResp));
}

#[tokio::test]
async fn handshakes_that_stall_give_way_to_others() {
    let bounds = Bounds { handshakes: 1, ..Bounds::default() };
    let mut server = Server::bounded(Fronts::default(), bounds).await;
    let mut stalled = TcpStream::connect(server.mqtt).await.unwrap();
    stalled.write_all(&[0x16, 0x03, 0x01, 0x02]).await.unwrap();
    tokio::time::pause();
    Mqtt::ready(&server, "good").await;
    let record = server.connection_event().await;
    assert!(record.reason.contains("gave way"), "{}", record.reason);
}

#[tokio::test]
async fn http_client_that_leaves_in_its_body_has_one_event() {
    let mut server = Server::start().await;
    let mut stream = connect(server.https, server.plain()).await.unwrap();
    let head =
        format!("PUT /{SCOPE}/registrations/d/register HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{{");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    drop(stream);
    let record = server.attempt_event().await;
    assert_eq!((&*record.registration_id, record.outcome == Outcome::Success), ("d", false));
    assert!(server.stop().await.is_empty());
}

#[tokio::test]
async fn shutdown_drains_and_closes_idle_connections() {
    let server = Server::start().await;
    let mut mqtt = Mqtt::ready(&server, "d").await;
    let mut stream = connect(server.https, server.plain()).await.unwrap();
    let address = server.mqtt;
    assert!(server.stop().await.is_empty());
    assert_eq!(mqtt.next().await, None);
    assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn shutdown_lets_a_request_in_progress_end() {
    let server = Server::start().await;
    let mut http = Http::one(connect(server.https, server.plain()).await.unwrap()).await;
    let request = tokio::spawn(async move { http.register("slow").await.status() });
    server.busy().await;
    server.stop_while_busy();
    assert_eq!(request.await.unwrap(), 202);
    server.stop().await;

    let server = Server::start().await;
    let mut mqtt = Mqtt::ready(&server, "slow").await;
    mqtt.publish("$dps/registrations/PUT/iotdps-register/?$rid=1", Delivery::AtMostOnce, b"").await;
    server.busy().await;
    server.stop_while_busy();
    assert_eq!(mqtt.message().await.0, "$dps/registrations/res/202/?$rid=1&retry-after=3");
    assert_eq!(mqtt.next().await, None);
    server.stop().await;
}
