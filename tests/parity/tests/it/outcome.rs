//! A cell's outcome as lines that can be compared: what was told, stored, written to hubs and recorded, without what
//! differs from run to run (times, etags, tracking ids) or by the protocol's nature (its own words, kept apart).

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_events::{AssignmentRecord, AttemptRecord, ConnectionRecord, Event, Outcome as Recorded};
use dps_model::hub::HubAuthentication;
use dps_model::{Protocol, Secret, TrackingId};
use serde_json::{Value, json};

use crate::client::Told;
use crate::device::{Credential, Medium};
use crate::events::assignment;
use crate::run::Run;

#[derive(Clone, Debug)]
pub struct Outcome {
    /// Everything that must be the same over all protocols.
    pub lines: Vec<String>,
    /// The same for a registration lookup, which not every protocol has.
    pub lookups: Vec<String>,
    /// The medium's own words, an answer each.
    pub how: Vec<String>,
    /// The last answers in a few words, for the page.
    pub brief: String,
}

impl Outcome {
    /// Of a site that has stopped.
    pub async fn of(run: &Run<'_>) -> Self {
        let events = run.site.events.all();
        let attempts: Vec<&AttemptRecord> = events.iter().filter_map(|event| attempt(run, event)).collect();
        let mut tracked: Vec<TrackingId> = attempts.iter().map(|record| record.tracking_id).collect();
        tracked.extend(events.iter().filter_map(|event| connection(run, event)).map(|of| of.tracking_id));
        let operations = operations(&attempts);
        let seen = Seen { operations: &operations, tracked: &tracked };
        let (mut lines, mut lookups) = (Vec::new(), Vec::new());
        let (mut how, mut briefs) = (Vec::new(), Vec::new());
        let mut hub_key = None;
        for (step, told) in &run.told {
            let told_lines = if *step == "lookup" { &mut lookups } else { &mut lines };
            told_lines.push(format!("{step}: {}", normal(run, told, &seen, &mut hub_key)));
            how.push(words(told).to_owned());
            briefs.push((*step, brief(told)));
        }
        if let Some(payload) = run.site.payload(&run.device.id) {
            lines.push(format!("payload: {payload}"));
        }
        if let Some(document) = run.site.document(&run.device.id).await {
            lines.push(format!("document: {}", tidied(&operations, document)));
        }
        for (hub, authentication) in run.site.hubs.identities(&run.device.id) {
            lines.push(format!(
                "hub: {hub} has $id with {}",
                credential(run, &authentication, hub_key.as_ref())
            ));
        }
        for record in &attempts {
            let line = format!("event: {}", attempted(&operations, record));
            let lookup = record.operation == dps_events::Operation::RegistrationLookup;
            if lookup { &mut lookups } else { &mut lines }.push(line);
        }
        for event in &events {
            if let Some(record) = assignment(event).filter(|of| of.registration_id == run.device.id) {
                lines.push(format!("event: {}", assigned(&operations, record)));
            }
            if let Some(record) = connection(run, event) {
                lines.push(format!("event: connection, {}: {}", record.stage, record.reason));
            }
        }
        let named = |line: &mut String| *line = line.replace(&run.device.id, "$id");
        lines.iter_mut().chain(&mut lookups).for_each(named);
        Self { lines, lookups, how, brief: summary(&briefs) }
    }
}

fn attempt<'e>(run: &Run<'_>, event: &'e Event) -> Option<&'e AttemptRecord> {
    match event {
        Event::Attempt(record) if record.registration_id == run.device.id => {
            assert_eq!(record.protocol, run.medium.protocol());
            assert!(run.peers.contains(&record.peer), "{}: asked by a stranger", run.name());
            Some(record)
        }
        Event::Attempt(record)
            if record.registration_id.is_empty() && came(run, record.peer, record.protocol) =>
        {
            Some(record)
        }
        _ => None,
    }
}

fn connection<'e>(run: &Run<'_>, event: &'e Event) -> Option<&'e ConnectionRecord> {
    match event {
        Event::Connection(record) if came(run, record.peer, record.protocol) => Some(record),
        _ => None,
    }
}

