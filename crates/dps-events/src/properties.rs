//! `properties` of a resource log row: Azure's three members, and beneath them what an operator asks next. Owns names
//! and what is left out: candidates, chains and tokens stay in the attempt record. Must not know columns.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::record::{
    AssignmentRecord, AttemptRecord, ConnectionRecord, Enrollment, Event, InjectedFault, LinkProbeRecord,
    ManagementCallRecord, Outcome, ServiceCallRecord, Step,
};

/// The members, in the order of their text. What is not known is not there.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Properties<'a> {
    /// Registration id, or the id in the path of a service call; a hub's name of a link probe.
    pub id: &'a str,
    /// `Registration`, `IndividualEnrollment`, `EnrollmentGroup`, and of our own `Connection` and `LinkedHub`.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// `Http`, `Mqtt`, `MqttWs`, `Amqp` or `AmqpWs`; empty of what no request began.
    pub protocol: &'a str,
    /// The operation that a register request began, or a poll asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_id: Option<&'a str>,
    /// Registration id of the individual enrollment that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enrollment: Option<&'a str>,
    /// Id of the enrollment group that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<&'a str>,
    /// `symmetricKey`, `x509` or `tpm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mechanism: Option<&'a str>,
    /// `primary` or `secondary`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<&'a str>,
    /// The linked hub.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hub: Option<&'a str>,
    /// The policy that chose it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocation: Option<&'a str>,
    /// Id on the hub, where it has been written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<&'a str>,
    /// `assigning`, `assigned`, `failed` …, as the device was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Value>,
    /// How the device came to its hub.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub substatus: Option<Value>,
    /// The hub it was on before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<&'a str>,
    /// What became of its twin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub twin: Option<&'a str>,
    /// What the custom-allocation webhook said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<&'a str>,
    /// Attempts made at the hub.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// Six digits, of a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// Name of the catalogue's row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a str>,
    /// Stable code of the reason, e.g. `SAS_SIGNATURE_MISMATCH`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    /// What only the operator is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<&'a str>,
    /// What a development server did to it, as it was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<&'a InjectedFault>,
    /// As the device wrote it, where no provisioning service has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_scope: Option<&'a str>,
    /// SDK and version, or user agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<&'a str>,
    /// Shared access policy or principal of a service call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<&'a str>,
    /// How a service call was authenticated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<&'a str>,
    /// `TLSv1.2` or `TLSv1.3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<&'a str>,
    /// Where a connection stood when it ended: `handshake`, `connect`, `protocol` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<&'a str>,
    /// `Down`, `StillDown` or `Up`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub news: Option<&'a str>,
    /// Codes of the named causes, best first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<&'static str>,
    /// Items of a bulk operation that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_items: Option<usize>,
    /// Microseconds by step; those of a step that was repeated are added up.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub steps: Map<String, Value>,
}

impl Event {
    /// What its row tells besides the columns.
    pub fn properties(&self) -> Properties<'_> {
        let mut properties = self.own_properties();
        properties.causes = self.causes().iter().map(|cause| cause.code).collect();
        if let Some(cause) = self.cause() {
            properties.cause = Some(&cause.sentence);
        }
        properties
    }

    fn own_properties(&self) -> Properties<'_> {
        match self {
            Self::Attempt(attempt) => Properties::of_attempt(attempt),
            Self::Assignment(assignment) => Properties::of_assignment(assignment),
            Self::ServiceCall(call) => Properties::of_service_call(call),
            Self::ManagementCall(call) => Properties::of_management_call(call),
            Self::Connection(connection) => Properties::of_connection(connection),
            Self::LinkProbe(probe) => Properties::of_link_probe(probe),
            // No rows are made of these.
            Self::Polls(_) | Self::HubConnection(_) => Properties::default(),
        }
    }
}

impl<'a> Properties<'a> {
    /// As text; a row's `properties` is JSON in a string.
    pub fn text(&self) -> String {
        // Strings, numbers and maps with strings for keys: nothing that JSON cannot write.
        serde_json::to_string(self).unwrap_or_default()
    }

    fn of_attempt(attempt: &'a AttemptRecord) -> Self {
        let unknown_scope = attempt.instance.is_none() && !attempt.id_scope.is_empty();
        Self {
            id: &attempt.registration_id,
            kind: "Registration",
            protocol: attempt.protocol.as_str(),
            operation_id: attempt.operation_id.as_deref(),
            mechanism: attempt.mechanism,
            slot: attempt.slot,
            hub: attempt.hub.as_deref(),
            allocation: attempt.allocation.as_ref().map(|allocation| allocation.policy),
            status: attempt.status.and_then(|status| serde_json::to_value(status).ok()),
            reason: attempt.reason,
            fault: attempt.fault.as_ref(),
            id_scope: unknown_scope.then_some(attempt.id_scope.as_str()),
            client: attempt.client.as_deref(),
            tls: Some(attempt.tls_version.as_str()).filter(|version| !version.is_empty()),
            steps: steps(&attempt.steps),
            ..Self::default()
        }
        .decided_by(attempt.enrollment.as_ref())
        .ended(&attempt.outcome)
    }

    fn of_assignment(assignment: &'a AssignmentRecord) -> Self {
        Self {
            id: &assignment.registration_id,
            kind: "Registration",
            protocol: assignment.protocol.map_or("", dps_model::Protocol::as_str),
            operation_id: Some(&assignment.operation_id),
            hub: assignment.hub.as_deref(),
            device_id: assignment.device_id.as_deref(),
            substatus: assignment.substatus.and_then(|substatus| serde_json::to_value(substatus).ok()),
            moved_from: assignment.moved_from.as_deref(),
            twin: assignment.twin,
            webhook: assignment.webhook.as_ref().map(|webhook| webhook.answer.as_str()),
            attempts: Some(assignment.attempts),
            fault: assignment.fault.as_ref(),
            steps: steps(&assignment.steps),
            ..Self::default()
        }
        .decided_by(Some(&assignment.enrollment))
        .ended(&assignment.outcome)
    }

