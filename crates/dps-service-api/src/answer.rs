//! What a handler gives back, and its rendering: status, headers, JSON. Failures are `reject`'s.

use bytes::Bytes;
use dps_model::{Etag, TrackingId};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, STRICT_TRANSPORT_SECURITY};
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;

use crate::request::Body;

/// Azure's media type, to the letter.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains");

/// A call that did what was asked.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A thing as it was read.
    Shown(Value),
    /// A thing as it was written, and the version it replaced.
    Written(Value, Option<Etag>),
    /// A thing is gone, and its last version.
    Deleted(Option<Etag>),
}

impl Answer {
    /// The version before the change.
    pub(crate) fn previous(&self) -> Option<&Etag> {
        match self {
            Self::Shown(_) => None,
            Self::Written(_, previous) | Self::Deleted(previous) => previous.as_ref(),
        }
    }

    /// The HTTP answer: 200 for create and update alike, 204 for a delete (facts: DPS "Service data plane").
    pub(crate) fn render(&self, tracking_id: TrackingId) -> Response<Body> {
        let mut response = match self {
            Self::Shown(body) | Self::Written(body, _) => {
                let mut response = Response::new(text(body.to_string()));
                response.headers_mut().insert(CONTENT_TYPE, JSON);
                response
            }
            Self::Deleted(_) => {
                let mut response = Response::new(text(Bytes::new()));
                *response.status_mut() = StatusCode::NO_CONTENT;
                response
            }
        };
        dress(response.headers_mut(), tracking_id);
        response
    }
}

/// A body that is there at once.
pub(crate) fn text(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

/// The headers of every answer, failures included.
pub(crate) fn dress(headers: &mut HeaderMap, tracking_id: TrackingId) {
    if let Ok(value) = HeaderValue::from_str(&tracking_id.to_string()) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(STRICT_TRANSPORT_SECURITY, HSTS);
}