/// Is it a connection of this cell's? The ports are several, so that two cells may come from one address; and a
/// WebSocket begins as HTTP.
fn came(run: &Run<'_>, peer: SocketAddr, protocol: Protocol) -> bool {
    let websocket = matches!(run.medium, Medium::MqttWs | Medium::AmqpWs) && protocol == Protocol::Http;
    run.peers.contains(&peer) && (protocol == run.medium.protocol() || websocket)
}

/// The medium's own words.
fn words(told: &Told) -> &str {
    match told {
        Told::Accepted { how, .. }
        | Told::Refused { how, .. }
        | Told::Challenged { how, .. }
        | Told::Unsaid { how } => how,
    }
}

/// What was recorded of a cell.
struct Seen<'a> {
    operations: &'a [String],
    /// Tracking ids, of connections too.
    tracked: &'a [TrackingId],
}

fn normal(run: &Run<'_>, told: &Told, seen: &Seen<'_>, hub_key: &mut Option<Secret>) -> String {
    match told {
        Told::Accepted { retry_after, body, .. } => {
            if let Some(blob) = body["registrationState"]["tpm"]["authenticationKey"].as_str() {
                *hub_key = Some(activated(run, blob));
            }
            let retry_after = retry_after.map(|seconds| format!(", retry-after {seconds}"));
            format!("{}{}", tidied(seen.operations, body.clone()), retry_after.unwrap_or_default())
        }
        Told::Refused { retry_after, body, .. } => {
            let told = body["trackingId"].as_str().unwrap();
            let known = seen.tracked.iter().any(|id| id.to_string() == told);
            assert!(known, "{}: no event has the tracking id that was told", run.name());
            refused(body["errorCode"].as_u64(), body["message"].as_str(), retry_after.is_some())
        }
        Told::Challenged { .. } => "challenged".to_owned(),
        Told::Unsaid { .. } => "refused".to_owned(),
    }
}

fn refused(code: Option<u64>, message: Option<&str>, retry_after: bool) -> String {
    let after = if retry_after { ", retry-after" } else { "" };
    format!("refused {} {:?}{after}", code.unwrap(), message.unwrap())
}

fn activated(run: &Run<'_>, blob: &str) -> Secret {
    let blob = STANDARD.decode(blob).unwrap();
    let (key, _) = run.device.chip().unwrap().activate(&blob).expect("made for this chip");
    Secret::new(key)
}

/// JSON without what no two runs share.
fn tidied(operations: &[String], mut value: Value) -> Value {
    tidy(operations, &mut value);
    value
}

