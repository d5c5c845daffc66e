//! Chooses a hub. Pure: the same enrollment, hubs and device always give the same answer.
//! Must not know how a hub is reached or what was chosen before (`reprovision` decides whether to ask at all).

mod hashed;

use dps_model::enrollment::{AllocationPolicy, EnrollmentSettings};
use dps_model::hub::LinkedHub;
use dps_model::instance::Instance;
use dps_model::{Error, ErrorCode, RegistrationId};

/// Picks the hub for a device under its enrollment's policy, or the instance's where it has none.
///
/// No latencies are known, so that under `geoLatency` all hubs tie and the weighted hash decides, as it does for ties.
/// `custom` is refused when the enrollment is written.
/// Errors: `NoHubAvailable` when no hub of the enrollment is linked and open.
pub fn choose<'a>(
    settings: &EnrollmentSettings,
    instance: &'a Instance,
    registration_id: &RegistrationId,
) -> Result<&'a LinkedHub, Error> {
    let candidates = candidates(settings, instance);
    match settings.allocation_policy.unwrap_or(instance.allocation_policy) {
        AllocationPolicy::Static => candidates.first().copied(),
        AllocationPolicy::Hashed | AllocationPolicy::GeoLatency | AllocationPolicy::Custom => {
            hashed::pick(&candidates, registration_id)
        }
    }
    .ok_or_else(|| no_hub(settings, instance))
}

/// The linked hubs an enrollment may use, in the order it names them (all linked ones when it names none).
///
/// A hub that an enrollment names stays a candidate even when it is out of the instance's allocation: the enrollment
/// was explicit.
fn candidates<'a>(settings: &EnrollmentSettings, instance: &'a Instance) -> Vec<&'a LinkedHub> {
    let named: Vec<_> = settings.iot_hub_host_name.iter().chain(settings.iot_hubs.iter().flatten()).collect();
    if named.is_empty() {
        return instance.linked_hubs.iter().filter(|hub| hub.apply_allocation_policy).collect();
    }
    named.iter().filter_map(|name| instance.hub(name)).collect()
}

/// True while a device may stay where it is: the hub is linked, and the enrollment names it or names none.
pub fn allows(settings: &EnrollmentSettings, instance: &Instance, hub: &dps_model::HubName) -> bool {
    let mut named = settings.iot_hub_host_name.iter().chain(settings.iot_hubs.iter().flatten()).peekable();
    instance.hub(hub).is_some() && (named.peek().is_none() || named.any(|name| name.key() == hub.key()))
}

fn no_hub(settings: &EnrollmentSettings, instance: &Instance) -> Error {
    let names = |hubs: Vec<&str>| if hubs.is_empty() { "none".to_owned() } else { hubs.join(", ") };
    let wanted = settings.iot_hub_host_name.iter().chain(settings.iot_hubs.iter().flatten());
    Error::new(ErrorCode::NoHubAvailable).because(format!(
        "the enrollment names these hubs: {}; linked are: {}",
        names(wanted.map(dps_model::HubName::as_str).collect()),
        names(instance.linked_hubs.iter().map(|hub| hub.name.as_str()).collect()),
    ))
}

#[cfg(test)]
mod tests {
    use dps_model::enrollment::{AllocationPolicy, EnrollmentSettings};
    use dps_model::{ErrorCode, HubName, RegistrationId};

    use super::choose;
    use crate::fixtures::instance_with_hubs;

    fn id(text: &str) -> RegistrationId {
        RegistrationId::parse(text).unwrap()
    }

    #[test]
    fn static_policy_takes_the_named_hub() {
        let instance = instance_with_hubs(&["a.example", "b.example"]);
        let settings = EnrollmentSettings {
            allocation_policy: Some(AllocationPolicy::Static),
            iot_hubs: Some(vec![HubName::parse("B.example").unwrap()]),
            ..EnrollmentSettings::default()
        };
        assert_eq!(choose(&settings, &instance, &id("x")).unwrap().name.as_str(), "b.example");
    }

    #[test]
    fn static_policy_without_hub_takes_the_first_linked() {
        let instance = instance_with_hubs(&["a.example", "b.example"]);
        let settings = EnrollmentSettings {
            allocation_policy: Some(AllocationPolicy::Static),
            ..EnrollmentSettings::default()
        };
        assert_eq!(choose(&settings, &instance, &id("x")).unwrap().name.as_str(), "a.example");
    }

    #[test]
    fn unlinked_hub_fails_and_names_it() {
        let instance = instance_with_hubs(&["a.example"]);
        let settings = EnrollmentSettings {
            iot_hubs: Some(vec![HubName::parse("gone.example").unwrap()]),
            ..EnrollmentSettings::default()
        };
        let error = choose(&settings, &instance, &id("x")).err().unwrap();
        assert_eq!(error.code, ErrorCode::NoHubAvailable);
        assert!(error.cause.unwrap().contains("gone.example"));
    }

    #[test]
    fn hub_out_of_allocation_is_skipped() {
        let mut instance = instance_with_hubs(&["a.example", "b.example"]);
        instance.linked_hubs[0].apply_allocation_policy = false;
        for n in 0..50 {
            let hub = choose(&EnrollmentSettings::default(), &instance, &id(&format!("d{n}"))).unwrap();
            assert_eq!(hub.name.as_str(), "b.example");
        }
    }
}
