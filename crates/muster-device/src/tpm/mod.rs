//! A TPM as the client uses it: keys to show, blobs to take in, texts to sign. Owns the trait that an application
//! implements for its chip, and SAS tokens signed through it; `chip` implements it for a TPM 2.0 whose commands are
//! `command`'s. Must not know who asks for a token.

mod chip;
mod code;
mod command;
mod frame;
mod tcti;

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use self::command::CommandError;
use crate::error::Error;
use crate::limits::{TPM_PAUSE, TPM_TRIES};

pub use self::chip::Tpm2;
pub use self::tcti::{InvalidTcti, Tcti};

/// RFC 3986 unreserved.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// RFC 4648's alphabet, in lower case.
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Why a TPM did not do it.
pub type TpmFailure = Box<dyn std::error::Error + Send + Sync>;

/// [`SecurityProviderTpm::sign`] fails with this when there is no key to sign with: the device registers and gets one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it holds no key of a hub; provisioning brings one")]
pub struct TpmKeyMissing;

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
    /// HMAC-SHA256 with the key that was activated last; [`TpmKeyMissing`] when none was.
    fn sign(&self, data: &[u8]) -> Result<Vec<u8>, TpmFailure>;
    /// Unwraps the activation blob of a challenge and signs with its key, once. A chip that can hold two keys leaves the
    /// hub's where it is, so that a registration which fails half way costs the device nothing; unless implemented, the
    /// challenge's key takes its place, as in Azure's SDKs.
    fn answer_challenge(&self, blob: &[u8], data: &[u8]) -> Result<Vec<u8>, TpmFailure> {
        self.activate_identity_key(blob)?;
        self.sign(data)
    }
}

/// The registration id of a device that was given none, as Azure's SDKs make it: SHA-256 of the endorsement key's
/// public area (`TPM2B_PUBLIC`) in base32, lower case, without padding.
pub fn default_registration_id(endorsement_key: &[u8]) -> String {
    let hash = digest(&SHA256, endorsement_key);
    let letter = |chunk: &[bool]| {
        let index =
            (0..5).fold(0, |index, at| index << 1 | usize::from(chunk.get(at).is_some_and(|bit| *bit)));
        char::from(BASE32[index])
    };
    let bits: Vec<bool> =
        hash.as_ref().iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect();
    bits.chunks(5).map(letter).collect()
}

/// Both public areas, base64, endorsement key first.
pub(crate) async fn keys(tpm: &Arc<dyn SecurityProviderTpm>) -> Result<(String, String), Error> {
    ask(tpm, "show its keys", |tpm| {
        Ok((STANDARD.encode(tpm.endorsement_key()?), STANDARD.encode(tpm.storage_root_key()?)))
    })
    .await
}

/// Has the TPM take in the hub's key, base64.
pub(crate) async fn activate(tpm: &Arc<dyn SecurityProviderTpm>, blob: &str) -> Result<(), Error> {
    let blob = blob_of(blob)?;
    ask(tpm, TAKE_IN, move |tpm| tpm.activate_identity_key(&blob)).await
}

/// A SAS token for the hub, signed by the TPM; `expiry` in Unix seconds.
pub(crate) async fn token(
    tpm: &Arc<dyn SecurityProviderTpm>,
    resource: &str,
    expiry: i64,
) -> Result<String, Error> {
    let text = Unsigned::new(resource, expiry, None);
    let signed = text.signed();
    let signature = ask(tpm, "sign", move |tpm| tpm.sign(signed.as_bytes())).await?;
    Ok(text.token(&signature))
}

/// A SAS token that answers a challenge: signed with the key in the blob, base64.
pub(crate) async fn answer(
    tpm: &Arc<dyn SecurityProviderTpm>,
    blob: &str,
    resource: &str,
    expiry: i64,
    policy: &str,
) -> Result<String, Error> {
    let blob = blob_of(blob)?;
    let text = Unsigned::new(resource, expiry, Some(policy));
    let signed = text.signed();
    let signature = ask(tpm, TAKE_IN, move |tpm| tpm.answer_challenge(&blob, signed.as_bytes())).await?;
    Ok(text.token(&signature))
}

const TAKE_IN: &str = "take in the key that the service sent";

fn blob_of(base64: &str) -> Result<Vec<u8>, Error> {
    STANDARD
        .decode(base64)
        .map_err(|_| Error::Protocol("the service's authentication key is not base64".into()))
}

/// A SAS token without its signature.
struct Unsigned {
    /// Encoded.
    resource: String,
    expiry: i64,
    /// The field, where there is one.
    policy: String,
}

