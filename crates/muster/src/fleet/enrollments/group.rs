//! `muster enrollment-group`: options and their meaning. Must not know how a call is sent.

use serde_json::Map;

use super::attestation::{self, CaOptions, Change, ProofOptions, RemovalOptions};
use super::import::{self, ImportOptions};
use super::settings::SettingsOptions;
use super::{ListOptions, VersionOptions};
use crate::fleet::api::{Collection, Failure};
use crate::fleet::connection::ServiceOptions;
use crate::fleet::device_key::{self, KeySlot};
use crate::fleet::output::{Column, OutputOptions};

const KIND: Collection = Collection::EnrollmentGroups;
const COLUMNS: &[Column] = &[
    ("ENROLLMENT GROUP", "/enrollmentGroupId"),
    ("ATTESTATION", "/attestation/type"),
    ("STATUS", "/provisioningStatus"),
    ("ALLOCATION", "/allocationPolicy"),
    ("HUBS", "/iotHubs"),
    ("UPDATED", "/lastUpdatedDateTimeUtc"),
];

/// Enrollment groups.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Create a group: of a signing certificate, of an uploaded CA certificate, else of a symmetric key
    #[command(after_help = "Examples:
  muster enrollment-group create --enrollment-id robots --allocation-policy hashed
  muster enrollment-group create --eid cameras --certificate-path intermediate.pem --provisioning-status enabled
  muster enrollment-group create --eid meters --root-ca-name plant-ca")]
    Create(Box<CreateOptions>),
    /// Change a group; what is not said stays
    #[command(after_help = "Examples:
  muster enrollment-group update --enrollment-id robots --reprovision-policy never
  muster enrollment-group update --eid cameras --secondary-certificate-path next.pem")]
    Update(Box<UpdateOptions>),
    /// Show a group
    #[command(after_help = "Example:
  muster enrollment-group show --enrollment-id robots")]
    Show(ItemOptions),
    /// List groups, page by page as they arrive
    #[command(after_help = "Example:
  muster enrollment-group list -o table")]
    List(ListOptions),
    /// Delete a group; registrations and hub identities of its devices stay
    #[command(after_help = "Example:
  muster enrollment-group delete --enrollment-id robots")]
    Delete(DeleteOptions),
    /// Import groups, a line of JSON each
    #[command(after_help = "Example:
  muster enrollment-group import groups.jsonl --mode create")]
    Import(ImportOptions),
    /// Derive a device's key from a group's
    #[command(after_help = "Example:
  muster enrollment-group compute-device-key --enrollment-id robots --registration-id robot-42")]
    ComputeDeviceKey(KeyOptions),
}

/// Which group.
#[derive(clap::Args, Clone)]
struct Id {
    /// Id of the enrollment group
    #[arg(long, visible_aliases = ["eid", "enrollment-group-id", "group-id", "gid"], value_name = "ID")]
    enrollment_id: String,
}

#[derive(clap::Args)]
pub struct CreateOptions {
    #[command(flatten)]
    id: Id,
    #[command(flatten)]
    proof: ProofOptions,
    #[command(flatten)]
    ca: CaOptions,
    #[command(flatten)]
    settings: SettingsOptions,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    service: ServiceOptions,
}

#[derive(clap::Args)]
pub struct UpdateOptions {
    #[command(flatten)]
    id: Id,
    #[command(flatten)]
    version: VersionOptions,
    #[command(flatten)]
    proof: ProofOptions,
    #[command(flatten)]
    removal: RemovalOptions,
    #[command(flatten)]
    ca: CaOptions,
    #[command(flatten)]
    settings: SettingsOptions,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    service: ServiceOptions,
}

#[derive(clap::Args)]
pub struct ItemOptions {
    #[command(flatten)]
    id: Id,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    service: ServiceOptions,
}

#[derive(clap::Args)]
pub struct DeleteOptions {
    #[command(flatten)]
    id: Id,
    #[command(flatten)]
    version: VersionOptions,
    #[command(flatten)]
    service: ServiceOptions,
}

#[derive(clap::Args)]
pub struct KeyOptions {
    #[command(flatten)]
    id: Id,
    /// Registration id of the device
    #[arg(long, visible_alias = "rid", value_name = "ID")]
    registration_id: String,
    /// Which of the group's keys
    #[arg(long, visible_alias = "kt", value_name = "SLOT", default_value = "primary", ignore_case = true)]
    key_type: KeySlot,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    service: ServiceOptions,
}

/// Runs one of the commands.
pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Create(options) => create(&options).await,
        Command::Update(options) => update(&options).await,
        Command::Show(options) => {
            super::show(&options.service, KIND, &options.id.enrollment_id, options.output).await
        }
        Command::List(options) => super::list(&options, KIND, COLUMNS).await,
        Command::Delete(options) => {
            super::delete(&options.service, KIND, &options.id.enrollment_id, &options.version).await
        }
        Command::Import(options) => import::run(&options, KIND).await,
        Command::ComputeDeviceKey(options) => {
            let group = &options.id.enrollment_id;
            let key = device_key::group_key(&options.service, group, options.key_type).await?;
            device_key::print(&key, &options.registration_id, options.output)
        }
    }
}

async fn create(options: &CreateOptions) -> Result<(), Failure> {
    let mut item = Map::new();
    item.insert("attestation".into(), attestation::group(&options.proof, &options.ca)?);
    options.settings.apply(&mut item)?;
    super::create(&options.service, KIND, &options.id.enrollment_id, item, options.output).await
}

async fn update(options: &UpdateOptions) -> Result<(), Failure> {
    let change = Change { proof: &options.proof, removal: options.removal, tpm: None, ca: Some(&options.ca) };
    let id = &options.id.enrollment_id;
    super::update(&options.service, KIND, id, &options.version, options.output, |item| {
        change.apply(item)?;
        options.settings.apply(item)
    })
    .await
}
