//! Why a command ended: one sentence for a person, one exit status for a script. Must not know how a request is sent.

use dps_model::ErrorCode;
use serde_json::Value;

use crate::fleet::limits::MAX_SHOWN;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub enum Failure {
    /// What was asked makes no sense.
    Usage(String),
    /// The service said no.
    Refused(Box<Refusal>),
    /// Nobody answered, or the answer cannot be trusted.
    Unreachable(String),
    /// What was asked for is not there, seen before the service was asked.
    Missing(String),
    /// What was to be made is there already, seen before the service was asked.
    Exists(String),
    /// Some of the work was done; what was not has been told.
    Incomplete(String),
    /// Something of this machine.
    Local(anyhow::Error),
    /// Whoever reads the output has enough.
    OutputClosed,
    /// Ctrl-C.
    Interrupted,
}

/// An answer that is no success.
#[derive(Debug)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Six digits, or a word of the control plane.
    pub code: Option<String>,
    /// The service's own words, bounded and without control characters.
    pub message: String,
    /// What the service's log knows the call by.
    pub tracking_id: Option<String>,
    /// What the credential was taken from.
    pub credential: String,
    /// An earlier attempt of the same call had no answer: it may have done its work.
    pub lost_an_answer: bool,
    /// Seconds that the service wants to be left alone.
    pub retry_after: Option<u64>,
    /// The error within the error, as the service wrote it: where a query is wrong.
    pub inner: Value,
}

impl Failure {
    /// The exit status, as docs/reference/cli.md lists them.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::OutputClosed => 0,
            Self::Incomplete(_) | Self::Local(_) => 1,
            Self::Usage(_) => 2,
            Self::Missing(_) => 3,
            Self::Exists(_) => 4,
            Self::Unreachable(_) => 6,
            Self::Interrupted => 130,
            Self::Refused(refusal) => match refusal.status {
                404 => 3,
                409 | 412 => 4,
                401 | 403 => 5,
                408 | 429 | 500.. => 6,
                _ => 1,
            },
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Usage(text)
            | Self::Unreachable(text)
            | Self::Missing(text)
            | Self::Exists(text)
            | Self::Incomplete(text) => f.write_str(text),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Local(error) => write!(f, "{error:#}"),
            Self::OutputClosed => f.write_str("the output was closed"),
            Self::Interrupted => f.write_str("stopped by Ctrl-C"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Local(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Local(error.into()),
        }
    }
}

impl Refusal {
    /// Reads the body of a refusal, whichever of Azure's shapes it has.
    pub fn read(status: u16, body: &[u8], request_id: Option<&str>) -> Self {
        let json: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let inner = json.get("error").unwrap_or(&json);
        let first = |names: &[&str]| names.iter().find_map(|name| word(inner.get(name)?));
        let code = first(&["errorCode", "code"]).filter(|code| code != "0");
        let message = first(&["message", "Message"]).unwrap_or_else(|| match json {
            Value::Null => String::from_utf8_lossy(body).into_owned(),
            _ => String::new(),
        });
        let tracking_id = first(&["trackingId"]).or_else(|| request_id.map(ToOwned::to_owned));
        Self {
            status,
            code: code.map(|text| shown(&text)),
            message: shown(&message),
            tracking_id: tracking_id.map(|text| shown(&text)).filter(|text| !text.is_empty()),
            credential: String::new(),
            lost_an_answer: false,
            retry_after: None,
            inner: inner.get("innererror").cloned().unwrap_or_default(),
        }
    }

