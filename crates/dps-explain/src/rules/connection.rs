//! Connections that ended before there was a request: TLS by its alerts and errors, MQTT and AMQP by their first frames.

use dps_events::ConnectionRecord;

use super::{Findings, Told as _};

pub(super) fn explain(ended: &ConnectionRecord, findings: &mut Findings) {
    let reason = ended.reason.as_str();
    let code = match ended.stage {
        "handshake" => handshake(reason),
        "accept" => "CONNECTION_LIMIT",
        "fault" => "FAULT_INJECTED",
        "connect" if ended.protocol.as_str().starts_with("Mqtt") => "MQTT_CONNECT_REFUSED",
        "protocol" => "PROTOCOL_ERROR",
        _ => "CONNECTION_REFUSED",
    };
    let found = findings.add(code, reason).fact("protocol", ended.protocol.as_str());
    if let Some(claimed) = &ended.claimed {
        found.fact("claimed to be", claimed.clone());
    }
}

/// What the TLS library said, by the names that it has for alerts and errors.
fn handshake(reason: &str) -> &'static str {
    const ABOUT_CERTIFICATE: [&str; 6] = [
        "BadCertificate",
        "UnsupportedCertificate",
        "CertificateRevoked",
        "CertificateExpired",
        "CertificateUnknown",
        "UnrecognisedName",
    ];
    let alert = reason.split_once("fatal alert: ").map(|(_, alert)| alert);
    match alert {
        Some(alert) if alert.starts_with("UnknownCA") => "TLS_CLIENT_ALERT_UNKNOWN_CA",
        Some(alert) if ABOUT_CERTIFICATE.iter().any(|name| alert.starts_with(name)) => {
            "TLS_CLIENT_ALERT_CERTIFICATE"
        }
        Some(_) => "TLS_CLIENT_ALERT",
        None if reason.contains("did not end within") || reason.contains("stalled") => {
            "TLS_HANDSHAKE_TIMEOUT"
        }
        None if reason.contains("UnsupportedVersion")
            || reason.contains("SupportedVersionsExtensionRequired") =>
        {
            "TLS_VERSION"
        }
        None if reason.contains("NoCipherSuitesInCommon") || reason.contains("NoKxGroupsInCommon") => {
            "TLS_CIPHERS"
        }
        None if reason.contains("BadSignature") => "TLS_CLIENT_KEY",
        None if reason.contains("corrupt message") || reason.contains("InvalidContentType") => {
            "TLS_NOT_SPOKEN"
        }
        None => "TLS_HANDSHAKE_FAILED",
    }
}
