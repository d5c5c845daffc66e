//! The records: facts of one unit of work, bounded, free of secrets (a SAS signature only as a hash).

mod allocation;
pub mod exchange;
mod handshake;
mod hub_connection;
mod link_probe;
mod polls;
mod presented;

use std::net::SocketAddr;

use dps_model::{Channel, Error, Protocol, Timestamp, TrackingId};
use serde::Serialize;

pub use allocation::{Allocation, Score};
pub use exchange::{HubAnswer, WebhookExchange};
pub use handshake::HandshakeRecord;
pub use hub_connection::{HubConnectionRecord, HubDeviceName};
pub use link_probe::LinkProbeRecord;
pub use polls::PollsRecord;
pub use presented::Presented;

use crate::cause::Cause;

/// A closed unit of work.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "camelCase")]
pub enum Event {
    /// A register request, a poll or a lookup of a device.
    Attempt(Box<AttemptRecord>),
    /// An operation that ended: assigned or failed.
    Assignment(Box<AssignmentRecord>),
    /// A call of the service API.
    ServiceCall(Box<ServiceCallRecord>),
    /// A call of the management API.
    ManagementCall(Box<ManagementCallRecord>),
    /// A connection that ended before there was a request.
    Connection(Box<ConnectionRecord>),
    /// A linked hub that stopped working, still does not, or works again.
    LinkProbe(Box<LinkProbeRecord>),
    /// Polls of an operation that were answered.
    Polls(Box<PollsRecord>),
    /// A device that connected to a hub.
    HubConnection(Box<HubConnectionRecord>),
}

impl Event {
    /// Named causes of how it ended, best first.
    pub fn causes(&self) -> &[Cause] {
        match self {
            Self::Attempt(attempt) => &attempt.causes,
            Self::Assignment(assignment) => &assignment.causes,
            Self::ServiceCall(call) => &call.causes,
            Self::ManagementCall(call) => &call.causes,
            Self::Connection(connection) => &connection.causes,
            Self::LinkProbe(probe) => &probe.causes,
            Self::Polls(_) | Self::HubConnection(_) => &[],
        }
    }

    /// The foremost cause of a refusal or a failure.
    pub fn cause(&self) -> Option<&Cause> {
        self.causes().first().filter(|_| !self.succeeded())
    }

    /// Did it end as it was asked for? A challenge is on the way there.
    pub fn succeeded(&self) -> bool {
        let outcome = match self {
            Self::Attempt(attempt) => &attempt.outcome,
            Self::Assignment(assignment) => &assignment.outcome,
            Self::ServiceCall(call) => &call.outcome,
            Self::ManagementCall(call) => &call.outcome,
            Self::LinkProbe(probe) => &probe.outcome,
            Self::Connection(_) => return false,
            Self::Polls(_) | Self::HubConnection(_) => return true,
        };
        matches!(outcome, Outcome::Success | Outcome::Challenged)
    }

    /// Where its causes are noted; nowhere for what is its own explanation.
    pub fn causes_mut(&mut self) -> Option<&mut Vec<Cause>> {
        match self {
            Self::Attempt(attempt) => Some(&mut attempt.causes),
            Self::Assignment(assignment) => Some(&mut assignment.causes),
            Self::ServiceCall(call) => Some(&mut call.causes),
            Self::ManagementCall(call) => Some(&mut call.causes),
            Self::Connection(connection) => Some(&mut connection.causes),
            Self::LinkProbe(probe) => Some(&mut probe.causes),
            Self::Polls(_) | Self::HubConnection(_) => None,
        }
    }
}

/// What a device asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Operation {
    /// Register; this alone is an attestation attempt.
    Register,
    /// Operation status poll.
    OperationStatus,
    /// Registration status lookup.
    RegistrationLookup,
    /// A request that named no operation of the device API (405, 415, unrouted).
    Unrouted,
}

impl Operation {
    /// The value in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Register => "Register",
            Self::OperationStatus => "OperationStatus",
            Self::RegistrationLookup => "RegistrationLookup",
            Self::Unrouted => "Unrouted",
        }
    }
}

