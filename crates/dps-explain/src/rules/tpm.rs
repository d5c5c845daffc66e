//! TPMs: endorsement keys that changed, that another device is enrolled with, that cannot be read.

use dps_events::AttemptRecord;

use super::{Findings, Told as _, word};
use crate::known::Known;

/// A reason about TPM keys or an answer.
pub(super) fn reason(
    attempt: &AttemptRecord,
    known: &Known,
    reason: &str,
    sentence: &str,
    findings: &mut Findings,
) {
    holders(attempt, known, findings);
    let found = findings.add(reason, sentence);
    let found = match &attempt.endorsement_key {
        Some(name) => found.fact("endorsement key", name.clone()),
        None => found,
    };
    let id = word(&attempt.registration_id);
    match reason {
        "EK_CHANGED" | "EK_TEMPLATE" => {
            found.command(
                "enroll the key that the device has now",
                format!("muster enrollment update --registration-id {id} --endorsement-key @EK"),
            );
        }
        "EK_BYTE_ORDER" | "EK_PARSE" => {
            found.command(
                "read the key from the TPM and look at what it is",
                "tpm2_readpublic -c 0x81010001 -f tss -o ek.pub && base64 -w0 ek.pub",
            );
        }
        _ => {}
    }
}

/// Who else is enrolled with the key that the device presents.
pub(super) fn holders(attempt: &AttemptRecord, known: &Known, findings: &mut Findings) {
    let Some(name) = &attempt.endorsement_key else { return };
    let other = |holder: &&String| !holder.eq_ignore_ascii_case(&attempt.registration_id);
    for holder in known.key_holders.iter().filter(other) {
        findings
            .add(
                "EK_ENROLLED_UNDER_OTHER_ID",
                format!("this TPM is enrolled as {holder}, the device calls itself {}", attempt.registration_id),
            )
            .fact("endorsement key", name.clone())
            .fact("enrolled as", holder.clone())
            .fix(format!("let the device register as {holder}"))
            .command(
                "or give the TPM to the new id",
                format!(
                    "muster enrollment delete --registration-id {} && muster enrollment create --registration-id {} \
                     --attestation-type tpm --endorsement-key @EK",
                    word(holder),
                    word(&attempt.registration_id)
                ),
            );
    }
}
