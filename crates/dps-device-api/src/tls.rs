//! TLS for devices: any client certificate is asked for and accepted, its key's possession proven, its trust left to
//! the enrollment. Owns the server configurations and the certificates by host name; must not know who is enrolled.
//!
//! The stock verifier of rustls parses with webpki first and so refuses v1 certificates and unknown critical
//! extensions inside the handshake; here the signature is checked against the bare public key. Session tickets are on:
//! a resumed session carries its chain, which is judged again with every request.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use dps_model::limits;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{Acceptor, ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use webpki::RawPublicKeyEntity;

use crate::greeting::Greeted;

/// Why a server certificate was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The PEM text has no certificate, no key, or is broken.
    #[error("the PEM text of the server certificate or its key cannot be read: {0}")]
    Pem(#[from] rustls_pki_types::pem::Error),
    /// The key is of no supported kind, or is not the certificate's.
    #[error("the server certificate cannot be used: {0}")]
    Certificate(#[from] rustls::Error),
    /// More names than the server keeps.
    #[error("at most {} host names may have a certificate of their own", limits::MAX_SERVER_NAMES)]
    TooManyNames,
}

/// A server certificate with its chain and key.
#[derive(Clone)]
pub struct Identity(Arc<CertifiedKey>);

impl Identity {
    /// From DER: the chain, leaf first, and the leaf's key.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())?)))
    }

    /// From PEM texts: the chain, leaf first, and the leaf's key.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>()?;
        Self::new(chain, PrivateKeyDer::from_pem_slice(key)?)
    }
}

/// TLS of all ports: one set of certificates, replaced and extended while the server runs.
pub struct ServerTls {
    certificates: Arc<Certificates>,
    https: Arc<ServerConfig>,
    plain: Arc<ServerConfig>,
}

impl ServerTls {
    /// TLS with the certificate for clients that name no host, or one that has none of its own.
    pub fn new(default: Identity) -> Result<Self, TlsError> {
        let certificates = Arc::new(Certificates {
            names: ArcSwap::from_pointee(Names { default: default.0, by_name: HashMap::new() }),
        });
        let https = config(&certificates, &[b"h2", b"http/1.1"])?;
        let plain = config(&certificates, &[])?;
        Ok(Self { certificates, https, plain })
    }

    /// Replaces the default certificate; connections that are made from now on see it.
    pub fn replace_default(&self, identity: &Identity) {
        self.certificates
            .names
            .rcu(|names| Names { default: Arc::clone(&identity.0), by_name: names.by_name.clone() });
    }

    /// Replaces all certificates at once: a handshake sees the old ones or the new ones. `*.` and a name stands for
    /// every name one label below it.
    pub fn replace(&self, default: &Identity, named: Vec<(String, Identity)>) -> Result<(), TlsError> {
        if named.len() > limits::MAX_SERVER_NAMES {
            return Err(TlsError::TooManyNames);
        }
        let by_name = named.into_iter().map(|(host, identity)| (host.to_ascii_lowercase(), identity.0));
        self.certificates
            .names
            .store(Arc::new(Names { default: Arc::clone(&default.0), by_name: by_name.collect() }));
        Ok(())
    }

    /// Adds or replaces the certificate of one host name.
    pub fn put(&self, host_name: &str, identity: &Identity) -> Result<(), TlsError> {
        let host_name = host_name.to_ascii_lowercase();
        let current = self.certificates.names.load();
        if current.by_name.len() >= limits::MAX_SERVER_NAMES && !current.by_name.contains_key(&host_name) {
            return Err(TlsError::TooManyNames);
        }
        self.certificates.names.rcu(|names| {
            let mut by_name = names.by_name.clone();
            by_name.insert(host_name.clone(), Arc::clone(&identity.0));
            Names { default: Arc::clone(&names.default), by_name }
        });
        Ok(())
    }

    /// Forgets the certificate of one host name; the default answers for it.
    pub fn remove(&self, host_name: &str) {
        let host_name = host_name.to_ascii_lowercase();
        self.certificates.names.rcu(|names| {
            let mut by_name = names.by_name.clone();
            by_name.remove(&host_name);
            Names { default: Arc::clone(&names.default), by_name }
        });
    }

    pub(crate) fn https(&self) -> Arc<PortTls> {
        self.port(&self.https)
    }

    pub(crate) fn plain(&self) -> Arc<PortTls> {
        self.port(&self.plain)
    }

