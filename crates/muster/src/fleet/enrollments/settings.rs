//! Options that individual enrollments and groups share, and what they change in an enrollment's JSON. Must not know how
//! a device proves who it is.

use serde_json::{Map, Value, json};

use crate::fleet::api::Failure;
use crate::fleet::value;

/// Webhook requests have this shape when nobody asks for another.
const WEBHOOK_API_VERSION: &str = "2021-10-01";

/// May devices provision?
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Status {
    Enabled,
    Disabled,
}

/// What happens to a device that registers again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Reprovision {
    /// Choose the hub again, and take the twin along
    #[value(name = "reprovisionandmigratedata", alias = "reprovisionAndMigrateData")]
    Migrate,
    /// Choose the hub again, and begin with the initial twin
    #[value(name = "reprovisionandresetdata", alias = "reprovisionAndResetData")]
    Reset,
    /// Stay
    #[value(name = "never")]
    Never,
}

/// How a hub is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Allocation {
    /// Evenly, by weight
    #[value(name = "hashed")]
    Hashed,
    /// The nearest hub
    #[value(name = "geolatency", alias = "geoLatency")]
    GeoLatency,
    /// One hub
    #[value(name = "static")]
    Static,
    /// A webhook decides
    #[value(name = "custom")]
    Custom,
}

impl Allocation {
    fn word(self) -> &'static str {
        match self {
            Self::Hashed => "hashed",
            Self::GeoLatency => "geoLatency",
            Self::Static => "static",
            Self::Custom => "custom",
        }
    }
}

/// What individual enrollments and groups share.
#[derive(clap::Args, Clone, Default)]
#[command(next_help_heading = "Settings")]
pub struct SettingsOptions {
    /// May devices provision?
    #[arg(long, visible_alias = "ps", value_name = "STATUS", ignore_case = true)]
    pub provisioning_status: Option<Status>,
    /// What happens to a device that registers again
    #[arg(long, visible_alias = "rp", value_name = "POLICY", ignore_case = true)]
    pub reprovision_policy: Option<Reprovision>,
    /// How a hub is chosen
    #[arg(long, visible_alias = "ap", value_name = "POLICY", ignore_case = true)]
    pub allocation_policy: Option<Allocation>,
    /// Host names of the hubs to choose among, separated by spaces or commas; an empty text means all linked ones
    #[arg(long, visible_alias = "ih", value_name = "HOST", num_args = 1..)]
    pub iot_hubs: Option<Vec<String>>,
    /// Host name of the one hub, in the older spelling of static allocation
    #[arg(long, visible_alias = "hn", value_name = "HOST", conflicts_with_all = ["allocation_policy", "iot_hubs"])]
    pub iot_hub_host_name: Option<String>,
    /// URL that custom allocation asks, or @FILE that holds it
    #[arg(long, visible_alias = "wh", value_name = "URL")]
    pub webhook_url: Option<String>,
    /// Version of the requests to that URL [default: 2021-10-01]
    #[arg(long, visible_alias = "av", value_name = "VERSION")]
    pub api_version: Option<String>,
    /// Tags that a device's twin begins with, as JSON or @FILE
    #[arg(long, visible_alias = "tags", value_name = "JSON")]
    pub initial_twin_tags: Option<String>,
    /// Desired properties that a device's twin begins with, as JSON or @FILE
    #[arg(long, visible_alias = "props", value_name = "JSON")]
    pub initial_twin_properties: Option<String>,
    /// Are devices IoT Edge devices?
    #[arg(long, visible_alias = "ee", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub edge_enabled: Option<bool>,
}

impl SettingsOptions {
    /// Puts what was said into the enrollment, and leaves the rest.
    pub fn apply(&self, item: &mut Map<String, Value>) -> Result<(), Failure> {
        if let Some(status) = self.provisioning_status {
            let word = if status == Status::Enabled { "enabled" } else { "disabled" };
            item.insert("provisioningStatus".into(), word.into());
        }
        if let Some(policy) = self.reprovision_policy {
            let policy = json!({
                "updateHubAssignment": policy != Reprovision::Never,
                "migrateDeviceData": policy == Reprovision::Migrate,
            });
            item.insert("reprovisionPolicy".into(), policy);
        }
        if let Some(edge) = self.edge_enabled {
            item.insert("capabilities".into(), json!({ "iotEdge": edge }));
        }
        self.apply_hubs(item);
        self.apply_webhook(item)?;
        self.apply_twin(item)
    }

    fn apply_hubs(&self, item: &mut Map<String, Value>) {
        if let Some(hub) = &self.iot_hub_host_name {
            item.insert("iotHubHostName".into(), hub.as_str().into());
            item.remove("allocationPolicy");
            item.remove("iotHubs");
        }
        if let Some(policy) = self.allocation_policy {
            item.insert("allocationPolicy".into(), policy.word().into());
            item.remove("iotHubHostName");
            if policy != Allocation::Custom {
                item.remove("customAllocationDefinition");
            }
        }
        if let Some(texts) = &self.iot_hubs {
            let names = texts.iter().flat_map(|text| text.split([' ', ',']));
            let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
            item.insert("iotHubs".into(), json!(names));
            item.remove("iotHubHostName");
        }
    }

