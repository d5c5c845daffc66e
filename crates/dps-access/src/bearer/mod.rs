//! Bearer tokens: access tokens of OIDC providers. Owns their text, their claims and the keys that they are
//! checked with; must not know roles or what is called.

mod claims;
mod fetch;
mod keys;
mod provider;
mod token;

pub use claims::Claims;
pub use fetch::{FetchError, HttpKeys, KeyFetch, SetupError};
pub use keys::KeySet;
pub(crate) use provider::{KeysMissing, Provider};
pub use token::{BearerError, BearerToken};
