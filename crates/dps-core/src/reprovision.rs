//! Decides what a registration does to a device that may already be on a hub (facts: dps-api.md §6.3). Pure.
//! Must not know how a hub is chosen or written.

use dps_model::ApiVersion;
use dps_model::enrollment::{EnrollmentSettings, ReprovisionPolicy};
use dps_model::registration::Substatus;
use serde::{Deserialize, Serialize};

use crate::registration::{Identity, RegistrationRecord};

/// The last version whose devices stay on their first hub where the enrollment says nothing.
const STICKY_UNTIL: &str = "2018-04-01";

/// What to do with the device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    /// It has no hub: choose one; the identity starts with the initial twin.
    Assign,
    /// It has one and keeps it: the allocation policy is not asked (a webhook is, with that hub alone).
    Keep {
        /// Where it is.
        home: Identity,
    },
    /// It has one, and the allocation policy is asked again.
    Reevaluate {
        /// Where it is.
        home: Identity,
        /// Does its twin move with it?
        migrate: bool,
    },
}

/// What the identity's twin becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TwinStart {
    /// It stays as it is.
    Kept,
    /// It begins with the initial twin.
    Initial,
    /// It is the former identity's.
    Carried,
}

/// The decision for a device whose last registration is `previous` and that asks in that version.
///
/// Where a device is, is where its last successful operation put it: one that failed since has not moved it.
pub fn decide(
    previous: Option<&RegistrationRecord>,
    settings: &EnrollmentSettings,
    api_version: ApiVersion,
) -> Decision {
    let Some(home) = previous.and_then(|record| record.identities.home.clone()) else {
        return Decision::Assign;
    };
    let policy = settings.reprovision_policy.unwrap_or_else(|| unsaid(api_version));
    if policy.update_hub_assignment {
        Decision::Reevaluate { home, migrate: policy.migrate_device_data }
    } else {
        Decision::Keep { home }
    }
}

/// Before September 2018 a device stayed where it was; since then an absent policy re-evaluates and migrates.
fn unsaid(api_version: ApiVersion) -> ReprovisionPolicy {
    // Versions are dates: their texts are in the order of time.
    let update_hub_assignment = api_version.as_str() > STICKY_UNTIL;
    ReprovisionPolicy { update_hub_assignment, ..ReprovisionPolicy::default() }
}

impl Decision {
    /// The identity that the device has.
    pub fn home(&self) -> Option<&Identity> {
        match self {
            Self::Assign => None,
            Self::Keep { home } | Self::Reevaluate { home, .. } => Some(home),
        }
    }

    /// What the record will say, and what becomes of the twin, when the device gets that identity. `linked` says
    /// whether its present hub can still be asked: a twin that is out of reach cannot move.
    pub fn settle(&self, target: &Identity, linked: bool) -> (Substatus, TwinStart) {
        match self {
            Self::Assign => (Substatus::InitialAssignment, TwinStart::Initial),
            Self::Keep { home } => {
                let twin = if target.is(home) { TwinStart::Kept } else { TwinStart::Initial };
                (Substatus::ReprovisionedToInitialAssignment, twin)
            }
            Self::Reevaluate { home, .. } if target.is(home) => {
                (Substatus::InitialAssignment, TwinStart::Kept)
            }
            Self::Reevaluate { migrate: true, .. } if linked => {
                (Substatus::DeviceDataMigrated, TwinStart::Carried)
            }
            Self::Reevaluate { .. } => (Substatus::DeviceDataReset, TwinStart::Initial),
        }
    }
}

#[cfg(test)]
mod tests {
    use dps_model::enrollment::{EnrollmentSettings, ReprovisionPolicy};
    use dps_model::registration::{Status, Substatus};
    use dps_model::{ApiVersion, HubName};

    use super::{Decision, TwinStart, decide};
    use crate::fixtures::record_on_hub;
    use crate::registration::Identity;

    fn identity(hub: &str, id: &str) -> Identity {
        Identity { hub: HubName::parse(hub).unwrap(), device_id: dps_model::DeviceId::parse(id).unwrap() }
    }

