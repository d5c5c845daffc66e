//! MQTT 3.1.1 as a device speaks it to the provisioning service.

use std::io;

use bytes::{Bytes, BytesMut};
use dps_wire::mqtt::codec::{Decoder, Limits, Role, encode};
use dps_wire::mqtt::packet::{
    Connect, ConnectReturnCode, Delivery, Packet, PacketId, Password, Protocol, Publish, QoS, Subscribe,
    SubscribeFilter,
};
use dps_wire::mqtt::topic::dps::{Request, Response, SUBSCRIBE_FILTER};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::device::Reply;
use super::tls;

/// A connection that was accepted.
pub struct Mqtt {
    pub stream: tls::Stream,
    decoder: Decoder,
    input: BytesMut,
    subscribed: bool,
    last: u16,
}

/// A CONNECT of that device.
pub fn hello(id_scope: &str, registration_id: &str, token: Option<&str>) -> Packet {
    Packet::Connect(Box::new(Connect {
        protocol: Protocol::V311,
        clean_session: true,
        keep_alive: 0,
        client_id: registration_id.to_owned(),
        will: None,
        user_name: Some(format!("{id_scope}/registrations/{registration_id}/api-version=2019-03-31")),
        password: token.map(|token| Password::new(token.as_bytes().to_vec())),
    }))
}

pub fn bytes(packet: &Packet) -> Vec<u8> {
    let mut output = BytesMut::new();
    encode(packet, &mut output).unwrap();
    output.to_vec()
}

impl Mqtt {
    /// Says CONNECT, and hears that it is welcome.
    pub async fn connect(
        stream: tls::Stream,
        id_scope: &str,
        registration_id: &str,
        token: Option<&str>,
    ) -> io::Result<Self> {
        let decoder = Decoder::new(Role::Client, Limits::default());
        let mut mqtt = Self { stream, decoder, input: BytesMut::new(), subscribed: false, last: 0 };
        mqtt.send(&hello(id_scope, registration_id, token)).await?;
        match mqtt.receive().await? {
            Packet::ConnAck(answer) if answer.code == ConnectReturnCode::Accepted => Ok(mqtt),
            other => Err(unexpected(&other)),
        }
    }

    /// Asks, and waits for the answer; subscribes before the first request.
    pub async fn ask(&mut self, operation_id: Option<&str>, body: &[u8]) -> io::Result<Reply> {
        if !self.subscribed {
            let filter = SubscribeFilter { filter: SUBSCRIBE_FILTER.to_owned(), qos: QoS::AtLeastOnce };
            let packet_id = self.next_id();
            self.send(&Packet::Subscribe(Subscribe { packet_id, filters: vec![filter] })).await?;
            match self.receive().await? {
                Packet::SubAck(_) => self.subscribed = true,
                other => return Err(unexpected(&other)),
            }
        }
        let packet_id = self.next_id();
        let rid = packet_id.to_string();
        let request = match operation_id {
            None => Request::Register { rid: rid.clone() },
            Some(id) => Request::OperationStatus { rid: rid.clone(), operation_id: id.to_owned() },
        };
        let delivery = Delivery::AtLeastOnce { packet_id, dup: false };
        let topic = request.topic().unwrap();
        let payload = Bytes::copy_from_slice(body);
        self.send(&Packet::Publish(Publish { topic, delivery, retain: false, payload })).await?;
        loop {
            match self.receive().await? {
                Packet::PubAck(id) if id == packet_id => {}
                Packet::Publish(publish) => return self.reply(publish, &rid).await,
                other => return Err(unexpected(&other)),
            }
        }
    }

    async fn reply(&mut self, publish: Publish, rid: &str) -> io::Result<Reply> {
        if let Some(id) = publish.delivery.packet_id() {
            self.send(&Packet::PubAck(id)).await?;
        }
        let response = Response::parse(&publish.topic).unwrap();
        assert_eq!(response.rid, rid, "the answer is to another request");
        let body = serde_json::from_slice(&publish.payload).unwrap_or_default();
        Ok(Reply { status: response.status, body })
    }

    pub async fn send(&mut self, packet: &Packet) -> io::Result<()> {
        self.stream.write_all(&bytes(packet)).await?;
        self.stream.flush().await
    }

    /// The next packet; the end of the stream is an error.
    pub async fn receive(&mut self) -> io::Result<Packet> {
        loop {
            let decoded = self.decoder.decode(&mut self.input);
            let decoded = decoded.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            if let Some(packet) = decoded {
                return Ok(packet);
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn next_id(&mut self) -> PacketId {
        // A device whose operation waits for a slow disk may ask more often than there are ids.
        self.last = self.last.checked_add(1).unwrap_or(1);
        PacketId::new(self.last).unwrap()
    }
}

fn unexpected(packet: &Packet) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{packet:?} was not expected"))
}