impl Unsigned {
    fn new(resource: &str, expiry: i64, policy: Option<&str>) -> Self {
        let encoded = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
        let policy = policy.map(|policy| format!("&skn={}", encoded(policy)));
        Self { resource: encoded(resource), expiry, policy: policy.unwrap_or_default() }
    }

    fn signed(&self) -> String {
        format!("{}\n{}", self.resource, self.expiry)
    }

    fn token(&self, signature: &[u8]) -> String {
        let Self { resource, expiry, policy } = self;
        let signature = STANDARD.encode(signature);
        let signature = utf8_percent_encode(&signature, UNRESERVED);
        format!("SharedAccessSignature sr={resource}&sig={signature}&se={expiry}{policy}")
    }
}

/// Has the TPM do something, on a thread that may block; again from its beginning when the TPM is busy.
async fn ask<T: Send + 'static>(
    tpm: &Arc<dyn SecurityProviderTpm>,
    what: &'static str,
    work: impl Fn(&dyn SecurityProviderTpm) -> Result<T, TpmFailure> + Send + Sync + 'static,
) -> Result<T, Error> {
    let work = Arc::new(work);
    let mut tries = 0;
    loop {
        let (tpm, work) = (Arc::clone(tpm), Arc::clone(&work));
        // The failure is turned into words on that thread.
        let worked =
            tokio::task::spawn_blocking(move || work(&*tpm).map_err(|failure| told(what, &*failure))).await;
        let (error, busy) = match worked {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(failure)) => failure,
            Err(_) => (Error::Tpm(format!("the TPM did not {what}: it stopped half way")), false),
        };
        tries += 1;
        if !busy || tries >= TPM_TRIES {
            return Err(error);
        }
        tokio::time::sleep(TPM_PAUSE).await;
    }
}

/// A failure in words, and whether it passes.
fn told(what: &str, failure: &(dyn std::error::Error + Send + Sync + 'static)) -> (Error, bool) {
    let text = format!("the TPM did not {what}: {failure}");
    let busy = failure.downcast_ref().is_some_and(CommandError::is_busy);
    (if failure.is::<TpmKeyMissing>() { Error::TpmKeyMissing(text) } else { Error::Tpm(text) }, busy)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::code::ReturnCode;
    use super::*;

    /// Signs when it has been asked so often.
    struct Busy {
        code: u32,
        until: u32,
        asked: AtomicU32,
    }

    impl SecurityProviderTpm for Busy {
        fn endorsement_key(&self) -> Result<Vec<u8>, TpmFailure> {
            unreachable!("nobody asks")
        }

        fn storage_root_key(&self) -> Result<Vec<u8>, TpmFailure> {
            unreachable!("nobody asks")
        }

        fn activate_identity_key(&self, _blob: &[u8]) -> Result<(), TpmFailure> {
            unreachable!("nobody asks")
        }

        fn sign(&self, _data: &[u8]) -> Result<Vec<u8>, TpmFailure> {
            if self.asked.fetch_add(1, Ordering::Relaxed) < self.until {
                return Err(
                    CommandError::Refused { command: "TPM2_HMAC", code: ReturnCode(self.code) }.into()
                );
            }
            Ok(vec![1])
        }
    }

    async fn token_of(code: u32, until: u32) -> (Result<String, Error>, u32) {
        let busy = Arc::new(Busy { code, until, asked: AtomicU32::new(0) });
        let tpm: Arc<dyn SecurityProviderTpm> = busy.clone();
        let token = token(&tpm, "hub/devices/d", 1).await;
        (token, busy.asked.load(Ordering::Relaxed))
    }

    #[tokio::test(start_paused = true)]
    async fn busy_tpm_is_asked_again_and_not_for_ever() {
        let (token, asked) = token_of(0x922, 3).await;
        assert_eq!(token.unwrap(), "SharedAccessSignature sr=hub%2Fdevices%2Fd&sig=AQ%3D%3D&se=1");
        assert_eq!(asked, 4);
        let (error, asked) = token_of(0x90a, u32::MAX).await;
        assert_eq!(
            error.unwrap_err(),
            Error::Tpm(
                "the TPM did not sign: TPM2_HMAC gives TPM_RC_TESTING (0x90a): the TPM is busy: try again"
                    .into()
            )
        );
        assert_eq!(asked, TPM_TRIES);
        let (_, asked) = token_of(0x18b, u32::MAX).await;
        assert_eq!(asked, 1);
    }

    #[test]
    fn default_registration_id_is_base32_of_the_hash() {
        // Python: base64.b32encode(hashlib.sha256(b"abc").digest()).
        assert_eq!(default_registration_id(b"abc"), "xj4bnp4pahh6uqkbidpf3lrceoyagyndsylxvhfucd7wd4qacwwq");
    }
}
