//! A device on a hub: identity, keys and twin as one document; its JSON forms. Pure; must not know the store's calls
//! or who is connected.

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_core::ports::{Document, StoreError};
use dps_model::enrollment::DeviceCapabilities;
use dps_model::hub::{HubAuthentication, HubDevice, HubTwin};
use dps_model::limits::{MAX_SYMMETRIC_KEY, MIN_SYMMETRIC_KEY};
use dps_model::{DeviceId, Etag, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::twin::Section;
use crate::failure::HubFailure;

/// What Azure writes for "never".
pub(crate) const NEVER: &str = "0001-01-01T00:00:00";
/// Bytes of a key that the hub makes.
const GENERATED_KEY: usize = 32;

/// May the device connect?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum DeviceStatus {
    Enabled,
    Disabled,
}

impl DeviceStatus {
    /// As a client writes it: without regard to case, as Azure reads it.
    pub(crate) fn read(text: &str) -> Result<Self, HubFailure> {
        [Self::Enabled, Self::Disabled]
            .into_iter()
            .find(|status| status.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| HubFailure::argument("status is enabled or disabled"))
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }
}

/// How a device proves itself, with its keys.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Authentication {
    Sas { primary: Secret, secondary: Secret },
    SelfSigned { primary: Option<String>, secondary: Option<String> },
    CertificateAuthority,
    None,
}

impl Authentication {
    /// The `type` of the REST.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Sas { .. } => "sas",
            Self::SelfSigned { .. } => "selfSigned",
            Self::CertificateAuthority => "certificateAuthority",
            Self::None => "none",
        }
    }

    /// New keys, made by the hub.
    pub(crate) fn generated() -> Result<Self, HubFailure> {
        Ok(Self::Sas { primary: fresh_key()?, secondary: fresh_key()? })
    }

    fn thumbprints(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::SelfSigned { primary, secondary } => (primary.as_deref(), secondary.as_deref()),
            _ => (None, None),
        }
    }
}

impl From<&HubAuthentication> for Authentication {
    fn from(authentication: &HubAuthentication) -> Self {
        match authentication {
            HubAuthentication::Sas { primary, secondary } => {
                Self::Sas { primary: primary.clone(), secondary: secondary.clone() }
            }
            HubAuthentication::SelfSigned { primary_thumbprint, secondary_thumbprint } => Self::SelfSigned {
                primary: Some(primary_thumbprint.to_ascii_uppercase()),
                secondary: secondary_thumbprint.as_ref().map(|text| text.to_ascii_uppercase()),
            },
        }
    }
}

/// What a client says about how a device proves itself.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum AuthenticationInput {
    /// Nothing: what is there stays, a new device gets keys.
    Unsaid,
    /// Symmetric keys, but not which: those that are there stay, else the hub makes them.
    AnyKeys,
    /// Exactly this.
    Given(Authentication),
}

/// What a client may say about an identity.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct IdentityInput {
    pub(crate) status: DeviceStatus,
    pub(crate) status_reason: Option<String>,
    pub(crate) authentication: AuthenticationInput,
    pub(crate) capabilities: DeviceCapabilities,
    pub(crate) device_scope: Option<String>,
}

impl From<&HubDevice> for IdentityInput {
    fn from(device: &HubDevice) -> Self {
        Self {
            status: DeviceStatus::Enabled,
            status_reason: None,
            authentication: AuthenticationInput::Given(Authentication::from(&device.authentication)),
            capabilities: device.capabilities,
            device_scope: None,
        }
    }
}

/// The public half of the stored document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    generation_id: String,
    identity_etag: Etag,
    status: DeviceStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status_reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status_updated: Option<Timestamp>,
    authentication_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    primary_thumbprint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secondary_thumbprint: Option<String>,
    capabilities: DeviceCapabilities,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device_scope: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model_id: Option<String>,
    twin_etag: Etag,
    twin_version: u64,
    tags: Map<String, Value>,
    desired: Section,
    reported: Section,
}

