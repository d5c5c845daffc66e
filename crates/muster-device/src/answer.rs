//! What a provisioning service's answer means, whichever protocol carried it. Pure; nothing here waits or sends.

use bytes::Bytes;
use dps_model::registration::{DeviceRegistrationResult, RegistrationOperationStatus, Status};
use serde::Deserialize;

use crate::Error;
use crate::assignment::Assignment;
use crate::error::shown;

/// An answer as the transports hand it over.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// HTTP's number.
    pub(crate) status: u16,
    /// Seconds.
    pub(crate) retry_after: Option<u32>,
    /// JSON, or what the server took for it.
    pub(crate) body: Bytes,
}

/// Where the registration stands.
#[derive(Debug)]
pub(crate) enum Progress {
    /// Ask again.
    Assigning {
        /// What to ask for; `None` when the answer does not repeat it.
        operation_id: Option<String>,
        /// Seconds.
        retry_after: Option<u32>,
    },
    /// Done.
    Assigned(Box<Assigned>),
}

/// What the service says of an assigned device.
#[derive(Debug)]
pub(crate) struct Assigned {
    pub(crate) assignment: Assignment,
    /// A blob with the hub's key, for the device's TPM; base64.
    pub(crate) hub_key: Option<String>,
}

impl Assigned {
    fn from_state(operation_id: String, mut state: DeviceRegistrationResult) -> Option<Self> {
        let hub_key = state.tpm.take().and_then(|tpm| tpm.authentication_key);
        Some(Self { assignment: Assignment::from_state(operation_id, state)?, hub_key })
    }
}

/// A TPM's challenge, in the body of a 401.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Challenge {
    /// A blob with the key to sign with; base64.
    pub(crate) authentication_key: String,
    /// `skn` of the token.
    pub(crate) key_name: String,
}

impl Answer {
    /// Reads the answer to register or to a poll.
    pub(crate) fn progress(self) -> Result<Progress, Error> {
        if !(200..300).contains(&self.status) {
            return Err(self.refusal());
        }
        let answer: RegistrationOperationStatus = self.read()?;
        let RegistrationOperationStatus { operation_id, status, registration_state } = answer;
        match status {
            Status::Assigning | Status::Unassigned => Ok(Progress::Assigning {
                operation_id: Some(operation_id).filter(|id| !id.is_empty()),
                retry_after: self.retry_after,
            }),
            Status::Assigned => registration_state
                .and_then(|state| Assigned::from_state(operation_id, state))
                .map(|assigned| Progress::Assigned(Box::new(assigned)))
                .ok_or_else(|| {
                    Error::Protocol("the service says assigned and names no hub or no device".into())
                }),
            Status::Disabled => Err(Error::Disabled),
            Status::Failed => {
                let state = registration_state;
                let error_code = state.as_ref().and_then(|state| state.error_code).filter(|code| *code != 0);
                let message = state.and_then(|state| state.error_message).filter(|text| !text.is_empty());
                let message =
                    message.map_or_else(|| "the service gave no reason".into(), |text| shown(&text));
                Err(Error::Failed { error_code, message })
            }
        }
    }

    /// Reads the answer to a lookup: the assignment, if the device has one.
    pub(crate) fn registration(self) -> Result<Option<Assignment>, Error> {
        if !(200..300).contains(&self.status) {
            return Err(self.refusal());
        }
        let state: DeviceRegistrationResult = self.read()?;
        match state.status {
            Status::Assigned => Assignment::from_state(String::new(), state).map(Some).ok_or_else(|| {
                Error::Protocol("the service says assigned and names no hub or no device".into())
            }),
            Status::Disabled => Err(Error::Disabled),
            Status::Unassigned | Status::Assigning | Status::Failed => Ok(None),
        }
    }

    /// The challenge, if this is one.
    pub(crate) fn challenge(&self) -> Option<Challenge> {
        (self.status == 401).then(|| serde_json::from_slice(&self.body).ok()).flatten()
    }

    fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| {
            // The text of the error may repeat the server's; only its place is told.
            Error::Protocol(format!(
                "the service's answer ({}) is no registration status: line {}, column {}",
                self.status,
                error.line(),
                error.column()
            ))
        })
    }

    /// Reads an error answer, of a service or of a hub.
    pub(crate) fn refusal(self) -> Error {
        let body = serde_json::from_slice::<ErrorBody>(&self.body).unwrap_or_default();
        let message = body.message.filter(|text| !text.is_empty());
        let fallback = || {
            http::StatusCode::from_u16(self.status)
                .ok()
                .and_then(|status| status.canonical_reason())
                .unwrap_or("no reason given")
                .to_owned()
        };
        Error::Refused {
            status: self.status,
            error_code: body.error_code,
            message: message.map_or_else(fallback, |text| shown(&text)),
            tracking_id: body.tracking_id.map(|text| shown(&text)),
            retry_after: self.retry_after,
        }
    }
}

/// The error body, read forgivingly: hubs write `Message`, services `message`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ErrorBody {
    error_code: Option<u32>,
    tracking_id: Option<String>,
    #[serde(alias = "Message")]
    message: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &'static str) -> Answer {
        Answer { status, retry_after: Some(3), body: Bytes::from_static(body.as_bytes()) }
    }

    #[test]
    fn progress_assigning_keeps_operation_and_retry_after() {
        let read = answer(202, r#"{"operationId":"5.a.b","status":"assigning"}"#).progress().unwrap();
        let Progress::Assigning { operation_id, retry_after } = read else { panic!("{read:?}") };
        assert_eq!((operation_id.as_deref(), retry_after), (Some("5.a.b"), Some(3)));
    }

    #[test]
    fn progress_assigned_gives_the_assignment() {
        // As recorded from the service's documentation.
        let body = r#"{"operationId":"5.a.b","status":"assigned","registrationState":{"x509":{"enrollmentGroupId":"g"},
            "registrationId":"rid","createdDateTimeUtc":"2022-08-31T22:02:50.5163352Z",
            "assignedHub":"hub.azure-devices.net","deviceId":"dev","status":"assigned",
            "substatus":"initialAssignment","lastUpdatedDateTimeUtc":"2022-08-31T22:02:50.7370676Z",
            "etag":"IjY5","payload":{"a":1}}}"#;
        let read = answer(200, body).progress().unwrap();
        let Progress::Assigned(assigned) = read else { panic!("{read:?}") };
        let assignment = assigned.assignment;
        assert_eq!(assignment.assigned_hub, "hub.azure-devices.net");
        assert_eq!(assignment.device_id, "dev");
        assert_eq!(assignment.enrollment_group_id.as_deref(), Some("g"));
        assert_eq!(assignment.payload, Some(serde_json::json!({"a": 1})));
    }

    #[test]
    fn progress_failed_and_disabled_are_errors() {
        let failed = r#"{"operationId":"5.a.b","status":"failed","registrationState":{"registrationId":"r",
            "status":"failed","errorCode":400207,"errorMessage":"Custom allocation failed"}}"#;
        assert_eq!(
            answer(200, failed).progress().unwrap_err(),
            Error::Failed { error_code: Some(400_207), message: "Custom allocation failed".into() }
        );
        let disabled = r#"{"operationId":"","status":"disabled","registrationState":{"registrationId":"r",
            "status":"disabled"}}"#;
        assert_eq!(answer(200, disabled).progress().unwrap_err(), Error::Disabled);
    }

    #[test]
    fn progress_refused_reads_any_body() {
        let body = r#"{"errorCode":401002,"trackingId":"t","message":"Unauthorized\u001b[2J"}"#;
        assert_eq!(
            answer(401, body).progress().unwrap_err(),
            Error::Refused {
                status: 401,
                error_code: Some(401_002),
                message: "Unauthorized [2J".into(),
                tracking_id: Some("t".into()),
                retry_after: Some(3),
            }
        );
        let error = answer(503, "<html>").progress().unwrap_err().to_string();
        assert!(error.starts_with("the service refused with 503: Service Unavailable"), "{error}");
    }

    #[test]
    fn progress_nonsense_is_a_protocol_error_with_its_place() {
        for body in ["", "[]", "{\"status\":\"assigned\"}", "{\"operationId\":\"a\",\"status\":\"assigned\"}"]
        {
            let error = answer(200, body).progress().unwrap_err();
            assert!(matches!(error, Error::Protocol(_)), "{body}: {error}");
        }
    }
}
