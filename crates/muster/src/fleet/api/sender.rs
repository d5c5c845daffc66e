//! One call as requests over HTTP: sent again when the service throttles it or fails, with growing pauses that honour
//! `Retry-After`, and bounded. Must not know which API is asked.

use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Method};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::Value;

use super::failure::{Failure, Refusal, shown};
use crate::fleet::limits::{
    BACKOFF_MS, CONNECT_TIMEOUT, MAX_ANSWER, MAX_ATTEMPTS, MAX_BACKOFF_MS, MAX_RETRY_AFTER,
    MAX_UNANSWERED_ATTEMPTS, REQUEST_TIMEOUT,
};

/// What a call asks.
pub struct Ask {
    pub method: Method,
    pub url: String,
    pub headers: Vec<(HeaderName, String)>,
    pub body: Option<Value>,
}

/// A success, read within its bound.
#[derive(Debug)]
pub struct Answer {
    pub headers: HeaderMap,
    /// Null where there is no body.
    pub body: Value,
    /// An earlier attempt of this call had none: it may have done its work.
    pub is_late: bool,
}

/// What a service is given before it has failed.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Time that one request may take, its answer included.
    pub timeout: Duration,
    /// Bytes of an answer.
    pub max_answer: usize,
    /// Requests of one call.
    pub max_attempts: u32,
    /// A 504 is the last word: the time that was asked for is over, and would be over again.
    pub timeout_is_final: bool,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(REQUEST_TIMEOUT),
            max_answer: MAX_ANSWER,
            max_attempts: MAX_ATTEMPTS,
            timeout_is_final: false,
        }
    }
}

/// Sends to one service.
pub struct Sender {
    client: Client,
    /// Who is asked, for errors.
    service: String,
    /// What the credential was taken from, for errors.
    credential: String,
    backoff: Duration,
    terms: Terms,
}

/// What became of one request.
enum Outcome {
    Answered(u16, HeaderMap, Vec<u8>),
    /// No whole answer; the text says why.
    Unanswered(String),
    /// Another attempt cannot help.
    Hopeless(String),
}

impl Sender {
    /// Trusts the machine's roots, and those of the file.
    pub fn new(base: &str, ca: Option<&[u8]>, credential: &str) -> Result<Self, Failure> {
        let roots = match ca {
            Some(pem) => CertificateDer::pem_slice_iter(pem)
                .collect::<Result<Vec<_>, _>>()
                .context("the CA file is no PEM")?,
            None => Vec::new(),
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = dps_hub::client_config(provider, roots).context("TLS cannot be set up")?;
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls)
            // A token goes to the service that it was made for, and nowhere else.
            .redirect(Policy::none())
            .connect_timeout(Duration::from_secs(CONNECT_TIMEOUT));
        if is_loopback(base) {
            builder = builder.no_proxy();
        }
        if let Some(name) = name_of_this_machine(base) {
            builder = builder.resolve(&name, SocketAddr::from(([127, 0, 0, 1], 0)));
        }
        Ok(Self {
            client: builder.build().context("the HTTP client cannot be made")?,
            service: base.to_owned(),
            credential: credential.to_owned(),
            backoff: Duration::from_millis(BACKOFF_MS),
            terms: Terms::default(),
        })
    }

    /// On other terms than the usual ones.
    pub fn on_terms(self, terms: Terms) -> Self {
        Self { terms, ..self }
    }

