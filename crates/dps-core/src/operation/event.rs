//! The open wide event of an operation: recorded once, when the operation has ended. The one emission site for them;
//! must not know what becomes of a record.

use std::sync::Arc;

use dps_events::{
    AssignmentRecord, Enrollment, Event, EventSink, HubAnswer, Outcome, Step, WebhookCall, WebhookExchange,
};
use dps_model::{Error, TrackingId};

use super::Admitted;
use crate::ports::{Clock, HubError};
use crate::registration::EnrollmentName;

/// The open wide event of an operation.
pub(super) struct OperationEvent {
    record: Option<Box<AssignmentRecord>>,
    sink: Arc<dyn EventSink>,
    clock: Arc<dyn Clock>,
    begun: u64,
    last_step: u64,
}

impl OperationEvent {
    pub(super) fn open(admitted: &Admitted, sink: &Arc<dyn EventSink>, clock: &Arc<dyn Clock>) -> Self {
        let registration_id = admitted.record.state.registration_id.as_str().to_owned();
        let running = admitted.record.running();
        let enrollment = match &admitted.record.enrollment {
            EnrollmentName::Individual => {
                Enrollment { kind: "IndividualEnrollment", id: registration_id.clone() }
            }
            EnrollmentName::Group(id) => Enrollment { kind: "EnrollmentGroup", id: id.clone() },
        };
        let record = AssignmentRecord {
            tracking_id: TrackingId::fresh(),
            time: clock.now(),
            micros: 0,
            instance: admitted.instance.name.clone(),
            registration_id,
            operation_id: admitted.operation_id().map(ToString::to_string).unwrap_or_default(),
            protocol: admitted.record.operation.as_ref().map(|operation| operation.protocol),
            enrollment,
            hub: running.map(|(_, plan)| plan.hub.as_str().to_owned()),
            device_id: running.map(|(_, plan)| plan.device_id.as_str().to_owned()),
            substatus: None,
            moved_from: None,
            twin: None,
            webhook: None,
            hub_answer: None,
            attempts: 0,
            resumed: admitted.resumed,
            fault: None,
            steps: Vec::new(),
            causes: Vec::new(),
            outcome: Outcome::Abandoned,
        };
        let begun = clock.monotonic_micros();
        let (sink, clock) = (Arc::clone(sink), Arc::clone(clock));
        Self { record: Some(Box::new(record)), sink, clock, begun, last_step: begun }
    }

    pub(super) fn attempts(&mut self, admitted: &Admitted) {
        if let Some(record) = &mut self.record {
            record.attempts = admitted.record.running().map_or(0, |(_, plan)| plan.attempts + 1);
        }
    }

    /// Notes what a webhook was asked and said.
    pub(super) fn webhook(&mut self, url: &str, calls: u32, answer: &str, last: Option<WebhookExchange>) {
        if let Some(record) = &mut self.record {
            let (url, answer) = (url.to_owned(), crate::event::bounded(answer));
            record.webhook = Some(WebhookCall { url, calls, answer, last: last.map(Box::new) });
        }
    }

    /// Notes what a hub answered to what it did not do.
    pub(super) fn hub_answer(&mut self, error: &HubError) {
        if let Some(record) = &mut self.record {
            let status = match error {
                HubError::Unauthorized(_) => Some(401),
                HubError::Throttled { .. } => Some(429),
                HubError::QuotaExceeded(_) => Some(403),
                HubError::Refused { status, .. } => Some(*status),
                HubError::NotFound(_) | HubError::Unreachable(_) => None,
            };
            record.hub_answer = Some(HubAnswer::new(status, &error.to_string()));
        }
    }

    /// The operation has not ended: whoever goes on with it opens an event anew.
    pub(super) fn forget(mut self) {
        self.record = None;
    }

    pub(super) fn step(&mut self, name: &'static str) {
        let now = self.clock.monotonic_micros();
        let micros = now.saturating_sub(self.last_step);
        self.last_step = now;
        if let Some(record) = &mut self.record {
            record.steps.push(Step { name, micros });
        }
    }

    pub(super) fn close(mut self, admitted: &Admitted, ended: &Result<(), Error>) {
        if let Some(record) = &mut self.record {
            record.outcome = Outcome::of(ended);
            if let Some((_, plan)) = admitted.record.running() {
                record.hub = Some(plan.hub.as_str().to_owned());
                record.device_id = Some(plan.device_id.as_str().to_owned());
                let origin = plan.origin.as_ref().filter(|origin| !origin.is(&plan.identity()));
                record.moved_from = origin.map(|origin| origin.hub.as_str().to_owned());
                if ended.is_ok() {
                    record.substatus = Some(plan.substatus);
                    record.twin = Some(plan.fate.as_str());
                }
            }
        }
    }
}

impl Drop for OperationEvent {
    fn drop(&mut self) {
        if let Some(mut record) = self.record.take() {
            record.micros = self.clock.monotonic_micros().saturating_sub(self.begun);
            self.sink.record(Event::Assignment(record));
        }
    }
}
