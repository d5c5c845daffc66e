//! What the matrix is made of: protocols, mechanisms, and devices with what they prove themselves by.

use std::sync::Arc;

use dps_attestation::sas_token::SasToken;
use dps_model::{Protocol, Secret};

use crate::pki::Leaf;
use crate::software_tpm::SoftwareTpm;

/// How a device comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Medium {
    Https,
    Mqtt,
    MqttWs,
    Amqp,
    AmqpWs,
}

impl Medium {
    pub const ALL: [Self; 5] = [Self::Https, Self::Mqtt, Self::MqttWs, Self::Amqp, Self::AmqpWs];

    pub fn name(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Mqtt => "mqtt",
            Self::MqttWs => "mqtt-ws",
            Self::Amqp => "amqp",
            Self::AmqpWs => "amqp-ws",
        }
    }

    /// What events call it.
    pub fn protocol(self) -> Protocol {
        match self {
            Self::Https => Protocol::Http,
            Self::Mqtt => Protocol::Mqtt,
            Self::MqttWs => Protocol::MqttWs,
            Self::Amqp => Protocol::Amqp,
            Self::AmqpWs => Protocol::AmqpWs,
        }
    }

    /// Azure has no TPM attestation over MQTT.
    pub fn offers(self, attesting: Attesting) -> bool {
        attesting != Attesting::Tpm || !matches!(self, Self::Mqtt | Self::MqttWs)
    }

    /// Is there a registration status lookup?
    pub fn looks_up(self) -> bool {
        !matches!(self, Self::Mqtt | Self::MqttWs)
    }
}

/// How a device proves itself, and under what kind of enrollment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attesting {
    X509Individual,
    X509Group,
    SymmetricIndividual,
    SymmetricGroup,
    Tpm,
}

impl Attesting {
    pub const ALL: [Self; 5] =
        [Self::X509Individual, Self::X509Group, Self::SymmetricIndividual, Self::SymmetricGroup, Self::Tpm];

    pub fn name(self) -> &'static str {
        match self {
            Self::X509Individual => "x509-individual",
            Self::X509Group => "x509-group",
            Self::SymmetricIndividual => "symmetric-individual",
            Self::SymmetricGroup => "symmetric-group",
            Self::Tpm => "tpm",
        }
    }
}

/// What a device proves itself with.
#[derive(Clone)]
pub enum Credential {
    Key(Secret),
    Certificate(Leaf),
    Chip(Arc<SoftwareTpm>),
}

/// A device.
#[derive(Clone)]
pub struct Device {
    pub id: String,
    pub scope: &'static str,
    pub credential: Credential,
    /// When its tokens expire, in Unix seconds.
    pub expiry: i64,
}

impl Device {
    pub fn leaf(&self) -> Option<&Leaf> {
        match &self.credential {
            Credential::Certificate(leaf) => Some(leaf),
            Credential::Key(_) | Credential::Chip(_) => None,
        }
    }

    pub fn chip(&self) -> Option<&SoftwareTpm> {
        match &self.credential {
            Credential::Chip(chip) => Some(chip),
            Credential::Key(_) | Credential::Certificate(_) => None,
        }
    }

    /// The token that a key makes without being asked.
    pub fn token(&self) -> Option<String> {
        match &self.credential {
            Credential::Key(key) => Some(self.sign(key)),
            Credential::Certificate(_) | Credential::Chip(_) => None,
        }
    }

    pub fn sign(&self, key: &Secret) -> String {
        SasToken::sign(&self.address(), key, self.expiry, Some("registration"))
    }

    pub fn address(&self) -> String {
        format!("{}/registrations/{}", self.scope, self.id)
    }

    /// A register or lookup body; the payload goes as it is.
    pub fn body(&self, payload: Option<&str>) -> String {
        let keys = self.chip().map(|chip| serde_json::to_string(&chip.keys()).unwrap());
        let tpm = keys.map(|keys| format!(r#","tpm":{keys}"#)).unwrap_or_default();
        let payload = payload.map(|payload| format!(r#","payload":{payload}"#)).unwrap_or_default();
        format!(r#"{{"registrationId":"{}"{tpm}{payload}}}"#, self.id)
    }
}
