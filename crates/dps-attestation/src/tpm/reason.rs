//! Why a TPM's evidence was refused: the closed list, with stable codes and sentences. Must not know how a refusal is
//! rendered.

use dps_model::ErrorCode;
use dps_model::limits::TPM_CHALLENGE_WINDOW;

use super::activation::ActivationError;
use super::public_area::{PublicArea, PublicAreaError, Template};
use crate::denial::Reason;

/// Which of a TPM's two keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TpmKey {
    /// The key that makes it this TPM.
    Endorsement,
    /// The key under which it takes others in.
    StorageRoot,
}

impl std::fmt::Display for TpmKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Endorsement => "endorsement key",
            Self::StorageRoot => "storage root key",
        })
    }
}

/// How an endorsement key differs from the enrolled one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyDifference {
    /// The modulus alone: another TPM, or another `unique` in the template.
    Modulus,
    /// The length.
    Bits {
        /// Of the key that the device presented.
        presented: u16,
        /// Of the enrolled one.
        enrolled: u16,
    },
    /// Attributes, policy, cipher: it was created from another template.
    Template {
        /// What the presented key fits.
        presented: Template,
        /// What the enrolled key fits.
        enrolled: Template,
    },
}

impl KeyDifference {
    pub(super) fn between(presented: &PublicArea, enrolled: &PublicArea) -> Self {
        if presented.bits() != enrolled.bits() {
            Self::Bits { presented: presented.bits(), enrolled: enrolled.bits() }
        } else if presented.same_properties(enrolled) {
            Self::Modulus
        } else {
            Self::Template { presented: presented.template(), enrolled: enrolled.template() }
        }
    }
}

/// One reason per refusal. Names of keys are hex; nothing secret is part of a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TpmReason {
    /// The device's key cannot be read or cannot be challenged.
    KeyMalformed {
        /// Which.
        key: TpmKey,
        /// Why.
        error: PublicAreaError,
    },
    /// The device sent no storage root key.
    StorageRootKeyMissing,
    /// The enrollment's endorsement key cannot be read: it was stored before keys were checked.
    EnrolledKeyMalformed {
        /// Why.
        error: PublicAreaError,
    },
    /// The enrollment has another endorsement key.
    EndorsementKeyChanged {
        /// Name of the presented key, hex.
        presented: Box<str>,
        /// Name of the enrolled key, hex.
        enrolled: Box<str>,
        /// In what they differ.
        difference: KeyDifference,
    },
    /// The device was challenged and has not answered yet.
    ChallengeUnanswered,
    /// The challenge was answered too late.
    ChallengeExpired {
        /// By how many seconds, at least.
        by_seconds: i64,
    },
    /// The token is not signed with the key of a challenge that is open.
    NotActivatedKey {
        /// By how many seconds the token is expired besides.
        expired_by: Option<i64>,
    },
    /// Nothing could be wrapped to the keys.
    NotWrapped {
        /// Why.
        error: ActivationError,
    },
}

impl From<TpmReason> for Reason {
    fn from(reason: TpmReason) -> Self {
        Self::Tpm(reason)
    }
}

const KEY_INVALID: &str = "Endorsement key is invalid, or does not match the Enrollment.";
const STORAGE_ROOT_KEY_INVALID: &str = "Storage root key is missing or invalid.";

