//! How the device proves who it is. Owns the credential's forms; must not know transports.

use std::sync::Arc;

use dps_attestation::{SasToken, sas_token, symmetric_key};
use dps_model::{IdScope, RegistrationId, Secret};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::Error;
use crate::clock::Clock;
use crate::limits::{HUB_TOKEN_LIFETIME, PROVISIONING_TOKEN_LIFETIME};
use crate::tpm::{self, SecurityProviderTpm};

/// A device's credential, for provisioning and for its hub alike. Never shows its key.
#[derive(Clone)]
#[non_exhaustive]
pub enum Attestation {
    /// The device's own key, decoded: the enrollment's, or derived from the group's.
    SymmetricKey(Secret),
    /// A certificate with its private key, both PEM.
    X509 {
        /// The device's certificate, then those that signed it.
        chain_pem: Vec<u8>,
        /// The key of the first one.
        key_pem: Secret,
    },
    /// A TPM, over HTTPS: its endorsement key is enrolled, and it keeps the key for the hub.
    Tpm(Arc<dyn SecurityProviderTpm>),
}

impl std::fmt::Debug for Attestation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::SymmetricKey(_) => "SymmetricKey",
            Self::X509 { .. } => "X509",
            Self::Tpm(_) => "Tpm",
        })
    }
}

impl Attestation {
    /// The key of an individual enrollment, base64 as the service shows it.
    pub fn symmetric_key(base64: &str) -> Result<Self, Error> {
        read(base64).map(Self::SymmetricKey)
    }

    /// The key that an enrollment group's key (base64) gives this registration id. Meant for the place where devices
    /// are made: a group's key has no business on a device.
    pub fn group_symmetric_key(base64: &str, registration_id: &str) -> Result<Self, Error> {
        Ok(Self::SymmetricKey(symmetric_key::derive_device_key(&read(base64)?, registration_id)))
    }

    /// A certificate chain, leaf first, and the leaf's private key, both PEM.
    pub fn x509(chain_pem: impl Into<Vec<u8>>, key_pem: impl Into<Vec<u8>>) -> Self {
        Self::X509 { chain_pem: chain_pem.into(), key_pem: Secret::new(key_pem.into()) }
    }

    /// A TPM.
    pub fn tpm(tpm: impl SecurityProviderTpm) -> Self {
        Self::Tpm(Arc::new(tpm))
    }

    /// The SAS token for a provisioning service, if this credential signs one before it is challenged.
    pub(crate) fn provisioning_token(
        &self,
        scope: &IdScope,
        id: &RegistrationId,
        clock: &dyn Clock,
    ) -> Option<String> {
        let Self::SymmetricKey(key) = self else { return None };
        let expiry = clock.now().seconds().saturating_add(PROVISIONING_TOKEN_LIFETIME);
        Some(sas_token::sign_for_device(scope, id, key, expiry))
    }

    /// The SAS token for a hub, if this credential signs one.
    pub(crate) async fn hub_token(
        &self,
        hub: &str,
        device_id: &str,
        clock: &dyn Clock,
    ) -> Result<Option<String>, Error> {
        let resource = format!("{hub}/devices/{device_id}");
        let expiry = clock.now().seconds().saturating_add(HUB_TOKEN_LIFETIME);
        match self {
            Self::SymmetricKey(key) => Ok(Some(SasToken::sign(&resource, key, expiry, None))),
            Self::X509 { .. } => Ok(None),
            Self::Tpm(tpm) => tpm::token(tpm, &resource, expiry).await.map(Some),
        }
    }

    /// What TLS shows, if this credential is a certificate.
    pub(crate) fn identity(&self) -> Result<Option<Identity>, Error> {
        let Self::X509 { chain_pem, key_pem } = self else { return Ok(None) };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain_pem)
            .collect::<Result<_, _>>()
            .map_err(|error| Error::Setting(format!("the device's certificate is not PEM: {error}")))?;
        if chain.is_empty() {
            return Err(Error::Setting("the device's certificate has no CERTIFICATE section".into()));
        }
        let key = PrivateKeyDer::from_pem_slice(key_pem.expose())
            .map_err(|error| Error::Setting(format!("the device's private key is not PEM: {error}")))?;
        Ok(Some(Identity { chain, key }))
    }
}

fn read(base64: &str) -> Result<Secret, Error> {
    symmetric_key::read(base64)
        .map_err(|error| Error::Setting(format!("the symmetric key cannot be used: {error}")))
}

/// A certificate chain and its key, decoded.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "c2VjcmV0IGtleSBvZiAxNisgYnl0ZXM=";

    #[test]
    fn attestation_debug_hides_keys() {
        let shown = format!("{:?}", Attestation::symmetric_key(KEY).unwrap());
        assert_eq!(shown, "SymmetricKey");
        assert_eq!(format!("{:?}", Attestation::x509("CERT", "KEY")), "X509");
    }

    #[test]
    fn symmetric_key_bad_text_says_why_without_the_key() {
        let error = Attestation::symmetric_key("c2Vj-mV0").unwrap_err().to_string();
        assert!(error.contains("URL-safe alphabet at position 5") && !error.contains("c2Vj"), "{error}");
    }

    #[test]
    fn x509_without_pem_sections_says_which_part() {
        let error = Attestation::x509("no pem", "no pem").identity().err().unwrap().to_string();
        assert!(error.contains("no CERTIFICATE section"), "{error}");
    }
}
