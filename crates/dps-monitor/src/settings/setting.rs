//! A diagnostic setting as it is kept and shown: Azure's members, by Azure's names (`DiagnosticSettings`, 2021-05-01-preview).
//! Owns what a setting sends; whether it may be is `rules`'.

use serde::{Deserialize, Serialize};

use crate::logs::Category;

/// Name of the setting that is in force where none was ever made.
pub const DEFAULT_SETTING: &str = "muster-default";
/// The one category of metrics.
pub const METRICS_CATEGORY: &str = "AllMetrics";
/// Groups of categories.
pub const CATEGORY_GROUPS: [&str; 2] = [ALL_LOGS, AUDIT];
const ALL_LOGS: &str = "allLogs";
const AUDIT: &str = "audit";

/// The groups that a category belongs to.
pub const fn groups_of(category: Category) -> &'static [&'static str] {
    match category {
        Category::DeviceOperations => &[ALL_LOGS],
        // Azure does not say what `audit` holds: here, who changed what (D-640).
        Category::ServiceOperations => &[AUDIT, ALL_LOGS],
    }
}

/// A diagnostic setting of a provisioning service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Setting {
    /// Its name; no two of a resource differ in case alone.
    pub name: String,
    /// A Log Analytics workspace.
    pub workspace_id: Option<String>,
    /// A storage account.
    pub storage_account_id: Option<String>,
    /// An authorization rule of an Event Hubs namespace.
    pub event_hub_authorization_rule_id: Option<String>,
    /// An event hub of it; by default one a category.
    pub event_hub_name: Option<String>,
    /// A partner's solution.
    pub marketplace_partner_id: Option<String>,
    /// `Dedicated` or `AzureDiagnostics`; a provisioning service's logs have no tables of their own either way (D-645).
    pub log_analytics_destination_type: Option<String>,
    /// Which logs.
    pub logs: Vec<LogChoice>,
    /// Which metrics.
    pub metrics: Vec<MetricChoice>,
}

/// Logs of a category, or of a group of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LogChoice {
    /// One category.
    pub category: Option<String>,
    /// Several, by their group.
    pub category_group: Option<String>,
    /// Are they sent?
    pub enabled: bool,
    /// Kept and shown; Azure does not follow it any more either (D-646).
    pub retention_policy: Option<Retention>,
}

/// Metrics of a category.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MetricChoice {
    /// `AllMetrics`.
    pub category: Option<String>,
    /// `PT1M`.
    pub time_grain: Option<String>,
    /// Are they sent?
    pub enabled: bool,
    /// Kept and shown.
    pub retention_policy: Option<Retention>,
}

/// How long storage keeps what it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Retention {
    /// Is it followed?
    pub enabled: bool,
    /// For ever when 0.
    pub days: u32,
}

/// A kind of destination; a setting has one of each at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DestinationKind {
    /// The built-in workspace.
    Workspace,
    /// Files by the hour.
    Storage,
    /// An event stream.
    EventHub,
    /// Somebody else's product.
    Partner,
}

impl DestinationKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Workspace, Self::Storage, Self::EventHub, Self::Partner];

    /// The member that names one.
    pub const fn member(self) -> &'static str {
        match self {
            Self::Workspace => "workspaceId",
            Self::Storage => "storageAccountId",
            Self::EventHub => "eventHubAuthorizationRuleId",
            Self::Partner => "marketplacePartnerId",
        }
    }

    /// Its name in metrics and in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::Storage => "storage",
            Self::EventHub => "eventhub",
            Self::Partner => "partner",
        }
    }
}

impl Setting {
    /// Everything to that workspace: what is in force where no setting was ever made.
    pub fn default_to(workspace: &str) -> Self {
        Self {
            name: DEFAULT_SETTING.to_owned(),
            workspace_id: Some(workspace.to_owned()),
            logs: vec![LogChoice {
                category_group: Some(ALL_LOGS.to_owned()),
                enabled: true,
                ..LogChoice::default()
            }],
            metrics: vec![MetricChoice {
                category: Some(METRICS_CATEGORY.to_owned()),
                enabled: true,
                ..MetricChoice::default()
            }],
            ..Self::default()
        }
    }

    /// The destination of that kind.
    pub fn destination(&self, kind: DestinationKind) -> Option<&str> {
        match kind {
            DestinationKind::Workspace => self.workspace_id.as_deref(),
            DestinationKind::Storage => self.storage_account_id.as_deref(),
            DestinationKind::EventHub => self.event_hub_authorization_rule_id.as_deref(),
            DestinationKind::Partner => self.marketplace_partner_id.as_deref(),
        }
    }

    /// Does it send logs of that category?
    pub fn sends(&self, category: Category) -> bool {
        self.logs.iter().filter(|choice| choice.enabled).any(|choice| choice.names(category))
    }

    /// Does it send metrics?
    pub fn sends_metrics(&self) -> bool {
        self.metrics.iter().any(|choice| choice.enabled)
    }
}

impl LogChoice {
    /// Is it about that category?
    pub(super) fn names(&self, category: Category) -> bool {
        let is = |name: &str| category.name().eq_ignore_ascii_case(name);
        let holds = |group: &str| groups_of(category).iter().any(|known| known.eq_ignore_ascii_case(group));
        self.category.as_deref().is_some_and(is) || self.category_group.as_deref().is_some_and(holds)
    }
}

#[cfg(test)]
mod tests {
    use super::{LogChoice, Setting};
    use crate::logs::Category;

    fn of_group(name: &str, enabled: bool) -> Setting {
        let choice = LogChoice { category_group: Some(name.into()), enabled, ..LogChoice::default() };
        Setting { logs: vec![choice], ..Setting::default() }
    }

    #[test]
    fn group_sends_its_categories_and_a_disabled_one_nothing() {
        let sent = |setting: Setting| Category::ALL.map(|category| setting.sends(category));
        assert_eq!(sent(of_group("ALLLOGS", true)), [true, true]);
        assert_eq!(sent(of_group("audit", true)), [false, true]);
        assert_eq!(sent(of_group("allLogs", false)), [false, false]);
        let default = Setting::default_to("w");
        assert!(sent(default.clone()) == [true, true] && default.sends_metrics());
    }

    #[test]
    fn kept_document_of_fewer_members_is_read() {
        let read: Setting = serde_json::from_str(r#"{"name":"a","logs":[{"category":"x"}]}"#).unwrap();
        assert_eq!((read.name.as_str(), read.logs[0].enabled), ("a", false));
        let text = serde_json::to_string(&read).unwrap();
        assert_eq!(serde_json::from_str::<Setting>(&text).unwrap(), read);
    }
}
