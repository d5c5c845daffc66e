//! `muster alert group`: action groups, which alerts tell.

use reqwest::Method;
use serde_json::{Value, json};

use super::{ACTION_GROUP, Resource};
use crate::fleet::Failure;
use crate::fleet::api::control_plane::Monitored;
use crate::fleet::connection::InstanceOptions;
use crate::fleet::output::{Column, OutputOptions};
use crate::fleet::value;

const COLUMNS: &[Column] = &[
    ("GROUP", "/name"),
    ("SHORT NAME", "/properties/groupShortName"),
    ("ENABLED", "/properties/enabled"),
    ("WEBHOOKS", "/webhooks"),
];
const OUTCOMES: &[Column] =
    &[("RECEIVER", "/Name"), ("KIND", "/MechanismType"), ("STATUS", "/Status"), ("DETAIL", "/Detail")];
/// Characters of a short name.
const SHORT_NAME: usize = 12;

/// Action groups.
#[derive(clap::Subcommand)]
pub enum Command {
    /// List the action groups of the resource group
    #[command(after_help = "Example:
  muster alert group list")]
    List(ListOptions),
    /// Show an action group
    #[command(after_help = "Example:
  muster alert group show --name ops --show-keys")]
    Show(ItemOptions),
    /// Create an action group
    #[command(after_help = "Examples:
  muster alert group create --name ops --webhook pager=@pager-url.txt
  muster alert group create --name ops --webhook am=https://am.example/api/v2/x --form alertmanager")]
    Create(CreateOptions),
    /// Delete an action group; its rules tell it nothing more
    #[command(after_help = "Example:
  muster alert group delete --name ops")]
    Delete(ItemOptions),
    /// Send a sample notification to each of its webhooks, and show what became of it
    #[command(after_help = "Example:
  muster alert group test --name ops")]
    Test(ItemOptions),
}

/// What webhooks are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// Azure's common alert schema
    Common,
    /// Azure's older form, one for each kind of rule
    Legacy,
    /// Prometheus Alertmanager's webhook, version 4
    Alertmanager,
}

#[derive(clap::Args)]
pub struct ListOptions {
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    instance: InstanceOptions,
}

#[derive(clap::Args)]
pub struct ItemOptions {
    /// Name of the action group
    #[arg(long, short, value_name = "NAME")]
    name: String,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    instance: InstanceOptions,
}

#[derive(clap::Args)]
pub struct CreateOptions {
    #[command(flatten)]
    item: ItemOptions,
    /// Short name, of at most 12 characters [default: the beginning of the name]
    #[arg(long, value_name = "NAME")]
    short_name: Option<String>,
    /// A webhook: its name and its URL, or @FILE that holds the URL. One on the command line can be read by every other
    /// user of this machine; one or more
    #[arg(long, value_name = "NAME=URL", num_args = 1.., required = true)]
    webhook: Vec<String>,
    /// What the webhooks are sent
    #[arg(long, value_enum, default_value = "common")]
    form: Form,
}

/// Runs one of the commands.
pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::List(options) => list(&options).await,
        Command::Show(options) => {
            let control = options.instance.open()?;
            options.output.item(ACTION_GROUP.call(&control, Method::GET, &options.name, None).await?)
        }
        Command::Create(options) => create(&options).await,
        Command::Delete(options) => {
            let control = options.instance.open()?;
            ACTION_GROUP.call(&control, Method::DELETE, &options.name, None).await.map(drop)
        }
        Command::Test(options) => test(&options).await,
    }
}

async fn list(options: &ListOptions) -> Result<(), Failure> {
    let mut groups = ACTION_GROUP.list(&options.instance.open()?).await?;
    for group in &mut groups {
        let hooks = group["properties"]["webhookReceivers"].as_array().into_iter().flatten();
        let names: Vec<_> = hooks.map(|hook| hook["name"].clone()).collect();
        group["webhooks"] = names.into();
    }
    options.output.items(COLUMNS, groups)
}

async fn create(options: &CreateOptions) -> Result<(), Failure> {
    let item = &options.item;
    let hooks =
        options.webhook.iter().map(|text| webhook(text, options.form)).collect::<Result<Vec<_>, _>>()?;
    let short: String = options.short_name.as_ref().unwrap_or(&item.name).chars().collect();
    let short: String =
        if options.short_name.is_some() { short } else { short.chars().take(SHORT_NAME).collect() };
    let body = json!({
        "location": "Global",
        "properties": { "groupShortName": short, "enabled": true, "webhookReceivers": hooks },
    });
    let control = item.instance.open()?;
    item.output.item(ACTION_GROUP.create(&control, &item.name, body).await?)
}

fn webhook(text: &str, form: Form) -> Result<Value, Failure> {
    let wrong = || Failure::Usage("write a webhook as NAME=URL or NAME=@FILE".to_owned());
    let (name, url) = text.split_once('=').ok_or_else(wrong)?;
    if name.is_empty() || url.is_empty() {
        return Err(wrong());
    }
    let mut url = value::value_or_file(url)?.trim().to_owned();
    if form == Form::Alertmanager && !url.contains('#') {
        url.push_str("#alertmanager");
    }
    Ok(json!({ "name": name, "serviceUri": url, "useCommonAlertSchema": form == Form::Common }))
}

async fn test(options: &ItemOptions) -> Result<(), Failure> {
    let control = options.instance.open()?;
    let group = ACTION_GROUP.call(&control, Method::GET, &options.name, None).await?;
    let body = json!({
        "alertType": "metricstaticthreshold",
        "webhookReceivers": group["properties"]["webhookReceivers"],
    });
    let Resource { kind, version, .. } = ACTION_GROUP;
    let path = format!("{}/createNotifications", control.monitor_id(kind, &options.name)?);
    let call = Monitored { path: &path, version, parameters: &[] };
    let mut told = control.monitor_to_its_end(call, body).await?;
    let outcomes = match told.get_mut("actionDetails").map(Value::take) {
        Some(Value::Array(outcomes)) => outcomes,
        _ => Vec::new(),
    };
    let failed = outcomes.iter().filter(|outcome| outcome["Status"] != "Completed").count();
    options.output.items(OUTCOMES, outcomes)?;
    if failed == 0 { Ok(()) } else { Err(Failure::Incomplete(format!("{failed} of them were not told"))) }
}
