//! Why evidence was refused: what the device is told, and what the operator is told. Owns the closed list of reasons
//! with their stable codes and sentences; must not know how a protocol renders a refusal.

use std::borrow::Cow;

use dps_model::{Error, ErrorCode, Timestamp};

use crate::sas_token::SasError;
use crate::tpm::TpmReason;

/// A refusal: Azure's public words, and the private reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The row of the catalogue.
    pub code: ErrorCode,
    /// What the device reads: one of Azure's own texts, never a detail.
    pub message: Cow<'static, str>,
    /// What the operator reads.
    pub reason: Reason,
}

impl From<Reason> for Denial {
    fn from(reason: Reason) -> Self {
        let (code, message) = reason.public();
        Self { code, message: Cow::Borrowed(message), reason }
    }
}

impl From<SasError> for Denial {
    fn from(error: SasError) -> Self {
        Reason::SasMalformed { error }.into()
    }
}

impl From<Denial> for Error {
    /// The private half carries the reason's code and sentence.
    fn from(denial: Denial) -> Self {
        Self::with(denial.code, denial.message).because(format!(
            "{}: {}",
            denial.reason.code(),
            denial.reason
        ))
    }
}

/// Where in the path a certificate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The device's own certificate.
    Leaf,
    /// A presented CA certificate between the leaf and the enrolled one.
    Intermediate,
    /// The certificate that the enrollment group names.
    Signer,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Leaf => "device certificate",
            Self::Intermediate => "intermediate certificate",
            Self::Signer => "signing certificate of the enrollment group",
        })
    }
}

