//! TLS of the clients: 1.3, no resumption, one trusted certificate. The handshake's signature is checked; the chain is
//! compared byte for byte, which costs nothing.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use crate::devices::Device;

/// An encrypted connection.
pub type Stream = tokio_rustls::client::TlsStream<TcpStream>;

/// Connections from one source address, below what the ephemeral ports allow.
const PER_SOURCE: usize = 5_000;

/// The configuration that all devices start from.
pub struct Tls(ClientConfig);

impl Tls {
    /// Trusts the first certificate of that PEM file and no other.
    pub fn pinned(certificate: &Path) -> Result<Self> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let trusted = CertificateDer::from_pem_file(certificate).context("the server's certificate")?;
        let verifier = Arc::new(Pinned { trusted, provider: Arc::clone(&provider) });
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Self(config))
    }

    /// Connects as that device, from a source address that follows from `index`.
    pub async fn connect(&self, address: SocketAddr, index: usize, device: &Device) -> Result<Stream> {
        let mut config = self.0.clone();
        if let Some(certificate) = &device.certificate {
            config.client_auth_cert_resolver = Arc::new(Own(Arc::clone(certificate)));
        }
        let source = u8::try_from(index / PER_SOURCE + 1).context("too many connections")?;
        open(config, address, source).await
    }

    /// Connects as nobody in particular.
    pub async fn connect_plainly(&self, address: SocketAddr) -> Result<Stream> {
        open(self.0.clone(), address, 1).await
    }
}

async fn open(config: ClientConfig, address: SocketAddr, source: u8) -> Result<Stream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, source), 0)))?;
    let tcp = socket.connect(address).await.context("cannot connect")?;
    tcp.set_nodelay(true)?;
    let name = ServerName::try_from("localhost")?;
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await.context("TLS")
}

#[derive(Debug)]
struct Own(Arc<CertifiedKey>);

impl ResolvesClientCert for Own {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct Pinned {
    trusted: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *leaf == self.trusted {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::UnknownIssuer.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _leaf: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not offered".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
