//! The command line. Owns names, defaults and help; must not know what the commands do.

use std::io::Write as _;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;

use clap::CommandFactory as _;
use dps_model::limits::Profile;

use crate::dev::commands::DevControl;
use crate::device::DeviceCommand;
use crate::diagnose::DiagnoseCommand;
use crate::doctor::DoctorOptions;
use crate::explain_code::ExplainCodeOptions;
use crate::fleet::FleetCommand;
use crate::watch::WatchCommand;

/// A self-hosted Device Provisioning Service, wire-compatible with Azure IoT Hub DPS.
#[derive(clap::Parser)]
#[command(name = "muster", version, about, arg_required_else_help = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Start everything on this machine: provisioning service, development hub, metrics; no configuration
    #[command(after_help = "Example:
  muster dev --hub hub-1.localhost --hub hub-2.localhost")]
    Dev(Box<DevCommand>),
    /// Run in production, by a file of settings
    #[command(after_help = "Example:
  muster serve --config /etc/muster/muster.toml")]
    Serve(ServeOptions),
    /// Check a file of settings, show what is in effect, or print every key
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Ask a running server how it is; exit status 0 when it is well (for containers)
    #[command(after_help = "Example:
  muster health --url http://127.0.0.1:8080/health/ready")]
    Health(HealthOptions),
    /// Start the same on free ports, provision a few devices and show what happens
    #[command(after_help = "Example:
  muster demo")]
    Demo(DemoOptions),
    /// Be a device: provision, connect to the hub, send telemetry, read the twin
    #[command(subcommand)]
    Device(Box<DeviceCommand>),
    /// Look at the network from a device's side: DNS, ports, TLS, clock, proxies, the fallback to port 443, a registration
    #[command(after_help = "Examples:
  muster doctor
  muster doctor --host dps.plant.example --ca plant-root.pem --no-register
  muster doctor --dev-env muster-data/dev.env --registration-id robot-7 --key @robot-7.key")]
    Doctor(Box<DoctorOptions>),
    #[command(flatten)]
    Fleet(FleetCommand),
    #[command(flatten)]
    Watch(WatchCommand),
    #[command(flatten)]
    Diagnose(DiagnoseCommand),
    /// Tell what an error code means: likely causes, what to do, the query that finds it
    #[command(after_help = "Examples:
  muster explain-code 401002
  muster explain-code 403
  muster explain-code 'failed to provision with IoT Hub, and no valid device backup was found'")]
    ExplainCode(ExplainCodeOptions),
    /// Print a script that completes this command line in a shell
    #[command(after_help = "Example:
  muster completions bash")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// Prints the script.
pub fn completions(shell: clap_complete::Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "muster", &mut script);
    match std::io::stdout().lock().write_all(&script) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// `muster dev`: start a server, or tell a running one something.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DevCommand {
    /// How it starts.
    #[command(flatten)]
    pub start: DevOptions,
    /// What a running one is told.
    #[command(subcommand)]
    pub control: Option<DevControl>,
}

/// Options of `muster dev`.
#[derive(clap::Args, Clone)]
pub struct DevOptions {
    /// Store, dev CA, keys and logs; created when missing, reused when present
    #[arg(long, value_name = "DIR", default_value = "./muster-data")]
    pub data_dir: PathBuf,
    /// Host name in the server certificate, in connection strings and in assignedHub; repeat for more names
    #[arg(long = "host", value_name = "NAME", default_value = "localhost", value_parser = host)]
    pub hosts: Vec<String>,
    /// Address that the listeners bind
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1")]
    pub bind: IpAddr,
    /// Device API, service API, MQTT and AMQP over WebSocket; 0 takes a free port [default: 443, else 8443]
    #[arg(long, value_name = "N")]
    pub https_port: Option<u16>,
    /// MQTT over TLS, for DPS and for the development hub
    #[arg(long, value_name = "N", default_value_t = 8883)]
    pub mqtt_port: u16,
    /// AMQP over TLS, for DPS and for the development hub
    #[arg(long, value_name = "N", default_value_t = 5671)]
    pub amqp_port: u16,
    /// Portal and /metrics, plain HTTP, loopback only; 0 turns it off
    #[arg(long, value_name = "N", default_value_t = 8080)]
    pub http_port: u16,
    /// A development hub's host name; repeat for several hubs [default: the host name]
    #[arg(long = "hub", value_name = "NAME", value_parser = hub)]
    pub hubs: Vec<String>,
    /// The region that a development hub is in, for the policy geoLatency; repeat for several hubs
    #[arg(long = "hub-location", value_name = "HUB=REGION", value_parser = hub_location)]
    pub hub_locations: Vec<(String, String)>,
    /// Client networks and their regions, for the policy geoLatency; docs/reference/allocation.md has the form
    #[arg(long, value_name = "FILE")]
    pub regions: Option<PathBuf>,
    /// Measured latencies from regions to hubs; they win over distances
    #[arg(long, value_name = "FILE")]
    pub latencies: Option<PathBuf>,
    /// Throttles and quotas: azure, self-hosted or none
    #[arg(long, value_name = "PROFILE", default_value = "self-hosted", value_parser = profile)]
    pub limits: Profile,
    /// An OIDC provider whose access tokens the APIs accept, as a TOML file; repeat for more providers
    #[arg(long = "identity-provider", value_name = "FILE")]
    pub identity_providers: Vec<PathBuf>,
    /// Provision a few devices after the start, and end
    #[arg(long)]
    pub demo: bool,
}

/// Options of `muster serve`.
#[derive(clap::Args, Clone)]
pub struct ServeOptions {
    /// The file of settings; docs/reference/configuration.md lists every key
    #[arg(long, value_name = "FILE", default_value = "/etc/muster/muster.toml")]
    pub config: PathBuf,
}

