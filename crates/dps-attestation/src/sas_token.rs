//! Shared access signatures: read, checked, made. Owns the text form and the signature; must not know whose keys they
//! are or which protocol carried the token.
//!
//! The signed text is `sr` exactly as sent, a line feed and `se`; clients differ in how they escape `sr` (facts:
//! wire-protocol.md §1), so what is signed and what is compared are two forms of it.

use std::fmt::Write as _;

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use dps_model::limits::{MAX_SAS_TOKEN, SAS_CLOCK_SKEW};
use dps_model::{IdScope, RegistrationId, Secret, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::denial::Reason;
use crate::{Slot, symmetric_key};

/// What `encodeURIComponent` leaves as it is, apart from `!'()*`: RFC 3986 unreserved.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// Some clients leave the padding away.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
const SCHEME: &str = "SharedAccessSignature";

/// Why a text is no SAS token. Never holds a part of the token but field names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SasError {
    /// Longer than is read.
    #[error("it has {length} bytes, at most {MAX_SAS_TOKEN} are read")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// A field is absent or empty.
    #[error("the field {field} is missing")]
    FieldMissing {
        /// `sr`, `sig` or `se`.
        field: &'static str,
    },
    /// A field stands twice.
    #[error("the field {field} stands more than once")]
    FieldRepeated {
        /// `sr`, `sig`, `se` or `skn`.
        field: &'static str,
    },
    /// A part between two `&` has no `=`.
    #[error("part {position} has no '='; a token is sr=…&sig=…&se=…")]
    PartWithoutValue {
        /// Counted from 1.
        position: usize,
    },
    /// `se` is no number of seconds.
    #[error("se is not a number of seconds since 1970-01-01T00:00:00Z")]
    ExpiryNotSeconds,
    /// `sr` or `skn` decodes to something that is no text.
    #[error("the field {field} is not percent-encoded UTF-8")]
    FieldNotText {
        /// `sr` or `skn`.
        field: &'static str,
    },
    /// `sig` is no base64.
    #[error("sig is not percent-encoded base64")]
    SignatureNotBase64,
}

/// A SAS token, read but not yet believed. Shows everything but its signature.
#[derive(Clone)]
pub struct SasToken {
    /// `sr` and `se` as sent, joined as they were signed.
    signed: String,
    resource_length: usize,
    resource: String,
    signature: Secret,
    expiry: i64,
    policy: Option<String>,
}

impl std::fmt::Debug for SasToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SasToken")
            .field("resource", &self.resource)
            .field("expiry", &self.expiry)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Fields<'a> {
    resource: Option<&'a str>,
    signature: Option<&'a str>,
    expiry: Option<&'a str>,
    policy: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn split(text: &'a str) -> Result<Self, SasError> {
        let mut fields = Self::default();
        for (index, part) in text.split('&').enumerate() {
            let part = part.trim();
            if part.is_empty() {
                continue;
            }
            let (name, value) =
                part.split_once('=').ok_or(SasError::PartWithoutValue { position: index + 1 })?;
            let (slot, field) = match name {
                "sr" => (&mut fields.resource, "sr"),
                "sig" => (&mut fields.signature, "sig"),
                "se" => (&mut fields.expiry, "se"),
                "skn" => (&mut fields.policy, "skn"),
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(SasError::FieldRepeated { field });
            }
        }
        Ok(fields)
    }
}

fn required<'a>(value: Option<&'a str>, field: &'static str) -> Result<&'a str, SasError> {
    value.filter(|text| !text.is_empty()).ok_or(SasError::FieldMissing { field })
}

fn decoded(value: &str, field: &'static str) -> Result<String, SasError> {
    let text = percent_decode_str(value).decode_utf8().map_err(|_| SasError::FieldNotText { field })?;
    Ok(text.into_owned())
}

