//! The only door of failures: a row of the catalogue becomes ARM's error body, with the members of DPS's own
//! `ErrorDetails` beside it, since its SDKs read either. Private causes stay behind.

use dps_model::{Error, ErrorCode, Timestamp, TrackingId, limits};
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde_json::json;

use crate::answer::{JSON, dress, text};
use crate::request::Body;
use dps_model::member::TARGET;

const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer");

/// Whose error body a client of a route reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// ARM's, with that of DPS beside it.
    Arm,
    /// `{"code","message"}`.
    Flat,
}

impl Shape {
    /// Of a route, by its operation.
    pub(crate) fn of(operation: &str) -> Self {
        if operation.starts_with("Microsoft.Insights/diagnosticSettings") { Self::Flat } else { Self::Arm }
    }
}

/// The HTTP answer to a failed call; `allow` names the methods that the path has.
pub(crate) fn reject(
    error: &Error,
    allow: Option<&str>,
    shape: Shape,
    tracking_id: TrackingId,
    now: Timestamp,
) -> Response<Body> {
    let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let word = status.canonical_reason().unwrap_or_default().replace(' ', "");
    let target = error.info.get(TARGET);
    let details = format!("Tracking ID: {tracking_id} Time: {now}");
    let whole = || {
        json!({
            "error": { "code": code(error.code, status), "message": error.message, "target": target },
            "code": error.code.row().code,
            "httpStatusCode": word,
            "message": error.message,
            "details": details,
            "trackingId": tracking_id,
        })
    };
    let body = match shape {
        Shape::Arm => whole(),
        Shape::Flat => json!({
            "code": code(error.code, status),
            "message": error.message,
            "target": target,
            "errorCode": error.code.row().code,
            "trackingId": tracking_id,
        }),
    };
    let mut response = Response::new(text(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(ERROR_CODE, HeaderValue::from(error.code.row().code));
    let busy = matches!(status.as_u16(), 429 | 503).then_some(limits::RETRY_AFTER_BUSY);
    if let Some(seconds) = error.retry_after.or(busy) {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(value) = allow.and_then(|allow| HeaderValue::from_str(allow).ok()) {
        headers.insert(ALLOW, value);
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, CHALLENGE); // RFC 9110 §15.5.2
    }
    dress(headers, tracking_id);
    response
}

/// ARM's word for the failure.
fn code(code: ErrorCode, status: StatusCode) -> &'static str {
    match (code, status.as_u16()) {
        (ErrorCode::ApiVersionUnknown, _) => "InvalidApiVersionParameter",
        (ErrorCode::BodyMalformed, _) => "InvalidRequestContent",
        (
            ErrorCode::InstanceNotFound
            | ErrorCode::CaCertificateNotFound
            | ErrorCode::DiagnosticSettingNotFound,
            _,
        ) => "ResourceNotFound",
        (ErrorCode::RouteNotFound, _) => "InvalidResourceType",
        (ErrorCode::InstanceExists, _) => "NameNotAvailable",
        (ErrorCode::QuotaExceeded, _) => "QuotaExceeded",
        (_, 400) => "BadRequest",
        (_, 401) => "AuthenticationFailed",
        (_, 403) => "AuthorizationFailed",
        (_, 404) => "NotFound",
        (_, 405) => "MethodNotAllowed",
        (_, 409) => "Conflict",
        (_, 412) => "PreconditionFailed",
        (_, 413) => "RequestTooLarge",
        (_, 415) => "UnsupportedMediaType",
        (_, 429) => "TooManyRequests",
        (_, 503) => "ServiceUnavailable",
        _ => "InternalServerError",
    }
}
