//! Keys and certificates for one test.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P521_SHA512, PKCS_ED25519, PKCS_RSA_SHA256, SignatureAlgorithm,
};
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

pub const EC: &SignatureAlgorithm = &PKCS_ECDSA_P256_SHA256;
pub const P521: &SignatureAlgorithm = &PKCS_ECDSA_P521_SHA512;
pub const ED25519: &SignatureAlgorithm = &PKCS_ED25519;
pub const RSA: &SignatureAlgorithm = &PKCS_RSA_SHA256;

/// A CA that signs server certificates, and clients that trust it.
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

impl Ca {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test root");
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), root }
    }

    pub fn server(&self, names: &[&str]) -> dps_device_api::Identity {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        dps_device_api::Identity::from_pem(leaf.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap()
    }

    pub fn client(
        &self,
        version: &'static SupportedProtocolVersion,
        device: Option<&Device>,
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        match device {
            None => builder.with_no_client_auth(),
            Some(device) => builder.with_client_cert_resolver(Arc::new(Always(device.certified()))),
        }
    }
}

/// A device's certificate and key, which need not belong together.
pub struct Device {
    pub chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Device {
    pub fn new(common_name: &str, algorithm: &'static SignatureAlgorithm) -> Self {
        Self::with(common_name, algorithm, |_| {})
    }

    pub fn with(
        common_name: &str,
        algorithm: &'static SignatureAlgorithm,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        change(&mut params);
        let key = KeyPair::generate_for(algorithm).unwrap();
        let leaf = params.self_signed(&key).unwrap().der().clone();
        Self { chain: vec![leaf], key: PrivateKeyDer::try_from(key.serialize_der()).unwrap() }
    }

    /// With an extension that nobody knows and that must be known.
    pub fn with_critical_extension(common_name: &str) -> Self {
        Self::with(common_name, EC, |params| {
            let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
            extension.set_criticality(true);
            params.custom_extensions.push(extension);
        })
    }

    /// As X.509 version 1: without a version and without extensions. Its issuer's signature is void, which no
    /// handshake checks.
    pub fn version_1(common_name: &str) -> Self {
        let mut device = Self::new(common_name, EC);
        let certificate = device.chain[0].to_vec();
        let outer = children(&certificate);
        let (_, to_be_signed) = outer[0];
        let fields: Vec<u8> = children(to_be_signed)
            .into_iter()
            .filter(|(whole, _)| !matches!(whole[0], 0xa0 | 0xa3))
            .flat_map(|(whole, _)| whole.to_vec())
            .collect();
        let mut body = sequence(&fields);
        for (whole, _) in &outer[1..] {
            body.extend_from_slice(whole);
        }
        device.chain = vec![CertificateDer::from(sequence(&body))];
        device
    }

    /// This one's certificate with the other's key.
    pub fn posing_with(mut self, thief: &Self) -> Self {
        self.key = thief.key.clone_key();
        self
    }

    fn certified(&self) -> Arc<CertifiedKey> {
        let key = aws_lc_rs::sign::any_supported_type(&self.key).unwrap();
        Arc::new(CertifiedKey::new(self.chain.clone(), key))
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

/// The elements inside a DER sequence (given whole): each whole, and from its own first byte on for recursion.
fn children(whole: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut rest = &whole[header(whole).0..];
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (header, length) = header(rest);
        let (child, after) = rest.split_at(header + length);
        found.push((child, child));
        rest = after;
    }
    found
}

/// Size of the header and of the contents of a DER element.
fn header(der: &[u8]) -> (usize, usize) {
    let first = usize::from(der[1]);
    if first < 0x80 {
        return (2, first);
    }
    let count = first & 0x7f;
    (2 + count, der[2..2 + count].iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))
}

fn sequence(contents: &[u8]) -> Vec<u8> {
    let length = u16::try_from(contents.len()).unwrap().to_be_bytes();
    [&[0x30, 0x82, length[0], length[1]][..], contents].concat()
}
