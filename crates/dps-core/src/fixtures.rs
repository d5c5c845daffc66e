//! Values that several unit tests start from.

use dps_model::connection_string::ConnectionString;
use dps_model::enrollment::AllocationPolicy;
use dps_model::hub::LinkedHub;
use dps_model::instance::Instance;
use dps_model::registration::{DeviceRegistrationResult, Status};
use dps_model::{HubName, IdScope, RegistrationId, Secret};

use crate::registration::{EnrollmentName, Identities, Identity, Proof, RegistrationRecord};

pub(crate) fn instance_with_hubs(names: &[&str]) -> Instance {
    let hub = |name: &&str| LinkedHub {
        name: HubName::parse(name).unwrap(),
        connection: ConnectionString {
            host: (*name).to_owned(),
            policy: "iothubowner".into(),
            key: Secret::new(vec![7; 32]),
        },
        allocation_weight: 1,
        apply_allocation_policy: true,
        location: String::new(),
    };
    Instance {
        name: "dps".into(),
        id_scope: IdScope::parse("0ne00000012").unwrap(),
        allocation_policy: AllocationPolicy::Hashed,
        linked_hubs: names.iter().map(hub).collect(),
        access_policies: Vec::new(),
        resource_id: "/subscriptions/s".into(),
        location: "local".into(),
        certificates: Vec::new(),
        network: dps_model::network::NetworkAccess::default(),
        disable_local_auth: false,
        resource: dps_model::instance::Resource::default(),
        rows: None,
        etag: dps_model::Etag::fresh(),
    }
}

pub(crate) fn record_on_hub(id: &str, hub: &HubName) -> RegistrationRecord {
    let id = RegistrationId::parse(id).unwrap();
    let mut state = DeviceRegistrationResult::bare(id.clone(), Status::Assigned);
    state.assigned_hub = Some(hub.clone());
    state.device_id = Some(id.clone().into());
    let home = Some(Identity { hub: hub.clone(), device_id: id.into() });
    RegistrationRecord {
        state,
        enrollment: EnrollmentName::Individual,
        proof: Proof::SasToken("hash".into()),
        operation: None,
        identities: Identities { home, strays: Vec::new() },
        carried: None,
    }
}