/// How a unit of work ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Default)]
#[serde(tag = "result", rename_all = "camelCase")]
pub enum Outcome {
    /// The exit was reached without closing the event: the peer went away or the task was dropped.
    #[default]
    Abandoned,
    /// As asked.
    Success,
    /// A challenge was issued; the attempt goes on with its answer.
    Challenged,
    /// Refused or failed.
    #[serde(rename_all = "camelCase")]
    Failed {
        /// Code of the catalogue.
        code: u32,
        /// Name of the row.
        name: &'static str,
        /// `ClientError` or `Failure`.
        result_type: &'static str,
        /// What the client was told.
        message: String,
        /// What only the operator is told.
        #[serde(skip_serializing_if = "Option::is_none")]
        cause: Option<String>,
    },
}

impl Outcome {
    /// The outcome of a result.
    pub fn of<T>(result: &Result<T, Error>) -> Self {
        match result {
            Ok(_) => Self::Success,
            Err(error) => Self::failed(error),
        }
    }

    /// The outcome of a failure.
    pub fn failed(error: &Error) -> Self {
        let row = error.code.row();
        Self::Failed {
            code: row.code,
            name: row.name,
            result_type: row.fault.result_type(),
            message: error.message.clone().into_owned(),
            cause: error.cause.as_ref().map(|cause| cause.clone().into_owned()),
        }
    }

    /// `ResultType` of the log row and `Status` of the metrics.
    pub fn result_type(&self) -> &'static str {
        match self {
            Self::Success | Self::Challenged => "Success",
            Self::Failed { result_type, .. } => result_type,
            Self::Abandoned => "Failure",
        }
    }

    /// Code of the catalogue, of a failure.
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::Failed { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// HTTP status of a failure; none where the peer spoke too little to be answered with one.
    pub fn status(&self) -> Option<u32> {
        match self {
            Self::Failed { code, .. } => Some(code / 1000).filter(|status| *status > 0),
            _ => None,
        }
    }
}

/// The duration of one step of a unit of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// e.g. `findEnrollment`, `verify`, `admit`.
    pub name: &'static str,
    /// Microseconds.
    pub micros: u64,
}

/// Which enrollment, as logs name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Enrollment {
    /// `IndividualEnrollment` or `EnrollmentGroup`.
    pub kind: &'static str,
    /// Registration id or group id.
    pub id: String,
}

/// An enrollment that might have let the device in, and the first predicate that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// Which.
    pub enrollment: Enrollment,
    /// Stable code of the reason, e.g. `SAS_SIGNATURE_MISMATCH`.
    pub reason: &'static str,
    /// One sentence with the very things involved.
    pub detail: String,
}

/// A presented certificate, in a few words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateSummary {
    /// Subject.
    pub subject: String,
    /// Issuer.
    pub issuer: String,
    /// SHA-256 thumbprint, upper-case hex.
    pub sha256_thumbprint: String,
    /// Subject key identifier, hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_key_id: Option<String>,
    /// Authority key identifier, hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority_key_id: Option<String>,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
}

/// A SAS token without its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SasSummary {
    /// `sr` as it came.
    pub resource: String,
    /// `se`, Unix seconds.
    pub expiry: i64,
    /// `skn`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Hash of the signature, hex.
    pub signature_hash: String,
}

/// What a custom-allocation webhook was asked and said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookCall {
    /// Its URL, without what opens it.
    pub url: String,
    /// Calls made so far.
    pub calls: u32,
    /// What the last one came to, in a few words.
    pub answer: String,
    /// The last one itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Box<WebhookExchange>>,
}

/// A fault that a development server was told to cause: what happened is its doing, not the device's or the hub's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InjectedFault {
    /// Id of the rule.
    pub rule: String,
    /// `drop`, `delay`, `throttle`, `error`, `disconnect`, `hubDown` or `webhookDown`.
    pub kind: &'static str,
}

