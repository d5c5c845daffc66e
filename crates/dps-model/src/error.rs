//! A failure on its way to a client. Owns the public half (row, message, info, retry-after) and carries the private
//! half to the event; must not know how a protocol renders it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::error_code::ErrorCode;
use crate::{Timestamp, TrackingId};

/// A failure: its row of the catalogue, what the client is told, what only the operator is told.
#[derive(Debug, Clone)]
pub struct Error {
    /// The row.
    pub code: ErrorCode,
    /// What the client reads. Never holds a secret or a private cause.
    pub message: Cow<'static, str>,
    /// What the operator reads in the event: the private cause. Never leaves by the device API.
    pub cause: Option<Cow<'static, str>>,
    /// Seconds after which a retry is welcome.
    pub retry_after: Option<u32>,
    /// Further members of `info` in the body.
    pub info: BTreeMap<String, String>,
}

impl Error {
    /// That failure with the catalogue's message.
    pub fn new(code: ErrorCode) -> Self {
        let message = Cow::Borrowed(code.row().message);
        Self { code, message, cause: None, retry_after: None, info: BTreeMap::new() }
    }

    /// That failure with a more exact public message.
    pub fn with(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into(), ..Self::new(code) }
    }

    /// Adds what the operator is told.
    pub fn because(mut self, cause: impl Into<Cow<'static, str>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Adds a `Retry-After`, in seconds.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// A failure of the server itself; the text goes to the operator alone.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::Internal).because(cause.to_string())
    }

    /// An argument that breaks a rule; the text goes to the client.
    pub fn argument(message: impl Into<Cow<'static, str>>) -> Self {
        Self::with(ErrorCode::ArgumentInvalid, message)
    }

    /// The body that a client gets.
    pub fn body(&self, tracking_id: TrackingId, now: Timestamp) -> ErrorBody<'_> {
        ErrorBody {
            error_code: self.code.row().code,
            tracking_id,
            message: &self.message,
            timestamp_utc: now,
            info: &self.info,
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.code.row().code, self.message)?;
        self.cause.as_ref().map_or(Ok(()), |cause| write!(f, " ({cause})"))
    }
}

impl std::error::Error for Error {}

impl From<crate::ids::InvalidId> for Error {
    fn from(invalid: crate::ids::InvalidId) -> Self {
        Self::argument(invalid.to_string())
    }
}

/// The error body of the device and service APIs (DPS REST reference: `ProvisioningServiceErrorDetails`).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody<'a> {
    error_code: u32,
    tracking_id: TrackingId,
    message: &'a str,
    timestamp_utc: Timestamp,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    info: &'a BTreeMap<String, String>,
}
