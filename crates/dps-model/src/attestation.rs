//! Attestation mechanisms: as the service API writes them (`AttestationInput`) and as they are kept (`Mechanism`).
//! Owns the shapes; must not know how a certificate is parsed or a token verified (dps-attestation).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Secret, Timestamp};

/// `attestation` of an enrollment as a client writes it.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttestationInput {
    /// `none`, `tpm`, `x509` or `symmetricKey`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// TPM keys.
    pub tpm: Option<crate::registration::TpmKeys>,
    /// Certificates or CA references.
    pub x509: Option<X509Input>,
    /// Keys; those left out are generated.
    pub symmetric_key: Option<SymmetricKeyInput>,
}

/// `symmetricKey` as a client writes it: base64 texts.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SymmetricKeyInput {
    /// First key.
    pub primary_key: Option<String>,
    /// Second key.
    pub secondary_key: Option<String>,
}

/// `x509` as a client writes it.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct X509Input {
    /// Leaf certificates of an individual enrollment.
    pub client_certificates: Option<CertificatePairInput>,
    /// CA certificates of a group.
    pub signing_certificates: Option<CertificatePairInput>,
    /// Names of uploaded CA certificates.
    pub ca_references: Option<CaReferences>,
}

/// Two certificates as a client writes them.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificatePairInput {
    /// The one in use.
    pub primary: Option<CertificateInput>,
    /// The one to roll to.
    pub secondary: Option<CertificateInput>,
}

/// One certificate as a client writes it.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateInput {
    /// PEM, or base64 of DER. Absent when a client echoes what it read (only `info`).
    pub certificate: Option<String>,
    /// What an earlier read returned; ignored but for recognising an echo.
    pub info: Option<Value>,
}

/// Names of CA certificates uploaded by the control plane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CaReferences {
    /// First CA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// Second CA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary: Option<String>,
}

/// How a device of an enrollment proves who it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Mechanism {
    /// A pair of keys; for a group, those that device keys derive from.
    SymmetricKey(SymmetricKeys),
    /// One of two leaf certificates, matched exactly (individual).
    ClientCertificates(Certificates),
    /// A chain to one of two CA certificates (group).
    SigningCertificates(Certificates),
    /// A chain to an uploaded CA certificate, by name.
    CaReferences(CaReferences),
    /// A TPM's endorsement key.
    Tpm(crate::registration::TpmKeys),
}

/// Primary and secondary key, decoded.
#[derive(Clone, PartialEq, Eq)]
pub struct SymmetricKeys {
    /// First key.
    pub primary: Secret,
    /// Second key.
    pub secondary: Secret,
}

/// Primary and perhaps secondary certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificates {
    /// The one in use.
    pub primary: Certificate,
    /// The one to roll to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary: Option<Certificate>,
}

impl Certificates {
    /// Primary first, then the secondary where there is one.
    pub fn iter(&self) -> impl Iterator<Item = &Certificate> {
        std::iter::once(&self.primary).chain(&self.secondary)
    }
}

/// A certificate of an enrollment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The certificate itself.
    #[serde(with = "base64_text")]
    pub der: Vec<u8>,
    /// What the APIs show of it.
    pub info: X509CertificateInfo,
}

/// What the APIs show of a certificate; all members are required by clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct X509CertificateInfo {
    /// Subject, e.g. `CN=device-1, O=Contoso`.
    pub subject_name: String,
    /// Upper-case hex.
    pub sha1_thumbprint: String,
    /// Upper-case hex.
    pub sha256_thumbprint: String,
    /// Issuer, written like the subject.
    pub issuer_name: String,
    /// Start of validity.
    pub not_before_utc: Timestamp,
    /// End of validity.
    pub not_after_utc: Timestamp,
    /// Upper-case hex.
    pub serial_number: String,
    /// 1 to 3.
    pub version: u32,
}