    /// One call, whatever number of requests it takes. `authorize` makes a fresh header value for each.
    pub async fn call(&self, ask: &Ask, authorize: impl Fn() -> String) -> Result<Answer, Failure> {
        // Of those without an answer, and those that may have done their work without a good answer.
        let (mut attempt, mut unanswered, mut lost) = (1, 0, false);
        loop {
            let (why, retry_after) = match self.once(ask, &authorize()).await? {
                Outcome::Answered(status, headers, body) if (200..300).contains(&status) => {
                    return self.success(status, headers, &body, lost);
                }
                Outcome::Answered(status, headers, body) => {
                    let mut refusal = Refusal::read(status, &body, request_id(&headers));
                    let retry_after = retry_after(&headers);
                    let again = matches!(status, 408 | 429 | 500..)
                        && attempt < self.terms.max_attempts
                        && !(status == 504 && self.terms.timeout_is_final);
                    if !again || retry_after.is_some_and(|wait| wait > MAX_RETRY_AFTER) {
                        refusal.credential.clone_from(&self.credential);
                        refusal.lost_an_answer = lost;
                        refusal.retry_after = retry_after;
                        return Err(Failure::Refused(Box::new(refusal)));
                    }
                    // A server that fails may have done its work before.
                    lost |= status >= 500;
                    (format!("{} answers {status}", self.service), retry_after)
                }
                Outcome::Unanswered(why) => {
                    (unanswered, lost) = (unanswered + 1, true);
                    if unanswered >= MAX_UNANSWERED_ATTEMPTS || attempt >= self.terms.max_attempts {
                        return Err(self.unreachable(&why));
                    }
                    (format!("no answer from {}", self.service), None)
                }
                Outcome::Hopeless(why) => return Err(self.unreachable(&why)),
            };
            let pause = pause(self.backoff, attempt, retry_after, uuid::Uuid::new_v4().as_u128());
            eprintln!("muster: {why}; trying again in {:.1} s", pause.as_secs_f32());
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    fn success(&self, status: u16, headers: HeaderMap, body: &[u8], lost: bool) -> Result<Answer, Failure> {
        let body = if body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(body) };
        let body = body.map_err(|_| {
            Failure::Unreachable(format!("{} answered {status} with no JSON: is it a service?", self.service))
        })?;
        Ok(Answer { headers, body, is_late: lost })
    }

    /// One request.
    async fn once(&self, ask: &Ask, authorization: &str) -> Result<Outcome, Failure> {
        let mut authorization = HeaderValue::from_str(authorization)
            .map_err(|_| Failure::Usage("the token has characters that no header may have".to_owned()))?;
        authorization.set_sensitive(true);
        let mut request = self
            .client
            .request(ask.method.clone(), &ask.url)
            .timeout(self.terms.timeout)
            .header(AUTHORIZATION, authorization);
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        if let Some(body) = &ask.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_builder() => return Ok(Outcome::Hopeless(causes(error))),
            Err(error) if is_distrust(&error) => {
                let why = causes(error);
                let what = "name the certificates that it is to be trusted by with --ca-file";
                return Ok(Outcome::Hopeless(format!("{why}; {what}")));
            }
            Err(error) => return Ok(Outcome::Unanswered(causes(error))),
        };
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > self.terms.max_answer => {
                    let most = self.terms.max_answer;
                    return Ok(Outcome::Hopeless(format!("the answer is larger than {most} bytes")));
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) => return Ok(Outcome::Unanswered(causes(error))),
            }
        }
        Ok(Outcome::Answered(response.status().as_u16(), response.headers().clone(), body))
    }

    fn unreachable(&self, why: &str) -> Failure {
        Failure::Unreachable(format!(
            "no answer from {} ({}): {why}. Is it running, and is the address right?",
            self.service, self.credential
        ))
    }
}

/// How long to wait before the next attempt: what the service asks for, else longer each time, by chance up to twice.
fn pause(backoff: Duration, attempt: u32, retry_after: Option<u64>, chance: u128) -> Duration {
    let base = backoff.saturating_mul(1 << attempt.saturating_sub(1).min(16));
    let base = base.min(Duration::from_millis(MAX_BACKOFF_MS));
    #[allow(clippy::cast_possible_truncation)] // a remainder of 1000
    let share = (chance % 1_000) as u32;
    let own = base / 2 + base * share / 2_000;
    retry_after.map_or(own, |wait| Duration::from_secs(wait) + own / 4)
}

/// `Retry-After` in seconds; a date is not read, and the pauses are our own.
pub fn retry_after(headers: &HeaderMap) -> Option<u64> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

fn request_id(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-ms-request-id")?.to_str().ok()
}

/// Does the server's certificate not hold?
fn is_distrust(error: &reqwest::Error) -> bool {
    let chain = std::iter::successors(error.source(), |cause| (*cause).source());
    chain.into_iter().any(|cause| {
        matches!(cause.downcast_ref(), Some(rustls::Error::InvalidCertificate(_)))
            || cause.to_string().contains("invalid peer certificate")
    })
}

/// The innermost causes, without the address.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let chain = std::iter::successors(error.source(), |cause| (*cause).source());
    let last = chain.last().map_or_else(|| error.to_string(), ToString::to_string);
    let last = if error.is_timeout() { format!("it took too long ({last})") } else { last };
    shown(&last)
}

/// Proxies are for services that are elsewhere.
fn is_loopback(base: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(base) else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_name = host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost");
    is_name || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A name below `localhost`, which is this machine (RFC 6761) although many resolvers do not know it: the instances of a
/// `muster dev` have such names.
fn name_of_this_machine(base: &str) -> Option<String> {
    let url = reqwest::Url::parse(base).ok()?;
    url.host_str().filter(|host| host.ends_with(".localhost")).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests;
