//! What a person sees: the welcome with snippets to paste, then one line an attempt. Owns wording and colour; must not
//! know how an event came about.

use std::io::{IsTerminal as _, Write as _};

use dps_devhub::{Hook, Telemetry};
use dps_events::recorder::Listener;
use dps_events::{
    AssignmentRecord, AttemptRecord, Cause, ConnectionRecord, Event, LinkProbeRecord, ManagementCallRecord,
    Operation, Outcome, ServiceCallRecord,
};
use dps_model::registration::Status;
use dps_model::{DeviceId, HubName, Timestamp};

use super::env_file::DevEnv;
use crate::cli::DevOptions;

/// The server's own troubles go to standard error.
pub fn log_to_stderr() {
    // A second call (tests) keeps the first logger.
    let _ = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::WARN)
        .with_target(false)
        // On a full disk it would be said by a macro that ends the thread when it cannot say it.
        .log_internal_errors(false)
        .try_init();
}

/// Says where everything is and what to do first.
pub fn welcome(env: &DevEnv, options: &DevOptions) {
    let get = |key| env.get(key);
    let host = get("MUSTER_DEVICE_HOST");
    let scope = get("MUSTER_ID_SCOPE");
    let data = options.data_dir.display().to_string();
    let snippet = snippet(&data);
    let metrics = match get("MUSTER_HTTP_PORT") {
        "0" => "off (--http-port 0)".to_owned(),
        _ => format!("{}/metrics", get("MUSTER_PORTAL_URL")),
    };
    say(&format!(
        "{title}\n\n\
         \x20 ID scope          {scope}\n\
         \x20 Devices           {host}  https {https}  mqtt {mqtt}  amqp {amqp}\n\
         \x20 Service API       {url}\n\
         \x20 Development hub   {hub}\n\
         \x20 Metrics           {metrics}\n\
         \x20 CA certificate    {ca}\n\
         \x20 Export directory  {data}/export, as storage account /subscriptions/{subscription}/resourceGroups/muster/\
         providers/Microsoft.Storage/storageAccounts/muster\n\
         \x20 All of it         {data}/dev.env\n\n\
         {first}\n\n\
         {snippet}\n\
         Ctrl-C stops. Attempts, as they happen:\n",
        title = bold("Muster is running."),
        https = get("MUSTER_HTTPS_PORT"),
        mqtt = get("MUSTER_MQTT_PORT"),
        amqp = get("MUSTER_AMQP_PORT"),
        url = get("MUSTER_MANAGEMENT_URL"),
        hub = get("MUSTER_HUB_HOST"),
        ca = get("MUSTER_CA_FILE"),
        subscription = get("MUSTER_RESOURCE_ID").split('/').nth(2).unwrap_or_default(),
        first =
            bold("Paste this into another shell to enroll and provision a first device with the Azure SDK:"),
    ));
}

/// Enrolls a device and provisions it, with Microsoft's packages and nothing else.
fn snippet(data: &str) -> String {
    format!(
        r#"set -a; . {data}/dev.env; set +a
pip install azure-iot-deviceprovisioning==1.0.0b1 azure-iot-device
python3 - <<'END'
from os import environ as env
from azure.iot.device import ProvisioningDeviceClient
from azure.iot.deviceprovisioning import DeviceProvisioningClient

# Enroll: the service makes the keys.
service = DeviceProvisioningClient.from_connection_string(
    env["MUSTER_SERVICE_CONNECTION_STRING"], connection_verify=env["MUSTER_CA_FILE"])
enrolled = service.enrollment.create_or_update(
    "my-device", {{"registrationId": "my-device", "attestation": {{"type": "symmetricKey"}}}})

# Provision: what runs on the device; only the host name differs from Azure.
print(ProvisioningDeviceClient.create_from_symmetric_key(
    env["MUSTER_DEVICE_HOST"], "my-device", env["MUSTER_ID_SCOPE"],
    enrolled["attestation"]["symmetricKey"]["primaryKey"],
    server_verification_cert=open(env["MUSTER_CA_FILE"]).read()).register())
END
"#
    )
}

/// Says that the end has begun.
pub fn farewell() {
    say("\nStopping: requests in flight end first.");
}

/// One line an event.
pub fn attempts() -> Listener {
    Box::new(|event| {
        if let Some(line) = line(event) {
            say(&line);
        }
    })
}

/// Lines of what happens at the development hub.
pub struct HubLines;

impl Hook for HubLines {
    fn on_telemetry(&self, message: &Telemetry) {
        say(&format!("          hub  {}  sent {} bytes", message.device_id, message.payload.len()));
    }

    fn on_connection(&self, hub: &HubName, device_id: &DeviceId, connected: bool) {
        let what = if connected { "connected to" } else { "left" };
        say(&format!("          hub  {device_id}  {what} {hub}"));
    }
}

/// The line of an event; none for polls and lookups that were answered.
pub fn line(event: &Event) -> Option<String> {
    match event {
        Event::Attempt(attempt) => attempt_line(attempt),
        Event::Assignment(assignment) => Some(assignment_line(assignment)),
        Event::ServiceCall(call) => Some(service_line(call)),
        Event::ManagementCall(call) => Some(management_line(call)),
        Event::Connection(connection) => Some(connection_line(connection)),
        Event::LinkProbe(probe) => Some(link_line(probe)),
        // The hub has lines of its own.
        Event::Polls(_) | Event::HubConnection(_) => None,
    }
}

