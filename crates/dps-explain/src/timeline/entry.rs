//! Entries of a timeline: their shape, and those that are a line each.

use dps_model::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::line::{Connection, Fault, HubConnection, Line, Polls, ServiceCall};

/// How something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// As it should.
    Ok,
    /// The device or the operator must act.
    Refused,
    /// A hub, a webhook or the server failed.
    Failed,
    /// Something is missing.
    Gap,
    /// Neither good nor bad.
    Info,
}

impl Verdict {
    /// Of a line's `resultType`.
    pub(super) fn of(result_type: &str) -> Self {
        match result_type {
            "Success" => Self::Ok,
            "ClientError" => Self::Refused,
            _ => Self::Failed,
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When it began.
    pub time: Timestamp,
    /// Milliseconds, with three places.
    pub duration_ms: f64,
    /// `connection`, `match`, `attestation`, `allocation`, `registration`, `webhook`, `hubWrite`, `assigned` …
    pub kind: &'static str,
    /// In a few words.
    pub title: String,
    /// In a sentence or two.
    pub detail: String,
    /// How it ended.
    pub result: Verdict,
    /// Its tracking id.
    pub tracking_id: String,
    /// Its operation.
    pub operation_id: Option<String>,
    /// Named causes, best first.
    pub causes: Vec<Value>,
    /// What there is besides.
    pub data: Value,
}

impl Entry {
    /// An entry of a line: its beginning and its length.
    pub(super) fn of(line: &Line, kind: &'static str, title: impl Into<String>) -> Self {
        Self {
            time: line.time,
            duration_ms: millis(line.micros()),
            kind,
            title: title.into(),
            detail: String::new(),
            result: Verdict::of(&line.result_type),
            tracking_id: line.correlation_id.clone(),
            operation_id: None,
            causes: Vec::new(),
            data: Value::Null,
        }
    }
}

/// Milliseconds with three places.
#[allow(clippy::cast_precision_loss)] // far below 2^53
pub(super) fn millis(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

/// What a development server did.
pub(super) fn fault(fault: Option<&Fault>) -> Option<String> {
    fault.map(|fault| format!("Injected fault {} by rule {}.", fault.kind, fault.rule))
}

/// A change of what lets the device in; reads are none.
pub(super) fn of_call(line: &Line, call: &ServiceCall) -> Option<Entry> {
    let done = match call.operation.as_str() {
        "Upsert" if call.previous_etag.is_none() => "created",
        "Upsert" => "changed",
        "Delete" => "deleted",
        "BulkOperation" => "changed in bulk",
        _ => return None,
    };
    let what = match call.kind.as_str() {
        "EnrollmentGroup" => "Enrollment group",
        "Registration" => "Registration",
        _ => "Enrollment",
    };
    let id = call.id.as_deref().unwrap_or_default();
    let refused = line.result_type != "Success";
    let title = if refused { format!("{what} {id} not {done}") } else { format!("{what} {id} {done}") };
    let by = call.caller.as_deref().unwrap_or("somebody");
    let client = call.client.as_deref().map(|client| format!(", with {client}")).unwrap_or_default();
    let mut detail = format!("By {by}{client}.");
    if refused {
        detail = format!("{detail} {}", line.result_description);
    }
    Some(Entry {
        detail,
        causes: call.causes.clone(),
        data: json!({
            "caller": call.caller, "auth": call.auth, "peer": call.peer, "client": call.client,
            "previousEtag": call.previous_etag, "etag": call.etag, "items": call.items,
        }),
        ..Entry::of(line, "enrollmentChange", title.replace("  ", " "))
    })
}

/// Polls, together.
pub(super) fn of_polls(line: &Line, polls: &Polls) -> Entry {
    let times = if polls.count == 1 { "once".to_owned() } else { format!("{} times", polls.count) };
    let told = polls.status.as_deref().unwrap_or("nothing");
    Entry {
        detail: format!("Over {}; told at last: {told}.", polls.protocol),
        operation_id: Some(polls.operation_id.clone()),
        data: json!({ "count": polls.count, "first": line.time, "last": polls.last, "status": polls.status }),
        ..Entry::of(line, "polls", format!("Polled {times}"))
    }
}

/// The device at its hub.
pub(super) fn of_hub_connection(line: &Line, connection: &HubConnection) -> Entry {
    let HubConnection { device, protocol, peer, .. } = connection;
    let module = device.module_id.as_deref().map(|id| format!(", module {id}")).unwrap_or_default();
    let how = match (protocol, peer) {
        (Some(protocol), Some(peer)) => format!("over {protocol}, from {peer}"),
        _ => "as the hub's event says".to_owned(),
    };
    Entry {
        detail: format!("As {}{module}, {how}.", device.device_id),
        data: json!({ "hub": device.hub, "deviceId": device.device_id, "protocol": protocol, "peer": peer }),
        ..Entry::of(line, "hubConnection", format!("Connected to {}", device.hub))
    }
}

/// A connection that was refused, most often by a hub.
pub(super) fn of_connection(line: &Line, connection: &Connection) -> Entry {
    let Connection { protocol, peer, stage, reason, hub_device, causes, .. } = connection;
    let (kind, title) = match hub_device {
        Some(device) => {
            let module = device.module_id.as_deref().map(|id| format!(" as module {id}"));
            ("hubRefusal", format!("Refused by {}{}", device.hub, module.unwrap_or_default()))
        }
        None => ("connection", "Connection ended before a request".to_owned()),
    };
    Entry {
        detail: format!("{}.", reason.trim_end_matches('.')),
        causes: causes.clone(),
        data: json!({ "protocol": protocol, "peer": peer, "stage": stage }),
        ..Entry::of(line, kind, title)
    }
}
