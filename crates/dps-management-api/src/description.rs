//! `ProvisioningServiceDescription`: a provisioning service as its clients read it. Owns the shape; keys never stand here.

use dps_core::ports::HostNames;
use dps_model::enrollment::AllocationPolicy;
use dps_model::instance::{Instance, InstanceState};
use serde_json::{Value, json};

use crate::hubs;
use crate::resource_id::{Parts, TYPE};

/// ARM's words for the policies that an instance may have.
pub(crate) const POLICIES: [(&str, AllocationPolicy); 3] = [
    ("Hashed", AllocationPolicy::Hashed),
    ("GeoLatency", AllocationPolicy::GeoLatency),
    ("Static", AllocationPolicy::Static),
];

/// As it is.
pub(crate) fn show(instance: &Instance, hosts: &HostNames) -> Value {
    let (state, provisioning) = match instance.resource.state {
        InstanceState::Activating => ("Activating", "Accepted"),
        InstanceState::Active => ("Active", "Succeeded"),
        InstanceState::ActivationFailed => ("ActivationFailed", "Failed"),
        InstanceState::Deleting => ("Deleting", "Deleting"),
    };
    described(instance, hosts, state, provisioning, Some(instance.id_scope.as_str()))
}

/// As the answer to a PUT shows it, whose operation has been accepted (recorded from Azure: without its id scope).
pub(crate) fn accepted(instance: &Instance, hosts: &HostNames, state: &str) -> Value {
    described(instance, hosts, state, "Accepted", None)
}

fn described(
    instance: &Instance,
    hosts: &HostNames,
    state: &str,
    provisioning: &str,
    id_scope: Option<&str>,
) -> Value {
    let parts = Parts::of(&instance.resource_id);
    let policy = POLICIES.iter().find(|(_, policy)| *policy == instance.allocation_policy);
    let resource = &instance.resource;
    json!({
        "id": instance.resource_id,
        "name": instance.name,
        "type": TYPE,
        "location": instance.location,
        "tags": resource.tags,
        "etag": instance.etag,
        "resourcegroup": parts.map(|parts| parts.resource_group),
        "subscriptionid": parts.map(|parts| parts.subscription),
        "sku": { "name": "S1", "tier": "Standard", "capacity": resource.capacity },
        "properties": {
            "state": state,
            "provisioningState": provisioning,
            "idScope": id_scope,
            "iotHubs": instance.linked_hubs.iter().map(hubs::show).collect::<Vec<_>>(),
            "allocationPolicy": policy.map_or("Hashed", |(name, _)| name),
            "serviceOperationsHostName": hosts.service,
            "deviceProvisioningHostName": hosts.device,
            "portalOperationsHostName": hosts.portal,
            "publicNetworkAccess": if instance.network.public { "Enabled" } else { "Disabled" },
            "ipFilterRules": instance.network.rules,
            "privateEndpointConnections": [],
            "enableDataResidency": resource.enable_data_residency,
            "disableLocalAuth": instance.disable_local_auth,
        },
    })
}
