//! AMQP 1.0 as a device speaks it to the provisioning service: SASL PLAIN, two links, answers in order.

use std::io;

use bytes::{Bytes, BytesMut};
use dps_wire::amqp::frame::{Frame, ProtocolHeader, decode_sasl, encode_sasl};
use dps_wire::amqp::message::{Body, Message};
use dps_wire::amqp::performative::{
    Attach, Begin, DeliveryState, Flow, Open, Performative, ReceiverSettleMode, Role, Sasl, SaslCode,
    SaslInit, SenderSettleMode, Transfer, source, target,
};
use dps_wire::amqp::value::{Secret, Symbol, Value};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::device::Reply;
use super::tls;

/// Largest frame that is read.
const FRAME: usize = 65_536;
/// Frames and answers that may be on the way.
const WINDOW: u32 = 100;
/// Handles of the links for answers and for requests.
const ANSWERS: u32 = 0;
const REQUESTS: u32 = 1;

/// A connection with both links.
pub struct Amqp {
    stream: tls::Stream,
    input: BytesMut,
    sent: u32,
}

impl Amqp {
    /// Up to both links; with a token by SASL PLAIN, without one by its certificate.
    pub async fn connect(
        stream: tls::Stream,
        id_scope: &str,
        registration_id: &str,
        token: Option<&str>,
    ) -> io::Result<Self> {
        let address = format!("{id_scope}/registrations/{registration_id}");
        let mut amqp = Self { stream, input: BytesMut::new(), sent: 0 };
        if let Some(token) = token {
            amqp.authenticate(&format!("\0{address}\0{token}")).await?;
        }
        amqp.open(&address).await?;
        Ok(amqp)
    }

    /// Asks, and waits for the verdict and the answer.
    pub async fn ask(&mut self, operation_id: Option<&str>, body: &[u8]) -> io::Result<Reply> {
        let mut message = Message::default();
        let mut property = |name: &str, value: &str| {
            message.application_properties.push((name.to_owned(), Value::String(value.to_owned())));
        };
        match operation_id {
            None => property("iotdps-operation-type", "iotdps-register"),
            Some(id) => {
                property("iotdps-operation-type", "iotdps-get-operationstatus");
                property("iotdps-operation-id", id);
            }
        }
        message.body = Body::Data(Bytes::copy_from_slice(body));
        let mut payload = BytesMut::new();
        message.encode(&mut payload);
        let transfer = Transfer {
            handle: REQUESTS,
            delivery_id: Some(self.sent),
            delivery_tag: Some(Bytes::copy_from_slice(&self.sent.to_be_bytes())),
            message_format: Some(0),
            settled: Some(false),
            more: false,
            aborted: false,
        };
        self.sent += 1;
        let performative = Some(Performative::Transfer(transfer));
        self.write(Frame { channel: 0, performative, payload: payload.freeze() }).await?;
        let verdict = self.frame().await?.0;
        match verdict {
            Performative::Disposition(said) if said.state == Some(DeliveryState::Accepted) => {}
            // The status is in the code alone, for AMQP tells none.
            Performative::Disposition(said) => {
                let Some(DeliveryState::Rejected(Some(error))) = said.state else {
                    return Err(unexpected(&said.state));
                };
                let body: serde_json::Value =
                    serde_json::from_str(error.description.as_deref().unwrap_or("{}")).map_err(invalid)?;
                let status = body["errorCode"].as_u64().and_then(|code| u16::try_from(code / 1000).ok());
                return Ok(Reply { status: status.unwrap_or_default(), body });
            }
            other => return Err(unexpected(&other)),
        }
        let (performative, payload) = self.frame().await?;
        if !matches!(performative, Performative::Transfer(_)) {
            return Err(unexpected(&performative));
        }
        Ok(reply(&payload))
    }

