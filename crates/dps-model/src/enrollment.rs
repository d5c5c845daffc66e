//! Individual enrollments and enrollment groups. Owns the JSON shapes; must not know how they are found or stored.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::attestation::{AttestationInput, Mechanism};
pub use crate::custom_allocation::{CustomAllocationDefinition, PlainWebhooks};
use crate::registration::DeviceRegistrationResult;
use crate::{DeviceId, EnrollmentGroupId, Etag, HubName, RegistrationId, Timestamp};

/// May devices of the enrollment provision?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProvisioningStatus {
    /// Yes.
    #[default]
    Enabled,
    /// No: a register request is answered with status `disabled`.
    Disabled,
    /// Yes: written as `null`, which Azure keeps and shows.
    #[serde(skip_deserializing)]
    Null,
}

impl Serialize for ProvisioningStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Enabled => serializer.serialize_str("enabled"),
            Self::Disabled => serializer.serialize_str("disabled"),
            Self::Null => serializer.serialize_none(),
        }
    }
}

impl ProvisioningStatus {
    /// Reads a member that is there, and may be `null`.
    fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Self>, D::Error> {
        let read = Option::<Self>::deserialize(deserializer)?;
        Ok(Some(read.unwrap_or(Self::Null)))
    }
}

/// How a hub is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AllocationPolicy {
    /// Evenly, by weight, the same device always to the same hub.
    Hashed,
    /// The hub nearest to the device.
    GeoLatency,
    /// The one hub of the enrollment.
    Static,
    /// The enrollment's webhook decides.
    Custom,
}

/// What happens to a device that registers again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReprovisionPolicy {
    /// Evaluate the allocation policy again.
    #[serde(default = "yes")]
    pub update_hub_assignment: bool,
    /// Carry the twin over to the new hub.
    #[serde(default = "yes")]
    pub migrate_device_data: bool,
}

fn yes() -> bool {
    true
}

impl Default for ReprovisionPolicy {
    /// Azure's default since api-version 2018-09-01: re-evaluate and migrate.
    fn default() -> Self {
        Self { update_hub_assignment: true, migrate_device_data: true }
    }
}

/// Capabilities of the device on its hub.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceCapabilities {
    /// An IoT Edge device.
    #[serde(default)]
    pub iot_edge: bool,
}

/// The twin a device starts with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InitialTwin {
    /// Seen by services alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Map<String, Value>>,
    /// Seen by the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub properties: Option<InitialTwinProperties>,
}

/// `properties` of an initial twin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InitialTwinProperties {
    /// Desired properties.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<Map<String, Value>>,
}

/// The members that individual enrollments and groups share. Absent ones stay absent when shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnrollmentSettings {
    /// Capabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<DeviceCapabilities>,
    /// The hub of static allocation, in the older spelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iot_hub_host_name: Option<HubName>,
    /// The twin a device starts with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_twin: Option<InitialTwin>,
    /// May devices provision?
    #[serde(
        default,
        deserialize_with = "ProvisioningStatus::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub provisioning_status: Option<ProvisioningStatus>,
    /// What happens on registering again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reprovision_policy: Option<ReprovisionPolicy>,
    /// How the hub is chosen; absent means the instance's policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocation_policy: Option<AllocationPolicy>,
    /// The hubs to choose among; absent or empty means all linked ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iot_hubs: Option<Vec<HubName>>,
    /// Where a custom allocation asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_allocation_definition: Option<CustomAllocationDefinition>,
    /// Kept and shown; certificates are not issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_policy_name: Option<String>,
}

impl EnrollmentSettings {
    /// True when devices may not provision.
    pub fn is_disabled(&self) -> bool {
        self.provisioning_status == Some(ProvisioningStatus::Disabled)
    }
}

/// An enrollment of one device.
#[derive(Clone)]
pub struct IndividualEnrollment {
    /// Whose it is.
    pub registration_id: RegistrationId,
    /// Its id on the hub; absent means the registration id.
    pub device_id: Option<DeviceId>,
    /// How the device proves who it is.
    pub attestation: Mechanism,
    /// The rest.
    pub settings: EnrollmentSettings,
    /// Free-form, kept and shown.
    pub optional_device_information: Option<Map<String, Value>>,
    /// Version and times.
    pub stamp: Stamp,
}

/// An enrollment of all devices that share a signing certificate or a key.
#[derive(Clone)]
pub struct EnrollmentGroup {
    /// Its name.
    pub enrollment_group_id: EnrollmentGroupId,
    /// How devices prove that they belong to it.
    pub attestation: Mechanism,
    /// The rest.
    pub settings: EnrollmentSettings,
    /// Version and times.
    pub stamp: Stamp,
}

/// Version and times of a stored thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stamp {
    /// Version.
    pub etag: Etag,
    /// When it was made.
    pub created_date_time_utc: Timestamp,
    /// When it last changed.
    pub last_updated_date_time_utc: Timestamp,
}

impl Stamp {
    /// The stamp of a thing made now.
    pub fn fresh(now: Timestamp) -> Self {
        Self { etag: Etag::fresh(), created_date_time_utc: now, last_updated_date_time_utc: now }
    }

