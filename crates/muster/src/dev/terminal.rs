//! What a person sees: the welcome with snippets to paste, then one line an attempt. Owns wording and colour; must not
//! know how an event came about.

use std::io::{IsTerminal as _, Write as _};

use dps_devhub::{Hook, Telemetry};
use dps_events::recorder::Listener;
use dps_events::{
    AssignmentRecord, AttemptRecord, ConnectionRecord, Event, Operation, Outcome, ServiceCallRecord,
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
        .try_init();
}

/// Says where everything is and what to do first.
pub fn welcome(env: &DevEnv, options: &DevOptions) {
    let get = |key| env.get(key);
    let host = get("MUSTER_DEVICE_HOST");
    let scope = get("MUSTER_ID_SCOPE");
    let data = options.data_dir.display();
    say(&format!(
        "{title}\n\n\
         \x20 ID scope          {scope}\n\
         \x20 Devices           {host}  https {https}  mqtt {mqtt}  amqp {amqp} (closes until it is built)\n\
         \x20 Service API       {url}\n\
         \x20 Development hub   {hub}\n\
         \x20 Metrics           {portal}/metrics\n\
         \x20 CA certificate    {ca}\n\
         \x20 All of it         {data}/dev.env\n\n\
         {first}\n\
         \x20 . {data}/dev.env; export NODE_EXTRA_CA_CERTS=$MUSTER_CA_FILE\n\
         \x20 npm install azure-iot-provisioning-service\n\
         \x20 node -e 'require(\"azure-iot-provisioning-service\").ProvisioningServiceClient.fromConnectionString(process.argv[1]).createOrUpdateIndividualEnrollment({{registrationId: \"my-device\", attestation: {{type: \"symmetricKey\"}}}}, (e, r) => console.log(e || r.responseBody?.attestation || r.attestation))' \"$MUSTER_SERVICE_CONNECTION_STRING\"\n\n\
         {second}\n\
         \x20 pip install azure-iot-device\n\
         \x20 python3 -c '\n\
         from azure.iot.device import ProvisioningDeviceClient\n\
         print(ProvisioningDeviceClient.create_from_symmetric_key(\"{host}\", \"my-device\", \"{scope}\", \"PRIMARY-KEY\", server_verification_cert=open(\"{ca}\").read()).register())'\n\n\
         Ctrl-C stops. Attempts, as they happen:\n",
        title = bold("Muster is running."),
        https = get("MUSTER_HTTPS_PORT"),
        mqtt = get("MUSTER_MQTT_PORT"),
        amqp = get("MUSTER_AMQP_PORT"),
        url = get("MUSTER_MANAGEMENT_URL"),
        hub = get("MUSTER_HUB_HOST"),
        portal = get("MUSTER_PORTAL_URL"),
        ca = get("MUSTER_CA_FILE"),
        first = bold("Enroll a first device (its keys are printed):"),
        second = bold("Provision it, with the primary key of the answer:"),
    ));
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
        Event::Connection(connection) => Some(connection_line(connection)),
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
        (outcome, _) => refused(outcome, attempt.reason),
    };
    let (time, protocol) = (clock(attempt.time), attempt.protocol.as_str());
    Some(format!("{time}  {protocol:<4}  {}  {how}  {result}  {}", plain(who), millis(attempt.micros)))
}

fn assignment_line(assignment: &AssignmentRecord) -> String {
    let result = match &assignment.outcome {
        Outcome::Success => good(&format!("assigned to {}", assignment.hub.as_deref().unwrap_or("?"))),
        outcome => refused(outcome, None),
    };
    let resumed = if assignment.resumed { "  (resumed)" } else { "" };
    let (time, who) = (clock(assignment.time), plain(&assignment.registration_id));
    format!("{time}        {who}  {result}  {}{resumed}", millis(assignment.micros))
}

fn service_line(call: &ServiceCallRecord) -> String {
    let result = match &call.outcome {
        Outcome::Success => good("ok"),
        outcome => refused(outcome, None),
    };
    let id = call.id.as_deref().map(plain).unwrap_or_default();
    format!("{}  Api   {} {} {id}  {result}", clock(call.time), call.operation, call.kind)
}

fn connection_line(connection: &ConnectionRecord) -> String {
    let (time, protocol) = (clock(connection.time), connection.protocol.as_str());
    let result = bad(&format!("refused at {}: {}", connection.stage, plain(&connection.reason)));
    format!("{time}  {protocol:<4}  {}  {result}", connection.peer)
}

fn refused(outcome: &Outcome, reason: Option<&str>) -> String {
    match outcome {
        Outcome::Failed { code, message, cause, .. } => {
            let reason = reason.map(|reason| format!(" [{reason}]")).unwrap_or_default();
            let cause = cause.as_deref().map(|cause| format!(": {}", plain(cause))).unwrap_or_default();
            bad(&format!("{code} {}{reason}{cause}", plain(message)))
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
