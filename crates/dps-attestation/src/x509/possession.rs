//! Proof that whoever uploaded a CA certificate holds its key: a certificate that this key signed over a code of ours
//! (Azure: "Proof of possession for X.509 CA certificates"). Owns what such a certificate must show; must not know where
//! codes and certificates are kept.

use dps_model::Timestamp;
use dps_model::attestation::Certificate;

use super::certificate::{CertificateError, ParsedCertificate, read_text};
use super::signature::{self, Checked};
use super::{der, path};
use crate::denial::Role;

/// Why a text is no CA certificate that devices may be signed by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCaCertificate {
    /// No certificate at all.
    #[error("{0}")]
    Unreadable(#[from] CertificateError),
    /// More than one.
    #[error("it holds {found} certificates; upload one")]
    NotOne {
        /// How many.
        found: usize,
    },
    /// None of a CA.
    #[error("{subject} is none of a CA: it needs BasicConstraints with CA:TRUE")]
    NotCa {
        /// Its subject.
        subject: String,
    },
    /// A CA's that may not sign.
    #[error("{subject} may not sign certificates: its key usage lacks keyCertSign")]
    MayNotSign {
        /// Its subject.
        subject: String,
    },
}

/// Why a certificate proves nothing about a CA's key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoProof {
    /// No certificate at all.
    #[error("{0}")]
    Unreadable(#[from] CertificateError),
    /// More than one.
    #[error("it holds {found} certificates; send the one that the CA signed over the code")]
    NotOne {
        /// How many.
        found: usize,
    },
    /// Its subject is something else.
    #[error("its common name is {found:?}; it must be the verification code that was generated last")]
    OtherCode {
        /// The common name, cut to a bound.
        found: String,
    },
    /// It names another issuer.
    #[error("its issuer is {issuer}, the CA certificate's subject is {subject}")]
    OtherIssuer {
        /// Issuer of the proof.
        issuer: String,
        /// Subject of the CA.
        subject: String,
    },
    /// The CA's key did not sign it.
    #[error("its signature was not made by the key of the CA certificate")]
    OtherKey,
    /// The signature is of a kind that is not accepted.
    #[error("it is signed with {0}, which is not accepted")]
    Algorithm(String),
    /// Its time is over or has not come.
    #[error("{0}")]
    NotValid(String),
}

/// Longest common name that a sentence repeats: twice a code's length.
const SHOWN: usize = 4 * dps_model::limits::VERIFICATION_CODE;

/// Reads the one CA certificate of a text: PEM, base64 of it, or base64 of DER.
pub fn read_ca(text: &str) -> Result<Certificate, NoCaCertificate> {
    let certificates = read_text(text)?;
    let found = certificates.len();
    let Ok([certificate]) = <[ParsedCertificate; 1]>::try_from(certificates) else {
        return Err(NoCaCertificate::NotOne { found });
    };
    let subject = certificate.subject_text();
    if !certificate.may_be_ca() {
        return Err(NoCaCertificate::NotCa { subject });
    }
    if certificate.extensions.key_cert_sign == Some(false) {
        return Err(NoCaCertificate::MayNotSign { subject });
    }
    let info = certificate.info().clone();
    Ok(Certificate { der: certificate.der, info })
}

/// Does the certificate of this text prove possession of the CA's key? It is signed by that key, its common name is
/// the code, and it is valid now.
pub fn check(ca: &Certificate, code: &str, proof: &str, now: Timestamp) -> Result<(), NoProof> {
    let certificates = read_text(proof)?;
    let found = certificates.len();
    let Ok([proof]) = <[ParsedCertificate; 1]>::try_from(certificates) else {
        return Err(NoProof::NotOne { found });
    };
    let common_name = proof.common_name().unwrap_or_default();
    if !common_name.eq_ignore_ascii_case(code) {
        return Err(NoProof::OtherCode { found: common_name.chars().take(SHOWN).collect() });
    }
    let authority = ParsedCertificate::parse(&ca.der)?;
    if proof.issuer != authority.subject {
        let issuer = proof.info.issuer_name.clone();
        return Err(NoProof::OtherIssuer { issuer, subject: authority.subject_text() });
    }
    let checked = match (der::parts(&proof.der), der::parts(&authority.der)) {
        (Some(signed), Some(key)) => signature::check(&signed, key.spki),
        _ => Checked::Invalid,
    };
    match checked {
        Checked::Valid => {}
        Checked::Invalid => return Err(NoProof::OtherKey),
        Checked::Refused(algorithm) => return Err(NoProof::Algorithm(algorithm)),
    }
    path::valid_at(&proof, Role::Leaf, now.seconds()).map_err(|reason| {
        NoProof::NotValid(reason.to_string().replacen("device certificate", "verification certificate", 1))
    })
}
