//! Where a device belongs. Owns the record that an application keeps; must not know how it was learnt.

use dps_model::registration::{DeviceRegistrationResult, Substatus};
use dps_model::{DeviceId, HubName};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Error;

/// The result of provisioning: the device's hub and its id there. Holds no secret; serialises, so that a device need
/// not provision at every start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Assignment {
    /// The hub's host name, without a port.
    pub assigned_hub: String,
    /// The device's id on the hub.
    pub device_id: String,
    /// The operation that assigned it; empty for an assignment from elsewhere.
    #[serde(default)]
    pub operation_id: String,
    /// How it came to its hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub substatus: Option<Substatus>,
    /// The enrollment group that let the device in; `None` for an individual enrollment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrollment_group_id: Option<String>,
    /// What the custom-allocation webhook has for the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
}

impl Assignment {
    /// An assignment known from elsewhere.
    pub fn new(assigned_hub: &str, device_id: &str) -> Result<Self, Error> {
        let invalid = |error: dps_model::ids::InvalidId| Error::Setting(error.to_string());
        Ok(Self {
            assigned_hub: HubName::parse(assigned_hub).map_err(invalid)?.as_str().to_owned(),
            device_id: DeviceId::parse(device_id).map_err(invalid)?.as_str().to_owned(),
            operation_id: String::new(),
            substatus: None,
            enrollment_group_id: None,
            payload: None,
        })
    }

    /// The assignment in the state of a registration, if it names hub and device.
    pub(crate) fn from_state(operation_id: String, state: DeviceRegistrationResult) -> Option<Self> {
        let mut groups = [state.symmetric_key, state.x509].into_iter().flatten();
        Some(Self {
            assigned_hub: state.assigned_hub?.as_str().to_owned(),
            device_id: state.device_id?.as_str().to_owned(),
            operation_id,
            substatus: state.substatus,
            enrollment_group_id: groups.find_map(|group| group.enrollment_group_id),
            payload: state.payload,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignment_written_reads_back() {
        let assignment = Assignment::new("hub.example", "device-1").unwrap();
        let text = serde_json::to_string(&assignment).unwrap();
        assert_eq!(serde_json::from_str::<Assignment>(&text).unwrap(), assignment);
    }

    #[test]
    fn assignment_with_no_host_name_refused() {
        assert!(Assignment::new("https://hub.example/", "device-1").is_err());
        assert!(Assignment::new("hub.example", "a/b").is_err());
    }
}
