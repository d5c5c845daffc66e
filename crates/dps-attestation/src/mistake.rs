//! Known mistakes behind a wrong signature. The server owns the keys, so it can sign the way a mistaken client would
//! and name the mistake that gives the same bytes. Runs on refusals alone, for one enrollment; the device never
//! learns of it.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_model::Secret;
use dps_model::attestation::SymmetricKeys;
use percent_encoding::percent_decode_str;

use crate::denial::Reason;
use crate::sas_token::{SasToken, device_resource};
use crate::symmetric_key::derive_device_key;
use crate::{EnrollmentKind, Subject};

/// A mistake that explains a SAS token's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SasMistake {
    /// Signed with the enrollment group's own key.
    GroupKeyUsed,
    /// Derived twice.
    DoubleDerived,
    /// Derived from the key of an individual enrollment, which is used as it is.
    DerivedFromIndividualKey,
    /// The base64 text was used as the key.
    KeyNotDecoded,
    /// The group key's base64 text was used to derive.
    GroupKeyNotDecoded,
    /// The signature is the digest's hexadecimal text.
    HexDigest,
    /// No line feed between `sr` and `se`.
    LineFeedMissing,
    /// A line feed after `se`.
    LineFeedAtEnd,
    /// `sr` was signed in another escaping than it was sent in.
    ResourceEscapedOtherwise,
}

impl SasMistake {
    /// Stable name, as logs and explanations use it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::GroupKeyUsed => "SAS_GROUP_KEY_USED",
            Self::DoubleDerived => "SAS_DOUBLE_DERIVED",
            Self::DerivedFromIndividualKey => "SAS_DERIVED_FROM_INDIVIDUAL_KEY",
            Self::KeyNotDecoded => "SAS_KEY_NOT_DECODED",
            Self::GroupKeyNotDecoded => "SAS_GROUP_KEY_NOT_DECODED",
            Self::HexDigest => "SAS_HEX_DIGEST",
            Self::LineFeedMissing => "SAS_LINE_FEED_MISSING",
            Self::LineFeedAtEnd => "SAS_LINE_FEED_AT_END",
            Self::ResourceEscapedOtherwise => "SAS_SR_ENCODING",
        }
    }
}

impl std::fmt::Display for SasMistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::GroupKeyUsed => {
                "it is signed with the enrollment group's own key; derive the device's key from it first"
            }
            Self::DoubleDerived => "it is signed with a key that was derived twice; derive it once",
            Self::DerivedFromIndividualKey => {
                "it is signed with a key derived from the individual enrollment's key; use that key as it is"
            }
            Self::KeyNotDecoded => "it is signed with the key's base64 text; decode the key first",
            Self::GroupKeyNotDecoded => {
                "its key was derived with the group key's base64 text; decode the group key first"
            }
            Self::HexDigest => "its signature is hexadecimal text; it must be base64 of the digest's bytes",
            Self::LineFeedMissing => "its text was signed without the line feed between sr and se",
            Self::LineFeedAtEnd => "its text was signed with a line feed after se",
            Self::ResourceEscapedOtherwise => {
                "sr was signed in another escaping than it was sent in; sign the very text that is sent"
            }
        })
    }
}

/// Adds the mistake to a signature mismatch; every other reason stays as it is.
pub(crate) fn explained(
    reason: Reason,
    keys: &SymmetricKeys,
    token: &SasToken,
    subject: &Subject<'_>,
) -> Reason {
    match reason {
        Reason::SasSignatureMismatch { expired_by, .. } => Reason::SasSignatureMismatch {
            expired_by,
            mistake: [&keys.primary, &keys.secondary].into_iter().find_map(|key| find(key, token, subject)),
        },
        other => other,
    }
}

/// The mistake that makes this signature with this key of the enrollment.
fn find(key: &Secret, token: &SasToken, subject: &Subject<'_>) -> Option<SasMistake> {
    let id = subject.registration_id.as_str();
    let text = |key: &Secret| Secret::from(STANDARD.encode(key.expose()));
    let derived = derive_device_key(key, id);
    let (right, wrong_keys) = match subject.scope {
        EnrollmentKind::Individual => (
            key.clone(),
            vec![(derived, SasMistake::DerivedFromIndividualKey), (text(key), SasMistake::KeyNotDecoded)],
        ),
        EnrollmentKind::Group => {
            let wrong = vec![
                (key.clone(), SasMistake::GroupKeyUsed),
                (derive_device_key(&derived, id), SasMistake::DoubleDerived),
                (text(&derived), SasMistake::KeyNotDecoded),
                (derive_device_key(&text(key), id), SasMistake::GroupKeyNotDecoded),
            ];
            (derived, wrong)
        }
    };
    let by_key = wrong_keys.into_iter().find_map(|(key, mistake)| {
        token.signed_with(&hmac::Key::new(hmac::HMAC_SHA256, key.expose())).then_some(mistake)
    });
    by_key.or_else(|| by_text(&right, token, subject))
}

/// The right key, but another text or another spelling of the digest.
fn by_text(key: &Secret, token: &SasToken, subject: &Subject<'_>) -> Option<SasMistake> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
    let (sr, se) = (token.resource_text(), token.expiry_text());
    let signed = token.signature();
    let digest = hmac::sign(&key, format!("{sr}\n{se}").as_bytes());
    let hexadecimal = hex::encode(digest);
    // A client may send the hexadecimal text itself, which happens to be base64 too, or base64 of it.
    let hex_read_as_base64 = STANDARD.decode(&hexadecimal).is_ok_and(|bytes| signed.matches(&bytes));
    let upper_read_as_base64 =
        STANDARD.decode(hexadecimal.to_ascii_uppercase()).is_ok_and(|bytes| signed.matches(&bytes));
    if hex_read_as_base64
        || upper_read_as_base64
        || signed.matches(hexadecimal.as_bytes())
        || signed.matches(hexadecimal.to_ascii_uppercase().as_bytes())
    {
        return Some(SasMistake::HexDigest);
    }
    let signs = |text: &str| hmac::verify(&key, text.as_bytes(), signed.expose()).is_ok();
    if signs(&format!("{sr}{se}")) {
        return Some(SasMistake::LineFeedMissing);
    }
    if signs(&format!("{sr}\n{se}\n")) {
        return Some(SasMistake::LineFeedAtEnd);
    }
    let plain = percent_decode_str(sr).decode_utf8_lossy().into_owned();
    let upper = plain.replace('/', "%2F").replace(':', "%3A");
    let lower = plain.replace('/', "%2f").replace(':', "%3a");
    let expected = device_resource(subject.id_scope, subject.registration_id);
    let other = [plain, upper, lower, expected];
    other
        .iter()
        .any(|text| text != sr && signs(&format!("{text}\n{se}")))
        .then_some(SasMistake::ResourceEscapedOtherwise)
}
