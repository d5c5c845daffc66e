//! Known mistakes behind a wrong signature. The server owns the keys, so it can sign the way a mistaken client would
//! and name the mistake that gives the same bytes. It works on what a record keeps of a token, so long after the
//! refusal and off its path; the device never learns of it.

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_model::attestation::SymmetricKeys;
use dps_model::{IdScope, RegistrationId, Secret};
use percent_encoding::percent_decode_str;

use crate::EnrollmentKind;
use crate::sas_token::device_resource;
use crate::symmetric_key::derive_device_key;

/// What is left of a refused token: what was signed, and the signature as its hash.
#[derive(Clone, Copy, Debug)]
pub struct RefusedToken<'a> {
    /// `sr` as it came.
    pub resource: &'a str,
    /// `se`.
    pub expiry: i64,
    /// SHA-256 of the signature, lower-case hex.
    pub signature_hash: &'a str,
    /// Where the device asked to be provisioned.
    pub id_scope: &'a IdScope,
    /// Who it said it is.
    pub registration_id: &'a RegistrationId,
}

/// A mistake that explains a SAS token's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SasMistake {
    /// Signed with the enrollment group's own key.
    GroupKeyUsed,
    /// Derived twice.
    DoubleDerived,
    /// Derived from the key of an individual enrollment, which is used as it is.
    DerivedFromIndividualKey,
    /// Derived for the registration id in other letters, upper or lower.
    DerivedForOtherCase,
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
            Self::DerivedForOtherCase => "SAS_DERIVED_FOR_OTHER_CASE",
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
            Self::DerivedForOtherCase => {
                "it is signed with a key derived for the registration id in other letters; derive it for the id as it is sent"
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

impl SasMistake {
    /// The mistake that makes this signature with a key of an enrollment of that kind.
    pub fn find(keys: &SymmetricKeys, kind: EnrollmentKind, token: &RefusedToken<'_>) -> Option<Self> {
        [&keys.primary, &keys.secondary].into_iter().find_map(|key| of_key(key, kind, token))
    }
}

fn of_key(key: &Secret, kind: EnrollmentKind, token: &RefusedToken<'_>) -> Option<SasMistake> {
    let id = token.registration_id.as_str();
    let text = |key: &Secret| Secret::from(STANDARD.encode(key.expose()));
    let derived = derive_device_key(key, id);
    let (right, wrong_keys) = match kind {
        EnrollmentKind::Individual => (
            key.clone(),
            vec![(derived, SasMistake::DerivedFromIndividualKey), (text(key), SasMistake::KeyNotDecoded)],
        ),
        EnrollmentKind::Group => {
            let mut wrong = vec![
                (key.clone(), SasMistake::GroupKeyUsed),
                (derive_device_key(&derived, id), SasMistake::DoubleDerived),
                (text(&derived), SasMistake::KeyNotDecoded),
                (derive_device_key(&text(key), id), SasMistake::GroupKeyNotDecoded),
                (text(key), SasMistake::GroupKeyUsed),
            ];
            let others = [id.to_ascii_lowercase(), id.to_ascii_uppercase()];
            for other in others.iter().filter(|other| *other != id) {
                wrong.push((derive_device_key(key, other), SasMistake::DerivedForOtherCase));
            }
            (derived, wrong)
        }
    };
    let usual = format!("{}\n{}", token.resource, token.expiry);
    let by_key = wrong_keys
        .into_iter()
        .find_map(|(key, mistake)| token.is(sign(&key, &usual).as_ref()).then_some(mistake));
    by_key.or_else(|| by_text(&right, &usual, token))
}

/// The right key, but another text or another spelling of the digest.
fn by_text(key: &Secret, usual: &str, token: &RefusedToken<'_>) -> Option<SasMistake> {
    let (sr, se) = (token.resource, token.expiry);
    let lower = hex::encode(sign(key, usual));
    let upper = lower.to_ascii_uppercase();
    // A client may send the hexadecimal text itself, which happens to be base64 too, or base64 of it.
    let hexadecimal = [lower, upper].iter().any(|text| {
        token.is(text.as_bytes()) || STANDARD.decode(text).is_ok_and(|read_so| token.is(&read_so))
    });
    if hexadecimal {
        return Some(SasMistake::HexDigest);
    }
    let signs = |text: &str| token.is(sign(key, text).as_ref());
    if signs(&format!("{sr}{se}")) {
        return Some(SasMistake::LineFeedMissing);
    }
    if signs(&format!("{sr}\n{se}\n")) {
        return Some(SasMistake::LineFeedAtEnd);
    }
    let plain = percent_decode_str(sr).decode_utf8_lossy().into_owned();
    let upper = plain.replace('/', "%2F").replace(':', "%3A");
    let lower = plain.replace('/', "%2f").replace(':', "%3a");
    let expected = device_resource(token.id_scope, token.registration_id);
    let other = [plain, upper, lower, expected];
    other
        .iter()
        .any(|text| text != sr && signs(&format!("{text}\n{se}")))
        .then_some(SasMistake::ResourceEscapedOtherwise)
}

fn sign(key: &Secret, text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.expose()), text.as_bytes())
}

impl RefusedToken<'_> {
    /// The refused signature is no secret: nothing accepts it.
    fn is(&self, signature: &[u8]) -> bool {
        hex::encode(digest::digest(&digest::SHA256, signature)) == self.signature_hash
    }
}
