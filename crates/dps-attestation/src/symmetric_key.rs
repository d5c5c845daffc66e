//! Symmetric keys: read, made, derived, tried. Owns the rules of keys and the search for the group that a token
//! belongs to; must not know how groups are stored or how many are tried at a time.

use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_model::attestation::SymmetricKeys;
use dps_model::hub::HubAuthentication;
use dps_model::limits::{MAX_SYMMETRIC_KEY, MIN_SYMMETRIC_KEY};
use dps_model::{RegistrationId, Secret, Timestamp};

use crate::denial::Reason;
use crate::sas_token::SasToken;
use crate::{Attested, Slot, Subject};

/// `skn` of a device's token.
pub const KEY_NAME: &str = "registration";

/// Why a text is no symmetric key. Never holds a part of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No base64.
    #[error("it is not base64: {} at position {}", .what, .position + 1)]
    NotBase64 {
        /// What stands there.
        what: &'static str,
        /// Offset in the text.
        position: usize,
    },
    /// Too short or too long.
    #[error("it decodes to {length} bytes; {MIN_SYMMETRIC_KEY} to {MAX_SYMMETRIC_KEY} are allowed")]
    Length {
        /// Decoded length.
        length: usize,
    },
}

/// Reads a key: base64 of 16 to 64 bytes.
pub fn read(text: &str) -> Result<Secret, KeyError> {
    let bytes = STANDARD.decode(text.trim()).map_err(|error| not_base64(text, &error))?;
    let length = bytes.len();
    let key = Secret::new(bytes);
    if (MIN_SYMMETRIC_KEY..=MAX_SYMMETRIC_KEY).contains(&length) {
        Ok(key)
    } else {
        Err(KeyError::Length { length })
    }
}

fn not_base64(text: &str, error: &base64::DecodeError) -> KeyError {
    let (what, position) = match *error {
        base64::DecodeError::InvalidByte(position, b'-' | b'_') => {
            ("a character of the URL-safe alphabet", position)
        }
        base64::DecodeError::InvalidByte(position, byte) if byte.is_ascii_whitespace() => {
            ("white space", position)
        }
        base64::DecodeError::InvalidByte(position, _) => ("a character outside the alphabet", position),
        base64::DecodeError::InvalidLastSymbol { .. } => ("a cut-off end", text.trim().len()),
        _ => ("a length that is no multiple of 4", text.trim().len()),
    };
    KeyError::NotBase64 { what, position }
}

/// A new key of 64 random bytes, as Azure generates them.
///
/// # Errors
/// When the system has no randomness to give.
pub fn generate() -> Result<Secret, aws_lc_rs::error::Unspecified> {
    let mut bytes = vec![0; MAX_SYMMETRIC_KEY];
    rand::fill(&mut bytes)?;
    Ok(Secret::new(bytes))
}

/// A new pair of keys.
///
/// # Errors
/// When the system has no randomness to give.
pub fn generate_pair() -> Result<SymmetricKeys, aws_lc_rs::error::Unspecified> {
    Ok(SymmetricKeys { primary: generate()?, secondary: generate()? })
}

/// The key of one device of a group: HMAC-SHA256 of the registration id, spelt as the device spells it (facts: DPS
/// §3.1).
pub fn derive_device_key(group_key: &Secret, registration_id: &str) -> Secret {
    let key = hmac::Key::new(hmac::HMAC_SHA256, group_key.expose());
    Secret::new(hmac::sign(&key, registration_id.as_bytes()).as_ref().to_vec())
}

/// A group's key with the first half of its HMAC done.
#[derive(Clone)]
pub struct GroupKey(hmac::Key);

impl GroupKey {
    /// Does the part that is the same for every device.
    pub fn prepare(key: &Secret) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.expose()))
    }

    fn device_key(&self, spelling: &str) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&self.0, spelling.as_bytes()).as_ref())
    }
}

/// Both keys of a group, ready to be tried against many devices' tokens.
#[derive(Clone)]
pub struct GroupKeys {
    primary: GroupKey,
    secondary: GroupKey,
}

/// How a token matched a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupMatch {
    /// The key that it was derived from.
    pub slot: Slot,
    /// The device derived from the registration id in lower case, not as it spells it.
    pub lower_case: bool,
}

impl GroupKeys {
    /// Does the part that is the same for every device.
    pub fn prepare(keys: &SymmetricKeys) -> Self {
        Self { primary: GroupKey::prepare(&keys.primary), secondary: GroupKey::prepare(&keys.secondary) }
    }

    /// Did a device of this group make the token? Looks at the signature alone: neither at `sr` nor at `se`.
    pub fn matches(&self, token: &SasToken, registration_id: &RegistrationId) -> Option<GroupMatch> {
        let spelling = registration_id.as_str();
        let found = self.tried(token, spelling).map(|slot| GroupMatch { slot, lower_case: false });
        if found.is_some() || !spelling.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return found;
        }
        self.tried(token, &registration_id.key()).map(|slot| GroupMatch { slot, lower_case: true })
    }

    fn tried(&self, token: &SasToken, spelling: &str) -> Option<Slot> {
        if token.signed_with(&self.primary.device_key(spelling)) {
            Some(Slot::Primary)
        } else if token.signed_with(&self.secondary.device_key(spelling)) {
            Some(Slot::Secondary)
        } else {
            None
        }
    }
}

/// The keys of an individual enrollment made the token.
pub(crate) fn verify_individual(
    keys: &SymmetricKeys,
    token: &SasToken,
    subject: &Subject<'_>,
    now: Timestamp,
) -> Result<Attested, Reason> {
    token.for_device(subject.id_scope, subject.registration_id)?;
    let slot = token.check([&keys.primary, &keys.secondary], now)?;
    Ok(Attested::with_keys(slot, keys.primary.clone(), keys.secondary.clone(), false))
}

/// Keys derived from the group's made the token.
pub(crate) fn verify_group(
    keys: &SymmetricKeys,
    token: &SasToken,
    subject: &Subject<'_>,
    now: Timestamp,
) -> Result<Attested, Reason> {
    token.for_device(subject.id_scope, subject.registration_id)?;
    let Some(matched) = GroupKeys::prepare(keys).matches(token, subject.registration_id) else {
        return Err(Reason::SasSignatureMismatch { expired_by: token.expired_by(now) });
    };
    token.in_time(now)?;
    let lower = subject.registration_id.key();
    let spelling = if matched.lower_case { &lower } else { subject.registration_id.as_str() };
    let derived = |key| derive_device_key(key, spelling);
    Ok(Attested::with_keys(
        matched.slot,
        derived(&keys.primary),
        derived(&keys.secondary),
        matched.lower_case,
    ))
}

impl Attested {
    fn with_keys(slot: Slot, primary: Secret, secondary: Secret, lower_case: bool) -> Self {
        Self {
            authentication: HubAuthentication::Sas { primary, secondary },
            slot,
            kind: "symmetricKey",
            path: None,
            endorsement_key: None,
            lower_case_id: lower_case,
        }
    }
}