    async fn authenticate(&mut self, response: &str) -> io::Result<()> {
        self.header(ProtocolHeader::Sasl).await?;
        let mechanism = Symbol::from_static("PLAIN");
        match self.sasl().await? {
            Sasl::Mechanisms(offered) if offered.contains(&mechanism) => {}
            other => return Err(unexpected(&other)),
        }
        let initial_response = Some(Secret::new(response.as_bytes().to_vec()));
        let mut output = BytesMut::new();
        encode_sasl(&Sasl::Init(SaslInit { mechanism, initial_response, hostname: None }), &mut output);
        self.stream.write_all(&output).await?;
        match self.sasl().await? {
            Sasl::Outcome(SaslCode::Ok) => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// OPEN, BEGIN, both links, and credit for the answers.
    async fn open(&mut self, address: &str) -> io::Result<()> {
        self.header(ProtocolHeader::Amqp).await?;
        let begin = Begin {
            remote_channel: None,
            next_outgoing_id: 0,
            incoming_window: WINDOW,
            outgoing_window: WINDOW,
            handle_max: 10,
        };
        self.say(Performative::Open(Box::new(Open::new("device")))).await?;
        self.say(Performative::Begin(begin)).await?;
        self.say(attach(Role::Receiver, ANSWERS, address)).await?;
        self.say(attach(Role::Sender, REQUESTS, address)).await?;
        self.say(Performative::Flow(Flow {
            next_incoming_id: Some(0),
            incoming_window: WINDOW,
            outgoing_window: WINDOW,
            handle: Some(ANSWERS),
            delivery_count: Some(0),
            link_credit: Some(WINDOW),
            ..Flow::default()
        }))
        .await?;
        let mut links = 0;
        while links < 2 {
            match self.frame().await?.0 {
                Performative::Open(_) | Performative::Begin(_) => {}
                Performative::Attach(attach) if attach.source.is_some() && attach.target.is_some() => {
                    links += 1;
                }
                other => return Err(unexpected(&other)),
            }
        }
        Ok(())
    }

    async fn header(&mut self, header: ProtocolHeader) -> io::Result<()> {
        self.stream.write_all(&header.bytes()).await?;
        self.stream.flush().await?;
        while self.input.len() < header.bytes().len() {
            self.more().await?;
        }
        match ProtocolHeader::decode(&mut self.input) {
            Some(said) if said == header => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    async fn sasl(&mut self) -> io::Result<Sasl> {
        self.stream.flush().await?;
        loop {
            if let Some(said) = decode_sasl(&mut self.input).map_err(invalid)? {
                return Ok(said);
            }
            self.more().await?;
        }
    }

    async fn say(&mut self, performative: Performative) -> io::Result<()> {
        self.write(Frame::new(0, performative)).await
    }

    async fn write(&mut self, frame: Frame) -> io::Result<()> {
        let mut output = BytesMut::new();
        frame.encode(&mut output);
        self.stream.write_all(&output).await?;
        self.stream.flush().await
    }

    /// The next frame that is neither credit nor a heartbeat.
    async fn frame(&mut self) -> io::Result<(Performative, Bytes)> {
        loop {
            match Frame::decode(&mut self.input, FRAME).map_err(invalid)? {
                Some(Frame { performative: Some(Performative::Flow(_)) | None, .. }) => {}
                Some(Frame { performative: Some(performative), payload, .. }) => {
                    return Ok((performative, payload));
                }
                None => self.more().await?,
            }
        }
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.input).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// AMQP tells no status: an answer that ends an operation has a registration state with a hub or an error.
fn reply(payload: &[u8]) -> Reply {
    let message = Message::decode(payload).unwrap();
    let body: serde_json::Value = serde_json::from_slice(message.body.as_bytes().unwrap()).unwrap();
    let status = if body["status"] == "assigning" { 202 } else { 200 };
    Reply { status, body }
}

fn attach(role: Role, handle: u32, address: &str) -> Performative {
    Performative::Attach(Box::new(Attach {
        name: format!("{role:?}"),
        handle,
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

fn invalid(error: impl std::fmt::Debug) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{error:?}"))
}

fn unexpected(said: &impl std::fmt::Debug) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{said:?} was not expected"))
}