/// One reason per refusal, with the very things involved. Texts that a device chose are bounded by the limits on
/// tokens and certificates; secrets are never part of a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The device showed nothing, the enrollment asks for something.
    EvidenceMissing {
        /// `type` of the enrollment's attestation.
        expected: &'static str,
    },
    /// The device showed another kind of evidence than the enrollment asks for.
    EvidenceOtherKind {
        /// `type` of the enrollment's attestation.
        expected: &'static str,
        /// What the device showed.
        presented: &'static str,
    },
    /// The enrollment's mechanism is not one that this build can check.
    MechanismUnavailable {
        /// `type` of the enrollment's attestation.
        mechanism: &'static str,
    },
    /// The text is no SAS token.
    SasMalformed {
        /// What is wrong with it.
        error: SasError,
    },
    /// The token is for something else (`sr`).
    SasResourceMismatch {
        /// `sr` of the token, decoded.
        presented: String,
        /// What it has to name.
        expected: String,
    },
    /// The token's time is over (`se`); its signature is right.
    SasExpired {
        /// `se`, in Unix seconds.
        expired_at: i64,
        /// By how many seconds, the forgiven clock difference not subtracted.
        by_seconds: i64,
    },
    /// Neither key made the signature.
    SasSignatureMismatch {
        /// By how many seconds the token is expired besides.
        expired_by: Option<i64>,
    },
    /// More certificates than are read.
    ChainTooLong {
        /// How many came.
        presented: usize,
    },
    /// A certificate larger than is parsed.
    CertificateTooLarge {
        /// Its place in the presented order, from 0.
        position: usize,
        /// Its size in bytes.
        length: usize,
    },
    /// Bytes that are no certificate.
    CertificateMalformed {
        /// Its place in the presented order, from 0.
        position: usize,
        /// What the parser says.
        why: String,
    },
    /// The leaf has no common name, or several.
    CommonNameMissing {
        /// Subject of the leaf.
        subject: String,
        /// How many common names it has.
        found: usize,
    },
    /// The leaf's common name is not the registration id.
    CommonNameMismatch {
        /// Common name of the leaf.
        common_name: String,
        /// The id that the device asked for.
        registration_id: String,
    },
    /// The leaf is not the enrollment's certificate.
    CertificateNotEnrolled {
        /// Subject of the leaf.
        subject: String,
        /// SHA-256 thumbprint of the leaf.
        thumbprint: Box<str>,
        /// SHA-256 thumbprints of the enrollment: primary, then secondary.
        enrolled: Box<str>,
        /// The leaf has the key of an enrolled certificate: it was renewed.
        same_key: bool,
        /// The leaf has the subject of an enrolled certificate.
        same_subject: bool,
    },
    /// A certificate's validity is over.
    CertificateExpired {
        /// Where it stands in the path.
        role: Role,
        /// Its subject.
        subject: String,
        /// End of its validity.
        not_after: Timestamp,
        /// By how many seconds.
        by_seconds: i64,
    },
    /// A certificate's validity has not begun.
    CertificateNotYetValid {
        /// Where it stands in the path.
        role: Role,
        /// Its subject.
        subject: String,
        /// Start of its validity.
        not_before: Timestamp,
        /// In how many seconds it begins.
        in_seconds: i64,
    },
    /// The leaf is the enrollment group's own signing certificate.
    LeafIsSigningCertificate {
        /// Its subject.
        subject: String,
        /// Its SHA-256 thumbprint.
        thumbprint: Box<str>,
    },
    /// The path ends at a certificate whose issuer was not sent.
    ChainIncomplete {
        /// Subject of the certificate where the path ends.
        subject: String,
        /// Its issuer: the missing certificate.
        issuer: String,
        /// Key identifier of the missing certificate, hex, where the certificate names it.
        issuer_key: Option<Box<str>>,
        /// How many certificates came.
        presented: usize,
    },
    /// The chain is complete, but ends at another root than the enrollment group's certificate.
    SignerNotInChain {
        /// Subject of the self-signed certificate where the path ends.
        top: String,
        /// Subjects of the enrollment group's certificates.
        enrolled: String,
    },
    /// The chain names the enrolled signing certificate's subject, but another key signed: the CA was issued anew.
    SignerReissued {
        /// Subject of the certificate that the other key signed.
        subject: String,
        /// Subject of the enrolled certificate.
        signer: String,
        /// Key identifier of the enrolled certificate, hex.
        enrolled_key: Option<Box<str>>,
        /// Key identifier that the chain asks for, hex.
        presented_key: Option<Box<str>>,
    },
    /// A signature is wrong although names and keys match.
    SignatureInvalid {
        /// Subject of the certificate with the wrong signature.
        subject: String,
        /// Subject of the certificate that should have signed it.
        issuer: String,
    },
    /// A certificate is signed in a way that is not accepted (SHA-1, unknown, short RSA keys).
    SignatureAlgorithmRefused {
        /// Subject of the certificate.
        subject: String,
        /// Algorithm and key.
        algorithm: String,
    },
    /// A certificate that signed another is none of a CA.
    IssuerNotCa {
        /// Where it stands in the path.
        role: Role,
        /// Its subject.
        subject: String,
        /// What it lacks.
        why: &'static str,
    },
    /// A CA certificate's key usage does not allow to sign certificates.
    IssuerMayNotSign {
        /// Where it stands in the path.
        role: Role,
        /// Its subject.
        subject: String,
    },
    /// More CA certificates stand below one than its path length allows.
    PathLengthExceeded {
        /// Where it stands in the path.
        role: Role,
        /// Its subject.
        subject: String,
        /// Its path length.
        allowed: u32,
        /// How many CA certificates stand below it.
        found: u32,
    },
    /// A CA certificate has a critical extension that is not understood.
    CriticalExtension {
        /// Where it stands in the path.
        role: Role,
        /// Its subject.
        subject: String,
        /// The extension's object identifier.
        oid: String,
    },
    /// A name below a CA is outside what the CA's name constraints allow.
    NameConstraintViolated {
        /// Subject of the certificate with the name.
        subject: String,
        /// Subject of the CA.
        issuer: String,
        /// The name.
        name: String,
    },
    /// The chain asks for more signature checks than one request gets.
    TooManySignatureChecks {
        /// How many were spent.
        spent: usize,
    },
    /// The enrollment refers to an uploaded CA certificate whose key nobody has proven to hold.
    CaNotVerified {
        /// Its name.
        name: String,
    },
    /// The enrollment refers to CA certificates by names that none was uploaded under.
    CaReferenceUnresolved {
        /// The names.
        names: String,
    },
    /// A TPM's keys or its answer to a challenge.
    Tpm(TpmReason),
}

