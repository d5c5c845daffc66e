//! `muster dev reset`, `clock` and `fault`: what a development server is told while it runs. Owns options and what is
//! printed; everything goes through `/dev/…`, so that a program can do the same.

#![allow(clippy::doc_markdown)] // comments of options are the help's text

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::reset::Part;
use crate::fleet::Failure;
use crate::fleet::api::sender::Ask;
use crate::fleet::connection::TrustOptions;
use crate::fleet::output::{Column, OutputOptions};

const COLUMNS: &[Column] = &[
    ("ID", "/id"),
    ("KIND", "/fault/kind"),
    ("DEVICE", "/match/registrationId"),
    ("PROTOCOL", "/match/protocol"),
    ("OPERATION", "/match/operation"),
    ("SEEN", "/seen"),
    ("INJECTED", "/injected"),
];

/// What a running `muster dev` is told.
#[derive(clap::Subcommand)]
pub enum DevControl {
    /// Make a running server as it was at its first start: CA, keys, ports, id scope, logs and metrics stay
    #[command(after_help = "Examples:
  muster dev reset
  muster dev reset --keep enrollments --keep hubDevices")]
    Reset(ResetOptions),
    /// The clock of a running server: show, set
    #[command(subcommand)]
    Clock(ClockCommand),
    /// Faults that a running server causes, to test devices against: add, list, remove
    #[command(subcommand)]
    Fault(Box<FaultCommand>),
}

/// Options of `muster dev reset`.
#[derive(clap::Args)]
pub struct ResetOptions {
    /// What stays; repeat for more
    #[arg(long, value_name = "PART")]
    keep: Vec<Part>,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    server: TrustOptions,
}

/// Commands of `muster dev clock`.
#[derive(clap::Subcommand)]
pub enum ClockCommand {
    /// Show the clock
    #[command(after_help = "Example:
  muster dev clock show")]
    Show(ShowOptions),
    /// Set the clock, stop it, or let it run faster; what is not said stays
    #[command(after_help = "Examples:
  muster dev clock set --offset-seconds 86400
  muster dev clock set --now 2031-01-01T00:00:00Z --frozen true
  muster dev clock set --rate 60
  muster dev clock set --offset-seconds 0 --frozen false --rate 1")]
    Set(SetOptions),
}

/// Options of `muster dev clock show` and `muster dev fault list`.
#[derive(clap::Args)]
pub struct ShowOptions {
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    server: TrustOptions,
}

/// Options of `muster dev clock set`.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("setting").required(true).multiple(true))]
pub struct SetOptions {
    /// So far from this machine's time; negative for the past
    #[arg(long, value_name = "N", group = "setting", conflicts_with = "now", allow_hyphen_values = true)]
    offset_seconds: Option<f64>,
    /// At that time
    #[arg(long, value_name = "TIME", group = "setting")]
    now: Option<String>,
    /// Does it stand still?
    #[arg(long, value_name = "BOOL", group = "setting")]
    frozen: Option<bool>,
    /// Seconds that go by in one of this machine's
    #[arg(long, value_name = "N", group = "setting")]
    rate: Option<f64>,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    server: TrustOptions,
}

/// Commands of `muster dev fault`.
#[derive(clap::Subcommand)]
pub enum FaultCommand {
    /// Add a rule, or replace the one of that id
    #[command(after_help = "Examples:
  muster dev fault add throttle --retry-after 30 --registration-id robot-7 --count 3
  muster dev fault add drop --lost answer --protocol mqtt --operation register --count 1
  muster dev fault add error --status 503 --probability 0.1 --seed 42
  muster dev fault add hubDown --hub hub-1.localhost --id outage
  muster dev fault add disconnect --operation hubConnection --milliseconds 5000 --count 1")]
    Add(Box<AddOptions>),
    /// List the rules, with how often each struck
    #[command(after_help = "Example:
  muster dev fault list")]
    List(ShowOptions),
    /// Remove a rule, or all of them
    #[command(after_help = "Examples:
  muster dev fault remove outage
  muster dev fault remove --all")]
    Remove(RemoveOptions),
}

