//! Lines of the attempt log, read back as far as a timeline needs them. Owns what is read; a member that is not there, or
//! not yet known, is no error.

use std::time::Duration;

use dps_model::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// A line.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// When its unit of work began.
    pub time: Timestamp,
    /// `Success`, `ClientError` or `Failure`.
    pub result_type: String,
    /// Code, message and cause of a failure.
    #[serde(default)]
    pub result_description: String,
    /// `AttestationAttempt`, `RegistrationAttempt`, `Upsert` …
    #[serde(default)]
    pub operation_name: String,
    /// Its tracking id.
    pub correlation_id: String,
    /// What happened.
    pub properties: Record,
}

impl Line {
    /// Reads a line; none of what is no event.
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Microseconds that its unit of work took.
    pub(super) fn micros(&self) -> u64 {
        match &self.properties {
            Record::Attempt(it) => it.micros,
            Record::Assignment(it) => it.micros,
            Record::ServiceCall(it) => it.micros,
            Record::Connection(it) => it.micros,
            Record::Polls(it) => it.micros,
            Record::HubConnection(it) => it.micros,
            Record::Other => 0,
        }
    }

    /// The order of what began in the same millisecond: a request, what it set going, what came of that.
    pub(super) fn place(&self) -> u8 {
        match &self.properties {
            Record::ServiceCall(_) => 0,
            Record::Attempt(_) => 1,
            Record::Assignment(_) => 2,
            Record::Polls(_) => 3,
            Record::HubConnection(_) | Record::Connection(_) | Record::Other => 4,
        }
    }

    /// When its unit of work ended.
    pub(super) fn ended(&self) -> Timestamp {
        after(self.time, self.micros())
    }
}

/// So many microseconds later, to the microsecond: steps of the same millisecond stay in their order.
pub(super) fn after(time: Timestamp, micros: u64) -> Timestamp {
    time.0.checked_add(Duration::from_micros(micros)).map_or(Timestamp::MAX, Timestamp)
}

/// What a line tells.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase")]
pub enum Record {
    /// A device's request.
    Attempt(Box<Attempt>),
    /// An operation that ended.
    Assignment(Box<Assignment>),
    /// A call of the service API.
    ServiceCall(Box<ServiceCall>),
    /// A connection that was refused.
    Connection(Box<Connection>),
    /// Polls that were answered.
    Polls(Box<Polls>),
    /// A device that a hub took.
    HubConnection(Box<HubConnection>),
    /// What a timeline has no use for.
    #[serde(other)]
    Other,
}

/// As `dps_events::AttemptRecord`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Attempt {
    pub(super) micros: u64,
    pub(super) operation: String,
    pub(super) client: Option<String>,
    pub(super) protocol: String,
    pub(super) peer: String,
    pub(super) tls_version: String,
    pub(super) tls_cipher: String,
    pub(super) sni: Option<String>,
    pub(super) chain: Vec<Certificate>,
    pub(super) sas: Option<Value>,
    pub(super) candidates: Vec<Candidate>,
    pub(super) groups_tried: u32,
    pub(super) enrollment: Option<Enrollment>,
    pub(super) mechanism: Option<String>,
    pub(super) slot: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) operation_id: Option<String>,
    pub(super) status: Option<String>,
    pub(super) hub: Option<String>,
    pub(super) allocation: Option<Allocation>,
    pub(super) fault: Option<Fault>,
    pub(super) steps: Vec<Step>,
    pub(super) causes: Vec<Value>,
    pub(super) outcome: Outcome,
}

/// As `dps_events::AssignmentRecord`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Assignment {
    pub(super) micros: u64,
    pub(super) operation_id: String,
    pub(super) enrollment: Enrollment,
    pub(super) hub: Option<String>,
    pub(super) device_id: Option<String>,
    pub(super) substatus: Option<String>,
    pub(super) moved_from: Option<String>,
    pub(super) twin: Option<String>,
    pub(super) webhook: Option<Webhook>,
    pub(super) hub_answer: Option<HubAnswer>,
    pub(super) attempts: u32,
    pub(super) resumed: bool,
    pub(super) fault: Option<Fault>,
    pub(super) steps: Vec<Step>,
    pub(super) causes: Vec<Value>,
    pub(super) outcome: Outcome,
}

/// As `dps_events::ServiceCallRecord`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceCall {
    pub(super) micros: u64,
    pub(super) operation: String,
    pub(super) kind: String,
    pub(super) id: Option<String>,
    pub(super) client: Option<String>,
    pub(super) caller: Option<String>,
    pub(super) auth: Option<String>,
    pub(super) peer: String,
    pub(super) previous_etag: Option<String>,
    pub(super) etag: Option<String>,
    pub(super) items: Vec<Value>,
    pub(super) causes: Vec<Value>,
}

/// As `dps_events::ConnectionRecord`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Connection {
    pub(super) micros: u64,
    pub(super) protocol: String,
    pub(super) peer: String,
    pub(super) stage: String,
    pub(super) reason: String,
    pub(super) hub_device: Option<HubDevice>,
    pub(super) causes: Vec<Value>,
}

/// As `dps_events::PollsRecord`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Polls {
    pub(super) micros: u64,
    pub(super) operation_id: String,
    pub(super) protocol: String,
    pub(super) count: u32,
    pub(super) last: Option<Timestamp>,
    pub(super) status: Option<String>,
}

/// As `dps_events::HubConnectionRecord`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HubConnection {
    pub(super) micros: u64,
    #[serde(flatten)]
    pub(super) device: HubDevice,
    pub(super) protocol: Option<String>,
    pub(super) peer: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct HubDevice {
    pub(super) hub: String,
    pub(super) device_id: String,
    pub(super) module_id: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Enrollment {
    pub(super) kind: String,
    pub(super) id: String,
}

impl Enrollment {
    /// As a sentence names it.
    pub(super) fn words(&self) -> String {
        if self.kind == "EnrollmentGroup" {
            format!("enrollment group {}", self.id)
        } else {
            format!("individual enrollment {}", self.id)
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Candidate {
    pub(super) enrollment: Enrollment,
    pub(super) reason: String,
    pub(super) detail: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Certificate {
    pub(super) subject: String,
    pub(super) issuer: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Allocation {
    pub(super) policy: String,
    pub(super) region: Option<String>,
    pub(super) scores: Vec<Score>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Score {
    pub(super) hub: String,
    pub(super) latency_ms: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Webhook {
    pub(super) url: String,
    pub(super) calls: u32,
    pub(super) answer: String,
    pub(super) last: Option<Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct HubAnswer {
    pub(super) status: Option<u16>,
    pub(super) stage: Option<String>,
    pub(super) body: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Fault {
    pub(super) rule: String,
    pub(super) kind: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) micros: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Outcome {
    pub(super) result: String,
    pub(super) code: Option<u32>,
    pub(super) message: String,
}
