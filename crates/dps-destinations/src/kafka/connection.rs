//! One connection to a broker: TLS, SASL PLAIN, frames. Owns correlation and time limits; must not know topics.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use dps_model::Secret;
use kafka_protocol::messages::{ApiKey, RequestHeader, SaslAuthenticateRequest, SaslHandshakeRequest};
use kafka_protocol::protocol::{Encodable, StrBytes};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::answer::{self, Answer};
use crate::limits::{CONNECT_SECONDS, MAX_KAFKA_ANSWER, REQUEST_SECONDS};

/// How brokers are reached.
#[derive(Clone)]
pub struct Access {
    /// With TLS.
    pub tls: Option<Arc<ClientConfig>>,
    /// With a name and password by SASL PLAIN.
    pub sasl: Option<(String, Secret)>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that may be used.
pub struct Connection {
    stream: Box<dyn Stream>,
    asked: i32,
}

impl Connection {
    /// To that broker. The error is for people and holds no secret.
    pub async fn open(host: &str, port: u16, access: &Access) -> Result<Self, String> {
        let opened = timeout(Duration::from_secs(CONNECT_SECONDS), stream(host, port, access)).await;
        let stream = opened.map_err(|_| format!("{host}:{port} does not answer"))??;
        let mut connection = Self { stream, asked: 0 };
        if let Some((user, password)) = &access.sasl {
            connection.sign_in(user, password).await.map_err(|why| format!("{host}:{port}: {why}"))?;
        }
        Ok(connection)
    }

    async fn sign_in(&mut self, user: &str, password: &Secret) -> Result<(), String> {
        let request = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str("PLAIN"));
        let bytes = self.ask(ApiKey::SaslHandshake, 1, &request).await?;
        let (error, offered) = answer::handshake(&bytes).map_err(|_| malformed())?;
        if error != 0 {
            let offered: Vec<String> = offered.iter().take(8).map(|name| shown(name)).collect();
            return Err(format!("the broker does not take SASL PLAIN; it offers {}", offered.join(", ")));
        }
        let message = [b"\0", user.as_bytes(), b"\0", password.expose()].concat();
        let request = SaslAuthenticateRequest::default().with_auth_bytes(message.into());
        let bytes = self.ask(ApiKey::SaslAuthenticate, 1, &request).await?;
        match answer::authenticated(&bytes).map_err(|_| malformed())? {
            (0, _) => Ok(()),
            (error, why) => Err(format!(
                "the name or password is refused (error {error}: {})",
                shown(&why.unwrap_or_default())
            )),
        }
    }

    /// Asks and reads the answer, without its header.
    pub async fn ask(
        &mut self,
        key: ApiKey,
        version: i16,
        request: &impl Encodable,
    ) -> Result<Vec<u8>, String> {
        self.asked = self.asked.wrapping_add(1);
        let header = RequestHeader::default()
            .with_request_api_key(key as i16)
            .with_request_api_version(version)
            .with_correlation_id(self.asked)
            .with_client_id(Some(StrBytes::from_static_str("muster")));
        let mut frame = BytesMut::new();
        frame.put_u32(0);
        let encoded = header.encode(&mut frame, 1).and_then(|()| request.encode(&mut frame, version));
        encoded.map_err(|error| format!("a request cannot be written: {error}"))?;
        let length = u32::try_from(frame.len() - 4).map_err(|_| "a request is too large".to_owned())?;
        if let Some(place) = frame.first_chunk_mut::<4>() {
            *place = length.to_be_bytes();
        }
        let exchange = timeout(Duration::from_secs(REQUEST_SECONDS), self.exchange(&frame)).await;
        exchange.map_err(|_| "the broker does not answer in time".to_owned())?
    }

    async fn exchange(&mut self, frame: &[u8]) -> Result<Vec<u8>, String> {
        let lost = |error: std::io::Error| format!("the connection broke: {error}");
        self.stream.write_all(frame).await.map_err(lost)?;
        self.stream.flush().await.map_err(lost)?;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).await.map_err(lost)?;
        let length = u32::from_be_bytes(length) as usize;
        if !(4..=MAX_KAFKA_ANSWER).contains(&length) {
            return Err(malformed());
        }
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).await.map_err(lost)?;
        let mut answer = Answer(&bytes);
        match answer.i32() {
            Ok(number) if number == self.asked => Ok(answer.0.to_vec()),
            _ => Err(malformed()),
        }
    }
}

async fn stream(host: &str, port: u16, access: &Access) -> Result<Box<dyn Stream>, String> {
    let failed = |error: std::io::Error| format!("no connection to {host}:{port}: {error}");
    let tcp = TcpStream::connect((host, port)).await.map_err(failed)?;
    tcp.set_nodelay(true).map_err(failed)?;
    let Some(tls) = &access.tls else { return Ok(Box::new(tcp)) };
    let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("{host} is no host name"))?;
    let stream = TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await.map_err(failed)?;
    Ok(Box::new(stream))
}

fn malformed() -> String {
    "it does not answer as a Kafka broker; are the port and tls right?".to_owned()
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(crate::limits::MAX_REASON).collect()
}
