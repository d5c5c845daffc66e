//! TPM 2.0 attestation: the device's TPM must hold the enrolled endorsement key. Owns the rules and the verdict; the
//! structures are in `public_area`, the wrapping in `activation`, the challenge in `challenge`. Pure but for
//! randomness. Must not know which protocol carries a challenge, nor how the answer comes back.

pub mod activation;
pub mod challenge;
pub mod public_area;
pub mod reason;

mod hash;

use dps_model::hub::HubAuthentication;
use dps_model::registration::TpmKeys;
use dps_model::{Secret, Timestamp};

pub use activation::{ActivationBlob, system_random};
pub use challenge::{Binding, Challenge, ChallengeSecret, Challenger, KEY_NAME};
pub use public_area::{ByteOrder, PublicArea, PublicAreaError, Template};
pub use reason::{KeyDifference, TpmKey, TpmReason};

use crate::denial::{Denial, Reason};
use crate::sas_token::SasToken;
use crate::{Attested, Subject, Verdict};

/// What a device with a TPM shows: its keys, and once it was challenged a token.
#[derive(Clone, Debug)]
pub struct TpmEvidence {
    /// Who it is.
    pub endorsement_key: PublicArea,
    /// Under which key it takes challenges in. Not part of the enrollment: any key will do that stays in the TPM.
    pub storage_root_key: Option<PublicArea>,
    /// The answer to a challenge.
    pub sas: Option<SasToken>,
}

impl TpmEvidence {
    /// Reads the keys of a register body, or those that a protocol was given before.
    pub fn read(keys: &TpmKeys, sas: Option<SasToken>) -> Result<Self, Denial> {
        let read = |key: TpmKey, text: &str| {
            PublicArea::read(text).map_err(|error| Reason::from(TpmReason::KeyMalformed { key, error }))
        };
        let storage_root_key = keys.storage_root_key.as_deref().filter(|text| !text.trim().is_empty());
        Ok(Self {
            endorsement_key: read(TpmKey::Endorsement, &keys.endorsement_key)?,
            storage_root_key: storage_root_key.map(|text| read(TpmKey::StorageRoot, text)).transpose()?,
            sas,
        })
    }

    /// Wraps the primary key of the hub identity for the TPM: `tpm.authenticationKey` of an assigned registration.
    pub fn wrap_hub_key(&self, subject: &Subject<'_>, key: &Secret) -> Result<ActivationBlob, Denial> {
        Ok(self.binding(subject)?.wrap(key, &mut system_random)?)
    }

    fn binding<'a>(&'a self, subject: &Subject<'a>) -> Result<Binding<'a>, Reason> {
        let storage_root_key = self.storage_root_key.as_ref().ok_or(TpmReason::StorageRootKeyMissing)?;
        Ok(Binding {
            id_scope: subject.id_scope,
            registration_id: subject.registration_id,
            endorsement_key: &self.endorsement_key,
            storage_root_key,
        })
    }
}

/// What is known of the endorsement key that proved a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndorsementKey {
    /// Its name, hex.
    pub name: String,
    /// The template that its properties fit.
    pub template: Template,
    /// In which byte order the enrollment holds it.
    pub enrolled_order: ByteOrder,
}

/// The text under which an enrollment's endorsement key can be found, whatever its spelling: by it a key that is
/// enrolled under another registration id is told (a swapped board). One key may stand in many enrollments.
pub fn endorsement_key_lookup(keys: &TpmKeys) -> Option<String> {
    PublicArea::read(&keys.endorsement_key).ok().map(|key| key_lookup(&key))
}

/// The same for a key that a device presents.
pub fn key_lookup(key: &PublicArea) -> String {
    name_lookup(&key.name_hex())
}

/// The same for a key whose name (hex) alone is known.
pub fn name_lookup(name: &str) -> String {
    format!("ek:{name}")
}

/// The enrolled key is the device's; then a challenge, or the check of its answer.
pub(crate) fn verify(
    enrolled: &TpmKeys,
    shown: &TpmEvidence,
    subject: &Subject<'_>,
    now: Timestamp,
) -> Result<Verdict, Reason> {
    let enrolled = PublicArea::read(&enrolled.endorsement_key)
        .map_err(|error| TpmReason::EnrolledKeyMalformed { error })?;
    let presented = &shown.endorsement_key;
    if *presented != enrolled {
        return Err(TpmReason::EndorsementKeyChanged {
            presented: presented.name_hex().into(),
            enrolled: enrolled.name_hex().into(),
            difference: KeyDifference::between(presented, &enrolled),
        }
        .into());
    }
    let Some(challenger) = subject.challenger else {
        return Err(Reason::MechanismUnavailable { mechanism: "tpm" });
    };
    let binding = shown.binding(subject)?;
    let Some(token) = &shown.sas else {
        return challenger.issue(&binding, now, &mut system_random).map(Verdict::Challenge);
    };
    let answered = challenger.answer(&binding, token, now)?;
    let (primary, secondary) = challenger.hub_keys(&answered);
    Ok(Verdict::Attested(Attested::with_tpm(
        HubAuthentication::Sas { primary, secondary },
        EndorsementKey {
            name: enrolled.name_hex(),
            template: enrolled.template(),
            enrolled_order: enrolled.byte_order(),
        },
    )))
}
