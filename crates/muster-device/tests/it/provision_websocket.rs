//! MQTT through a WebSocket: the handshake as a hostile or plain server answers it, and the same conversation inside.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf as _, BytesMut};
use dps_wire::websocket::{Decoder, Opcode, Role, encode};
use muster_device::{BoxStream, Error, Transport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_rustls::server::TlsStream;

use crate::mqtt_peer::Peer;
use crate::pki::{Ca, leaf};
use crate::{ASSIGNED, ASSIGNING, DEVICE, HOST, client, key};

/// Reads the request's head.
async fn head(stream: &mut TlsStream<BoxStream>) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

fn accept(head: &str) -> String {
    let line = head.lines().find(|line| line.to_lowercase().starts_with("sec-websocket-key:")).unwrap();
    let key = line.split_once(':').unwrap().1.trim();
    assert_eq!(STANDARD.decode(key).unwrap().len(), 16);
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    STANDARD.encode(hash)
}

/// Agrees, and gives the bytes inside the frames; every byte comes in a frame of its own, pings between them.
pub async fn agree(mut stream: TlsStream<BoxStream>) -> (String, DuplexStream) {
    let head = head(&mut stream).await;
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nconnection: Upgrade\r\n\
         sec-websocket-accept: {}\r\nsec-websocket-protocol: mqtt\r\n\r\n",
        accept(&head)
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    tokio::spawn(async move {
        let (mut from, mut to) = tokio::io::split(stream);
        let (mut inside_from, mut inside_to) = tokio::io::split(theirs);
        let inward = async {
            let mut decoder = Decoder::new(Role::Server, 1 << 20);
            let mut piece = BytesMut::new();
            while from.read_buf(&mut piece).await.is_ok_and(|count| count > 0) {
                let decoded = decoder.decode(&mut piece);
                inside_to.write_all(&piece[..decoded.payload]).await.unwrap();
                piece.advance(piece.len());
                if decoded.end.is_some() {
                    break;
                }
            }
            inside_to.shutdown().await.unwrap();
        };
        let outward = async {
            let mut byte = [0];
            while inside_from.read_exact(&mut byte).await.is_ok() {
                let mut frames = BytesMut::new();
                encode(Opcode::Ping, b"?", None, &mut frames);
                encode(Opcode::Binary, &byte, None, &mut frames);
                if to.write_all(&frames).await.is_err() || to.flush().await.is_err() {
                    break;
                }
            }
        };
        tokio::join!(inward, outward);
    });
    (head, ours)
}

#[tokio::test]
async fn provision_websocket_speaks_mqtt_inside() {
    let ca = Ca::new();
    let listener = ca.listen(&[HOST]).await;
    let (attestation, certificate) = ca.device(DEVICE);
    let client = client(&ca, Transport::MqttWs, listener.port, attestation).build().unwrap();
    let serve = async {
        let stream = listener.accept().await.unwrap();
        assert_eq!(leaf(&stream), Some(certificate));
        let (head, inside) = agree(stream).await;
        let mut peer = Peer::on(inside);
        peer.welcome().await;
        let (request, _) = peer.request().await;
        peer.respond(&request, 202, Some(3), ASSIGNING).await;
        let (request, _) = peer.request().await;
        peer.respond(&request, 200, None, ASSIGNED).await;
        assert!(peer.left_in_good_order().await);
        head.to_lowercase()
    };
    let (assignment, head) = tokio::join!(client.provision(), serve);
    assert_eq!(assignment.unwrap().assigned_hub, "hub.test");
    assert!(head.starts_with("get /$iothub/websocket http/1.1\r\n"), "{head}");
    for line in [
        "upgrade: websocket",
        "connection: upgrade",
        "sec-websocket-version: 13",
        "sec-websocket-protocol: mqtt",
    ] {
        assert!(head.contains(line), "{line}: {head}");
    }
}

async fn refused(answer: impl Fn(&str) -> String) -> Error {
    let ca = Ca::new();
    let listener = ca.listen(&[HOST]).await;
    let client = client(&ca, Transport::MqttWs, listener.port, key()).build().unwrap();
    let serve = async {
        let mut stream = listener.accept().await.unwrap();
        let head = head(&mut stream).await;
        stream.write_all(answer(&head).as_bytes()).await.unwrap();
        stream.shutdown().await.ok();
        stream
    };
    let (result, _stream) = tokio::join!(client.provision(), serve);
    result.unwrap_err()
}

#[tokio::test]
async fn provision_websocket_refused_upgrade_is_read_as_any_refusal() {
    let error = refused(|_| {
        "HTTP/1.1 429 Too Many Requests\r\nretry-after: 17\r\ncontent-length: 26\r\n\r\n{\"message\":\"later, please\"}".into()
    })
    .await;
    assert!(matches!(error, Error::Refused { status: 429, retry_after: Some(17), .. }), "{error}");
    let error = refused(|_| "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".into()).await;
    assert!(matches!(error, Error::Refused { status: 200, .. }), "{error}");
}

#[tokio::test]
async fn provision_websocket_dishonest_upgrade_is_a_protocol_error() {
    let upgraded = |accept: &str, protocol: &str| {
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
             sec-websocket-accept: {accept}\r\nsec-websocket-protocol: {protocol}\r\n\r\n"
        )
    };
    for (error, word) in [
        (refused(|_| upgraded("AAAA", "mqtt")).await, "has not read its key"),
        (refused(|head| upgraded(&accept(head), "amqp")).await, "another sub-protocol"),
        (refused(|head| format!("{}\u{1}\u{2}", upgraded(&accept(head), "mqtt"))).await, ""),
        (refused(|_| "SSH-2.0-OpenSSH_9.2\r\n\r\n".into()).await, ""),
        (refused(|_| String::new()).await, ""),
    ] {
        assert!(matches!(&error, Error::Protocol(text) if text.contains(word)), "{word}: {error}");
    }
}
