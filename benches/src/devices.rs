//! The devices of the measurements: names, keys and certificates that both the store and the clients know.
//! Owns how they follow from a number; must not know how they are enrolled or what they do.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use dps_attestation::sas_token::sign_for_device;
use dps_attestation::symmetric_key::derive_device_key;
use dps_model::attestation::SymmetricKeys;
use dps_model::{IdScope, RegistrationId, Secret};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256,
};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};

use crate::tpm;

/// Expiry of every token: 2100-01-01.
const EXPIRY: i64 = 4_102_444_800;
/// The group of devices with certificates.
pub const X509_GROUP: &str = "bench-x509";

/// How devices prove who they are.
#[derive(Clone, Serialize, Deserialize)]
pub enum Credential {
    /// A key of their own, or derived from a group's: both come from one master, so the client need not know which.
    Key,
    /// Like `Key`, but not the enrolled one.
    WrongKey,
    /// A key derived from one of so many groups.
    KeyOfGroup(usize),
    /// A TPM.
    Tpm,
    /// A TPM, but not the enrolled one.
    WrongTpm,
    /// A certificate that this CA signed (PEM texts); the CA's own is presented too.
    Certificate { ca: String, ca_key: String, kind: KeyKind },
}

/// Kinds of device keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyKind {
    /// EC P-256.
    EcP256,
    /// RSA with 2,048 bits.
    Rsa2048,
}

/// Devices `first..first + count` of a measurement.
#[derive(Clone, Serialize, Deserialize)]
pub struct Devices {
    /// Tells measurements apart.
    pub family: String,
    /// Number of the first.
    pub first: usize,
    /// How many.
    pub count: usize,
    /// Distance between two numbers, so that few devices lie far apart among many.
    pub stride: usize,
    /// Their proof.
    pub credential: Credential,
}

/// One device, ready to speak.
pub struct Device {
    /// Registration id.
    pub id: String,
    /// SAS token of a device with a key.
    pub token: Option<String>,
    /// JSON of the keys of a device with a TPM.
    pub tpm: Option<String>,
    /// Chain and key of a device with a certificate.
    pub certificate: Option<Arc<CertifiedKey>>,
}

/// Registration id of a number.
pub fn name(family: &str, number: usize) -> String {
    format!("{family}-{number:08}")
}

/// Name of a symmetric-key group.
pub fn group_name(number: usize) -> String {
    format!("bench-group-{number:06}")
}

/// The key that individual keys derive from, so that nothing need be remembered.
pub fn master() -> Secret {
    Secret::new(b"muster-bench master key, no secret".to_vec())
}

/// Keys of an individual enrollment.
pub fn individual_keys(id: &str) -> SymmetricKeys {
    SymmetricKeys {
        primary: derive_device_key(&master(), id),
        secondary: derive_device_key(&master(), "unused"),
    }
}

/// Keys of the group that all devices of `Credential::Key` derive from.
pub fn one_group_keys() -> SymmetricKeys {
    SymmetricKeys { primary: master(), secondary: derive_device_key(&master(), "unused") }
}

/// Keys of one of many groups.
pub fn group_keys(number: usize) -> SymmetricKeys {
    individual_keys(&group_name(number))
}

impl Devices {
    /// Their numbers.
    pub fn numbers(&self) -> impl Iterator<Item = usize> + use<> {
        let (first, stride) = (self.first, self.stride);
        (0..self.count).map(move |index| first + index * stride)
    }

    /// All of them, ready: tokens signed, certificates issued.
    pub fn make(&self, id_scope: &str) -> Result<Vec<Device>> {
        let id_scope = IdScope::parse(id_scope)?;
        match &self.credential {
            Credential::Certificate { ca, ca_key, kind } => self.with_certificates(ca, ca_key, *kind),
            Credential::Tpm => self.with_tpms(""),
            Credential::WrongTpm => self.with_tpms("another "),
            other => self.numbers().map(|number| with_key(&self.family, number, other, &id_scope)).collect(),
        }
    }

    fn with_tpms(&self, which: &str) -> Result<Vec<Device>> {
        self.numbers()
            .map(|number| {
                let id = name(&self.family, number);
                let tpm = Some(serde_json::to_string(&tpm::keys(&format!("{which}{id}")))?);
                Ok(Device { id, token: None, tpm, certificate: None })
            })
            .collect()
    }

    fn with_certificates(&self, ca: &str, ca_key: &str, kind: KeyKind) -> Result<Vec<Device>> {
        let issuer = Issuer::new(authority_params(kind), KeyPair::from_pem(ca_key)?);
        let ca = CertificateDer::from_pem_slice(ca.as_bytes())?;
        // One key for all: what is measured is its use, on the server's side.
        let key = key_pair(kind)?;
        let signer = any_supported_type(
            &PrivateKeyDer::try_from(key.serialize_der()).map_err(|why| anyhow::anyhow!("{why}"))?,
        )?;
        self.numbers()
            .map(|number| {
                let id = name(&self.family, number);
                let mut params = CertificateParams::default();
                params.distinguished_name.push(DnType::CommonName, &id);
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
                params.use_authority_key_identifier_extension = true;
                let leaf = params.signed_by(&key, &issuer)?;
                let chain = vec![leaf.der().clone(), ca.clone()];
                let certificate = Some(Arc::new(CertifiedKey::new(chain, Arc::clone(&signer))));
                Ok(Device { id, token: None, tpm: None, certificate })
            })
            .collect()
    }
}

fn with_key(family: &str, number: usize, credential: &Credential, id_scope: &IdScope) -> Result<Device> {
    let id = name(family, number);
    let key = match credential {
        Credential::WrongKey => derive_device_key(&master(), "wrong"),
        Credential::KeyOfGroup(groups) => {
            derive_device_key(&group_keys(spread(number, *groups)).primary, &id)
        }
        Credential::Key | Credential::Tpm | Credential::WrongTpm | Credential::Certificate { .. } => {
            derive_device_key(&master(), &id)
        }
    };
    let registration_id = RegistrationId::parse(&id).context("a device's name")?;
    let token = sign_for_device(id_scope, &registration_id, &key, EXPIRY);
    Ok(Device { id, token: Some(token), tpm: None, certificate: None })
}

/// The group of a device: all over the groups, the same in every run (Knuth's multiplicative hash).
fn spread(number: usize, groups: usize) -> usize {
    number.wrapping_mul(2_654_435_761) % groups.max(1)
}

fn key_pair(kind: KeyKind) -> Result<KeyPair> {
    Ok(KeyPair::generate_for(match kind {
        KeyKind::EcP256 => &PKCS_ECDSA_P256_SHA256,
        KeyKind::Rsa2048 => &PKCS_RSA_SHA256,
    })?)
}

/// A CA for devices, as PEM texts: certificate and key.
pub fn authority(kind: KeyKind) -> Result<(String, String)> {
    let key = key_pair(kind)?;
    Ok((authority_params(kind).self_signed(&key)?.pem(), key.serialize_pem()))
}

/// The CA's certificate but for its key, the same whenever it is asked for.
fn authority_params(kind: KeyKind) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, format!("Bench devices {kind:?}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params
}
