//! SAS tokens: wrong signatures by the mistakes that explain them, and times that are over.

use dps_attestation::SasMistake;
use dps_events::{AttemptRecord, Candidate};

use super::{Findings, Told as _, duration, word};
use crate::known::Known;

/// Before this second no clock of a device was ever right: 2015-01-01.
const FIRST_PLAUSIBLE: i64 = 1_420_070_400;
const YEAR: i64 = 365 * 86_400;
/// On a device with systemd.
const KEEP_TIME: &str = "timedatectl set-ntp true && timedatectl";

/// A signature that no key made: first the mistakes that make it, then the mismatch itself.
pub(super) fn signature(
    attempt: &AttemptRecord,
    known: &Known,
    candidate: Option<(&Candidate, String)>,
    findings: &mut Findings,
) {
    for found in &known.sas {
        let whose = found.group.as_ref().map_or_else(
            || "the device's individual enrollment".to_owned(),
            |group| format!("enrollment group {group}"),
        );
        findings
            .add(found.mistake.code(), format!("the SAS token fits {whose}, but {}", found.mistake))
            .fact("enrollment", found.group.as_deref().unwrap_or(&attempt.registration_id))
            .mended(attempt, found.group.as_deref(), found.mistake);
    }
    if is_explained(known) {
        return;
    }
    if let Some((candidate, sentence)) = candidate {
        let group = candidate.enrollment.kind == "EnrollmentGroup";
        let id = word(&attempt.registration_id);
        let key = if group {
            format!(
                "muster enrollment-group compute-device-key --enrollment-id {} --registration-id {id}",
                word(&candidate.enrollment.id)
            )
        } else {
            format!("muster enrollment show --registration-id {id} --show-keys")
        };
        findings
            .add("SAS_SIGNATURE_MISMATCH", sentence)
            .fact(candidate.enrollment.kind, candidate.enrollment.id.clone())
            .command("give the device this key", key);
    }
}

/// Is it proven what was done wrong? Then there is nothing else to suspect.
pub(super) fn is_explained(known: &Known) -> bool {
    !known.sas.is_empty()
}

trait Mended {
    fn mended(self, attempt: &AttemptRecord, group: Option<&str>, mistake: SasMistake) -> Self;
}

impl Mended for Option<&mut dps_events::Cause> {
    fn mended(self, attempt: &AttemptRecord, group: Option<&str>, mistake: SasMistake) -> Self {
        let id = word(&attempt.registration_id);
        match (mistake, group) {
            (
                SasMistake::GroupKeyUsed
                | SasMistake::DoubleDerived
                | SasMistake::DerivedForOtherCase
                | SasMistake::GroupKeyNotDecoded,
                Some(group),
            ) => {
                let shown = self.command(
                    "give the device this key, and let it use it as it is",
                    format!(
                        "muster enrollment-group compute-device-key --enrollment-id {} --registration-id {id}",
                        word(group)
                    ),
                );
                match mistake {
                    SasMistake::GroupKeyUsed | SasMistake::GroupKeyNotDecoded => shown.fix(
                        "roll the group's key when all its devices have keys of their own: it was on a device, where it \
                         does not belong",
                    ),
                    _ => shown,
                }
            }
            (SasMistake::DerivedFromIndividualKey, _) => self.command(
                "give the device this key as it is",
                format!("muster enrollment show --registration-id {id} --show-keys"),
            ),
            _ => self,
        }
    }
}

/// A token whose time is over, signed with the right key.
pub(super) fn expired(attempt: &AttemptRecord, told: &str, findings: &mut Findings) {
    let Some(sas) = &attempt.sas else {
        findings.add("SAS_EXPIRED", told);
        return;
    };
    let late = attempt.time.seconds().saturating_sub(sas.expiry);
    let expiry = sas.expiry.to_string();
    if sas.expiry < FIRST_PLAUSIBLE {
        findings
            .add(
                "CLOCK_1970",
                format!(
                    "the token ends {} after 1970-01-01: the device's clock was never set",
                    duration(sas.expiry)
                ),
            )
            .fact("se", expiry.clone())
            .command("set the device's clock before it registers, and keep it set", KEEP_TIME);
    }
    findings.add("SAS_EXPIRED", told).fact("se", expiry.clone()).fact("expired by", duration(late));
    if sas.expiry >= FIRST_PLAUSIBLE {
        findings
            .add(
                "CLOCK_SKEW",
                format!(
                    "if the device made this token just now, its clock is at least {} behind",
                    duration(late)
                ),
            )
            .fact("se", expiry)
            .fact("server time", attempt.time.to_string())
            .command("set the device's clock, and keep it set", KEEP_TIME);
    }
}

/// A token that ends absurdly late is worth a word beside what else is wrong.
pub(super) fn ahead(attempt: &AttemptRecord, findings: &mut Findings) {
    let Some(sas) = &attempt.sas else { return };
    let early = sas.expiry.saturating_sub(attempt.time.seconds());
    if early > YEAR {
        findings
            .add("CLOCK_AHEAD", format!("the token ends in {}", duration(early)))
            .fact("se", sas.expiry.to_string());
    }
}
