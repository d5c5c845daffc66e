//! Chooses a hub. Pure: the same enrollment, hubs, device and client address always give the same answer.
//! Must not know how a hub is reached or what was chosen before (`reprovision` decides whether to ask at all).

pub mod custom;
mod hashed;
mod latency;
pub mod regions;

use std::net::IpAddr;

use dps_events::{Allocation, Score};
use dps_model::enrollment::{AllocationPolicy, EnrollmentSettings};
use dps_model::hub::LinkedHub;
use dps_model::instance::Instance;
use dps_model::{Error, ErrorCode, RegistrationId, limits};

use crate::ports::Regions;

/// Where the device asks from, and what is known of the way to the hubs.
#[derive(Clone, Copy)]
pub struct Client<'a> {
    /// Its address, as the connection has it.
    pub address: IpAddr,
    /// What is known.
    pub regions: &'a dyn Regions,
}

/// The policy in force: the enrollment's, or the instance's where it has none.
pub fn policy(settings: &EnrollmentSettings, instance: &Instance) -> AllocationPolicy {
    settings.allocation_policy.unwrap_or(instance.allocation_policy)
}

/// Picks the hub for a device under the policy in force, and tells what the choice was made by. A custom allocation is
/// its webhook's choice; nobody asks for one here.
/// Errors: `NoHubAvailable` when no hub of the enrollment is linked and open.
pub fn choose<'a>(
    settings: &EnrollmentSettings,
    instance: &'a Instance,
    registration_id: &RegistrationId,
    client: Client<'_>,
) -> Result<(&'a LinkedHub, Allocation), Error> {
    let candidates = candidates(settings, instance);
    let (policy, region, latencies) = match policy(settings, instance) {
        AllocationPolicy::Static => ("static", None, Vec::new()),
        AllocationPolicy::GeoLatency => {
            let region = client.regions.region_of(client.address);
            let latency =
                |hub: &&LinkedHub| region.as_ref().and_then(|from| client.regions.latency(from, hub));
            let latencies: Vec<Option<u32>> = candidates.iter().map(latency).collect();
            ("geoLatency", region, latencies)
        }
        AllocationPolicy::Hashed | AllocationPolicy::Custom => ("hashed", None, Vec::new()),
    };
    let known: Vec<(&LinkedHub, Option<u32>)> =
        candidates.iter().copied().zip(latencies.into_iter().chain(std::iter::repeat(None))).collect();
    let chosen = match policy {
        "static" => candidates.first().copied(),
        _ => hashed::pick(&latency::nearest(&known), registration_id),
    };
    let scores = scores(&known);
    chosen.map(|hub| (hub, Allocation { policy, region, scores })).ok_or_else(|| no_hub(settings, instance))
}

/// What the record keeps of the candidates: the nearest first, the rest in the order of the enrollment.
fn scores(known: &[(&LinkedHub, Option<u32>)]) -> Vec<Score> {
    let mut sorted: Vec<_> = known.iter().collect();
    sorted.sort_by_key(|(_, latency)| latency.unwrap_or(u32::MAX));
    let score =
        |(hub, latency): &(&LinkedHub, Option<u32>)| Score { hub: hub.name.key(), latency_ms: *latency };
    sorted.into_iter().take(limits::MAX_SCORES).map(score).collect()
}

/// The linked hubs an enrollment may use, in the order it names them (all linked ones when it names none).
///
/// A hub that an enrollment names stays a candidate even when it is out of the instance's allocation: the enrollment
/// was explicit. One that it names twice counts once.
pub fn candidates<'a>(settings: &EnrollmentSettings, instance: &'a Instance) -> Vec<&'a LinkedHub> {
    let named: Vec<_> = settings.iot_hub_host_name.iter().chain(settings.iot_hubs.iter().flatten()).collect();
    if named.is_empty() {
        return instance.linked_hubs.iter().filter(|hub| hub.apply_allocation_policy).collect();
    }
    let mut candidates: Vec<&LinkedHub> = Vec::with_capacity(named.len());
    for hub in named.iter().filter_map(|name| instance.hub(name)) {
        if candidates.iter().all(|other| other.name.key() != hub.name.key()) {
            candidates.push(hub);
        }
    }
    candidates
}