const UNAUTHORIZED: &str = "Unauthorized";
const INVALID: &str = "Invalid certificate.";
const CA_NOT_FOUND: &str = "CA certificate not found.";
const NO_MATCH: &str = "Signing certificate info did not match chain elements.";

impl Reason {
    /// Stable name, as logs and explanations use it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::EvidenceMissing { .. } => "EVIDENCE_MISSING",
            Self::EvidenceOtherKind { .. } => "EVIDENCE_OTHER_KIND",
            Self::MechanismUnavailable { .. } => "MECHANISM_UNAVAILABLE",
            Self::SasMalformed { .. } => "SAS_MALFORMED",
            Self::SasResourceMismatch { .. } => "SAS_RESOURCE_MISMATCH",
            Self::SasExpired { .. } => "SAS_EXPIRED",
            Self::SasSignatureMismatch { .. } => "SAS_SIGNATURE_MISMATCH",
            Self::ChainTooLong { .. } => "X509_CHAIN_TOO_LONG",
            Self::CertificateTooLarge { .. } => "X509_CERTIFICATE_TOO_LARGE",
            Self::CertificateMalformed { .. } => "X509_CERTIFICATE_MALFORMED",
            Self::CommonNameMissing { .. } => "X509_COMMON_NAME_MISSING",
            Self::CommonNameMismatch { .. } => "X509_COMMON_NAME_MISMATCH",
            Self::CertificateNotEnrolled { .. } => "X509_CERTIFICATE_NOT_ENROLLED",
            Self::CertificateExpired { .. } => "X509_CERTIFICATE_EXPIRED",
            Self::CertificateNotYetValid { .. } => "X509_CERTIFICATE_NOT_YET_VALID",
            Self::LeafIsSigningCertificate { .. } => "X509_LEAF_IS_CA",
            Self::ChainIncomplete { .. } => "X509_CHAIN_INCOMPLETE",
            Self::SignerNotInChain { .. } => "X509_SIGNER_NOT_IN_CHAIN",
            Self::SignerReissued { .. } => "X509_SIGNER_REISSUED",
            Self::SignatureInvalid { .. } => "X509_SIGNATURE_INVALID",
            Self::SignatureAlgorithmRefused { .. } => "X509_SIGNATURE_ALGORITHM_REFUSED",
            Self::IssuerNotCa { .. } => "X509_ISSUER_NOT_CA",
            Self::IssuerMayNotSign { .. } => "X509_ISSUER_MAY_NOT_SIGN",
            Self::PathLengthExceeded { .. } => "X509_PATH_LENGTH_EXCEEDED",
            Self::CriticalExtension { .. } => "X509_CRITICAL_EXTENSION",
            Self::NameConstraintViolated { .. } => "X509_NAME_CONSTRAINT_VIOLATED",
            Self::TooManySignatureChecks { .. } => "X509_TOO_MANY_SIGNATURE_CHECKS",
            Self::CaNotVerified { .. } => "X509_CA_NOT_VERIFIED",
            Self::CaReferenceUnresolved { .. } => "X509_CA_REFERENCE_UNRESOLVED",
            Self::Tpm(reason) => reason.code(),
        }
    }

    /// What the device gets: the row, and Azure's text (facts: DPS "Error body and HTTP status").
    pub const fn public(&self) -> (ErrorCode, &'static str) {
        match self {
            Self::EvidenceMissing { expected } | Self::EvidenceOtherKind { expected, .. } => (
                if matches!(expected.as_bytes(), b"x509") {
                    ErrorCode::CertificateRejected
                } else {
                    ErrorCode::Unauthorized
                },
                UNAUTHORIZED,
            ),
            Self::MechanismUnavailable { .. }
            | Self::SasMalformed { .. }
            | Self::SasResourceMismatch { .. }
            | Self::SasExpired { .. }
            | Self::SasSignatureMismatch { .. } => (ErrorCode::Unauthorized, UNAUTHORIZED),
            Self::CommonNameMissing { .. }
            | Self::CommonNameMismatch { .. }
            | Self::CertificateNotEnrolled { .. } => (ErrorCode::CertificateRejected, UNAUTHORIZED),
            Self::ChainIncomplete { .. }
            | Self::CaNotVerified { .. }
            | Self::CaReferenceUnresolved { .. } => (ErrorCode::CertificateRejected, CA_NOT_FOUND),
            Self::LeafIsSigningCertificate { .. }
            | Self::SignerNotInChain { .. }
            | Self::SignerReissued { .. } => (ErrorCode::CertificateRejected, NO_MATCH),
            Self::ChainTooLong { .. }
            | Self::CertificateTooLarge { .. }
            | Self::CertificateMalformed { .. }
            | Self::CertificateExpired { .. }
            | Self::CertificateNotYetValid { .. }
            | Self::SignatureInvalid { .. }
            | Self::SignatureAlgorithmRefused { .. }
            | Self::IssuerNotCa { .. }
            | Self::IssuerMayNotSign { .. }
            | Self::PathLengthExceeded { .. }
            | Self::CriticalExtension { .. }
            | Self::NameConstraintViolated { .. }
            | Self::TooManySignatureChecks { .. } => (ErrorCode::CertificateRejected, INVALID),
            Self::Tpm(reason) => reason.public(),
        }
    }
}

