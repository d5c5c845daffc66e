//! What can go wrong, in sentences for people. Owns the kinds and the cleaning of servers' texts; never holds a secret.

use std::io;

use crate::limits::MAX_SERVER_TEXT;

/// Why a device was not provisioned, or its hub not reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting makes no sense; nothing was sent.
    #[error("{0}")]
    Setting(String),
    /// Nobody answered at that address.
    #[error("{address} cannot be reached: {reason}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// The system's reason.
        reason: String,
    },
    /// No TLS connection: a certificate is not trusted, or not accepted.
    #[error("no secure connection to {address}: {reason}")]
    Tls {
        /// Host and port.
        address: String,
        /// What TLS says.
        reason: String,
    },
    /// An MQTT server refused the connection (CONNACK).
    #[error("the server refused the MQTT connection with return code {return_code}: {meaning}")]
    ConnectionRefused {
        /// CONNACK's return code, 1 to 5.
        return_code: u8,
        /// What it means here.
        meaning: &'static str,
    },
    /// The service answered with an error.
    #[error("{}", refused(*.status, *.error_code, .message, .tracking_id.as_deref(), *.retry_after))]
    Refused {
        /// HTTP's number, whatever the protocol.
        status: u16,
        /// The service's six digits.
        error_code: Option<u32>,
        /// Its words.
        message: String,
        /// Names the attempt in the service's log.
        tracking_id: Option<String>,
        /// Seconds before which another attempt is not welcome.
        retry_after: Option<u32>,
    },
    /// The service tried to assign the device and could not.
    #[error("the assignment failed{}: {message}", code_in_brackets(*.error_code))]
    Failed {
        /// The service's six digits.
        error_code: Option<u32>,
        /// Its words.
        message: String,
    },
    /// The enrollment is disabled.
    #[error("the device's enrollment is disabled: enable it, then provision again")]
    Disabled,
    /// It took too long.
    #[error("no result within {} while {doing}", seconds(*.limit))]
    Timeout {
        /// The time allowed.
        limit: std::time::Duration,
        /// What was under way.
        doing: &'static str,
    },
    /// The server broke the protocol, or ended the connection.
    #[error("{0}")]
    Protocol(String),
    /// The device's TPM did not do what it was asked.
    #[error("{0}")]
    Tpm(String),
    /// The device's TPM holds no key to sign with: the device has to register.
    #[error("{0}")]
    TpmKeyMissing(String),
    /// The connection to the hub is over.
    #[error("the connection to the hub is over: {0}")]
    Disconnected(String),
}

impl Error {
    /// May the same attempt succeed later, without a change to the device or its enrollment?
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            Self::ConnectionRefused { return_code, .. } => *return_code == 3,
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::Protocol(_) | Self::Disconnected(_) => {
                true
            }
            Self::Setting(_)
            | Self::Tpm(_)
            | Self::TpmKeyMissing(_)
            | Self::Tls { .. }
            | Self::Failed { .. }
            | Self::Disabled => false,
        }
    }

    /// Seconds before which another attempt is not welcome, where the service said so.
    pub fn retry_after(&self) -> Option<u32> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// A failure of the stream to `address`.
    pub(crate) fn stream(address: &str, error: &io::Error) -> Self {
        let address = address.to_owned();
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(tls) => Self::Tls { address, reason: tls.to_string() },
            None => match error.kind() {
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe => closed(&address),
                io::ErrorKind::InvalidData => {
                    Self::Protocol(format!("{address} broke the protocol: {error}"))
                }
                _ => Self::Unreachable { address, reason: error.to_string() },
            },
        }
    }
}

/// The server ended the connection without a word.
pub(crate) fn closed(address: &str) -> Error {
    Error::Protocol(format!("{address} closed the connection"))
}

/// A server's text, fit to be shown: no control characters, not endless.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(MAX_SERVER_TEXT).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn refused(
    status: u16,
    code: Option<u32>,
    message: &str,
    tracking_id: Option<&str>,
    retry_after: Option<u32>,
) -> String {
    let code = code_in_brackets(code);
    let later = retry_after.map(|seconds| format!("; try again in {seconds} s")).unwrap_or_default();
    let tracking = tracking_id.map(|id| format!(" (tracking id {id})")).unwrap_or_default();
    format!("the service refused with {status}{code}: {message}{later}{tracking}")
}

fn code_in_brackets(code: Option<u32>) -> String {
    code.map(|code| format!(" ({code})")).unwrap_or_default()
}

fn seconds(limit: std::time::Duration) -> String {
    format!("{} s", limit.as_secs_f32())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(retry_after: Option<u32>) -> Error {
        Error::Refused {
            status: 429,
            error_code: Some(429_001),
            message: "Throttled".into(),
            tracking_id: Some("t".into()),
            retry_after,
        }
    }

    #[test]
    fn refused_shown_is_one_sentence_with_code_and_tracking_id() {
        assert_eq!(
            refusal(Some(7)).to_string(),
            "the service refused with 429 (429001): Throttled; try again in 7 s (tracking id t)"
        );
        assert_eq!(
            refusal(None).to_string(),
            "the service refused with 429 (429001): Throttled (tracking id t)"
        );
    }

    #[test]
    fn transient_is_what_may_pass_by_itself() {
        assert!(refusal(None).is_transient());
        assert!(Error::ConnectionRefused { return_code: 3, meaning: "" }.is_transient());
        assert!(!Error::ConnectionRefused { return_code: 5, meaning: "" }.is_transient());
        assert!(!Error::Disabled.is_transient());
    }

    #[test]
    fn stream_failures_are_told_apart() {
        let io = |kind| Error::stream("a:1", &io::Error::from(kind));
        assert!(matches!(io(io::ErrorKind::ConnectionRefused), Error::Unreachable { .. }));
        assert!(matches!(io(io::ErrorKind::ConnectionReset), Error::Protocol(_)));
        let tls = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::DecryptError);
        assert!(matches!(Error::stream("a:1", &tls), Error::Tls { .. }));
    }

    #[test]
    fn shown_text_is_short_and_printable() {
        assert_eq!(shown("a\u{1b}[2J\nb"), "a [2J b");
        assert_eq!(shown(&"x".repeat(5_000)).len(), MAX_SERVER_TEXT);
    }
}
