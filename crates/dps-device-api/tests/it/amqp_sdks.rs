//! Conversations over AMQP, byte for byte as the SDKs lead them.

use bytes::BytesMut;
use dps_model::Protocol;
use dps_wire::amqp::frame::{Frame, ProtocolHeader, decode_sasl};
use dps_wire::amqp::message::{Body, Message};
use dps_wire::amqp::performative::{DeliveryState, Disposition, Performative, Sasl, SaslCode};
use dps_wire::amqp::value::Value;
use rustls::version::{TLS12, TLS13};
use serde_json::Value as Json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::fixture::{BLOB, Seen, Server, connect};
use crate::pki::{Device, EC};

pub const NODE: &str = include_str!("../../../dps-wire/tests/it/amqp/conversations/node.txt");
const C: &str = include_str!("../../../dps-wire/tests/it/amqp/conversations/c.txt");
const C_TPM: &str = include_str!("../../../dps-wire/tests/it/amqp/conversations/c_tpm.txt");
const CSHARP: &str = include_str!("../../../dps-wire/tests/it/amqp/conversations/csharp.txt");
const JAVA: &str = include_str!("../../../dps-wire/tests/it/amqp/conversations/java.txt");

/// What a server said in a whole conversation.
pub struct Heard {
    sasl: Vec<Sasl>,
    frames: Vec<Frame>,
}

impl Heard {
    pub fn answers(&self) -> Vec<Message> {
        let transfers =
            self.frames.iter().filter(|frame| matches!(frame.performative, Some(Performative::Transfer(_))));
        transfers.map(|frame| Message::decode(&frame.payload).unwrap()).collect()
    }

    fn accepted(&self) -> usize {
        let accepted = |frame: &&Frame| {
            matches!(
                frame.performative,
                Some(Performative::Disposition(Disposition {
                    state: Some(DeliveryState::Accepted),
                    settled: true,
                    ..
                }))
            )
        };
        self.frames.iter().filter(accepted).count()
    }
}

/// Says all that the client of a recorded conversation says, and listens to the end.
pub async fn play<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, script: &str) -> Heard {
    for line in script.lines().filter_map(|line| line.strip_prefix("C ")) {
        let digits: Vec<u8> =
            line.chars().map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap()).collect();
        let bytes: Vec<u8> = digits.chunks(2).map(|pair| (pair[0] << 4) | pair[1]).collect();
        stream.write_all(&bytes).await.unwrap();
        stream.flush().await.unwrap();
    }
    listen(stream).await
}

async fn listen<S: AsyncRead + Unpin>(stream: &mut S) -> Heard {
    let mut came = Vec::new();
    let _ = stream.read_to_end(&mut came).await;
    let mut came = BytesMut::from(&came[..]);
    let mut heard = Heard { sasl: Vec::new(), frames: Vec::new() };
    if ProtocolHeader::decode(&mut came) == Some(ProtocolHeader::Sasl) {
        while !came.is_empty() && !came.starts_with(b"AMQP") {
            heard.sasl.push(decode_sasl(&mut came).unwrap().unwrap());
        }
        if !came.is_empty() {
            assert_eq!(ProtocolHeader::decode(&mut came), Some(ProtocolHeader::Amqp));
        }
    }
    while let Some(frame) = Frame::decode(&mut came, 65_536).unwrap() {
        heard.frames.push(frame);
    }
    assert!(came.is_empty(), "whole frames only");
    heard
}

pub fn json(message: &Message) -> Json {
    match &message.body {
        Body::Data(bytes) => serde_json::from_slice(bytes).unwrap(),
        other => panic!("no data section: {other:?}"),
    }
}

/// An answer to a register request and one to a poll, as every SDK reads them.
pub fn check_answers(heard: &Heard, correlated: bool) {
    let answers = heard.answers();
    assert_eq!((answers.len(), heard.accepted()), (2, 2));
    assert_eq!(json(&answers[0])["status"], "assigning");
    assert_eq!(json(&answers[1])["status"], "assigned");
    for name in ["retry-after", "Retry-After"] {
        assert_eq!(answers[0].application_property(name), Some(&Value::Int(3)));
        assert_eq!(answers[1].application_property(name), None);
    }
    for answer in &answers {
        assert_eq!(matches!(answer.correlation_id(), Some(Value::String(_))), correlated);
    }
    assert!(matches!(heard.frames.last().unwrap().performative, Some(Performative::Close(None))));
}

