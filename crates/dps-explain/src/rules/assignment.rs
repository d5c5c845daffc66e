//! Operations that failed after attestation had passed.

use dps_events::{AssignmentRecord, Outcome};

use super::{Findings, Told as _, word};

pub(super) fn explain(assignment: &AssignmentRecord, findings: &mut Findings) {
    let Outcome::Failed { name, message, cause, .. } = &assignment.outcome else {
        return moved(assignment, findings);
    };
    let told = cause.as_deref().unwrap_or(message);
    let hub = assignment.hub.as_deref().unwrap_or("the hub");
    match *name {
        "HubUnauthorized" => {
            findings
                .add(
                    "HUB_LINK_UNAUTHORIZED",
                    format!("attestation passed, but {hub} refused the service's key: {}", said(told)),
                )
                .fact("hub", hub)
                .command(
                    "give the link its current connection string",
                    format!("muster linked-hub update --linked-hub {} --connection-string @FILE", word(hub)),
                )
                .fix("the policy of that connection string needs RegistryReadWrite and ServiceConnect");
        }
        "HubNotFound" => {
            findings
                .add("HUB_NOT_FOUND", format!("attestation passed, but {hub} cannot be found: {told}"))
                .fact("hub", hub)
                .command("look at the links", "muster linked-hub list");
        }
        "HubUnreachable" => {
            findings
                .add("HUB_UNREACHABLE", format!("attestation passed, but {hub} cannot be reached: {told}"))
                .fact("hub", hub)
                .fact("attempts", assignment.attempts.to_string());
        }
        "HubThrottled" => {
            findings
                .add("HUB_THROTTLED", format!("attestation passed, but {hub} throttles: {told}"))
                .fact("hub", hub);
        }
        "HubQuotaExceeded" => {
            findings
                .add("HUB_QUOTA_EXCEEDED", format!("attestation passed, but {hub} has no room: {told}"))
                .fact("hub", hub);
        }
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