/// A device's request: everything an explanation needs.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptRecord {
    /// `trackingId` of the error body.
    pub tracking_id: TrackingId,
    /// When it began.
    pub time: Timestamp,
    /// Microseconds from begin to close.
    pub micros: u64,
    /// What was asked for.
    pub operation: Operation,
    /// Name of the instance, once known.
    pub instance: Option<String>,
    /// As the client wrote it.
    pub id_scope: String,
    /// As the client wrote it.
    pub registration_id: String,
    /// `api-version` as the client wrote it.
    pub api_version: Option<String>,
    /// SDK and version as the client tells.
    pub client: Option<String>,
    /// How it came.
    pub protocol: Protocol,
    /// Where from.
    pub peer: SocketAddr,
    /// TLS version.
    pub tls_version: String,
    /// Cipher suite.
    pub tls_cipher: String,
    /// Server name asked for.
    pub sni: Option<String>,
    /// Presented chain, leaf first.
    pub chain: Vec<CertificateSummary>,
    /// What the device showed, whole; not kept with the record.
    #[serde(skip)]
    pub presented: Presented,
    /// SAS fields.
    pub sas: Option<SasSummary>,
    /// Name of the presented endorsement key, hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endorsement_key: Option<String>,
    /// Enrollments considered that did not let the device in.
    pub candidates: Vec<Candidate>,
    /// Symmetric-key groups tried without a match.
    pub groups_tried: u32,
    /// The enrollment that decided.
    pub enrollment: Option<Enrollment>,
    /// Its mechanism.
    pub mechanism: Option<&'static str>,
    /// `primary` or `secondary`.
    pub slot: Option<&'static str>,
    /// Stable code of the reason of a refusal.
    pub reason: Option<&'static str>,
    /// Its operation.
    pub operation_id: Option<String>,
    /// The status answered.
    pub status: Option<dps_model::registration::Status>,
    /// The hub, once known.
    pub hub: Option<String>,
    /// How it was chosen.
    pub allocation: Option<Allocation>,
    /// What a development server did to it, as it was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<InjectedFault>,
    /// Durations, in order.
    pub steps: Vec<Step>,
    /// Named causes of how it ended, best first; filled before it is kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// How it ended.
    pub outcome: Outcome,
}

impl AttemptRecord {
    /// The record of a request that begins now: what the connection tells is filled in, the rest is to come.
    pub fn open(tracking_id: TrackingId, time: Timestamp, channel: &Channel, operation: Operation) -> Self {
        Self {
            tracking_id,
            time,
            micros: 0,
            operation,
            instance: None,
            id_scope: String::new(),
            registration_id: String::new(),
            api_version: None,
            client: None,
            protocol: channel.protocol,
            peer: channel.peer,
            tls_version: channel.tls.version.clone(),
            tls_cipher: channel.tls.cipher.clone(),
            sni: channel.tls.sni.clone(),
            chain: Vec::new(),
            presented: Presented::by(&channel.tls.chain),
            sas: None,
            endorsement_key: None,
            candidates: Vec::new(),
            groups_tried: 0,
            enrollment: None,
            mechanism: None,
            slot: None,
            reason: None,
            operation_id: None,
            status: None,
            hub: None,
            allocation: None,
            fault: None,
            steps: Vec::new(),
            causes: Vec::new(),
            outcome: Outcome::Abandoned,
        }
    }
}

/// An operation that ended.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssignmentRecord {
    /// Its own correlation id.
    pub tracking_id: TrackingId,
    /// When the operation was taken up.
    pub time: Timestamp,
    /// Microseconds from then to the end.
    pub micros: u64,
    /// Name of the instance.
    pub instance: String,
    /// Whose.
    pub registration_id: String,
    /// The operation.
    pub operation_id: String,
    /// The protocol of the register request.
    pub protocol: Option<Protocol>,
    /// The enrollment.
    pub enrollment: Enrollment,
    /// The hub, once chosen.
    pub hub: Option<String>,
    /// Id on the hub.
    pub device_id: Option<String>,
    /// How it came there.
    pub substatus: Option<dps_model::registration::Substatus>,
    /// The hub that it was on before, where that was another one or another identity.
    pub moved_from: Option<String>,
    /// What became of its twin: `initial`, `kept`, `carried`, `carriedWithoutReported`, `reset`, or `lost` where it
    /// should have been carried and there was none to read.
    pub twin: Option<&'static str>,
    /// The custom-allocation webhook, where there is one.
    pub webhook: Option<WebhookCall>,
    /// What a hub answered last to what it did not do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hub_answer: Option<HubAnswer>,
    /// Attempts made at the hub.
    pub attempts: u32,
    /// True when a crash or a lost lease made this node take it over.
    pub resumed: bool,
    /// What a development server did to it, as it was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<InjectedFault>,
    /// Durations, in order.
    pub steps: Vec<Step>,
    /// Named causes of how it ended, best first; filled before it is kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// How it ended.
    pub outcome: Outcome,
}