fn tidy(operations: &[String], value: &mut Value) {
    match value {
        Value::Object(members) => {
            // The one member of a stored registration that names the protocol.
            members.remove("protocol");
            for (name, member) in members {
                match &**name {
                    "etag" => *member = json!("$etag"),
                    "createdDateTimeUtc" | "lastUpdatedDateTimeUtc" | "admitted" => *member = json!("$time"),
                    "authenticationKey" => *member = json!("$blob"),
                    "Certificate" | "SasToken" => *member = json!("$proof"),
                    _ => tidy(operations, member),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| tidy(operations, item)),
        Value::String(text) => {
            if operations.contains(text) {
                *text = operation(operations, text);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn credential(run: &Run<'_>, on_hub: &HubAuthentication, hub_key: Option<&Secret>) -> &'static str {
    match (on_hub, &run.device.credential) {
        (HubAuthentication::Sas { primary, .. }, Credential::Key(key)) if primary == key => "its key",
        (HubAuthentication::Sas { primary, .. }, Credential::Chip(_)) if Some(primary) == hub_key => {
            "the key of its last blob"
        }
        (HubAuthentication::SelfSigned { primary_thumbprint, .. }, Credential::Certificate(leaf))
            if *primary_thumbprint == dps_attestation::x509::certificate::thumbprint(leaf.der()) =>
        {
            "its certificate"
        }
        _ => "a credential that is not the device's",
    }
}

fn result(outcome: &Recorded) -> String {
    match outcome {
        Recorded::Failed { code, name, .. } => format!("{code} {name}"),
        Recorded::Success => "success".into(),
        Recorded::Challenged => "challenged".into(),
        Recorded::Abandoned => "abandoned".into(),
    }
}

/// The device's operations, in the order in which they were recorded, whether it was told of them or not.
fn operations(attempts: &[&AttemptRecord]) -> Vec<String> {
    let mut operations = Vec::new();
    for id in attempts.iter().filter_map(|record| record.operation_id.as_ref()) {
        if !id.is_empty() && !operations.contains(id) {
            operations.push(id.clone());
        }
    }
    operations
}

fn operation(operations: &[String], id: &str) -> String {
    let at = operations.iter().position(|known| known == id);
    at.map_or_else(|| "an operation of nobody's".to_owned(), |at| format!("$operation{}", at + 1))
}

fn attempted(operations: &[String], record: &AttemptRecord) -> String {
    let mut line = format!("{} {}", record.operation.as_str(), result(&record.outcome));
    let mut add = |text: String| {
        line.push_str(", ");
        line.push_str(&text);
    };
    for candidate in &record.candidates {
        add(format!("not {} {} {}", candidate.enrollment.kind, candidate.enrollment.id, candidate.reason));
    }
    if let Some(enrollment) = &record.enrollment {
        let mechanism = record.mechanism.unwrap_or("?");
        add(format!("{mechanism} of {} {}", enrollment.kind, enrollment.id));
    }
    if let Some(slot) = record.slot {
        add(slot.to_owned());
    }
    if let Some(reason) = record.reason {
        add(format!("reason {reason}"));
    }
    if let Some(status) = record.status {
        add(format!("status {status:?}"));
    }
    if let Some(hub) = &record.hub {
        add(format!("hub {hub}"));
    }
    if let Some(id) = record.operation_id.as_deref().filter(|id| !id.is_empty()) {
        add(operation(operations, id));
    }
    line
}

fn assigned(operations: &[String], record: &AssignmentRecord) -> String {
    let (hub, device) = (record.hub.as_deref().unwrap_or("-"), record.device_id.as_deref().unwrap_or("-"));
    let substatus = record.substatus.map(|substatus| format!(" {substatus:?}")).unwrap_or_default();
    let resumed = if record.resumed { ", resumed" } else { "" };
    format!(
        "Assignment {}, {} {}, {device} on {hub}{substatus}, attempts {}{resumed}, {}",
        result(&record.outcome),
        record.enrollment.kind,
        record.enrollment.id,
        record.attempts,
        operation(operations, &record.operation_id),
    )
}

/// An answer in a few words; where it is told in an unusual place, with that.
fn brief(told: &Told) -> String {
    match told {
        Told::Accepted { body, .. } => match body["registrationState"]["errorCode"].as_u64() {
            Some(code) => format!("`{}` {code}", body["status"].as_str().unwrap()),
            None => format!("`{}`", body["status"].as_str().unwrap()),
        },
        Told::Refused { body, how, retry_after } => {
            let after = if retry_after.is_some() { " + retry-after" } else { "" };
            let place = match how.split_once(", amqp:") {
                Some((place, _)) if place != "rejected" => format!(" in {place}"),
                _ => String::new(),
            };
            format!("{}{after}{place}", body["errorCode"])
        }
        Told::Challenged { .. } => "challenge".to_owned(),
        Told::Unsaid { how } => how.clone(),
    }
}

/// The answers to polls where there are any, else to register requests; one that repeats is said once.
fn summary(briefs: &[(&'static str, String)]) -> String {
    let mut said: Vec<&str> = Vec::new();
    let polled = briefs.iter().any(|(step, _)| *step == "poll");
    for (step, brief) in briefs {
        let counts = match *step {
            "poll" | "connect" => true,
            "register" => !polled || !brief.starts_with('`'),
            _ => false,
        };
        if counts && said.last() != Some(&brief.as_str()) {
            said.push(brief);
        }
    }
    said.join(", then ")
}
