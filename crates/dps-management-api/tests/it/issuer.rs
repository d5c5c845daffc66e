//! An identity provider whose tokens say which role their owner has, and where.

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use dps_access::{FetchError, IdentityProvider, KeyFetch, Role, RoleAssignment, Scope};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::bed::NOW;

const ISSUER: &str = "https://login.test";

/// Where roles hold, by what that is to the service `second`: in any case, and by whole segments.
pub const SCOPES: [(&str, &[&str]); 6] = [
    ("`/`", &["/"]),
    ("its subscription", &["/subscriptions/S-1"]),
    ("its resource group", &["/subscriptions/s-1/resourcegroups/FLEET"]),
    (
        "its id",
        &["/subscriptions/s-1/resourceGroups/fleet/providers/Microsoft.Devices/provisioningServices/second"],
    ),
    ("its name", &["Second"]),
    (
        "elsewhere",
        &[
            "/subscriptions/s",
            "/subscriptions/s-2",
            "/subscriptions/s-1/resourceGroups/fle",
            "/subscriptions/s-1/resourceGroups/muster",
            "/subscriptions/s-1/resourceGroups/fleet/providers/Microsoft.Devices/provisioningServices/dps",
            "dps",
            "fleet",
        ],
    ),
];

pub struct Issuer(EncodingKey);

impl Issuer {
    pub fn new() -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Self(EncodingKey::from_ec_der(key.as_ref()))
    }

    /// Whoever has `{role} on {scope}` among his claims has that role there.
    pub fn settings() -> IdentityProvider {
        let scopes = SCOPES.iter().flat_map(|(_, scopes)| *scopes);
        let assignments = scopes.flat_map(|scope| {
            Role::ALL.map(|role| RoleAssignment {
                claim: "roles".into(),
                value: held(role, scope),
                role,
                scope: Scope::parse(scope).unwrap(),
            })
        });
        IdentityProvider {
            jwks_url: Some(format!("{ISSUER}/keys")),
            role_assignments: assignments.collect(),
            ..IdentityProvider::new(ISSUER)
        }
    }

    pub fn claims(role: Role, scope: &str) -> Value {
        json!({
            "iss": ISSUER, "aud": "https://management.azure.com", "sub": "someone", "jti": "token-1",
            "roles": [held(role, scope)], "exp": NOW + 60,
        })
    }

    pub fn token(&self, role: Role, scope: &str) -> String {
        self.token_of(&Self::claims(role, scope))
    }

    pub fn token_of(&self, claims: &Value) -> String {
        let header = Header { kid: Some("key-1".into()), ..Header::new(Algorithm::ES256) };
        format!("Bearer {}", jsonwebtoken::encode(&header, claims, &self.0).unwrap())
    }
}

fn held(role: Role, scope: &str) -> String {
    format!("{} on {scope}", role.name())
}

#[async_trait]
impl KeyFetch for Issuer {
    async fn get(&self, _url: &str, _limit: usize) -> Result<Vec<u8>, FetchError> {
        let mut key = Jwk::from_encoding_key(&self.0, Algorithm::ES256).unwrap();
        key.common.key_id = Some("key-1".into());
        Ok(json!({ "keys": [key] }).to_string().into_bytes())
    }
}
