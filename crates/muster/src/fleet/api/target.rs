//! Where a service is, and what opens it. Must not know where that was read.

use dps_attestation::SasToken;
use dps_model::connection_string::ConnectionString;
use muster_device::{Clock as _, SystemClock};

use super::failure::Failure;
use super::sender::Sender;
use crate::fleet::limits::TOKEN_LIFETIME;

/// What opens a service. Neither is ever printed.
pub enum Credential {
    /// A shared access policy, whose tokens are made when they are needed.
    Policy(ConnectionString),
    /// A bearer token.
    Bearer(String),
}

/// A service, and what opens it.
pub struct Target {
    /// `https://host[:port]`, without a slash at the end.
    pub base: String,
    pub credential: Credential,
    /// PEM of certificates that are trusted besides the machine's.
    pub ca: Option<Vec<u8>>,
    /// What the credential was taken from, as a sentence can hold it.
    pub named: String,
}

impl Target {
    /// The client of this service.
    pub fn sender(&self) -> Result<Sender, Failure> {
        Sender::new(&self.base, self.ca.as_deref(), &self.named)
    }

    /// A value for `Authorization`.
    pub fn authorization(&self) -> String {
        match &self.credential {
            Credential::Bearer(token) => format!("Bearer {token}"),
            Credential::Policy(policy) => {
                let expiry = SystemClock.now().seconds() + TOKEN_LIFETIME;
                let resource = dps_access::without_port(&policy.host);
                SasToken::sign(resource, &policy.key, expiry, Some(&policy.policy))
            }
        }
    }
}
