//! The hub port over IoT Hub's service REST. Owns the requests and the order in which they make a repeated call
//! harmless; must not judge what an answer means (`answer` does).

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dps_core::ports::{Clock, HubError, Hubs, TwinTaken};
use dps_model::hub::{HubDevice, HubTwin, LinkedHub};
use dps_model::limits::{HUB_CONNECT_TIMEOUT, HUB_REQUEST_TIMEOUT, HUB_WRITE_ATTEMPTS, MAX_HUB_ANSWER};
use dps_model::{DeviceId, HubName};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{AUTHORIZATION, HeaderValue, IF_MATCH, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response};
use serde_json::Value;

use crate::answer::Answer;
use crate::tokens::Tokens;
use crate::{identity, name, wire};

const API_VERSION: &str = "2021-04-12";
const ANY: &str = "\"*\"";
/// Everything but RFC 3986's unreserved characters is escaped in a path segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Why the client could not be made.
#[derive(Debug)]
pub struct SetupError(reqwest::Error);

impl std::fmt::Display for SetupError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the client of linked hubs cannot be made: {}", self.0)
    }
}

impl From<reqwest::Error> for SetupError {
    fn from(error: reqwest::Error) -> Self {
        Self(error)
    }
}

impl Error for SetupError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// Linked hubs, reached by their service REST. Connections are kept and shared.
pub struct RestHubs {
    client: Client,
    clock: Arc<dyn Clock>,
    tokens: Tokens,
}

/// One request.
struct Ask<'a> {
    method: Method,
    collection: &'static str,
    device_id: Option<&'a DeviceId>,
    if_match: Option<String>,
    body: Option<Value>,
}

impl<'a> Ask<'a> {
    fn get(collection: &'static str, device_id: &'a DeviceId) -> Self {
        Self { device_id: Some(device_id), ..Self::of_hub(collection) }
    }

    /// Of the hub itself: the path has no device.
    fn of_hub(collection: &'static str) -> Self {
        Self { method: Method::GET, collection, device_id: None, if_match: None, body: None }
    }

    fn put(collection: &'static str, device_id: &'a DeviceId, body: Value) -> Self {
        Self { method: Method::PUT, body: Some(body), ..Self::get(collection, device_id) }
    }

    fn delete(collection: &'static str, device_id: &'a DeviceId) -> Self {
        Self { method: Method::DELETE, ..Self::get(collection, device_id) }
    }

    fn if_match(self, tag: impl Into<String>) -> Self {
        Self { if_match: Some(tag.into()), ..self }
    }
}

/// How a device came to be as wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Made {
    New,
    Found,
}

