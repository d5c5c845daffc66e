//! A TLS handshake that is carried to its end whoever answers, so that it can be told who did. What verification says is
//! kept; nothing secret may be said on such a stream.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::identity::{Shown, links};
use super::limits::STEP;

/// Whom this machine believes.
#[derive(Clone)]
pub struct Trust {
    verifier: Arc<dyn ServerCertVerifier>,
    provider: Arc<CryptoProvider>,
    /// Are those of a file alone?
    pub own_roots: bool,
}

/// Why there was no handshake.
pub enum NoTls {
    /// The time of a step was over.
    Silent,
    /// The peer does not speak TLS.
    NotTls,
    /// It closed the connection, or broke it.
    Closed(String),
    /// TLS failed otherwise; it says why.
    Refused(String),
}

impl Trust {
    /// In the roots of a PEM file alone, else in the machine's.
    pub fn new(roots: Option<&[u8]>) -> anyhow::Result<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = match roots {
            None => Arc::new(Verifier::new(Arc::clone(&provider)).context("TLS cannot be set up")?),
            Some(pem) => {
                let mut store = RootCertStore::empty();
                for certificate in CertificateDer::pem_slice_iter(pem) {
                    store
                        .add(certificate.context("the file of trusted roots is no PEM")?)
                        .context("a trusted root cannot be used")?;
                }
                let builder =
                    WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(&provider));
                builder.build().context("the file of trusted roots has no certificate")?
            }
        };
        Ok(Self { verifier, provider, own_roots: roots.is_some() })
    }

    /// Shakes hands with whoever answers.
    pub async fn shake_hands(
        &self,
        tcp: TcpStream,
        name: ServerName<'static>,
    ) -> Result<(TlsStream<TcpStream>, Shown), NoTls> {
        let witness = Arc::new(Witness { inner: Arc::clone(&self.verifier), seen: Mutex::default() });
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| NoTls::Refused(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&witness) as _)
            .with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        match timeout(STEP, connector.connect(name, tcp)).await {
            Err(_) => Err(NoTls::Silent),
            Ok(Err(error)) => Err(failure(&error)),
            Ok(Ok(stream)) => {
                let seen = witness.seen.lock().unwrap_or_else(PoisonError::into_inner).take();
                let (chain, refused) = seen.unwrap_or_default();
                Ok((stream, Shown { chain: links(&chain), refused }))
            }
        }
    }
}

fn failure(error: &std::io::Error) -> NoTls {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidMessage(_)) => NoTls::NotTls,
        Some(other) => NoTls::Refused(other.to_string()),
        None => NoTls::Closed(error.to_string()),
    }
}

type Seen = (Vec<CertificateDer<'static>>, Option<rustls::Error>);

/// Believes everybody, and keeps what the one who knows better says.
#[derive(Debug)]
struct Witness {
    inner: Arc<dyn ServerCertVerifier>,
    seen: Mutex<Option<Seen>>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified =
            self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let chain = std::iter::once(end_entity).chain(intermediates);
        let chain = chain.map(|certificate| certificate.clone().into_owned()).collect();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((chain, verified.err()));
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
