//! `DeviceResponse` -> HTTP response. Owns statuses and headers of success; failures are `reject`'s.

use bytes::Bytes;
use dps_core::DeviceResponse;
use dps_model::registration::RegistrationOperationStatus;
use dps_model::{Error, TrackingId};
use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER, STRICT_TRANSPORT_SECURITY};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde::Serialize;

use crate::foreign::Body;

/// Writes an answer. `location` is the URL of the request, which a 202 repeats.
pub(super) fn encode(
    response: &DeviceResponse,
    tracking_id: TrackingId,
    location: &str,
) -> Result<Response<Body>, Error> {
    let (status, retry_after, body) = match response {
        DeviceResponse::Admitted { operation_id, retry_after } => {
            let body = json(&RegistrationOperationStatus::assigning(operation_id))?;
            (StatusCode::ACCEPTED, Some(*retry_after), body)
        }
        DeviceResponse::Status { status, retry_after: Some(seconds) } => {
            (StatusCode::ACCEPTED, Some(*seconds), json(status)?)
        }
        DeviceResponse::Status { status, retry_after: None } => (StatusCode::OK, None, json(status)?),
        DeviceResponse::Registration(registration) => (StatusCode::OK, None, json(registration)?),
        DeviceResponse::Challenge { authentication_key, key_name } => {
            (StatusCode::UNAUTHORIZED, None, json(&Challenge::new(authentication_key, key_name))?)
        }
    };
    let mut answer = with_body(status, tracking_id, retry_after, body);
    if let (StatusCode::ACCEPTED, Ok(location)) = (status, HeaderValue::from_str(location)) {
        answer.headers_mut().insert(LOCATION, location);
    }
    Ok(answer)
}

/// The body of a TPM challenge, in the words that the service has used since 2017. It has no `status`: clients tell a
/// challenge by its absence.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Challenge<'a> {
    message: &'static str,
    authentication_key: &'a str,
    key_name: &'a str,
}

impl<'a> Challenge<'a> {
    fn new(authentication_key: &'a str, key_name: &'a str) -> Self {
        let message = "Authorization required, resend request using supplied key";
        Self { message, authentication_key, key_name }
    }
}

/// A response with the headers that every answer has.
pub(super) fn with_body(
    status: StatusCode,
    tracking_id: TrackingId,
    retry_after: Option<u32>,
    body: Bytes,
) -> Response<Body> {
    let mut response = Response::new(Full::new(body).map_err(|never| match never {}).boxed());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers
        .insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000; includeSubDomains"));
    if let Ok(id) = HeaderValue::from_str(&tracking_id.to_string()) {
        headers.insert("x-ms-request-id", id);
    }
    if let Some(seconds) = retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn json<T: Serialize>(value: &T) -> Result<Bytes, Error> {
    serde_json::to_vec(value).map(Bytes::from).map_err(Error::internal)
}
