//! The columns of an event's log row, and beneath `properties` the whole record, which is the line of the attempt log;
//! resource logs have [`crate::Properties`] there instead. Owns names and masking; must not know where rows are kept.

use std::net::{IpAddr, SocketAddr};

use dps_model::{ApiVersion, Timestamp, TrackingId};
use serde::Serialize;

use crate::record::{
    AttemptRecord, ConnectionRecord, Event, HubConnectionRecord, Operation, Outcome, PollsRecord,
};

/// How much of a caller's address a row shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressMask {
    /// All but the last part, as Azure does.
    #[default]
    Masked,
    /// All.
    Full,
    /// Nothing.
    None,
}

impl AddressMask {
    /// An address as it is shown.
    pub fn show(self, address: IpAddr) -> String {
        match (self, address) {
            (Self::None, _) => String::new(),
            (Self::Full, address) => address.to_string(),
            (Self::Masked, IpAddr::V4(address)) => {
                let [a, b, c, _] = address.octets();
                format!("{a}.{b}.{c}.XXX")
            }
            (Self::Masked, IpAddr::V6(address)) => {
                if let Some(address) = address.to_ipv4_mapped() {
                    return self.show(address.into());
                }
                let [a, b, c, d, ..] = address.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}:XXX")
            }
        }
    }
}

/// One row (Azure: "DPS resource logs"; raw shape with the record in place of Azure's three properties).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogRow<'a> {
    /// When the unit of work began.
    pub time: Timestamp,
    /// `DeviceOperations`, `ServiceOperations` or `Administrative`.
    pub category: &'static str,
    /// `AttestationAttempt`, `RegistrationAttempt`, `Upsert` …
    pub operation_name: &'static str,
    /// API version as month and year; empty when unknown.
    pub operation_version: &'static str,
    /// `Success`, `ClientError` or `Failure`.
    pub result_type: &'static str,
    /// HTTP status of a failure, else empty.
    pub result_signature: String,
    /// What went wrong, else empty.
    pub result_description: String,
    /// Milliseconds, as text.
    pub duration_ms: String,
    /// Last part masked.
    pub caller_ip_address: String,
    /// The same whole, for who masks by a setting.
    #[serde(skip)]
    pub caller: Option<IpAddr>,
    /// Microseconds, of `duration_ms`.
    #[serde(skip)]
    pub micros: u64,
    /// The provisioning service, once known.
    #[serde(skip)]
    pub instance: Option<&'a str>,
    /// `trackingId` of the error body.
    pub correlation_id: TrackingId,
    /// `Information`, `Warning` or `Error`.
    pub level: &'static str,
    /// Code of the foremost cause of a refusal or a failure, else empty.
    #[serde(skip)]
    pub cause: &'static str,
    /// The whole record.
    pub properties: &'a Event,
}

/// What the kinds of events share in a row.
struct Head<'a> {
    category: &'static str,
    operation_name: &'static str,
    api_version: Option<&'a str>,
    time: Timestamp,
    micros: u64,
    peer: Option<SocketAddr>,
    instance: Option<&'a str>,
    correlation_id: TrackingId,
    outcome: &'a Outcome,
}

