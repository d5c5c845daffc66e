//! AMQP 1.0 as the SDKs speak it: SASL, then open, session, receiver link and sender link, each answered before the
//! next; one request at a time, every verdict sent.

use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use bytes::{Bytes, BytesMut};
use dps_wire::amqp::frame::{Frame, ProtocolHeader, decode_sasl, encode_sasl};
use dps_wire::amqp::message::{Body, Message};
use dps_wire::amqp::performative::{
    Attach, Begin, DeliveryState, Disposition, Flow, Open, Performative, ReceiverSettleMode, Role, Sasl,
    SaslCode, SaslInit, SenderSettleMode, Transfer, source, target,
};
use dps_wire::amqp::sasl::{Mechanism, Plain};
use dps_wire::amqp::value::{Secret, Symbol, Value};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::sleep;

use super::http::{PAUSE, assigned, operation_id};
use super::mqtt::ECHOED;
use super::tls::Stream;
use super::{Crowd, Seen};
use crate::devices::Device;

/// Largest frame that is taken.
const MAX_FRAME: u32 = 65_536;
/// Transfers and messages that are taken: more than any device here is sent.
const WINDOW: u32 = 1_000;
/// Our numbers for the links.
const RECEIVER: u32 = 0;
const SENDER: u32 = 1;

/// A connection with both links attached and credit to send.
pub(super) struct Connection {
    stream: Stream,
    input: BytesMut,
    output: BytesMut,
    credit: u32,
    sent: u32,
}

impl Connection {
    /// A server that asks who it is gets SASL PLAIN and links to the device's address; a broker that does not gets a
    /// queue for this client, so that nobody else's messages come.
    pub(super) async fn open(crowd: &Crowd, number: usize, index: usize, device: &Device) -> Result<Self> {
        let stream = crowd.tls.connect(crowd.plan.address, index, device).await?;
        let (input, output) = (BytesMut::new(), BytesMut::new());
        let mut connection = Self { stream, input, output, credit: 0, sent: 0 };
        let (mut address, mut credit) =
            (format!("{}/registrations/{}", crowd.plan.id_scope, device.id), WINDOW);
        if connection.authenticate(&address, device).await? == Mechanism::Anonymous {
            // No more credit than messages: a broker must not send the next device's to this one.
            (address, credit) = (format!("echo-{number}"), u32::try_from(ECHOED.len())?);
        }
        connection.begin().await?;
        for role in [Role::Receiver, Role::Sender] {
            match connection.say(attach(role, &address)).await? {
                Performative::Attach(_) => {}
                other => bail!("ATTACH was answered {other:?}"),
            }
        }
        connection.grant(credit).await?;
        Ok(connection)
    }

    async fn authenticate(&mut self, address: &str, device: &Device) -> Result<Mechanism> {
        self.header(ProtocolHeader::Sasl).await?;
        let Sasl::Mechanisms(offered) = self.sasl().await? else { bail!("the server offers no mechanism") };
        let mechanism = [Mechanism::Plain, Mechanism::Anonymous]
            .into_iter()
            .find(|mechanism| offered.contains(&mechanism.symbol()))
            .context("the server offers other mechanisms")?;
        let response = match (mechanism, &device.token) {
            (Mechanism::Plain, Some(token)) => {
                let password = Secret::new(token.clone().into_bytes());
                Plain { authorization: String::new(), user: address.to_owned(), password }.response()
            }
            _ => Secret::new(device.id.clone().into_bytes()),
        };
        let init =
            SaslInit { mechanism: mechanism.symbol(), initial_response: Some(response), hostname: None };
        encode_sasl(&Sasl::Init(init), &mut self.output);
        self.flush().await?;
        match self.sasl().await? {
            Sasl::Outcome(SaslCode::Ok) => Ok(mechanism),
            other => bail!("SASL ended with {other:?}"),
        }
    }

    async fn begin(&mut self) -> Result<()> {
        self.header(ProtocolHeader::Amqp).await?;
        let open = Open {
            hostname: Some("localhost".to_owned()),
            max_frame_size: MAX_FRAME,
            ..Open::new("muster-bench")
        };
        match self.say(Performative::Open(Box::new(open))).await? {
            Performative::Open(_) => {}
            other => bail!("OPEN was answered {other:?}"),
        }
        let begin = Begin {
            remote_channel: None,
            next_outgoing_id: 0,
            incoming_window: WINDOW,
            outgoing_window: WINDOW,
            handle_max: SENDER,
        };
        match self.say(Performative::Begin(begin)).await? {
            Performative::Begin(_) => Ok(()),
            other => bail!("BEGIN was answered {other:?}"),
        }
    }

    /// Grants credit, and waits for some.
    async fn grant(&mut self, credit: u32) -> Result<()> {
        let flow = Flow {
            next_incoming_id: Some(0),
            incoming_window: WINDOW,
            outgoing_window: WINDOW,
            handle: Some(RECEIVER),
            delivery_count: Some(0),
            link_credit: Some(credit),
            ..Flow::default()
        };
        Frame::new(0, Performative::Flow(flow)).encode(&mut self.output);
        self.flush().await?;
        while self.credit == 0 {
            match self.frame().await?.performative {
                Some(Performative::Flow(_)) | None => {}
                Some(other) => bail!("instead of credit came {other:?}"),
            }
        }
        Ok(())
    }

