//! The ways to a provisioning service. Each owns one exchange of requests for answers over its protocol and must not
//! judge what an answer says.

mod https;
mod mqtt;

use std::sync::Arc;

use dps_model::{IdScope, RegistrationId};

pub(crate) use self::https::{Https, PORT as HTTPS_PORT, failed, retry_after};
use self::mqtt::Mqtt;
pub(crate) use self::mqtt::PORT as MQTT_PORT;
use crate::answer::Answer;
use crate::error::Error;
use crate::stream::BoxStream;
use crate::tls::Server;
use crate::tpm::SecurityProviderTpm;
use crate::websocket;

/// `api-version` of every request.
const API_VERSION: &str = "2021-10-01";
/// What this client calls itself.
pub(crate) const CLIENT_VERSION: &str = concat!("muster-device/", env!("CARGO_PKG_VERSION"));

/// How a device speaks with the provisioning service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// MQTT 3.1.1 over TLS, port 8883.
    #[default]
    Mqtt,
    /// HTTPS, port 443.
    Https,
    /// MQTT 3.1.1 through a WebSocket, port 443: for networks that let nothing else out.
    MqttWs,
}

impl Transport {
    /// The port where nobody says otherwise.
    pub(crate) const fn port(self) -> u16 {
        match self {
            Self::Mqtt => MQTT_PORT,
            Self::Https | Self::MqttWs => HTTPS_PORT,
        }
    }
}

/// A stream on which MQTT can begin, and the address for people.
pub(crate) async fn open_mqtt(transport: Transport, server: &Server) -> Result<(BoxStream, String), Error> {
    let address = server.authority(transport.port());
    let stream = server.open().await?;
    match transport {
        Transport::Mqtt | Transport::Https => Ok((stream, address)),
        Transport::MqttWs => Ok((websocket::open(stream, &address).await?, address)),
    }
}

/// Who asks.
#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) id_scope: IdScope,
    pub(crate) registration_id: RegistrationId,
    /// A SAS token; none where a certificate or a TPM speaks.
    pub(crate) token: Option<String>,
    /// Who answers a challenge, and when its token expires (Unix seconds).
    pub(crate) tpm: Option<(Arc<dyn SecurityProviderTpm>, i64)>,
}

/// One conversation with a provisioning service: a register request, then polls.
#[allow(async_fn_in_trait)] // within this crate alone
pub(crate) trait Exchange {
    /// Asks to be registered; `body` is JSON.
    async fn register(&mut self, body: &str) -> Result<Answer, Error>;
    /// Asks how far the operation is.
    async fn poll(&mut self, operation_id: &str) -> Result<Answer, Error>;
}

/// A conversation over one of the transports.
pub(crate) enum Conversation {
    /// Over MQTT.
    Mqtt(Box<Mqtt>),
    /// Over HTTPS.
    Https(Box<Https>),
}

impl Conversation {
    /// Connects.
    pub(crate) async fn open(transport: Transport, server: &Server, device: Device) -> Result<Self, Error> {
        match transport {
            Transport::Mqtt | Transport::MqttWs => {
                Ok(Self::Mqtt(Box::new(Mqtt::open(transport, server, device).await?)))
            }
            Transport::Https => Ok(Self::Https(Box::new(Https::open(server, device).await?))),
        }
    }

    /// Leaves in good order.
    pub(crate) async fn close(self) {
        match self {
            Self::Mqtt(mqtt) => mqtt.close().await,
            // HTTP has no word for it.
            Self::Https(_) => {}
        }
    }
}

impl Exchange for Conversation {
    async fn register(&mut self, body: &str) -> Result<Answer, Error> {
        match self {
            Self::Mqtt(mqtt) => mqtt.register(body).await,
            Self::Https(https) => https.register(body).await,
        }
    }

    async fn poll(&mut self, operation_id: &str) -> Result<Answer, Error> {
        match self {
            Self::Mqtt(mqtt) => mqtt.poll(operation_id).await,
            Self::Https(https) => https.poll(operation_id).await,
        }
    }
}