    /// The stamp of the same thing after a change now.
    pub fn changed(&self, now: Timestamp) -> Self {
        Self {
            etag: Etag::fresh(),
            created_date_time_utc: self.created_date_time_utc,
            last_updated_date_time_utc: now,
        }
    }
}

/// An enrollment or group as a client writes it. One shape for both: what a group must not have is refused when read.
/// Read-only members that clients echo (`registrationState`, times) are ignored.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnrollmentInput {
    /// Individual only; must agree with the path.
    pub registration_id: Option<String>,
    /// Group only; must agree with the path.
    pub enrollment_group_id: Option<String>,
    /// Individual only.
    pub device_id: Option<String>,
    /// Required.
    pub attestation: Option<AttestationInput>,
    /// Capabilities.
    pub capabilities: Option<DeviceCapabilities>,
    /// The hub of static allocation.
    pub iot_hub_host_name: Option<String>,
    /// The twin a device starts with.
    pub initial_twin: Option<InitialTwin>,
    /// May devices provision?
    #[serde(default, deserialize_with = "ProvisioningStatus::present")]
    pub provisioning_status: Option<ProvisioningStatus>,
    /// What happens on registering again.
    pub reprovision_policy: Option<ReprovisionPolicy>,
    /// How the hub is chosen.
    pub allocation_policy: Option<AllocationPolicy>,
    /// The hubs to choose among.
    pub iot_hubs: Option<Vec<String>>,
    /// Where a custom allocation asks.
    pub custom_allocation_definition: Option<CustomAllocationDefinition>,
    /// Individual only; free-form.
    pub optional_device_information: Option<Map<String, Value>>,
    /// Kept and shown.
    pub credential_policy_name: Option<String>,
    /// Version, for bulk updates.
    pub etag: Option<String>,
}

/// Are keys shown?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// In the answer to a PUT and by `attestationmechanism`.
    Shown,
    /// Everywhere else.
    Hidden,
}

impl IndividualEnrollment {
    /// As the service API shows it.
    pub fn to_json(&self, keys: Keys, state: Option<&DeviceRegistrationResult>) -> Value {
        let mut object = Map::new();
        object.insert("registrationId".into(), self.registration_id.as_str().into());
        insert(&mut object, "deviceId", self.device_id.as_ref());
        insert(&mut object, "registrationState", state);
        insert(&mut object, "optionalDeviceInformation", self.optional_device_information.as_ref());
        finish(object, &self.attestation, &self.settings, &self.stamp, keys)
    }
}

impl EnrollmentGroup {
    /// As the service API shows it.
    pub fn to_json(&self, keys: Keys) -> Value {
        let mut object = Map::new();
        object.insert("enrollmentGroupId".into(), self.enrollment_group_id.as_str().into());
        finish(object, &self.attestation, &self.settings, &self.stamp, keys)
    }
}

fn insert<T: Serialize>(object: &mut Map<String, Value>, name: &str, value: Option<T>) {
    if let Some(Ok(value)) = value.map(serde_json::to_value) {
        object.insert(name.into(), value);
    }
}

fn finish(
    mut object: Map<String, Value>,
    attestation: &Mechanism,
    settings: &EnrollmentSettings,
    stamp: &Stamp,
    keys: Keys,
) -> Value {
    let attestation = match keys {
        Keys::Shown => attestation.exposed_json(),
        Keys::Hidden => attestation.public_json(),
    };
    object.insert("attestation".into(), attestation);
    for part in [serde_json::to_value(settings), serde_json::to_value(stamp)] {
        if let Ok(Value::Object(members)) = part {
            object.extend(members);
        }
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::{EnrollmentGroup, EnrollmentSettings, Keys, Stamp};
    use crate::attestation::{Mechanism, SymmetricKeys};
    use crate::{EnrollmentGroupId, Secret, Timestamp};

    #[test]
    fn provisioning_status_null_kept_as_null_and_absent_as_absent() {
        for (text, disabled) in [
            (r#"{"provisioningStatus":null}"#, false),
            (r#"{"provisioningStatus":"enabled"}"#, false),
            (r#"{"provisioningStatus":"disabled"}"#, true),
            ("{}", false),
        ] {
            let settings: EnrollmentSettings = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&settings).unwrap(), text);
            assert_eq!(settings.is_disabled(), disabled, "{text}");
        }
    }

    #[test]
    fn group_shown_without_keys_has_no_absent_member() {
        let keys = SymmetricKeys { primary: Secret::new(vec![1; 16]), secondary: Secret::new(vec![2; 16]) };
        let group = EnrollmentGroup {
            enrollment_group_id: EnrollmentGroupId::parse("g").unwrap(),
            attestation: Mechanism::SymmetricKey(keys),
            settings: EnrollmentSettings::default(),
            stamp: Stamp::fresh(Timestamp::from_millis(0)),
        };
        let hidden = group.to_json(Keys::Hidden);
        assert_eq!(hidden["attestation"].to_string(), r#"{"type":"symmetricKey"}"#);
        assert_eq!(hidden.as_object().unwrap().len(), 5, "{hidden}");
        let shown = group.to_json(Keys::Shown);
        assert_eq!(shown["attestation"]["symmetricKey"]["primaryKey"], "AQEBAQEBAQEBAQEBAQEBAQ==");
    }
}
