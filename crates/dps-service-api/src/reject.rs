//! The only door of failures: a row of the catalogue becomes status, headers and body. Private causes stay behind.

use dps_model::{Error, Timestamp, TrackingId, limits};
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};

use crate::answer::{JSON, dress, text};
use crate::request::Body;

const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");

/// The HTTP answer to a failed call; `allow` names the methods that the path has.
pub(crate) fn reject(
    error: &Error,
    allow: Option<&'static str>,
    tracking_id: TrackingId,
    now: Timestamp,
) -> Response<Body> {
    let body = serde_json::to_vec(&error.body(tracking_id, now)).unwrap_or_default();
    let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::new(text(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(ERROR_CODE, HeaderValue::from(error.code.row().code));
    let busy = matches!(error.code.status(), 429 | 503).then_some(limits::RETRY_AFTER_BUSY);
    if let Some(seconds) = error.retry_after.or(busy) {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(allow) = allow {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    if status == StatusCode::UNAUTHORIZED {
        for challenge in dps_access::CHALLENGES {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(challenge)); // RFC 9110 §15.5.2
        }
    }
    dress(headers, tracking_id);
    response
}