impl TpmReason {
    /// Stable name, as logs and explanations use it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::KeyMalformed { key: TpmKey::Endorsement, error } | Self::EnrolledKeyMalformed { error } => {
                match error {
                    PublicAreaError::HostOrder { .. } => "EK_BYTE_ORDER",
                    PublicAreaError::EccKey
                    | PublicAreaError::NotRsa { .. }
                    | PublicAreaError::KeyBits { .. } => "EK_ALGORITHM",
                    PublicAreaError::Template { .. } | PublicAreaError::Attributes { .. } => "EK_TEMPLATE",
                    _ => "EK_PARSE",
                }
            }
            Self::KeyMalformed { key: TpmKey::StorageRoot, error } => match error {
                PublicAreaError::EccKey
                | PublicAreaError::NotRsa { .. }
                | PublicAreaError::KeyBits { .. } => "SRK_ALGORITHM",
                PublicAreaError::Template { .. } | PublicAreaError::Attributes { .. } => "SRK_TEMPLATE",
                _ => "SRK_PARSE",
            },
            Self::StorageRootKeyMissing => "SRK_MISSING",
            Self::EndorsementKeyChanged { difference: KeyDifference::Modulus, .. } => "EK_CHANGED",
            Self::EndorsementKeyChanged { .. } => "EK_TEMPLATE",
            Self::ChallengeUnanswered => "TPM_CHALLENGE_UNANSWERED",
            Self::ChallengeExpired { .. } => "TPM_CHALLENGE_EXPIRED",
            Self::NotActivatedKey { .. } => "TPM_KEY_NOT_ACTIVATED",
            Self::NotWrapped { .. } => "TPM_KEY_NOT_WRAPPED",
        }
    }

    /// What the device gets: a key that cannot be read is a bad argument; all else is unauthorized.
    pub const fn public(&self) -> (ErrorCode, &'static str) {
        match self {
            Self::KeyMalformed { key: TpmKey::Endorsement, .. } => (ErrorCode::ArgumentInvalid, KEY_INVALID),
            Self::KeyMalformed { key: TpmKey::StorageRoot, .. } | Self::StorageRootKeyMissing => {
                (ErrorCode::ArgumentInvalid, STORAGE_ROOT_KEY_INVALID)
            }
            Self::EnrolledKeyMalformed { .. }
            | Self::EndorsementKeyChanged { .. }
            | Self::ChallengeUnanswered
            | Self::ChallengeExpired { .. }
            | Self::NotActivatedKey { .. } => (ErrorCode::Unauthorized, "Unauthorized"),
            Self::NotWrapped { error: ActivationError::KeyRefused(_) } => {
                (ErrorCode::ArgumentInvalid, KEY_INVALID)
            }
            Self::NotWrapped { .. } => (ErrorCode::Internal, ErrorCode::Internal.row().message),
        }
    }
}

impl std::fmt::Display for TpmReason {
    /// One sentence for the operator.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::KeyMalformed { key, error } => write!(f, "the device's {key} cannot be used: {error}"),
            Self::StorageRootKeyMissing => {
                f.write_str("the device sent no tpm.storageRootKey; a challenge is bound to it")
            }
            Self::EnrolledKeyMalformed { error } => {
                write!(f, "the enrollment's endorsement key cannot be used: {error}")
            }
            Self::EndorsementKeyChanged { presented, enrolled, difference } => {
                write!(
                    f,
                    "the device's endorsement key (name {presented}) is not the enrollment's (name {enrolled}): "
                )?;
                changed(f, *difference)
            }
            Self::ChallengeUnanswered => f.write_str("the device was challenged and has not answered yet"),
            Self::ChallengeExpired { by_seconds } => write!(
                f,
                "the device signed with the right key, but answered its challenge {by_seconds} s too late; it has \
                 {TPM_CHALLENGE_WINDOW} s at least, so look at how long its TPM takes"
            ),
            Self::NotActivatedKey { expired_by } => {
                f.write_str(
                    "the SAS token is not signed with the key of the device's open challenge: its TPM did not activate \
                     it, another key was used, or the answer was used already",
                )?;
                expired_by.map_or(Ok(()), |by| write!(f, "; the token is expired by {by} s besides"))
            }
            Self::NotWrapped { error } => write!(f, "no challenge could be made: {error}"),
        }
    }
}

fn changed(f: &mut std::fmt::Formatter<'_>, difference: KeyDifference) -> std::fmt::Result {
    match difference {
        KeyDifference::Modulus => f.write_str(
            "both have the same properties, so it is another TPM (a swapped board, a cleared or simulated TPM that made \
             a new seed), or one of them was created with an empty unique (as the SDKs do) and the other with 256 zero \
             bytes (as tpm2_createek does)",
        ),
        KeyDifference::Bits { presented, enrolled } => {
            write!(f, "it has {presented} bits, the enrolled one {enrolled}")
        }
        KeyDifference::Template { presented, enrolled } => write!(
            f,
            "it fits {}, the enrolled one {}: they were created from different templates",
            presented.as_str(),
            enrolled.as_str()
        ),
    }
}
