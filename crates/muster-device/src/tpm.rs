//! A TPM as the client uses it: keys to show, blobs to take in, texts to sign. Owns the trait that an application
//! implements for its chip, and SAS tokens signed through it. Must not know TPM commands, nor who asks for a token.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::Error;

/// RFC 3986 unreserved.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Why a TPM did not do it.
pub type TpmFailure = Box<dyn std::error::Error + Send + Sync>;

/// A TPM 2.0 with its endorsement key and storage root key, as Azure's SDKs name its uses. Calls may block; they are
/// made on a thread for that.
pub trait SecurityProviderTpm: Send + Sync + 'static {
    /// The endorsement key's public area: `TPM2B_PUBLIC`.
    fn endorsement_key(&self) -> Result<Vec<u8>, TpmFailure>;
    /// The storage root key's public area: `TPM2B_PUBLIC`.
    fn storage_root_key(&self) -> Result<Vec<u8>, TpmFailure>;
    /// Unwraps an activation blob (`ActivateCredential`, `Import`, `Load`) and keeps the HMAC key in it, over restarts
    /// too, in place of the one before.
    fn activate_identity_key(&self, blob: &[u8]) -> Result<(), TpmFailure>;
    /// HMAC-SHA256 with the key that was activated last.
    fn sign(&self, data: &[u8]) -> Result<Vec<u8>, TpmFailure>;
}

/// Both public areas, base64, endorsement key first.
pub(crate) async fn keys(tpm: &Arc<dyn SecurityProviderTpm>) -> Result<(String, String), Error> {
    ask(tpm, "show its keys", |tpm| {
        Ok((STANDARD.encode(tpm.endorsement_key()?), STANDARD.encode(tpm.storage_root_key()?)))
    })
    .await
}

/// Has the TPM take in a blob, base64.
pub(crate) async fn activate(tpm: &Arc<dyn SecurityProviderTpm>, blob: &str) -> Result<(), Error> {
    let blob = STANDARD
        .decode(blob)
        .map_err(|_| Error::Protocol("the service's authentication key is not base64".into()))?;
    ask(tpm, "take in the key that the service sent", move |tpm| tpm.activate_identity_key(&blob)).await
}

/// A SAS token signed by the TPM; `expiry` in Unix seconds.
pub(crate) async fn token(
    tpm: &Arc<dyn SecurityProviderTpm>,
    resource: &str,
    expiry: i64,
    policy: Option<&str>,
) -> Result<String, Error> {
    let resource = utf8_percent_encode(resource, UNRESERVED).to_string();
    let signed = format!("{resource}\n{expiry}");
    let signature = ask(tpm, "sign", move |tpm| tpm.sign(signed.as_bytes())).await?;
    let signature = STANDARD.encode(signature);
    let signature = utf8_percent_encode(&signature, UNRESERVED);
    let policy = policy.map(|policy| format!("&skn={}", utf8_percent_encode(policy, UNRESERVED)));
    Ok(format!(
        "SharedAccessSignature sr={resource}&sig={signature}&se={expiry}{}",
        policy.unwrap_or_default()
    ))
}

async fn ask<T: Send + 'static>(
    tpm: &Arc<dyn SecurityProviderTpm>,
    what: &'static str,
    work: impl FnOnce(&dyn SecurityProviderTpm) -> Result<T, TpmFailure> + Send + 'static,
) -> Result<T, Error> {
    let tpm = Arc::clone(tpm);
    // The failure is turned into words on that thread.
    let worked =
        tokio::task::spawn_blocking(move || work(&*tpm).map_err(|failure| failure.to_string())).await;
    worked
        .unwrap_or_else(|_| Err("it stopped half way".into()))
        .map_err(|reason| Error::Tpm(format!("the TPM did not {what}: {reason}")))
}