/// The refusal of an enrollment none of whose hubs can be used.
pub fn no_hub(settings: &EnrollmentSettings, instance: &Instance) -> Error {
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
    use dps_model::hub::LinkedHub;
    use dps_model::instance::Instance;
    use dps_model::{Error, ErrorCode, HubName, RegistrationId};

    use super::Client;
    use super::regions::RegionMap;
    use crate::fixtures::instance_with_hubs;

    fn id(text: &str) -> RegistrationId {
        RegistrationId::parse(text).unwrap()
    }

    fn from<'a>(address: &str, regions: &'a RegionMap) -> Client<'a> {
        Client { address: address.parse().unwrap(), regions }
    }

    /// The hub chosen for a client of whom nothing is known.
    fn choose<'a>(
        settings: &EnrollmentSettings,
        instance: &'a Instance,
        id: &RegistrationId,
    ) -> Result<&'a LinkedHub, Error> {
        let regions = RegionMap::default();
        super::choose(settings, instance, id, from("192.0.2.1", &regions)).map(|(hub, _)| hub)
    }

    #[test]
    fn nearest_hub_wins_over_weight_and_the_record_tells_why() {
        let mut instance = instance_with_hubs(&["us.example", "eu.example", "odd.example"]);
        instance.allocation_policy = AllocationPolicy::GeoLatency;
        instance.linked_hubs[0].allocation_weight = 1000;
        (instance.linked_hubs[0].location, instance.linked_hubs[1].location) =
            ("East US".into(), "westeurope".into());
        let regions = RegionMap::parse("192.0.2.0/24 northeurope", "").unwrap();
        let settings = EnrollmentSettings::default();
        for n in 0..50 {
            let client = from("192.0.2.7", &regions);
            let (hub, seen) = super::choose(&settings, &instance, &id(&format!("d{n}")), client).unwrap();
            assert_eq!(hub.name.as_str(), "eu.example");
            assert_eq!((seen.policy, seen.region.as_deref()), ("geoLatency", Some("northeurope")));
            let scores: Vec<_> = seen.scores.iter().map(|score| score.hub.as_str()).collect();
            assert_eq!(scores, ["eu.example", "us.example", "odd.example"]);
            assert_eq!(seen.scores[2].latency_ms, None);
        }
        // A client of whom nothing is known: the weighted hash decides.
        let seen: std::collections::HashSet<_> = (0..500)
            .map(|n| choose(&settings, &instance, &id(&format!("d{n}"))).unwrap().name.key())
            .collect();
        assert!(seen.contains("us.example") && !seen.is_empty());
        let policy = Some(AllocationPolicy::Hashed);
        let hashed = EnrollmentSettings { allocation_policy: policy, ..settings };
        let (_, seen) = super::choose(&hashed, &instance, &id("d"), from("192.0.2.7", &regions)).unwrap();
        assert_eq!((seen.policy, seen.region), ("hashed", None), "the enrollment's policy has the last word");
    }

    #[test]
    fn equally_near_hubs_share_by_weight() {
        let mut instance = instance_with_hubs(&["a.example", "b.example", "far.example"]);
        instance.allocation_policy = AllocationPolicy::GeoLatency;
        instance.linked_hubs[1].allocation_weight = 3;
        let latencies = "here a.example 4\nhere b.example 4\nhere far.example 5";
        let regions = RegionMap::parse("192.0.2.0/24 here", latencies).unwrap();
        let chosen = |n: usize| {
            let (client, id) = (from("192.0.2.7", &regions), id(&format!("d{n}")));
            super::choose(&EnrollmentSettings::default(), &instance, &id, client).unwrap().0.name.key()
        };
        let names: Vec<_> = (0..4_000).map(chosen).collect();
        let share = |name: &str| names.iter().filter(|chosen| *chosen == name).count();
        assert_eq!(share("far.example"), 0);
        assert!((2_880..3_120).contains(&share("b.example")), "{}", share("b.example"));
    }

    #[test]
    fn hub_named_twice_counts_once() {
        let instance = instance_with_hubs(&["a.example", "b.example"]);
        let named = ["a.example", "A.example", "b.example"].map(|name| HubName::parse(name).unwrap());
        let settings = EnrollmentSettings { iot_hubs: Some(named.to_vec()), ..EnrollmentSettings::default() };
        assert_eq!(super::candidates(&settings, &instance).len(), 2);
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
