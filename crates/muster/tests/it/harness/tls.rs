//! TLS as a device speaks it: trusts the development CA alone, with or without a certificate of its own.

use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub type Stream = tokio_rustls::client::TlsStream<TcpStream>;

/// Those who trust a server.
#[derive(Clone)]
pub struct Trust {
    provider: Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
    /// Shows no certificate; resumes its sessions.
    pub plain: Arc<ClientConfig>,
}

impl Trust {
    /// In a CA's PEM text.
    pub fn in_ca(pem: &str) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let (provider, roots) = (Arc::new(aws_lc_rs::default_provider()), Arc::new(roots));
        let plain = builder(&provider).with_root_certificates(Arc::clone(&roots)).with_no_client_auth();
        Self { provider, roots, plain: Arc::new(plain) }
    }

    /// Shows that chain.
    pub fn with(&self, leaf: &Leaf) -> Arc<ClientConfig> {
        let config = builder(&self.provider)
            .with_root_certificates(Arc::clone(&self.roots))
            .with_client_auth_cert(leaf.chain.clone(), leaf.key.clone_key());
        Arc::new(config.unwrap())
    }

    /// Speaks those protocols (ALPN).
    pub fn speaking(&self, protocols: &[&[u8]]) -> Arc<ClientConfig> {
        let mut config = ClientConfig::clone(&self.plain);
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    }
}

fn builder(provider: &Arc<CryptoProvider>) -> ConfigBuilder<ClientConfig, WantsVerifier> {
    ClientConfig::builder_with_provider(Arc::clone(provider)).with_safe_default_protocol_versions().unwrap()
}

/// TCP to a port of the server.
pub async fn tcp(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// TLS to a port of the server.
pub async fn connect(port: u16, config: &Arc<ClientConfig>) -> io::Result<Stream> {
    over(tcp(port).await?, config).await
}

/// TLS over a connection.
pub async fn over(tcp: TcpStream, config: &Arc<ClientConfig>) -> io::Result<Stream> {
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::clone(config)).connect(name, tcp).await
}

/// A CA for devices.
pub struct DeviceCa {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
    der: CertificateDer<'static>,
}

/// A device's certificate with its chain, and its key.
pub struct Leaf {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Leaf {
    /// The certificate alone, as an enrollment takes it.
    pub fn pem(&self) -> String {
        let body = STANDARD.encode(&self.chain[0]);
        format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
    }
}

impl DeviceCa {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, "devices");
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap();
        Self { pem: root.pem(), der: root.der().clone(), issuer: Issuer::new(params, key) }
    }

    pub fn issue(&self, common_name: &str) -> Leaf {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        Leaf {
            chain: vec![leaf.der().clone(), self.der.clone()],
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }
}

impl Leaf {
    /// As a hub shows it: SHA-256, hexadecimal, upper case.
    pub fn thumbprint(&self) -> String {
        hex::encode_upper(::aws_lc_rs::digest::digest(&::aws_lc_rs::digest::SHA256, &self.chain[0]))
    }
}
