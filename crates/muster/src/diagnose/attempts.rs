//! `muster attempts`: the attempt log, newest first, or as it grows. Owns what is asked again and again; must not know
//! where lines are kept.

use std::io::IsTerminal as _;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::fleet::Failure;
use crate::fleet::api::ControlPlane;
use crate::fleet::connection::InstanceOptions;
use crate::fleet::output::{Column, Form, OutputOptions, line, plain};
use crate::watch::duration::length;

const COLUMNS: &[Column] = &[
    ("TIME", "/time"),
    ("DEVICE", "/registrationId"),
    ("OPERATION", "/operation"),
    ("PROTOCOL", "/protocol"),
    ("RESULT", "/result"),
    ("CODE", "/error/code"),
    ("CAUSE", "/causes/0/code"),
    ("TRACKING ID", "/trackingId"),
];

/// Options of `muster attempts`.
#[derive(clap::Args)]
pub struct AttemptsOptions {
    /// Of this device
    #[arg(long, value_name = "ID")]
    registration_id: Option<String>,
    /// Of this operation
    #[arg(long, value_name = "ID")]
    operation_id: Option<String>,
    /// What did not go well with devices
    #[arg(long)]
    refused: bool,
    /// What began at this time or later, e.g. 2026-11-29T08:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// What began before this time
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    top: u16,
    /// Show what is there, then what comes, until Ctrl-C
    #[arg(long, conflicts_with = "to")]
    follow: bool,
    /// Pause between two looks
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = length, requires = "follow")]
    interval: Duration,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    instance: InstanceOptions,
}

impl AttemptsOptions {
    /// Does it end by Ctrl-C alone?
    pub fn is_endless(&self) -> bool {
        self.follow
    }
}

/// Asks and shows.
pub async fn run(options: AttemptsOptions) -> Result<(), Failure> {
    let control = options.instance.open()?;
    if options.follow {
        return follow(&control, &options).await;
    }
    let mut told = ask(&control, &options, None, options.top).await?;
    let items = told["value"].as_array_mut().map(std::mem::take).unwrap_or_default();
    options.output.items(COLUMNS, items)
}

async fn ask(
    control: &ControlPlane,
    options: &AttemptsOptions,
    after: Option<&str>,
    top: u16,
) -> Result<Value, Failure> {
    let said = [
        ("registrationId", options.registration_id.clone()),
        ("operationId", options.operation_id.clone()),
        ("refused", options.refused.then(|| "true".to_owned())),
        ("from", options.from.clone()),
        ("to", options.to.clone()),
        ("after", after.map(str::to_owned)),
        ("$top", Some(top.to_string())),
    ];
    let parameters: Vec<(&str, String)> =
        said.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    control.diagnosis(Method::GET, "attempts", &parameters, None).await
}

/// What is there, oldest first, then what comes. More than a page between two looks is said, not shown.
async fn follow(control: &ControlPlane, options: &AttemptsOptions) -> Result<(), Failure> {
    let form = options.output.output.unwrap_or_else(usual);
    let mut position: Option<String> = None;
    let mut top = options.top;
    loop {
        let mut told = ask(control, options, position.as_deref(), top).await?;
        let items = told["value"].as_array_mut().map(std::mem::take).unwrap_or_default();
        for item in items.iter().rev() {
            line(&match form {
                Form::Table => row(item),
                Form::Json | Form::Jsonl => item.to_string(),
            })?;
        }
        if position.is_some() && told["nextLink"].is_string() {
            eprintln!("muster: more came than is shown; --interval or --refused help");
        }
        if let Some(newest) = told["position"].as_str() {
            position = Some(newest.to_owned());
        }
        // From now on all that comes is wanted.
        top = 1_000;
        tokio::time::sleep(options.interval.max(Duration::from_millis(100))).await;
    }
}

fn usual() -> Form {
    if std::io::stdout().is_terminal() { Form::Table } else { Form::Jsonl }
}

/// A line for a person.
fn row(item: &Value) -> String {
    let word = |name: &str| plain(item[name].as_str().unwrap_or_default());
    let mut text = format!(
        "{}  {:<8}  {:<6}  {}  {}",
        word("time"),
        word("result"),
        word("protocol"),
        word("operation"),
        word("registrationId")
    );
    if let Some(code) = item["error"]["code"].as_u64() {
        let message = plain(item["error"]["message"].as_str().unwrap_or_default());
        text = format!("{text}  {code} {message}");
    }
    if let Some(cause) = item["causes"][0]["code"].as_str() {
        text = format!("{text}  {}", plain(cause));
    }
    text
}
