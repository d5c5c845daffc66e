//! What a hub's answer means. Owns the mapping from status and error code to the port's failures (facts:
//! dps-api.md §1.5, wire-protocol.md §8.2); must not send.

use dps_core::ports::HubError;
use dps_model::limits::MAX_HUB_ERROR;
use serde_json::Value;

/// An answer, read within its bound.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Header `iothub-errorcode`.
    pub(crate) code: Option<String>,
    /// Header `Retry-After`, in seconds.
    pub(crate) retry_after: Option<u32>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The device is not there (but the hub is).
    pub(crate) fn is_missing(&self) -> bool {
        self.status == 404 && !self.says("IotHubNotFound")
    }

    /// Does the hub name this error, in the header or in the body's `ErrorCode:…`?
    fn says(&self, name: &str) -> bool {
        self.code.as_deref() == Some(name)
            || String::from_utf8_lossy(&self.body).contains(&format!("ErrorCode:{name}"))
    }

    /// The body of a success.
    pub(crate) fn json(&self) -> Result<Value, HubError> {
        serde_json::from_slice(&self.body)
            .map_err(|_| HubError::Unreachable(format!("the hub answered {} without JSON", self.status)))
    }

    /// The failure of an answer that is no success.
    pub(crate) fn failure(&self) -> HubError {
        let text = self.text();
        match self.status {
            401 | 404 if self.says("IotHubNotFound") => HubError::NotFound(text),
            401 => HubError::Unauthorized(text),
            429 => {
                let retry_after = self.retry_after.or_else(|| wait_in(&text));
                HubError::Throttled { text, retry_after }
            }
            503 if self.retry_after.is_some() => HubError::Throttled { text, retry_after: self.retry_after },
            403 | 413 if self.says("IotHubQuotaExceeded") || self.says("TooManyDevices") => {
                HubError::QuotaExceeded(text)
            }
            408 | 500.. => HubError::Unreachable(text),
            status => HubError::Refused { status, text },
        }
    }

    /// The hub's own words, bounded.
    fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let text = text.trim();
        if text.is_empty() {
            return format!("the hub answered {} without a word", self.status);
        }
        text.char_indices().take_while(|(at, c)| at + c.len_utf8() <= MAX_HUB_ERROR).map(|(_, c)| c).collect()
    }
}

/// The seconds of `… Wait 10 seconds and try again …`, as IoT Hub says them where it sends no header.
fn wait_in(text: &str) -> Option<u32> {
    let (_, behind) = text.split_once("Wait ")?;
    let (number, unit) = behind.split_once(' ')?;
    unit.starts_with("second").then(|| number.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use dps_core::ports::HubError;
    use dps_model::limits::MAX_HUB_ERROR;

    use super::Answer;

    fn answer(status: u16, code: Option<&str>, retry_after: Option<u32>, body: &str) -> Answer {
        Answer { status, code: code.map(ToOwned::to_owned), retry_after, body: body.into() }
    }

    #[test]
    fn failures_are_told_apart_as_azure_tells_them() {
        let unauthorized = r#"{"Message":"ErrorCode:IotHubUnauthorizedAccess;Unauthorized"}"#;
        let gone = r#"{"Message":"ErrorCode:IotHubNotFound;iothub not found"}"#;
        let failure = |status, code, retry, body| answer(status, code, retry, body).failure();
        assert_eq!(failure(401, None, None, unauthorized), HubError::Unauthorized(unauthorized.into()));
        assert_eq!(failure(401, None, None, gone), HubError::NotFound(gone.into()));
        assert_eq!(failure(404, Some("IotHubNotFound"), None, "x"), HubError::NotFound("x".into()));
        assert_eq!(failure(404, None, None, "x"), HubError::Refused { status: 404, text: "x".into() });
        assert_eq!(failure(403, Some("IotHubQuotaExceeded"), None, "q"), HubError::QuotaExceeded("q".into()));
        let full = r#"{"Message":"ErrorCode:TooManyDevices;Total number of devices …"}"#;
        assert_eq!(failure(413, None, None, full), HubError::QuotaExceeded(full.into()));
        assert_eq!(failure(403, None, None, "f"), HubError::Refused { status: 403, text: "f".into() });
        for status in [429, 503] {
            let throttled = HubError::Throttled { text: "t".into(), retry_after: Some(7) };
            assert_eq!(failure(status, None, Some(7), "t"), throttled);
        }
        assert_eq!(failure(503, None, None, "s"), HubError::Unreachable("s".into()));
        assert_eq!(
            failure(500, None, None, ""),
            HubError::Unreachable("the hub answered 500 without a word".into())
        );
        assert_eq!(failure(302, None, None, "m"), HubError::Refused { status: 302, text: "m".into() });
    }

    #[test]
    fn throttle_without_a_header_waits_as_long_as_its_words_say() {
        let words = "ErrorCode:ThrottlingBacklogTimeout;The request has been throttled. \
                     Wait 10 seconds and try again. Operation type: CRUD";
        let waits = |words: &str, header| match answer(429, None, header, words).failure() {
            HubError::Throttled { retry_after, .. } => retry_after,
            other => panic!("{other:?}"),
        };
        assert_eq!(waits(words, None), Some(10));
        assert_eq!(waits(words, Some(3)), Some(3));
        for odd in ["Wait", "Wait  seconds", "Wait -1 seconds", "Wait 99999999999 seconds", "Wait 5 minutes"]
        {
            assert_eq!(waits(odd, None), None, "{odd}");
        }
    }

    #[test]
    fn missing_device_is_not_a_missing_hub() {
        assert!(answer(404, Some("DeviceNotFound"), None, "").is_missing());
        assert!(!answer(404, Some("IotHubNotFound"), None, "").is_missing());
        assert!(!answer(404, None, None, "ErrorCode:IotHubNotFound;").is_missing());
    }

    #[test]
    fn failure_long_text_is_cut() {
        let failure = answer(400, None, None, &"é".repeat(MAX_HUB_ERROR)).failure();
        assert_eq!(failure.to_string().len(), MAX_HUB_ERROR);
    }
}
