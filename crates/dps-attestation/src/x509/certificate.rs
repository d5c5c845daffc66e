//! One certificate: read from DER, PEM or base64, and what the path and the APIs need of it. Owns parsing; must not
//! judge (path.rs does).

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_model::Timestamp;
use dps_model::attestation::{Certificate, X509CertificateInfo};
use dps_model::limits::{MAX_CERTIFICATE, MAX_CERTIFICATE_TEXT, MAX_CHAIN_CERTIFICATES};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{ParsedExtension, X509Extension};
use x509_parser::prelude::FromDer as _;

use super::constraints::{Constraints, Name};
use super::der;
pub use super::der::Spki;
use super::name::{self, NameKey};

/// Why bytes or text are no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Larger than is parsed.
    #[error("it has {length} bytes, at most {most} are read")]
    TooLarge {
        /// Its length.
        length: usize,
        /// The limit.
        most: usize,
    },
    /// No certificate by X.509.
    #[error("{0}")]
    Malformed(String),
    /// A text that is neither PEM nor base64.
    #[error("it is neither PEM (-----BEGIN CERTIFICATE-----) nor base64 of DER")]
    NeitherPemNorBase64,
    /// A PEM text without a certificate.
    #[error("the PEM text holds no CERTIFICATE but {found}")]
    NoCertificateInPem {
        /// What it holds instead.
        found: String,
    },
    /// A PEM text with a private key.
    #[error("the text holds a private key; send the certificate alone, and treat that key as disclosed")]
    PrivateKey,
    /// A PEM text with more certificates than are read.
    #[error("the PEM text holds more than {MAX_CHAIN_CERTIFICATES} certificates")]
    TooMany,
}

/// A certificate, parsed: owned facts beside the bytes they come from.
#[derive(Clone, Debug)]
pub struct ParsedCertificate {
    pub(crate) der: Vec<u8>,
    pub(crate) info: X509CertificateInfo,
    pub(crate) common_names: Vec<String>,
    pub(crate) subject: NameKey,
    pub(crate) subject_rdns: Vec<Vec<u8>>,
    pub(crate) issuer: NameKey,
    /// Unix seconds; the info's timestamps cannot hold the year 9999's last day.
    pub(crate) not_before: i64,
    pub(crate) not_after: i64,
    pub(crate) spki: [u8; 32],
    pub(crate) extensions: Extensions,
}

/// What the extensions say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extensions {
    /// CA flag and path length; absent without the extension.
    pub(crate) basic_constraints: Option<(bool, Option<u32>)>,
    /// keyCertSign; absent without the extension.
    pub(crate) key_cert_sign: Option<bool>,
    pub(crate) subject_key: Option<Vec<u8>>,
    pub(crate) authority_key: Option<Vec<u8>>,
    pub(crate) name_constraints: Option<Constraints>,
    /// Subject alternative names of the forms that constraints speak of.
    pub(crate) alternative_names: Vec<Name>,
    /// The first critical extension that is not understood.
    pub(crate) unknown_critical: Option<String>,
}