/// Options of `muster dev fault add`.
#[derive(clap::Args)]
pub struct AddOptions {
    /// What happens: drop, disconnect, delay, throttle, error, hubDown or webhookDown
    kind: String,
    /// Name of the rule [default: one is made up]
    #[arg(long, value_name = "NAME")]
    id: Option<String>,
    /// Only this device (on a hub its device id); with * at the end all that begin so
    #[arg(long, value_name = "ID")]
    registration_id: Option<String>,
    /// Only over Http, Mqtt, MqttWs, Amqp or AmqpWs
    #[arg(long, value_name = "NAME")]
    protocol: Option<String>,
    /// Only register, operationStatus, registrationLookup, hubWrite, hubConnection or webhook
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
    /// Only for this id scope
    #[arg(long, value_name = "SCOPE")]
    id_scope: Option<String>,
    /// Only at this hub
    #[arg(long, value_name = "HOST")]
    hub: Option<String>,
    /// How often, from 0 to 1
    #[arg(long, value_name = "N")]
    probability: Option<f64>,
    /// Where the dice begin: the same seed gives the same run
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Let so many go well first
    #[arg(long, value_name = "N")]
    after: Option<u64>,
    /// Strike so many times at most
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// With drop and disconnect: request (nothing comes of it) or answer (the work is done)
    #[arg(long, value_name = "WHAT")]
    lost: Option<String>,
    /// With delay: how long. With drop and disconnect of a hub's connection: how long after it was made
    #[arg(long, value_name = "N")]
    milliseconds: Option<u64>,
    /// With throttle and error: seconds that the peer is told to wait
    #[arg(long, value_name = "SECONDS")]
    retry_after: Option<u32>,
    /// With error: 500, 503 or 504
    #[arg(long, value_name = "CODE")]
    status: Option<u16>,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    server: TrustOptions,
}

/// Options of `muster dev fault remove`.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true))]
pub struct RemoveOptions {
    /// Name of the rule
    #[arg(group = "which")]
    id: Option<String>,
    /// All rules
    #[arg(long, group = "which")]
    all: bool,
    #[command(flatten)]
    server: TrustOptions,
}

/// Tells it to the server.
pub async fn run(control: DevControl) -> Result<(), Failure> {
    match control {
        DevControl::Reset(options) => {
            let body = json!({"keep": options.keep});
            let done = ask(&options.server, Method::POST, "reset", Some(body)).await?;
            options.output.item(done)
        }
        DevControl::Clock(ClockCommand::Show(options)) => {
            let standing = ask(&options.server, Method::GET, "clock", None).await?;
            options.output.item(standing)
        }
        DevControl::Clock(ClockCommand::Set(options)) => {
            let body = members([
                ("offsetSeconds", options.offset_seconds.map(Value::from)),
                ("now", options.now.map(Value::from)),
                ("frozen", options.frozen.map(Value::from)),
                ("rate", options.rate.map(Value::from)),
            ]);
            let standing = ask(&options.server, Method::PUT, "clock", Some(body)).await?;
            options.output.item(standing)
        }
        DevControl::Fault(command) => fault(*command).await,
    }
}

async fn fault(command: FaultCommand) -> Result<(), Failure> {
    match command {
        FaultCommand::Add(options) => {
            let shown = ask(&options.server, Method::POST, "faults", Some(options.rule())).await?;
            options.output.item(shown)
        }
        FaultCommand::List(options) => {
            let mut list = ask(&options.server, Method::GET, "faults", None).await?;
            let Value::Array(rules) = list["value"].take() else {
                return Err(Failure::Unreachable("the server's answer has no list of rules".to_owned()));
            };
            options.output.items(COLUMNS, rules)
        }
        FaultCommand::Remove(options) => {
            let path = match &options.id {
                Some(id) if id.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)) => {
                    format!("faults/{id}")
                }
                Some(id) => return Err(Failure::Usage(format!("{id} is no id of a rule"))),
                None => "faults".to_owned(),
            };
            ask(&options.server, Method::DELETE, &path, None).await.map(drop)
        }
    }
}

impl AddOptions {
    /// What is wrong in it, the server says.
    fn rule(&self) -> Value {
        let text = |value: &Option<String>| value.clone().map(Value::from);
        let occasions = members([
            ("registrationId", text(&self.registration_id)),
            ("protocol", text(&self.protocol)),
            ("operation", text(&self.operation)),
            ("idScope", text(&self.id_scope)),
            ("hub", text(&self.hub)),
            ("probability", self.probability.map(Value::from)),
            ("after", self.after.map(Value::from)),
            ("count", self.count.map(Value::from)),
        ]);
        let fault = members([
            ("kind", Some(self.kind.clone().into())),
            ("lost", text(&self.lost)),
            ("milliseconds", self.milliseconds.map(Value::from)),
            ("retryAfter", self.retry_after.map(Value::from)),
            ("status", self.status.map(Value::from)),
        ]);
        let mut rule = json!({"match": occasions, "fault": fault, "seed": self.seed.unwrap_or_default()});
        if let Some(id) = &self.id {
            rule["id"] = id.clone().into();
        }
        rule
    }
}

fn members<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let said = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(said.collect::<Map<_, _>>())
}

async fn ask(
    server: &TrustOptions,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Result<Value, Failure> {
    let target = server.dev_server()?;
    let ask = Ask { method, url: format!("{}/dev/{path}", target.base), headers: Vec::new(), body };
    let answer = target.sender()?.call(&ask, || target.authorization()).await?;
    Ok(answer.body)
}
