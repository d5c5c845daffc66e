//! The files of a server certificate: read, matched with their key, and looked at as an operator would. Must not know
//! who is served.

use std::path::{Path, PathBuf};

use dps_device_api::Identity;
use dps_model::{Timestamp, limits};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::secret::{bounded, kept_badly};

/// Where a server certificate is, and for whom.
#[derive(Clone)]
pub struct CertificateFiles {
    /// PEM of the chain.
    pub chain: PathBuf,
    /// PEM of the key.
    pub key: PathBuf,
    /// Host names that it is shown for; empty: those of the certificate.
    pub hosts: Vec<String>,
}

/// A server certificate that can be used.
#[derive(Clone)]
pub struct ServerCertificate {
    /// For TLS.
    pub identity: Identity,
    /// Host names that it is shown for, in lower case.
    pub hosts: Vec<String>,
    /// Its subject, for people.
    pub subject: String,
    /// When it begins.
    pub not_before: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
    /// The chain's text, to tell a new one from the old one.
    pub bytes: Vec<u8>,
}

impl CertificateFiles {
    /// Reads both files. The error is one clause and holds nothing of the key.
    pub fn load(&self) -> Result<ServerCertificate, String> {
        let (chain, key) = (bounded(&self.chain)?, bounded(&self.key)?);
        let shown = |path: &Path| path.display().to_string();
        let leaf = CertificateDer::from_pem_slice(&chain)
            .map_err(|_| format!("{} holds no certificate in PEM", shown(&self.chain)))?;
        let (_, parsed) = X509Certificate::from_der(&leaf)
            .map_err(|_| format!("the first certificate of {} cannot be read", shown(&self.chain)))?;
        let identity = Identity::from_pem(&chain, &key).map_err(|error| {
            format!("{} does not go with {}: {error}", shown(&self.key), shown(&self.chain))
        })?;
        let hosts = if self.hosts.is_empty() { names(&parsed) } else { self.hosts.clone() };
        let validity = parsed.validity();
        Ok(ServerCertificate {
            identity,
            hosts: hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect(),
            subject: parsed.subject().to_string(),
            not_before: Timestamp::from_millis(validity.not_before.timestamp() * 1_000),
            not_after: Timestamp::from_millis(validity.not_after.timestamp() * 1_000),
            bytes: chain,
        })
    }

    /// What an operator should know of the key's file.
    pub fn doubt(&self) -> Option<String> {
        kept_badly(&self.key)
    }
}

/// When the first certificate of a chain in PEM ends.
pub fn end_of(chain: &[u8]) -> anyhow::Result<Timestamp> {
    let leaf = CertificateDer::from_pem_slice(chain)?;
    let (_, parsed) = X509Certificate::from_der(&leaf)?;
    Ok(Timestamp::from_millis(parsed.validity().not_after.timestamp() * 1_000))
}

impl ServerCertificate {
    /// What an operator should know at that time.
    pub fn doubt(&self, now: Timestamp) -> Option<String> {
        let Self { subject, not_before, not_after, .. } = self;
        let left = not_after.seconds() - now.seconds();
        if left <= 0 {
            return Some(format!("the certificate of {subject} expired at {not_after}"));
        }
        if not_before.seconds() > now.seconds() {
            return Some(format!("the certificate of {subject} is not valid before {not_before}"));
        }
        (left < limits::CERTIFICATE_WARNING)
            .then(|| format!("the certificate of {subject} ends at {not_after}, in {} days", left / 86_400))
    }

    /// Would a client that checks names take it for that host?
    pub fn covers(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        self.hosts.iter().any(|name| match name.strip_prefix("*.") {
            Some(parent) => host.split_once('.').is_some_and(|(_, rest)| rest == parent),
            None => *name == host,
        })
    }
}

/// The host names of a certificate; its common name counts as little as it does for clients.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |general: &GeneralName<'_>| match general {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    };
    extension.value.general_names.iter().filter_map(name).collect()
}
