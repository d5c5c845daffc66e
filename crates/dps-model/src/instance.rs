//! A provisioning service ("instance"): the tenant that every row is keyed by.
//! Owns its settings; must not know how requests find it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::certificate_authority::CaCertificate;
use crate::enrollment::AllocationPolicy;
use crate::hub::LinkedHub;
use crate::network::NetworkAccess;
use crate::{Etag, IdScope, Secret};

/// One provisioning service.
#[derive(Clone)]
pub struct Instance {
    /// Name, unique on the server at any one time.
    pub name: String,
    /// What devices name it by.
    pub id_scope: IdScope,
    /// Policy for enrollments that have none.
    pub allocation_policy: AllocationPolicy,
    /// Hubs that devices may be assigned to.
    pub linked_hubs: Vec<LinkedHub>,
    /// Who may call the service API.
    pub access_policies: Vec<AccessPolicy>,
    /// CA certificates that enrollment groups may refer to.
    pub certificates: Vec<CaCertificate>,
    /// From where it may be called.
    pub network: NetworkAccess,
    /// True refuses shared access signatures on the service API (ARM `disableLocalAuth`).
    pub disable_local_auth: bool,
    /// ARM id of the resource.
    pub resource_id: String,
    /// Region, as logs show it.
    pub location: String,
    /// What the control plane shows and nothing else reads.
    pub resource: Resource,
    /// Key of its rows where that is not the name; see `Instance::rows`.
    pub rows: Option<String>,
    /// Version of all this; a fresh one with every write.
    pub etag: Etag,
}

/// What the control plane shows of an instance and nothing else reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// Free-form.
    pub tags: BTreeMap<String, String>,
    /// Units of the SKU S1.
    pub capacity: i64,
    /// Kept and shown: nothing is replicated to another region.
    pub enable_data_residency: bool,
    /// Where it is in its life.
    pub state: InstanceState,
}

impl Default for Resource {
    fn default() -> Self {
        Self {
            tags: BTreeMap::new(),
            capacity: 1,
            enable_data_residency: false,
            state: InstanceState::Active,
        }
    }
}

/// Where an instance is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum InstanceState {
    /// It is being made: it has no certificate yet.
    Activating,
    /// It answers.
    #[default]
    Active,
    /// It could not be given a certificate; another PUT or a restart tries again.
    ActivationFailed,
    /// It answers nobody any more; its rows are being removed.
    Deleting,
}

impl Instance {
    /// What its rows, and what is remembered of them, are keyed by. A name may be taken again after a deletion, this
    /// never is: what a request that was under way still writes belongs to nobody.
    pub fn rows(&self) -> &str {
        self.rows.as_deref().unwrap_or(&self.name)
    }

    /// The linked hub of that name (no port, any case).
    pub fn hub(&self, name: &crate::HubName) -> Option<&LinkedHub> {
        self.linked_hubs.iter().find(|hub| hub.name.as_str().eq_ignore_ascii_case(name.as_str()))
    }

    /// The uploaded CA certificate of that name, in any case.
    pub fn certificate(&self, name: &str) -> Option<&CaCertificate> {
        self.certificates.iter().find(|certificate| certificate.is_named(name))
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