impl ParsedCertificate {
    /// Reads one certificate of at most [`MAX_CERTIFICATE`] bytes, without anything after it.
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > MAX_CERTIFICATE {
            return Err(CertificateError::TooLarge { length: der.len(), most: MAX_CERTIFICATE });
        }
        let malformed = |why: &str| CertificateError::Malformed(why.to_owned());
        let parts = der::parts(der).ok_or_else(|| malformed("the bytes are no X.509 certificate in DER"))?;
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|error| match error {
            x509_parser::nom::Err::Error(error) | x509_parser::nom::Err::Failure(error) => {
                CertificateError::Malformed(error.to_string())
            }
            x509_parser::nom::Err::Incomplete(_) => malformed("the certificate is cut off"),
        })?;
        if !rest.is_empty() {
            return Err(malformed("bytes follow the certificate"));
        }
        if parts.algorithm != parts.inner_algorithm {
            return Err(malformed(
                "the signature's algorithm is not the one that is signed (RFC 5280 §4.1.1.2)",
            ));
        }
        let tbs = &parsed.tbs_certificate;
        let (not_before, not_after) =
            (tbs.validity.not_before.timestamp(), tbs.validity.not_after.timestamp());
        let info = X509CertificateInfo {
            subject_name: name::text(&tbs.subject),
            sha1_thumbprint: hex_upper(&digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, der)),
            sha256_thumbprint: hex_upper(&digest::digest(&digest::SHA256, der)),
            issuer_name: name::text(&tbs.issuer),
            not_before_utc: timestamp(not_before),
            not_after_utc: timestamp(not_after),
            serial_number: hex::encode_upper(parts.serial),
            version: tbs.version.0.saturating_add(1),
        };
        let subject_rdns = name::rdns(&tbs.subject);
        let mut spki = [0; 32];
        spki.copy_from_slice(digest::digest(&digest::SHA256, parts.spki.whole).as_ref());
        Ok(Self {
            der: der.to_vec(),
            info,
            common_names: tbs.subject.iter_common_name().map(name::value).collect(),
            subject: name::key(&subject_rdns),
            subject_rdns,
            issuer: name::key(&name::rdns(&tbs.issuer)),
            not_before,
            not_after,
            spki,
            extensions: Extensions::read(tbs.extensions())?,
        })
    }

    /// The bytes.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// What the APIs show of it.
    pub fn info(&self) -> &X509CertificateInfo {
        &self.info
    }

    /// The subject's common name, when it has exactly one.
    pub fn common_name(&self) -> Option<&str> {
        match self.common_names.as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }

    /// Says of itself that it is a CA's: `BasicConstraints` with the CA flag, or a version before 3, which cannot say.
    pub fn may_be_ca(&self) -> bool {
        match self.extensions.basic_constraints {
            Some((ca, _)) => ca,
            None => self.info.version < 3,
        }
    }

    /// Subject and issuer are the same name.
    pub fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }

    /// Subject key identifier, upper-case hex.
    pub fn subject_key_id(&self) -> Option<String> {
        self.extensions.subject_key.as_ref().map(hex::encode_upper)
    }

    /// Authority key identifier, upper-case hex.
    pub fn authority_key_id(&self) -> Option<String> {
        self.extensions.authority_key.as_ref().map(hex::encode_upper)
    }

    pub(crate) fn subject_text(&self) -> String {
        self.info.subject_name.clone()
    }
}

impl Extensions {
    fn read(extensions: &[X509Extension<'_>]) -> Result<Self, CertificateError> {
        let mut read = Self::default();
        for (index, extension) in extensions.iter().enumerate() {
            if extensions.iter().take(index).any(|earlier| earlier.oid == extension.oid) {
                return Err(CertificateError::Malformed(format!("extension {} stands twice", extension.oid)));
            }
            read.take(extension)?;
        }
        Ok(read)
    }

    fn take(&mut self, extension: &X509Extension<'_>) -> Result<(), CertificateError> {
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(basic) => {
                self.basic_constraints = Some((basic.ca, basic.path_len_constraint));
            }
            ParsedExtension::KeyUsage(usage) => self.key_cert_sign = Some(usage.key_cert_sign()),
            ParsedExtension::SubjectKeyIdentifier(id) => self.subject_key = Some(id.0.to_vec()),
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                self.authority_key = id.key_identifier.as_ref().map(|id| id.0.to_vec());
            }
            ParsedExtension::SubjectAlternativeName(names) => {
                self.alternative_names = names.general_names.iter().filter_map(Name::read).collect();
            }
            ParsedExtension::NameConstraints(constraints) => {
                self.name_constraints = Constraints::read(constraints);
                if self.name_constraints.is_none() {
                    self.unknown_critical.get_or_insert_with(|| extension.oid.to_id_string());
                }
            }
            ParsedExtension::ExtendedKeyUsage(_)
            | ParsedExtension::IssuerAlternativeName(_)
            | ParsedExtension::CertificatePolicies(_)
            | ParsedExtension::CRLDistributionPoints(_)
            | ParsedExtension::AuthorityInfoAccess(_)
            | ParsedExtension::SubjectInfoAccess(_)
            | ParsedExtension::NSCertType(_)
            | ParsedExtension::NsCertComment(_) => {}
            ParsedExtension::ParseError { .. }
                if JUDGED_BY.contains(&extension.oid.to_id_string().as_str()) =>
            {
                return Err(CertificateError::Malformed(format!(
                    "extension {} cannot be read",
                    extension.oid
                )));
            }
            _ if extension.critical => {
                self.unknown_critical.get_or_insert_with(|| extension.oid.to_id_string());
            }
            _ => {}
        }
        Ok(())
    }
}

