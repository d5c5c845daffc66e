//! The control plane: ARM's `Microsoft.Devices/provisioningServices`. Owns paths, asynchronous operations and lists in
//! pages; must not know what a provisioning service holds.

use std::fmt::Write as _;
use std::time::Duration;

use percent_encoding::utf8_percent_encode;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, IF_MATCH, LOCATION};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::failure::{Failure, shown};
use super::sender::{Answer, Ask, Sender, retry_after};
use super::service::SEGMENT;
use super::target::Target;
use crate::fleet::limits::{MAX_OPERATION_WAIT, MAX_RETRY_AFTER, OPERATION_POLL};

/// What all calls use but those that need a newer one.
pub const API_VERSION: &str = "2022-02-05";
/// Of metrics.
const INSIGHTS_API_VERSION: &str = "2024-02-01";
/// Of diagnostic settings.
const SETTINGS_API_VERSION: &str = "2021-05-01-preview";
/// Of Muster's own provider.
const DIAGNOSIS_API_VERSION: &str = "2026-11-01";
/// The first one with `disableLocalAuth`.
pub const LOCAL_AUTH_API_VERSION: &str = "2026-08-31";
const OPERATION: HeaderName = HeaderName::from_static("azure-asyncoperation");

/// Which provisioning service, and under what it is listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceId {
    pub subscription: Option<String>,
    pub resource_group: Option<String>,
    pub name: Option<String>,
}

impl ResourceId {
    /// Reads `/subscriptions/…[/resourceGroups/…[/providers/Microsoft.Devices/provisioningServices/…]]`.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let mut id = Self::default();
        let mut parts = text.trim().trim_matches('/').split('/');
        while let Some(name) = parts.next() {
            let value = parts.next().filter(|value| !value.is_empty()).map(ToOwned::to_owned);
            match name.to_ascii_lowercase().as_str() {
                "subscriptions" => id.subscription = value,
                "resourcegroups" => id.resource_group = value,
                "providers"
                    if value.as_deref().is_some_and(|it| it.eq_ignore_ascii_case("Microsoft.Devices")) => {}
                "provisioningservices" => id.name = value,
                _ => {
                    return Err(Failure::Usage(format!(
                        "{name} does not belong into a resource id: {RESOURCE_ID}"
                    )));
                }
            }
        }
        Ok(id)
    }

    fn part<'a>(value: Option<&'a String>, option: &str) -> Result<&'a str, Failure> {
        value.map(String::as_str).ok_or_else(|| Failure::Usage(format!("say {option}, or {RESOURCE_ID}")))
    }

    /// The path of the provisioning service.
    fn service(&self) -> Result<String, Failure> {
        let name = Self::part(self.name.as_ref(), "the provisioning service's name")?;
        Ok(format!("{}/{}", self.collection(true)?, segment(name)))
    }

    /// The path that lists services: of the resource group, or of the whole subscription.
    fn collection(&self, of_group: bool) -> Result<String, Failure> {
        let place = if of_group { self.group()? } else { self.subscription()? };
        Ok(format!("{place}/providers/Microsoft.Devices/provisioningServices"))
    }

    fn subscription(&self) -> Result<String, Failure> {
        let subscription = Self::part(self.subscription.as_ref(), "--subscription")?;
        Ok(format!("/subscriptions/{}", segment(subscription)))
    }

    fn group(&self) -> Result<String, Failure> {
        let name = Self::part(self.resource_group.as_ref(), "--resource-group");
        Ok(format!("{}/resourceGroups/{}", self.subscription()?, segment(name?)))
    }
}

const RESOURCE_ID: &str =
    "--resource-id /subscriptions/…/resourceGroups/…/providers/Microsoft.Devices/provisioningServices/…";

fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// A call on something of a monitoring provider.
#[derive(Clone, Copy, Debug)]
pub struct Monitored<'a> {
    /// Its ARM id, and what follows it.
    pub path: &'a str,
    /// The provider's version.
    pub version: &'a str,
    /// Of the query.
    pub parameters: &'a [(&'a str, String)],
}

