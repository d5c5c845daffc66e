//! `muster.toml`: reads it whole, checks all of it, and gives the settings of `muster serve`.
//!
//! Owns the file's words, its mistakes and the environment. Must not know how a setting is carried out.

mod certificate;
mod destination;
pub mod environment;
mod identity;
mod instance;
pub mod problem;
mod read;
mod schema;
mod secret;
mod section;
mod shape;
mod telemetry;
mod value;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dps_access::IdentityProvider;
use dps_core::allocation::regions::RegionMap;
use dps_events::AddressMask;
use dps_model::Secret;
use dps_model::limits::{Profile, Throttles};

pub use certificate::{CertificateFiles, ServerCertificate, end_of};
pub use destination::{DestinationKind, DestinationSettings};
pub use instance::{DeclaredCa, DeclaredInstance, DeclaredPolicy};
use problem::Problems;
pub use telemetry::{TelemetrySettings, of_environment as telemetry_of_environment};

/// The settings, checked; files and secrets are read.
pub struct Config {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Time for what is in progress at the end.
    pub drain: Duration,
    /// Time until the listeners close.
    pub drain_grace: Duration,
    /// Where it listens.
    pub listeners: Listeners,
    /// At least one, the default first.
    pub certificates: Vec<CertificateFiles>,
    /// At least one, the default first.
    pub instances: Vec<DeclaredInstance>,
    /// How linked hubs are reached.
    pub hubs: HubSettings,
    /// Where devices are, and how far from their hubs.
    pub regions: RegionMap,
    /// How much is taken on.
    pub limits: LimitSettings,
    /// The token that may do everything.
    pub bearer_token: Option<Secret>,
    /// Subscription that resource ids name.
    pub subscription: Option<uuid::Uuid>,
    /// Whose bearer tokens are believed.
    pub identity_providers: Vec<IdentityProvider>,
    /// What the server says of itself.
    pub log: LogSettings,
    /// The resource log.
    pub attempts: AttemptSettings,
    /// What KQL queries see.
    pub workspace: WorkspaceSettings,
    /// Where diagnostic settings may send to.
    pub destinations: Vec<DestinationSettings>,
    /// Where telemetry of its own goes.
    pub telemetry: Option<TelemetrySettings>,
}

/// Where it listens.
pub struct Listeners {
    /// Address for devices.
    pub bind: IpAddr,
    /// HTTPS, and MQTT and AMQP over WebSocket.
    pub https: u16,
    /// MQTT over TLS.
    pub mqtt: u16,
    /// AMQP over TLS.
    pub amqp: u16,
    /// Plain HTTP, when there is one.
    pub http: Option<(IpAddr, u16)>,
}

/// How linked hubs are reached.
pub struct HubSettings {
    /// PEM of CAs trusted besides those of the machine.
    pub trusted: Vec<u8>,
    /// Time between two probes.
    pub probe_interval: Duration,
}

/// How much is taken on.
pub struct LimitSettings {
    /// Whose throttles and quotas.
    pub profile: Profile,
    /// With what the file says instead.
    pub throttles: Throttles,
    /// Open connections.
    pub connections: usize,
    /// TLS handshakes in progress.
    pub handshakes: usize,
}

/// What the server says of itself.
#[derive(Clone)]
pub struct LogSettings {
    /// How much.
    pub level: tracing::Level,
    /// An object a line.
    pub json: bool,
    /// Where.
    pub to: LogTarget,
}

/// Where a log goes.
#[derive(Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
    /// A file, appended to.
    File(PathBuf),
}

/// The attempt log.
pub struct AttemptSettings {
    /// Where, when not in the data directory.
    pub folder: Option<PathBuf>,
    /// Size of a segment.
    pub segment_size: u64,
    /// How many are kept.
    pub segments: usize,
    /// How long.
    pub keep_for: Duration,
}

/// The built-in workspace.
#[derive(Clone, Default)]
#[cfg_attr(not(feature = "logs"), allow(dead_code))]
pub struct WorkspaceSettings {
    /// Where, when not in the data directory.
    pub folder: Option<PathBuf>,
    /// Whose bucket takes the files of rows, when not the folder.
    pub files: Option<DestinationSettings>,
    /// How long a row is kept; the store's own measure without it.
    pub keep_for: Option<Duration>,
    /// How many bytes all rows may take.
    pub keep_size: Option<u64>,
    /// How much of a caller's address is shown.
    pub addresses: AddressMask,
}

/// A file as it was read.
pub struct Read {
    /// The settings; none when there is an error.
    pub config: Option<Config>,
    /// Everything that is wrong or doubtful.
    pub problems: Problems,
    /// The settings in effect as a text, secrets masked.
    pub effective: String,
}

/// Reads a file. An error is one that keeps it from being read at all.
pub fn read(file: &Path, now: dps_model::Timestamp) -> anyhow::Result<Read> {
    read::file(file, now, environment::variable)
}

/// The page of every table and key.
pub fn reference() -> String {
    format!("{}{}", schema::PAGE_HEAD, shape::page(&schema::ROOT))
}
