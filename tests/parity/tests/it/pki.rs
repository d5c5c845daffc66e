//! Certificates of the server and of devices, and TLS clients that show them.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.use_authority_key_identifier_extension = true;
    params
}

/// A certificate authority.
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pub der: CertificateDer<'static>,
}

impl Ca {
    pub fn new(common_name: &str) -> Self {
        let (mut params, key) = (params(common_name), KeyPair::generate().unwrap());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), der }
    }

    /// What the server shows.
    pub fn server(&self) -> dps_device_api::Identity {
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned()];
        let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        dps_device_api::Identity::from_pem(leaf.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap()
    }

    /// A client that trusts this authority and shows that certificate.
    pub fn client(&self, device: Option<&Leaf>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots);
        match device {
            None => builder.with_no_client_auth(),
            Some(device) => builder.with_client_cert_resolver(Arc::new(Always(Arc::clone(&device.0)))),
        }
    }
}

/// A device's certificate and key.
#[derive(Clone)]
pub struct Leaf(Arc<CertifiedKey>);

impl Leaf {
    /// Signed by that authority or, without one, by itself.
    pub fn new(common_name: &str, ca: Option<&Ca>, expired: bool) -> Self {
        let (mut params, key) = (params(common_name), KeyPair::generate().unwrap());
        if expired {
            // The day before the clock of these tests begins.
            params.not_after = date_time_ymd(2029, 12, 31);
        }
        let leaf = match ca {
            Some(ca) => params.signed_by(&key, &ca.issuer),
            None => params.self_signed(&key),
        };
        let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let key = aws_lc_rs::sign::any_supported_type(&private).unwrap();
        Self(Arc::new(CertifiedKey::new(vec![leaf.unwrap().der().clone()], key)))
    }

    pub fn der(&self) -> &[u8] {
        &self.0.cert[0]
    }
}

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesClientCert for Always {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// `attestation` of an enrollment by certificate: `clientCertificates` or `signingCertificates`.
pub fn by(which: &str, der: &[u8]) -> Value {
    json!({"type": "x509", "x509": {which: {"primary": {"certificate": STANDARD.encode(der)}}}})
}
