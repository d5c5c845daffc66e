//! `muster diagnostic-settings`: what of a provisioning service's logs and metrics goes where, with the habits of
//! `az monitor diagnostic-settings`. Owns how a setting is said on a command line; must not know how a call is sent.

use percent_encoding::utf8_percent_encode;
use reqwest::Method;
use serde_json::{Value, json};

use super::api::Failure;
use super::api::control_plane::ControlPlane;
use super::api::service::SEGMENT;
use super::connection::InstanceOptions;
use super::output::{Column, OutputOptions};

const COLUMNS: &[Column] = &[
    ("SETTING", "/name"),
    ("WORKSPACE", "/properties/workspaceId"),
    ("STORAGE", "/properties/storageAccountId"),
    ("EVENT HUB", "/properties/eventHubAuthorizationRuleId"),
    ("PARTNER", "/properties/marketplacePartnerId"),
];
const CATEGORY_COLUMNS: &[Column] =
    &[("CATEGORY", "/name"), ("TYPE", "/properties/categoryType"), ("GROUPS", "/properties/categoryGroups")];
/// Names that stand for several categories.
const GROUPS: [&str; 2] = ["allLogs", "audit"];

/// Diagnostic settings.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Create a setting, or replace the one of that name
    #[command(after_help = "Examples:
  muster diagnostic-settings create --name all --workspace $MUSTER_WORKSPACE_ID --logs allLogs --metrics
  muster diagnostic-settings create --name files --storage-account ID --logs DeviceOperations ServiceOperations")]
    Create(CreateOptions),
    /// Show a setting
    #[command(after_help = "Example:
  muster diagnostic-settings show --name muster-default")]
    Show(ItemOptions),
    /// List the settings of the provisioning service
    #[command(after_help = "Example:
  muster diagnostic-settings list")]
    List(ListOptions),
    /// Delete a setting: nothing more is sent by it
    #[command(after_help = "Example:
  muster diagnostic-settings delete --name files")]
    Delete(ItemOptions),
    /// List what a setting can send
    #[command(after_help = "Example:
  muster diagnostic-settings categories")]
    Categories(ListOptions),
}

#[derive(clap::Args, Clone)]
struct Name {
    /// Name of the setting
    #[arg(long, short = 'n', value_name = "NAME")]
    name: String,
}

/// Where it is sent; at least one.
#[derive(clap::Args, Clone)]
#[group(required = true, multiple = true)]
struct Destinations {
    /// Id of a Log Analytics workspace: the server's own, as a resource id or a GUID
    #[arg(long, value_name = "ID")]
    workspace: Option<String>,
    /// Id of a storage account, as the server's settings name it
    #[arg(long, value_name = "ID")]
    storage_account: Option<String>,
    /// Id of an event hub namespace's authorization rule
    #[arg(long, value_name = "ID")]
    event_hub_rule: Option<String>,
    /// Id of a partner's solution
    #[arg(long, visible_alias = "marketplace-partner-id", value_name = "ID")]
    partner: Option<String>,
}

/// What is sent; at least one.
#[derive(clap::Args, Clone)]
#[group(required = true, multiple = true)]
struct Sent {
    /// Categories of logs, or allLogs, or audit; or Azure's list in JSON
    #[arg(long, value_name = "CATEGORY", num_args = 1..)]
    logs: Vec<String>,
    /// Metrics; or Azure's list in JSON
    #[arg(long, value_name = "CATEGORY", num_args = 0..=1, default_missing_value = "AllMetrics")]
    metrics: Option<String>,
}

#[derive(clap::Args)]
pub struct CreateOptions {
    #[command(flatten)]
    name: Name,
    #[command(flatten)]
    destinations: Destinations,
    /// Name of an event hub of the namespace [default: one for each category]
    #[arg(long, value_name = "NAME", requires = "event_hub_rule")]
    event_hub: Option<String>,
    #[command(flatten)]
    sent: Sent,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    instance: InstanceOptions,
}