/// A control plane's client, and the provisioning service that is meant.
pub struct ControlPlane {
    target: Target,
    sender: Sender,
    id: ResourceId,
}

impl ControlPlane {
    pub fn new(target: Target, id: ResourceId) -> Result<Self, Failure> {
        Ok(Self { sender: target.sender()?, target, id })
    }

    /// `:port` of the control plane where it is not 443: a self-hosted service has one address for everything.
    pub fn port(&self) -> Option<u16> {
        reqwest::Url::parse(&self.target.base).ok()?.port()
    }

    pub fn name(&self) -> &str {
        self.id.name.as_deref().unwrap_or_default()
    }

    pub async fn service(&self) -> Result<Value, Failure> {
        Ok(self.ask(Method::GET, &self.id.service()?, API_VERSION, None, None).await?.body)
    }

    /// The services of the resource group, or of the whole subscription.
    pub async fn services(&self, of_group: bool) -> Result<Vec<Value>, Failure> {
        self.list(&self.id.collection(of_group)?).await
    }

    /// Writes the whole service, and waits until it is as wanted unless told not to.
    pub async fn put_service(&self, body: Value, version: &str, wait: bool) -> Result<Value, Failure> {
        let path = self.id.service()?;
        let answer = self.ask(Method::PUT, &path, version, None, Some(body)).await?;
        if !wait || !self.settled(&answer).await? {
            return Ok(answer.body);
        }
        Ok(self.ask(Method::GET, &path, version, None, None).await?.body)
    }

    pub async fn tag_service(&self, tags: Value) -> Result<Value, Failure> {
        let (path, body) = (self.id.service()?, json!({ "tags": tags }));
        let answer = self.ask(Method::PATCH, &path, API_VERSION, None, Some(body)).await?;
        if !self.settled(&answer).await? {
            return Ok(answer.body);
        }
        self.service().await
    }

    pub async fn delete_service(&self, wait: bool) -> Result<(), Failure> {
        let answer = self.ask(Method::DELETE, &self.id.service()?, API_VERSION, None, None).await?;
        if wait {
            self.settled(&answer).await?;
        }
        Ok(())
    }

    /// The shared access policies with their keys.
    pub async fn keys(&self) -> Result<Vec<Value>, Failure> {
        let path = format!("{}/listkeys", self.id.service()?);
        let answer = self.ask(Method::POST, &path, API_VERSION, None, None).await?;
        values(answer.body).map(|(values, _)| values)
    }

    pub async fn certificates(&self) -> Result<Vec<Value>, Failure> {
        self.list(&format!("{}/certificates", self.id.service()?)).await
    }

    /// One call on a certificate: a method, and what follows its name in the path.
    pub async fn certificate(
        &self,
        method: Method,
        name: &str,
        action: &str,
        etag: Option<&str>,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let path = format!("{}/certificates/{}{action}", self.id.service()?, segment(name));
        Ok(self.ask(method, &path, API_VERSION, etag, body).await?.body)
    }

    /// Reads something of the provider `Microsoft.Insights` at the service.
    pub async fn insights(&self, what: &str, parameters: &[(&str, String)]) -> Result<Value, Failure> {
        let mut url = format!(
            "{}{}/providers/Microsoft.Insights/{what}?api-version={INSIGHTS_API_VERSION}",
            self.target.base,
            self.id.service()?
        );
        for (name, value) in parameters {
            let _ = write!(url, "&{name}={}", segment(value)); // to a String: it does not fail
        }
        let ask = Ask { method: Method::GET, url, headers: Vec::new(), body: None };
        Ok(self.send(ask).await?.body)
    }

    /// One call on something of the provider `Muster.Diagnosis` at the service, its path percent-encoded.
    pub async fn diagnosis(
        &self,
        method: Method,
        what: &str,
        parameters: &[(&str, String)],
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let path = format!("{}/providers/Muster.Diagnosis/{what}", self.id.service()?);
        self.monitor(method, Monitored { path: &path, version: DIAGNOSIS_API_VERSION, parameters }, body)
            .await
    }

