//! `muster instance`: provisioning services themselves. Must not know how a call is sent.

use serde_json::{Map, Value, json};

use super::api::Failure;
use super::api::control_plane::{API_VERSION, LOCAL_AUTH_API_VERSION};
use super::connection::ControlOptions;
use super::output::{Column, OutputOptions};
use super::value;

const COLUMNS: &[Column] = &[
    ("NAME", "/name"),
    ("RESOURCE GROUP", "/resourcegroup"),
    ("LOCATION", "/location"),
    ("STATE", "/properties/state"),
    ("ID SCOPE", "/properties/idScope"),
    ("SERVICE HOST", "/properties/serviceOperationsHostName"),
];

/// Provisioning services.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Create a provisioning service
    #[command(after_help = "Example:
  muster instance create --name plant-7 --location local --tags site=plant-7")]
    Create(CreateOptions),
    /// Change a provisioning service; what is not said stays
    #[command(after_help = "Examples:
  muster instance update --allocation-policy GeoLatency
  muster instance update --name plant-7 --public-network-access Disabled
  muster instance update --ip-filter-rules @rules.json")]
    Update(UpdateOptions),
    /// Show a provisioning service: its ID scope, host names, hubs
    #[command(after_help = "Example:
  muster instance show --name plant-7")]
    Show(ItemOptions),
    /// List provisioning services of the subscription, or of --resource-group
    #[command(after_help = "Example:
  muster instance list --resource-group muster")]
    List(ListOptions),
    /// Delete a provisioning service with everything in it
    #[command(after_help = "Example:
  muster instance delete --name plant-7")]
    Delete(DeleteOptions),
}

/// How devices' hubs are chosen where an enrollment does not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Allocation {
    #[value(name = "Hashed")]
    Hashed,
    #[value(name = "GeoLatency")]
    GeoLatency,
    #[value(name = "Static")]
    Static,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Access {
    #[value(name = "Enabled")]
    Enabled,
    #[value(name = "Disabled")]
    Disabled,
}

/// What can be said of a service at any time.
#[derive(clap::Args, Clone, Default)]
struct SettingsOptions {
    /// How a hub is chosen where an enrollment does not say it
    #[arg(long, visible_alias = "ap", value_name = "POLICY", ignore_case = true)]
    allocation_policy: Option<Allocation>,
    /// Tags, each NAME=VALUE; an update replaces all
    #[arg(long, value_name = "NAME=VALUE", num_args = 0.., value_parser = tag)]
    tags: Option<Vec<(String, String)>>,
    /// May the service be reached from everywhere?
    #[arg(long, value_name = "ACCESS", ignore_case = true)]
    public_network_access: Option<Access>,
    /// Addresses that are let in or kept out, in order, as a JSON list of filterName, action, ipMask and target, or @FILE
    #[arg(long, value_name = "JSON")]
    ip_filter_rules: Option<String>,
    /// Refuse SAS tokens: bearer tokens alone open the service API
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    disable_local_auth: Option<bool>,
}

impl SettingsOptions {
    /// Puts what was said into the service, and leaves the rest.
    fn apply(&self, service: &mut Value) -> Result<(), Failure> {
        if let Some(tags) = &self.tags {
            service["tags"] = tag_object(tags);
        }
        let word =
            |value: Option<clap::builder::PossibleValue>| value.map(|value| value.get_name().to_owned());
        for (name, word) in [
            (
                "allocationPolicy",
                self.allocation_policy.and_then(|it| word(clap::ValueEnum::to_possible_value(&it))),
            ),
            (
                "publicNetworkAccess",
                self.public_network_access.and_then(|it| word(clap::ValueEnum::to_possible_value(&it))),
            ),
        ] {
            if let Some(word) = word {
                service["properties"][name] = word.into();
            }
        }
        if let Some(text) = &self.ip_filter_rules {
            let text = value::value_or_file(text)?;
            let rules: Value = serde_json::from_str(&text)
                .map_err(|error| Failure::Usage(format!("--ip-filter-rules is no JSON: {error}")))?;
            service["properties"]["ipFilterRules"] = rules;
        }
        if let Some(disable) = self.disable_local_auth {
            service["properties"]["disableLocalAuth"] = disable.into();
        }
        Ok(())
    }

    /// The version that knows all that is said.
    fn version(&self) -> &'static str {
        if self.disable_local_auth.is_some() { LOCAL_AUTH_API_VERSION } else { API_VERSION }
    }

    fn only_tags(&self) -> Option<&[(String, String)]> {
        let tags = self.tags.as_deref()?;
        let others = self.allocation_policy.is_some()
            || self.public_network_access.is_some()
            || self.ip_filter_rules.is_some()
            || self.disable_local_auth.is_some();
        (!others).then_some(tags)
    }
}

