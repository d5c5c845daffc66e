//! `muster enrollment`: options and their meaning. Must not know how a call is sent.

use serde_json::{Map, Value};

use super::attestation::{self, Change, ProofOptions, RemovalOptions, TpmOptions};
use super::import::{self, ImportOptions};
use super::settings::SettingsOptions;
use super::{ListOptions, VersionOptions};
use crate::fleet::api::{Collection, Failure};
use crate::fleet::connection::ServiceOptions;
use crate::fleet::output::{Column, OutputOptions};
use crate::fleet::value;

const KIND: Collection = Collection::Enrollments;
const COLUMNS: &[Column] = &[
    ("REGISTRATION ID", "/registrationId"),
    ("ATTESTATION", "/attestation/type"),
    ("STATUS", "/provisioningStatus"),
    ("ALLOCATION", "/allocationPolicy"),
    ("HUBS", "/iotHubs"),
    ("UPDATED", "/lastUpdatedDateTimeUtc"),
];

/// Individual enrollments.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Enroll a device
    #[command(after_help = "Examples:
  muster enrollment create --registration-id thermostat-1 --attestation-type symmetricKey --show-keys
  muster enrollment create --rid camera-7 --at x509 --certificate-path camera-7.pem --allocation-policy static \\
    --iot-hubs hub-1.example
  muster enrollment create --rid gateway-3 --at tpm --endorsement-key @gateway-3.ek --edge-enabled")]
    Create(Box<CreateOptions>),
    /// Change an enrollment; what is not said stays
    #[command(after_help = "Examples:
  muster enrollment update --registration-id thermostat-1 --provisioning-status disabled
  muster enrollment update --rid camera-7 --secondary-certificate-path next.pem --etag abc=
  muster enrollment update --rid camera-7 --remove-certificate")]
    Update(Box<UpdateOptions>),
    /// Show an enrollment
    #[command(after_help = "Example:
  muster enrollment show --registration-id thermostat-1 --show-keys -o json")]
    Show(ItemOptions),
    /// List enrollments, page by page as they arrive; with -o jsonl --show-keys, an export that `import` reads
    #[command(after_help = "Examples:
  muster enrollment list --top 20
  muster enrollment list --query \"SELECT * FROM enrollments WHERE provisioningStatus = 'disabled'\"
  muster enrollment list -o jsonl --show-keys")]
    List(ListOptions),
    /// Delete an enrollment; registration and hub identity stay
    #[command(after_help = "Example:
  muster enrollment delete --registration-id thermostat-1")]
    Delete(DeleteOptions),
    /// Import enrollments, a line of JSON each, ten to a request and many requests at once
    #[command(after_help = "Examples:
  muster enrollment import devices.jsonl
  muster enrollment import devices.jsonl --mode update --rejects failed.jsonl")]
    Import(ImportOptions),
}

/// Whose enrollment.
#[derive(clap::Args, Clone)]
struct Id {
    /// Registration id of the device
    #[arg(long, visible_aliases = ["rid", "enrollment-id", "eid"], value_name = "ID")]
    registration_id: String,
}

/// What only individual enrollments have.
#[derive(clap::Args, Clone, Default)]
#[command(next_help_heading = "Settings")]
struct DeviceOptions {
    /// Id on the hub [default: the registration id]
    #[arg(long, visible_alias = "did", value_name = "ID")]
    device_id: Option<String>,
    /// Free information about the device, as JSON or @FILE
    #[arg(long, visible_aliases = ["info", "device-info"], value_name = "JSON")]
    device_information: Option<String>,
}

impl DeviceOptions {
    fn apply(&self, item: &mut Map<String, Value>) -> Result<(), Failure> {
        if let Some(id) = &self.device_id {
            item.insert("deviceId".into(), id.as_str().into());
        }
        if let Some(text) = &self.device_information {
            item.insert("optionalDeviceInformation".into(), value::object(text, "--device-information")?);
        }
        Ok(())
    }
}

/// How the device proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum AttestationType {
    #[value(name = "symmetricKey", alias = "symmetrickey")]
    SymmetricKey,
    #[value(name = "x509")]
    X509,
    #[value(name = "tpm")]
    Tpm,
}

#[derive(clap::Args)]
pub struct CreateOptions {
    #[command(flatten)]
    id: Id,
    /// How the device proves who it is
    #[arg(long, visible_alias = "at", value_name = "TYPE", ignore_case = true)]
    attestation_type: AttestationType,
    #[command(flatten)]
    proof: ProofOptions,
    #[command(flatten)]
    tpm: TpmOptions,
    #[command(flatten)]
    device: DeviceOptions,
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
    tpm: TpmOptions,
    #[command(flatten)]
    device: DeviceOptions,
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

/// Runs one of the commands.
pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Create(options) => create(&options).await,
        Command::Update(options) => update(&options).await,
        Command::Show(options) => {
            super::show(&options.service, KIND, &options.id.registration_id, options.output).await
        }
        Command::List(options) => super::list(&options, KIND, COLUMNS).await,
        Command::Delete(options) => {
            super::delete(&options.service, KIND, &options.id.registration_id, &options.version).await
        }
        Command::Import(options) => import::run(&options, KIND).await,
    }
}

async fn create(options: &CreateOptions) -> Result<(), Failure> {
    let kind = match options.attestation_type {
        AttestationType::SymmetricKey => "symmetricKey",
        AttestationType::X509 => "x509",
        AttestationType::Tpm => "tpm",
    };
    let mut item = Map::new();
    item.insert("attestation".into(), attestation::individual(kind, &options.proof, &options.tpm)?);
    options.device.apply(&mut item)?;
    options.settings.apply(&mut item)?;
    super::create(&options.service, KIND, &options.id.registration_id, item, options.output).await
}

async fn update(options: &UpdateOptions) -> Result<(), Failure> {
    let change =
        Change { proof: &options.proof, removal: options.removal, tpm: Some(&options.tpm), ca: None };
    let id = &options.id.registration_id;
    super::update(&options.service, KIND, id, &options.version, options.output, |item| {
        change.apply(item)?;
        options.device.apply(item)?;
        options.settings.apply(item)
    })
    .await
}
