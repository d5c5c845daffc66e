//! The only door from a failure to the wire: its HTTP, MQTT and AMQP renderings side by side, for every row of the
//! catalogue. Owns which status, topic code and condition a row gets; must not know where failures come from.
//!
//! The body is the same everywhere: `errorCode`, `trackingId`, `message`, `timestampUtc` and perhaps `info`. The
//! private cause stays in the event.

use bytes::Bytes;
use dps_model::{Error, ErrorCode, Timestamp, TrackingId, limits};
use dps_wire::mqtt::packet::ConnectReturnCode;

/// A failure as HTTP tells it.
#[derive(Debug)]
pub struct HttpRefusal {
    /// `code / 1000`.
    pub status: http::StatusCode,
    /// `x-ms-error-code`.
    pub error_code: u32,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u32>,
    /// JSON.
    pub body: Bytes,
}

/// A failure as MQTT tells it, on the response topic.
#[derive(Debug)]
pub struct MqttRefusal {
    /// `$dps/registrations/res/{status}/…`.
    pub status: u16,
    /// `&retry-after=`, in seconds.
    pub retry_after: Option<u32>,
    /// JSON, never empty: the Node SDK parses it before it looks at the status.
    pub body: Bytes,
}

/// A failure as AMQP tells it, in the error of a rejected disposition or of CLOSE.
#[derive(Debug)]
pub struct AmqpRefusal {
    /// The error's condition.
    pub condition: &'static str,
    /// `retry-after` in the error's info, in seconds.
    pub retry_after: Option<u32>,
    /// JSON; the .NET SDK parses it.
    pub description: String,
}

/// Over HTTP: status, headers, body.
pub fn http(error: &Error, tracking_id: TrackingId, now: Timestamp) -> HttpRefusal {
    HttpRefusal {
        status: http::StatusCode::from_u16(error.code.status())
            .unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR),
        error_code: error.code.row().code,
        retry_after: retry_after(error),
        body: Bytes::from(body(error, tracking_id, now)),
    }
}

/// Over MQTT: status in the response topic, body.
pub fn mqtt(error: &Error, tracking_id: TrackingId, now: Timestamp) -> MqttRefusal {
    MqttRefusal {
        status: error.code.status(),
        retry_after: retry_after(error),
        body: Bytes::from(body(error, tracking_id, now)),
    }
}

/// Over AMQP: condition, description.
pub fn amqp(error: &Error, tracking_id: TrackingId, now: Timestamp) -> AmqpRefusal {
    AmqpRefusal {
        condition: amqp_condition(error.code),
        retry_after: retry_after(error),
        description: body(error, tracking_id, now),
    }
}

/// The CONNACK of the failures that MQTT tells before there is a topic to answer on; the others have none, for a
/// device reads the texts of the response topic alone.
pub fn connack(code: ErrorCode) -> Option<ConnectReturnCode> {
    match code {
        ErrorCode::IdScopeNotFound => Some(ConnectReturnCode::ServerUnavailable),
        // A user name that is no device's, a client id or a common name that is not the registration id's.
        ErrorCode::RouteNotFound | ErrorCode::ArgumentInvalid | ErrorCode::CertificateRejected => {
            Some(ConnectReturnCode::NotAuthorized)
        }
        ErrorCode::ApiVersionUnknown
        | ErrorCode::BodyMalformed
        | ErrorCode::CustomAllocationFailed
        | ErrorCode::CustomAllocationHubNotSpecified
        | ErrorCode::CustomAllocationUnauthorized
        | ErrorCode::NoHubAvailable
        | ErrorCode::Unauthorized
        | ErrorCode::AuthorizationFailed
        | ErrorCode::HubNotFound
        | ErrorCode::HubUnauthorized
        | ErrorCode::HubQuotaExceeded
        | ErrorCode::EnrollmentNotFound
        | ErrorCode::RegistrationNotFound
        | ErrorCode::OperationNotFound
        | ErrorCode::InstanceNotFound
        | ErrorCode::CaCertificateNotFound
        | ErrorCode::AccessPolicyNotFound
        | ErrorCode::ManagedOperationNotFound
        | ErrorCode::MethodNotAllowed
        | ErrorCode::EnrollmentExists
        | ErrorCode::RegistrationConflict
        | ErrorCode::CertificateInUse
        | ErrorCode::InstanceExists
        | ErrorCode::InstanceIsDefault
        | ErrorCode::QuotaExceeded
        | ErrorCode::CaCertificateInUse
        | ErrorCode::DiagnosticSettingNotFound
        | ErrorCode::DiagnosticSettingConflict
        | ErrorCode::EtagMismatch
        | ErrorCode::BodyTooLarge
        | ErrorCode::MediaTypeUnsupported
        | ErrorCode::Throttled
        | ErrorCode::HubThrottled
        | ErrorCode::Internal
        | ErrorCode::HubUnreachable
        | ErrorCode::QueryTooSlow
        | ErrorCode::Unavailable => None,
    }
}

