//! Azure's roles and the actions that they allow. Must not know who has a role, or where.

use serde::Deserialize;

/// What a call of the service API does, as Azure's roles name it (docs: "Control access with Microsoft Entra ID").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataAction {
    /// Shows keys.
    AttestationMechanismDetails,
    /// Reads groups.
    EnrollmentGroupsRead,
    /// Creates, updates groups.
    EnrollmentGroupsWrite,
    /// Deletes a group.
    EnrollmentGroupsDelete,
    /// Reads individual enrollments.
    EnrollmentsRead,
    /// Creates, updates individual enrollments.
    EnrollmentsWrite,
    /// Deletes an individual enrollment.
    EnrollmentsDelete,
    /// Reads registrations.
    RegistrationStatesRead,
    /// Deletes a registration.
    RegistrationStatesDelete,
}

impl DataAction {
    /// Its name in role definitions.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AttestationMechanismDetails => {
                "Microsoft.Devices/provisioningServices/attestationmechanism/details/action"
            }
            Self::EnrollmentGroupsRead => "Microsoft.Devices/provisioningServices/enrollmentGroups/read",
            Self::EnrollmentGroupsWrite => "Microsoft.Devices/provisioningServices/enrollmentGroups/write",
            Self::EnrollmentGroupsDelete => "Microsoft.Devices/provisioningServices/enrollmentGroups/delete",
            Self::EnrollmentsRead => "Microsoft.Devices/provisioningServices/enrollments/read",
            Self::EnrollmentsWrite => "Microsoft.Devices/provisioningServices/enrollments/write",
            Self::EnrollmentsDelete => "Microsoft.Devices/provisioningServices/enrollments/delete",
            Self::RegistrationStatesRead => "Microsoft.Devices/provisioningServices/registrationStates/read",
            Self::RegistrationStatesDelete => {
                "Microsoft.Devices/provisioningServices/registrationStates/delete"
            }
        }
    }
}

/// What a caller wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// On the control plane: a name like `Microsoft.Devices/provisioningServices/write`.
    Control(&'a str),
    /// On the service API.
    Data(DataAction),
}

impl Action<'_> {
    /// Its name in role definitions.
    pub fn name(&self) -> &str {
        match self {
            Self::Control(name) => name,
            Self::Data(action) => action.name(),
        }
    }
}

/// A built-in role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Role {
    /// Every control action.
    Owner,
    /// Every control action but who may do what.
    Contributor,
    /// Every control action that reads; no keys.
    Reader,
    /// Everything on the service API.
    DataContributor,
    /// Everything on the service API that reads; no keys.
    DataReader,
    /// Every control action that changes how things are watched, and every one that reads; no keys.
    MonitoringContributor,
    /// Every control action that reads, and queries of logs; no keys.
    MonitoringReader,
}

/// What a role definition lists; `*` stands for any text.
struct Definition {
    name: &'static str,
    actions: &'static [&'static str],
    not_actions: &'static [&'static str],
    data_actions: &'static [&'static str],
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Owner,
        Self::Contributor,
        Self::Reader,
        Self::DataContributor,
        Self::DataReader,
        Self::MonitoringContributor,
        Self::MonitoringReader,
    ];

    /// Azure's name.
    pub fn name(self) -> &'static str {
        self.definition().name
    }

    /// The role of that name, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name().eq_ignore_ascii_case(text.trim()))
    }

    /// Does the role allow the action? Owner and Contributor have no data actions: who may set keys may have them
    /// listed, and uses those.
    pub fn allows(self, action: Action<'_>) -> bool {
        let Definition { actions, not_actions, data_actions, .. } = self.definition();
        let any = |patterns: &[&str]| patterns.iter().any(|pattern| matches(pattern, action.name()));
        match action {
            Action::Control(_) => any(actions) && !any(not_actions),
            Action::Data(_) => any(data_actions),
        }
    }

    fn definition(self) -> Definition {
        match self {
            Self::Owner => Definition { name: "Owner", actions: &["*"], not_actions: &[], data_actions: &[] },
            Self::Contributor => Definition {
                name: "Contributor",
                actions: &["*"],
                not_actions: &[
                    "Microsoft.Authorization/*/Delete",
                    "Microsoft.Authorization/*/Write",
                    "Microsoft.Authorization/elevateAccess/Action",
                ],
                data_actions: &[],
            },
            Self::Reader => {
                Definition { name: "Reader", actions: &["*/read"], not_actions: &[], data_actions: &[] }
            }
            Self::DataContributor => Definition {
                name: "Device Provisioning Service Data Contributor",
                actions: &[],
                not_actions: &[],
                data_actions: &["Microsoft.Devices/provisioningServices/*"],
            },
            Self::DataReader => Definition {
                name: "Device Provisioning Service Data Reader",
                actions: &[],
                not_actions: &[],
                data_actions: &["Microsoft.Devices/provisioningServices/*/read"],
            },
            Self::MonitoringContributor => Definition {
                name: "Monitoring Contributor",
                actions: &[
                    "*/read",
                    "Microsoft.AlertsManagement/*",
                    "Microsoft.Insights/actionGroups/*",
                    "Microsoft.Insights/alertRules/*",
                    "Microsoft.Insights/diagnosticSettings/*",
                    "Microsoft.Insights/eventTypes/*",
                    "Microsoft.Insights/logDefinitions/*",
                    "Microsoft.Insights/metricAlerts/*",
                    "Microsoft.Insights/metricDefinitions/*",
                    "Microsoft.Insights/metrics/*",
                    "Microsoft.Insights/scheduledQueryRules/*",
                    "Microsoft.OperationalInsights/workspaces/search/action",
                ],
                not_actions: &[],
                data_actions: &[],
            },
            Self::MonitoringReader => Definition {
                name: "Monitoring Reader",
                actions: &["*/read", "Microsoft.OperationalInsights/workspaces/search/action"],
                not_actions: &[],
                data_actions: &[],
            },
        }
    }
}

