//! Spans of an event: one for itself, one for each of its steps. Owns their names and attributes (OpenTelemetry semantic
//! conventions where there are any, `muster.*` otherwise); must not know how they are sent.

use dps_events::{
    AddressMask, AssignmentRecord, AttemptRecord, ConnectionRecord, Enrollment, Event, LinkProbeRecord,
    Operation, Outcome, Step, TracePlace,
};
use dps_model::Timestamp;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use crate::exporter::nanos;

/// The steps that are calls of somebody else.
const OUTBOUND: &[&str] = &["askWebhook", "deleteFormerDevice", "putDevice", "readTwin"];

/// The event's spans, its own first.
pub fn spans(event: &Event, addresses: AddressMask) -> Vec<Span> {
    let place = event.trace();
    match event {
        Event::Attempt(attempt) => {
            let own = attempt_span(attempt, &place, addresses);
            with_steps(own, &attempt.steps)
        }
        Event::Assignment(assignment) => {
            let own = assignment_span(assignment, &place);
            with_steps(own, &assignment.steps)
        }
        Event::ServiceCall(call) => {
            let mut own = span(&place, call.operation, call.time, call.micros, &call.outcome);
            let of_call = [
                Some(text("muster.kind", call.kind)),
                maybe("muster.instance", call.instance.as_deref()),
                maybe("muster.caller", call.caller.as_deref()),
                Some(text("client.address", &addresses.show(call.peer.ip()))),
            ];
            own.kind = SpanKind::Server.into();
            own.attributes.extend(of_call.into_iter().flatten());
            vec![own]
        }
        Event::ManagementCall(call) => {
            let mut own = span(&place, call.operation, call.time, call.micros, &call.outcome);
            let of_call = [
                maybe("muster.instance", call.instance.as_deref()),
                maybe("cloud.resource_id", call.resource_id.as_deref()),
                maybe("muster.caller", call.caller.as_deref()),
                Some(text("client.address", &addresses.show(call.peer.ip()))),
            ];
            own.kind = SpanKind::Server.into();
            own.attributes.extend(of_call.into_iter().flatten());
            vec![own]
        }
        Event::Connection(connection) => vec![connection_span(connection, &place, addresses)],
        Event::LinkProbe(probe) => vec![probe_span(probe, &place)],
        Event::Polls(_) | Event::HubConnection(_) => Vec::new(),
    }
}

fn attempt_span(attempt: &AttemptRecord, place: &TracePlace, addresses: AddressMask) -> Span {
    let name = match attempt.operation {
        Operation::Register => "AttestationAttempt",
        other => other.as_str(),
    };
    let mut own = span(place, name, attempt.time, attempt.micros, &attempt.outcome);
    let enrollment = attempt.enrollment.as_ref();
    let of_attempt = [
        Some(text("muster.tracking_id", &attempt.tracking_id.to_string())),
        Some(text("muster.registration_id", &attempt.registration_id)),
        Some(text("muster.id_scope", &attempt.id_scope)),
        maybe("muster.instance", attempt.instance.as_deref()),
        maybe("muster.operation_id", attempt.operation_id.as_deref()),
        maybe("muster.enrollment.kind", enrollment.map(|it| it.kind)),
        maybe("muster.enrollment.id", enrollment.map(|it| it.id.as_str())),
        maybe("muster.attestation_mechanism", attempt.mechanism),
        maybe("muster.reason", attempt.reason),
        maybe("muster.hub", attempt.hub.as_deref()),
        maybe("user_agent.original", attempt.client.as_deref()),
        Some(text("network.protocol.name", attempt.protocol.as_str())),
        Some(text("tls.protocol.version", &attempt.tls_version)),
        Some(text("client.address", &addresses.show(attempt.peer.ip()))),
    ];
    own.kind = SpanKind::Server.into();
    own.attributes.extend(of_attempt.into_iter().flatten());
    own
}

fn assignment_span(assignment: &AssignmentRecord, place: &TracePlace) -> Span {
    let mut own = span(place, "RegistrationAttempt", assignment.time, assignment.micros, &assignment.outcome);
    let Enrollment { kind, id, .. } = &assignment.enrollment;
    let of_assignment = [
        Some(text("muster.tracking_id", &assignment.tracking_id.to_string())),
        Some(text("muster.registration_id", &assignment.registration_id)),
        Some(text("muster.instance", &assignment.instance)),
        Some(text("muster.operation_id", &assignment.operation_id)),
        Some(text("muster.enrollment.kind", kind)),
        Some(text("muster.enrollment.id", id)),
        maybe("muster.hub", assignment.hub.as_deref()),
        maybe("muster.device_id", assignment.device_id.as_deref()),
        Some(number("muster.hub_attempts", assignment.attempts.into())),
    ];
    own.attributes.extend(of_assignment.into_iter().flatten());
    own
}