/// The condition that the SDKs map to the same kind of failure (the Node SDK's table of AMQP errors).
pub fn amqp_condition(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::ApiVersionUnknown
        | ErrorCode::ArgumentInvalid
        | ErrorCode::BodyMalformed
        | ErrorCode::CustomAllocationFailed
        | ErrorCode::CustomAllocationHubNotSpecified
        | ErrorCode::CustomAllocationUnauthorized
        | ErrorCode::NoHubAvailable
        | ErrorCode::MediaTypeUnsupported => "com.microsoft:argument-error",
        ErrorCode::Unauthorized
        | ErrorCode::AuthorizationFailed
        | ErrorCode::HubNotFound
        | ErrorCode::CertificateRejected
        | ErrorCode::HubUnauthorized => "amqp:unauthorized-access",
        ErrorCode::HubQuotaExceeded | ErrorCode::QuotaExceeded => "amqp:resource-limit-exceeded",
        ErrorCode::RouteNotFound
        | ErrorCode::EnrollmentNotFound
        | ErrorCode::RegistrationNotFound
        | ErrorCode::OperationNotFound
        | ErrorCode::IdScopeNotFound
        | ErrorCode::InstanceNotFound
        | ErrorCode::CaCertificateNotFound
        | ErrorCode::AccessPolicyNotFound
        | ErrorCode::DiagnosticSettingNotFound
        | ErrorCode::ManagedOperationNotFound => "amqp:not-found",
        ErrorCode::MethodNotAllowed => "amqp:not-allowed",
        ErrorCode::EnrollmentExists
        | ErrorCode::RegistrationConflict
        | ErrorCode::CertificateInUse
        | ErrorCode::InstanceExists
        | ErrorCode::InstanceIsDefault
        | ErrorCode::CaCertificateInUse
        | ErrorCode::DiagnosticSettingConflict => "amqp:resource-locked",
        ErrorCode::EtagMismatch => "com.microsoft:precondition-failed",
        ErrorCode::BodyTooLarge => "amqp:link:message-size-exceeded",
        ErrorCode::Throttled | ErrorCode::HubThrottled => "com.microsoft:device-container-throttled",
        ErrorCode::Internal
        | ErrorCode::HubUnreachable
        | ErrorCode::QueryTooSlow
        | ErrorCode::Unavailable => "amqp:internal-error",
    }
}

/// Seconds until a retry is welcome: the error's own, else a pause for those that say "not now".
fn retry_after(error: &Error) -> Option<u32> {
    error.retry_after.or_else(|| match error.code.status() {
        429 | 503 => Some(limits::RETRY_AFTER_BUSY),
        _ => None,
    })
}

fn body(error: &Error, tracking_id: TrackingId, now: Timestamp) -> String {
    serde_json::to_string(&error.body(tracking_id, now))
        // Numbers, texts and a map with text keys always have JSON; a client must get some in any case.
        .unwrap_or_else(|_| "{}".to_owned())
}
