//! Attestation: evidence and mechanism in, verdict out.
//!
//! Owns what a symmetric key, a SAS token, a certificate chain and a TPM prove about a registration id, with one reason per
//! refusal. Only this crate can make an [`Attested`], so nothing can be allocated that was not attested.
//! Must not know: sockets, stores, clocks (time is an argument), how an enrollment is found, how a refusal is rendered.

pub mod denial;
pub mod mechanism;
pub mod sas_token;
pub mod symmetric_key;
pub mod tpm;
pub mod x509;

mod mistake;

use dps_model::attestation::{Mechanism, X509CertificateInfo};
use dps_model::certificate_authority::CaCertificate;
use dps_model::hub::HubAuthentication;
use dps_model::{IdScope, RegistrationId, Timestamp};

pub use denial::{Denial, Reason, Role};
pub use mistake::{RefusedToken, SasMistake};
pub use sas_token::{SasError, SasToken};
pub use tpm::{TpmEvidence, TpmReason};
pub use x509::PresentedChain;

/// Does an enrollment stand for one device or for many?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EnrollmentKind {
    /// One device.
    Individual,
    /// Every device that shares a signing certificate or a key.
    Group,
}

/// Who is to be attested.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The provisioning service that the device asked.
    pub id_scope: &'a IdScope,
    /// Who the device says it is, as it spells it.
    pub registration_id: &'a RegistrationId,
    /// What kind of enrollment the mechanism belongs to.
    pub scope: EnrollmentKind,
    /// The CA certificates that were uploaded to it, which enrollments refer to by name.
    pub authorities: &'a [CaCertificate],
    /// What TPMs are challenged with; without it TPM attestation is refused.
    pub challenger: Option<tpm::Challenger<'a>>,
}

/// What the device showed.
#[derive(Clone, Debug)]
pub enum Evidence {
    /// A certificate chain, whose leaf's key it proved to hold in the TLS handshake.
    X509(PresentedChain),
    /// A token.
    Sas(SasToken),
    /// A TPM's keys, and the token that answers a challenge once there was one.
    Tpm(Box<TpmEvidence>),
    /// Nothing.
    None,
}

impl Evidence {
    /// What it is, for a sentence.
    fn name(&self) -> &'static str {
        match self {
            Self::X509(_) => "a certificate",
            Self::Sas(_) => "a SAS token",
            Self::Tpm(_) => "a TPM's keys",
            Self::None => "nothing",
        }
    }
}

/// Which of an enrollment's two keys or certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    /// The one in use.
    Primary,
    /// The one to roll to.
    Secondary,
}

impl Slot {
    /// `primary` or `secondary`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
        }
    }
}

/// What the evidence proved.
#[derive(Debug)]
pub enum Verdict {
    /// The device is who it says.
    Attested(Attested),
    /// Its TPM must prove it first: the device is to answer this.
    Challenge(tpm::Challenge),
    /// It is not, or did not prove it.
    Denied(Denial),
}

impl Verdict {
    /// The same as a `Result`, for whom a challenge is a refusal.
    pub fn into_result(self) -> Result<Attested, Denial> {
        match self {
            Self::Attested(attested) => Ok(attested),
            Self::Challenge(_) => Err(Reason::from(TpmReason::ChallengeUnanswered).into()),
            Self::Denied(denial) => Err(denial),
        }
    }
}

/// A device that proved who it is. Only [`verify`] makes one.
#[derive(Clone)]
pub struct Attested {
    authentication: HubAuthentication,
    slot: Slot,
    kind: &'static str,
    path: Option<Box<x509::Path>>,
    endorsement_key: Option<Box<tpm::EndorsementKey>>,
    lower_case_id: bool,
}

impl std::fmt::Debug for Attested {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attested")
            .field("slot", &self.slot)
            .field("kind", &self.kind)
            .field("path", &self.path)
            .field("endorsement_key", &self.endorsement_key)
            .finish_non_exhaustive()
    }
}

impl Attested {
    /// How the device will prove itself to its hub (facts: DPS "What DPS writes on the hub"): the enrollment's keys,
    /// the keys derived for it, keys made for its TPM, or the SHA-256 thumbprint of the certificate it presented.
    pub fn authentication(&self) -> &HubAuthentication {
        &self.authentication
    }

    /// Which key or certificate of the enrollment it used.
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// `x509`, `symmetricKey` or `tpm`, as the APIs name it.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The certificates that proved it, for X.509.
    pub fn path(&self) -> Option<&x509::Path> {
        self.path.as_deref()
    }

    /// The device's certificate.
    pub fn certificate(&self) -> Option<&X509CertificateInfo> {
        self.path.as_ref().map(|path| &path.leaf)
    }

    /// The enrollment group's certificate that the path leads to.
    pub fn signing_certificate(&self) -> Option<&X509CertificateInfo> {
        self.path.as_ref().and_then(|path| path.signer.as_ref())
    }

    /// The TPM's endorsement key that proved it.
    pub fn endorsement_key(&self) -> Option<&tpm::EndorsementKey> {
        self.endorsement_key.as_deref()
    }

    fn with_tpm(authentication: HubAuthentication, endorsement_key: tpm::EndorsementKey) -> Self {
        Self {
            authentication,
            slot: Slot::Primary,
            kind: "tpm",
            path: None,
            endorsement_key: Some(Box::new(endorsement_key)),
            lower_case_id: false,
        }
    }

    /// The device derived its key from the registration id in lower case, though it spells it otherwise.
    pub fn derived_from_lower_case(&self) -> bool {
        self.lower_case_id
    }
}

/// Does the evidence prove, by this mechanism and at this time, that the device is `subject`?
pub fn verify(mechanism: &Mechanism, evidence: &Evidence, subject: &Subject<'_>, now: Timestamp) -> Verdict {
    let verdict = match (mechanism, evidence) {
        (Mechanism::Tpm(keys), Evidence::Tpm(shown)) => tpm::verify(keys, shown, subject, now),
        _ => judge(mechanism, evidence, subject, now).map(Verdict::Attested),
    };
    verdict.unwrap_or_else(|reason| Verdict::Denied(reason.into()))
}

fn judge(
    mechanism: &Mechanism,
    evidence: &Evidence,
    subject: &Subject<'_>,
    now: Timestamp,
) -> Result<Attested, Reason> {
    match (mechanism, evidence) {
        (Mechanism::SymmetricKey(keys), Evidence::Sas(token)) => match subject.scope {
            EnrollmentKind::Individual => symmetric_key::verify_individual(keys, token, subject, now),
            EnrollmentKind::Group => symmetric_key::verify_group(keys, token, subject, now),
        },
        (Mechanism::ClientCertificates(pair), Evidence::X509(chain)) => {
            x509::verify_individual(pair, chain, subject, now)
        }
        (Mechanism::SigningCertificates(pair), Evidence::X509(chain)) => {
            x509::verify_group(pair, chain, subject, now)
        }
        (Mechanism::CaReferences(names), Evidence::X509(chain)) => {
            x509::verify_references(names, chain, subject, now)
        }
        (_, Evidence::None) => Err(Reason::EvidenceMissing { expected: mechanism.kind() }),
        (_, other) => Err(Reason::EvidenceOtherKind { expected: mechanism.kind(), presented: other.name() }),
    }
}