fn attempt_line(attempt: &AttemptRecord) -> Option<String> {
    if attempt.operation != Operation::Register && attempt.outcome == Outcome::Success {
        return None;
    }
    let who =
        if attempt.registration_id.is_empty() { "(no registration id)" } else { &attempt.registration_id };
    let how = match (&attempt.enrollment, attempt.mechanism) {
        (Some(enrollment), Some(mechanism)) if enrollment.kind == "EnrollmentGroup" => {
            format!("{mechanism}, group {}", plain(&enrollment.id))
        }
        (Some(_), Some(mechanism)) => format!("{mechanism}, individual"),
        _ if attempt.sas.is_some() => "SAS token".to_owned(),
        _ if !attempt.chain.is_empty() => "certificate".to_owned(),
        _ => "no credential".to_owned(),
    };
    let result = match (&attempt.outcome, attempt.status) {
        (Outcome::Success, Some(Status::Disabled)) => warn("disabled"),
        (Outcome::Success, _) => good("attested"),
        (outcome, _) => refused(outcome, &attempt.causes),
    };
    let (time, protocol) = (clock(attempt.time), attempt.protocol.as_str());
    Some(format!("{time}  {protocol:<4}  {}  {how}  {result}  {}", plain(who), millis(attempt.micros)))
}

fn assignment_line(assignment: &AssignmentRecord) -> String {
    let result = match &assignment.outcome {
        Outcome::Success => good(&format!("assigned to {}", assignment.hub.as_deref().unwrap_or("?"))),
        outcome => refused(outcome, &assignment.causes),
    };
    let resumed = if assignment.resumed { "  (resumed)" } else { "" };
    let (time, who) = (clock(assignment.time), plain(&assignment.registration_id));
    format!("{time}        {who}  {result}  {}{resumed}", millis(assignment.micros))
}

fn service_line(call: &ServiceCallRecord) -> String {
    let result = match &call.outcome {
        Outcome::Success => good("ok"),
        outcome => refused(outcome, &call.causes),
    };
    let id = call.id.as_deref().map(plain).unwrap_or_default();
    format!("{}  Api   {} {} {id}  {result}", clock(call.time), call.operation, call.kind)
}

fn management_line(call: &ManagementCallRecord) -> String {
    let result = match &call.outcome {
        Outcome::Success => good("ok"),
        outcome => refused(outcome, &call.causes),
    };
    let operation = call.operation.strip_prefix("Microsoft.Devices/").unwrap_or(call.operation);
    let instance = call.instance.as_deref().map(plain).unwrap_or_default();
    let changed = match call.changed.as_slice() {
        [] => String::new(),
        members => format!("  [{}]", members.join(", ")),
    };
    format!("{}  Arm   {operation} {instance}{changed}  {result}", clock(call.time))
}

fn connection_line(connection: &ConnectionRecord) -> String {
    let (time, protocol) = (clock(connection.time), connection.protocol.as_str());
    let result = bad(&format!("refused at {}: {}", connection.stage, plain(&connection.reason)));
    format!("{time}  {protocol:<4}  {}  {result}", connection.peer)
}

fn link_line(probe: &LinkProbeRecord) -> String {
    let result = match &probe.outcome {
        Outcome::Success => good("works again"),
        outcome => refused(outcome, &[]),
    };
    format!("{}  Link  {} of {}  {result}", clock(probe.time), probe.hub, probe.instance)
}

fn refused(outcome: &Outcome, causes: &[Cause]) -> String {
    match outcome {
        Outcome::Failed { code, message, cause, .. } => {
            let named = causes.first();
            let code_of = named.map(|cause| format!(" [{}]", cause.code)).unwrap_or_default();
            let told = named.map(|cause| cause.sentence.as_str()).or(cause.as_deref());
            let told = told.filter(|told| told != message).map(|told| format!(": {}", plain(told)));
            bad(&format!("{code} {}{code_of}{}", plain(message), told.unwrap_or_default()))
        }
        _ => warn("the client went away"),
    }
}

/// A client's text without what would move the cursor or end the line.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn clock(time: Timestamp) -> String {
    time.to_string().get(11..19).unwrap_or_default().to_owned()
}

fn millis(micros: u64) -> String {
    format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100)
}

fn good(text: &str) -> String {
    paint("32", text)
}

fn warn(text: &str) -> String {
    paint("33", text)
}

fn bad(text: &str) -> String {
    paint("31", text)
}

/// Bold on a terminal.
pub fn bold(text: &str) -> String {
    paint("1", text)
}

fn paint(code: &str, text: &str) -> String {
    if std::io::stdout().is_terminal() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// Writes a line; a reader that went away is no reason to stop serving.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use dps_events::{AttemptRecord, Event, Operation, Outcome};
    use dps_model::{Channel, Error, ErrorCode, Protocol, Timestamp, TlsSession, TrackingId};

    #[test]
    fn refused_attempt_names_the_cause_and_no_control_character() {
        let peer = "127.0.0.1:5".parse().unwrap();
        let channel = Channel { protocol: Protocol::Mqtt, peer, tls: TlsSession::default() };
        let mut record = AttemptRecord::open(
            TrackingId::fresh(),
            Timestamp::from_millis(0),
            &channel,
            Operation::Register,
        );
        record.registration_id = "evil\x1b[2J\nid".into();
        record.outcome =
            Outcome::failed(&Error::new(ErrorCode::Unauthorized).because("the token expired 3 s ago"));
        let line = super::line(&Event::Attempt(Box::new(record))).unwrap();
        assert!(line.contains("401000 Unauthorized: the token expired 3 s ago"), "{line}");
        assert!(!line.contains('\n') && !line.contains('\x1b'), "{line:?}");
    }
}