#[derive(clap::Args)]
pub struct ItemOptions {
    #[command(flatten)]
    name: Name,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    instance: InstanceOptions,
}

#[derive(clap::Args)]
pub struct ListOptions {
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    instance: InstanceOptions,
}

/// Runs one of the commands.
pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Create(options) => {
            let body = body(&options)?;
            let control = options.instance.open()?;
            options.output.item(call(&control, Method::PUT, &options.name, Some(body)).await?)
        }
        Command::Show(options) => {
            let control = options.instance.open()?;
            options.output.item(call(&control, Method::GET, &options.name, None).await?)
        }
        Command::List(options) => {
            let all = options.instance.open()?.diagnostic_settings("diagnosticSettings").await?;
            options.output.items(COLUMNS, all)
        }
        Command::Delete(options) => {
            let control = options.instance.open()?;
            call(&control, Method::DELETE, &options.name, None).await.map(drop)
        }
        Command::Categories(options) => {
            let all = options.instance.open()?.diagnostic_settings("diagnosticSettingsCategories").await?;
            options.output.items(CATEGORY_COLUMNS, all)
        }
    }
}

async fn call(
    control: &ControlPlane,
    method: Method,
    name: &Name,
    body: Option<Value>,
) -> Result<Value, Failure> {
    let name = utf8_percent_encode(&name.name, SEGMENT).to_string();
    control.diagnostic_setting(method, &name, body).await
}

fn body(options: &CreateOptions) -> Result<Value, Failure> {
    let Destinations { workspace, storage_account, event_hub_rule, partner } = &options.destinations;
    Ok(json!({"properties": {
        "workspaceId": workspace,
        "storageAccountId": storage_account,
        "eventHubAuthorizationRuleId": event_hub_rule,
        "eventHubName": options.event_hub,
        "marketplacePartnerId": partner,
        "logs": logs(&options.sent.logs)?,
        "metrics": metrics(options.sent.metrics.as_deref())?,
    }}))
}

fn logs(named: &[String]) -> Result<Value, Failure> {
    if let [text] = named
        && text.trim_start().starts_with('[')
    {
        return list("--logs", text);
    }
    let choice = |name: &String| {
        let group = GROUPS.iter().find(|group| group.eq_ignore_ascii_case(name));
        match group {
            Some(group) => json!({"categoryGroup": group, "enabled": true}),
            None => json!({"category": name, "enabled": true}),
        }
    };
    Ok(named.iter().map(choice).collect())
}

fn metrics(named: Option<&str>) -> Result<Value, Failure> {
    match named {
        None => Ok(json!([])),
        Some(text) if text.trim_start().starts_with('[') => list("--metrics", text),
        Some(name) => Ok(json!([{"category": name, "enabled": true}])),
    }
}

fn list(option: &str, text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Failure::Usage(format!("{option} is no JSON list: line {line} column {column} does not fit"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{logs, metrics};

    #[test]
    fn categories_groups_and_azures_lists_are_told_apart() {
        let named = |names: &[&str]| {
            logs(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).ok().unwrap()
        };
        assert_eq!(named(&["ALLlogs"]), json!([{"categoryGroup": "allLogs", "enabled": true}]));
        assert_eq!(
            named(&["DeviceOperations", "x"]),
            json!([{"category": "DeviceOperations", "enabled": true}, {"category": "x", "enabled": true}])
        );
        assert_eq!(named(&[r#"[{"category": "a", "enabled": false}]"#])[0]["enabled"], false);
        assert_eq!(metrics(Some("AllMetrics")).ok().unwrap()[0]["category"], "AllMetrics");
        assert_eq!(metrics(None).ok().unwrap(), json!([]));
        let wrong = logs(&["[{".to_owned()]).err().unwrap();
        assert_eq!(wrong.to_string(), "--logs is no JSON list: line 1 column 2 does not fit");
    }
}