impl std::fmt::Display for Reason {
    /// One sentence for the operator.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::EvidenceMissing { expected } => {
                write!(
                    f,
                    "the device presented neither a certificate nor a token; the enrollment asks for {expected}"
                )
            }
            Self::EvidenceOtherKind { expected, presented } => {
                write!(f, "the device presented {presented}; the enrollment asks for {expected}")
            }
            Self::MechanismUnavailable { mechanism } => {
                write!(f, "this server cannot check {mechanism} attestation")
            }
            Self::SasMalformed { error } => write!(f, "the SAS token is malformed: {error}"),
            Self::SasResourceMismatch { presented, expected } => {
                write!(f, "the SAS token is for {presented:?} (sr), the device asked for {expected:?}")
            }
            Self::SasExpired { expired_at, by_seconds } => write!(
                f,
                "the SAS token expired {by_seconds} s ago (se={expired_at}); it is signed with the right key, so \
                 look at the device's clock"
            ),
            Self::SasSignatureMismatch { expired_by } => sas_signature(f, *expired_by),
            Self::Tpm(reason) => reason.fmt(f),
            _ => self.fmt_x509(f),
        }
    }
}

fn sas_signature(f: &mut std::fmt::Formatter<'_>, expired_by: Option<i64>) -> std::fmt::Result {
    f.write_str("neither the primary nor the secondary key made the SAS token's signature")?;
    expired_by.map_or(Ok(()), |by| write!(f, "; it is expired by {by} s besides"))
}

