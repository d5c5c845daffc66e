//! The open wide event of a device request: filled on the way, recorded once on every exit, dropped or not.
//! The one emission site for requests that reach the core; must not know what becomes of a record.

use std::sync::Arc;

use dps_attestation::x509::ParsedCertificate;
use dps_attestation::{Evidence, SasToken};
use dps_events::{
    AttemptRecord, Candidate, CertificateSummary, Enrollment, Event, EventSink, Operation, Outcome,
    SasSummary, Step,
};
use dps_model::{Error, limits};

use crate::enrollment::Found;
use crate::ports::Clock;
use crate::request::{DeviceOperation, DeviceRequest, DeviceResponse};

/// An attempt that has not ended.
pub struct RegistrationEvent {
    record: Option<Box<AttemptRecord>>,
    sink: Arc<dyn EventSink>,
    clock: Arc<dyn Clock>,
    begun: u64,
    last_step: u64,
}

impl RegistrationEvent {
    /// Opens the event of a request.
    pub fn open(request: &DeviceRequest, sink: &Arc<dyn EventSink>, clock: &Arc<dyn Clock>) -> Self {
        let operation = match &request.operation {
            DeviceOperation::Register(_) => Operation::Register,
            DeviceOperation::OperationStatus { .. } => Operation::OperationStatus,
            DeviceOperation::RegistrationLookup(_) => Operation::RegistrationLookup,
        };
        let mut record = AttemptRecord::open(request.tracking_id, clock.now(), &request.channel, operation);
        record.id_scope = bounded(&request.id_scope);
        record.registration_id = bounded(&request.registration_id);
        record.api_version = request.api_version.as_deref().map(bounded);
        record.client = request.client.as_deref().map(bounded);
        if let DeviceOperation::Register(body) | DeviceOperation::RegistrationLookup(body) =
            &request.operation
            && let Some(keys) = &body.tpm
        {
            record.presented = record.presented.with_endorsement_key(&keys.endorsement_key);
            if let Some(key) = &keys.storage_root_key {
                record.presented = record.presented.with_storage_root_key(key);
            }
        }
        if let Some(token) = &request.sas_token {
            record.presented = record.presented.with_sas_token(token);
        }
        let begun = clock.monotonic_micros();
        Self {
            record: Some(Box::new(record)),
            sink: Arc::clone(sink),
            clock: Arc::clone(clock),
            begun,
            last_step: begun,
        }
    }

    /// Ends a step that began where the last one ended.
    pub fn step(&mut self, name: &'static str) {
        let now = self.clock.monotonic_micros();
        let micros = now.saturating_sub(self.last_step);
        self.last_step = now;
        self.fill(|record| record.steps.push(Step { name, micros }));
    }

    /// Writes facts into the record.
    pub fn fill(&mut self, fill: impl FnOnce(&mut AttemptRecord)) {
        if let Some(record) = &mut self.record {
            fill(record);
        }
    }

    /// Notes what the device presented.
    pub fn evidence(&mut self, evidence: &Evidence) {
        self.fill(|record| match evidence {
            Evidence::X509(chain) => record.chain = chain.certificates().iter().map(summary).collect(),
            Evidence::Sas(token) => record.sas = Some(sas_summary(token)),
            Evidence::Tpm(shown) => {
                record.endorsement_key = Some(shown.endorsement_key.name_hex());
                record.sas = shown.sas.as_ref().map(sas_summary);
            }
            Evidence::None => {}
        });
    }

    /// Notes an enrollment that did not let the device in.
    pub fn candidate(&mut self, found: &Found, reason: &'static str, detail: &str) {
        self.fill(|record| {
            record.reason = Some(reason);
            if record.candidates.len() < limits::MAX_CANDIDATES {
                record.candidates.push(Candidate {
                    enrollment: name(found),
                    reason,
                    detail: bounded(detail),
                });
            }
        });
    }

    /// Notes the enrollment that decides.
    pub fn enrollment(&mut self, found: &Found) {
        self.fill(|record| {
            record.enrollment = Some(name(found));
            record.mechanism = Some(found.mechanism().kind());
        });
    }

    /// Hands the record on to whoever answers in its place; what is left records nothing.
    pub fn hand_over(&mut self) -> Self {
        let (sink, clock) = (Arc::clone(&self.sink), Arc::clone(&self.clock));
        Self { record: self.record.take(), sink, clock, begun: self.begun, last_step: self.last_step }
    }

    /// Closes the event with the answer given.
    pub fn close(mut self, answer: &Result<DeviceResponse, Error>) {
        self.fill(|record| {
            record.outcome = match answer {
                Ok(DeviceResponse::Challenge { .. }) => Outcome::Challenged,
                _ => Outcome::of(answer),
            };
            match answer {
                Ok(DeviceResponse::Admitted { operation_id, .. }) => {
                    record.operation_id = Some(operation_id.as_str().to_owned());
                }
                Ok(DeviceResponse::Status { status, .. }) => {
                    record.status = Some(status.status);
                    record.operation_id.get_or_insert_with(|| status.operation_id.clone());
                }
                Ok(DeviceResponse::Registration(state)) => record.status = Some(state.status),
                Ok(DeviceResponse::Challenge { .. }) | Err(_) => {}
            }
        });
    }

    /// Closes the event with how it ended.
    pub fn close_as(mut self, outcome: Outcome) {
        self.fill(|record| record.outcome = outcome);
    }
}

impl Drop for RegistrationEvent {
    /// Whatever the way out, the event is recorded; unclosed it says `Abandoned`.
    fn drop(&mut self) {
        if let Some(mut record) = self.record.take() {
            record.micros = self.clock.monotonic_micros().saturating_sub(self.begun);
            self.sink.record(Event::Attempt(record));
        }
    }
}

/// An enrollment as records name it.
pub fn name(found: &Found) -> Enrollment {
    match found {
        Found::Individual(enrollment) => {
            Enrollment { kind: "IndividualEnrollment", id: enrollment.registration_id.as_str().to_owned() }
        }
        Found::Group(group) => {
            Enrollment { kind: "EnrollmentGroup", id: group.enrollment_group_id.as_str().to_owned() }
        }
    }
}

fn sas_summary(token: &SasToken) -> SasSummary {
    SasSummary {
        resource: bounded(token.resource_text()),
        expiry: token.expiry(),
        policy: token.policy().map(bounded),
        signature_hash: token.signature_hash(),
    }
}

fn summary(certificate: &ParsedCertificate) -> CertificateSummary {
    let info = certificate.info();
    CertificateSummary {
        subject: bounded(&info.subject_name),
        issuer: bounded(&info.issuer_name),
        sha256_thumbprint: info.sha256_thumbprint.clone(),
        subject_key_id: certificate.subject_key_id(),
        authority_key_id: certificate.authority_key_id(),
        not_before: info.not_before_utc,
        not_after: info.not_after_utc,
    }
}

/// At most `MAX_EVENT_TEXT` bytes of a client's text.
pub fn bounded(text: &str) -> String {
    let end = (0..=limits::MAX_EVENT_TEXT.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    text[..end.unwrap_or(0)].to_owned()
}
