//! A secure stream to a server. Owns names, ports, trust and the device's certificate; must not know what is spoken on
//! the stream.

use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::Verifier;
use tokio_rustls::TlsConnector;

use crate::attestation::Attestation;
use crate::error::Error;
use crate::limits::OPEN_TIMEOUT;
use crate::stream::{BoxStream, Connector};

/// Where a server is, and how it is believed.
#[derive(Clone)]
pub(crate) struct Server {
    host: String,
    name: ServerName<'static>,
    /// Dialled in place of the host's name.
    dial: Option<String>,
    port: u16,
    config: Arc<ClientConfig>,
    connector: Arc<dyn Connector>,
}

impl Server {
    /// A server of that name. With `roots` (PEM) these alone are trusted, else the machine's.
    pub(crate) fn new(
        host: &str,
        port: u16,
        roots: Option<&[u8]>,
        attestation: &Attestation,
        connector: Arc<dyn Connector>,
    ) -> Result<Self, Error> {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| {
            Error::Setting(format!(
                "{host:?} is no host name: write a name or an address, without scheme and port"
            ))
        })?;
        let config = Arc::new(config(roots, attestation)?);
        Ok(Self { host: bare.to_owned(), name, dial: None, port, config, connector })
    }

    /// Dials another address; the server is still believed by its name.
    pub(crate) fn dial(mut self, address: Option<String>) -> Self {
        self.dial = address;
        self
    }

    /// The same server on another port.
    pub(crate) fn on_port(&self, port: u16) -> Self {
        Self { port, ..self.clone() }
    }

    /// For a `Host` header and for people: the port is left away where it is the scheme's.
    pub(crate) fn authority(&self, default_port: u16) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == default_port { host } else { format!("{host}:{}", self.port) }
    }

    /// Connects and shakes hands, within a bounded time.
    pub(crate) async fn open(&self) -> Result<BoxStream, Error> {
        let limit: Duration = OPEN_TIMEOUT;
        tokio::time::timeout(limit, self.shake_hands())
            .await
            .unwrap_or(Err(Error::Timeout { limit, doing: "connecting" }))
    }

    async fn shake_hands(&self) -> Result<BoxStream, Error> {
        let failed = |error: std::io::Error| Error::stream(&self.authority(0), &error);
        let dialled = self.dial.as_deref().unwrap_or(&self.host);
        let stream = self.connector.connect(dialled, self.port).await.map_err(failed)?;
        let tls = TlsConnector::from(Arc::clone(&self.config)).connect(self.name.clone(), stream);
        Ok(Box::new(tls.await.map_err(failed)?))
    }
}

fn config(roots: Option<&[u8]>, attestation: &Attestation) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let setting = |error: rustls::Error| Error::Setting(format!("TLS cannot be set up: {error}"));
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(setting)?;
    let builder = match roots {
        Some(pem) => builder.with_root_certificates(store(pem)?),
        // Not dangerous: this verifier checks all that the default one does, against the machine's roots.
        None => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier::new(provider).map_err(setting)?)),
    };
    match attestation.identity()? {
        None => Ok(builder.with_no_client_auth()),
        Some(identity) => builder
            .with_client_auth_cert(identity.chain, identity.key)
            .map_err(|error| Error::Setting(format!("the device's certificate cannot be used: {error}"))),
    }
}

fn store(pem: &[u8]) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate =
            certificate.map_err(|error| Error::Setting(format!("the trusted roots are not PEM: {error}")))?;
        store
            .add(certificate)
            .map_err(|error| Error::Setting(format!("a trusted root cannot be used: {error}")))?;
    }
    if store.is_empty() {
        return Err(Error::Setting("the trusted roots have no CERTIFICATE section".into()));
    }
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Tcp;

    #[test]
    fn server_host_with_scheme_refused() {
        let key = Attestation::symmetric_key("c2VjcmV0IGtleSBvZiAxNisgYnl0ZXM=").unwrap();
        for host in ["https://localhost", "localhost:443", ""] {
            assert!(
                matches!(Server::new(host, 443, None, &key, Arc::new(Tcp)), Err(Error::Setting(_))),
                "{host}"
            );
        }
    }

    #[test]
    fn roots_without_certificate_refused() {
        let key = Attestation::symmetric_key("c2VjcmV0IGtleSBvZiAxNisgYnl0ZXM=").unwrap();
        let error = Server::new("localhost", 443, Some(b"x"), &key, Arc::new(Tcp)).err().unwrap().to_string();
        assert!(error.contains("no CERTIFICATE section"), "{error}");
    }
}
