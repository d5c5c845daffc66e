//! `muster alert`: alerts, the rules that fire them, the action groups that are told, and rules that are built in. Owns
//! options and what is printed, in the words of Azure Monitor's APIs; must not know how a call is sent, nor the server.

mod alert;
mod builtin;
mod group;
mod rule;
mod template;

use reqwest::Method;
use serde_json::Value;

use crate::fleet::Failure;
use crate::fleet::api::ControlPlane;
use crate::fleet::api::control_plane::Monitored;

/// Alerts and what belongs to them.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Alert rules: list, show, create metric, create log, enable, disable, delete
    #[command(subcommand)]
    Rule(Box<rule::Command>),
    /// Action groups, which alerts tell: list, show, create, delete, test
    #[command(subcommand)]
    Group(Box<group::Command>),
    /// Rules that are built in: list, enable, disable
    #[command(subcommand)]
    Builtin(Box<builtin::Command>),
    /// List alerts, the newest first
    #[command(after_help = "Examples:
  muster alert list
  muster alert list --timespan 30d --condition Resolved --severity 0 1 --output jsonl")]
    List(Box<alert::ListOptions>),
    /// Show an alert
    #[command(after_help = "Example:
  muster alert show 11111111-1111-1111-1111-111111111111")]
    Show(Box<alert::ItemOptions>),
    /// Say that an alert is being looked at
    #[command(after_help = "Example:
  muster alert acknowledge 11111111-1111-1111-1111-111111111111 --comment 'on it'")]
    Acknowledge(Box<alert::SayOptions>),
    /// Say that an alert is dealt with
    #[command(after_help = "Example:
  muster alert close 11111111-1111-1111-1111-111111111111 --comment 'key renewed'")]
    Close(Box<alert::SayOptions>),
    /// Show what happened to an alert, the newest first
    #[command(after_help = "Example:
  muster alert history 11111111-1111-1111-1111-111111111111")]
    History(Box<alert::ItemOptions>),
}

/// Runs one of the commands.
pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Rule(command) => rule::run(*command).await,
        Command::Group(command) => group::run(*command).await,
        Command::Builtin(command) => builtin::run(*command).await,
        Command::List(options) => alert::list(&options).await,
        Command::Show(options) => alert::show(&options).await,
        Command::Acknowledge(options) => alert::say(&options, "Acknowledged").await,
        Command::Close(options) => alert::say(&options, "Closed").await,
        Command::History(options) => alert::history(&options).await,
    }
}

/// A type of resource, and the version of its API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Resource {
    kind: &'static str,
    version: &'static str,
    /// For people.
    words: &'static str,
}

const METRIC_ALERT: Resource =
    Resource { kind: "Microsoft.Insights/metricAlerts", version: "2018-03-01", words: "metric" };
const QUERY_RULE: Resource =
    Resource { kind: "Microsoft.Insights/scheduledQueryRules", version: "2023-12-01", words: "log" };
const ACTION_GROUP: Resource =
    Resource { kind: "Microsoft.Insights/actionGroups", version: "2023-01-01", words: "group" };

/// Most of what a list is followed for.
const MOST: usize = 10_000;

impl Resource {
    async fn list(self, control: &ControlPlane) -> Result<Vec<Value>, Failure> {
        control.monitor_list(true, self.kind, self.version, &[], MOST).await
    }

    /// One call on the one of that name.
    async fn call(
        self,
        control: &ControlPlane,
        method: Method,
        name: &str,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let path = control.monitor_id(self.kind, name)?;
        control.monitor(method, Monitored { path: &path, version: self.version, parameters: &[] }, body).await
    }

    /// The one of that name, where there is one.
    async fn find(self, control: &ControlPlane, name: &str) -> Result<Option<Value>, Failure> {
        match self.call(control, Method::GET, name, None).await {
            Ok(found) => Ok(Some(found)),
            Err(failure) if failure.exit_status() == NOT_FOUND => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Makes one that must not be there yet.
    async fn create(self, control: &ControlPlane, name: &str, body: Value) -> Result<Value, Failure> {
        if self.find(control, name).await?.is_some() {
            return Err(Failure::Exists(format!("{name} exists already; delete it first")));
        }
        self.call(control, Method::PUT, name, Some(body)).await
    }
}

/// The exit status of what is not there.
const NOT_FOUND: u8 = 3;

/// ARM ids of action groups; a name alone is one of the service's resource group.
fn group_ids(control: &ControlPlane, names: &[String]) -> Result<Vec<String>, Failure> {
    let id = |name: &String| {
        if name.starts_with('/') { Ok(name.clone()) } else { control.monitor_id(ACTION_GROUP.kind, name) }
    };
    names.iter().map(id).collect()
}
