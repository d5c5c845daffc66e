//! Challenges: a key that a device can only use if its TPM holds the endorsement key, and the check that it did.
//!
//! Nothing is stored. The key of a challenge is derived from a secret of the server and from everything that the
//! challenge is bound to: scope, registration id, both keys, the last answer that was accepted, and a window of time.
//! So any node that has the secret can check an answer, over restarts too; a stranger who asks for challenges in
//! another's name neither writes anything nor spoils a challenge under way; and an accepted answer, once recorded,
//! changes the key: no second request is let in by it. Must not know enrollments or protocols.

use aws_lc_rs::hmac;
use dps_model::limits::{TPM_CHALLENGE_WINDOW, TPM_CHALLENGE_WINDOWS_EXPLAINED};
use dps_model::{IdScope, RegistrationId, Secret, Timestamp};

use super::activation::{ActivationBlob, Random};
use super::public_area::PublicArea;
use super::reason::TpmReason;
use crate::denial::Reason;
use crate::sas_token::{SasToken, device_resource};

/// `keyName` of a challenge, which clients use as `skn`.
pub use crate::symmetric_key::KEY_NAME;

/// What a server derives the keys of its challenges from: at least 32 random bytes, the same on all nodes and over
/// restarts. A new one makes challenges under way fail, and nothing else.
pub struct ChallengeSecret(hmac::Key);

impl ChallengeSecret {
    /// Takes the secret bytes.
    pub fn new(bytes: &Secret) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes.expose()))
    }

    /// HMAC over the fields, each with its length before it, so that no two lists of fields read alike.
    fn derive(&self, fields: &[&[u8]]) -> Secret {
        let mut context = hmac::Context::with_key(&self.0);
        for field in fields {
            context.update(&(field.len() as u64).to_be_bytes());
            context.update(field);
        }
        Secret::new(context.sign().as_ref().to_vec())
    }
}

impl std::fmt::Debug for ChallengeSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChallengeSecret")
    }
}

/// What challenges are made and checked with.
#[derive(Clone, Copy, Debug)]
pub struct Challenger<'a> {
    /// The server's secret.
    pub secret: &'a ChallengeSecret,
    /// Names the last register request of this device that was admitted (its operation id), empty before the first.
    /// Whoever admits a request must change it in the same write: that is what makes an answer good for once.
    pub last_admitted: &'a str,
}

/// Everything else that a challenge is bound to.
#[derive(Clone, Copy)]
pub struct Binding<'a> {
    /// The provisioning service.
    pub id_scope: &'a IdScope,
    /// The device, whatever the case of its letters.
    pub registration_id: &'a RegistrationId,
    /// Who must have signed.
    pub endorsement_key: &'a PublicArea,
    /// Under which key it takes the challenge in.
    pub storage_root_key: &'a PublicArea,
}

/// A challenge, for a protocol to carry. `keyName` is [`KEY_NAME`].
#[derive(Clone, Debug)]
pub struct Challenge {
    /// What the TPM unwraps.
    pub blob: ActivationBlob,
    /// When an answer comes too late.
    pub expires: Timestamp,
}

impl Challenger<'_> {
    /// A challenge to the device. Two of them within one window hold the same key, wrapped anew.
    pub fn issue(
        &self,
        binding: &Binding<'_>,
        now: Timestamp,
        random: &mut Random<'_>,
    ) -> Result<Challenge, Reason> {
        let window = window(now);
        let blob = binding.wrap(&self.key(binding, window), random)?;
        Ok(Challenge { blob, expires: end(window) })
    }

    /// Did the TPM's key sign the token? Gives the key that did. The token's resource and its time are looked at
    /// too: resource, signature, expiry, as for symmetric keys.
    pub fn answer(
        &self,
        binding: &Binding<'_>,
        token: &SasToken,
        now: Timestamp,
    ) -> Result<AnsweredKey, Reason> {
        token.for_device(binding.id_scope, binding.registration_id)?;
        let window = window(now);
        let signed = |window: &i64| {
            let key = self.key(binding, *window);
            token.signed_with(&hmac::Key::new(hmac::HMAC_SHA256, key.expose())).then_some(key)
        };
        // The window to come: another node's clock may be ahead.
        if let Some(key) = [window, window - 1, window + 1].iter().find_map(signed) {
            token.in_time(now)?;
            return Ok(AnsweredKey(key));
        }
        let late =
            (window - TPM_CHALLENGE_WINDOWS_EXPLAINED..window - 1).rev().find(|at| signed(at).is_some());
        Err(match late {
            Some(late) => {
                let by_seconds = now.seconds().saturating_sub(end(late).seconds());
                TpmReason::ChallengeExpired { by_seconds }
            }
            None => TpmReason::NotActivatedKey { expired_by: token.expired_by(now) },
        }
        .into())
    }

    fn key(&self, binding: &Binding<'_>, window: i64) -> Secret {
        self.secret.derive(&[
            b"TPM challenge, version 1",
            binding.id_scope.as_str().as_bytes(),
            binding.registration_id.key().as_bytes(),
            &binding.endorsement_key.name(),
            &binding.storage_root_key.name(),
            self.last_admitted.as_bytes(),
            &window.to_be_bytes(),
        ])
    }

    /// The keys that the device's identity on its hub gets: new with every answer that is accepted, the same however
    /// often this one is looked at.
    pub(super) fn hub_keys(&self, answered: &AnsweredKey) -> (Secret, Secret) {
        let derive =
            |slot: &[u8]| self.secret.derive(&[b"TPM hub key, version 1", answered.0.expose(), slot]);
        (derive(b"primary"), derive(b"secondary"))
    }
}

/// The key of a challenge that was answered.
pub struct AnsweredKey(Secret);

impl Binding<'_> {
    /// A key for this device's TPM alone: of a challenge, or of the hub.
    pub fn wrap(&self, key: &Secret, random: &mut Random<'_>) -> Result<ActivationBlob, Reason> {
        let uri = device_resource(self.id_scope, self.registration_id);
        ActivationBlob::wrap(self.endorsement_key, self.storage_root_key, key, &uri, random)
            .map_err(|error| TpmReason::NotWrapped { error }.into())
    }
}

fn window(now: Timestamp) -> i64 {
    now.seconds().div_euclid(TPM_CHALLENGE_WINDOW)
}

/// A key serves its own window and the next.
fn end(window: i64) -> Timestamp {
    Timestamp::from_millis(window.saturating_add(2).saturating_mul(TPM_CHALLENGE_WINDOW).saturating_mul(1000))
}
