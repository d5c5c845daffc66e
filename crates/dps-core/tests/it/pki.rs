//! A small PKI: certificate authorities and what they issue.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use serde_json::{Value, json};

/// A certificate authority with its key.
pub struct Ca {
    params: CertificateParams,
    key: KeyPair,
    pub der: Vec<u8>,
}

fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.use_authority_key_identifier_extension = true;
    params
}

fn ca_params(common_name: &str) -> CertificateParams {
    let mut params = params(common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

impl Ca {
    pub fn root(common_name: &str) -> Self {
        let (params, key) = (ca_params(common_name), KeyPair::generate().unwrap());
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { params, key, der }
    }

    pub fn issue_ca(&self, common_name: &str) -> Self {
        let (params, key) = (ca_params(common_name), KeyPair::generate().unwrap());
        let der = self.sign(&params, &key);
        Self { params, key, der }
    }

    pub fn issue(&self, common_name: &str) -> Vec<u8> {
        self.sign(&params(common_name), &KeyPair::generate().unwrap())
    }

    fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Vec<u8> {
        params.signed_by(key, &Issuer::from_params(&self.params, &self.key)).unwrap().der().to_vec()
    }
}

/// Base64 of DER, as the APIs take it.
pub fn text(der: &[u8]) -> String {
    STANDARD.encode(der)
}

/// `attestation` of an enrollment that refers to uploaded CA certificates.
pub fn references(primary: &str, secondary: Option<&str>) -> Value {
    json!({"type": "x509", "x509": {"caReferences": {"primary": primary, "secondary": secondary}}})
}

pub fn self_signed(common_name: &str) -> Vec<u8> {
    params(common_name).self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

/// `attestation` of an individual enrollment with one or two certificates.
pub fn clients(primary: &[u8], secondary: Option<&[u8]>) -> Value {
    json!({"type": "x509", "x509": {"clientCertificates": pair(primary, secondary)}})
}

/// `attestation` of a group.
pub fn signers(primary: &[u8]) -> Value {
    json!({"type": "x509", "x509": {"signingCertificates": pair(primary, None)}})
}

fn pair(primary: &[u8], secondary: Option<&[u8]>) -> Value {
    let one = |der: &[u8]| json!({"certificate": STANDARD.encode(der)});
    secondary.map_or_else(
        || json!({"primary": one(primary)}),
        |secondary| json!({"primary": one(primary), "secondary": one(secondary)}),
    )
}