/// Extensions that a judgement rests on: unreadable ones must not count as absent (`BasicConstraints`, `KeyUsage`,
/// `NameConstraints`, `SubjectAltName`).
const JUDGED_BY: [&str; 4] = ["2.5.29.19", "2.5.29.15", "2.5.29.30", "2.5.29.17"];

fn hex_upper(digest: &digest::Digest) -> String {
    hex::encode_upper(digest)
}

/// Saturates: certificates without an end of validity carry 9999-12-31 (RFC 5280 §4.1.2.5), which is after the last
/// instant that a timestamp holds.
fn timestamp(seconds: i64) -> Timestamp {
    let (first, last) = (jiff::Timestamp::MIN.as_second(), jiff::Timestamp::MAX.as_second());
    Timestamp(jiff::Timestamp::from_second(seconds.clamp(first, last)).unwrap_or(jiff::Timestamp::MAX))
}

/// Reads a certificate for an enrollment from DER.
pub fn read_der(der: &[u8]) -> Result<Certificate, CertificateError> {
    let parsed = ParsedCertificate::parse(der)?;
    Ok(Certificate { der: parsed.der, info: parsed.info })
}

/// Reads the certificates of a text: PEM (one or several), base64 of DER, or base64 of PEM.
pub fn read_text(text: &str) -> Result<Vec<ParsedCertificate>, CertificateError> {
    if text.len() > MAX_CERTIFICATE_TEXT {
        return Err(CertificateError::TooLarge { length: text.len(), most: MAX_CERTIFICATE_TEXT });
    }
    if text.contains("-----BEGIN") {
        return read_pem(text);
    }
    let bytes = from_base64(text).ok_or(CertificateError::NeitherPemNorBase64)?;
    match std::str::from_utf8(&bytes) {
        Ok(inner) if inner.contains("-----BEGIN") => read_pem(inner),
        _ => Ok(vec![ParsedCertificate::parse(&bytes)?]),
    }
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let compact: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(compact).ok().filter(|bytes| !bytes.is_empty())
}

fn read_pem(text: &str) -> Result<Vec<ParsedCertificate>, CertificateError> {
    let mut certificates = Vec::new();
    let mut others = Vec::new();
    for block in text.split("-----BEGIN ").skip(1) {
        let Some((label, body)) = block.split_once("-----") else { continue };
        if label.ends_with("PRIVATE KEY") {
            return Err(CertificateError::PrivateKey);
        }
        if !matches!(label, "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE") {
            others.push(label.chars().take(32).collect::<String>());
            continue;
        }
        let body = body.split("-----END").next().unwrap_or_default();
        let der = from_base64(body).ok_or_else(|| {
            CertificateError::Malformed("the PEM text between its lines is not base64".into())
        })?;
        if certificates.len() == MAX_CHAIN_CERTIFICATES {
            return Err(CertificateError::TooMany);
        }
        certificates.push(ParsedCertificate::parse(&der)?);
    }
    if certificates.is_empty() {
        let found = if others.is_empty() { "nothing".into() } else { others.join(", ") };
        return Err(CertificateError::NoCertificateInPem { found });
    }
    Ok(certificates)
}

/// The common name of a certificate's subject, when it has exactly one.
pub fn common_name(der: &[u8]) -> Option<String> {
    ParsedCertificate::parse(der).ok()?.common_name().map(str::to_owned)
}

/// The public key of a certificate, found without parsing the rest: a handshake proves its possession for
/// certificates too that are refused later, with a reason.
pub fn spki(der: &[u8]) -> Option<Spki<'_>> {
    der::parts(der).map(|parts| parts.spki)
}

/// SHA-256 thumbprint, upper-case hex.
pub fn thumbprint(der: &[u8]) -> String {
    hex_upper(&digest::digest(&digest::SHA256, der))
}
