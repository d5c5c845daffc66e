//! Connections that ended before there was a request: TLS by its alerts and errors, MQTT and AMQP by their first frames.

use dps_events::{ConnectionRecord, HandshakeRecord, HubDeviceName};

use super::{Findings, Told as _, word};

pub(super) fn explain(ended: &ConnectionRecord, findings: &mut Findings) {
    let reason = ended.reason.as_str();
    if let Some(device) = ended.hub_device.as_ref().filter(|_| ended.stage == "connect") {
        return refused_by_hub(ended, device, findings);
    }
    let code = match ended.stage {
        "handshake" => handshake(reason, ended.handshake.as_deref()),
        "accept" => "CONNECTION_LIMIT",
        "fault" => "FAULT_INJECTED",
        "connect" if ended.protocol.as_str().starts_with("Mqtt") => "MQTT_CONNECT_REFUSED",
        "protocol" => "PROTOCOL_ERROR",
        _ => "CONNECTION_REFUSED",
    };
    let mut found =
        findings.add(code, sentence(code, reason, ended)).fact("protocol", ended.protocol.as_str());
    if let Some(claimed) = &ended.claimed {
        found = found.fact("claimed to be", claimed.clone());
    }
    let Some(handshake) = &ended.handshake else { return };
    if let Some(alert) = &handshake.alert {
        found = found.fact("alert", alert.clone());
    }
    if let Some(name) = &handshake.sni {
        found = found.fact("server name asked for", name.clone());
    }
    if let Some(served) = &handshake.served {
        found =
            found.fact("certificate served", served.subject.clone()).fact("issued by", served.issuer.clone());
    }
    if !handshake.offered.is_empty() {
        found = found.fact("versions offered", handshake.offered.join(", "));
    }
    if code == "TLS_CLIENT_ALERT_UNKNOWN_CA" {
        found
            .fix(format!(
                "install the root certificate of {} on the device; of muster dev that is ca.pem in its data directory",
                issuer(handshake).unwrap_or("this server")
            ))
            .command(
                "look from where the device is, with the roots that it has",
                format!("muster doctor --host {} --ca ROOTS.pem", word(handshake.sni.as_deref().unwrap_or("HOST"))),
            );
    }
}

fn issuer(handshake: &HandshakeRecord) -> Option<&str> {
    handshake.served.as_ref().map(|served| served.issuer.as_str())
}

fn sentence(code: &str, reason: &str, ended: &ConnectionRecord) -> String {
    match ended.handshake.as_deref().and_then(issuer) {
        Some(issuer) if code == "TLS_CLIENT_ALERT_UNKNOWN_CA" => format!(
            "the device ended the connection with the alert unknown_ca: among the roots that it trusts is none that leads \
             to {issuer}, which issued the server's certificate"
        ),
        _ => reason.to_owned(),
    }
}

/// A device that has its assignment, and shows its hub what that does not accept.
fn refused_by_hub(ended: &ConnectionRecord, device: &HubDeviceName, findings: &mut Findings) {
    let HubDeviceName { hub, device_id, module_id } = device;
    let found = match module_id {
        Some(module) => findings
            .add(
                "HUB_REFUSED_MODULE",
                format!("{hub} refused {device_id} as its module {module}: {}", ended.reason),
            )
            .fact("module", module.clone()),
        None => findings.add("HUB_REFUSED_DEVICE", format!("{hub} refused {device_id}: {}", ended.reason)),
    };
    found
        .fact("hub", hub.clone())
        .fact("device id", device_id.clone())
        .fact("protocol", ended.protocol.as_str());
}

/// By the alert that the client sent, else by the names that the TLS library has for errors.
fn handshake(reason: &str, known: Option<&HandshakeRecord>) -> &'static str {
    let alert = known.and_then(|handshake| handshake.alert.as_deref());
    match alert {
        Some("unknown_ca") => "TLS_CLIENT_ALERT_UNKNOWN_CA",
        // RFC 8446 section 6.2.
        Some(
            "bad_certificate"
            | "unsupported_certificate"
            | "certificate_revoked"
            | "certificate_expired"
            | "certificate_unknown"
            | "unrecognized_name",
        ) => "TLS_CLIENT_ALERT_CERTIFICATE",
        Some("protocol_version") => "TLS_VERSION",
        Some(_) => "TLS_CLIENT_ALERT",
        None if reason.contains("did not end within") || reason.contains("stalled") => {
            "TLS_HANDSHAKE_TIMEOUT"
        }
        None if known
            .is_some_and(|handshake| handshake.offered.iter().any(|it| it.starts_with("before"))) =>
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