fn connection_span(connection: &ConnectionRecord, place: &TracePlace, addresses: AddressMask) -> Span {
    let mut own = span(place, "RefusedConnection", connection.time, connection.micros, &Outcome::Success);
    let of_connection = [
        Some(text("network.protocol.name", connection.protocol.as_str())),
        Some(text("muster.stage", connection.stage)),
        Some(text("client.address", &addresses.show(connection.peer.ip()))),
    ];
    own.kind = SpanKind::Server.into();
    own.attributes.extend(of_connection.into_iter().flatten());
    own.status = Some(Status { code: StatusCode::Error.into(), message: connection.reason.clone() });
    own
}

fn probe_span(probe: &LinkProbeRecord, place: &TracePlace) -> Span {
    let mut own = span(place, "LinkProbe", probe.time, probe.micros, &probe.outcome);
    let of_probe = [
        Some(text("muster.instance", &probe.instance)),
        Some(text("muster.hub", &probe.hub)),
        Some(text("muster.news", probe.news)),
    ];
    own.kind = SpanKind::Client.into();
    own.attributes.extend(of_probe.into_iter().flatten());
    own
}

fn span(place: &TracePlace, name: &str, time: Timestamp, micros: u64, outcome: &Outcome) -> Span {
    let start = nanos(time);
    let (status, error) = status(outcome);
    Span {
        trace_id: place.trace.to_be_bytes().to_vec(),
        span_id: place.span.to_be_bytes().to_vec(),
        parent_span_id: place.parent.map(|parent| parent.to_be_bytes().to_vec()).unwrap_or_default(),
        name: name.to_owned(),
        kind: SpanKind::Internal.into(),
        start_time_unix_nano: start,
        end_time_unix_nano: start.saturating_add(micros.saturating_mul(1_000)),
        attributes: error,
        status: Some(status),
        ..Span::default()
    }
}

/// Why it failed, as an operator may read it.
fn status(outcome: &Outcome) -> (Status, Vec<KeyValue>) {
    match outcome {
        Outcome::Success | Outcome::Challenged => (Status::default(), Vec::new()),
        Outcome::Abandoned => {
            let message = "the peer went away, or the work was dropped".to_owned();
            (Status { code: StatusCode::Error.into(), message }, Vec::new())
        }
        Outcome::Failed { code, name, message, cause, .. } => {
            let message = cause.as_ref().unwrap_or(message).clone();
            let error = vec![text("error.type", name), number("muster.error_code", i64::from(*code))];
            (Status { code: StatusCode::Error.into(), message }, error)
        }
    }
}

/// The span and one for each step: they follow on each other, and what is between them is their parent's own time.
fn with_steps(own: Span, steps: &[Step]) -> Vec<Span> {
    let mut start = own.start_time_unix_nano;
    let of_own = own.span_id.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    let of_steps = (1_u64..).zip(steps).map(|(number, step)| {
        let begin = start;
        start = start.saturating_add(step.micros.saturating_mul(1_000));
        let kind = if OUTBOUND.contains(&step.name) { SpanKind::Client } else { SpanKind::Internal };
        Span {
            trace_id: own.trace_id.clone(),
            span_id: child(of_own, number).to_be_bytes().to_vec(),
            parent_span_id: own.span_id.clone(),
            name: step.name.to_owned(),
            kind: kind.into(),
            start_time_unix_nano: begin,
            end_time_unix_nano: start,
            ..Span::default()
        }
    });
    let of_steps: Vec<Span> = of_steps.collect();
    std::iter::once(own).chain(of_steps).collect()
}

/// The id of a step's span: far from its parent's and from those of its neighbours (the odd constant is that of Fibonacci
/// hashing).
fn child(parent: u64, number: u64) -> u64 {
    parent.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15)).max(1)
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn maybe(key: &str, value: Option<&str>) -> Option<KeyValue> {
    value.map(|value| text(key, value))
}

fn number(key: &str, value: i64) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::IntValue(value)) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

#[cfg(test)]
mod tests;
