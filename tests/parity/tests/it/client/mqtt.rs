//! MQTT 3.1.1: packets over any stream.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use dps_wire::mqtt::codec::{Decoder, Limits, Role, encode};
use dps_wire::mqtt::packet::{
    ConnAck, Connect, ConnectReturnCode, Delivery, Packet, PacketId, Password, Protocol, Publish, QoS,
    Subscribe, SubscribeFilter,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Asking, Client, Stream, Told};
use crate::device::Device;

pub struct Mqtt {
    stream: Stream,
    device: Device,
    decoder: Decoder,
    input: BytesMut,
    asked: u16,
}

impl Mqtt {
    /// CONNECT and SUBSCRIBE, both acknowledged.
    pub async fn connect(stream: Stream, device: Device) -> Result<Self, Told> {
        let decoder = Decoder::new(Role::Client, Limits::default());
        let mut mqtt = Self { stream, device, decoder, input: BytesMut::new(), asked: 1 };
        let connect = Connect {
            protocol: Protocol::V311,
            clean_session: true,
            keep_alive: 0,
            client_id: mqtt.device.id.clone(),
            will: None,
            user_name: Some(format!("{}/api-version=2019-03-31", mqtt.device.address())),
            password: mqtt.device.token().map(|token| Password::new(token.into_bytes())),
        };
        mqtt.send(&Packet::Connect(Box::new(connect))).await;
        match mqtt.receive().await {
            Packet::ConnAck(ConnAck { code: ConnectReturnCode::Accepted, .. }) => {}
            Packet::ConnAck(ConnAck { code, .. }) => {
                return Err(Told::Unsaid { how: format!("CONNACK {}", code as u8) });
            }
            other => panic!("no CONNACK: {other:?}"),
        }
        let filter = SubscribeFilter { filter: "$dps/registrations/res/#".into(), qos: QoS::AtLeastOnce };
        let packet_id = PacketId::MIN;
        mqtt.send(&Packet::Subscribe(Subscribe { packet_id, filters: vec![filter] })).await;
        assert!(matches!(mqtt.receive().await, Packet::SubAck(_)));
        Ok(mqtt)
    }

    async fn send(&mut self, packet: &Packet) {
        let mut output = BytesMut::new();
        encode(packet, &mut output).unwrap();
        self.stream.write_all(&output).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    async fn receive(&mut self) -> Packet {
        loop {
            if let Some(packet) = self.decoder.decode(&mut self.input).unwrap() {
                return packet;
            }
            assert_ne!(self.stream.read_buf(&mut self.input).await.unwrap(), 0, "the server hung up");
        }
    }
}

#[async_trait]
impl Client for Mqtt {
    async fn ask(&mut self, asking: Asking<'_>) {
        self.asked += 1;
        let rid = self.asked;
        let (topic, body) = match asking {
            Asking::Register { payload } => {
                (format!("PUT/iotdps-register/?$rid={rid}"), self.device.body(payload))
            }
            Asking::Poll { operation_id } => {
                let topic = format!("GET/iotdps-get-operationstatus/?$rid={rid}&operationId={operation_id}");
                (topic, String::new())
            }
            Asking::LookUp => panic!("MQTT has no lookup"),
        };
        let publish = Publish {
            topic: format!("$dps/registrations/{topic}"),
            delivery: Delivery::AtLeastOnce { packet_id: PacketId::new(rid).unwrap(), dup: false },
            retain: false,
            payload: Bytes::from(body),
        };
        self.send(&Packet::Publish(publish)).await;
    }

    async fn answer(&mut self) -> Told {
        let publish = match (self.receive().await, self.receive().await) {
            (Packet::PubAck(id), Packet::Publish(publish)) if id.get() == self.asked => publish,
            other => panic!("not PUBACK and the answer: {other:?}"),
        };
        if let Some(id) = publish.delivery.packet_id() {
            self.send(&Packet::PubAck(id)).await;
        }
        let rest = publish.topic.strip_prefix("$dps/registrations/res/").unwrap();
        let (status, query) = rest.split_once("/?").unwrap();
        let (rid, retry_after) = match query.split_once("&retry-after=") {
            Some((rid, seconds)) => (rid, Some(seconds.parse().unwrap())),
            None => (query, None),
        };
        assert_eq!(rid, format!("$rid={}", self.asked));
        let body = serde_json::from_slice(&publish.payload).unwrap();
        let how = format!("topic {status}");
        if status.parse::<u16>().unwrap() < 300 {
            Told::Accepted { how, retry_after, body }
        } else {
            Told::Refused { how, retry_after, body }
        }
    }

    /// There is nowhere to show them but in the body.
    async fn challenge(&mut self) -> Told {
        self.ask(Asking::Register { payload: None }).await;
        self.answer().await
    }

    async fn prove(&mut self, _token: String) {
        panic!("a TPM was challenged over MQTT");
    }
}
