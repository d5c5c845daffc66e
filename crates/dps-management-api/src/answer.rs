//! What a handler gives back, and its rendering: status, headers, JSON. Failures are `reject`'s.

use bytes::Bytes;
use dps_model::limits::MANAGEMENT_RETRY_AFTER;
use dps_model::{Etag, TrackingId};
use http::header::{
    CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER, STRICT_TRANSPORT_SECURITY,
};
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;

use crate::request::Body;

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-ms-correlation-request-id");
const OPERATION: HeaderName = HeaderName::from_static("azure-asyncoperation");
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains");
/// A page with keys on it must not be kept by anybody on the way.
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache, no-store");

/// Where the end of an operation is asked for.
#[derive(Debug)]
pub(crate) struct Follow {
    /// `azure-asyncoperation`.
    pub(crate) operation: Option<String>,
    /// `location`.
    pub(crate) location: String,
}

/// A call that did what was asked.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    body: Option<Value>,
    follow: Option<Follow>,
    wait: bool,
    /// For the event: the version before a change.
    pub(crate) previous: Option<Etag>,
    /// For the event: the version after it.
    pub(crate) etag: Option<Etag>,
    /// For the event: what changed.
    pub(crate) changed: Vec<&'static str>,
}

impl Answer {
    /// 200 with what was read.
    pub(crate) fn shown(body: Value) -> Self {
        Self {
            status: StatusCode::OK,
            body: Some(body),
            follow: None,
            wait: false,
            previous: None,
            etag: None,
            changed: Vec::new(),
        }
    }

    /// 200 without a body.
    pub(crate) fn done() -> Self {
        Self { body: None, ..Self::shown(Value::Null) }
    }

    /// 204.
    pub(crate) fn gone() -> Self {
        Self { status: StatusCode::NO_CONTENT, ..Self::done() }
    }

    /// 201, and where the end is asked for.
    pub(crate) fn created(body: Value, follow: Follow) -> Self {
        Self { status: StatusCode::CREATED, follow: Some(follow), wait: true, ..Self::shown(body) }
    }

    /// 202, and where the end is asked for.
    pub(crate) fn accepted(follow: Option<Follow>) -> Self {
        Self { status: StatusCode::ACCEPTED, follow, wait: true, ..Self::shown(Value::Null) }
    }

    /// With `Retry-After`.
    pub(crate) fn not_yet(self) -> Self {
        Self { wait: true, ..self }
    }

    /// Tells the event what was replaced by what.
    pub(crate) fn versions(self, previous: Option<Etag>, etag: Option<Etag>) -> Self {
        Self { previous, etag, ..self }
    }

    pub(crate) fn changed(self, changed: Vec<&'static str>) -> Self {
        Self { changed, ..self }
    }

    pub(crate) fn render(&self, tracking_id: TrackingId) -> Response<Body> {
        let bytes = self.body.as_ref().map(Value::to_string).unwrap_or_default();
        let mut response = Response::new(text(bytes));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if self.body.is_some() {
            headers.insert(CONTENT_TYPE, JSON);
        }
        if let Some(follow) = &self.follow {
            for (name, url) in [(OPERATION, follow.operation.as_ref()), (LOCATION, Some(&follow.location))] {
                if let Some(Ok(value)) = url.map(|url| HeaderValue::from_str(url)) {
                    headers.insert(name, value);
                }
            }
        }
        if self.wait {
            headers.insert(RETRY_AFTER, HeaderValue::from(MANAGEMENT_RETRY_AFTER));
        }
        dress(headers, tracking_id);
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
        headers.insert(REQUEST_ID, value.clone());
        headers.insert(CORRELATION_ID, value);
    }
    headers.insert(http::header::CACHE_CONTROL, NO_CACHE);
    headers.insert(STRICT_TRANSPORT_SECURITY, HSTS);
}
