//! What a device is said to show in a rehearsal, and the request that it would make with it. Owns the reading of
//! operators' texts; must not judge what they prove.

use std::net::SocketAddr;
use std::sync::Arc;

use dps_attestation::sas_token::{SasToken, sign_for_device};
use dps_attestation::{symmetric_key, x509};
use dps_model::channel::TlsSession;
use dps_model::instance::Instance;
use dps_model::limits::MAX_CHAIN_CERTIFICATES;
use dps_model::registration::{DeviceRegistration, TpmKeys};
use dps_model::{ApiVersion, Channel, Error, Protocol, RegistrationId, Secret, Timestamp, TrackingId};
use serde_json::value::RawValue;

use crate::request::{DeviceOperation, DeviceRequest};

/// Seconds that a token made for a rehearsal is good for; it is never sent.
const TOKEN_LIFETIME: i64 = 3_600;

/// What the device is said to show.
pub enum Shown {
    /// Certificates in DER, the device's own first. That the device holds its key is assumed.
    Certificates(Vec<Vec<u8>>),
    /// A SAS token as a device sends it.
    Token(Secret),
    /// The device's symmetric key: a token is made with it.
    Key(Secret),
    /// A TPM's public keys.
    Tpm(TpmKeys),
    /// Nothing.
    Nothing,
}

impl Shown {
    /// Reads a certificate chain: one text or several, each PEM or base64 of DER. Errors: `ArgumentInvalid`.
    pub fn certificates<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let mut chain = Vec::new();
        for (place, text) in texts.into_iter().enumerate() {
            let read = x509::certificate::read_text(text).map_err(|error| {
                Error::argument(format!(
                    "evidence.certificateChain[{place}] cannot be read: {error}. Give PEM or base64 of DER."
                ))
            })?;
            chain.extend(read.iter().map(|certificate| certificate.der().to_vec()));
            if chain.len() > MAX_CHAIN_CERTIFICATES {
                return Err(Error::argument(format!(
                    "evidence.certificateChain has more than {MAX_CHAIN_CERTIFICATES} certificates; give those that the \
                     device presents"
                )));
            }
        }
        if chain.is_empty() {
            return Err(Error::argument("evidence.certificateChain is empty; give the device's certificate"));
        }
        Ok(Self::Certificates(chain))
    }

    /// Reads a symmetric key. Errors: `ArgumentInvalid`.
    pub fn key(text: &str) -> Result<Self, Error> {
        symmetric_key::read(text)
            .map(Self::Key)
            .map_err(|error| Error::argument(format!("evidence.symmetricKey cannot be used: {error}")))
    }

    /// Who the device says it is where nothing else tells.
    fn registration_id(&self) -> Result<String, Error> {
        let missing = |why: &str| Error::argument(format!("registrationId is required: {why}"));
        match self {
            Self::Certificates(chain) => chain
                .first()
                .and_then(|leaf| x509::certificate::common_name(leaf))
                .ok_or_else(|| missing("the device's certificate has no common name to take it from")),
            Self::Token(text) => SasToken::parse(&String::from_utf8_lossy(text.expose()))
                .ok()
                .and_then(|token| {
                    token.resource().rsplit_once("/registrations/").map(|(_, id)| id.to_owned())
                })
                .ok_or_else(|| missing("the token names none in sr")),
            Self::Key(_) => Err(missing("a symmetric key names no device")),
            Self::Tpm(_) => Err(missing("a TPM's keys name no device")),
            Self::Nothing => Err(missing("there is no evidence to take it from")),
        }
    }
}

/// What is to be rehearsed.
pub struct Asked {
    /// Who the device says it is; none takes it from the evidence.
    pub registration_id: Option<String>,
    /// What it shows.
    pub shown: Shown,
    /// What it sends along.
    pub payload: Option<Box<RawValue>>,
    /// From where it calls.
    pub client: SocketAddr,
    /// How it speaks.
    pub protocol: Protocol,
    /// The api-version that it asks in; none is what the SDKs in the field send.
    pub api_version: Option<String>,
    /// Is the webhook of a custom allocation asked for its answer?
    pub asks_webhook: bool,
}

impl Asked {
    /// The register request that the device would make.
    pub(super) fn request(self, instance: &Instance, now: Timestamp) -> Result<DeviceRequest, Error> {
        let registration_id = match self.registration_id {
            Some(id) => id,
            None => self.shown.registration_id()?,
        };
        let (mut chain, mut sas_token, mut tpm) = (Vec::new(), None, None);
        match self.shown {
            Shown::Certificates(presented) => chain = presented,
            Shown::Token(text) => sas_token = Some(text),
            Shown::Key(key) => {
                // An id that is none is refused by the line, in its own words.
                sas_token = RegistrationId::parse(&registration_id).ok().map(|id| {
                    let expiry = now.seconds().saturating_add(TOKEN_LIFETIME);
                    sign_for_device(&instance.id_scope, &id, &key, expiry).into()
                });
            }
            Shown::Tpm(keys) => tpm = Some(keys),
            Shown::Nothing => {}
        }
        let tls = TlsSession { chain: chain.into(), ..TlsSession::default() };
        let version = self.api_version.unwrap_or_else(|| ApiVersion::V2019_03_31.as_str().to_owned());
        Ok(DeviceRequest {
            tracking_id: TrackingId::fresh(),
            channel: Arc::new(Channel { protocol: self.protocol, peer: self.client, tls }),
            id_scope: instance.id_scope.as_str().to_owned(),
            registration_id,
            api_version: Some(version),
            client: Some("rehearsal".to_owned()),
            sas_token,
            operation: DeviceOperation::Register(DeviceRegistration {
                tpm,
                payload: self.payload,
                ..DeviceRegistration::default()
            }),
        })
    }
}
