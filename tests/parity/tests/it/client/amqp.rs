//! AMQP 1.0: frames over any stream. SASL PLAIN for keys, SASL TPM for chips, none for certificates.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use dps_wire::amqp::frame::{Frame, ProtocolHeader, decode_sasl, encode_sasl};
use dps_wire::amqp::message::{Body, Message};
use dps_wire::amqp::performative::{
    AmqpError, Attach, Begin, DeliveryState, Disposition, Flow, Open, Performative, ReceiverSettleMode, Role,
    Sasl, SaslCode, SaslInit, SenderSettleMode, Transfer, source, target,
};
use dps_wire::amqp::value::{Secret, Symbol, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Asking, Client, Stream, Told};
use crate::device::{Credential, Device};

const WINDOW: u32 = 100;

pub struct Amqp {
    stream: Stream,
    device: Device,
    input: BytesMut,
    sent: u32,
}

impl Amqp {
    /// Up to both links; a TPM up to the offer of mechanisms.
    pub async fn connect(stream: Stream, device: Device) -> Result<Self, Told> {
        let mut amqp = Self { stream, device, input: BytesMut::new(), sent: 0 };
        match &amqp.device.credential {
            Credential::Certificate(_) => amqp.open().await?,
            Credential::Key(_) => {
                let token = amqp.device.token().unwrap();
                let response = format!("\0{}\0{token}", amqp.device.address());
                let said = amqp.authenticate("PLAIN", response.into_bytes()).await;
                assert_eq!(said, Sasl::Outcome(SaslCode::Ok));
                amqp.open().await?;
            }
            Credential::Chip(_) => {}
        }
        Ok(amqp)
    }

    async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    async fn more(&mut self) {
        assert_ne!(self.stream.read_buf(&mut self.input).await.unwrap(), 0, "the server hung up");
    }

    async fn header(&mut self, header: ProtocolHeader) {
        self.write(&header.bytes()).await;
        while self.input.len() < 8 {
            self.more().await;
        }
        assert_eq!(ProtocolHeader::decode(&mut self.input), Some(header));
    }

    /// SASL with that mechanism, to its first answer.
    async fn authenticate(&mut self, mechanism: &'static str, response: Vec<u8>) -> Sasl {
        self.header(ProtocolHeader::Sasl).await;
        let mechanism = Symbol::from_static(mechanism);
        match self.sasl().await {
            Sasl::Mechanisms(offered) => assert!(offered.contains(&mechanism), "{offered:?}"),
            other => panic!("no mechanisms: {other:?}"),
        }
        let initial_response = Some(Secret::new(response));
        self.say_sasl(&Sasl::Init(SaslInit { mechanism, initial_response, hostname: None })).await
    }

    async fn say_sasl(&mut self, sasl: &Sasl) -> Sasl {
        let mut bytes = BytesMut::new();
        encode_sasl(sasl, &mut bytes);
        self.write(&bytes).await;
        self.sasl().await
    }

    /// A message of the mechanism TPM that needs no segments.
    async fn respond(&mut self, message: &[u8]) -> Sasl {
        self.say_sasl(&Sasl::Response(Secret::new([&[0], message].concat()))).await
    }

    async fn sasl(&mut self) -> Sasl {
        loop {
            if let Some(said) = decode_sasl(&mut self.input).unwrap() {
                return said;
            }
            self.more().await;
        }
    }

    async fn say(&mut self, performative: Performative) {
        let mut bytes = BytesMut::new();
        Frame::new(0, performative).encode(&mut bytes);
        self.write(&bytes).await;
    }

    /// The next frame that is neither credit nor a heartbeat.
    async fn frame(&mut self) -> (Performative, Bytes) {
        loop {
            match Frame::decode(&mut self.input, 65_536).unwrap() {
                Some(Frame { performative: Some(Performative::Flow(_)) | None, .. }) => {}
                Some(Frame { performative: Some(performative), payload, .. }) => {
                    return (performative, payload);
                }
                None => self.more().await,
            }
        }
    }

    /// OPEN, BEGIN, both links, and credit for the answers.
    async fn open(&mut self) -> Result<(), Told> {
        self.header(ProtocolHeader::Amqp).await;
        self.say(Performative::Open(Box::new(Open::new("parity")))).await;
        assert!(matches!(self.frame().await.0, Performative::Open(_)));
        let (next_outgoing_id, incoming_window, outgoing_window) = (0, WINDOW, WINDOW);
        self.say(Performative::Begin(Begin {
            remote_channel: None,
            next_outgoing_id,
            incoming_window,
            outgoing_window,
            handle_max: 10,
        }))
        .await;
        match self.frame().await.0 {
            Performative::Begin(_) => {}
            other => return Err(closed("OPEN and CLOSE", other)),
        }
        for role in [Role::Receiver, Role::Sender] {
            let attach = attach(role, &self.device.address());
            self.say(attach).await;
            match self.frame().await.0 {
                Performative::Attach(attach) if attach.source.is_some() && attach.target.is_some() => {}
                Performative::Attach(_) => {
                    let detach = self.frame().await.0;
                    assert!(matches!(detach, Performative::Detach(_)), "{detach:?}");
                    return Err(closed("ATTACH, DETACH and CLOSE", self.frame().await.0));
                }
                other => panic!("no link: {other:?}"),
            }
        }
        self.say(Performative::Flow(Flow {
            next_incoming_id: Some(0),
            incoming_window,
            outgoing_window,
            handle: Some(0),
            delivery_count: Some(0),
            link_credit: Some(WINDOW),
            ..Flow::default()
        }))
        .await;
        Ok(())
    }
}