/// The secret half.
#[derive(Serialize, Deserialize)]
struct Sealed {
    primary: String,
    secondary: String,
}

/// One device.
#[derive(Clone, PartialEq)]
pub(crate) struct Device {
    pub(crate) id: DeviceId,
    pub(crate) authentication: Authentication,
    stored: Stored,
}

/// What only the process knows of a device.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Activity {
    pub(crate) connected: bool,
    pub(crate) changed: Option<Timestamp>,
    pub(crate) last: Option<Timestamp>,
}

impl Activity {
    fn state(self) -> &'static str {
        if self.connected { "Connected" } else { "Disconnected" }
    }
}

impl Device {
    /// A new device. `generation` tells it from earlier ones of the same id.
    pub(crate) fn create(
        id: DeviceId,
        input: IdentityInput,
        generation: String,
        now: Timestamp,
    ) -> Result<Self, HubFailure> {
        let authentication = match input.authentication {
            AuthenticationInput::Given(authentication) => authentication,
            AuthenticationInput::Unsaid | AuthenticationInput::AnyKeys => Authentication::generated()?,
        };
        let device_scope = input.device_scope.or_else(|| {
            input.capabilities.iot_edge.then(|| format!("ms-azure-iot-edge://{id}-{generation}"))
        });
        let stored = Stored {
            generation_id: generation,
            identity_etag: Etag::fresh(),
            status: input.status,
            status_reason: input.status_reason,
            status_updated: None,
            authentication_type: authentication.kind().to_owned(),
            primary_thumbprint: None,
            secondary_thumbprint: None,
            capabilities: input.capabilities,
            device_scope,
            model_id: None,
            twin_etag: Etag::fresh(),
            twin_version: 2,
            tags: Map::new(),
            desired: Section::empty(now),
            reported: Section::empty(now),
        };
        Ok(Self { id, authentication, stored })
    }

    /// Takes a client's word for the identity. True when something changed, and then the etag did too.
    pub(crate) fn update(&mut self, input: IdentityInput, now: Timestamp) -> Result<bool, HubFailure> {
        let before = self.clone();
        match input.authentication {
            AuthenticationInput::Given(authentication) => self.authentication = authentication,
            AuthenticationInput::AnyKeys if !matches!(self.authentication, Authentication::Sas { .. }) => {
                self.authentication = Authentication::generated()?;
            }
            AuthenticationInput::AnyKeys | AuthenticationInput::Unsaid => {}
        }
        self.stored.status = input.status;
        self.stored.status_reason = input.status_reason;
        self.stored.capabilities = input.capabilities;
        if input.device_scope.is_some() {
            self.stored.device_scope = input.device_scope;
        }
        if before == *self {
            return Ok(false);
        }
        if before.stored.status != self.stored.status {
            self.stored.status_updated = Some(now);
        }
        self.stored.identity_etag = Etag::fresh();
        Ok(true)
    }

    /// The identity in the words of a client, to change a part of it.
    pub(crate) fn input(&self) -> IdentityInput {
        IdentityInput {
            status: self.stored.status,
            status_reason: self.stored.status_reason.clone(),
            authentication: AuthenticationInput::Given(self.authentication.clone()),
            capabilities: self.stored.capabilities,
            device_scope: self.stored.device_scope.clone(),
        }
    }

    pub(crate) fn etag(&self) -> &Etag {
        &self.stored.identity_etag
    }

    pub(crate) fn twin_etag(&self) -> &Etag {
        &self.stored.twin_etag
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.stored.status == DeviceStatus::Enabled
    }

