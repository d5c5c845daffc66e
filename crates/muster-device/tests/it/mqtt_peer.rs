//! The server's end of one MQTT connection, packet by packet, as the test drives it.

use std::num::NonZeroU16;

use bytes::{Bytes, BytesMut};
use dps_wire::mqtt::codec::{Decoder, Limits, Role, encode};
use dps_wire::mqtt::packet::{
    ConnAck, Connect, ConnectReturnCode, Delivery, Packet, Publish, QoS, SubAck, SubscribeResult,
};
use dps_wire::mqtt::topic::dps::{Request, Response};
use muster_device::BoxStream;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::server::TlsStream;

use crate::pki::Listener;

pub struct Peer<S = TlsStream<BoxStream>> {
    pub stream: S,
    decoder: Decoder,
    input: BytesMut,
}

impl Peer {
    pub async fn accept(listener: &Listener) -> Self {
        Self::on(listener.accept().await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub fn on(stream: S) -> Self {
        let decoder = Decoder::new(Role::Server, Limits { max_packet: 1 << 20, ..Limits::default() });
        Self { stream, decoder, input: BytesMut::new() }
    }

    /// The next packet; `None` at the end of the stream.
    pub async fn read(&mut self) -> Option<Packet> {
        loop {
            if let Some(packet) = self.decoder.decode(&mut self.input).unwrap() {
                return Some(packet);
            }
            if self.stream.read_buf(&mut self.input).await.ok()? == 0 {
                return None;
            }
        }
    }

    pub async fn write(&mut self, packet: Packet) {
        let mut bytes = BytesMut::new();
        encode(&packet, &mut bytes).unwrap();
        self.raw(&bytes).await;
    }

    pub async fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    pub async fn connect(&mut self) -> Connect {
        match self.read().await {
            Some(Packet::Connect(connect)) => *connect,
            other => panic!("CONNECT expected: {other:?}"),
        }
    }

    pub async fn connack(&mut self, code: ConnectReturnCode) {
        self.write(Packet::ConnAck(ConnAck { session_present: false, code })).await;
    }

    /// Answers SUBSCRIBE, and gives the filters.
    pub async fn suback(&mut self, result: SubscribeResult) -> Vec<String> {
        let Some(Packet::Subscribe(subscribe)) = self.read().await else { panic!("SUBSCRIBE expected") };
        let results = vec![result; subscribe.filters.len()];
        self.write(Packet::SubAck(SubAck { packet_id: subscribe.packet_id, results })).await;
        subscribe.filters.into_iter().map(|filter| filter.filter).collect()
    }

    /// Accepts CONNECT and SUBSCRIBE.
    pub async fn welcome(&mut self) -> (Connect, Vec<String>) {
        let connect = self.connect().await;
        self.connack(ConnectReturnCode::Accepted).await;
        (connect, self.suback(SubscribeResult::Granted(QoS::AtLeastOnce)).await)
    }

    /// The next message, acknowledged.
    pub async fn message(&mut self) -> Publish {
        loop {
            match self.read().await {
                Some(Packet::Publish(publish)) => {
                    if let Some(id) = publish.delivery.packet_id() {
                        self.write(Packet::PubAck(id)).await;
                    }
                    return publish;
                }
                // The client's acknowledgement of ours.
                Some(Packet::PubAck(_)) => {}
                other => panic!("PUBLISH expected: {other:?}"),
            }
        }
    }

    /// The next request to a provisioning service, and its body.
    pub async fn request(&mut self) -> (Request, Bytes) {
        let publish = self.message().await;
        (Request::parse(&publish.topic).unwrap(), publish.payload)
    }

    /// Answers a request to a provisioning service.
    pub async fn respond(&mut self, request: &Request, status: u16, retry_after: Option<u32>, body: &str) {
        let topic = Response { status, rid: request.rid().to_owned(), retry_after }.topic().unwrap();
        self.publish(&topic, body).await;
    }

    /// Sends a message with QoS 1.
    pub async fn publish(&mut self, topic: &str, body: &str) {
        let delivery = Delivery::AtLeastOnce { packet_id: NonZeroU16::new(77).unwrap(), dup: false };
        let payload = Bytes::copy_from_slice(body.as_bytes());
        self.write(Packet::Publish(Publish { topic: topic.to_owned(), delivery, retain: false, payload }))
            .await;
    }

    /// True when the client leaves with DISCONNECT, having acknowledged what it was sent.
    pub async fn left_in_good_order(&mut self) -> bool {
        loop {
            match self.read().await {
                Some(Packet::PubAck(_)) => {}
                other => return other == Some(Packet::Disconnect),
            }
        }
    }
}
