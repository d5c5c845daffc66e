//! The text of a bearer token: a signed JWT in its compact form, read but not yet believed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dps_model::limits::{MAX_BEARER_TOKEN, MAX_KEYS_TRIED};
use jsonwebtoken::{Algorithm, AlgorithmFamily, crypto};
use serde::Deserialize;

use super::claims::Claims;
use super::keys::KeySet;

/// Signatures that are checked: those with a public key. What anybody could sign who knows the public key (HS256 …),
/// and `none`, are not among them.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Why a text is no bearer token. Never holds a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BearerError {
    /// Longer than is read.
    #[error("it has {length} bytes, at most {MAX_BEARER_TOKEN} are read")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// Not three parts.
    #[error("it is no signed JWT: those have three parts with dots between them")]
    NotThreeParts,
    /// A part is not what it must be.
    #[error("its {part} is not base64url without padding")]
    NotBase64 {
        /// `header`, `claims` or `signature`.
        part: &'static str,
    },
    /// A part is not a JSON object, or has a member twice.
    #[error("its {part} is no JSON object of the expected shape with each member once")]
    NotJson {
        /// `header` or `claims`.
        part: &'static str,
    },
    /// The header wants something that we do not know (RFC 7515 §4.1.11).
    #[error("its header has critical extensions (crit)")]
    Critical,
    /// Another kind of token than an access token.
    #[error("its header says that it is no access token (typ)")]
    OtherType,
    /// It says nobody's name.
    #[error("it has no subject (sub, oid, appid, azp or client_id)")]
    NoSubject,
    /// A time is no time.
    #[error("its claim {claim} is no number of seconds")]
    NotSeconds {
        /// `exp` or `nbf`.
        claim: &'static str,
    },
    /// It would live for ever.
    #[error("it has no expiry (exp)")]
    NoExpiry,
    /// A signature that is not checked with a public key.
    #[error("its algorithm is none of those taken: RS*, PS*, ES256, ES384, EdDSA")]
    Algorithm,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<serde::de::IgnoredAny>,
}

/// A bearer token, read but not yet believed. Shows neither its claims nor its signature.
pub struct BearerToken<'a> {
    algorithm: Algorithm,
    key_id: Option<String>,
    signed: &'a str,
    signature: &'a str,
    claims: Claims,
    subject: String,
    expires: i64,
    not_before: Option<i64>,
}

impl<'a> BearerToken<'a> {
    /// Reads the text behind `Bearer`.
    pub fn parse(text: &'a str) -> Result<Self, BearerError> {
        if text.len() > MAX_BEARER_TOKEN {
            return Err(BearerError::TooLong { length: text.len() });
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(BearerError::NotThreeParts)?;
        let (header, claims) = signed.split_once('.').ok_or(BearerError::NotThreeParts)?;
        if claims.contains('.') {
            return Err(BearerError::NotThreeParts);
        }
        let header: Header = json(header, "header")?;
        bytes(signature, "signature")?;
        if header.crit.is_some() {
            return Err(BearerError::Critical);
        }
        if !header.typ.as_deref().is_none_or(is_access_token) {
            return Err(BearerError::OtherType);
        }
        let algorithm = ALGORITHMS.into_iter().find(|algorithm| name(*algorithm) == header.alg);
        let algorithm = algorithm.ok_or(BearerError::Algorithm)?;
        let claims: Claims = json(claims, "claims")?;
        let subject = claims.first_text(&["sub", "oid", "appid", "azp", "client_id"]);
        let subject = subject.ok_or(BearerError::NoSubject)?.to_owned();
        let seconds = |claim| claims.seconds(claim).map_err(|()| BearerError::NotSeconds { claim });
        let expires = seconds("exp")?.ok_or(BearerError::NoExpiry)?;
        let not_before = seconds("nbf")?;
        Ok(Self { algorithm, key_id: header.kid, signed, signature, claims, subject, expires, not_before })
    }

    /// Is it signed with one of these keys? A token without a key id is checked with the only key that fits.
    pub fn is_signed_with(&self, keys: &KeySet) -> bool {
        keys.fitting(self.algorithm, self.key_id()).take(MAX_KEYS_TRIED).any(|key| {
            crypto::verify(self.signature, self.signed.as_bytes(), key, self.algorithm).unwrap_or(false)
        })
    }

    /// Do these keys hold one that may have signed it?
    pub fn has_key_in(&self, keys: &KeySet) -> bool {
        keys.fitting(self.algorithm, self.key_id()).next().is_some()
    }

    /// `kid`.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// Whom it is about.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// `exp`, Unix seconds.
    pub fn expires(&self) -> i64 {
        self.expires
    }

    /// `nbf`, Unix seconds.
    pub fn not_before(&self) -> Option<i64> {
        self.not_before
    }

    /// Its claims.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }
}

/// The name of an algorithm in headers and keys.
pub(super) fn name(algorithm: Algorithm) -> String {
    format!("{algorithm:?}")
}

/// Is this a kind of signature that is checked with a public key of that family?
pub(super) fn family(algorithm: Algorithm) -> AlgorithmFamily {
    algorithm.family()
}

/// `JWT` of most providers, `at+jwt` of RFC 9068.
fn is_access_token(kind: &str) -> bool {
    ["JWT", "at+jwt", "application/at+jwt"].iter().any(|known| known.eq_ignore_ascii_case(kind))
}

fn bytes(text: &str, part: &'static str) -> Result<Vec<u8>, BearerError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| BearerError::NotBase64 { part })
}

fn json<T: for<'de> Deserialize<'de>>(text: &str, part: &'static str) -> Result<T, BearerError> {
    serde_json::from_slice(&bytes(text, part)?).map_err(|_| BearerError::NotJson { part })
}