    pub(super) async fn register_until_assigned(&mut self, device: &Device, seen: &mut Seen) -> Result<()> {
        let mut register = asks("iotdps-register");
        register.body = Body::Data(format!("{{\"registrationId\":\"{}\"}}", device.id).into());
        let begun = Instant::now();
        let body = self.ask(&register).await?;
        seen.time("register", begun);
        let mut poll = asks("iotdps-get-operationstatus");
        poll.application_properties
            .push(("iotdps-operation-id".to_owned(), Value::String(operation_id(&body)?)));
        loop {
            let body = self.ask(&poll).await?;
            if !std::str::from_utf8(&body)?.contains("\"status\":\"assigning\"") {
                assigned(&body)?;
                return self.leave().await;
            }
            seen.early_polls += 1;
            sleep(PAUSE).await;
        }
    }

    pub(super) async fn echo_twice(&mut self) -> Result<()> {
        for size in ECHOED {
            let body = self.ask(&Message::data(vec![b'x'; size])).await?;
            if body.len() != size {
                bail!("the echo has {} bytes", body.len());
            }
        }
        self.leave().await
    }

    /// Attached, and then silent.
    pub(super) fn wait_for_messages(self) -> Stream {
        self.stream
    }

    /// Sends a message and waits for its verdict and for a message, which is accepted in its turn.
    async fn ask(&mut self, message: &Message) -> Result<Bytes> {
        let mut payload = BytesMut::new();
        message.encode(&mut payload);
        let transfer = Transfer {
            handle: SENDER,
            delivery_id: Some(self.sent),
            delivery_tag: Some(Bytes::copy_from_slice(&self.sent.to_be_bytes())),
            message_format: Some(0),
            settled: Some(false),
            more: false,
            aborted: false,
        };
        self.sent += 1;
        let performative = Some(Performative::Transfer(transfer));
        Frame { channel: 0, performative, payload: payload.freeze() }.encode(&mut self.output);
        self.flush().await?;
        let (mut accepted, mut answer) = (false, None);
        while !accepted || answer.is_none() {
            let Frame { performative, payload, .. } = self.frame().await?;
            match performative {
                Some(Performative::Disposition(Disposition {
                    state: Some(DeliveryState::Accepted), ..
                })) => accepted = true,
                Some(Performative::Transfer(transfer)) if !transfer.more => {
                    self.accept(&transfer);
                    answer = Some(Message::decode(&payload)?);
                }
                Some(Performative::Flow(_)) | None => {}
                Some(other) => bail!("a message was answered {other:?}"),
            }
        }
        match answer.context("no answer")?.body {
            Body::Data(bytes) => Ok(bytes),
            other => bail!("the answer is {other:?}"),
        }
    }

    /// Leaves with the next frame: SDKs write it when they next write.
    fn accept(&mut self, transfer: &Transfer) {
        if let (Some(first), Some(false) | None) = (transfer.delivery_id, transfer.settled) {
            let state = Some(DeliveryState::Accepted);
            let verdict = Disposition { role: Role::Receiver, first, last: None, settled: true, state };
            Frame::new(0, Performative::Disposition(verdict)).encode(&mut self.output);
        }
    }

    async fn leave(&mut self) -> Result<()> {
        match self.say(Performative::Close(None)).await? {
            Performative::Close(None) => Ok(()),
            other => bail!("CLOSE was answered {other:?}"),
        }
    }

    /// Says it, and waits for the answer.
    async fn say(&mut self, performative: Performative) -> Result<Performative> {
        Frame::new(0, performative).encode(&mut self.output);
        self.flush().await?;
        loop {
            match self.frame().await?.performative {
                Some(Performative::Flow(_)) | None => {}
                Some(other) => return Ok(other),
            }
        }
    }

    async fn header(&mut self, header: ProtocolHeader) -> Result<()> {
        self.output.extend_from_slice(&header.bytes());
        self.flush().await?;
        while self.input.len() < header.bytes().len() {
            self.more().await?;
        }
        match ProtocolHeader::decode(&mut self.input) {
            Some(answer) if answer == header => Ok(()),
            other => bail!("the protocol header was answered {other:?}"),
        }
    }

    async fn sasl(&mut self) -> Result<Sasl> {
        loop {
            if let Some(said) = decode_sasl(&mut self.input)? {
                return Ok(said);
            }
            self.more().await?;
        }
    }

    async fn frame(&mut self) -> Result<Frame> {
        loop {
            if let Some(frame) = Frame::decode(&mut self.input, MAX_FRAME as usize)? {
                if let Some(Performative::Flow(Flow { link_credit: Some(credit), .. })) = frame.performative {
                    self.credit = credit;
                }
                return Ok(frame);
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Result<()> {
        if self.stream.read_buf(&mut self.input).await? == 0 {
            bail!("the server closed the connection");
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        self.stream.write_all_buf(&mut self.output).await?;
        Ok(self.stream.flush().await?)
    }
}

fn attach(role: Role, address: &str) -> Performative {
    let (from, to) = match role {
        Role::Receiver => (address, "local"),
        Role::Sender => ("local", address),
    };
    let property = |name, value: &str| (Symbol::from_static(name), Value::String(value.to_owned()));
    Performative::Attach(Box::new(Attach {
        name: format!("{role:?}"),
        handle: if role == Role::Receiver { RECEIVER } else { SENDER },
        role,
        snd_settle_mode: SenderSettleMode::Unsettled,
        rcv_settle_mode: ReceiverSettleMode::First,
        source: Some(source(from)),
        target: Some(target(to)),
        initial_delivery_count: (role == Role::Sender).then_some(0),
        max_message_size: None,
        properties: vec![
            property("com.microsoft:api-version", "2021-06-01"),
            property("com.microsoft:client-version", "muster-bench"),
        ],
    }))
}

fn asks(operation: &str) -> Message {
    let mut message = Message::default();
    let property = ("iotdps-operation-type".to_owned(), Value::String(operation.to_owned()));
    message.application_properties.push(property);
    message
}
