//! HTTP to destinations. Owns the client, what is read of an answer, and which failures may mend themselves; must not
//! know what is asked.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use dps_monitor::destinations::DeliveryError;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response};
use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls_pki_types::CertificateDer;
use rustls_platform_verifier::Verifier;

use crate::limits::{CONNECT_SECONDS, MAX_ANSWER, MAX_REASON, MAX_RETRY_AFTER, REQUEST_SECONDS};

/// Why a destination cannot be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SetupError(pub String);

/// TLS 1.2 and 1.3: the machine's roots, and these besides.
pub fn tls(
    provider: Arc<CryptoProvider>,
    extra_roots: impl IntoIterator<Item = CertificateDer<'static>>,
) -> Result<ClientConfig, SetupError> {
    let failed = |error: rustls::Error| SetupError(format!("TLS cannot be set up: {error}"));
    let verifier = Verifier::new_with_extra_roots(extra_roots, Arc::clone(&provider)).map_err(failed)?;
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    // Not dangerous: this verifier checks all that the default one does, against the machine's roots.
    let builder = builder.map_err(failed)?.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    Ok(builder.with_no_client_auth())
}

/// Is that host this machine? Secrets that nothing protects on the way go nowhere else.
pub fn is_here(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A client. Connections are kept and shared.
#[derive(Clone)]
pub struct Http(Client);

impl Http {
    /// With these TLS settings. No proxy is used and no redirect followed: a secret goes where the settings say.
    pub fn new(tls: ClientConfig) -> Result<Self, SetupError> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(Policy::none())
            .connect_timeout(Duration::from_secs(CONNECT_SECONDS))
            .timeout(Duration::from_secs(REQUEST_SECONDS))
            .build();
        client.map(Self).map_err(|error| SetupError(format!("HTTP cannot be set up: {}", why(error))))
    }

    /// What requests are made of.
    pub fn client(&self) -> &Client {
        &self.0
    }
}

/// An answer, whatever its status.
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, as far as it was read.
    pub body: Vec<u8>,
}

/// Sends a request and reads the answer, of its body at most so many bytes.
pub async fn send(request: RequestBuilder, most: usize) -> Result<Answer, DeliveryError> {
    let lost = |error| DeliveryError::Later { why: why(error), after: None };
    let mut response = request.send().await.map_err(lost)?;
    let body = within(&mut response, most).await.map_err(lost)?;
    Ok(Answer { status: response.status().as_u16(), headers: response.headers().clone(), body })
}

/// Sends a request whose answer is of interest by its status and for what it says is wrong.
pub async fn ask(request: RequestBuilder) -> Result<Answer, DeliveryError> {
    send(request, MAX_ANSWER).await
}

impl Answer {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A header as a number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.header(name)?.trim().parse().ok()
    }

    /// The body's piece between two texts: of small XML, one element.
    pub fn between(&self, open: &str, close: &str) -> Option<String> {
        let body = String::from_utf8_lossy(&self.body);
        let (_, rest) = body.split_once(open)?;
        rest.split_once(close).map(|(inside, _)| inside.to_owned())
    }

    /// The failure that this answer is. What somebody may mend at the destination (rights, a missing container, a wrong
    /// key) is for later, as is what passes; what no attempt changes is refused.
    pub fn failure(&self, what: &str, reason: &str) -> DeliveryError {
        let reason: String = reason.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect();
        let why = match reason.as_str() {
            "" => format!("{what}: status {}", self.status),
            reason => format!("{what}: status {} ({reason})", self.status),
        };
        match self.status {
            401 | 403 | 404 | 407 | 408 | 409 | 412 | 425 | 429 | 500.. => {
                let seconds = self.number(RETRY_AFTER.as_str()).map(|seconds| seconds.min(MAX_RETRY_AFTER));
                DeliveryError::Later { why, after: seconds.map(Duration::from_secs) }
            }
            _ => DeliveryError::Refused(why),
        }
    }
}

async fn within(response: &mut Response, most: usize) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = most - body.len();
        body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if body.len() == most {
            break;
        }
    }
    Ok(body)
}

/// The error with its causes, without the URL, which may hold a signature.
fn why(error: reqwest::Error) -> String {
    let error = error.without_url();
    let causes = std::iter::successors(std::error::Error::source(&error), |cause| (*cause).source());
    let chain: Vec<String> = causes.map(ToString::to_string).collect();
    if chain.is_empty() { error.to_string() } else { format!("{error} ({})", chain.join(": ")) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dps_monitor::destinations::DeliveryError;
    use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};

    use super::Answer;
    use crate::limits::{MAX_REASON, MAX_RETRY_AFTER};

    fn answer(status: u16, retry_after: Option<&'static str>) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(text) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
        }
        Answer { status, headers, body: b"<Error><Code>Busy</Code></Error>".to_vec() }
    }

    #[test]
    fn failures_that_pass_or_can_be_mended_are_for_later() {
        for (status, is_later) in [
            (400, false),
            (401, true),
            (403, true),
            (404, true),
            (413, false),
            (429, true),
            (503, true),
            (302, false),
        ] {
            let failure = answer(status, None).failure("cannot", "");
            assert_eq!(matches!(failure, DeliveryError::Later { after: None, .. }), is_later, "{status}");
            assert_eq!(failure.to_string(), format!("cannot: status {status}"));
        }
    }

    #[test]
    fn time_to_wait_is_taken_from_the_answer_within_bounds() {
        for (text, seconds) in
            [("7", Some(7)), ("99999999", Some(MAX_RETRY_AFTER)), ("soon", None), ("-1", None)]
        {
            let failure = answer(429, Some(text)).failure("cannot", "");
            let DeliveryError::Later { after, .. } = failure else { panic!("{failure}") };
            assert_eq!(after, seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn reason_is_shown_without_what_would_break_a_line() {
        let answer = answer(400, None);
        assert_eq!(answer.between("<Code>", "</Code>").as_deref(), Some("Busy"));
        assert_eq!(answer.between("<Message>", "</Message>"), None);
        let long = answer.failure("cannot", &format!("a\nb{}", "x".repeat(MAX_REASON))).to_string();
        assert!(long.starts_with("cannot: status 400 (abxx") && long.len() < MAX_REASON + 40, "{long}");
    }
}