impl SasToken {
    /// Reads a token, with or without the scheme before it. Fields may stand in any order, unknown ones are ignored.
    pub fn parse(text: &str) -> Result<Self, SasError> {
        if text.len() > MAX_SAS_TOKEN {
            return Err(SasError::TooLong { length: text.len() });
        }
        let fields = Fields::split(without_scheme(text.trim()))?;
        let resource_text = required(fields.resource, "sr")?;
        let signature = required(fields.signature, "sig")?;
        let expiry_text = required(fields.expiry, "se")?;
        if !expiry_text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(SasError::ExpiryNotSeconds);
        }
        let expiry = expiry_text.parse().map_err(|_| SasError::ExpiryNotSeconds)?;
        let signature: Vec<u8> = percent_decode_str(signature).collect();
        let signature = LENIENT.decode(signature).map_err(|_| SasError::SignatureNotBase64)?;
        let policy = fields.policy.filter(|text| !text.is_empty()).map(|text| decoded(text, "skn"));
        Ok(Self {
            signed: format!("{resource_text}\n{expiry_text}"),
            resource_length: resource_text.len(),
            resource: decoded(resource_text, "sr")?,
            signature: Secret::new(signature),
            expiry,
            policy: policy.transpose()?,
        })
    }

    /// Makes a token over `resource`, valid until `expiry` (Unix seconds). `key` is the decoded key.
    pub fn sign(resource: &str, key: &Secret, expiry: i64, policy: Option<&str>) -> String {
        let resource = utf8_percent_encode(resource, UNRESERVED).to_string();
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
        let tag = hmac::sign(&key, format!("{resource}\n{expiry}").as_bytes());
        let signature = base64::engine::general_purpose::STANDARD.encode(tag);
        let signature = utf8_percent_encode(&signature, UNRESERVED);
        let mut token = format!("{SCHEME} sr={resource}&sig={signature}&se={expiry}");
        if let Some(policy) = policy {
            // Writing to a String cannot fail.
            let _ = write!(token, "&skn={}", utf8_percent_encode(policy, UNRESERVED));
        }
        token
    }

    /// `sr`, decoded.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// `sr` as it was sent, and as it was signed.
    pub fn resource_text(&self) -> &str {
        self.signed.get(..self.resource_length).unwrap_or_default()
    }

    /// `se`: Unix seconds.
    pub fn expiry(&self) -> i64 {
        self.expiry
    }

    /// `skn`, decoded; an empty one counts as absent.
    pub fn policy(&self) -> Option<&str> {
        self.policy.as_deref()
    }

    /// SHA-256 of the signature, lower-case hex: recognises the same token in two records without keeping it.
    pub fn signature_hash(&self) -> String {
        hex::encode(digest::digest(&digest::SHA256, self.signature.expose()))
    }

    /// Is the token for exactly this resource? Compared without regard to case.
    pub fn resource_is(&self, expected: &str) -> bool {
        self.resource.eq_ignore_ascii_case(expected)
    }

    /// Is the token for this resource or for something above it? `sr` must be a prefix that ends at a `/`.
    pub fn resource_covers(&self, target: &str) -> bool {
        let prefix = self.resource.trim_end_matches('/');
        let Some((head, tail)) = target.as_bytes().split_at_checked(prefix.len()) else { return false };
        !prefix.is_empty()
            && head.eq_ignore_ascii_case(prefix.as_bytes())
            && (tail.is_empty() || tail.starts_with(b"/"))
    }

    /// Which of the keys made the token? Signature first, then expiry, so that an expiry is only told of a token that
    /// is otherwise right. The resource is the caller's to check.
    pub fn check(&self, keys: [&Secret; 2], now: Timestamp) -> Result<Slot, Reason> {
        let [primary, secondary] = keys.map(|key| hmac::Key::new(hmac::HMAC_SHA256, key.expose()));
        let slot = if self.signed_with(&primary) {
            Slot::Primary
        } else if self.signed_with(&secondary) {
            Slot::Secondary
        } else {
            return Err(Reason::SasSignatureMismatch { expired_by: self.expired_by(now) });
        };
        self.in_time(now).map(|()| slot)
    }

    /// Compares in constant time.
    pub(crate) fn signed_with(&self, key: &hmac::Key) -> bool {
        hmac::verify(key, self.signed.as_bytes(), self.signature.expose()).is_ok()
    }

    /// The token's time is not over, with the clock difference that is forgiven.
    pub(crate) fn in_time(&self, now: Timestamp) -> Result<(), Reason> {
        match self.expired_by(now) {
            None => Ok(()),
            Some(by_seconds) => Err(Reason::SasExpired { expired_at: self.expiry, by_seconds }),
        }
    }

    pub(crate) fn expired_by(&self, now: Timestamp) -> Option<i64> {
        let by = now.seconds().saturating_sub(self.expiry);
        (by > SAS_CLOCK_SKEW).then_some(by)
    }

    /// The token is for this device of this provisioning service.
    pub(crate) fn for_device(&self, scope: &IdScope, id: &RegistrationId) -> Result<(), Reason> {
        let expected = device_resource(scope, id);
        if self.resource_is(&expected) {
            return Ok(());
        }
        Err(Reason::SasResourceMismatch { presented: self.resource.clone(), expected })
    }
}

/// `sr` of a device's token, before it is escaped.
pub fn device_resource(id_scope: &IdScope, registration_id: &RegistrationId) -> String {
    format!("{id_scope}/registrations/{registration_id}")
}

fn without_scheme(text: &str) -> &str {
    let Some((head, tail)) = text.split_at_checked(SCHEME.len()) else { return text };
    if head.eq_ignore_ascii_case(SCHEME) && tail.starts_with(|c: char| c.is_ascii_whitespace()) {
        tail.trim_start()
    } else {
        text
    }
}

/// The token that a client of the device API sends: `derive` has been done already where the enrollment is a group.
pub fn sign_for_device(
    id_scope: &IdScope,
    registration_id: &RegistrationId,
    key: &Secret,
    expiry: i64,
) -> String {
    SasToken::sign(&device_resource(id_scope, registration_id), key, expiry, Some(symmetric_key::KEY_NAME))
}