impl Event {
    /// The row; none for what is counted only (polls and lookups that were answered) and what the attempt log alone
    /// tells.
    pub fn row(&self) -> Option<LogRow<'_>> {
        let told = match self {
            Self::Attempt(attempt) => {
                attempt.operation == Operation::Register || attempt.outcome != Outcome::Success
            }
            Self::Polls(_) | Self::HubConnection(_) => false,
            _ => true,
        };
        told.then(|| self.line())
    }

    /// Does it have a line in the attempt log?
    pub fn is_kept(&self) -> bool {
        match self {
            Self::Polls(_) | Self::HubConnection(_) => true,
            _ => self.row().is_some(),
        }
    }

    /// The line of the attempt log.
    pub fn line(&self) -> LogRow<'_> {
        let head = self.head();
        let result_type = head.outcome.result_type();
        let level = match result_type {
            "Success" => "Information",
            "ClientError" => "Warning",
            _ => "Error",
        };
        // A service that is called from within has no connection.
        let caller = head.peer.map(|peer| peer.ip()).filter(|address| !address.is_unspecified());
        LogRow {
            time: head.time,
            category: head.category,
            operation_name: head.operation_name,
            operation_version: head
                .api_version
                .and_then(ApiVersion::parse)
                .map_or("", ApiVersion::month_year),
            result_type,
            result_signature: head.outcome.status().map(|status| status.to_string()).unwrap_or_default(),
            result_description: description(self, head.outcome),
            duration_ms: (head.micros / 1_000).to_string(),
            caller_ip_address: caller.map(|caller| AddressMask::Masked.show(caller)).unwrap_or_default(),
            caller,
            micros: head.micros,
            instance: head.instance,
            correlation_id: head.correlation_id,
            level,
            cause: self.cause().map_or("", |cause| cause.code),
            properties: self,
        }
    }

    /// When its unit of work began.
    pub fn time(&self) -> Timestamp {
        self.head().time
    }

    fn head(&self) -> Head<'_> {
        match self {
            Self::Attempt(attempt) => attempt_head(attempt),
            Self::Assignment(assignment) => Head {
                category: DEVICE_OPERATIONS,
                operation_name: "RegistrationAttempt",
                api_version: None,
                time: assignment.time,
                micros: assignment.micros,
                peer: None,
                instance: Some(&assignment.instance),
                correlation_id: assignment.tracking_id,
                outcome: &assignment.outcome,
            },
            Self::ServiceCall(call) => Head {
                category: "ServiceOperations",
                operation_name: call.operation,
                api_version: call.api_version.as_deref(),
                time: call.time,
                micros: call.micros,
                peer: Some(call.peer),
                instance: call.instance.as_deref(),
                correlation_id: call.tracking_id,
                outcome: &call.outcome,
            },
            Self::ManagementCall(call) => Head {
                category: "Administrative",
                operation_name: call.operation,
                // Its versions are ARM's, which the data plane's list does not know.
                api_version: None,
                time: call.time,
                micros: call.micros,
                peer: Some(call.peer),
                instance: call.instance.as_deref(),
                correlation_id: call.tracking_id,
                outcome: &call.outcome,
            },
            Self::Connection(connection) => connection_head(connection),
            Self::LinkProbe(probe) => Head {
                category: "ServiceOperations",
                operation_name: "LinkedHubProbe",
                api_version: None,
                time: probe.time,
                micros: probe.micros,
                peer: None,
                instance: Some(&probe.instance),
                correlation_id: probe.tracking_id,
                outcome: &probe.outcome,
            },
            Self::Polls(polls) => polls_head(polls),
            Self::HubConnection(connection) => hub_connection_head(connection),
        }
    }
}

const DEVICE_OPERATIONS: &str = "DeviceOperations";

fn connection_head(connection: &ConnectionRecord) -> Head<'_> {
    Head {
        category: DEVICE_OPERATIONS,
        operation_name: "Connection",
        api_version: None,
        time: connection.time,
        micros: connection.micros,
        peer: Some(connection.peer),
        instance: None,
        correlation_id: connection.tracking_id,
        outcome: &CONNECTION_REFUSED,
    }
}

fn polls_head(polls: &PollsRecord) -> Head<'_> {
    Head {
        category: DEVICE_OPERATIONS,
        operation_name: "OperationStatusLookup",
        api_version: None,
        time: polls.time,
        micros: polls.micros,
        peer: None,
        instance: polls.instance.as_deref(),
        correlation_id: polls.tracking_id,
        outcome: &Outcome::Success,
    }
}

fn hub_connection_head(connection: &HubConnectionRecord) -> Head<'_> {
    Head {
        category: DEVICE_OPERATIONS,
        operation_name: "HubConnection",
        api_version: None,
        time: connection.time,
        micros: connection.micros,
        peer: connection.peer,
        instance: None,
        correlation_id: connection.tracking_id,
        outcome: &Outcome::Success,
    }
}

fn attempt_head(attempt: &AttemptRecord) -> Head<'_> {
    Head {
        category: DEVICE_OPERATIONS,
        operation_name: match (attempt.operation, &attempt.outcome) {
            // The attempt is the request that answers it: counted by this name, each attempt counts once.
            (_, Outcome::Challenged) => "AttestationChallenge",
            (operation, _) => device_operation(operation),
        },
        api_version: attempt.api_version.as_deref(),
        time: attempt.time,
        micros: attempt.micros,
        peer: Some(attempt.peer),
        instance: attempt.instance.as_deref(),
        correlation_id: attempt.tracking_id,
        outcome: &attempt.outcome,
    }
}

const fn device_operation(operation: Operation) -> &'static str {
    match operation {
        Operation::Register => "AttestationAttempt",
        Operation::OperationStatus => "OperationStatusLookup",
        Operation::RegistrationLookup => "RegistrationStatusLookup",
        Operation::Unrouted => "Unrouted",
    }
}

/// A connection that ended before a request has no other outcome.
static CONNECTION_REFUSED: Outcome = Outcome::Failed {
    code: 0,
    name: "ConnectionRefused",
    result_type: "ClientError",
    message: String::new(),
    cause: None,
};