impl Reason {
    fn fmt_x509(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ChainTooLong { presented } => write!(
                f,
                "the device presented {presented} certificates, at most {} are read",
                dps_model::limits::MAX_CHAIN_CERTIFICATES
            ),
            Self::CertificateTooLarge { position, length } => write!(
                f,
                "certificate {} of the chain has {length} bytes, at most {} are parsed",
                position + 1,
                dps_model::limits::MAX_CERTIFICATE
            ),
            Self::CertificateMalformed { position, why } => {
                write!(f, "certificate {} of the chain cannot be read: {why}", position + 1)
            }
            Self::CommonNameMissing { subject, found } => write!(
                f,
                "the device certificate ({subject}) has {found} common names; it needs exactly one, the registration id"
            ),
            Self::CommonNameMismatch { common_name, registration_id } => write!(
                f,
                "the device certificate's common name is {common_name:?}, the device asked for {registration_id:?}"
            ),
            Self::CertificateNotEnrolled { subject, thumbprint, enrolled, same_key, same_subject } => {
                write!(
                    f,
                    "the device certificate ({subject}, SHA-256 {thumbprint}) is not the enrollment's (SHA-256 {enrolled})"
                )?;
                if *same_key {
                    f.write_str("; it has the same key, so it was renewed: enroll the new one as secondary")?;
                } else if *same_subject {
                    f.write_str("; it has the same subject but another key")?;
                }
                Ok(())
            }
            Self::CertificateExpired { role, subject, not_after, by_seconds } => {
                write!(f, "the {role} ({subject}) expired at {not_after}, {by_seconds} s ago")
            }
            Self::CertificateNotYetValid { role, subject, not_before, in_seconds } => {
                write!(f, "the {role} ({subject}) is not valid before {not_before}, in {in_seconds} s")
            }
            Self::LeafIsSigningCertificate { subject, thumbprint } => write!(
                f,
                "the device presented the enrollment group's own signing certificate ({subject}, SHA-256 {thumbprint}) \
                 as its own; it needs a certificate that this one signed"
            ),
            _ => self.fmt_path(f),
        }
    }

    fn fmt_path(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ChainIncomplete { subject, issuer, issuer_key, presented } => write!(
                f,
                "the chain ends at {subject}: its issuer {issuer} (key {}) is neither among the {presented} presented \
                 certificates nor the enrollment group's certificate; send it with the chain",
                issuer_key.as_deref().unwrap_or("unnamed")
            ),
            Self::SignerNotInChain { top, enrolled } => write!(
                f,
                "the chain ends at the self-signed {top}, which is not the enrollment group's certificate ({enrolled})"
            ),
            Self::SignerReissued { subject, signer, enrolled_key, presented_key } => write!(
                f,
                "{subject} was issued by {signer} with key {}, the enrollment group has that name with key {}: the CA \
                 was issued anew with another key",
                presented_key.as_deref().unwrap_or("unnamed"),
                enrolled_key.as_deref().unwrap_or("unnamed")
            ),
            Self::SignatureInvalid { subject, issuer } => {
                write!(f, "the signature of {subject} was not made by the key of {issuer}")
            }
            Self::SignatureAlgorithmRefused { subject, algorithm } => {
                write!(f, "{subject} is signed with {algorithm}, which is not accepted")
            }
            Self::IssuerNotCa { role, subject, why } => {
                write!(f, "the {role} ({subject}) signed another certificate but is none of a CA: {why}")
            }
            Self::IssuerMayNotSign { role, subject } => {
                write!(f, "the key usage of the {role} ({subject}) lacks keyCertSign")
            }
            Self::PathLengthExceeded { role, subject, allowed, found } => write!(
                f,
                "the {role} ({subject}) allows {allowed} CA certificates below it (pathlen), the chain has {found}"
            ),
            Self::CriticalExtension { role, subject, oid } => {
                write!(f, "the {role} ({subject}) has the critical extension {oid}, which is not understood")
            }
            Self::NameConstraintViolated { subject, issuer, name } => {
                write!(f, "the name {name:?} of {subject} is outside the name constraints of {issuer}")
            }
            Self::TooManySignatureChecks { spent } => {
                write!(f, "no path was found within {spent} signature checks")
            }
            Self::CaReferenceUnresolved { names } => {
                write!(f, "the enrollment refers to the CA certificate {names}, which does not exist")
            }
            Self::CaNotVerified { name } => write!(
                f,
                "the enrollment refers to the CA certificate {name}, which is not verified; prove possession of its key"
            ),
            // The other reasons are written by the callers.
            other => f.write_str(other.code()),
        }
    }
}
