//! Provisioning over MQTT 3.1.1, on TLS or on a WebSocket: requests and answers are messages, matched by `$rid`.

use bytes::Bytes;
use dps_wire::mqtt::packet::{Delivery, Packet, Publish};
use dps_wire::mqtt::topic::dps::{Request, Response, SUBSCRIBE_FILTER, UserName};

use super::{API_VERSION, CLIENT_VERSION, Device, Exchange, Transport, open_mqtt};
use crate::answer::Answer;
use crate::error::Error;
use crate::limits::MAX_PROVISIONING_PACKET;
use crate::mqtt::{Line, Login};
use crate::stream::BoxStream;
use crate::tls::Server;

/// MQTT over TLS.
pub(crate) const PORT: u16 = 8883;

/// A connection that listens for answers.
pub(crate) struct Mqtt {
    line: Line<BoxStream>,
    last_rid: u64,
}

impl Mqtt {
    pub(super) async fn open(transport: Transport, server: &Server, device: Device) -> Result<Self, Error> {
        let id = device.registration_id.as_str();
        let mut user_name = UserName::new(device.id_scope.as_str(), id, API_VERSION);
        user_name.client_version = Some(CLIENT_VERSION.to_owned());
        let login = Login {
            client_id: id.to_owned(),
            user_name: user_name.to_string(),
            password: device.token,
            keep_alive: 0,
        };
        let (stream, address) = open_mqtt(transport, server).await?;
        let mut line = Line::connect(stream, address, login, MAX_PROVISIONING_PACKET).await?;
        line.subscribe(&[SUBSCRIBE_FILTER]).await?;
        Ok(Self { line, last_rid: 0 })
    }

    pub(super) async fn close(self) {
        self.line.close().await;
    }

    async fn ask(&mut self, request: &Request, body: &str) -> Result<Answer, Error> {
        let topic = request.topic().map_err(|error| Error::Protocol(error.to_string()))?;
        let publish = Publish {
            topic,
            delivery: Delivery::AtLeastOnce { packet_id: self.line.next_id(), dup: false },
            retain: false,
            payload: Bytes::copy_from_slice(body.as_bytes()),
        };
        self.line.send(&Packet::Publish(publish)).await?;
        loop {
            match self.line.receive().await? {
                Packet::Publish(publish) => {
                    self.line.acknowledge(&publish).await?;
                    let response = Response::parse(&publish.topic).map_err(|error| {
                        Error::Protocol(format!("the service answered on a topic of no use: {error}"))
                    })?;
                    // An answer to an earlier question is late, not wrong.
                    if response.rid == request.rid() {
                        let Response { status, retry_after, .. } = response;
                        return Ok(Answer { status, retry_after, body: publish.payload });
                    }
                }
                // The answer may overtake it; either way it says nothing new.
                Packet::PubAck(_) => {}
                other => return Err(self.line.unexpected(&other)),
            }
        }
    }

    fn next_rid(&mut self) -> String {
        self.last_rid += 1;
        self.last_rid.to_string()
    }
}

impl Exchange for Mqtt {
    async fn register(&mut self, body: &str) -> Result<Answer, Error> {
        let rid = self.next_rid();
        self.ask(&Request::Register { rid }, body).await
    }

    async fn poll(&mut self, operation_id: &str) -> Result<Answer, Error> {
        let rid = self.next_rid();
        self.ask(&Request::OperationStatus { rid, operation_id: operation_id.to_owned() }, "{}").await
    }
}