pub fn operations(seen: &[Seen]) -> Vec<&str> {
    seen.iter().map(|seen| &*seen.operation).collect()
}

#[tokio::test]
async fn node_with_a_key_registers_and_polls() {
    let server = Server::start().await;
    let mut stream = connect(server.amqp, server.plain()).await.unwrap();
    let heard = play(&mut stream, NODE).await;
    check_answers(&heard, true);
    let seen = server.seen();
    assert_eq!(operations(&seen), ["register", "status 4.a"]);
    for seen in &seen {
        assert_eq!((&*seen.id_scope, &*seen.registration_id), ("0ne00ABCDEF", "my.dev_01:a-b"));
        assert_eq!(seen.api_version.as_deref(), Some("2019-03-31"));
        assert!(seen.client.as_deref().unwrap().contains("azure-iot-provisioning-device"));
        assert!(seen.sas_token.as_deref().unwrap().starts_with("SharedAccessSignature "));
        assert_eq!((seen.protocol, &seen.tpm), (Protocol::Amqp, &None));
    }
    let requests: Vec<Value> = heard.answers().iter().map(|m| m.correlation_id().unwrap().clone()).collect();
    assert_ne!(requests[0], requests[1], "each answer carries its own request's id");
    assert!(server.stop().await.is_empty());
}

#[tokio::test]
async fn c_and_java_register_without_correlation() {
    for (script, api_version) in [(C, "2021-06-01"), (JAVA, "2019-03-31")] {
        let server = Server::start().await;
        let mut stream = connect(server.amqp, server.ca.client(&TLS12, None)).await.unwrap();
        check_answers(&play(&mut stream, script).await, false);
        let seen = server.seen();
        assert_eq!(operations(&seen), ["register", "status 4.a"]);
        assert_eq!(seen[0].api_version.as_deref(), Some(api_version));
        assert!(server.stop().await.is_empty());
    }
}

#[tokio::test]
async fn csharp_registers_with_its_certificate_alone() {
    let server = Server::start().await;
    let device = Device::new("d1", EC);
    let mut stream = connect(server.amqp, server.ca.client(&TLS13, Some(&device))).await.unwrap();
    let heard = play(&mut stream, CSHARP).await;
    assert!(heard.sasl.is_empty());
    check_answers(&heard, true);
    let seen = server.seen();
    assert_eq!((seen[0].chain, &seen[0].sas_token), (1, &None));
    assert!(server.stop().await.is_empty());
}

#[tokio::test]
async fn c_activates_its_tpm_in_two_segments_and_its_keys_are_kept() {
    let server = Server::start().await;
    let mut stream = connect(server.amqp, server.plain()).await.unwrap();
    let heard = play(&mut stream, C_TPM).await;
    let challenges: Vec<&[u8]> = heard
        .sasl
        .iter()
        .filter_map(|said| match said {
            Sasl::Challenge(challenge) => Some(challenge.expose()),
            _ => None,
        })
        .collect();
    assert_eq!((challenges.len(), challenges[0]), (3, &[0][..]));
    assert_eq!((challenges[1][0], challenges[2][0]), (0x80, 0xc1));
    assert_eq!([&challenges[1][1..], &challenges[2][1..]].concat(), BLOB);
    assert!(matches!(heard.sasl.last(), Some(Sasl::Outcome(SaslCode::Ok))));
    check_answers(&heard, false);
    let seen = server.seen();
    assert_eq!(operations(&seen), ["register", "register", "status 4.a"]);
    assert!(seen[0].sas_token.is_none() && seen[1].sas_token.is_some() && seen[2].sas_token.is_some());
    assert!(seen[0].tpm.is_some(), "the keys of SASL");
    assert_eq!(seen[0].tpm, seen[1].tpm, "the keys of SASL, for the request has none");
    assert!(server.stop().await.is_empty());
}