    fn policy(update_hub_assignment: bool, migrate_device_data: bool) -> EnrollmentSettings {
        let policy = ReprovisionPolicy { update_hub_assignment, migrate_device_data };
        EnrollmentSettings { reprovision_policy: Some(policy), ..EnrollmentSettings::default() }
    }

    fn on_a(settings: &EnrollmentSettings, api_version: &str) -> Decision {
        let record = record_on_hub("x", &HubName::parse("a.example").unwrap());
        decide(Some(&record), settings, ApiVersion::parse(api_version).unwrap())
    }

    #[test]
    fn never_registered_is_assigned() {
        let decision = decide(None, &policy(false, false), ApiVersion::V2019_03_31);
        assert_eq!(decision, Decision::Assign);
        let settled = decision.settle(&identity("a.example", "x"), true);
        assert_eq!(settled, (Substatus::InitialAssignment, TwinStart::Initial));
    }

    #[test]
    fn policies_do_what_their_table_says() {
        use Substatus::{
            DeviceDataMigrated, DeviceDataReset, InitialAssignment, ReprovisionedToInitialAssignment,
        };
        use TwinStart::{Carried, Initial, Kept};
        let (same, moved, renamed) =
            (identity("A.example", "x"), identity("b.example", "x"), identity("a.example", "y"));
        for (settings, version, target, linked, expected) in [
            (policy(true, true), "2019-03-31", &same, true, (InitialAssignment, Kept)),
            (policy(true, true), "2019-03-31", &moved, true, (DeviceDataMigrated, Carried)),
            (policy(true, true), "2017-11-15", &moved, true, (DeviceDataMigrated, Carried)),
            (policy(true, true), "2019-03-31", &moved, false, (DeviceDataReset, Initial)),
            (policy(true, true), "2019-03-31", &renamed, true, (DeviceDataMigrated, Carried)),
            (policy(true, false), "2019-03-31", &same, true, (InitialAssignment, Kept)),
            (policy(true, false), "2019-03-31", &moved, true, (DeviceDataReset, Initial)),
            (policy(false, true), "2019-03-31", &same, true, (ReprovisionedToInitialAssignment, Kept)),
            (policy(false, false), "2019-03-31", &same, true, (ReprovisionedToInitialAssignment, Kept)),
            (policy(false, false), "2019-03-31", &renamed, true, (ReprovisionedToInitialAssignment, Initial)),
            (
                EnrollmentSettings::default(),
                "2018-09-01-preview",
                &moved,
                true,
                (DeviceDataMigrated, Carried),
            ),
            (EnrollmentSettings::default(), "2021-10-01", &moved, true, (DeviceDataMigrated, Carried)),
            (
                EnrollmentSettings::default(),
                "2018-04-01",
                &same,
                true,
                (ReprovisionedToInitialAssignment, Kept),
            ),
        ] {
            assert_eq!(on_a(&settings, version).settle(target, linked), expected, "{settings:?} {version}");
        }
    }

    #[test]
    fn absent_policy_is_sticky_for_old_versions_alone() {
        let settings = EnrollmentSettings::default();
        for (version, sticky) in [
            ("2017-08-31-preview", true),
            ("2017-11-15", true),
            ("2018-04-01", true),
            ("2018-09-01-preview", false),
            ("2019-03-31", false),
            ("2021-10-01", false),
        ] {
            assert_eq!(matches!(on_a(&settings, version), Decision::Keep { .. }), sticky, "{version}");
        }
    }

    #[test]
    fn failed_operation_has_moved_nobody() {
        let mut record = record_on_hub("x", &HubName::parse("a.example").unwrap());
        (record.state.status, record.state.assigned_hub) = (Status::Failed, None);
        let decision = decide(Some(&record), &EnrollmentSettings::default(), ApiVersion::V2019_03_31);
        assert_eq!(decision.home(), Some(&identity("a.example", "x")));
    }
}
