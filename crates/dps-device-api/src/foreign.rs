//! The port through which a connection or request that is not the device API's is handed on: to the development hub,
//! the service API, the management API. Owns the classification's contract; must not know who answers.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use dps_model::Channel;
use dps_wire::mqtt::packet::Connect;
use http_body_util::combinators::BoxBody;
use tokio::io::{AsyncRead, AsyncWrite};

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

/// Answers MQTT connections that the device API does not.
#[async_trait]
pub trait ForeignFront: Send + Sync + 'static {
    /// Is a CONNECT with this user name this front's?
    fn claims_mqtt(&self, username: &str) -> bool;
    /// Serves the connection to its end.
    async fn mqtt(&self, connection: MqttConnection);
}

/// Answers HTTP requests that the device API does not. The channel is among the request's extensions.
#[async_trait]
pub trait HttpFront: Send + Sync + 'static {
    /// Is a request to this host (port stripped) and path this front's?
    fn claims_http(&self, host: &str, path: &str) -> bool;
    /// Answers it. The request's extensions hold `Arc<Channel>`.
    async fn http(&self, request: http::Request<Body>) -> http::Response<Body>;
}
