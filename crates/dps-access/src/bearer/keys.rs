//! A provider's keys (JWKS, RFC 7517). Owns which of them may have signed a token; must not know where they come from.

use std::collections::BTreeSet;

use dps_model::limits::{MAX_KEY_DOCUMENT, MAX_PROVIDER_KEYS};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use super::token;

/// The public keys of a provider that can sign tokens.
#[derive(Default)]
pub struct KeySet(Vec<Key>);

struct Key {
    id: Option<String>,
    /// The only algorithm that the provider uses it for, if it says so.
    algorithm: Option<String>,
    curve: Option<EllipticCurve>,
    public: DecodingKey,
}

/// Why a text is no key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no JSON object with a list of keys of at most {MAX_KEY_DOCUMENT} bytes")]
pub struct NoKeySet;

impl KeySet {
    /// Reads a key set. Keys that cannot sign tokens, or that we cannot read, are left out; symmetric ones are.
    pub fn parse(text: &[u8]) -> Result<Self, NoKeySet> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }
        if text.len() > MAX_KEY_DOCUMENT {
            return Err(NoKeySet);
        }
        let document: Document = serde_json::from_slice(text).map_err(|_| NoKeySet)?;
        Ok(Self(document.keys.into_iter().take(MAX_PROVIDER_KEYS).filter_map(Key::read).collect()))
    }

    /// The keys that may have signed with that algorithm: those of that id; without an id the only one there is.
    pub(super) fn fitting<'a>(
        &'a self,
        algorithm: Algorithm,
        id: Option<&'a str>,
    ) -> impl Iterator<Item = &'a DecodingKey> {
        let fits = move |key: &&Key| key.fits(algorithm) && (id.is_none() || key.id.as_deref() == id);
        let alone = id.is_some() || self.0.iter().filter(fits).nth(1).is_none();
        self.0.iter().filter(move |key| alone && fits(key)).map(|key| &key.public)
    }

    /// The ids of its keys.
    pub fn ids(&self) -> BTreeSet<&str> {
        self.0.iter().filter_map(|key| key.id.as_deref()).collect()
    }
}

impl Key {
    fn read(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let common = &jwk.common;
        let signs = common.public_key_use.as_ref().is_none_or(|used| *used == PublicKeyUse::Signature)
            && common.key_operations.as_ref().is_none_or(|all| all.contains(&KeyOperations::Verify));
        let curve = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => None,
            AlgorithmParameters::EllipticCurve(key) => Some(key.curve.clone()),
            AlgorithmParameters::OctetKeyPair(key) => Some(key.curve.clone()),
            _ => return None,
        };
        let public = DecodingKey::from_jwk(&jwk).ok().filter(|_| signs)?;
        let algorithm = common.key_algorithm.map(|algorithm| format!("{algorithm:?}"));
        Some(Self { id: common.key_id.clone(), algorithm, curve, public })
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        let curve = match algorithm {
            Algorithm::ES256 => Some(EllipticCurve::P256),
            Algorithm::ES384 => Some(EllipticCurve::P384),
            Algorithm::EdDSA => Some(EllipticCurve::Ed25519),
            _ => None,
        };
        self.public.family() == token::family(algorithm)
            && self.curve == curve
            && self.algorithm.as_ref().is_none_or(|own| *own == token::name(algorithm))
    }
}
