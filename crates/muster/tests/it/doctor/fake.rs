//! Servers and proxies that do wrong what a network does wrong.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A CA of somebody's.
pub struct Ca {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    pub fn new(common_name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, common_name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A server with a certificate for that name, that ended or ends in that year.
    pub fn server(&self, name: &str, until: i32) -> Arc<ServerConfig> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let (chain, key) = (vec![CertificateDer::from(leaf.der().to_vec())], key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth();
        Arc::new(config.with_single_cert(chain, PrivateKeyDer::try_from(key).unwrap()).unwrap())
    }
}

/// What a fake does with a connection.
#[derive(Clone)]
pub enum Manner {
    /// Speaks TLS, and answers every request so.
    Tls(Arc<ServerConfig>, &'static str),
    /// Answers in clear text.
    Plain(&'static str),
    /// Says nothing.
    Silent,
    /// A proxy that opens TLS, and answers every request so.
    Inspecting(Arc<ServerConfig>, &'static str),
    /// A proxy that refuses.
    Refusing(&'static str),
}

/// Listens on a free port, and gives it.
pub async fn fake(manner: Manner) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, manner.clone()));
        }
    });
    port
}

/// A port where nothing listens.
pub async fn closed() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

async fn serve(mut stream: TcpStream, manner: Manner) {
    match manner {
        Manner::Silent => {
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
        Manner::Plain(said) | Manner::Refusing(said) => answer(&mut stream, said).await,
        Manner::Tls(config, said) => {
            if let Ok(mut stream) = TlsAcceptor::from(config).accept(stream).await {
                answer(&mut stream, said).await;
            }
        }
        Manner::Inspecting(config, said) => {
            request(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
            if let Ok(mut stream) = TlsAcceptor::from(config).accept(stream).await {
                answer(&mut stream, said).await;
            }
        }
    }
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, said: &str) {
    request(stream).await;
    let _ = stream.write_all(said.as_bytes()).await; // the client may have gone
    let _ = stream.shutdown().await;
}

/// Reads whatever comes first.
async fn request<S: AsyncRead + Unpin>(stream: &mut S) {
    let _ = stream.read(&mut [0; 4096]).await;
}
