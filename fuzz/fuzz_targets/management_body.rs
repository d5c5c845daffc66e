//! Bodies of the management API. What is refused is refused with a sentence; what is taken is applied, within its limits,
//! and applying it again changes nothing but keys.
#![no_main]

use dps_management_api::wanted::Wanted;
use dps_model::enrollment::AllocationPolicy;
use dps_model::instance::{Instance, Resource};
use dps_model::limits::{MAX_ACCESS_POLICIES, MAX_IP_FILTER_RULES, MAX_LINKED_HUBS, MAX_MANAGEMENT_BODY};
use dps_model::network::NetworkAccess;
use dps_model::{Etag, IdScope};
use libfuzzer_sys::fuzz_target;

fn instance() -> Instance {
    Instance {
        name: "fuzzed".into(),
        id_scope: IdScope::fresh(),
        allocation_policy: AllocationPolicy::Hashed,
        linked_hubs: Vec::new(),
        access_policies: Vec::new(),
        certificates: Vec::new(),
        network: NetworkAccess::default(),
        disable_local_auth: false,
        resource_id: String::new(),
        location: String::new(),
        resource: Resource::default(),
        rows: None,
        etag: Etag::fresh(),
    }
}

fuzz_target!(|body: &[u8]| {
    if body.len() > MAX_MANAGEMENT_BODY {
        return; // refused unread
    }
    let Ok(body) = serde_json::from_slice::<serde_json::Value>(body) else { return };
    let _ = Wanted::read_patch(&body).map_err(|error| assert!(!error.message.is_empty()));
    let wanted = match Wanted::read(&body) {
        Ok(wanted) => wanted,
        Err(error) => return assert!(!error.message.is_empty()),
    };
    let mut instance = instance();
    match wanted.apply(&mut instance) {
        Err(error) => assert!(!error.message.is_empty()),
        Ok(_) => {
            assert!(instance.linked_hubs.len() <= MAX_LINKED_HUBS);
            assert!(instance.access_policies.len() <= MAX_ACCESS_POLICIES);
            assert!(instance.network.rules.len() <= MAX_IP_FILTER_RULES);
            assert!(instance.linked_hubs.iter().all(|hub| (1..=1000).contains(&hub.allocation_weight)));
            let again = wanted.apply(&mut instance).expect("what was applied once is applied again");
            assert!(again.iter().all(|member| *member == "properties.authorizationPolicies"), "{again:?}");
        }
    }
});