impl Mechanism {
    /// `type` in the APIs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::SymmetricKey(_) => "symmetricKey",
            Self::ClientCertificates(_) | Self::SigningCertificates(_) | Self::CaReferences(_) => "x509",
            Self::Tpm(_) => "tpm",
        }
    }

    /// `attestation` as the service API shows it: certificates only as `info` (an absent secondary as a copy of the
    /// primary, as Azure does), keys never.
    pub fn public_json(&self) -> Value {
        let pair = |pair: &Certificates| {
            let info = |certificate: &Certificate| json!({ "info": certificate.info });
            json!({ "primary": info(&pair.primary), "secondary": info(pair.secondary.as_ref().unwrap_or(&pair.primary)) })
        };
        match self {
            Self::SymmetricKey(_) => json!({ "type": self.kind() }),
            Self::ClientCertificates(certificates) => {
                json!({ "type": self.kind(), "x509": { "clientCertificates": pair(certificates) } })
            }
            Self::SigningCertificates(certificates) => {
                json!({ "type": self.kind(), "x509": { "signingCertificates": pair(certificates) } })
            }
            Self::CaReferences(names) => json!({ "type": self.kind(), "x509": { "caReferences": names } }),
            Self::Tpm(keys) => json!({ "type": self.kind(), "tpm": keys }),
        }
    }

    /// `attestation` with its keys. Only a PUT's answer and `attestationmechanism` show them.
    pub fn exposed_json(&self) -> Value {
        match self {
            Self::SymmetricKey(keys) => json!({ "type": self.kind(), "symmetricKey": {
                "primaryKey": STANDARD.encode(keys.primary.expose()),
                "secondaryKey": STANDARD.encode(keys.secondary.expose()),
            }}),
            _ => self.public_json(),
        }
    }

    /// Everything needed to make this mechanism again: what the store seals.
    pub fn to_material(&self) -> Secret {
        let stored = match self {
            Self::SymmetricKey(keys) => Material::SymmetricKey {
                primary: keys.primary.expose().to_vec(),
                secondary: keys.secondary.expose().to_vec(),
            },
            Self::ClientCertificates(pair) => Material::ClientCertificates(pair.clone()),
            Self::SigningCertificates(pair) => Material::SigningCertificates(pair.clone()),
            Self::CaReferences(names) => Material::CaReferences(names.clone()),
            Self::Tpm(keys) => Material::Tpm(keys.clone()),
        };
        Secret::new(serde_json::to_vec(&stored).unwrap_or_default())
    }

    /// The mechanism from what `to_material` made; the error says where it is damaged, never what it holds.
    pub fn from_material(material: &Secret) -> Result<Self, serde_json::Error> {
        Ok(match serde_json::from_slice(material.expose())? {
            Material::SymmetricKey { primary, secondary } => Self::SymmetricKey(SymmetricKeys {
                primary: Secret::new(primary),
                secondary: Secret::new(secondary),
            }),
            Material::ClientCertificates(pair) => Self::ClientCertificates(pair),
            Material::SigningCertificates(pair) => Self::SigningCertificates(pair),
            Material::CaReferences(names) => Self::CaReferences(names),
            Material::Tpm(keys) => Self::Tpm(keys),
        })
    }
}

/// The stored form of a mechanism.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Material {
    SymmetricKey {
        #[serde(with = "base64_text")]
        primary: Vec<u8>,
        #[serde(with = "base64_text")]
        secondary: Vec<u8>,
    },
    ClientCertificates(Certificates),
    SigningCertificates(Certificates),
    CaReferences(CaReferences),
    Tpm(crate::registration::TpmKeys),
}

mod base64_text {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        STANDARD.decode(text.as_bytes()).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{Mechanism, SymmetricKeys};
    use crate::Secret;

    #[test]
    fn mechanism_material_reads_back_and_public_json_has_no_key() {
        let keys = SymmetricKeys { primary: Secret::new(vec![7; 32]), secondary: Secret::new(vec![9; 64]) };
        let mechanism = Mechanism::SymmetricKey(keys);
        assert!(Mechanism::from_material(&mechanism.to_material()).unwrap() == mechanism);
        assert_eq!(mechanism.public_json().to_string(), r#"{"type":"symmetricKey"}"#);
        assert!(mechanism.exposed_json().to_string().contains("primaryKey"));
    }
}
