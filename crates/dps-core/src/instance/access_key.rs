//! Keys of shared access policies. Owns their rules and their making; must not know whose they are.

use dps_attestation::symmetric_key;
use dps_model::{Error, Secret, limits};

/// The key of that base64 text, or a new one.
pub fn access_key(text: Option<&str>) -> Result<Secret, Error> {
    match text {
        Some(text) => symmetric_key::read(text).map_err(|_| {
            Error::argument(format!(
                "must be base64 of {} to {} bytes, or left out to have a key made",
                limits::MIN_SYMMETRIC_KEY,
                limits::MAX_SYMMETRIC_KEY
            ))
        }),
        None => {
            symmetric_key::generate().map_err(|_| Error::internal("the system has no randomness to give"))
        }
    }
}
