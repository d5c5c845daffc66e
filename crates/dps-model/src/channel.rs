//! What is known of a connection before any request: protocol, peer, TLS. Must not know how it was accepted.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The protocol a request came over, as resource logs and metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// HTTPS.
    Http,
    /// MQTT 3.1.1 over TLS.
    Mqtt,
    /// MQTT over WebSocket.
    MqttWs,
    /// AMQP 1.0 over TLS.
    Amqp,
    /// AMQP over WebSocket.
    AmqpWs,
}

impl Protocol {
    /// The value in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "Http",
            Self::Mqtt => "Mqtt",
            Self::MqttWs => "MqttWs",
            Self::Amqp => "Amqp",
            Self::AmqpWs => "AmqpWs",
        }
    }
}

/// One accepted connection. Shared by all requests that come over it.
#[derive(Debug)]
pub struct Channel {
    /// How the device speaks.
    pub protocol: Protocol,
    /// Where it speaks from.
    pub peer: SocketAddr,
    /// What TLS agreed on.
    pub tls: TlsSession,
}

/// The TLS session's facts. The chain is as presented: possession of the leaf's key is proven by the handshake,
/// trust is not judged yet.
#[derive(Clone, Debug, Default)]
pub struct TlsSession {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: String,
    /// IANA name of the cipher suite.
    pub cipher: String,
    /// Host name the client asked for.
    pub sni: Option<String>,
    /// Presented certificates in DER, leaf first; empty without a client certificate.
    pub chain: Arc<[Vec<u8>]>,
}