    pub(crate) fn tags_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.stored.tags
    }

    pub(crate) fn desired(&self) -> &Section {
        &self.stored.desired
    }

    pub(crate) fn desired_mut(&mut self) -> &mut Section {
        &mut self.stored.desired
    }

    pub(crate) fn reported_mut(&mut self) -> &mut Section {
        &mut self.stored.reported
    }

    pub(crate) fn set_model_id(&mut self, model_id: Option<&str>) {
        self.stored.model_id = model_id.map(ToOwned::to_owned);
    }

    pub(crate) fn model_id(&self) -> Option<&str> {
        self.stored.model_id.as_deref()
    }

    /// Marks a change by a service (a new etag) or by the device itself (only the version).
    pub(crate) fn twin_changed(&mut self, by_service: bool) {
        self.stored.twin_version += 1;
        if by_service {
            self.stored.twin_etag = Etag::fresh();
        }
    }

    /// The sections alone.
    pub(crate) fn sections(&self) -> HubTwin {
        HubTwin {
            tags: self.stored.tags.clone(),
            desired: self.stored.desired.values.clone(),
            reported: self.stored.reported.values.clone(),
        }
    }

    /// The twin as the device itself reads it.
    pub(crate) fn twin_for_device(&self) -> Value {
        json!({ "desired": self.stored.desired.for_device(), "reported": self.stored.reported.for_device() })
    }

    /// The identity as the REST shows it, keys included: the caller holds the registry's key.
    pub(crate) fn identity_json(&self, activity: Activity) -> Value {
        let key = |secret: &Secret| STANDARD.encode(secret.expose());
        let symmetric = match &self.authentication {
            Authentication::Sas { primary, secondary } => {
                json!({ "primaryKey": key(primary), "secondaryKey": key(secondary) })
            }
            _ => json!({ "primaryKey": null, "secondaryKey": null }),
        };
        let stored = &self.stored;
        let mut shown = json!({
            "deviceId": self.id,
            "generationId": stored.generation_id,
            "etag": stored.identity_etag,
            "connectionState": activity.state(),
            "status": stored.status,
            "statusReason": stored.status_reason,
            "connectionStateUpdatedTime": time(activity.changed),
            "statusUpdatedTime": time(stored.status_updated),
            "lastActivityTime": time(activity.last),
            "cloudToDeviceMessageCount": 0,
            "authentication": {
                "symmetricKey": symmetric,
                "x509Thumbprint": self.thumbprints_json(),
                "type": self.authentication.kind(),
            },
            "capabilities": stored.capabilities,
        });
        self.add_scope(&mut shown);
        shown
    }

    /// The twin as the REST shows it.
    pub(crate) fn twin_json(&self, activity: Activity) -> Value {
        let stored = &self.stored;
        let mut shown = json!({
            "deviceId": self.id,
            "etag": stored.twin_etag,
            "deviceEtag": stored.identity_etag,
            "status": stored.status,
            "statusReason": stored.status_reason,
            "statusUpdateTime": time(stored.status_updated),
            "connectionState": activity.state(),
            "lastActivityTime": time(activity.last),
            "cloudToDeviceMessageCount": 0,
            "authenticationType": self.authentication.kind(),
            "x509Thumbprint": self.thumbprints_json(),
            "modelId": stored.model_id.as_deref().unwrap_or_default(),
            "version": stored.twin_version,
            "tags": stored.tags,
            "properties": {
                "desired": stored.desired.for_service(),
                "reported": stored.reported.for_service(),
            },
            "capabilities": stored.capabilities,
        });
        self.add_scope(&mut shown);
        shown
    }

    fn add_scope(&self, shown: &mut Value) {
        if let (Some(scope), Value::Object(map)) = (&self.stored.device_scope, shown) {
            map.insert("deviceScope".into(), Value::String(scope.clone()));
        }
    }

    fn thumbprints_json(&self) -> Value {
        let (primary, secondary) = self.authentication.thumbprints();
        json!({ "primaryThumbprint": primary, "secondaryThumbprint": secondary })
    }

    /// The document to store; its version is fresh.
    pub(crate) fn to_document(&self) -> Result<Document, HubFailure> {
        let mut stored = self.stored.clone();
        let (primary, secondary) = self.authentication.thumbprints();
        self.authentication.kind().clone_into(&mut stored.authentication_type);
        stored.primary_thumbprint = primary.map(ToOwned::to_owned);
        stored.secondary_thumbprint = secondary.map(ToOwned::to_owned);
        let sealed = match &self.authentication {
            Authentication::Sas { primary, secondary } => {
                let key = |secret: &Secret| STANDARD.encode(secret.expose());
                let text =
                    serde_json::to_string(&Sealed { primary: key(primary), secondary: key(secondary) });
                Some(Secret::from(text.map_err(|_| unwritable())?))
            }
            _ => None,
        };
        Ok(Document {
            id: self.id.as_str().to_owned(),
            etag: Etag::fresh(),
            body: serde_json::to_string(&stored).map_err(|_| unwritable())?,
            sealed,
            owner: Some(stored.status.as_str().to_owned()),
            due: None,
            lookups: Vec::new(),
        })
    }

    /// Reads what `to_document` wrote.
    pub(crate) fn from_document(document: &Document) -> Result<Self, HubFailure> {
        let damaged = |what: &str| {
            HubFailure::from(StoreError::Failed(format!("a device's document is damaged: {what}")))
        };
        let id = DeviceId::parse(&document.id).map_err(|_| damaged("its id"))?;
        let stored: Stored = serde_json::from_str(&document.body).map_err(|_| damaged("its body"))?;
        let authentication = match stored.authentication_type.as_str() {
            "sas" => {
                let sealed = document.sealed.as_ref().ok_or_else(|| damaged("it has no keys"))?;
                let sealed: Sealed =
                    serde_json::from_slice(sealed.expose()).map_err(|_| damaged("its keys"))?;
                let key =
                    |text: &str| STANDARD.decode(text).map(Secret::new).map_err(|_| damaged("its keys"));
                Authentication::Sas { primary: key(&sealed.primary)?, secondary: key(&sealed.secondary)? }
            }
            "selfSigned" => Authentication::SelfSigned {
                primary: stored.primary_thumbprint.clone(),
                secondary: stored.secondary_thumbprint.clone(),
            },
            "certificateAuthority" => Authentication::CertificateAuthority,
            _ => Authentication::None,
        };
        // The thumbprints live in `authentication`; two copies could differ.
        let stored = Stored { primary_thumbprint: None, secondary_thumbprint: None, ..stored };
        Ok(Self { id, authentication, stored })
    }
}

