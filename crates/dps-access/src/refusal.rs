//! Why a call was refused: a closed list with stable codes. Owns the operator's sentences; the client reads the same
//! `Unauthorized` for each of them.

use dps_attestation::sas_token::SasError;
use dps_model::instance::Right;
use dps_model::limits::MAX_EVENT_TEXT;
use dps_model::network::KeptOut;
use dps_model::{Error, ErrorCode};

use crate::bearer::{BearerError, KeysMissing};

/// A reason to refuse a call. Texts of the caller are cut to a bound; no part of a signature is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No credential came.
    #[error("the call has no Authorization header")]
    CredentialMissing,
    /// A credential of another kind.
    #[error("the Authorization header is neither a SharedAccessSignature nor a Bearer token")]
    CredentialOtherKind,
    /// The caller's address is kept out.
    #[error("{0}")]
    KeptOut(#[from] KeptOut),
    /// The instance takes no shared access signatures.
    #[error("the provisioning service {instance:?} takes no shared access signatures (disableLocalAuth)")]
    LocalAuthDisabled {
        /// Name of the instance.
        instance: String,
    },
    /// A shared access signature where only bearer tokens are taken.
    #[error("the control plane takes bearer tokens, no shared access signatures")]
    SasOnControlPlane,
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
    /// A bearer token, and nobody to vouch for it.
    #[error("the bearer token is not the server's own, and no identity provider is configured")]
    NoIdentityProvider,
    /// The text is no bearer token.
    #[error("the bearer token is malformed: {0}")]
    BearerMalformed(BearerError),
    /// Its issuer is none of ours.
    #[error("the bearer token is of the issuer {issuer:?}, which is no configured identity provider")]
    BearerIssuerUnknown {
        /// `iss`.
        issuer: String,
    },
    /// The identity provider hands out no keys.
    #[error("the keys of the identity provider {issuer:?} are not to be had: {why}")]
    BearerKeysUnavailable {
        /// `iss`.
        issuer: String,
        /// What went wrong last.
        why: String,
    },
    /// The identity provider has no such key.
    #[error(
        "the identity provider {issuer:?} has no key {key_id:?} (kid) for the algorithm of the bearer token"
    )]
    BearerKeyUnknown {
        /// `iss`.
        issuer: String,
        /// `kid`.
        key_id: Option<String>,
    },
    /// It is not signed with the key that it names.
    #[error("the bearer token is not signed with its key of the identity provider {issuer:?}")]
    BearerSignatureMismatch {
        /// `iss`.
        issuer: String,
    },
    /// Its time is over; its signature is right.
    #[error("the bearer token of {subject:?} expired at exp={expired_at}, {by_seconds} s ago")]
    BearerExpired {
        /// `sub`.
        subject: String,
        /// `exp`, in Unix seconds.
        expired_at: i64,
        /// By how many seconds, the forgiven clock difference not subtracted.
        by_seconds: i64,
    },
    /// Its time is still to come.
    #[error("the bearer token of {subject:?} is not valid before nbf={valid_from}")]
    BearerNotYetValid {
        /// `sub`.
        subject: String,
        /// `nbf`, in Unix seconds.
        valid_from: i64,
    },
    /// It is for somebody else.
    #[error("the bearer token is for {presented:?} (aud), wanted is {wanted:?}")]
    BearerAudienceMismatch {
        /// The first of `aud`.
        presented: String,
        /// What would do.
        wanted: String,
    },
    /// An identity provider sent somebody back who did not leave from here.
    #[error("the answer of the identity provider is to no sign-in that began in this browser")]
    SignInElsewhere,
    /// An identity provider did not say, or not well enough, who somebody is.
    #[error("the identity provider {issuer:?} signed nobody in: {why}")]
    SignInRefused {
        /// Its issuer.
        issuer: String,
        /// Why.
        why: String,
    },
    /// The session is over, or never was.
    #[error("the session of the portal is over, or never was")]
    SessionUnknown,
    /// The session is one of another provisioning service.
    #[error("the session of the portal is of another provisioning service than {called:?}")]
    SessionElsewhere {
        /// Name of the one that was called.
        called: String,
    },
    /// The policy of a connection string is none of the service's.
    #[error("the provisioning service {instance:?} has no shared access policy {policy:?}")]
    SessionPolicyUnknown {
        /// `SharedAccessKeyName`.
        policy: String,
        /// Name of the instance.
        instance: String,
    },
    /// The key of a connection string is not, or is no longer, one of the policy's.
    #[error("the key is neither key of the shared access policy {policy:?}")]
    SessionKeyMismatch {
        /// Name of the policy.
        policy: String,
    },
    /// No role allows it.
    #[error("{principal:?} has no role that allows {action:?} on {scope:?}")]
    RoleMissing {
        /// `sub`.
        principal: String,
        /// What was to be done.
        action: String,
        /// On what.
        scope: String,
    },
}

