//! `/devices` and `/statistics`: identities. Owns the JSON that clients send for one; must not know twins.

use std::ops::ControlFlow;

use dps_model::DeviceId;
use dps_model::enrollment::DeviceCapabilities;
use dps_model::etag::IfMatch;
use dps_model::limits::{DEFAULT_HUB_PAGE, MAX_DEVICE_SCOPE, MAX_PAGE, MAX_STATUS_REASON};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Call};
use crate::failure::HubFailure;
use crate::registry::device::{read_key, read_thumbprint};
use crate::registry::{Authentication, AuthenticationInput, Device, DeviceStatus, IdentityInput};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IdentityBody {
    #[serde(default)]
    device_id: Option<String>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    status_reason: Option<String>,
    #[serde(default)]
    authentication: Option<AuthenticationBody>,
    #[serde(default)]
    capabilities: Option<DeviceCapabilities>,
    #[serde(default)]
    device_scope: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuthenticationBody {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    symmetric_key: Option<KeysBody>,
    #[serde(default)]
    x509_thumbprint: Option<ThumbprintsBody>,
}

// Keys are secret: nothing of them is shown.
impl std::fmt::Debug for AuthenticationBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthenticationBody").field("kind", &self.kind).finish_non_exhaustive()
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeysBody {
    #[serde(default)]
    primary_key: Option<String>,
    #[serde(default)]
    secondary_key: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThumbprintsBody {
    #[serde(default)]
    primary_thumbprint: Option<String>,
    #[serde(default)]
    secondary_thumbprint: Option<String>,
}

/// What was said, without what says nothing.
fn said(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

impl IdentityBody {
    pub(super) fn input(self) -> Result<IdentityInput, HubFailure> {
        let status_reason = said(self.status_reason);
        if status_reason.as_ref().is_some_and(|text| text.chars().count() > MAX_STATUS_REASON) {
            return Err(HubFailure::argument(format!(
                "statusReason has at most {MAX_STATUS_REASON} characters"
            )));
        }
        let device_scope = said(self.device_scope);
        if device_scope.as_ref().is_some_and(|text| text.len() > MAX_DEVICE_SCOPE) {
            return Err(HubFailure::argument(format!("deviceScope has at most {MAX_DEVICE_SCOPE} bytes")));
        }
        Ok(IdentityInput {
            status: self.status.as_deref().map_or(Ok(DeviceStatus::Enabled), DeviceStatus::read)?,
            status_reason,
            authentication: match self.authentication {
                Some(authentication) => authentication.read()?,
                None => AuthenticationInput::Unsaid,
            },
            capabilities: self.capabilities.unwrap_or_default(),
            device_scope,
        })
    }
}

impl AuthenticationBody {
    fn read(self) -> Result<AuthenticationInput, HubFailure> {
        let keys = self.symmetric_key.unwrap_or_default();
        let thumbprints = self.x509_thumbprint.unwrap_or_default();
        let primary = said(thumbprints.primary_thumbprint).map(|text| read_thumbprint(&text)).transpose()?;
        let secondary =
            said(thumbprints.secondary_thumbprint).map(|text| read_thumbprint(&text)).transpose()?;
        let has_thumbprint = primary.is_some() || secondary.is_some();
        // Azure reads enumerations without regard to case.
        let kind = self.kind.map(|kind| kind.to_ascii_lowercase());
        let given = match kind.as_deref() {
            Some("selfsigned") if !has_thumbprint => {
                return Err(HubFailure::argument(
                    "authentication.type selfSigned needs x509Thumbprint.primaryThumbprint",
                ));
            }
            Some("selfsigned") => Authentication::SelfSigned { primary, secondary },
            None if has_thumbprint => Authentication::SelfSigned { primary, secondary },
            Some("certificateauthority") => Authentication::CertificateAuthority,
            Some("none") => Authentication::None,
            Some("sas") | None => return sas(said(keys.primary_key), said(keys.secondary_key)),
            Some(_) => {
                return Err(HubFailure::argument(
                    "authentication.type is one of sas, selfSigned, certificateAuthority, none",
                ));
            }
        };
        Ok(AuthenticationInput::Given(given))
    }
}

fn sas(primary: Option<String>, secondary: Option<String>) -> Result<AuthenticationInput, HubFailure> {
    match (primary, secondary) {
        (None, None) => Ok(AuthenticationInput::AnyKeys),
        (Some(primary), Some(secondary)) => Ok(AuthenticationInput::Given(Authentication::Sas {
            primary: read_key(&primary)?,
            secondary: read_key(&secondary)?,
        })),
        _ => Err(HubFailure::argument("Give both symmetric keys, or none to have them made")),
    }
}

fn shown(call: &Call<'_>, device: &Device) -> Answer {
    let activity = call.hub.presence.activity(&device.id);
    Answer::json(device.identity_json(activity)).with_etag(device.etag())
}

pub(super) async fn get(call: &Call<'_>, id: &DeviceId) -> Result<Answer, HubFailure> {
    Ok(shown(call, &call.hub.registry.device(id).await?))
}

/// Creates without `If-Match`, updates with it.
pub(super) async fn put(call: &Call<'_>, id: &DeviceId) -> Result<Answer, HubFailure> {
    let body: IdentityBody = call.object()?;
    if body.device_id.as_deref().is_some_and(|said| said != id.as_str()) {
        return Err(HubFailure::argument("deviceId of the body is not the one of the path"));
    }
    let input = body.input()?;
    let device = match call.if_match() {
        None => call.hub.registry.create(id, input).await?,
        Some(if_match) => call.hub.registry.update(id, &input, &if_match).await?,
    };
    Ok(shown(call, &device))
}

pub(super) async fn delete(call: &Call<'_>, id: &DeviceId) -> Result<Answer, HubFailure> {
    let if_match = call.if_match().unwrap_or(IfMatch::Any);
    call.hub.registry.delete(id, &if_match).await?;
    Ok(Answer::empty())
}

pub(super) async fn list(call: &Call<'_>) -> Result<Answer, HubFailure> {
    let top = match call.parameter("top") {
        None => DEFAULT_HUB_PAGE,
        Some(text) => text
            .parse()
            .ok()
            .filter(|top| (1..=MAX_PAGE).contains(top))
            .ok_or_else(|| HubFailure::argument(format!("top is a number from 1 to {MAX_PAGE}")))?,
    };
    let mut shown = Vec::new();
    let take = |device: &Device| {
        shown.push(device.identity_json(call.hub.presence.activity(&device.id)));
        ControlFlow::Continue(())
    };
    call.hub.registry.visit(None, top, take).await?;
    Ok(Answer::json(Value::Array(shown)))
}

pub(super) async fn statistics(call: &Call<'_>) -> Result<Answer, HubFailure> {
    let counts = call.hub.registry.counts().await?;
    Ok(Answer::json(json!({
        "totalDeviceCount": counts.total,
        "enabledDeviceCount": counts.total - counts.disabled,
        "disabledDeviceCount": counts.disabled,
    })))
}

pub(super) fn service_statistics(call: &Call<'_>) -> Answer {
    Answer::json(json!({ "connectedDeviceCount": call.hub.presence.connected() }))
}
