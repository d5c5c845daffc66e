//! A device's registration as the APIs show it, and the body of a register request.
//! Owns the JSON shapes; must not know how an operation runs.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{DeviceId, Etag, HubName, OperationId, RegistrationId, Timestamp};

/// Where a registration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// Never registered.
    Unassigned,
    /// An operation is running.
    Assigning,
    /// On a hub.
    Assigned,
    /// The last operation failed.
    Failed,
    /// The enrollment is disabled.
    Disabled,
}

/// How an assigned registration came to its hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Substatus {
    /// First assignment, or again without a change of hub.
    InitialAssignment,
    /// Moved to another hub with its twin.
    DeviceDataMigrated,
    /// Moved to another hub with the enrollment's initial twin.
    DeviceDataReset,
    /// The policy keeps it on its first hub.
    ReprovisionedToInitialAssignment,
}

/// Body of register and of the registration lookup. Members nobody knows are ignored, as Azure does.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceRegistration {
    /// May be absent; the path or topic has it too.
    pub registration_id: Option<String>,
    /// TPM keys, base64 of `TPM2B_PUBLIC`.
    pub tpm: Option<TpmKeys>,
    /// Any JSON; goes to the custom-allocation webhook as it came.
    pub payload: Option<Box<RawValue>>,
    /// A PKCS#10 request of the certificate preview.
    pub csr: Option<String>,
}

/// The TPM's keys of a register body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TpmKeys {
    /// Base64 of the endorsement key's `TPM2B_PUBLIC`.
    pub endorsement_key: String,
    /// Base64 of the storage root key's `TPM2B_PUBLIC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_root_key: Option<String>,
}

/// Answer to register and to an operation status poll.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationOperationStatus {
    /// Empty for a disabled enrollment, as Azure answers it.
    pub operation_id: String,
    /// Where the operation stands.
    pub status: Status,
    /// Absent in the answer to register.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_state: Option<DeviceRegistrationResult>,
}

impl RegistrationOperationStatus {
    /// The answer to an admitted register request: no state yet.
    pub fn assigning(operation_id: &OperationId) -> Self {
        Self {
            operation_id: operation_id.as_str().to_owned(),
            status: Status::Assigning,
            registration_state: None,
        }
    }
}

/// The registration's state; absent members are left out, never null.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceRegistrationResult {
    /// Present (perhaps empty) when the device attested with a TPM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpm: Option<TpmResult>,
    /// Present when it attested with a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x509: Option<GroupResult>,
    /// Present when it attested with a symmetric key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symmetric_key: Option<GroupResult>,
    /// Always present: clients require it.
    pub registration_id: RegistrationId,
    /// First registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_date_time_utc: Option<Timestamp>,
    /// Host name of the hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_hub: Option<HubName>,
    /// Id on the hub; present exactly when `assigned_hub` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<DeviceId>,
    /// Where the registration stands.
    pub status: Status,
    /// Only when assigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub substatus: Option<Substatus>,
    /// Only when failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<u32>,
    /// Only when failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// Last change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_updated_date_time_utc: Option<Timestamp>,
    /// Version of the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<Etag>,
    /// The custom-allocation webhook's payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<serde_json::Value>,
}

impl DeviceRegistrationResult {
    /// A state with nothing but its id and status.
    pub fn bare(registration_id: RegistrationId, status: Status) -> Self {
        Self {
            tpm: None,
            x509: None,
            symmetric_key: None,
            registration_id,
            created_date_time_utc: None,
            assigned_hub: None,
            device_id: None,
            status,
            substatus: None,
            error_code: None,
            error_message: None,
            last_updated_date_time_utc: None,
            etag: None,
            payload: None,
        }
    }
}

/// What a TPM device is handed on assignment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TpmResult {
    /// Base64 of the blob that carries the hub key, encrypted to this TPM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication_key: Option<String>,
}

/// Which group let the device in; empty for an individual enrollment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupResult {
    /// The group's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrollment_group_id: Option<String>,
}
