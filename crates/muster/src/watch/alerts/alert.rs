//! `muster alert list|show|acknowledge|close|history`.

use reqwest::Method;
use serde_json::{Value, json};

use crate::fleet::Failure;
use crate::fleet::api::ControlPlane;
use crate::fleet::api::control_plane::Monitored;
use crate::fleet::connection::InstanceOptions;
use crate::fleet::output::{Column, OutputOptions};

const KIND: &str = "Microsoft.AlertsManagement/alerts";
const VERSION: &str = "2019-05-05-preview";
/// Alerts of a page: the most that the API gives.
const PAGE: usize = 250;

const COLUMNS: &[Column] = &[
    ("FIRED", "/properties/essentials/startDateTime"),
    ("SEVERITY", "/properties/essentials/severity"),
    ("CONDITION", "/properties/essentials/monitorCondition"),
    ("STATE", "/properties/essentials/alertState"),
    ("RULE", "/ruleName"),
    ("TARGET", "/properties/essentials/targetResourceName"),
    ("ID", "/name"),
];
const CHANGES: &[Column] = &[
    ("AT", "/modifiedAt"),
    ("EVENT", "/modificationEvent"),
    ("OLD", "/oldValue"),
    ("NEW", "/newValue"),
    ("BY", "/modifiedBy"),
    ("COMMENT", "/comments"),
];

/// Since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Span {
    #[value(name = "1h")]
    Hour,
    #[value(name = "1d")]
    Day,
    #[value(name = "7d")]
    Week,
    #[value(name = "30d")]
    Month,
}

impl Span {
    fn name(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "1d",
            Self::Week => "7d",
            Self::Month => "30d",
        }
    }
}

/// Options of `muster alert list`.
#[derive(clap::Args)]
pub struct ListOptions {
    /// How long ago an alert fired at most
    #[arg(long, value_enum, default_value = "1d")]
    timespan: Span,
    /// Fired or Resolved
    #[arg(long, value_name = "CONDITION")]
    condition: Option<String>,
    /// New, Acknowledged or Closed; one or more
    #[arg(long, value_name = "STATE", num_args = 1..)]
    state: Vec<String>,
    /// 0 (critical) to 4 (verbose); one or more
    #[arg(long, value_name = "N", num_args = 1.., value_parser = clap::value_parser!(u8).range(0..=4))]
    severity: Vec<u8>,
    /// Name of a rule
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// Alerts of every provisioning service of the subscription, not of one alone
    #[arg(long)]
    all: bool,
    /// Most alerts to list
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    top: usize,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    instance: InstanceOptions,
}

/// Options of the commands that look at one alert.
#[derive(clap::Args)]
pub struct ItemOptions {
    /// Id of the alert
    #[arg(value_name = "ID")]
    id: uuid::Uuid,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    instance: InstanceOptions,
}

/// Options of the commands that say something of one alert.
#[derive(clap::Args)]
pub struct SayOptions {
    #[command(flatten)]
    item: ItemOptions,
    /// Why; it is kept in the alert's history
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
}

pub(super) async fn list(options: &ListOptions) -> Result<(), Failure> {
    let control = options.instance.open()?;
    let mut parameters = vec![
        ("timeRange", options.timespan.name().to_owned()),
        ("pageCount", PAGE.min(options.top.max(1)).to_string()),
        ("sortBy", "startDateTime".to_owned()),
    ];
    if !options.all {
        parameters.push(("targetResource", control.service_id()?));
    }
    let severities: Vec<_> = options.severity.iter().map(|severity| format!("Sev{severity}")).collect();
    for (name, value) in [
        ("monitorCondition", options.condition.clone().unwrap_or_default()),
        ("alertState", options.state.join(",")),
        ("severity", severities.join(",")),
        ("alertRule", options.rule.clone().unwrap_or_default()),
    ] {
        if !value.is_empty() {
            parameters.push((name, value));
        }
    }
    let mut found = control.monitor_list(false, KIND, VERSION, &parameters, options.top).await?;
    for alert in &mut found {
        // A table has no room for the whole id.
        let rule = alert["properties"]["essentials"]["alertRule"].as_str().unwrap_or_default();
        alert["ruleName"] = rule.rsplit('/').next().unwrap_or_default().into();
    }
    options.output.items(COLUMNS, found)
}

pub(super) async fn show(options: &ItemOptions) -> Result<(), Failure> {
    let control = options.instance.open()?;
    options.output.item(call(&control, options, Method::GET, "", &[], None).await?)
}

pub(super) async fn history(options: &ItemOptions) -> Result<(), Failure> {
    let control = options.instance.open()?;
    let mut shown = call(&control, options, Method::GET, "/history", &[], None).await?;
    let changes = match shown.pointer_mut("/properties/modifications").map(Value::take) {
        Some(Value::Array(changes)) => changes,
        _ => Vec::new(),
    };
    options.output.items(CHANGES, changes)
}

pub(super) async fn say(options: &SayOptions, state: &str) -> Result<(), Failure> {
    let control = options.item.instance.open()?;
    let body = options.comment.as_ref().map(|comment| json!({ "comments": comment }));
    let parameters = [("newState", state.to_owned())];
    let said = call(&control, &options.item, Method::POST, "/changestate", &parameters, body).await?;
    options.item.output.item(said)
}

async fn call(
    control: &ControlPlane,
    options: &ItemOptions,
    method: Method,
    rest: &str,
    parameters: &[(&str, String)],
    body: Option<Value>,
) -> Result<Value, Failure> {
    let path = format!("{}{rest}", control.alert_id(&options.id.to_string())?);
    control.monitor(method, Monitored { path: &path, version: VERSION, parameters }, body).await
}
