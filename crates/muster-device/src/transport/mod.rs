//! The ways to a provisioning service. Each owns one exchange of requests for answers over its protocol and must not
//! judge what an answer says.

mod https;
mod mqtt;

use dps_model::{IdScope, RegistrationId};

use self::https::Https;
pub(crate) use self::https::PORT as HTTPS_PORT;
use self::mqtt::Mqtt;
pub(crate) use self::mqtt::PORT as MQTT_PORT;
use crate::answer::Answer;
use crate::error::Error;
use crate::tls::Server;

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
}

/// Who asks.
#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) id_scope: IdScope,
    pub(crate) registration_id: RegistrationId,
    /// A SAS token; none where a certificate speaks.
    pub(crate) token: Option<String>,
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
            Transport::Mqtt => Ok(Self::Mqtt(Box::new(Mqtt::open(server, device).await?))),
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
