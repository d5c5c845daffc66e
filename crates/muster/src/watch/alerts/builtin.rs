//! `muster alert builtin`: switches the rules of `template` on and off.

use reqwest::Method;
use serde_json::{Value, json};

use super::template::{TEMPLATES, Template};
use super::{METRIC_ALERT, group_ids};
use crate::fleet::Failure;
use crate::fleet::connection::InstanceOptions;
use crate::fleet::output::{Column, OutputOptions};

const COLUMNS: &[Column] = &[
    ("NAME", "/name"),
    ("ENABLED", "/enabled"),
    ("SEVERITY", "/severity"),
    ("THRESHOLD", "/threshold"),
    ("FIRES WHEN", "/description"),
];

/// Rules that are built in.
#[derive(clap::Subcommand)]
pub enum Command {
    /// List the built-in rules, and whether they are on
    #[command(after_help = "Example:
  muster alert builtin list")]
    List(ListOptions),
    /// Switch a built-in rule on: it becomes a metric alert rule like any other
    #[command(after_help = "Examples:
  muster alert builtin enable failed-assignments --group ops
  muster alert builtin enable attestation-failures --threshold 100 --group ops")]
    Enable(EnableOptions),
    /// Switch a built-in rule off
    #[command(after_help = "Example:
  muster alert builtin disable failed-assignments")]
    Disable(ItemOptions),
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
    /// Name of the built-in rule
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    instance: InstanceOptions,
}

#[derive(clap::Args)]
pub struct EnableOptions {
    #[command(flatten)]
    item: ItemOptions,
    /// Action groups that it tells: names, or ARM ids; one or more
    #[arg(long, value_name = "NAME", num_args = 1..)]
    group: Vec<String>,
    /// Another threshold than the rule's own
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    threshold: Option<f64>,
}

/// Runs one of the commands.
pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::List(options) => list(&options).await,
        Command::Enable(options) => {
            let item = &options.item;
            let template = named(&item.name)?;
            let control = item.instance.open()?;
            let groups = group_ids(&control, &options.group)?;
            let body = template.body(&control.service_id()?, options.threshold, &groups);
            let made = METRIC_ALERT.call(&control, Method::PUT, &template.rule(), Some(body)).await?;
            item.output.item(made)
        }
        Command::Disable(options) => {
            let template = named(&options.name)?;
            let control = options.instance.open()?;
            let body = json!({ "properties": { "enabled": false } });
            if METRIC_ALERT.find(&control, &template.rule()).await?.is_none() {
                return Err(Failure::Missing(format!("the rule {} was never enabled", template.name)));
            }
            let off = METRIC_ALERT.call(&control, Method::PATCH, &template.rule(), Some(body)).await?;
            options.output.item(off)
        }
    }
}

fn named(name: &str) -> Result<&'static Template, Failure> {
    Template::find(name).ok_or_else(|| {
        let known: Vec<_> = TEMPLATES.iter().map(|template| template.name).collect();
        Failure::Usage(format!("there is no built-in rule {name}; there are {}", known.join(", ")))
    })
}

async fn list(options: &ListOptions) -> Result<(), Failure> {
    let control = options.instance.open()?;
    let rules = METRIC_ALERT.list(&control).await?;
    let service = control.service_id()?;
    let shown = |template: &Template| {
        let rule = rules.iter().find(|rule| rule["name"] == template.rule() && watches(rule, &service));
        let own = json!(template.threshold);
        let threshold = rule.and_then(|rule| rule.pointer("/properties/criteria/allOf/0/threshold"));
        json!({
            "name": template.name,
            "enabled": rule.is_some_and(|rule| rule["properties"]["enabled"] == true),
            "severity": template.severity,
            "threshold": threshold.unwrap_or(&own),
            "description": template.description,
        })
    };
    options.output.items(COLUMNS, TEMPLATES.iter().map(shown).collect())
}

fn watches(rule: &Value, service: &str) -> bool {
    let scopes = rule["properties"]["scopes"].as_array().into_iter().flatten();
    scopes.filter_map(Value::as_str).any(|scope| scope.eq_ignore_ascii_case(service))
}