    /// What to do about it, in the words of this command line where it has some.
    fn advice(&self) -> Option<String> {
        if self.lost_an_answer && matches!(self.status, 404 | 409 | 412) {
            let done =
                "An earlier attempt had no answer and may have done it already: show it before trying again.";
            return Some(done.to_owned());
        }
        let known = self.code.as_deref().and_then(|code| code.parse::<u32>().ok());
        match (known, self.status) {
            (Some(409_201), _) => Some("Use `update` to change it.".to_owned()),
            (Some(412_001), _) | (None, 412) => {
                Some("It was changed meanwhile: show it again, then update it with its etag.".to_owned())
            }
            (_, 401 | 403) => Some(format!(
                "Check that {} belongs to this service, holds its current key and has the right for this call.",
                self.credential
            )),
            (_, 429) => Some("It stayed so over several attempts: wait, then try again.".to_owned()),
            (Some(code), _) => {
                let row = ErrorCode::ALL.iter().map(|known| known.row()).find(|row| row.code == code);
                row.map(|row| row.action.to_owned())
            }
            (None, 404) => Some("Check the name with `list`.".to_owned()),
            (None, _) => None,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the service answered {}", self.status)?;
        if let Some(code) = &self.code {
            write!(f, " ({code})")?;
        }
        let message = self.message.trim_end_matches('.');
        if !message.is_empty() {
            write!(f, ": {message}")?;
        }
        if let Some(id) = &self.tracking_id {
            write!(f, " (tracking id {id})")?;
        }
        match self.advice() {
            Some(advice) => write!(f, ". {advice}"),
            None => Ok(()),
        }
    }
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A peer's text as a terminal may see it.
pub fn shown(text: &str) -> String {
    text.trim().chars().take(MAX_SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: u16, body: &str) -> Failure {
        let mut refusal = Refusal::read(status, body.as_bytes(), Some("header-id"));
        refusal.credential = "--login".into();
        Failure::Refused(Box::new(refusal))
    }

    #[test]
    fn refusals_of_every_shape_are_one_sentence_and_one_status() {
        let own = r#"{"errorCode":404201,"trackingId":"t-1","message":"Enrollment not found."}"#;
        for (status, body, sentence, exit) in [
            (
                404,
                own,
                "the service answered 404 (404201): Enrollment not found (tracking id t-1). Create the enrollment, \
                 or correct the id.",
                3,
            ),
            (
                409,
                r#"{"errorCode":409201,"message":"Enrollment already exists."}"#,
                "the service answered 409 (409201): Enrollment already exists (tracking id header-id). Use `update` \
                 to change it.",
                4,
            ),
            (
                404,
                r#"{"error":{"code":"ResourceNotFound","message":"The Resource was not found."}}"#,
                "the service answered 404 (ResourceNotFound): The Resource was not found (tracking id header-id). \
                 Check the name with `list`.",
                3,
            ),
            (
                400,
                r#"{"code":400303,"httpStatusCode":"BadRequest","message":"Cannot have duplicate iot hubs"}"#,
                "the service answered 400 (400303): Cannot have duplicate iot hubs (tracking id header-id)",
                1,
            ),
            (
                401,
                r#"{"Message":"Unauthorized"}"#,
                "the service answered 401: Unauthorized (tracking id header-id). Check that --login belongs to this \
                 service, holds its current key and has the right for this call.",
                5,
            ),
            (502, "<html>\x1b[2J", "the service answered 502: <html> [2J (tracking id header-id)", 6),
        ] {
            let failure = failure(status, body);
            assert_eq!(failure.to_string(), sentence, "{body}");
            assert_eq!(failure.exit_status(), exit, "{body}");
        }
    }

    #[test]
    fn refusal_after_a_lost_answer_says_that_it_may_be_done() {
        let Failure::Refused(mut refusal) = failure(409, r#"{"errorCode":409201,"message":"Exists."}"#)
        else {
            unreachable!("made so");
        };
        refusal.lost_an_answer = true;
        assert!(refusal.to_string().ends_with("show it before trying again."), "{refusal}");
    }

    #[test]
    fn closed_output_is_no_failure() {
        let closed = Failure::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert_eq!(closed.exit_status(), 0);
        assert_eq!(Failure::from(std::io::Error::other("full")).exit_status(), 1);
    }
}
