//! The three kinds of document.

use dps_model::limits::{MAX_ACTION_GROUPS, MAX_ALERT_DOCUMENT, MAX_ALERT_RULES, MAX_METRIC_ALERT};

use crate::ports::Shelf;

/// A kind of document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `metricAlerts`
    MetricAlert,
    /// `scheduledQueryRules`
    QueryRule,
    /// `actionGroups`
    ActionGroup,
}

impl Kind {
    /// All of them; groups first, since rules name them.
    pub const ALL: [Self; 3] = [Self::ActionGroup, Self::MetricAlert, Self::QueryRule];

    /// Its ARM type.
    pub const fn resource_type(self) -> &'static str {
        match self {
            Self::MetricAlert => "Microsoft.Insights/metricAlerts",
            Self::QueryRule => "Microsoft.Insights/scheduledQueryRules",
            Self::ActionGroup => "Microsoft.Insights/actionGroups",
        }
    }

    /// What people call it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::MetricAlert => "metric alert rule",
            Self::QueryRule => "log alert rule",
            Self::ActionGroup => "action group",
        }
    }

    /// Where it is kept.
    pub const fn shelf(self) -> Shelf {
        match self {
            Self::MetricAlert => Shelf::MetricAlerts,
            Self::QueryRule => Shelf::QueryRules,
            Self::ActionGroup => Shelf::ActionGroups,
        }
    }

    /// How many there may be.
    pub const fn most(self) -> usize {
        match self {
            Self::MetricAlert | Self::QueryRule => MAX_ALERT_RULES,
            Self::ActionGroup => MAX_ACTION_GROUPS,
        }
    }

    /// How large one may be, in bytes of JSON.
    pub const fn largest(self) -> usize {
        match self {
            Self::MetricAlert => MAX_METRIC_ALERT,
            Self::QueryRule | Self::ActionGroup => MAX_ALERT_DOCUMENT,
        }
    }

    /// Members of `properties` that only the server sets.
    pub const fn read_only(self) -> &'static [&'static str] {
        match self {
            Self::MetricAlert => &["lastUpdatedTime", "isMigrated"],
            Self::QueryRule => {
                &["createdWithApiVersion", "isLegacyLogAnalyticsRule", "isWorkspaceAlertsStorageConfigured"]
            }
            Self::ActionGroup => &[],
        }
    }
}