    /// One call on the diagnostic setting of that name, percent-encoded.
    pub async fn diagnostic_setting(
        &self,
        method: Method,
        name: &str,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let path = format!("{}/providers/Microsoft.Insights/diagnosticSettings/{name}", self.id.service()?);
        Ok(self.ask(method, &path, SETTINGS_API_VERSION, None, body).await?.body)
    }

    /// The diagnostic settings of the service, or their categories.
    pub async fn diagnostic_settings(&self, what: &str) -> Result<Vec<Value>, Failure> {
        let path = format!("{}/providers/Microsoft.Insights/{what}", self.id.service()?);
        let answer = self.ask(Method::GET, &path, SETTINGS_API_VERSION, None, None).await?;
        self.pages(answer, usize::MAX).await
    }

    /// ARM id of the provisioning service.
    pub fn service_id(&self) -> Result<String, Failure> {
        self.id.service()
    }

    /// ARM id of something of a monitoring provider in the service's resource group: `kind` is its type.
    pub fn monitor_id(&self, kind: &str, name: &str) -> Result<String, Failure> {
        Ok(format!("{}/providers/{kind}/{}", self.id.group()?, segment(name)))
    }

    /// ARM id of an alert.
    pub fn alert_id(&self, id: &str) -> Result<String, Failure> {
        Ok(format!("{}/providers/Microsoft.AlertsManagement/alerts/{}", self.id.subscription()?, segment(id)))
    }

    /// One call on what has that ARM id, or on what lies beneath it.
    pub async fn monitor(
        &self,
        method: Method,
        call: Monitored<'_>,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let ask = Ask { method, url: self.monitor_url(&call), headers: Vec::new(), body };
        Ok(self.send(ask).await?.body)
    }

    /// The same, for a call whose end is read where its answer says.
    pub async fn monitor_to_its_end(&self, call: Monitored<'_>, body: Value) -> Result<Value, Failure> {
        let ask =
            Ask { method: Method::POST, url: self.monitor_url(&call), headers: Vec::new(), body: Some(body) };
        let answer = self.send(ask).await?;
        match address(&answer.headers, &LOCATION) {
            Some(location) => Ok(self.follow(&location).await?.body),
            None => Ok(answer.body),
        }
    }

    /// What of that type is in the service's resource group, or (alerts) in its subscription.
    pub async fn monitor_list(
        &self,
        in_group: bool,
        kind: &str,
        version: &str,
        parameters: &[(&str, String)],
        most: usize,
    ) -> Result<Vec<Value>, Failure> {
        let place = if in_group { self.id.group()? } else { self.id.subscription()? };
        let path = format!("{place}/providers/{kind}");
        let url = self.monitor_url(&Monitored { path: &path, version, parameters });
        let answer = self.send(Ask { method: Method::GET, url, headers: Vec::new(), body: None }).await?;
        self.pages(answer, most).await
    }

    fn monitor_url(&self, call: &Monitored<'_>) -> String {
        let mut url = format!("{}{}?api-version={}", self.target.base, call.path, call.version);
        for (name, value) in call.parameters {
            let _ = write!(url, "&{name}={}", segment(value)); // a String takes everything
        }
        url
    }

    async fn list(&self, path: &str) -> Result<Vec<Value>, Failure> {
        let answer = self.ask(Method::GET, path, API_VERSION, None, None).await?;
        self.pages(answer, usize::MAX).await
    }

    /// The values of an answer and of the pages behind it, as far as they are wanted.
    async fn pages(&self, mut answer: Answer, most: usize) -> Result<Vec<Value>, Failure> {
        let mut all = Vec::new();
        loop {
            let (values, next) = values(answer.body)?;
            all.extend(values);
            let Some(next) = next.filter(|_| all.len() < most) else {
                all.truncate(most);
                return Ok(all);
            };
            answer = self.follow(&next).await?;
        }
    }

