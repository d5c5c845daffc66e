//! What the service knows beside the record, as plain facts; whoever asks for an explanation gathers them. Owns what is
//! worth knowing for which event; must not know how it is found.

use dps_attestation::SasMistake;
use dps_events::{AttemptRecord, Event, Operation, Outcome};

/// What is known. Everything may be missing: then fewer causes are found.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Id scopes of this server, with their distance to the one asked for.
    pub scopes: Vec<Near>,
    /// Enrollments with nearly the registration id, nearest first.
    pub near: Vec<Near>,
    /// Provisioning services of this server that have an enrollment of exactly this registration id.
    pub elsewhere: Vec<String>,
    /// Enrollments whose keys, used wrongly, make the token's signature.
    pub sas: Vec<SasMatch>,
    /// X.509 enrollment groups of the provisioning service.
    pub signers: Vec<Signer>,
    /// CA certificates uploaded to it.
    pub authorities: Vec<Authority>,
    /// Registration ids that the presented endorsement key is enrolled under.
    pub key_holders: Vec<String>,
}

/// Something of nearly the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Near {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: NearKind,
    /// How many letters differ.
    pub distance: usize,
}

/// What has nearly the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NearKind {
    /// An id scope.
    Scope,
    /// An individual enrollment.
    Enrollment,
}

/// A mistake with an enrollment's key that makes exactly the refused signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SasMatch {
    /// Group id; none for the device's individual enrollment.
    pub group: Option<String>,
    /// The mistake.
    pub mistake: SasMistake,
}

/// The signing certificate of an enrollment group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// Group id.
    pub group: String,
    /// Subject.
    pub subject: String,
    /// Issuer.
    pub issuer: String,
    /// Subject key identifier, hex.
    pub key: Option<String>,
}

/// A CA certificate uploaded to the provisioning service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Its name.
    pub name: String,
    /// Subject.
    pub subject: String,
    /// Issuer.
    pub issuer: String,
    /// Subject key identifier, hex.
    pub key: Option<String>,
    /// Possession of its key is proven.
    pub verified: bool,
}

/// What is worth gathering for an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a lookup of its own")]
pub struct Wanted {
    /// `Known::scopes`.
    pub scopes: bool,
    /// `Known::near` and `Known::elsewhere`.
    pub near: bool,
    /// `Known::sas`.
    pub sas: bool,
    /// `Known::signers` and `Known::authorities`.
    pub chain: bool,
    /// `Known::key_holders`.
    pub key_holders: bool,
}

impl Wanted {
    /// What an explanation of the event would use. Nothing for most: their record says enough.
    pub fn of(event: &Event) -> Self {
        match event {
            Event::Attempt(attempt) => Self::of_attempt(attempt),
            _ => Self::default(),
        }
    }

    /// Is it nothing at all?
    pub fn nothing(self) -> bool {
        self == Self::default()
    }

    fn of_attempt(attempt: &AttemptRecord) -> Self {
        let Outcome::Failed { name, .. } = &attempt.outcome else { return Self::default() };
        if *name == "IdScopeNotFound" {
            return Self { scopes: true, ..Self::default() };
        }
        if attempt.instance.is_none() || attempt.operation == Operation::Unrouted {
            return Self::default();
        }
        let unknown = attempt.candidates.is_empty()
            && attempt.reason.is_none()
            && matches!(*name, "Unauthorized" | "CertificateRejected" | "EnrollmentNotFound");
        let reason = attempt.reason.unwrap_or_default();
        Self {
            scopes: false,
            near: unknown,
            sas: attempt.sas.is_some()
                && attempt.endorsement_key.is_none()
                && (unknown || reason == "SAS_SIGNATURE_MISMATCH"),
            chain: !attempt.chain.is_empty() && (unknown || reason.starts_with("X509_")),
            key_holders: attempt.endorsement_key.is_some() && (unknown || reason.starts_with("EK_")),
        }
    }
}
