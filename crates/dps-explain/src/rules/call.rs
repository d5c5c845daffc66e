//! Calls of operators that were refused.

use dps_events::{ManagementCallRecord, Outcome, ServiceCallRecord};

use super::{Findings, Told as _};

pub(super) fn of_service(call: &ServiceCallRecord, findings: &mut Findings) {
    let Some((name, told)) = failed(&call.outcome) else { return };
    let found = findings.add(code(name, told), told);
    if let Some(etag) = call.etag.as_ref().filter(|_| name == "EtagMismatch") {
        found.fact("current etag", etag.clone());
    }
}

pub(super) fn of_management(call: &ManagementCallRecord, findings: &mut Findings) {
    let Some((name, told)) = failed(&call.outcome) else { return };
    let proof = call.operation.ends_with("certificates/verify/action") && name == "ArgumentInvalid";
    let code = match told {
        told if proof && (told.contains("its issuer is") || told.contains("its signature was not made")) => {
            "POP_WRONG_ISSUER"
        }
        told if proof && (told.contains("common name") || told.contains("verification code")) => {
            "POP_WRONG_CODE"
        }
        _ if proof => "POP_INVALID",
        told if told.starts_with("HUB_LINK_UNAUTHORIZED") => "HUB_LINK_UNAUTHORIZED",
        told => code(name, told),
    };
    let found = findings.add(code, told.trim_start_matches("HUB_LINK_UNAUTHORIZED: "));
    if let Some(resource) = &call.resource_id {
        found.fact("resource", resource.clone());
    }
}

fn failed(outcome: &Outcome) -> Option<(&'static str, &str)> {
    match outcome {
        Outcome::Failed { name, message, cause, .. } => Some((name, cause.as_deref().unwrap_or(message))),
        Outcome::Abandoned | Outcome::Success | Outcome::Challenged => None,
    }
}

fn code(name: &str, told: &str) -> &'static str {
    match name {
        "Unauthorized" if told.starts_with("RIGHT_MISSING") || told.starts_with("ROLE_MISSING") => {
            "CALLER_NOT_ALLOWED"
        }
        "Unauthorized" if told.starts_with("IP_FILTER_REJECTED") => "IP_FILTER_REJECTED",
        "Unauthorized" => "CALLER_NOT_AUTHENTICATED",
        "AuthorizationFailed" => "CALLER_NOT_ALLOWED",
        "EtagMismatch" => "ETAG_STALE",
        "EnrollmentExists" | "InstanceExists" => "EXISTS_ALREADY",
        "CertificateInUse" | "CaCertificateInUse" | "InstanceIsDefault" | "DiagnosticSettingConflict" => {
            "IN_USE"
        }
        "RouteNotFound" => "ROUTE_NOT_FOUND",
        name if name.ends_with("NotFound") => "NOT_FOUND",
        "ApiVersionUnknown" => "API_VERSION_UNKNOWN",
        "ArgumentInvalid" => "ARGUMENT_INVALID",
        "BodyMalformed" => "BODY_MALFORMED",
        "BodyTooLarge" => "BODY_TOO_LARGE",
        "MediaTypeUnsupported" => "MEDIA_TYPE_UNSUPPORTED",
        "MethodNotAllowed" => "METHOD_NOT_ALLOWED",
        "Throttled" => "THROTTLED",
        "QuotaExceeded" => "QUOTA_EXCEEDED",
        "Unavailable" | "QueryTooSlow" => "SERVICE_UNAVAILABLE",
        _ => "INTERNAL",
    }
}
