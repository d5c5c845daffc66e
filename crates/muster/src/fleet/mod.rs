//! The commands that manage a fleet, with the habits of `az iot dps`: enrollments, groups, registrations, hubs,
//! certificates, policies, instances, diagnostic settings.
//!
//! Everything goes through the public APIs (`api`), so that the commands work on any instance, Azure's own included.
//! Owns options, what is printed and exit statuses. Must not know the server: it may run elsewhere.

pub mod api;
mod certificate;
pub mod connection;
mod connection_string;
mod device_key;
mod diagnostic_setting;
mod enrollments;
mod instance;
pub mod limits;
mod linked_hub;
pub mod output;
mod policy;
mod registration;
pub mod value;

pub use self::api::Failure;

/// What to do with a fleet.
#[derive(clap::Subcommand)]
pub enum FleetCommand {
    /// Individual enrollments: create, update, show, list, delete, import
    #[command(subcommand)]
    Enrollment(Box<enrollments::individual::Command>),
    /// Enrollment groups: create, update, show, list, delete, import, compute-device-key
    #[command(subcommand)]
    EnrollmentGroup(Box<enrollments::group::Command>),
    /// Registrations of devices: show, list, delete
    #[command(subcommand)]
    Registration(Box<registration::Command>),
    /// Derive a device's key from an enrollment group's
    #[command(after_help = "Examples:
  muster compute-device-key --key @group.key --registration-id robot-42
  muster compute-device-key --enrollment-id robots --registration-id robot-42")]
    ComputeDeviceKey(Box<device_key::DeviceKeyOptions>),
    /// Linked hubs: create, update, show, list, delete
    #[command(subcommand)]
    LinkedHub(Box<linked_hub::Command>),
    /// CA certificates: create, update, show, list, delete, generate-verification-code, verify
    #[command(subcommand)]
    Certificate(Box<certificate::Command>),
    /// Shared access policies: create, update, show, list, delete, renew-key
    #[command(subcommand, visible_alias = "access-policy")]
    Policy(Box<policy::Command>),
    /// Connection strings of shared access policies
    #[command(subcommand)]
    ConnectionString(Box<connection_string::Command>),
    /// Provisioning services: create, update, show, list, delete
    #[command(subcommand)]
    Instance(Box<instance::Command>),
    /// Where logs and metrics go: create, show, list, delete, categories
    #[command(subcommand)]
    DiagnosticSettings(Box<diagnostic_setting::Command>),
}

/// Runs one of the commands, until Ctrl-C.
pub async fn run(command: FleetCommand) -> Result<(), Failure> {
    until_interrupted(dispatch(command)).await
}

/// Runs a command to its end, or until Ctrl-C.
pub async fn until_interrupted(
    command: impl Future<Output = Result<(), Failure>> + Send + 'static,
) -> Result<(), Failure> {
    // On a task of its own: it may wait for standard input, which hears no Ctrl-C.
    let work = tokio::spawn(command);
    tokio::select! {
        worked = work => worked.map_err(|error| anyhow::anyhow!("the command broke: {error}"))?,
        heard = tokio::signal::ctrl_c() => {
            heard?;
            Err(Failure::Interrupted)
        }
    }
}

async fn dispatch(command: FleetCommand) -> Result<(), Failure> {
    match command {
        FleetCommand::Enrollment(command) => enrollments::individual::run(*command).await,
        FleetCommand::EnrollmentGroup(command) => enrollments::group::run(*command).await,
        FleetCommand::Registration(command) => registration::run(*command).await,
        FleetCommand::ComputeDeviceKey(options) => device_key::run(*options).await,
        FleetCommand::LinkedHub(command) => linked_hub::run(*command).await,
        FleetCommand::Certificate(command) => certificate::run(*command).await,
        FleetCommand::Policy(command) => policy::run(*command).await,
        FleetCommand::ConnectionString(command) => connection_string::run(*command).await,
        FleetCommand::Instance(command) => instance::run(*command).await,
        FleetCommand::DiagnosticSettings(command) => diagnostic_setting::run(*command).await,
    }
}
