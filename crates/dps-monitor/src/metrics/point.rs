//! What an event counts. An attempt is a register request; a TPM's challenge and its answer are one, so the challenge
//! counts nothing; polls and lookups are no attempts; a refused attestation is no registration attempt. Must not know
//! what becomes of a point.

use std::borrow::Cow;

use dps_events::{AssignmentRecord, AttemptRecord, Cause, Event, Operation, Outcome, Step};
use dps_model::Timestamp;

use super::definition::Metric;
use super::rollup::Rollup;

/// One observation.
#[derive(Clone, Debug, PartialEq)]
pub struct Point<'a> {
    /// Of what.
    pub metric: Metric,
    /// The provisioning service; none for the server.
    pub service: Option<&'a str>,
    /// Values of the dimensions after the service, in the definition's order.
    pub values: Vec<Cow<'a, str>>,
    /// When.
    pub time: Timestamp,
    /// What.
    pub rollup: Rollup,
}

/// A look at what no event tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Of what.
    pub metric: Metric,
    /// The provisioning service; none for the server.
    pub service: Option<String>,
    /// Values of its dimensions after the service.
    pub values: Vec<String>,
    /// What was seen.
    pub value: f64,
}

/// The points of an event.
pub fn points(event: &Event) -> Vec<Point<'_>> {
    let mut points = Points(Vec::new());
    match event {
        Event::Attempt(attempt) => points.attempt(attempt),
        Event::Assignment(assignment) => points.assignment(assignment),
        Event::ServiceCall(call) => {
            let (service, time) = (call.instance.as_deref(), end(call.time, call.micros));
            let status = call.outcome.result_type();
            if service.is_some() {
                points.one(Metric::ServiceCalls, service, &[call.operation, status], time);
            }
            points.throttled(service, call.operation, "Http", &call.outcome, time);
        }
        Event::Connection(connection) => {
            let values = [connection.protocol.as_str(), connection.stage];
            points.one(Metric::RefusedConnections, None, &values, end(connection.time, connection.micros));
        }
        Event::LinkProbe(probe) if probe.news != "Up" => {
            let time = end(probe.time, probe.micros);
            points.one(Metric::LinkedHubFailures, Some(&probe.instance), &[&probe.hub], time);
        }
        Event::LinkProbe(_) | Event::ManagementCall(_) | Event::Polls(_) | Event::HubConnection(_) => {}
    }
    points.0
}

/// When a unit of work ended: that is when it became a fact.
fn end(time: Timestamp, micros: u64) -> Timestamp {
    time.plus_millis(i64::try_from(micros / 1_000).unwrap_or(0))
}

/// The foremost cause, of what did not end as it was asked for.
fn refused(outcome: &Outcome, causes: &[Cause]) -> Option<&'static str> {
    let cause = causes.first().filter(|_| !matches!(outcome, Outcome::Success | Outcome::Challenged))?;
    Some(cause.code)
}

const TOO_MANY_REQUESTS: u32 = 429;

struct Points<'a>(Vec<Point<'a>>);

impl<'a> Points<'a> {
    fn add(
        &mut self,
        metric: Metric,
        service: Option<&'a str>,
        values: &[&'a str],
        time: Timestamp,
        rollup: Rollup,
    ) {
        let values = values.iter().map(|value| Cow::Borrowed(*value)).collect();
        self.0.push(Point { metric, service, values, time, rollup });
    }

    fn one(&mut self, metric: Metric, service: Option<&'a str>, values: &[&'a str], time: Timestamp) {
        self.add(metric, service, values, time, Rollup::of(1.0));
    }

    /// What named no provisioning service of this server is nobody's attempt.
    fn attempt(&mut self, attempt: &'a AttemptRecord) {
        let service = attempt.instance.as_deref();
        let (time, protocol) = (end(attempt.time, attempt.micros), attempt.protocol.as_str());
        let status = attempt.outcome.result_type();
        if service.is_some() {
            match attempt.operation {
                Operation::Register if attempt.outcome == Outcome::Challenged => {}
                Operation::Register => {
                    self.one(Metric::AttestationAttempts, service, &[status, protocol], time);
                }
                Operation::OperationStatus | Operation::RegistrationLookup => {
                    let values = [attempt.operation.as_str(), status];
                    self.one(Metric::DeviceLookups, service, &values, time);
                }
                Operation::Unrouted => {}
            }
            self.steps(service, &attempt.steps, time);
        }
        if let Some(cause) = refused(&attempt.outcome, &attempt.causes) {
            self.one(Metric::Causes, service, &[cause, protocol], time);
        }
        self.throttled(service, attempt.operation.as_str(), protocol, &attempt.outcome, time);
    }

    fn assignment(&mut self, assignment: &'a AssignmentRecord) {
        let (service, time) = (Some(&*assignment.instance), end(assignment.time, assignment.micros));
        let hub = assignment.hub.as_deref().unwrap_or_default();
        let status = assignment.outcome.result_type();
        self.one(Metric::RegistrationAttempts, service, &[hub, status], time);
        if assignment.outcome == Outcome::Success {
            self.one(Metric::DeviceAssignments, service, &[hub], time);
        }
        if let Some(cause) = refused(&assignment.outcome, &assignment.causes) {
            let protocol = assignment.protocol.map_or("", dps_model::Protocol::as_str);
            self.one(Metric::Causes, service, &[cause, protocol], time);
        }
        if assignment.attempts > 0 {
            let rollup = Rollup::of(f64::from(assignment.attempts));
            self.add(Metric::HubCalls, service, &[hub, status], time, rollup);
        }
        if let Some(webhook) = assignment.webhook.as_ref().filter(|webhook| webhook.calls > 0) {
            let refused = matches!(&assignment.outcome, Outcome::Failed { name, .. } if name.starts_with("CustomAllocation"));
            let status = if refused { "Failure" } else { "Success" };
            let rollup = Rollup::of(f64::from(webhook.calls));
            self.add(Metric::WebhookCalls, service, &[status], time, rollup);
        }
        self.steps(service, &assignment.steps, time);
    }

    fn steps(&mut self, service: Option<&'a str>, steps: &[Step], time: Timestamp) {
        for step in steps {
            #[allow(clippy::cast_precision_loss, reason = "microseconds of a step are far below 2^53")]
            let millis = step.micros as f64 / 1e3;
            self.add(Metric::StepDuration, service, &[step.name], time, Rollup::of(millis));
        }
    }

    fn throttled(
        &mut self,
        service: Option<&'a str>,
        operation: &'a str,
        protocol: &'a str,
        outcome: &Outcome,
        time: Timestamp,
    ) {
        if service.is_some() && outcome.status() == Some(TOO_MANY_REQUESTS) {
            self.one(Metric::ThrottledRequests, service, &[operation, protocol], time);
        }
    }
}

#[cfg(test)]
mod tests;
