//! What a handler gives back, and its rendering: status, headers, JSON. Failures are `reject`'s.

use bytes::Bytes;
use dps_events::BulkItemRecord;
use dps_model::{Etag, TrackingId};
use http::header::{
    CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;

use crate::request::Body;

/// Azure's media type, to the letter.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");
pub(crate) const CONTINUATION: HeaderName = HeaderName::from_static("x-ms-continuation");
const ITEM_TYPE: HeaderName = HeaderName::from_static("x-ms-item-type");
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains");

/// A call that did what was asked.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A thing as it was read.
    Shown(Value),
    /// A thing as it was written, and the version it replaced.
    Written { shown: Value, etag: Etag, previous: Option<Etag> },
    /// A thing is gone, and its last version.
    Deleted(Option<Etag>),
    /// Things that a query found.
    Page(Page),
    /// Things that were written or deleted, each by itself.
    Bulk(Bulk),
}

/// A page of a query.
#[derive(Debug)]
pub(crate) struct Page {
    /// A JSON array.
    pub(crate) body: String,
    /// What its items are.
    pub(crate) item_type: &'static str,
    /// Where the query goes on, if it does.
    pub(crate) continuation: Option<String>,
}

/// What became of a bulk operation.
#[derive(Debug)]
pub(crate) struct Bulk {
    /// `BulkEnrollmentOperationResult`.
    pub(crate) body: Value,
    /// Each item for the event.
    pub(crate) items: Vec<BulkItemRecord>,
}

impl Answer {
    /// The version before the change.
    pub(crate) fn previous(&self) -> Option<&Etag> {
        match self {
            Self::Shown(_) | Self::Page(_) | Self::Bulk(_) => None,
            Self::Written { previous, .. } | Self::Deleted(previous) => previous.as_ref(),
        }
    }

    /// The version after the change.
    pub(crate) fn etag(&self) -> Option<&Etag> {
        match self {
            Self::Written { etag, .. } => Some(etag),
            Self::Shown(_) | Self::Page(_) | Self::Bulk(_) | Self::Deleted(_) => None,
        }
    }

    /// The items of a bulk operation, for its event.
    pub(crate) fn take_items(&mut self) -> Vec<BulkItemRecord> {
        match self {
            Self::Bulk(bulk) => std::mem::take(&mut bulk.items),
            Self::Shown(_) | Self::Written { .. } | Self::Deleted(_) | Self::Page(_) => Vec::new(),
        }
    }

    /// The HTTP answer: 200 for create and update alike, 204 for a delete (facts: DPS "Service data plane").
    pub(crate) fn render(self, tracking_id: TrackingId) -> Response<Body> {
        let mut response = match self {
            Self::Shown(body) | Self::Written { shown: body, .. } | Self::Bulk(Bulk { body, .. }) => {
                json(body.to_string())
            }
            Self::Page(page) => {
                let mut response = json(page.body);
                let headers = response.headers_mut();
                headers.insert(ITEM_TYPE, HeaderValue::from_static(page.item_type));
                headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
                if let Some(token) = page.continuation.as_deref().and_then(|token| token.parse().ok()) {
                    headers.insert(CONTINUATION, token);
                }
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

fn json(body: String) -> Response<Body> {
    let mut response = Response::new(text(body));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
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