    fn of_service_call(call: &'a ServiceCallRecord) -> Self {
        let failed = call.items.iter().filter(|item| item.outcome != Outcome::Success).count();
        Self {
            id: call.id.as_deref().unwrap_or_default(),
            kind: call.kind,
            protocol: "Http",
            client: call.client.as_deref(),
            caller: call.caller.as_deref(),
            auth: call.auth,
            failed_items: (failed > 0).then_some(failed),
            ..Self::default()
        }
        .ended(&call.outcome)
    }

    fn of_management_call(call: &'a ManagementCallRecord) -> Self {
        Self {
            id: call.resource_id.as_deref().unwrap_or_default(),
            kind: "ProvisioningService",
            protocol: "Http",
            client: call.client.as_deref(),
            caller: call.caller.as_deref(),
            auth: call.auth,
            ..Self::default()
        }
        .ended(&call.outcome)
    }

    fn of_connection(connection: &'a ConnectionRecord) -> Self {
        Self {
            id: connection.claimed.as_deref().unwrap_or_default(),
            kind: "Connection",
            protocol: connection.protocol.as_str(),
            stage: Some(connection.stage),
            cause: Some(&connection.reason),
            ..Self::default()
        }
    }

    fn of_link_probe(probe: &'a LinkProbeRecord) -> Self {
        Self {
            id: &probe.hub,
            kind: "LinkedHub",
            hub: Some(&probe.hub),
            news: Some(probe.news),
            ..Self::default()
        }
        .ended(&probe.outcome)
    }

    fn decided_by(self, enrollment: Option<&'a Enrollment>) -> Self {
        match enrollment {
            Some(Enrollment { kind: "EnrollmentGroup", id }) => Self { group: Some(id), ..self },
            Some(Enrollment { id, .. }) => Self { enrollment: Some(id), ..self },
            None => self,
        }
    }

    fn ended(self, outcome: &'a Outcome) -> Self {
        match outcome {
            Outcome::Failed { code, name, cause, .. } => {
                Self { code: Some(*code), error: Some(name), cause: cause.as_deref(), ..self }
            }
            Outcome::Abandoned | Outcome::Success | Outcome::Challenged => self,
        }
    }
}

fn steps(steps: &[Step]) -> Map<String, Value> {
    let mut sums = Map::new();
    for step in steps {
        let sum = sums.get(step.name).and_then(Value::as_u64).unwrap_or(0);
        sums.insert(step.name.to_owned(), sum.saturating_add(step.micros).into());
    }
    sums
}

#[cfg(test)]
mod tests {
    use dps_model::registration::Status;
    use dps_model::{Channel, Error, ErrorCode, Protocol, Timestamp, TlsSession, TrackingId};

    use crate::record::{AttemptRecord, Enrollment, Event, Operation, Outcome, Step};

    fn attempt() -> AttemptRecord {
        let peer = "24.18.226.7:5000".parse().unwrap();
        let channel = Channel { protocol: Protocol::MqttWs, peer, tls: TlsSession::default() };
        let mut record = AttemptRecord::open(
            TrackingId::fresh(),
            Timestamp::from_millis(0),
            &channel,
            Operation::Register,
        );
        record.registration_id = "my-device-1".into();
        record.instance = Some("dps".into());
        record.id_scope = "0ne0000000A".into();
        record
    }

    fn text(record: AttemptRecord) -> String {
        Event::Attempt(Box::new(record)).properties().text()
    }

    #[test]
    fn properties_begin_with_azures_three() {
        let mut record = attempt();
        record.outcome = Outcome::Success;
        assert_eq!(text(record), r#"{"id":"my-device-1","type":"Registration","protocol":"MqttWs"}"#);
    }

    #[test]
    fn properties_of_an_admitted_request_name_operation_group_and_steps() {
        let mut record = attempt();
        record.operation_id = Some("5.0.0".into());
        record.enrollment = Some(Enrollment { kind: "EnrollmentGroup", id: "factory".into() });
        record.status = Some(Status::Assigning);
        record.steps =
            [("verify", 70), ("put", 1), ("put", 2)].map(|(name, micros)| Step { name, micros }).into();
        record.outcome = Outcome::Success;
        let shown: serde_json::Value = serde_json::from_str(&text(record)).unwrap();
        assert_eq!((&shown["operationId"], &shown["group"]), (&"5.0.0".into(), &"factory".into()));
        assert_eq!((&shown["status"], shown.get("enrollment")), (&"assigning".into(), None));
        assert_eq!(shown["steps"], serde_json::json!({"verify": 70, "put": 3}));
    }

    #[test]
    fn properties_of_a_refusal_name_code_reason_and_the_scope_that_nobody_has() {
        let mut record = attempt();
        record.instance = None;
        record.reason = Some("SAS_EXPIRED");
        record.outcome = Outcome::failed(&Error::new(ErrorCode::Unauthorized).because("the token is old"));
        let shown: serde_json::Value = serde_json::from_str(&text(record)).unwrap();
        assert_eq!((&shown["code"], &shown["error"]), (&401_000.into(), &"Unauthorized".into()));
        assert_eq!((&shown["reason"], &shown["cause"]), (&"SAS_EXPIRED".into(), &"the token is old".into()));
        assert_eq!(shown["idScope"], "0ne0000000A");
    }
}
