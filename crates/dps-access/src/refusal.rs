//! Why a call was refused: a closed list with stable codes. Owns the operator's sentences; the client reads the same
//! `Unauthorized` for each of them.

use dps_attestation::sas_token::SasError;
use dps_model::instance::Right;
use dps_model::limits::MAX_EVENT_TEXT;
use dps_model::{Error, ErrorCode};

/// A reason to refuse a call. Texts of the caller are cut to a bound; no part of a signature is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No credential came.
    #[error("the call has no Authorization header")]
    CredentialMissing,
    /// A credential of another kind than a shared access signature.
    #[error(
        "the Authorization header is no SharedAccessSignature; the service API takes no other credential yet"
    )]
    CredentialOtherKind,
    /// The text is no SAS token.
    #[error("the SAS token is malformed: {0}")]
    SasMalformed(SasError),
    /// The token names no policy.
    #[error("the SAS token names no shared access policy (skn)")]
    SasPolicyMissing,
    /// The token names a policy that the instance does not have.
    #[error("the provisioning service {instance:?} has no shared access policy {policy:?} (skn)")]
    SasPolicyUnknown {
        /// `skn`.
        policy: String,
        /// Name of the instance.
        instance: String,
    },
    /// Neither key of the policy made the signature.
    #[error("the SAS token is signed with neither key of the shared access policy {policy:?}")]
    SasSignatureMismatch {
        /// Name of the policy.
        policy: String,
    },
    /// The token's time is over; its signature is right.
    #[error(
        "the SAS token of the shared access policy {policy:?} expired at se={expired_at}, {by_seconds} s ago"
    )]
    SasExpired {
        /// Name of the policy.
        policy: String,
        /// `se`, in Unix seconds.
        expired_at: i64,
        /// By how many seconds, the forgiven clock difference not subtracted.
        by_seconds: i64,
    },
    /// The token is for something else.
    #[error("the SAS token is for {presented:?} (sr), the call went to {called:?}")]
    SasResourceMismatch {
        /// `sr`, decoded.
        presented: String,
        /// Host and path of the call.
        called: String,
    },
    /// The policy lacks the right.
    #[error("the shared access policy {policy:?} lacks the right {needed:?}")]
    RightMissing {
        /// Name of the policy.
        policy: String,
        /// What the call needs.
        needed: Right,
    },
}

impl Refusal {
    /// Stable name, as logs and explanations use it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::CredentialMissing => "CREDENTIAL_MISSING",
            Self::CredentialOtherKind => "CREDENTIAL_OTHER_KIND",
            Self::SasMalformed(_) => "SAS_MALFORMED",
            Self::SasPolicyMissing => "SAS_POLICY_MISSING",
            Self::SasPolicyUnknown { .. } => "SAS_POLICY_UNKNOWN",
            Self::SasSignatureMismatch { .. } => "SAS_SIGNATURE_MISMATCH",
            Self::SasExpired { .. } => "SAS_EXPIRED",
            Self::SasResourceMismatch { .. } => "SAS_RESOURCE_MISMATCH",
            Self::RightMissing { .. } => "RIGHT_MISSING",
        }
    }
}

impl From<Refusal> for Error {
    /// The client reads `Unauthorized`; the private half carries the reason's code and sentence.
    fn from(refusal: Refusal) -> Self {
        Self::new(ErrorCode::Unauthorized).because(format!("{}: {refusal}", refusal.code()))
    }
}

/// A caller's text, cut to what a sentence repeats.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(MAX_EVENT_TEXT).collect()
}
