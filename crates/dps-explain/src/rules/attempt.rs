//! A device's request. Owns which room of rules has the word; the rooms have the sentences.

use dps_events::{AttemptRecord, Candidate, Operation, Outcome};
use dps_model::registration::Status;
use dps_model::{RegistrationId, limits};

use super::{Findings, Told as _, sas, tpm, unknown, word, x509};
use crate::catalogue;
use crate::known::Known;

pub(super) fn explain(attempt: &AttemptRecord, known: &Known, findings: &mut Findings) {
    match &attempt.outcome {
        Outcome::Success => accepted(attempt, findings),
        Outcome::Challenged => {}
        Outcome::Abandoned => {
            findings.add("ABANDONED", "the device went away before it was answered");
        }
        Outcome::Failed { name, message, cause, .. } => {
            let told = cause.as_deref().unwrap_or(message);
            refused(attempt, known, name, told, findings);
        }
    }
}

fn refused(attempt: &AttemptRecord, known: &Known, name: &str, told: &str, findings: &mut Findings) {
    if attempt.instance.is_none() && name == "IdScopeNotFound" {
        return unknown::scope(attempt, known, findings);
    }
    match attempt.reason {
        // Each enrollment that was looked at says what it lacked.
        Some(_) if !attempt.candidates.is_empty() => candidates(attempt, known, findings),
        Some(reason) => single(attempt, known, reason, (name, told), findings),
        None => by_name(attempt, known, name, told, findings),
    }
}

/// The enrollment that came nearest to letting the device in comes first.
fn candidates(attempt: &AttemptRecord, known: &Known, findings: &mut Findings) {
    let mut tried: Vec<&Candidate> = attempt.candidates.iter().collect();
    tried.sort_by_key(|candidate| std::cmp::Reverse(x509::nearness(candidate.reason)));
    for candidate in tried {
        let sentence = format!("{}: {}", named(candidate), candidate.detail);
        match candidate.reason {
            "SAS_SIGNATURE_MISMATCH" => sas::signature(attempt, known, Some((candidate, sentence)), findings),
            "SAS_EXPIRED" => sas::expired(attempt, &sentence, findings),
            reason if reason.starts_with("X509_") => {
                x509::candidate(attempt, known, candidate, &sentence, findings);
            }
            reason
                if reason.starts_with("EK_") || reason.starts_with("SRK_") || reason.starts_with("TPM_") =>
            {
                tpm::reason(attempt, known, reason, &sentence, findings);
            }
            reason => {
                findings
                    .add(reason, sentence)
                    .fact(candidate.enrollment.kind, candidate.enrollment.id.clone());
            }
        }
    }
}

fn named(candidate: &Candidate) -> String {
    match candidate.enrollment.kind {
        "EnrollmentGroup" => format!("enrollment group {}", candidate.enrollment.id),
        _ => format!("individual enrollment {}", candidate.enrollment.id),
    }
}

/// A reason that no enrollment was asked for: the evidence itself is at fault, or where it came from.
fn single(
    attempt: &AttemptRecord,
    known: &Known,
    reason: &str,
    (name, told): (&str, &str),
    findings: &mut Findings,
) {
    match reason {
        "SAS_EXPIRED" => sas::expired(attempt, told, findings),
        reason if reason.starts_with("EK_") || reason.starts_with("SRK_") || reason.starts_with("TPM_") => {
            tpm::reason(attempt, known, reason, told, findings);
        }
        "IP_FILTER_REJECTED" | "PUBLIC_NETWORK_ACCESS_DISABLED" => {
            findings.add(reason, told).fact("address", attempt.peer.ip().to_string());
        }
        reason if catalogue::find(reason).is_some() => {
            findings.add(reason, told);
        }
        // Which limit it was, for example.
        reason => {
            by_name(attempt, known, name, told, findings);
            findings.last().fact("reason", reason);
        }
    }
}

