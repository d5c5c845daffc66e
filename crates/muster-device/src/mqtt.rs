//! The client's end of one MQTT connection: packets over a stream, CONNECT and SUBSCRIBE awaited. Owns buffers and
//! packet identifiers; must not know topics.

use bytes::BytesMut;
use dps_wire::mqtt::codec::{self, Decoder, Limits, Role};
use dps_wire::mqtt::packet::{
    Connect, ConnectReturnCode, Delivery, Packet, PacketId, Password, Protocol, Publish, QoS, Subscribe,
    SubscribeFilter, SubscribeResult,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::error::{Error, closed};
use crate::limits::READ_CHUNK;

/// Who connects, and as what.
pub(crate) struct Login {
    pub(crate) client_id: String,
    pub(crate) user_name: String,
    /// A SAS token; none where a certificate speaks.
    pub(crate) password: Option<String>,
    /// Seconds; 0 for a connection that is soon over.
    pub(crate) keep_alive: u16,
}

/// A connection on which CONNECT was accepted.
pub(crate) struct Line<S> {
    stream: S,
    address: String,
    decoder: Decoder,
    input: BytesMut,
    output: BytesMut,
    last_id: u16,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    /// Sends CONNECT and waits for its acceptance.
    pub(crate) async fn connect(
        stream: S,
        address: String,
        login: Login,
        max_packet: usize,
    ) -> Result<Self, Error> {
        let limits = Limits { max_packet, ..Limits::default() };
        let decoder = Decoder::new(Role::Client, limits);
        let (input, output) = (BytesMut::new(), BytesMut::new());
        let mut line = Self { stream, address, decoder, input, output, last_id: 0 };
        let connect = Connect {
            protocol: Protocol::V311,
            clean_session: true,
            keep_alive: login.keep_alive,
            client_id: login.client_id,
            will: None,
            user_name: Some(login.user_name),
            password: login.password.map(|token| Password::new(token.into_bytes())),
        };
        line.send(&Packet::Connect(Box::new(connect))).await?;
        match line.receive().await? {
            Packet::ConnAck(connack) if connack.code == ConnectReturnCode::Accepted => Ok(line),
            Packet::ConnAck(connack) => Err(Error::ConnectionRefused {
                return_code: connack.code as u8,
                meaning: meaning(connack.code),
            }),
            other => Err(line.unexpected(&other)),
        }
    }

    /// Sends one packet, whole.
    pub(crate) async fn send(&mut self, packet: &Packet) -> Result<(), Error> {
        self.output.clear();
        codec::encode(packet, &mut self.output)
            .map_err(|error| Error::Setting(format!("{} cannot be sent: {error}", packet.packet_type())))?;
        let written = async {
            self.stream.write_all(&self.output).await?;
            self.stream.flush().await
        };
        let written = written.await;
        if matches!(packet, Packet::Connect(_)) {
            // The token was in it.
            zeroize::Zeroize::zeroize(self.output.as_mut());
        }
        written.map_err(|error| Error::stream(&self.address, &error))
    }

    /// The next packet. Cancel-safe: what was read stays for the next call.
    pub(crate) async fn receive(&mut self) -> Result<Packet, Error> {
        loop {
            let decoded = self.decoder.decode(&mut self.input).map_err(|error| {
                Error::Protocol(format!("{} sent what is not MQTT 3.1.1: {error}", self.address))
            })?;
            if let Some(packet) = decoded {
                return Ok(packet);
            }
            self.input.reserve(READ_CHUNK);
            let count = self
                .stream
                .read_buf(&mut self.input)
                .await
                .map_err(|error| Error::stream(&self.address, &error))?;
            if count == 0 {
                return Err(closed(&self.address));
            }
        }
    }

    /// Subscribes at QoS 1 and waits until every filter is granted. Messages that come earlier are lost: nobody has
    /// asked yet.
    pub(crate) async fn subscribe(&mut self, filters: &[&str]) -> Result<(), Error> {
        let packet_id = self.next_id();
        let filters = filters
            .iter()
            .map(|filter| SubscribeFilter { filter: (*filter).to_owned(), qos: QoS::AtLeastOnce })
            .collect();
        self.send(&Packet::Subscribe(Subscribe { packet_id, filters })).await?;
        loop {
            match self.receive().await? {
                Packet::SubAck(suback) if suback.packet_id == packet_id => {
                    if suback.results.contains(&SubscribeResult::Failure) {
                        return Err(Error::Protocol(format!("{} refuses a subscription", self.address)));
                    }
                    return Ok(());
                }
                Packet::Publish(publish) => self.acknowledge(&publish).await?,
                other => return Err(self.unexpected(&other)),
            }
        }
    }

    /// PUBACK where one is due.
    pub(crate) async fn acknowledge(&mut self, publish: &Publish) -> Result<(), Error> {
        match publish.delivery {
            Delivery::AtMostOnce => Ok(()),
            Delivery::AtLeastOnce { packet_id, .. } => self.send(&Packet::PubAck(packet_id)).await,
            Delivery::ExactlyOnce { .. } => {
                Err(Error::Protocol(format!("{} sent a message with QoS 2, never asked for", self.address)))
            }
        }
    }

    /// An identifier for the next message or subscription.
    pub(crate) fn next_id(&mut self) -> PacketId {
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        PacketId::new(self.last_id).unwrap_or(PacketId::MIN)
    }

    /// What to say about a packet that has no place here.
    pub(crate) fn unexpected(&self, packet: &Packet) -> Error {
        Error::Protocol(format!("{} sent {} where it has no place", self.address, packet.packet_type()))
    }

    /// Says goodbye and closes; errors do not matter any more.
    pub(crate) async fn close(mut self) {
        let leave = async {
            self.send(&Packet::Disconnect).await.ok();
            self.stream.shutdown().await.ok();
        };
        tokio::time::timeout(crate::limits::CLOSE_TIMEOUT, leave).await.ok();
    }
}

/// What CONNACK's codes say about a device (as Azure uses them).
const fn meaning(code: ConnectReturnCode) -> &'static str {
    match code {
        ConnectReturnCode::Accepted => "accepted",
        ConnectReturnCode::UnacceptableProtocolVersion => "the server does not speak MQTT 3.1.1",
        ConnectReturnCode::IdentifierRejected => "the client id is refused",
        ConnectReturnCode::ServerUnavailable => {
            "nothing serves this device here; check the ID scope, else try again later"
        }
        ConnectReturnCode::BadUserNameOrPassword => "the user name or the SAS token is wrong",
        ConnectReturnCode::NotAuthorized => {
            "not authorized; check the device's id, its key or certificate, and that it is enabled"
        }
    }
}
