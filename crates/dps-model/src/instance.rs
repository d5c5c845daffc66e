//! A provisioning service ("instance"): the tenant that every row is keyed by.
//! Owns its settings; must not know how requests find it.

use crate::enrollment::AllocationPolicy;
use crate::hub::LinkedHub;
use crate::{IdScope, Secret};

/// One provisioning service.
#[derive(Clone)]
pub struct Instance {
    /// Name, unique on the server; the key of every row.
    pub name: String,
    /// What devices name it by.
    pub id_scope: IdScope,
    /// Policy for enrollments that have none.
    pub allocation_policy: AllocationPolicy,
    /// Hubs that devices may be assigned to.
    pub linked_hubs: Vec<LinkedHub>,
    /// Who may call the service API.
    pub access_policies: Vec<AccessPolicy>,
    /// ARM id of the resource.
    pub resource_id: String,
    /// Region, as logs show it.
    pub location: String,
}

impl Instance {
    /// The linked hub of that name (no port, any case).
    pub fn hub(&self, name: &crate::HubName) -> Option<&LinkedHub> {
        self.linked_hubs.iter().find(|hub| hub.name.as_str().eq_ignore_ascii_case(name.as_str()))
    }
}

/// A shared access policy.
#[derive(Clone)]
pub struct AccessPolicy {
    /// `SharedAccessKeyName`.
    pub name: String,
    /// First key.
    pub primary: Secret,
    /// Second key.
    pub secondary: Secret,
    /// What it allows, e.g. `EnrollmentWrite`.
    pub rights: Vec<Right>,
}

/// A right of a shared access policy (ARM `AccessRightsDescription`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Right {
    /// Everything about the instance itself.
    ServiceConfig,
    /// Read enrollments.
    EnrollmentRead,
    /// Change enrollments.
    EnrollmentWrite,
    /// Connect devices.
    DeviceConnect,
    /// Read registrations.
    RegistrationStatusRead,
    /// Delete registrations.
    RegistrationStatusWrite,
}