/// A call of the service API.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceCallRecord {
    /// `trackingId` of the error body.
    pub tracking_id: TrackingId,
    /// When it began.
    pub time: Timestamp,
    /// Microseconds from begin to close.
    pub micros: u64,
    /// Name of the instance.
    pub instance: Option<String>,
    /// `Upsert`, `Get`, `Delete`, `Query` …
    pub operation: &'static str,
    /// `IndividualEnrollment`, `EnrollmentGroup`, `Registration` …
    pub kind: &'static str,
    /// The id in the path.
    pub id: Option<String>,
    /// `api-version` as the client wrote it.
    pub api_version: Option<String>,
    /// User agent.
    pub client: Option<String>,
    /// Shared access policy or principal.
    pub caller: Option<String>,
    /// `SharedAccessSignature`, `Bearer` or `ManagementToken`.
    pub auth: Option<&'static str>,
    /// Which credential: the slot of the policy's key; issuer, role and ids of a bearer token.
    pub credential: Option<String>,
    /// Where from.
    pub peer: SocketAddr,
    /// Version before the change.
    pub previous_etag: Option<String>,
    /// Version after it; none of what was deleted.
    pub etag: Option<String>,
    /// What became of each item of a bulk operation; at most ten.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<BulkItemRecord>,
    /// Named causes of how it ended, best first; filled before it is kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// How it ended.
    pub outcome: Outcome,
}

/// One item of a bulk operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BulkItemRecord {
    /// Its id as the client wrote it, cut.
    pub id: String,
    /// Version before the change.
    pub previous_etag: Option<String>,
    /// Version after it; none of what was deleted.
    pub etag: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
}

/// A call of the management API (Azure Resource Manager).
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ManagementCallRecord {
    /// `x-ms-request-id` of the answer.
    pub tracking_id: TrackingId,
    /// When it began.
    pub time: Timestamp,
    /// Microseconds from begin to close.
    pub micros: u64,
    /// ARM's name of the operation, e.g. `Microsoft.Devices/provisioningServices/write`.
    pub operation: &'static str,
    /// The resource that the path names.
    pub resource_id: Option<String>,
    /// Name of the instance, once known.
    pub instance: Option<String>,
    /// `api-version` as the client wrote it.
    pub api_version: Option<String>,
    /// User agent.
    pub client: Option<String>,
    /// Who called, as the identity provider names it.
    pub caller: Option<String>,
    /// `Bearer` or `ManagementToken`.
    pub auth: Option<&'static str>,
    /// Which credential: issuer, role and ids of a bearer token.
    pub credential: Option<String>,
    /// Where from.
    pub peer: SocketAddr,
    /// Version before the change.
    pub previous_etag: Option<String>,
    /// Version after it.
    pub etag: Option<String>,
    /// Members that changed, never their values.
    pub changed: Vec<&'static str>,
    /// Named causes of how it ended, best first; filled before it is kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// How it ended.
    pub outcome: Outcome,
}

/// A connection that ended before there was a request.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionRecord {
    /// Its own correlation id.
    pub tracking_id: TrackingId,
    /// When it was accepted.
    pub time: Timestamp,
    /// Microseconds until it ended.
    pub micros: u64,
    /// The port's protocol.
    pub protocol: Protocol,
    /// Where from.
    pub peer: SocketAddr,
    /// `accept`, `handshake`, `connect`, `protocol` …
    pub stage: &'static str,
    /// One sentence.
    pub reason: String,
    /// Named causes of how it ended, best first; filled before it is kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// Who it claimed to be, where it said so.
    pub claimed: Option<String>,
    /// Whom a hub refused, where a hub did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hub_device: Option<HubDeviceName>,
    /// The handshake, where it ended in there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshake: Option<Box<HandshakeRecord>>,
}
