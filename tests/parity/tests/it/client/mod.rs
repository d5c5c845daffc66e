//! Devices by hand: five small clients that see what is on the wire, behind one trait.

mod amqp;
mod https;
mod mqtt;
mod websocket;

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use rustls_pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::device::{Device, Medium};
use crate::site::Site;

/// Bytes both ways.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}
pub type Stream = Box<dyn Duplex>;

/// What a device asks for.
#[derive(Clone, Copy, Debug)]
pub enum Asking<'a> {
    Register { payload: Option<&'a str> },
    Poll { operation_id: &'a str },
    LookUp,
}

/// What a device is told. `how` is the medium's own words: a status, a topic's number, a condition.
#[derive(Clone, Debug)]
pub enum Told {
    Accepted {
        how: String,
        retry_after: Option<u32>,
        body: Value,
    },
    Refused {
        how: String,
        retry_after: Option<u32>,
        body: Value,
    },
    Challenged {
        how: String,
        blob: Vec<u8>,
    },
    /// Refused where the medium has no words for a code: in CONNACK.
    Unsaid {
        how: String,
    },
}

/// A connection of a device. Dropped, it is cut without a word.
#[async_trait]
pub trait Client: Send {
    /// Sends a request and reads nothing.
    async fn ask(&mut self, asking: Asking<'_>);

    /// Reads the answer to the last request.
    async fn answer(&mut self) -> Told;

    /// Shows the keys of a TPM; the challenge, or a refusal.
    async fn challenge(&mut self) -> Told;

    /// Shows what a TPM signed with the key of its challenge.
    async fn prove(&mut self, token: String);
}

/// Connects a device up to where it can ask: a TPM up to where it can show its keys. Gives the address that the server
/// sees, too. An error is a refusal that is told before anything is asked.
pub async fn connect(
    site: &Site,
    medium: Medium,
    device: &Device,
) -> (Result<Box<dyn Client>, Told>, SocketAddr) {
    let port = match medium {
        Medium::Https | Medium::MqttWs | Medium::AmqpWs => site.ports.https,
        Medium::Mqtt => site.ports.mqtt,
        Medium::Amqp => site.ports.amqp,
    };
    let tcp = TcpStream::connect(port).await.unwrap();
    let peer = tcp.local_addr().unwrap();
    let connector = TlsConnector::from(Arc::new(site.ca.client(device.leaf())));
    let tls = connector.connect(ServerName::try_from("localhost").unwrap(), tcp).await.unwrap();
    let device = device.clone();
    let amqp = |amqp: amqp::Amqp| Box::new(amqp) as Box<dyn Client>;
    let mqtt = |mqtt: mqtt::Mqtt| Box::new(mqtt) as Box<dyn Client>;
    let client = match medium {
        Medium::Https => Ok(Box::new(https::Https::new(Box::new(tls), device)) as Box<dyn Client>),
        Medium::Mqtt => mqtt::Mqtt::connect(Box::new(tls), device).await.map(mqtt),
        Medium::MqttWs => {
            let stream = websocket::open(tls, "mqtt").await;
            mqtt::Mqtt::connect(stream, device).await.map(mqtt)
        }
        Medium::Amqp => amqp::Amqp::connect(Box::new(tls), device).await.map(amqp),
        Medium::AmqpWs => {
            let stream = websocket::open(tls, "AMQPWSB10").await;
            amqp::Amqp::connect(stream, device).await.map(amqp)
        }
    };
    (client, peer)
}