fn by_name(attempt: &AttemptRecord, known: &Known, name: &str, told: &str, findings: &mut Findings) {
    match name {
        "Unauthorized" | "CertificateRejected" | "EnrollmentNotFound"
            if RegistrationId::parse(&attempt.registration_id).is_ok()
                && attempt.operation != Operation::Unrouted =>
        {
            unknown::device(attempt, known, told, findings);
        }
        "ArgumentInvalid" => argument(attempt, told, findings),
        _ => {
            let code = match name {
                "ApiVersionUnknown" => "API_VERSION_UNKNOWN",
                "BodyMalformed" => "BODY_MALFORMED",
                "BodyTooLarge" => "BODY_TOO_LARGE",
                "MediaTypeUnsupported" => "MEDIA_TYPE_UNSUPPORTED",
                "MethodNotAllowed" => "METHOD_NOT_ALLOWED",
                "RouteNotFound" => "ROUTE_NOT_FOUND",
                "RegistrationNotFound" => "REGISTRATION_NOT_FOUND",
                "OperationNotFound" => "OPERATION_NOT_FOUND",
                "RegistrationConflict" => "REGISTRATION_CONFLICT",
                "Throttled" => "THROTTLED",
                "QuotaExceeded" => "QUOTA_EXCEEDED",
                "Unavailable" => "SERVICE_UNAVAILABLE",
                "NoHubAvailable" => "NO_HUB_AVAILABLE",
                "HubNotFound" => "HUB_NOT_FOUND",
                "Unauthorized" | "CertificateRejected" => "EVIDENCE_MISSING",
                _ => "INTERNAL",
            };
            findings.add(code, told);
        }
    }
}

/// What breaks a rule: the registration id, where it does, else what the message names.
fn argument(attempt: &AttemptRecord, told: &str, findings: &mut Findings) {
    let id = attempt.registration_id.as_str();
    match RegistrationId::parse(id) {
        Err(_) if id.is_empty() || id.len() > limits::MAX_REGISTRATION_ID => {
            findings.add(
                "REGID_LENGTH",
                format!(
                    "the registration id has {} characters; it has 1 to {}",
                    id.len(),
                    limits::MAX_REGISTRATION_ID
                ),
            );
        }
        Err(why) => {
            findings.add("REGID_CHARSET", why.to_string()).fact("registrationId", id).command(
                "a name that is no registration id can be the device id on the hub, of an individual enrollment",
                format!("muster enrollment create --registration-id NEW-ID --device-id {} …", word(id)),
            );
        }
        Ok(_) if told.contains("differs") || told.contains("is not the") => {
            findings.add("REGID_MISMATCH", told).fact("registrationId", id);
        }
        Ok(_) => {
            findings.add("ARGUMENT_INVALID", told);
        }
    }
}

/// What is worth knowing of a device that was let in.
fn accepted(attempt: &AttemptRecord, findings: &mut Findings) {
    if attempt.operation != Operation::Register {
        return;
    }
    let Some(enrollment) = &attempt.enrollment else { return };
    if attempt.status == Some(Status::Disabled) {
        let (what, command) = match enrollment.kind {
            "EnrollmentGroup" => ("enrollment group", "enrollment-group update --enrollment-id"),
            _ => ("individual enrollment", "enrollment update --registration-id"),
        };
        findings
            .add("ENROLLMENT_DISABLED", format!("the {what} {} is disabled", enrollment.id))
            .fact(enrollment.kind, enrollment.id.clone())
            .command(
                "enable it",
                format!("muster {command} {} --provisioning-status enabled", word(&enrollment.id)),
            );
        return;
    }
    if attempt.slot == Some("secondary") && attempt.mechanism == Some("symmetricKey") {
        findings
            .add(
                "SAS_OTHER_KEY_SLOT",
                format!("the device signed with the secondary key of {}", enrollment.id),
            )
            .fact(enrollment.kind, enrollment.id.clone());
    }
    if enrollment.kind == "IndividualEnrollment"
        && enrollment.id != attempt.registration_id
        && enrollment.id.eq_ignore_ascii_case(&attempt.registration_id)
    {
        findings.add(
            "REGID_CASE",
            format!("the device calls itself {}, its enrollment {}", attempt.registration_id, enrollment.id),
        );
    }
    if !attempt.candidates.is_empty() {
        x509::matched(attempt, enrollment, findings);
    }
}