fn description(event: &Event, outcome: &Outcome) -> String {
    match (event, outcome) {
        (Event::Connection(connection), _) => format!("{}: {}", connection.stage, connection.reason),
        (Event::LinkProbe(probe), Outcome::Success) => {
            format!("the linked hub {} works again", probe.hub)
        }
        // Where it was explained, that says more than the cause that the error brought along.
        (event, Outcome::Failed { code, message, cause, .. })
            if event.cause().is_some() || cause.is_some() =>
        {
            let sentence = event.cause().map(|cause| cause.sentence.as_str());
            let told = sentence.or(cause.as_deref()).unwrap_or_default();
            if told == message { format!("{code} {message}") } else { format!("{code} {message}: {told}") }
        }
        (_, Outcome::Failed { code, message, .. }) => format!("{code} {message}"),
        (_, Outcome::Abandoned) => "the client went away before it was answered".to_owned(),
        (_, Outcome::Success | Outcome::Challenged) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use dps_model::registration::Substatus;
    use dps_model::{Channel, Error, ErrorCode, Protocol, Timestamp, TlsSession, TrackingId};

    use super::AddressMask;
    use crate::record::{
        AssignmentRecord, AttemptRecord, ConnectionRecord, Enrollment, Event, Operation, Outcome,
    };

    fn attempt(operation: Operation, outcome: Outcome) -> Event {
        let peer = "24.18.226.7:5000".parse().unwrap();
        let channel = Channel { protocol: Protocol::Mqtt, peer, tls: TlsSession::default() };
        let mut record =
            AttemptRecord::open(TrackingId::fresh(), Timestamp::from_millis(0), &channel, operation);
        record.api_version = Some("2019-03-31".into());
        record.micros = 226_400;
        record.outcome = outcome;
        Event::Attempt(Box::new(record))
    }

    #[test]
    fn accepted_register_is_a_row_of_azures_columns() {
        let event = attempt(Operation::Register, Outcome::Success);
        let row = serde_json::to_value(event.row().unwrap()).unwrap();
        assert_eq!(row["operationName"], "AttestationAttempt");
        assert_eq!(row["operationVersion"], "March2019");
        assert_eq!(row["durationMs"], "226");
        assert_eq!(row["callerIpAddress"], "24.18.226.XXX");
        assert_eq!((&row["resultSignature"], &row["resultDescription"]), (&"".into(), &"".into()));
    }

    #[test]
    fn challenge_is_a_row_under_a_name_of_its_own() {
        let event = attempt(Operation::Register, Outcome::Challenged);
        let row = event.row().unwrap();
        assert_eq!((row.operation_name, row.result_type), ("AttestationChallenge", "Success"));
    }

    #[test]
    fn connection_that_was_never_answered_has_no_status() {
        let event = Event::Connection(Box::new(ConnectionRecord {
            tracking_id: TrackingId::fresh(),
            time: Timestamp::from_millis(0),
            micros: 1,
            protocol: Protocol::Mqtt,
            peer: "127.0.0.1:9".parse().unwrap(),
            stage: "handshake",
            reason: "no TLS record".into(),
            causes: Vec::new(),
            claimed: None,
            hub_device: None,
            handshake: None,
        }));
        let row = event.row().unwrap();
        assert_eq!((row.result_type, row.result_signature.as_str()), ("ClientError", ""));
        assert_eq!(row.result_description, "handshake: no TLS record");
    }

    #[test]
    fn address_is_shown_as_the_mask_says() {
        for (address, masked) in [
            ("24.18.226.7", "24.18.226.XXX"),
            ("2001:db8:1:2:3::4", "2001:db8:1:2:XXX"),
            ("::ffff:24.18.226.7", "24.18.226.XXX"),
        ] {
            let address: std::net::IpAddr = address.parse().unwrap();
            assert_eq!(AddressMask::Masked.show(address), masked);
            assert_eq!(AddressMask::Full.show(address), address.to_string());
            assert_eq!(AddressMask::None.show(address), "");
        }
    }

    #[test]
    fn poll_is_a_row_only_when_refused() {
        assert!(attempt(Operation::OperationStatus, Outcome::Success).row().is_none());
        let error = Error::new(ErrorCode::OperationNotFound);
        let event = attempt(Operation::OperationStatus, Outcome::failed(&error));
        let row = event.row().unwrap();
        assert_eq!((row.result_type, row.result_signature.as_str()), ("ClientError", "404"));
    }

    #[test]
    fn failed_assignment_tells_code_and_cause() {
        let error = Error::new(ErrorCode::HubUnreachable).because("connection refused");
        let event = Event::Assignment(Box::new(AssignmentRecord {
            tracking_id: TrackingId::fresh(),
            time: Timestamp::from_millis(0),
            micros: 1,
            instance: "dps".into(),
            registration_id: "x".into(),
            operation_id: "5.0.0".into(),
            protocol: None,
            enrollment: Enrollment { kind: "IndividualEnrollment", id: "x".into() },
            hub: None,
            device_id: None,
            substatus: Some(Substatus::InitialAssignment),
            moved_from: None,
            twin: None,
            webhook: None,
            hub_answer: None,
            attempts: 5,
            resumed: false,
            fault: None,
            steps: Vec::new(),
            causes: Vec::new(),
            outcome: Outcome::failed(&error),
        }));
        let row = event.row().unwrap();
        assert_eq!((row.operation_name, row.level), ("RegistrationAttempt", "Error"));
        assert_eq!(
            row.result_description,
            "500101 An error occurred while sending the request.: connection refused"
        );
    }
}