fn time(at: Option<Timestamp>) -> String {
    at.map_or_else(|| NEVER.to_owned(), |at| at.to_string())
}

fn unwritable() -> HubFailure {
    HubFailure::from(StoreError::Failed("a device could not be written as JSON".into()))
}

fn fresh_key() -> Result<Secret, HubFailure> {
    let mut key = vec![0; GENERATED_KEY];
    rand::fill(&mut key)
        .map_err(|_| HubFailure::from(StoreError::Failed("the random number generator failed".into())))?;
    Ok(Secret::new(key))
}

/// A symmetric key as a client writes it: base64 of 16 to 64 bytes.
pub(crate) fn read_key(text: &str) -> Result<Secret, HubFailure> {
    let bytes = STANDARD
        .decode(text.trim())
        .map_err(|_| HubFailure::argument("A symmetric key is base64 text; this one is not"))?;
    if !(MIN_SYMMETRIC_KEY..=MAX_SYMMETRIC_KEY).contains(&bytes.len()) {
        return Err(HubFailure::argument(format!(
            "A symmetric key has {MIN_SYMMETRIC_KEY} to {MAX_SYMMETRIC_KEY} bytes before base64; this one has {}",
            bytes.len()
        )));
    }
    Ok(Secret::new(bytes))
}

/// A thumbprint as a client writes it: SHA-1 or SHA-256 in hex; kept in upper case.
pub(crate) fn read_thumbprint(text: &str) -> Result<String, HubFailure> {
    let text = text.trim();
    if !matches!(text.len(), 40 | 64) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(HubFailure::argument("A thumbprint is the SHA-1 or SHA-256 of a certificate in hex"));
    }
    Ok(text.to_ascii_uppercase())
}
