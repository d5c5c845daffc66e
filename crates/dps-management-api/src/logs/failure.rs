//! Failures in the shape of this API: an error within an error, from the general to the place in the query.

use std::time::Duration;

use dps_kql::{Diagnostic, Diagnostics};
use dps_model::{Error, ErrorCode, TrackingId, limits};
use dps_monitor::QueryError;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::answer::{JSON, dress, text};
use crate::request::Body;

/// Why a call has no answer.
#[derive(Debug)]
pub(super) struct Failure {
    /// For the event.
    pub(super) error: Box<Error>,
    code: &'static str,
    inner: Option<Value>,
    allow: Option<&'static str>,
}

impl Failure {
    /// A row of the catalogue.
    pub(super) fn plain(error: Error) -> Self {
        let code = match error.code.status() {
            401 => "AuthenticationFailed",
            403 => "InsufficientAccessError",
            404 => "PathNotFoundError",
            405 => "MethodNotAllowed",
            413 => "RequestTooLarge",
            415 => "UnsupportedMediaType",
            429 => "TooManyRequests",
            503 => "ServiceUnavailable",
            504 => "GatewayTimeout",
            500.. => "InternalServerError",
            _ => "BadArgumentError",
        };
        Self { error: Box::new(error), code, inner: None, allow: None }
    }

    pub(super) fn argument(message: String) -> Self {
        Self::plain(Error::with(ErrorCode::ArgumentInvalid, message))
    }

    pub(super) fn path_not_found() -> Self {
        Self::plain(Error::with(ErrorCode::RouteNotFound, "The requested path does not exist"))
    }

    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        Self { allow: Some(allow), ..Self::plain(Error::new(ErrorCode::MethodNotAllowed)) }
    }

    pub(super) fn workspace_not_found(named: &str) -> Self {
        let message = format!(
            "The workspace {named:?} is none of this server's; GET …/metadata names the one there is."
        );
        Self {
            code: "WorkspaceNotFoundError",
            ..Self::plain(Error::with(ErrorCode::InstanceNotFound, message))
        }
    }

    pub(super) fn resource_not_found(resource: &str) -> Self {
        let message = format!("The resource {resource:?} was not found.");
        Self {
            code: "ResourceNotFoundError",
            ..Self::plain(Error::with(ErrorCode::InstanceNotFound, message))
        }
    }

    pub(super) fn too_slow(after: Duration) -> Self {
        let message = format!(
            "The query ran longer than {} s. Ask for less time, filter earlier, or send Prefer: wait={}.",
            after.as_secs(),
            limits::MAX_QUERY_TIME
        );
        Self::plain(Error::with(ErrorCode::QueryTooSlow, message))
    }

    /// What the engine says.
    pub(super) fn of(error: QueryError, query: &str) -> Self {
        match error {
            QueryError::Wrong(diagnostics) => Self::wrong(&diagnostics, query),
            QueryError::Value(message) => Self {
                inner: Some(json!({"code": "EngineError", "message": message})),
                ..Self::argument(message)
            },
            QueryError::Time(after) => Self::too_slow(after),
            QueryError::Memory => {
                let message = QueryError::Memory.to_string();
                let inner = json!({"code": "QueryExceedsMemory", "message": message});
                Self { inner: Some(inner), ..Self::argument(message) }
            }
            QueryError::Busy => {
                let error = Error::new(ErrorCode::Throttled).because(error.to_string());
                Self::plain(error.retry_after(limits::RETRY_AFTER_BUSY))
            }
            QueryError::Failed(_) => Self::plain(Error::internal(error)),
        }
    }

    fn wrong(diagnostics: &Diagnostics, query: &str) -> Self {
        let (code, message) = if diagnostics.syntax {
            ("SyntaxError", "A recognition error occurred in the query.")
        } else {
            ("SemanticError", "A semantic error occurred.")
        };
        let shown: Vec<Value> = diagnostics.errors.iter().map(|error| place(error, query)).collect();
        let mut inner = json!({"code": code, "message": message});
        if let Some(object) = inner.as_object_mut() {
            object.insert("innererror".into(), shown.first().cloned().unwrap_or_default());
            if shown.len() > 1 {
                object.insert("details".into(), Value::Array(shown));
            }
        }
        let error = Error::with(ErrorCode::ArgumentInvalid, "The request had some invalid properties");
        Self { inner: Some(inner), ..Self::plain(error.because(diagnostics.to_string())) }
    }

    /// The HTTP answer.
    pub(super) fn response(&self, tracking_id: TrackingId) -> Response<Body> {
        let (status, body) = self.parts(tracking_id);
        let mut response = Response::new(text(body.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, JSON);
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(seconds) = self.error.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        dress(headers, tracking_id);
        response
    }

    /// Status and body, as a batch puts them side by side.
    pub(super) fn parts(&self, tracking_id: TrackingId) -> (StatusCode, Value) {
        let status =
            StatusCode::from_u16(self.error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut error = json!({
            "message": self.error.message,
            "code": self.code,
            "correlationId": tracking_id,
        });
        if let (Some(inner), Some(object)) = (&self.inner, error.as_object_mut()) {
            object.insert("innererror".into(), inner.clone());
        }
        // Beside it what every body of an error of this server has.
        (status, json!({"error": error, "trackingId": tracking_id}))
    }
}

/// One error of the query: Kusto's code, where, and what stands there.
fn place(error: &Diagnostic, query: &str) -> Value {
    let before = query.get(..error.start).unwrap_or(query);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
    let message = match &error.suggestion {
        Some(suggestion) => format!("{} {suggestion}", error.message),
        None => error.message.clone(),
    };
    json!({
        "code": error.code,
        "message": message,
        "line": line,
        "pos": column,
        "token": query.get(error.start..error.end).unwrap_or_default(),
    })
}