    fn apply_webhook(&self, item: &mut Map<String, Value>) -> Result<(), Failure> {
        let asked = self.webhook_url.is_some() || self.api_version.is_some();
        if asked && item.get("allocationPolicy") != Some(&json!("custom")) {
            return Err(Failure::Usage(
                "a webhook is asked by --allocation-policy custom alone: say it too".into(),
            ));
        }
        if !asked {
            return Ok(());
        }
        let current = item.get("customAllocationDefinition");
        let had = |name: &str| current.and_then(|it| it[name].as_str()).map(ToOwned::to_owned);
        let url = match &self.webhook_url {
            Some(text) => Some(value::secret(text)?),
            None => had("webhookUrl"),
        };
        let url = url.ok_or_else(|| Failure::Usage("custom allocation needs --webhook-url".to_owned()))?;
        let version = self.api_version.clone().or_else(|| had("apiVersion"));
        let version = version.unwrap_or_else(|| WEBHOOK_API_VERSION.to_owned());
        let definition = json!({ "webhookUrl": url, "apiVersion": version });
        item.insert("customAllocationDefinition".into(), definition);
        Ok(())
    }

    fn apply_twin(&self, item: &mut Map<String, Value>) -> Result<(), Failure> {
        if self.initial_twin_tags.is_none() && self.initial_twin_properties.is_none() {
            return Ok(());
        }
        let twin = item.entry("initialTwin").or_insert_with(|| json!({}));
        if let Some(text) = &self.initial_twin_tags {
            twin["tags"] = value::object(text, "--initial-twin-tags")?;
        }
        if let Some(text) = &self.initial_twin_properties {
            twin["properties"] = json!({ "desired": value::object(text, "--initial-twin-properties")? });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(mut item: Value, options: &SettingsOptions) -> Result<Value, String> {
        let members = item.as_object_mut().unwrap();
        options.apply(members).map_err(|failure| failure.to_string())?;
        Ok(item)
    }

    #[test]
    fn settings_that_are_not_said_stay_as_they_are() {
        let item =
            json!({"provisioningStatus": "disabled", "iotHubs": ["a"], "initialTwin": {"tags": {"x": 1}}});
        assert_eq!(applied(item.clone(), &SettingsOptions::default()).unwrap(), item);
    }

    #[test]
    fn reprovision_policies_are_two_members() {
        for (policy, update, migrate) in [
            (Reprovision::Migrate, true, true),
            (Reprovision::Reset, true, false),
            (Reprovision::Never, false, false),
        ] {
            let options = SettingsOptions { reprovision_policy: Some(policy), ..SettingsOptions::default() };
            let wanted = json!({"updateHubAssignment": update, "migrateDeviceData": migrate});
            assert_eq!(applied(json!({}), &options).unwrap()["reprovisionPolicy"], wanted);
        }
    }

    #[test]
    fn policy_replaces_the_older_spelling_and_the_other_way_round() {
        let options = SettingsOptions {
            allocation_policy: Some(Allocation::GeoLatency),
            iot_hubs: Some(vec!["a b".into(), "c,d".into()]),
            ..SettingsOptions::default()
        };
        let item = json!({"iotHubHostName": "x", "customAllocationDefinition": {"webhookUrl": "u"}});
        let wanted = json!({"allocationPolicy": "geoLatency", "iotHubs": ["a", "b", "c", "d"]});
        assert_eq!(applied(item, &options).unwrap(), wanted);
        let options = SettingsOptions { iot_hub_host_name: Some("x".into()), ..SettingsOptions::default() };
        assert_eq!(applied(wanted, &options).unwrap(), json!({"iotHubHostName": "x"}));
    }

    #[test]
    fn webhook_belongs_to_custom_allocation_and_keeps_what_is_not_said() {
        let webhook = SettingsOptions { webhook_url: Some("https://f".into()), ..SettingsOptions::default() };
        assert!(applied(json!({}), &webhook).unwrap_err().contains("--allocation-policy custom"));
        let custom = SettingsOptions { allocation_policy: Some(Allocation::Custom), ..webhook };
        let made = applied(json!({}), &custom).unwrap();
        assert_eq!(
            made["customAllocationDefinition"],
            json!({"webhookUrl": "https://f", "apiVersion": "2021-10-01"})
        );
        let newer = SettingsOptions { api_version: Some("2019-03-31".into()), ..SettingsOptions::default() };
        let changed = applied(made, &newer).unwrap();
        assert_eq!(
            changed["customAllocationDefinition"],
            json!({"webhookUrl": "https://f", "apiVersion": "2019-03-31"})
        );
        let nothing = SettingsOptions { api_version: Some("x".into()), ..SettingsOptions::default() };
        assert!(
            applied(json!({"allocationPolicy": "custom"}), &nothing).unwrap_err().contains("--webhook-url")
        );
    }

    #[test]
    fn twin_keeps_the_part_that_is_not_said() {
        let options = SettingsOptions {
            initial_twin_properties: Some(r#"{"target":21}"#.into()),
            ..SettingsOptions::default()
        };
        let twin = applied(json!({"initialTwin": {"tags": {"site": "a"}}}), &options).unwrap();
        let wanted = json!({"tags": {"site": "a"}, "properties": {"desired": {"target": 21}}});
        assert_eq!(twin["initialTwin"], wanted);
    }
}