impl TryFrom<String> for Role {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.into_iter().map(Self::name).collect();
            format!("there is no role of that name; the roles are {}", known.join(", "))
        })
    }
}

/// Does the pattern, with one `*` at most, match the whole text? Names of actions have no case.
fn matches(pattern: &str, text: &str) -> bool {
    let starts = |start: &str| text.get(..start.len()).is_some_and(|part| part.eq_ignore_ascii_case(start));
    match pattern.split_once('*') {
        None => text.eq_ignore_ascii_case(pattern),
        Some((start, end)) => {
            let tail = text.len().checked_sub(end.len()).filter(|tail| *tail >= start.len());
            starts(start)
                && tail.and_then(|tail| text.get(tail..)).is_some_and(|part| part.eq_ignore_ascii_case(end))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, DataAction, Role, matches};

    #[test]
    fn pattern_star_stands_for_any_text() {
        for (pattern, text, matched) in [
            ("*", "anything/at/all", true),
            ("*/read", "Microsoft.Devices/provisioningServices/READ", true),
            ("*/read", "read", false),
            ("a/*/b", "a/b", false),
            ("a/*/b", "a//b", true),
            ("a/*/b", "a/x/y/B", true),
            ("a/read", "a/read/x", false),
            ("é*", "a", false),
        ] {
            assert_eq!(matches(pattern, text), matched, "{pattern} {text}");
        }
    }

    #[test]
    fn roles_keep_the_planes_apart_and_keys_from_readers() {
        let control = |role: Role, name: &str| role.allows(Action::Control(name));
        let data = |role: Role, action| role.allows(Action::Data(action));
        let list_keys = "Microsoft.Devices/provisioningServices/listkeys/action";
        assert!(control(Role::Owner, list_keys) && control(Role::Contributor, list_keys));
        assert!(!control(Role::Reader, list_keys));
        assert!(control(Role::Reader, "Microsoft.Devices/provisioningServices/read"));
        assert!(!control(Role::Contributor, "Microsoft.Authorization/roleAssignments/write"));
        assert!(control(Role::Owner, "Microsoft.Authorization/roleAssignments/write"));
        for role in [Role::Owner, Role::Contributor, Role::Reader] {
            assert!(!data(role, DataAction::EnrollmentsRead), "{role:?}");
        }
        for role in [Role::DataContributor, Role::DataReader] {
            assert!(!control(role, "Microsoft.Devices/provisioningServices/read"), "{role:?}");
        }
        assert!(data(Role::DataContributor, DataAction::AttestationMechanismDetails));
        assert!(!data(Role::DataReader, DataAction::AttestationMechanismDetails));
        assert!(data(Role::DataReader, DataAction::RegistrationStatesRead));
        assert!(!data(Role::DataReader, DataAction::EnrollmentsDelete));
    }

    #[test]
    fn monitoring_roles_read_everything_but_keys_and_change_only_watching() {
        let control = |role: Role, name: &str| role.allows(Action::Control(name));
        for role in [Role::Reader, Role::MonitoringReader, Role::MonitoringContributor] {
            assert!(control(role, "Microsoft.Insights/metrics/read"), "{role:?}");
            assert!(control(role, "Microsoft.Insights/MetricDefinitions/Read"), "{role:?}");
            assert!(!control(role, "Microsoft.Devices/provisioningServices/listkeys/action"), "{role:?}");
            assert!(!control(role, "Microsoft.Devices/provisioningServices/write"), "{role:?}");
            let changes = control(role, "Microsoft.Insights/metricAlerts/write");
            assert_eq!(changes, role == Role::MonitoringContributor, "{role:?}");
        }
        for role in [Role::DataContributor, Role::DataReader] {
            assert!(!control(role, "Microsoft.Insights/metrics/read"), "{role:?}");
        }
    }

    #[test]
    fn role_names_read_in_any_case_and_no_other_is_one() {
        for role in Role::ALL {
            assert_eq!(Role::parse(&role.name().to_ascii_lowercase()), Some(role));
        }
        assert_eq!(Role::parse("Administrator"), None);
        assert!(
            Role::try_from("x".to_owned()).unwrap_err().contains("Device Provisioning Service Data Reader")
        );
    }
}
