//! Webhooks over HTTP: those of custom allocation, and those of action groups. Owns the request, which places may be asked
//! at all, and what an allocation's status means (facts: dps-api.md §6.2); must not know enrollments, alerts, or when to
//! ask again.
//!
//! Who may write an enrollment or an action group chooses where this server sends requests to. So only TLS is spoken, which no metadata
//! service of a cloud does; addresses of this machine and of its link are not asked; no redirect is followed; and of an
//! answer nobody sees more than its status and, where it is an allocation, the allocation.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dps_core::ports::{Webhook, WebhookAnswer, WebhookError};
use dps_model::Secret;
use dps_model::custom_allocation::PlainWebhooks;
use dps_model::enrollment::InitialTwin;
use dps_model::limits::{MAX_WEBHOOK_ANSWER, MAX_WEBHOOK_URL, WEBHOOK_CONNECT_TIMEOUT, WEBHOOK_TIMEOUT};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use serde::Deserialize;
use serde_json::Value;

use crate::rest::SetupError;
use crate::wire;

/// Asks webhooks. Connections are kept and shared.
pub struct HttpWebhook {
    client: Client,
    plain: PlainWebhooks,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Answer {
    iot_hub_host_name: Option<String>,
    initial_twin: Option<InitialTwin>,
    payload: Option<Value>,
}

impl HttpWebhook {
    /// A client with these TLS settings ([`crate::client_config`] makes them). No proxy is used. Where webhooks may do
    /// without TLS on this machine, they may be on this machine.
    pub fn new(tls: rustls::ClientConfig, plain: PlainWebhooks) -> Result<Self, SetupError> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(plain == PlainWebhooks::Refused)
            .no_proxy()
            .redirect(Policy::none())
            .dns_resolver(Arc::new(Resolver(plain)))
            .connect_timeout(Duration::from_secs(WEBHOOK_CONNECT_TIMEOUT))
            .timeout(Duration::from_secs(WEBHOOK_TIMEOUT))
            .build()
            .map_err(SetupError::from)?;
        Ok(Self { client, plain })
    }

    /// Posts a JSON body once, and answers the status; of the answer nothing else is read. A failure holds nothing of the
    /// URL but its scheme.
    pub async fn post(&self, url: &Secret, body: Vec<u8>, patience: Duration) -> Result<u16, String> {
        let url = admitted(url, self.plain)?;
        let request = self.client.post(url).header(CONTENT_TYPE, JSON).timeout(patience).body(body);
        let answer = request.send().await.map_err(|error| no_answer(error).to_string())?;
        Ok(answer.status().as_u16())
    }
}

const JSON: &str = "application/json; charset=utf-8";

#[async_trait]
impl Webhook for HttpWebhook {
    async fn ask(&self, url: &Secret, body: &str) -> Result<WebhookAnswer, WebhookError> {
        let url = admitted(url, self.plain).map_err(WebhookError::Forbidden)?;
        let request = self.client.post(url).header(CONTENT_TYPE, JSON).body(body.to_owned());
        read(request.send().await.map_err(no_answer)?).await
    }
}

/// The URL, when it may be asked. Errors hold nothing of it but its scheme.
fn admitted(url: &Secret, plain: PlainWebhooks) -> Result<Url, String> {
    let text = std::str::from_utf8(url.expose()).map_err(|_| "its URL is no text".to_owned())?;
    if text.len() > MAX_WEBHOOK_URL {
        return Err(format!("its URL has {} bytes; at most {MAX_WEBHOOK_URL} are allowed", text.len()));
    }
    let url = Url::parse(text).map_err(|error| format!("its URL cannot be read: {error}"))?;
    let host = url.host_str().ok_or("its URL names no host")?;
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    if let Some(why) = literal.and_then(|address| forbidden(address, plain)) {
        return Err(why);
    }
    let is_local = host == "localhost" || literal.is_some_and(|address| address.to_canonical().is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if plain == PlainWebhooks::Loopback && is_local => Ok(url),
        "http" if plain == PlainWebhooks::Loopback => {
            Err("http is spoken to this machine alone; use https".into())
        }
        scheme => {
            let scheme: String = scheme.chars().take(16).collect();
            Err(format!("its URL begins with {scheme}; use https"))
        }
    }
}

/// Why an address is not asked.
fn forbidden(address: IpAddr, plain: PlainWebhooks) -> Option<String> {
    let address = address.to_canonical();
    let near = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast() || v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let own = address.is_loopback() && plain == PlainWebhooks::Refused;
    (near || own || address.is_unspecified() || address.is_multicast())
        .then(|| format!("{address} is an address of this machine or of its link"))
}

