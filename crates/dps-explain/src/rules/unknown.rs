//! What nobody knows: an id scope, a device. Owns how the nearest known thing is named.

use dps_events::AttemptRecord;

use super::{Findings, Told as _, sas, tpm, word, x509};
use crate::known::Known;

/// An id scope that is nobody's.
pub(super) fn scope(attempt: &AttemptRecord, known: &Known, findings: &mut Findings) {
    for near in known.scopes.iter().filter(|near| near.distance > 0) {
        findings
            .add(
                "ID_SCOPE_NEAR_MISS",
                format!("the device asked for id scope {}, this server has {}", attempt.id_scope, near.name),
            )
            .fact("asked for", attempt.id_scope.clone())
            .fact("nearest", near.name.clone())
            .fix(format!("give the device the id scope {}", near.name));
    }
    findings
        .add("ID_SCOPE_UNKNOWN", format!("no provisioning service has the id scope {}", attempt.id_scope))
        .fact("asked for", attempt.id_scope.clone())
        .command("the id scopes of this server", "muster instance list");
}

/// A device that no enrollment knows.
pub(super) fn device(attempt: &AttemptRecord, known: &Known, told: &str, findings: &mut Findings) {
    let id = attempt.registration_id.as_str();
    let nothing_shown =
        attempt.chain.is_empty() && attempt.sas.is_none() && attempt.endorsement_key.is_none();
    if nothing_shown {
        findings.add("EVIDENCE_MISSING", told);
    }
    sas::signature(attempt, known, None, findings);
    if sas::is_explained(known) {
        return sas::ahead(attempt, findings);
    }
    tpm::holders(attempt, known, findings);
    for service in &known.elsewhere {
        findings
            .add(
                "ENROLLMENT_IN_OTHER_SERVICE",
                format!(
                    "{id} is enrolled in the provisioning service {service}, the device asked {}",
                    asked(attempt)
                ),
            )
            .fact("provisioning service", service.clone())
            .command("its id scope", format!("muster instance show --name {}", word(service)));
    }
    x509::unknown(attempt, known, findings);
    for near in &known.near {
        findings
            .add("ENROLLMENT_NEAR_MISS", format!("nobody is enrolled as {id}, but {} is", near.name))
            .fact("nearest", near.name.clone())
            .fact("letters that differ", near.distance.to_string())
            .fix(format!("let the device register as {}", near.name));
    }
    if nothing_shown {
        return;
    }
    let mut fact = findings.add("ENROLLMENT_NOT_FOUND", told).fact("registrationId", id);
    if attempt.sas.is_some() && attempt.endorsement_key.is_none() {
        fact = fact.fact("symmetric-key groups tried", attempt.groups_tried.to_string());
    }
    fact.command("enroll it", enroll(attempt));
    sas::ahead(attempt, findings);
}

fn asked(attempt: &AttemptRecord) -> &str {
    attempt.instance.as_deref().unwrap_or(&attempt.id_scope)
}

/// The command that enrolls the device as it presents itself.
fn enroll(attempt: &AttemptRecord) -> String {
    let id = word(&attempt.registration_id);
    if attempt.endorsement_key.is_some() {
        format!(
            "muster enrollment create --registration-id {id} --attestation-type tpm --endorsement-key @EK"
        )
    } else if attempt.chain.is_empty() {
        format!("muster enrollment create --registration-id {id} --attestation-type symmetrickey")
    } else {
        format!(
            "muster enrollment create --registration-id {id} --attestation-type x509 --certificate-path LEAF.pem"
        )
    }
}