/// CLOSE with its error, which was told in other frames before.
fn closed(at: &str, performative: Performative) -> Told {
    match performative {
        Performative::Close(Some(error)) => refused(at, &error),
        other => panic!("not closed: {other:?}"),
    }
}

fn refused(at: &str, error: &AmqpError) -> Told {
    let body = serde_json::from_str(error.description.as_deref().unwrap()).unwrap();
    let find = |name: &str| {
        let pair = error.info.iter().find(|(key, _)| key.as_str() == name);
        pair.and_then(|(_, value)| value.as_i64())
    };
    let how = format!("{at}, {}", error.condition.as_str());
    Told::Refused { how, retry_after: retry_after(find), body }
}

fn attach(role: Role, address: &str) -> Performative {
    Performative::Attach(Box::new(Attach {
        name: format!("{role:?}"),
        handle: u32::from(role == Role::Sender),
        role,
        snd_settle_mode: SenderSettleMode::Unsettled,
        rcv_settle_mode: ReceiverSettleMode::First,
        source: Some(source(address)),
        target: Some(target(address)),
        initial_delivery_count: (role == Role::Sender).then_some(0),
        max_message_size: None,
        properties: Vec::new(),
    }))
}

/// `retry-after` among these pairs, under both names of it.
fn retry_after(find: impl Fn(&str) -> Option<i64>) -> Option<u32> {
    let told = find("retry-after");
    assert_eq!(told, find("Retry-After"));
    told.map(|seconds| u32::try_from(seconds).unwrap())
}

#[async_trait]
impl Client for Amqp {
    async fn ask(&mut self, asking: Asking<'_>) {
        let mut message = Message::default();
        let mut property = |name: &str, value: &str| {
            message.application_properties.push((name.to_owned(), Value::String(value.to_owned())));
        };
        match asking {
            Asking::Register { payload } => {
                property("iotdps-operation-type", "iotdps-register");
                message.body = Body::Data(self.device.body(payload).into());
            }
            Asking::Poll { operation_id } => {
                property("iotdps-operation-type", "iotdps-get-operationstatus");
                property("iotdps-operation-id", operation_id);
            }
            Asking::LookUp => {
                property("iotdps-operation-type", "iotdps-get-registration");
                message.body = Body::Data(self.device.body(None).into());
            }
        }
        let mut payload = BytesMut::new();
        message.encode(&mut payload);
        let performative = Some(Performative::Transfer(Transfer {
            handle: 1,
            delivery_id: Some(self.sent),
            delivery_tag: Some(Bytes::copy_from_slice(&self.sent.to_be_bytes())),
            message_format: Some(0),
            settled: Some(false),
            more: false,
            aborted: false,
        }));
        let mut bytes = BytesMut::new();
        Frame { channel: 0, performative, payload: payload.freeze() }.encode(&mut bytes);
        self.write(&bytes).await;
        self.sent += 1;
    }

    async fn answer(&mut self) -> Told {
        let state =
            match self.frame().await.0 {
                Performative::Disposition(Disposition {
                    first, state: Some(state), settled: true, ..
                }) if first == self.sent - 1 => state,
                other => panic!("no verdict: {other:?}"),
            };
        match state {
            DeliveryState::Accepted => {
                let (performative, payload) = self.frame().await;
                assert!(matches!(performative, Performative::Transfer(_)), "{performative:?}");
                let message = Message::decode(&payload).unwrap();
                let body = serde_json::from_slice(message.body.as_bytes().unwrap()).unwrap();
                let find = |name: &str| message.application_property(name).and_then(Value::as_i64);
                Told::Accepted { how: "accepted".into(), retry_after: retry_after(find), body }
            }
            DeliveryState::Rejected(Some(error)) => refused("rejected", &error),
            other => panic!("no verdict that a device knows: {other:?}"),
        }
    }

    async fn challenge(&mut self) -> Told {
        let (endorsement, storage) = match &self.device.credential {
            Credential::Chip(chip) => (chip.endorsement.public(), chip.storage.public()),
            _ => panic!("only a TPM is challenged"),
        };
        let names = format!("\0{}\0{}\0", self.device.scope, self.device.id);
        let said = self.authenticate("TPM", [names.as_bytes(), &endorsement].concat()).await;
        assert_eq!(said, Sasl::Challenge(Secret::new(vec![0])));
        let mut blob = Vec::new();
        let mut said = self.respond(&storage).await;
        for control in [0x80, 0xc1] {
            match said {
                Sasl::Challenge(part) => {
                    assert_eq!(part.expose()[0], control);
                    blob.extend_from_slice(&part.expose()[1..]);
                }
                // SASL has no words for a refusal: it ends well, and OPEN is refused.
                Sasl::Outcome(SaslCode::Ok) if control == 0x80 => {
                    return self.open().await.expect_err("a TPM without a challenge is let in");
                }
                other => panic!("no challenge: {other:?}"),
            }
            if control == 0x80 {
                said = self.respond(&[]).await;
            } else {
                break;
            }
        }
        Told::Challenged { how: "SASL challenge".into(), blob }
    }

    async fn prove(&mut self, token: String) {
        let said = self.respond(token.as_bytes()).await;
        assert_eq!(said, Sasl::Outcome(SaslCode::Ok));
        self.open().await.expect("who was challenged is known");
    }
}