/// The machine's resolver, without the addresses that are not asked: a name cannot lead to them either.
struct Resolver(PlainWebhooks);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let plain = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let (no, yes): (Vec<SocketAddr>, Vec<SocketAddr>) =
                found.partition(|address| forbidden(address.ip(), plain).is_some());
            match no.first().and_then(|address| forbidden(address.ip(), plain)) {
                Some(why) if yes.is_empty() => Err(NotAsked(why).into()),
                _ => Ok(Box::new(yes.into_iter()) as Addrs),
            }
        })
    }
}

/// A name that leads nowhere else than to addresses that are not asked.
#[derive(Debug)]
struct NotAsked(String);

impl std::fmt::Display for NotAsked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for NotAsked {}

fn no_answer(error: reqwest::Error) -> WebhookError {
    let error = error.without_url();
    let causes = std::iter::successors(Some(&error as &(dyn Error + 'static)), |cause| (*cause).source());
    let mut refusals = causes.filter_map(|cause| cause.downcast_ref::<NotAsked>());
    match refusals.next() {
        Some(refusal) => WebhookError::Forbidden(refusal.to_string()),
        None => WebhookError::Unreachable(wire::why(&error)),
    }
}

async fn read(mut response: Response) -> Result<WebhookAnswer, WebhookError> {
    let status = response.status().as_u16();
    let refused = |why: &str| WebhookError::Refused { status, why: why.to_owned() };
    match status {
        200 => {}
        401 => return Err(WebhookError::Unauthorized),
        429.. => {
            let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let retry_after = retry_after.and_then(|text| text.trim().parse().ok());
            return Err(WebhookError::Busy { status, retry_after });
        }
        300..=399 => return Err(refused("redirects are not followed")),
        _ => return Err(refused("200 was expected")),
    }
    let body = wire::within(&mut response, MAX_WEBHOOK_ANSWER).await.map_err(no_answer)?;
    let body = body.ok_or_else(|| refused("its answer is larger than 96 KB"))?;
    match body.trim_ascii() {
        [] | b"null" => return Ok(WebhookAnswer::default()),
        [b'{', ..] => {}
        // An array would do for the members in order.
        _ => return Err(refused("its answer is no JSON object")),
    }
    // Where it is wrong is told, what it says there is not: it may be anything.
    let answer: Answer = serde_json::from_slice(&body).map_err(|error| {
        refused(&format!("its answer is no allocation, line {}, column {}", error.line(), error.column()))
    })?;
    let Answer { iot_hub_host_name: hub, initial_twin, payload } = answer;
    Ok(WebhookAnswer { hub, initial_twin, payload })
}

#[cfg(test)]
mod tests {
    use dps_model::Secret;
    use dps_model::limits::MAX_WEBHOOK_URL;

    use super::{PlainWebhooks, admitted};

    #[test]
    fn places_that_are_asked_and_not() {
        for (url, network, development) in [
            ("https://f.example/api/a?code=s3cret", true, true),
            ("https://10.1.2.3:8443/a", true, true),
            ("https://[2001:db8::1]/a", true, true),
            ("https://127.0.0.1/a", false, true),
            ("https://[::ffff:127.0.0.1]/a", false, true),
            ("https://2130706433/a", false, true),
            ("http://127.0.0.1:7071/a", false, true),
            ("http://localhost:7071/a", false, true),
            ("http://[::1]/a", false, true),
            ("http://f.example/a", false, false),
            ("http://10.1.2.3/a", false, false),
            ("http://169.254.169.254/latest/meta-data", false, false),
            ("https://169.254.169.254/", false, false),
            ("https://[fe80::1]/", false, false),
            ("https://0.0.0.0/", false, false),
            ("https://[::]/", false, false),
            ("https://224.0.0.1/", false, false),
            ("ftp://f.example/", false, false),
            ("file:///etc/passwd", false, false),
            ("f.example/api", false, false),
            ("", false, false),
        ] {
            for (plain, expected) in
                [(PlainWebhooks::Refused, network), (PlainWebhooks::Loopback, development)]
            {
                let outcome = admitted(&Secret::from(url.to_owned()), plain);
                assert_eq!(outcome.is_ok(), expected, "{url} {plain:?} {outcome:?}");
                assert!(outcome.is_ok() || !outcome.unwrap_err().contains("s3cret"));
            }
        }
        let long = format!("https://f.example/{}", "x".repeat(MAX_WEBHOOK_URL));
        assert!(admitted(&Secret::from(long), PlainWebhooks::Refused).is_err());
    }
}
