//! An identity provider whose tokens name their owner's roles.

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use dps_access::{FetchError, IdentityProvider, KeyFetch, Role, RoleAssignment, Scope};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::bed::NOW;

const ISSUER: &str = "https://login.test";

pub struct Issuer(EncodingKey);

impl Issuer {
    pub fn new() -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Self(EncodingKey::from_ec_der(key.as_ref()))
    }

    /// Whoever has the name of a role among his claims has the role.
    pub fn settings() -> IdentityProvider {
        let assignment = |role: Role| RoleAssignment {
            claim: "roles".into(),
            value: role.name().into(),
            role,
            scope: Scope::Everything,
        };
        IdentityProvider {
            jwks_url: Some(format!("{ISSUER}/keys")),
            role_assignments: Role::ALL.map(assignment).into(),
            ..IdentityProvider::new(ISSUER)
        }
    }

    pub fn claims(role: Role) -> Value {
        json!({
            "iss": ISSUER, "aud": "https://azure-devices-provisioning.net", "sub": "someone",
            "jti": "token-1", "roles": [role.name()], "exp": NOW + 60,
        })
    }

    pub fn token(&self, role: Role) -> String {
        self.token_of(&Self::claims(role))
    }

    pub fn token_of(&self, claims: &Value) -> String {
        let header = Header { kid: Some("key-1".into()), ..Header::new(Algorithm::ES256) };
        format!("Bearer {}", jsonwebtoken::encode(&header, claims, &self.0).unwrap())
    }
}

#[async_trait]
impl KeyFetch for Issuer {
    async fn get(&self, _url: &str, _limit: usize) -> Result<Vec<u8>, FetchError> {
        let mut key = Jwk::from_encoding_key(&self.0, Algorithm::ES256).unwrap();
        key.common.key_id = Some("key-1".into());
        Ok(json!({ "keys": [key] }).to_string().into_bytes())
    }
}