    fn port(&self, config: &Arc<ServerConfig>) -> Arc<PortTls> {
        Arc::new(PortTls { config: Arc::clone(config), certificates: Arc::clone(&self.certificates) })
    }
}

/// TLS of one port.
pub(crate) struct PortTls {
    config: Arc<ServerConfig>,
    certificates: Arc<Certificates>,
}

impl PortTls {
    /// Shakes hands. What was seen of the client stays with the caller, however it ends.
    pub(crate) async fn accept(
        &self,
        tcp: TcpStream,
        seen: &mut Greeted,
    ) -> io::Result<TlsStream<TcpStream>> {
        let started = LazyConfigAcceptor::new(Acceptor::default(), tcp).await?;
        let hello = started.client_hello();
        let served = self.certificates.of(hello.server_name());
        seen.hear(&hello, served);
        started.into_stream(Arc::clone(&self.config)).await
    }
}

fn config(certificates: &Arc<Certificates>, alpn: &[&[u8]]) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(ProofOfPossession::new(&provider));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::clone(certificates) as Arc<dyn ResolvesServerCert>);
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    // A device opens one connection at a time.
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

#[derive(Clone, Debug)]
struct Names {
    default: Arc<CertifiedKey>,
    by_name: HashMap<String, Arc<CertifiedKey>>,
}

impl Names {
    /// The certificate of a host name: its own, else that of all names beside it.
    fn of(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        self.by_name.get(name).or_else(|| {
            let name = name.to_ascii_lowercase();
            let beside = || self.by_name.get(&format!("*.{}", name.split_once('.')?.1));
            self.by_name.get(&name).or_else(beside)
        })
    }
}

#[derive(Debug)]
struct Certificates {
    names: ArcSwap<Names>,
}

impl Certificates {
    /// What a client that asks for that name is served.
    fn of(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        let names = self.names.load();
        Arc::clone(name.and_then(|name| names.of(name)).unwrap_or(&names.default))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.of(client_hello.server_name()))
    }
}

/// Asks for a certificate, requires none, proves that the client holds the key of the one it presents.
#[derive(Debug)]
struct ProofOfPossession {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ProofOfPossession {
    fn new(provider: &CryptoProvider) -> Self {
        Self { algorithms: provider.signature_verification_algorithms }
    }

    /// Checks the signature against the certificate's bare public key. TLS 1.3 fixes the curve of a scheme, so only
    /// its first algorithm counts there; in TLS 1.2 an ECDSA scheme goes with any curve.
    fn verify(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
        first_only: bool,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let (_, parsed) =
            x509_parser::parse_x509_certificate(certificate).map_err(|_| CertificateError::BadEncoding)?;
        let key = SubjectPublicKeyInfoDer::from(parsed.public_key().raw);
        let key = RawPublicKeyEntity::try_from(&key).map_err(|_| CertificateError::BadEncoding)?;
        let (_, algorithms) = self
            .algorithms
            .mapping
            .iter()
            .find(|(scheme, _)| *scheme == signed.scheme)
            .ok_or(rustls::PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        let most = if first_only { 1 } else { algorithms.len() };
        algorithms
            .iter()
            .take(most)
            .find(|algorithm| key.verify_signature(**algorithm, message, signed.signature()).is_ok())
            .map(|_| HandshakeSignatureValid::assertion())
            .ok_or_else(|| CertificateError::BadSignature.into())
    }
}

impl ClientCertVerifier for ProofOfPossession {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let count = intermediates.len() + 1;
        let bytes = intermediates.iter().map(|der| der.len()).sum::<usize>() + end_entity.len();
        if count > limits::MAX_CHAIN_CERTIFICATES || bytes > limits::MAX_PRESENTED_CHAIN {
            return Err(rustls::Error::General(format!(
                "the client presents {count} certificates of {bytes} bytes; at most {} of {} are accepted",
                limits::MAX_CHAIN_CERTIFICATES,
                limits::MAX_PRESENTED_CHAIN
            )));
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verify(message, cert, dss, false)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        // RFC 8446 §4.4.3: PKCS #1 v1.5 signs certificates there, never the handshake.
        if matches!(
            dss.scheme,
            SignatureScheme::RSA_PKCS1_SHA1
                | SignatureScheme::RSA_PKCS1_SHA256
                | SignatureScheme::RSA_PKCS1_SHA384
                | SignatureScheme::RSA_PKCS1_SHA512
        ) {
            return Err(rustls::PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        self.verify(message, cert, dss, true)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