    /// Waits for the operation that an answer names; false when it names none.
    async fn settled(&self, answer: &Answer) -> Result<bool, Failure> {
        let Some(operation) = address(&answer.headers, &OPERATION) else { return Ok(false) };
        let end = Instant::now() + Duration::from_secs(MAX_OPERATION_WAIT);
        loop {
            let answer = self.follow(&operation).await?;
            match answer.body["status"].as_str().unwrap_or_default().to_ascii_lowercase().as_str() {
                "succeeded" => return Ok(true),
                status @ ("failed" | "canceled") => {
                    let error = &answer.body["error"];
                    let text = |name: &str| match &error[name] {
                        Value::String(text) => text.clone(),
                        Value::Null => "no reason".to_owned(),
                        other => other.to_string(),
                    };
                    let (code, message) = (text("code"), text("message"));
                    let why = shown(&format!("{status} ({code}): {message}"));
                    return Err(Failure::Incomplete(format!("the service took the change and then {why}")));
                }
                _ if Instant::now() >= end => {
                    return Err(Failure::Unreachable(format!(
                        "the operation is still running after {MAX_OPERATION_WAIT} s; show the service to see its end"
                    )));
                }
                _ => {
                    let wait = retry_after(&answer.headers).unwrap_or(OPERATION_POLL).min(MAX_RETRY_AFTER);
                    tokio::time::sleep(Duration::from_secs(wait)).await;
                }
            }
        }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        version: &str,
        etag: Option<&str>,
        body: Option<Value>,
    ) -> Result<Answer, Failure> {
        let url = format!("{}{path}?api-version={version}", self.target.base);
        let headers = etag.map(|etag| (IF_MATCH, etag.to_owned())).into_iter().collect();
        self.send(Ask { method, url, headers, body }).await
    }

    /// An address that the control plane gave. The token is shown to nobody else.
    async fn follow(&self, url: &str) -> Result<Answer, Failure> {
        let origin = |text: &str| reqwest::Url::parse(text).ok().map(|url| url.origin());
        let own = origin(&self.target.base);
        if own.is_none() || origin(url) != own {
            return Err(Failure::Unreachable(format!(
                "the service sends us on to another host than {}: its token does not go there",
                self.target.base
            )));
        }
        self.send(Ask { method: Method::GET, url: url.to_owned(), headers: Vec::new(), body: None }).await
    }

    async fn send(&self, ask: Ask) -> Result<Answer, Failure> {
        self.sender.call(&ask, || self.target.authorization()).await
    }
}

fn address(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(ToOwned::to_owned)
}

/// `{"value":[…],"nextLink":…}`.
fn values(mut body: Value) -> Result<(Vec<Value>, Option<String>), Failure> {
    let next = body["nextLink"].as_str().filter(|link| !link.is_empty()).map(ToOwned::to_owned);
    match body.get_mut("value").map(Value::take) {
        Some(Value::Array(values)) => Ok((values, next)),
        _ => {
            Err(Failure::Unreachable("the service answered with no list: is it a control plane?".to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_id_of_every_length_is_read_in_any_case() {
        let whole = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/provisioningServices/n";
        let id = ResourceId::parse(whole).ok().unwrap();
        assert_eq!(id.service().ok().unwrap(), whole);
        assert_eq!(ResourceId::parse(&whole.to_uppercase()).ok().unwrap().name.as_deref(), Some("N"));
        let group = ResourceId::parse("subscriptions/s/resourcegroups/g/").ok().unwrap();
        assert_eq!((group.resource_group.as_deref(), group.name.as_ref()), (Some("g"), None));
        assert!(group.service().is_err() && group.collection(true).is_ok());
        for bad in
            ["/subscriptions/s/vaults/v", "nonsense", "/subscriptions/s/providers/Microsoft.Web/sites/x"]
        {
            assert_eq!(ResourceId::parse(bad).err().unwrap().exit_status(), 2, "{bad}");
        }
    }

    #[test]
    fn resource_id_needs_its_parts_by_name() {
        let text = |id: ResourceId| id.service().err().unwrap().to_string();
        assert!(
            text(ResourceId::default()).starts_with("say the provisioning service's name, or --resource-id")
        );
        let named = ResourceId { name: Some("n".into()), ..ResourceId::default() };
        assert!(text(named).starts_with("say --subscription"));
    }
}