impl RestHubs {
    /// A client with these TLS settings ([`crate::client_config`] makes them). No proxy is used and no redirect
    /// followed: a token goes to the linked host alone.
    pub fn new(clock: Arc<dyn Clock>, tls: rustls::ClientConfig) -> Result<Self, SetupError> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .no_proxy()
            .redirect(Policy::none())
            .dns_resolver(Arc::new(name::Resolver))
            .connect_timeout(Duration::from_secs(HUB_CONNECT_TIMEOUT))
            .timeout(Duration::from_secs(HUB_REQUEST_TIMEOUT))
            .build()
            .map_err(SetupError)?;
        Ok(Self { client, clock, tokens: Tokens::default() })
    }

    async fn ask(&self, link: &LinkedHub, ask: Ask<'_>) -> Result<Answer, HubError> {
        let host = &link.connection.host;
        // The same characters as a host name with a port: nothing of it can become a path or a user.
        if HubName::parse(host).is_err() {
            return Err(HubError::NotFound("iothub not found: HostName of the link is no host name".into()));
        }
        let mut path = ask.collection.to_owned();
        if let Some(id) = ask.device_id {
            path.push('/');
            path.extend(utf8_percent_encode(id.as_str(), SEGMENT));
        }
        let url = format!("https://{host}/{path}?api-version={API_VERSION}");
        let token = self.tokens.token(&link.connection, self.clock.now());
        let mut authorization = HeaderValue::from_str(&token)
            .map_err(|_| HubError::Unauthorized("the link's policy name is not a header's text".into()))?;
        authorization.set_sensitive(true);
        let mut request = self.client.request(ask.method, url).header(AUTHORIZATION, authorization);
        if let Some(tag) = ask.if_match {
            request = request.header(IF_MATCH, tag);
        }
        if let Some(body) = ask.body {
            request = request.json(&body);
        }
        let response = request.send().await.map_err(|error| unreachable(link, error))?;
        read(response).await.map_err(|error| unreachable(link, error))?.ok_or_else(|| {
            HubError::Unreachable(format!("the hub's answer is larger than {MAX_HUB_ANSWER} bytes"))
        })
    }

    /// Creates the identity, or makes the one that is there equal. Another writer in between only costs a round.
    async fn put_identity(&self, link: &LinkedHub, device: &HubDevice) -> Result<Made, HubError> {
        let id = &device.device_id;
        for _ in 0..HUB_WRITE_ATTEMPTS {
            let created = self.ask(link, Ask::put("devices", id, identity::created(device))).await?;
            if created.is_success() {
                return Ok(Made::New);
            }
            if created.status != 409 {
                return Err(created.failure());
            }
            let found = self.ask(link, Ask::get("devices", id)).await?;
            if found.is_missing() {
                continue;
            }
            if !found.is_success() {
                return Err(found.failure());
            }
            let existing = found.json()?;
            if identity::matches(&existing, device) {
                return Ok(Made::Found);
            }
            let tag = existing["etag"].as_str().map_or_else(|| ANY.to_owned(), |tag| format!("\"{tag}\""));
            let body = identity::updated(existing, device);
            let updated = self.ask(link, Ask::put("devices", id, body).if_match(tag)).await?;
            if updated.is_success() {
                return Ok(Made::Found);
            }
            if updated.status != 412 && !updated.is_missing() {
                return Err(updated.failure());
            }
        }
        Err(HubError::Unreachable("the device's identity is being changed by others all the time".into()))
    }

    /// Puts tags and desired properties in place, unless they are so already; then the reported ones.
    async fn put_twin(
        &self,
        link: &LinkedHub,
        id: &DeviceId,
        made: Made,
        twin: &HubTwin,
    ) -> Result<TwinTaken, HubError> {
        let current = match made {
            Made::New => HubTwin::default(),
            Made::Found => self.twin(link, id).await?.unwrap_or_default(),
        };
        if current.tags != twin.tags || current.desired != twin.desired {
            let put = Ask::put("twins", id, identity::twin_body(twin)).if_match(ANY);
            let answer = self.ask(link, put).await?;
            if !answer.is_success() {
                return Err(answer.failure());
            }
        }
        if twin.reported.is_empty() || current.reported == twin.reported {
            return Ok(TwinTaken::Whole);
        }
        self.import_twin(link, id, twin).await
    }

    /// Reported properties belong to the device: `PUT /twins` drops them. A bulk request has a place for them, and
    /// whether this hub heeds it shows only afterwards.
    async fn import_twin(
        &self,
        link: &LinkedHub,
        id: &DeviceId,
        twin: &HubTwin,
    ) -> Result<TwinTaken, HubError> {
        let ask = Ask {
            method: Method::POST,
            body: Some(identity::twin_import(id, twin)),
            ..Ask::of_hub("devices")
        };
        let answer = self.ask(link, ask).await?;
        if !answer.is_success() {
            return match answer.failure() {
                HubError::Refused { .. } => Ok(TwinTaken::WithoutReported),
                error => Err(error),
            };
        }
        let now = self.twin(link, id).await?.unwrap_or_default();
        let taken = now.reported == twin.reported;
        Ok(if taken { TwinTaken::Whole } else { TwinTaken::WithoutReported })
    }
}

#[async_trait]
impl Hubs for RestHubs {
    async fn put_device(
        &self,
        hub: &LinkedHub,
        device: &HubDevice,
        twin: Option<&HubTwin>,
    ) -> Result<TwinTaken, HubError> {
        let made = self.put_identity(hub, device).await?;
        match twin {
            Some(twin) => self.put_twin(hub, &device.device_id, made, twin).await,
            None => Ok(TwinTaken::Whole),
        }
    }

    async fn twin(&self, hub: &LinkedHub, device_id: &DeviceId) -> Result<Option<HubTwin>, HubError> {
        let answer = self.ask(hub, Ask::get("twins", device_id)).await?;
        if answer.is_missing() {
            return Ok(None);
        }
        if !answer.is_success() {
            return Err(answer.failure());
        }
        Ok(Some(identity::twin_sections(&answer.json()?)))
    }

    async fn delete_device(&self, hub: &LinkedHub, device_id: &DeviceId) -> Result<(), HubError> {
        let answer = self.ask(hub, Ask::delete("devices", device_id).if_match(ANY)).await?;
        if answer.is_success() || answer.is_missing() { Ok(()) } else { Err(answer.failure()) }
    }

    /// The registry's statistics: what `RegistryRead` opens, and one row whatever the hub's size.
    async fn probe(&self, hub: &LinkedHub) -> Result<(), HubError> {
        let answer = self.ask(hub, Ask::of_hub("statistics/devices")).await?;
        if answer.is_success() { Ok(()) } else { Err(answer.failure()) }
    }
}

/// Reads an answer; `None` when it is larger than anything a hub says of one device.
async fn read(mut response: Response) -> Result<Option<Answer>, reqwest::Error> {
    let header = |name: &str| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::trim)
            .map(ToOwned::to_owned)
    };
    let (code, retry_after) = (header("iothub-errorcode"), header(RETRY_AFTER.as_str()));
    let Some(body) = wire::within(&mut response, MAX_HUB_ANSWER).await? else { return Ok(None) };
    let retry_after = retry_after.and_then(|text| text.parse().ok());
    Ok(Some(Answer { status: response.status().as_u16(), code, retry_after, body }))
}

/// A request without an answer: the name is unknown, or something on the way failed.
fn unreachable(link: &LinkedHub, error: reqwest::Error) -> HubError {
    let error = error.without_url();
    if let Some(missing) = name::missing(&error) {
        return HubError::NotFound(format!("iothub not found: {missing}"));
    }
    HubError::Unreachable(format!("no answer from {}: {}", link.connection.host, wire::why(&error)))
}
