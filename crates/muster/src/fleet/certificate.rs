//! `muster certificate`: CA certificates, and the proof that their keys are ours. Must not know how a call is sent.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};

use super::api::{ControlPlane, Failure};
use super::connection::InstanceOptions;
use super::output::{Column, OutputOptions};
use super::value;

const COLUMNS: &[Column] = &[
    ("CERTIFICATE", "/name"),
    ("SUBJECT", "/properties/subject"),
    ("VERIFIED", "/properties/isVerified"),
    ("EXPIRY", "/properties/expiry"),
    ("THUMBPRINT", "/properties/thumbprint"),
];

/// CA certificates.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Upload a CA certificate
    #[command(after_help = "Examples:
  muster certificate create --certificate-name plant-ca --path plant-ca.pem
  muster certificate create -n plant-ca -p plant-ca.pem --verified")]
    Create(UploadOptions),
    /// Replace a CA certificate; a new one is not verified
    #[command(after_help = "Example:
  muster certificate update --certificate-name plant-ca --path plant-ca-2.pem")]
    Update(ReplaceOptions),
    /// Show a CA certificate
    #[command(after_help = "Example:
  muster certificate show --certificate-name plant-ca")]
    Show(ItemOptions),
    /// List CA certificates
    #[command(after_help = "Example:
  muster certificate list")]
    List(ListOptions),
    /// Delete a CA certificate
    #[command(after_help = "Example:
  muster certificate delete --certificate-name plant-ca")]
    Delete(VersionedOptions),
    /// Begin the proof of possession: print the code that a certificate, signed by the CA, must have as its common name
    #[command(after_help = "Example:
  muster certificate generate-verification-code --certificate-name plant-ca")]
    GenerateVerificationCode(VersionedOptions),
    /// End the proof of possession with that certificate
    #[command(after_help = "Example:
  muster certificate verify --certificate-name plant-ca --path proof.pem")]
    Verify(ReplaceOptions),
}

/// Which certificate.
#[derive(clap::Args, Clone)]
struct Name {
    /// Name of the certificate
    #[arg(long, short = 'n', visible_aliases = ["cn", "name"], value_name = "NAME")]
    certificate_name: String,
}

#[derive(clap::Args)]
pub struct UploadOptions {
    #[command(flatten)]
    name: Name,
    /// File with the certificate, PEM or DER
    #[arg(long, short, value_name = "FILE")]
    path: PathBuf,
    /// Take it as verified: whoever uploads it answers for it
    #[arg(long, short, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    verified: Option<bool>,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    instance: InstanceOptions,
}

#[derive(clap::Args)]
pub struct ReplaceOptions {
    #[command(flatten)]
    versioned: VersionedOptions,
    /// File with the certificate, PEM or DER
    #[arg(long, short, value_name = "FILE")]
    path: PathBuf,
}

#[derive(clap::Args)]
pub struct VersionedOptions {
    #[command(flatten)]
    name: Name,
    /// Only if this is the current version [default: the one that is read]
    #[arg(long, short, value_name = "ETAG")]
    etag: Option<String>,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    instance: InstanceOptions,
}

#[derive(clap::Args)]
pub struct ItemOptions {
    #[command(flatten)]
    name: Name,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    instance: InstanceOptions,
}

#[derive(clap::Args)]
pub struct ListOptions {
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    instance: InstanceOptions,
}

/// Runs one of the commands.
pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Create(options) => create(&options).await,
        Command::Update(options) => {
            let body = json!({ "properties": { "certificate": content(&options.path)? } });
            changed(&options.versioned, Method::PUT, "", Some(body)).await
        }
        Command::Show(options) => {
            let control = options.instance.open()?;
            options.output.item(show(&control, &options.name).await?)
        }
        Command::List(options) => {
            options.output.items(COLUMNS, options.instance.open()?.certificates().await?)
        }
        Command::Delete(options) => asked(&options, Method::DELETE, "", None).await.map(drop),
        Command::GenerateVerificationCode(options) => code(&options).await,
        Command::Verify(options) => {
            let body = json!({ "certificate": content(&options.path)? });
            changed(&options.versioned, Method::POST, "/verify", Some(body)).await
        }
    }
}

async fn create(options: &UploadOptions) -> Result<(), Failure> {
    let mut body = json!({ "properties": { "certificate": content(&options.path)? } });
    if let Some(verified) = options.verified {
        body["properties"]["isVerified"] = verified.into();
    }
    let control = options.instance.open()?;
    let name = &options.name.certificate_name;
    match show(&control, &options.name).await {
        Ok(_) => {
            let text =
                format!("the certificate {name} exists already; `muster certificate update` replaces it");
            return Err(Failure::Exists(text));
        }
        Err(failure) if failure.exit_status() != 3 => return Err(failure),
        Err(_) => {}
    }
    options.output.item(control.certificate(Method::PUT, name, "", None, Some(body)).await?)
}

async fn show(control: &ControlPlane, name: &Name) -> Result<Value, Failure> {
    control.certificate(Method::GET, &name.certificate_name, "", None, None).await
}

/// The code alone, for a person and for a shell.
async fn code(options: &VersionedOptions) -> Result<(), Failure> {
    let answer = asked(options, Method::POST, "/generateVerificationCode", None).await?;
    let code = answer["properties"]["verificationCode"].as_str().unwrap_or_default();
    options.output.text(code, &answer)
}

async fn changed(
    options: &VersionedOptions,
    method: Method,
    action: &str,
    body: Option<Value>,
) -> Result<(), Failure> {
    options.output.item(asked(options, method, action, body).await?)
}

/// One call that needs the current version.
async fn asked(
    options: &VersionedOptions,
    method: Method,
    action: &str,
    body: Option<Value>,
) -> Result<Value, Failure> {
    let control = options.instance.open()?;
    let etag = match &options.etag {
        Some(etag) => Some(etag.clone()),
        None => show(&control, &options.name).await?["etag"].as_str().map(ToOwned::to_owned),
    };
    control.certificate(method, &options.name.certificate_name, action, etag.as_deref(), body).await
}

/// The file as the control plane takes it.
fn content(path: &Path) -> Result<String, Failure> {
    Ok(STANDARD.encode(value::bytes(path)?))
}