/// Commands of `muster config`.
#[derive(clap::Subcommand)]
pub enum ConfigCommand {
    /// Tell every mistake with its line and column; exit status 1 when there is one
    #[command(after_help = "Examples:
  muster config check /etc/muster/muster.toml
  muster config check --online /etc/muster/muster.toml")]
    Check {
        /// The file
        file: PathBuf,
        /// Ask every linked hub too
        #[arg(long)]
        online: bool,
    },
    /// Show the settings in effect, defaults filled in, secrets masked
    #[command(after_help = "Example:
  muster config print /etc/muster/muster.toml")]
    Print {
        /// The file
        file: PathBuf,
    },
    /// Print the page of every table and key
    #[command(after_help = "Example:
  muster config reference")]
    Reference,
}

/// Options of `muster health`.
#[derive(clap::Args, Clone)]
pub struct HealthOptions {
    /// What is asked
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080/health/ready")]
    pub url: String,
}

/// Options of `muster demo`.
#[derive(clap::Args, Clone)]
pub struct DemoOptions {
    /// Keep store, dev CA, keys and logs here [default: a folder that is removed at the end]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

impl DemoOptions {
    /// The same as options of `muster dev`: free ports, so that the demo runs beside anything.
    pub fn into_dev(self) -> DevOptions {
        DevOptions {
            data_dir: self.data_dir.unwrap_or_default(),
            hosts: vec!["localhost".to_owned()],
            bind: IpAddr::from([127, 0, 0, 1]),
            https_port: Some(0),
            mqtt_port: 0,
            amqp_port: 0,
            http_port: 0,
            hubs: Vec::new(),
            hub_locations: Vec::new(),
            regions: None,
            latencies: None,
            limits: Profile::SelfHosted,
            identity_providers: Vec::new(),
            demo: true,
        }
    }
}

/// A host name or an address as certificates hold it: an IPv6 address without brackets, no port.
fn host(text: &str) -> Result<String, String> {
    let bare = text.strip_prefix('[').and_then(|inside| inside.strip_suffix(']')).unwrap_or(text);
    if bare.parse::<IpAddr>().is_err() && bare.contains(':') {
        return Err("write the name without a port; --https-port and its like have it".to_owned());
    }
    dps_model::HubName::parse(bare).map_err(|error| error.to_string())?;
    Ok(bare.to_owned())
}

/// A hub's host name. The port that a connection string may give it is dropped: names have none.
fn hub(text: &str) -> Result<String, String> {
    let bare = match text.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() && text.parse::<Ipv6Addr>().is_err() => name,
        _ => text,
    };
    host(bare)
}

fn hub_location(text: &str) -> Result<(String, String), String> {
    let (name, region) = text.split_once('=').ok_or("write HUB=REGION, e.g. hub-1.localhost=westeurope")?;
    if region.trim().is_empty() {
        return Err("name the region behind the =".to_owned());
    }
    Ok((hub(name)?, region.trim().to_owned()))
}

fn profile(text: &str) -> Result<Profile, String> {
    Profile::parse(text).ok_or_else(|| "use azure, self-hosted or none".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory as _, Parser as _};

    #[test]
    fn host_and_hub_names_have_no_port() {
        for (text, host, hub) in [
            ("localhost", Some("localhost"), Some("localhost")),
            ("10.0.0.7", Some("10.0.0.7"), Some("10.0.0.7")),
            ("::1", Some("::1"), Some("::1")),
            ("[::1]", Some("::1"), Some("::1")),
            ("hub.test:8443", None, Some("hub.test")),
            ("10.0.0.7:443", None, Some("10.0.0.7")),
            ("[::1]:443", None, Some("::1")),
            ("hub.test:", None, None),
            ("a name", None, None),
            ("", None, None),
        ] {
            assert_eq!(super::host(text).ok().as_deref(), host, "--host {text}");
            assert_eq!(super::hub(text).ok().as_deref(), hub, "--hub {text}");
        }
    }

    #[test]
    fn command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }

    /// The commands that have no commands of their own, with their paths.
    fn leaves(command: &Command, path: &str, found: &mut Vec<(String, String)>) {
        let path = format!("{path} {}", command.get_name());
        if command.get_subcommands().next().is_none() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            found.push((path.trim().to_owned(), help));
        }
        for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
            leaves(below, &path, found);
        }
    }

    /// As a shell cuts a line: quotes hold together, and are no quotes within others.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut within) = (Vec::new(), None::<String>, None);
        for c in line.chars() {
            match within {
                Some(quote) if c == quote => within = None,
                None if c == '"' || c == '\'' => {
                    within = Some(c);
                    word.get_or_insert_default();
                }
                None if c.is_whitespace() => words.extend(word.take()),
                _ => word.get_or_insert_default().push(c),
            }
        }
        words.extend(word);
        words
    }

    #[test]
    fn every_command_has_an_example_that_it_understands() {
        let mut found = Vec::new();
        leaves(&super::Arguments::command(), "", &mut found);
        assert!(found.len() > 40, "{} commands", found.len());
        for (path, help) in found {
            let help = help.replace("\\\n", " ");
            let examples: Vec<&str> =
                help.lines().map(str::trim).filter(|line| line.starts_with("muster ")).collect();
            assert!(!examples.is_empty(), "{path} has no example");
            for example in examples {
                assert!(example.starts_with(&path), "{example} is no example of {path}");
                if let Err(error) = super::Arguments::try_parse_from(words(example)) {
                    panic!("{example}: {error}");
                }
            }
        }
    }
}
