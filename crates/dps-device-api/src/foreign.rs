//! The port through which a connection or request that is not the device API's is handed on: to the development hub,
//! the service API, the management API. Owns the classification's contract; must not know who answers.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use dps_model::Channel;
use dps_wire::amqp::connection::Event;
use dps_wire::amqp::sasl::Mechanism;
use dps_wire::mqtt::packet::Connect;
use http_body_util::combinators::BoxBody;
use tokio::io::{AsyncRead, AsyncWrite};

pub use crate::amqp::line::{AmqpLine, Came};

/// Body of a request or an answer at this port.
pub type Body = BoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// A byte stream after TLS (or after a WebSocket's framing).
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An MQTT connection whose CONNECT has been read and belongs to another front.
pub struct MqttConnection {
    /// How it came.
    pub channel: Arc<Channel>,
    /// The rest of the conversation.
    pub stream: Box<dyn Stream>,
    /// Bytes that came behind CONNECT.
    pub buffered: BytesMut,
    /// The CONNECT itself.
    pub connect: Connect,
}

/// What an AMQP connection says of itself before it is anybody's.
#[derive(Clone, Copy, Debug)]
pub enum AmqpClaim<'a> {
    /// It chose this mechanism of SASL, which the device API has no use for.
    Mechanism(Mechanism),
    /// The user name of SASL PLAIN, which is no device's of the device API.
    User(&'a str),
    /// The address of the first link, when SASL has not named anybody.
    Address(&'a str),
}

/// An AMQP connection that belongs to another front.
pub struct AmqpConnection {
    /// How it came.
    pub channel: Arc<Channel>,
    /// The conversation so far, to be led on.
    pub line: AmqpLine,
    /// The host that the peer says it speaks to, once it has said OPEN.
    pub hostname: Option<String>,
    /// What told whose it is, not answered yet: SASL's init or the first ATTACH.
    pub event: Event,
}

/// Answers MQTT and AMQP connections that the device API does not.
#[async_trait]
pub trait ForeignFront: Send + Sync + 'static {
    /// Is a CONNECT with this user name this front's?
    fn claims_mqtt(&self, username: &str) -> bool;
    /// Serves the connection to its end.
    async fn mqtt(&self, connection: MqttConnection);
    /// Is an AMQP connection that says this this front's?
    fn claims_amqp(&self, claim: AmqpClaim<'_>) -> bool;
    /// Serves the connection to its end, and says so when the server stops.
    async fn amqp(&self, connection: AmqpConnection);
}

/// Answers HTTP requests that the device API does not. The channel is among the request's extensions.
#[async_trait]
pub trait HttpFront: Send + Sync + 'static {
    /// Is a request to this host (port stripped) and path this front's?
    fn claims_http(&self, host: &str, path: &str) -> bool;
    /// Answers it. The request's extensions hold `Arc<Channel>`.
    async fn http(&self, request: http::Request<Body>) -> http::Response<Body>;
}
