//! `muster inbox`: devices that asked and that no enrollment knows. Owns options and what is printed; must not know how
//! groups are kept.

use percent_encoding::utf8_percent_encode;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::fleet::Failure;
use crate::fleet::api::service::SEGMENT;
use crate::fleet::connection::InstanceOptions;
use crate::fleet::output::{Column, OutputOptions};
use crate::fleet::value::object;

const COLUMNS: &[Column] = &[
    ("ID", "/id"),
    ("SHOWS", "/kind"),
    ("WHO", "/title"),
    ("ATTEMPTS", "/count"),
    ("FIRST SEEN", "/firstSeen"),
    ("LAST SEEN", "/lastSeen"),
    ("IGNORED", "/ignored"),
];

/// Unknown devices.
#[derive(clap::Subcommand)]
pub enum Command {
    /// List the groups, the latest first
    #[command(after_help = "Example:
  muster inbox list")]
    List(ListOptions),
    /// Show a group: its devices, where they asked from, what lets them in
    #[command(after_help = "Example:
  muster inbox show --id 5d0b4f3c2a1908f7e6d5c4b3a2918070")]
    Show(ItemOptions),
    /// Let a device in: creates its enrollment, or with --group one for every device of its issuer
    #[command(after_help = "Examples:
  muster inbox accept --id 5d0b4f3c2a1908f7e6d5c4b3a2918070
  muster inbox accept --id 5d0b4f3c2a1908f7e6d5c4b3a2918070 --group --name cameras")]
    Accept(AcceptOptions),
    /// Hide a group for good, or with --off show it again
    #[command(after_help = "Examples:
  muster inbox ignore --id 5d0b4f3c2a1908f7e6d5c4b3a2918070
  muster inbox ignore --id 5d0b4f3c2a1908f7e6d5c4b3a2918070 --off")]
    Ignore(IgnoreOptions),
    /// Forget a group until it asks again
    #[command(after_help = "Example:
  muster inbox delete --id 5d0b4f3c2a1908f7e6d5c4b3a2918070")]
    Delete(ItemOptions),
}

#[derive(clap::Args)]
pub struct ListOptions {
    /// Those that are ignored too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    instance: InstanceOptions,
}

#[derive(clap::Args)]
pub struct ItemOptions {
    /// Id of the group
    #[arg(long, value_name = "ID")]
    id: String,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    instance: InstanceOptions,
}

#[derive(clap::Args)]
pub struct AcceptOptions {
    /// Create an enrollment group of the issuer
    #[arg(long)]
    group: bool,
    /// Registration id of the device, or id of the new enrollment group [default: the group's one device, or a made-up id]
    #[arg(long, value_name = "ID")]
    name: Option<String>,
    /// Further members of the enrollment, as the service API takes it: JSON, or @FILE
    #[arg(long, value_name = "JSON")]
    enrollment: Option<String>,
    #[command(flatten)]
    item: ItemOptions,
}

#[derive(clap::Args)]
pub struct IgnoreOptions {
    /// Show it again
    #[arg(long)]
    off: bool,
    #[command(flatten)]
    item: ItemOptions,
}

/// Runs one of the commands.
pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::List(options) => {
            let control = options.instance.open()?;
            let mut told = control.diagnosis(Method::GET, "inbox", &[], None).await?;
            let Some(Value::Array(mut groups)) = told.get_mut("value").map(Value::take) else {
                return Err(Failure::Unreachable(
                    "the service answered with no inbox: is it a Muster?".to_owned(),
                ));
            };
            groups.retain(|group| options.all || group["ignored"] != true);
            options.output.items(COLUMNS, groups)
        }
        Command::Show(options) => {
            let group = call(&options, Method::GET, "", None).await?;
            options.output.item(group)
        }
        Command::Accept(options) => {
            let mut body = Map::new();
            body.insert(
                "as".into(),
                if options.group { "enrollmentGroup" } else { "individualEnrollment" }.into(),
            );
            if let Some(name) = &options.name {
                body.insert("id".into(), name.as_str().into());
            }
            if let Some(text) = &options.enrollment {
                body.insert("enrollment".into(), object(text, "--enrollment")?);
            }
            let made = call(&options.item, Method::POST, "/accept", Some(Value::Object(body))).await?;
            options.item.output.item(made["enrollment"].clone())
        }
        Command::Ignore(options) => {
            let body = json!({"ignored": !options.off});
            let group = call(&options.item, Method::POST, "/ignore", Some(body)).await?;
            options.item.output.item(group)
        }
        Command::Delete(options) => call(&options, Method::DELETE, "", None).await.map(drop),
    }
}

async fn call(
    item: &ItemOptions,
    method: Method,
    action: &str,
    body: Option<Value>,
) -> Result<Value, Failure> {
    let control = item.instance.open()?;
    let path = format!("inbox/{}{action}", utf8_percent_encode(&item.id, SEGMENT));
    control.diagnosis(method, &path, &[], body).await
}
