//! MQTT 3.1.1 as the SDKs speak it: QoS 1, one request at a time, every PUBACK sent.

use std::num::NonZeroU16;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use bytes::{Bytes, BytesMut};
use dps_wire::mqtt::codec::{Decoder, Limits, Role, encode};
use dps_wire::mqtt::packet::{
    Connect, ConnectReturnCode, Delivery, Packet, Password, Protocol, Publish, QoS, Subscribe,
    SubscribeFilter, SubscribeResult,
};
use dps_wire::mqtt::topic::dps::{Request, Response, SUBSCRIBE_FILTER, UserName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::sleep;

use super::http::{PAUSE, assigned, operation_id};
use super::tls::Stream;
use super::{Crowd, Seen};
use crate::devices::Device;

/// Same size as a register request's body and as the answer to a poll.
pub(super) const ECHOED: [usize; 2] = [96, 560];
/// Seconds of silence that the server may let pass.
const KEEP_ALIVE: u16 = 1_200;

/// A connection that was welcomed.
pub(super) struct Connection {
    stream: Stream,
    decoder: Decoder,
    input: BytesMut,
    output: BytesMut,
    last_id: u16,
}

impl Connection {
    pub(super) async fn open(crowd: &Crowd, index: usize, device: &Device) -> Result<Self> {
        let stream = crowd.tls.connect(crowd.plan.address, index, device).await?;
        let decoder = Decoder::new(Role::Client, Limits::default());
        let (input, output) = (BytesMut::new(), BytesMut::new());
        let mut connection = Self { stream, decoder, input, output, last_id: 0 };
        let user_name = UserName::new(&crowd.plan.id_scope, &device.id, "2021-06-01").to_string();
        let connect = Connect {
            protocol: Protocol::V311,
            clean_session: true,
            keep_alive: KEEP_ALIVE,
            client_id: device.id.clone(),
            will: None,
            user_name: Some(user_name),
            password: device.token.as_ref().map(|token| Password::new(token.clone().into_bytes())),
        };
        connection.send(&Packet::Connect(Box::new(connect))).await?;
        match connection.receive().await? {
            Packet::ConnAck(answer) if answer.code == ConnectReturnCode::Accepted => Ok(connection),
            other => bail!("CONNECT was answered {other:?}"),
        }
    }

    pub(super) async fn register_until_assigned(&mut self, device: &Device, seen: &mut Seen) -> Result<()> {
        self.subscribe(SUBSCRIBE_FILTER).await?;
        let body = format!("{{\"registrationId\":\"{}\"}}", device.id);
        let begun = Instant::now();
        let topic = Request::Register { rid: "1".into() }.topic()?;
        let (answer, payload) = self.ask(topic, body.into_bytes()).await?;
        expect(&answer, 202)?;
        seen.time("register", begun);
        let operation_id = operation_id(&payload)?;
        loop {
            let topic =
                Request::OperationStatus { rid: "2".into(), operation_id: operation_id.clone() }.topic()?;
            let (answer, payload) = self.ask(topic, b" ".to_vec()).await?;
            if Response::parse(&answer)?.status != 202 {
                expect(&answer, 200)?;
                assigned(&payload)?;
                return self.leave().await;
            }
            seen.early_polls += 1;
            sleep(PAUSE).await;
        }
    }

    pub(super) async fn echo_twice(&mut self, device: &Device) -> Result<()> {
        let topic = format!("devices/{}/echo", device.id);
        self.subscribe(&topic).await?;
        for size in ECHOED {
            let (_, payload) = self.ask(topic.clone(), vec![b'x'; size]).await?;
            if payload.len() != size {
                bail!("the echo has {} bytes", payload.len());
            }
        }
        self.leave().await
    }

    /// Subscribed, and then silent.
    pub(super) async fn wait_for_messages(mut self, device: &Device) -> Result<Stream> {
        self.subscribe(SUBSCRIBE_FILTER).await.with_context(|| device.id.clone())?;
        Ok(self.stream)
    }

    async fn subscribe(&mut self, filter: &str) -> Result<()> {
        let packet_id = self.packet_id();
        let filters = vec![SubscribeFilter { filter: filter.to_owned(), qos: QoS::AtLeastOnce }];
        self.send(&Packet::Subscribe(Subscribe { packet_id, filters })).await?;
        match self.receive().await? {
            Packet::SubAck(answer) if !answer.results.contains(&SubscribeResult::Failure) => Ok(()),
            other => bail!("SUBSCRIBE was answered {other:?}"),
        }
    }

    /// Publishes and waits for its PUBACK and for a message, which is acknowledged in its turn.
    async fn ask(&mut self, topic: String, payload: Vec<u8>) -> Result<(String, Bytes)> {
        let delivery = Delivery::AtLeastOnce { packet_id: self.packet_id(), dup: false };
        let message = Publish { topic, delivery, retain: false, payload: Bytes::from(payload) };
        self.send(&Packet::Publish(message)).await?;
        let (mut acknowledged, mut answer) = (false, None);
        while !acknowledged || answer.is_none() {
            match self.receive().await? {
                Packet::PubAck(_) => acknowledged = true,
                Packet::Publish(message) => {
                    if let Some(id) = message.delivery.packet_id() {
                        // Leaves with the next packet: SDKs write it when they next write.
                        encode(&Packet::PubAck(id), &mut self.output)?;
                    }
                    answer = Some((message.topic, message.payload));
                }
                other => bail!("a message was answered {other:?}"),
            }
        }
        answer.context("no answer")
    }

    async fn leave(&mut self) -> Result<()> {
        self.send(&Packet::Disconnect).await
    }

    fn packet_id(&mut self) -> NonZeroU16 {
        self.last_id = self.last_id.wrapping_add(1).max(1);
        NonZeroU16::new(self.last_id).unwrap_or(NonZeroU16::MIN)
    }

    async fn send(&mut self, packet: &Packet) -> Result<()> {
        encode(packet, &mut self.output)?;
        self.stream.write_all_buf(&mut self.output).await?;
        Ok(self.stream.flush().await?)
    }

    async fn receive(&mut self) -> Result<Packet> {
        loop {
            if let Some(packet) = self.decoder.decode(&mut self.input)? {
                return Ok(packet);
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                bail!("the server closed the connection");
            }
        }
    }
}

fn expect(topic: &str, status: u16) -> Result<()> {
    let answer = Response::parse(topic)?;
    if answer.status == status { Ok(()) } else { bail!("answered {} instead of {status}", answer.status) }
}
