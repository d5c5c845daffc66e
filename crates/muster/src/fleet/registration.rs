//! `muster registration`: what devices' registrations say. Must not know how a call is sent.

use super::api::{Collection, Failure};
use super::connection::ServiceOptions;
use super::output::{Column, OutputOptions};

const COLUMNS: &[Column] = &[
    ("REGISTRATION ID", "/registrationId"),
    ("STATUS", "/status"),
    ("SUBSTATUS", "/substatus"),
    ("HUB", "/assignedHub"),
    ("DEVICE ID", "/deviceId"),
    ("ERROR", "/errorCode"),
    ("UPDATED", "/lastUpdatedDateTimeUtc"),
];

/// Registrations.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Show a device's registration
    #[command(after_help = "Example:
  muster registration show --registration-id thermostat-1")]
    Show(ShowOptions),
    /// List the registrations of a group, page by page as they arrive
    #[command(after_help = "Example:
  muster registration list --group robots --top 20")]
    List(ListOptions),
    /// Delete a registration: the device's next one is its first; the hub identity stays
    #[command(after_help = "Example:
  muster registration delete --registration-id thermostat-1")]
    Delete(DeleteOptions),
}

#[derive(clap::Args)]
pub struct ShowOptions {
    /// Registration id of the device
    #[arg(long, visible_alias = "rid", value_name = "ID")]
    registration_id: String,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    service: ServiceOptions,
}

#[derive(clap::Args)]
pub struct ListOptions {
    /// Id of the enrollment group
    #[arg(long, visible_aliases = ["eid", "enrollment-group-id", "group", "group-id", "gid"], value_name = "ID")]
    enrollment_id: String,
    /// Query that the service answers; Azure's own ignores its WHERE clause
    #[arg(long, value_name = "TEXT")]
    query: Option<String>,
    /// Most registrations to list
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    service: ServiceOptions,
}

#[derive(clap::Args)]
pub struct DeleteOptions {
    /// Registration id of the device
    #[arg(long, visible_alias = "rid", value_name = "ID")]
    registration_id: String,
    /// Only if this is the current version
    #[arg(long, short, value_name = "ETAG")]
    etag: Option<String>,
    #[command(flatten)]
    service: ServiceOptions,
}

/// Runs one of the commands.
pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Show(options) => {
            let api = options.service.open()?;
            options.output.item(api.get(Collection::Registrations, &options.registration_id).await?)
        }
        Command::List(options) => list(&options).await,
        Command::Delete(options) => {
            let api = options.service.open()?;
            api.delete(Collection::Registrations, &options.registration_id, options.etag.as_deref()).await
        }
    }
}

async fn list(options: &ListOptions) -> Result<(), Failure> {
    let api = options.service.open()?;
    let mut pages = api.registrations(&options.enrollment_id, options.query.as_deref(), options.top);
    let mut list = options.output.list(COLUMNS);
    while let Some(page) = pages.next().await? {
        for item in page {
            list.push(item)?;
        }
    }
    list.end()
}
