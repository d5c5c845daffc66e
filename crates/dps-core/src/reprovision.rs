//! Decides what a registration does to a device that may already be on a hub. Pure.
//! Must not know how a hub is chosen or written.

use dps_model::HubName;
use dps_model::enrollment::EnrollmentSettings;
use dps_model::instance::Instance;
use dps_model::registration::Substatus;

use crate::allocation;
use crate::registration::RegistrationRecord;

/// What to do with the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It has no hub: choose one; the identity starts with the enrollment's initial twin.
    Assign,
    /// It stays on its hub: the identity is brought up to date, the twin is left alone.
    Stay {
        /// Where it is.
        hub: HubName,
        /// What its record says of how it came there.
        substatus: Substatus,
    },
}

/// The decision for a device whose last registration is `previous`.
///
/// Where a device is, is where its last successful operation put it: one that failed since has not moved it.
/// A device stays on its hub while that hub is linked and the enrollment allows it (docs/divergences.md D-010: moving
/// a device between hubs is a later capability); its hub gone, it is assigned anew.
pub fn decide(
    previous: Option<&RegistrationRecord>,
    settings: &EnrollmentSettings,
    instance: &Instance,
) -> Decision {
    match previous.and_then(|record| record.identities.home.as_ref()).map(|home| &home.hub) {
        Some(hub) if allocation::allows(settings, instance, hub) => {
            let keeps = settings.reprovision_policy.is_some_and(|policy| !policy.update_hub_assignment);
            let substatus = if keeps {
                Substatus::ReprovisionedToInitialAssignment
            } else {
                Substatus::InitialAssignment
            };
            Decision::Stay { hub: hub.clone(), substatus }
        }
        _ => Decision::Assign,
    }
}

#[cfg(test)]
mod tests {
    use dps_model::HubName;
    use dps_model::enrollment::{EnrollmentSettings, ReprovisionPolicy};
    use dps_model::registration::{Status, Substatus};

    use super::{Decision, decide};
    use crate::fixtures::{instance_with_hubs, record_on_hub};

    #[test]
    fn never_registered_is_assigned() {
        let instance = instance_with_hubs(&["a.example"]);
        assert_eq!(decide(None, &EnrollmentSettings::default(), &instance), Decision::Assign);
    }

    #[test]
    fn assigned_to_a_linked_hub_stays() {
        let instance = instance_with_hubs(&["a.example", "b.example"]);
        let hub = HubName::parse("b.example").unwrap();
        let record = record_on_hub("x", &hub);
        let stay = |substatus| Decision::Stay { hub: hub.clone(), substatus };
        let settings = EnrollmentSettings::default();
        assert_eq!(decide(Some(&record), &settings, &instance), stay(Substatus::InitialAssignment));
        let never = ReprovisionPolicy { update_hub_assignment: false, migrate_device_data: false };
        let settings = EnrollmentSettings { reprovision_policy: Some(never), ..settings };
        assert_eq!(
            decide(Some(&record), &settings, &instance),
            stay(Substatus::ReprovisionedToInitialAssignment)
        );
    }

    #[test]
    fn unlinked_is_assigned_anew_but_failed_stays() {
        let instance = instance_with_hubs(&["a.example"]);
        let settings = EnrollmentSettings::default();
        let mut record = record_on_hub("x", &HubName::parse("gone.example").unwrap());
        assert_eq!(decide(Some(&record), &settings, &instance), Decision::Assign);
        record = record_on_hub("x", &HubName::parse("a.example").unwrap());
        (record.state.status, record.state.assigned_hub) = (Status::Failed, None);
        let stay = Decision::Stay {
            hub: HubName::parse("a.example").unwrap(),
            substatus: Substatus::InitialAssignment,
        };
        assert_eq!(decide(Some(&record), &settings, &instance), stay);
    }
}
