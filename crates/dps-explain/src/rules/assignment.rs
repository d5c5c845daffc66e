//! Operations that failed after attestation had passed, and links that would make them fail.

use dps_events::{AssignmentRecord, Cause, LinkProbeRecord, Outcome};

use super::{Findings, Told as _, word};

pub(super) fn explain(assignment: &AssignmentRecord, findings: &mut Findings) {
    let Outcome::Failed { name, message, cause, .. } = &assignment.outcome else {
        return moved(assignment, findings);
    };
    let told = cause.as_deref().unwrap_or(message);
    let hub = assignment.hub.as_deref().unwrap_or("the hub");
    if let found @ Some(_) = at_hub(name, ("attestation passed, but ", hub, told), findings) {
        found.fact("attempts", assignment.attempts.to_string());
        return;
    }
    match *name {
        "ArgumentInvalid" => {
            findings
                .add(
                    "HUB_REFUSED_IDENTITY",
                    format!("attestation passed, but {hub} refused the identity: {told}"),
                )
                .fact("hub", hub)
                .fact(assignment.enrollment.kind, assignment.enrollment.id.clone());
        }
        "NoHubAvailable" => {
            findings
                .add("NO_HUB_AVAILABLE", format!("attestation passed, but {told}"))
                .command("look at the links and their weights", "muster linked-hub list");
        }
        name if name.starts_with("CustomAllocation") => webhook(assignment, name, told, findings),
        "RegistrationConflict" => {
            findings.add("REGISTRATION_CONFLICT", told);
        }
        "Unavailable" => {
            findings.add("SERVICE_UNAVAILABLE", told);
        }
        _ => {
            findings.add("INTERNAL", told);
        }
    }
}

/// What a hub said, out of the JSON that it says it in.
fn said(told: &str) -> String {
    let text = told.find('{').and_then(|at| serde_json::from_str::<serde_json::Value>(told.get(at..)?).ok());
    let message = text.as_ref().and_then(|it| it["Message"].as_str().or_else(|| it["message"].as_str()));
    message.map_or_else(
        || told.to_owned(),
        |message| message.trim_start_matches("ErrorCode:").replace(';', ": "),
    )
}

/// A linked hub that does not do what it is asked, whoever asks.
fn at_hub<'a>(
    name: &str,
    (before, hub, told): (&str, &str, &str),
    findings: &'a mut Findings,
) -> Option<&'a mut Cause> {
    let (code, does) = match name {
        "HubUnauthorized" => ("HUB_LINK_UNAUTHORIZED", "refused the service's key"),
        "HubNotFound" => ("HUB_NOT_FOUND", "cannot be found"),
        "HubUnreachable" => ("HUB_UNREACHABLE", "cannot be reached"),
        "HubThrottled" => ("HUB_THROTTLED", "throttles"),
        "HubQuotaExceeded" => ("HUB_QUOTA_EXCEEDED", "has no room"),
        _ => return None,
    };
    let told = if name == "HubUnauthorized" { said(told) } else { told.to_owned() };
    let found = findings.add(code, format!("{before}{hub} {does}: {told}")).fact("hub", hub);
    match name {
        "HubUnauthorized" => found
            .command(
                "give the link its current connection string",
                format!("muster linked-hub update --linked-hub {} --connection-string @FILE", word(hub)),
            )
            .fix("the policy of that connection string needs RegistryReadWrite and ServiceConnect"),
        "HubNotFound" => found.command("look at the links", "muster linked-hub list"),
        _ => found,
    }
}

/// A link that does not work, told before a device needs it.
pub(super) fn of_probe(probe: &LinkProbeRecord, findings: &mut Findings) {
    let Outcome::Failed { name, message, cause, .. } = &probe.outcome else { return };
    let told = cause.as_deref().unwrap_or(message);
    if at_hub(name, ("", &probe.hub, told), findings).is_none() {
        findings
            .add("HUB_UNREACHABLE", format!("the link of {} does not work: {told}", probe.hub))
            .fact("hub", probe.hub.clone());
    }
}

fn webhook(assignment: &AssignmentRecord, name: &str, told: &str, findings: &mut Findings) {
    let code = match name {
        "CustomAllocationUnauthorized" => "WEBHOOK_UNAUTHORIZED",
        "CustomAllocationHubNotSpecified" => "WEBHOOK_NAMED_NO_HUB",
        _ if told.contains("none of the linkedHubs") => "WEBHOOK_NAMED_UNKNOWN_HUB",
        _ if told.starts_with("no answer") || told.starts_with("the webhook is not asked") => {
            "WEBHOOK_UNREACHABLE"
        }
        _ => "WEBHOOK_FAILED",
    };
    let found = findings
        .add(code, format!("attestation passed, but {told}"))
        .fact(assignment.enrollment.kind, assignment.enrollment.id.clone());
    let found = match &assignment.webhook {
        Some(webhook) => found.fact("webhook", webhook.url.clone()).fact("calls", webhook.calls.to_string()),
        None => found,
    };
    if code == "WEBHOOK_UNAUTHORIZED" {
        let (group, option) = match assignment.enrollment.kind {
            "EnrollmentGroup" => ("enrollment-group update --enrollment-id", "--webhook-url @FILE"),
            _ => ("enrollment update --registration-id", "--webhook-url @FILE"),
        };
        found.command(
            "put the URL with ?code=… into a file",
            format!("muster {group} {} {option}", word(&assignment.enrollment.id)),
        );
    }
}

fn moved(assignment: &AssignmentRecord, findings: &mut Findings) {
    let (Some(from), Some(hub)) = (&assignment.moved_from, &assignment.hub) else { return };
    if assignment.outcome != Outcome::Success {
        return;
    }
    let twin = assignment.twin.unwrap_or("unknown");
    findings
        .add("REPROVISIONED", format!("moved from {from} to {hub}; its twin: {twin}"))
        .fact("from", from.clone())
        .fact("to", hub.clone())
        .fact("twin", twin);
}