#[derive(clap::Args)]
pub struct CreateOptions {
    /// Name of the provisioning service
    #[arg(long, short, value_name = "NAME")]
    name: String,
    /// Location
    #[arg(long, short, value_name = "NAME")]
    location: String,
    /// Pricing tier
    #[arg(long, value_name = "SKU", default_value = "S1")]
    sku: String,
    /// Units
    #[arg(long, value_name = "N", default_value_t = 1)]
    unit: u32,
    #[command(flatten)]
    settings: SettingsOptions,
    /// Do not wait until it is active
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    control: ControlOptions,
}

#[derive(clap::Args)]
pub struct UpdateOptions {
    /// Name of the provisioning service [default: from the resource id]
    #[arg(long, short, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    settings: SettingsOptions,
    /// Do not wait until it is active
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    control: ControlOptions,
}

#[derive(clap::Args)]
pub struct ItemOptions {
    /// Name of the provisioning service [default: from the resource id]
    #[arg(long, short, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    control: ControlOptions,
}

#[derive(clap::Args)]
pub struct DeleteOptions {
    /// Name of the provisioning service
    #[arg(long, short, value_name = "NAME")]
    name: String,
    /// Do not wait until it is gone
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    control: ControlOptions,
}

#[derive(clap::Args)]
pub struct ListOptions {
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    control: ControlOptions,
}

/// Runs one of the commands.
pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Create(options) => create(&options).await,
        Command::Update(options) => update(&options).await,
        Command::Show(options) => {
            options.output.item(options.control.open(options.name.as_deref())?.service().await?)
        }
        Command::List(options) => {
            let of_group = options.control.resource_group.is_some();
            options.output.items(COLUMNS, options.control.open(None)?.services(of_group).await?)
        }
        Command::Delete(options) => {
            options.control.open(Some(&options.name))?.delete_service(!options.no_wait).await
        }
    }
}

async fn create(options: &CreateOptions) -> Result<(), Failure> {
    let control = options.control.open(Some(&options.name))?;
    match control.service().await {
        Ok(_) => {
            let text = format!("the provisioning service {} exists already", control.name());
            return Err(Failure::Exists(format!("{text}; `muster instance update` changes it")));
        }
        Err(failure) if failure.exit_status() != 3 => return Err(failure),
        Err(_) => {}
    }
    let mut service = json!({
        "location": options.location,
        "properties": {},
        "sku": { "name": options.sku, "capacity": options.unit },
    });
    options.settings.apply(&mut service)?;
    options.output.item(control.put_service(service, options.settings.version(), !options.no_wait).await?)
}

async fn update(options: &UpdateOptions) -> Result<(), Failure> {
    let control = options.control.open(options.name.as_deref())?;
    if let Some(tags) = options.settings.only_tags() {
        return options.output.item(control.tag_service(tag_object(tags)).await?);
    }
    let mut service = control.service().await?;
    options.settings.apply(&mut service)?;
    options.output.item(control.put_service(service, options.settings.version(), !options.no_wait).await?)
}

fn tag(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn tag_object(tags: &[(String, String)]) -> Value {
    let pairs = tags.iter().map(|(name, value)| (name.clone(), Value::String(value.clone())));
    Value::Object(pairs.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_change_what_is_said_alone() {
        let options = SettingsOptions {
            allocation_policy: Some(Allocation::GeoLatency),
            ip_filter_rules: Some(r#"[{"filterName":"a"}]"#.into()),
            tags: Some(vec![tag("site=plant=7").unwrap()]),
            ..SettingsOptions::default()
        };
        let mut service = json!({"etag": "e", "properties": {"iotHubs": [], "allocationPolicy": "Hashed"}});
        options.apply(&mut service).ok().unwrap();
        let wanted = json!({
            "etag": "e",
            "tags": {"site": "plant=7"},
            "properties": {"iotHubs": [], "allocationPolicy": "GeoLatency", "ipFilterRules": [{"filterName": "a"}]},
        });
        assert_eq!(service, wanted);
        assert!(options.only_tags().is_none());
        assert!(
            SettingsOptions { tags: Some(Vec::new()), ..SettingsOptions::default() }.only_tags().is_some()
        );
        assert!(tag("site").is_err());
    }

    #[test]
    fn newer_api_version_is_used_for_its_member_alone() {
        assert_eq!(SettingsOptions::default().version(), API_VERSION);
        let options = SettingsOptions { disable_local_auth: Some(true), ..SettingsOptions::default() };
        assert_eq!(options.version(), "2026-08-31");
    }
}