impl Refusal {
    /// Stable name, as logs and explanations use it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::CredentialMissing => "CREDENTIAL_MISSING",
            Self::CredentialOtherKind => "CREDENTIAL_OTHER_KIND",
            Self::KeptOut(kept_out) => kept_out.code(),
            Self::LocalAuthDisabled { .. } => "LOCAL_AUTH_DISABLED",
            Self::SasOnControlPlane => "SAS_ON_CONTROL_PLANE",
            Self::SasMalformed(_) => "SAS_MALFORMED",
            Self::SasPolicyMissing => "SAS_POLICY_MISSING",
            Self::SasPolicyUnknown { .. } => "SAS_POLICY_UNKNOWN",
            Self::SasSignatureMismatch { .. } => "SAS_SIGNATURE_MISMATCH",
            Self::SasExpired { .. } => "SAS_EXPIRED",
            Self::SasResourceMismatch { .. } => "SAS_RESOURCE_MISMATCH",
            Self::RightMissing { .. } => "RIGHT_MISSING",
            Self::NoIdentityProvider => "NO_IDENTITY_PROVIDER",
            Self::BearerMalformed(_) => "BEARER_MALFORMED",
            Self::BearerIssuerUnknown { .. } => "BEARER_ISSUER_UNKNOWN",
            Self::BearerKeysUnavailable { .. } => "BEARER_KEYS_UNAVAILABLE",
            Self::BearerKeyUnknown { .. } => "BEARER_KEY_UNKNOWN",
            Self::BearerSignatureMismatch { .. } => "BEARER_SIGNATURE_MISMATCH",
            Self::BearerExpired { .. } => "BEARER_EXPIRED",
            Self::BearerNotYetValid { .. } => "BEARER_NOT_YET_VALID",
            Self::BearerAudienceMismatch { .. } => "BEARER_AUDIENCE_MISMATCH",
            Self::SignInElsewhere => "SIGN_IN_ELSEWHERE",
            Self::SignInRefused { .. } => "SIGN_IN_REFUSED",
            Self::SessionUnknown => "SESSION_UNKNOWN",
            Self::SessionElsewhere { .. } => "SESSION_ELSEWHERE",
            Self::SessionPolicyUnknown { .. } => "SESSION_POLICY_UNKNOWN",
            Self::SessionKeyMismatch { .. } => "SESSION_KEY_MISMATCH",
            Self::RoleMissing { .. } => "ROLE_MISSING",
        }
    }

    /// Is it proven who calls, and only not theirs to do?
    pub(crate) const fn is_of_somebody_known(&self) -> bool {
        matches!(self, Self::RightMissing { .. } | Self::RoleMissing { .. } | Self::SessionElsewhere { .. })
    }

    pub(crate) fn missing_keys(missing: KeysMissing, issuer: &str, key_id: Option<String>) -> Self {
        let issuer = shown(issuer);
        match missing {
            KeysMissing::All(why) => Self::BearerKeysUnavailable { issuer, why: shown(&why) },
            KeysMissing::This => Self::BearerKeyUnknown { issuer, key_id },
        }
    }
}

impl From<Refusal> for Error {
    /// The client reads `Unauthorized`; the private half carries the reason's code and sentence. A token that could not
    /// be judged may be a good one: its owner is told to come back.
    fn from(refusal: Refusal) -> Self {
        let public = match &refusal {
            Refusal::BearerKeysUnavailable { .. } => {
                const LATER: &str = "The identity provider cannot be asked for its keys; try again later.";
                Self::with(ErrorCode::Unavailable, LATER)
            }
            _ => Self::new(ErrorCode::Unauthorized),
        };
        public.because(format!("{}: {refusal}", refusal.code()))
    }
}

/// A caller's text, cut to what a sentence repeats.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(MAX_EVENT_TEXT).collect()
}
