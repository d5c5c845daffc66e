//! An identity provider: its keys, the tokens that it signs, and how it hands out its key set.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dps_access::{
    AccessControl, FetchError, IdentityProvider, KeyFetch, Role, RoleAssignment, Scope, service_audiences,
};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::site::NOW;

pub const ISSUER: &str = "https://login.test/tenant/v2.0";
pub const KEYS_URL: &str = "https://login.test/keys";

pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A private key.
pub enum Key {
    Rsa(Box<RsaKeyPair>),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Key {
    pub fn rsa() -> Self {
        Self::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    pub fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub fn p384() -> Self {
        Self::P384(EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap())
    }

    pub fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::generate().unwrap())
    }

    /// Its public half as a member of a key set.
    pub fn jwk(&self, kid: &str) -> Value {
        let point = |curve: &str, key: &EcdsaKeyPair| {
            let (x, y) = key.public_key().as_ref()[1..].split_at((key.public_key().as_ref().len() - 1) / 2);
            json!({"kty": "EC", "crv": curve, "x": base64(x), "y": base64(y)})
        };
        let mut jwk = match self {
            Self::Rsa(key) => {
                let public = key.public_key();
                let (n, e) = (public.modulus().big_endian_without_leading_zero(), public.exponent());
                json!({"kty": "RSA", "n": base64(n), "e": base64(e.big_endian_without_leading_zero())})
            }
            Self::P256(key) => point("P-256", key),
            Self::P384(key) => point("P-384", key),
            Self::Ed25519(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": base64(key.public_key().as_ref())})
            }
        };
        jwk["kid"] = json!(kid);
        jwk["use"] = json!("sig");
        jwk
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let padding: &dyn signature::RsaEncoding = match algorithm {
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut made = vec![0; key.public_modulus_len()];
                key.sign(padding, &random, message, &mut made).unwrap();
                made
            }
            Self::P256(key) | Self::P384(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    /// A signed token.
    pub fn token(&self, header: &Value, claims: &Value) -> String {
        self.token_of(&header.to_string(), &claims.to_string())
    }

    /// A signed token of texts that may be anything.
    pub fn token_of(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", base64(header), base64(claims));
        let algorithm = serde_json::from_str::<Value>(header).unwrap_or_default();
        let made = self.sign(algorithm["alg"].as_str().unwrap_or_default(), signed.as_bytes());
        format!("{signed}.{}", base64(made))
    }
}

/// Claims of a good token for the service API.
pub fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": service_audiences(), "sub": "subject-1", "oid": "object-1", "jti": "token-1",
        "groups": ["operators", "others"], "roles": ["writer"], "iat": NOW, "nbf": NOW, "exp": NOW + 60,
    })
}

/// The same with another member.
pub fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

pub fn assignment(claim: &str, value: &str, role: Role, scope: &str) -> RoleAssignment {
    let scope = Scope::parse(scope).unwrap();
    RoleAssignment { claim: claim.into(), value: value.into(), role, scope }
}

/// The provider as an operator describes it: writers may do everything on the service API.
pub fn provider() -> IdentityProvider {
    IdentityProvider {
        jwks_url: Some(KEYS_URL.into()),
        role_assignments: vec![assignment("roles", "writer", Role::DataContributor, "/")],
        ..IdentityProvider::new(ISSUER)
    }
}

/// Documents by URL; counts what it is asked for.
#[derive(Default)]
pub struct Documents {
    by_url: Mutex<HashMap<String, Vec<u8>>>,
    asked: AtomicUsize,
    pub stalls: Mutex<Option<Arc<Notify>>>,
}

impl Documents {
    pub fn of_keys(keys: &[Value]) -> Arc<Self> {
        let this = Arc::new(Self::default());
        this.put(KEYS_URL, &json!({"keys": keys}));
        this
    }

    pub fn put(&self, url: &str, document: &Value) {
        self.by_url.lock().unwrap().insert(url.to_owned(), document.to_string().into_bytes());
    }

    pub fn clear(&self) {
        self.by_url.lock().unwrap().clear();
    }

    /// How often a document was asked for.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// From now on nothing is answered before that is notified.
    pub fn stall(&self) -> Arc<Notify> {
        let until = Arc::new(Notify::new());
        *self.stalls.lock().unwrap() = Some(Arc::clone(&until));
        until
    }

    pub fn access(self: &Arc<Self>, providers: Vec<IdentityProvider>) -> AccessControl {
        AccessControl::new(providers, &(Arc::clone(self) as Arc<dyn KeyFetch>))
    }
}

#[async_trait]
impl KeyFetch for Documents {
    async fn get(&self, url: &str, limit: usize) -> Result<Vec<u8>, FetchError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let stalls = self.stalls.lock().unwrap().clone();
        if let Some(until) = stalls {
            until.notified().await;
        }
        let document = self.by_url.lock().unwrap().get(url).cloned();
        let document = document.ok_or_else(|| FetchError::Unreachable("nobody is there".into()))?;
        if document.len() > limit { Err(FetchError::TooLarge(limit)) } else { Ok(document) }
    }
}
