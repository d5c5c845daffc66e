//! The command line. Owns names, defaults and help; must not know what the commands do.

use std::net::IpAddr;
use std::path::PathBuf;

use dps_model::limits::Profile;

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
    Dev(DevOptions),
    /// Start the same on free ports, provision a few devices and show what happens
    Demo(DemoOptions),
}

/// Options of `muster dev`.
#[derive(clap::Args, Clone)]
pub struct DevOptions {
    /// Store, dev CA, keys and logs; created when missing, reused when present
    #[arg(long, value_name = "DIR", default_value = "./muster-data")]
    pub data_dir: PathBuf,
    /// Host name in the server certificate, in connection strings and in assignedHub; repeat for more names
    #[arg(long = "host", value_name = "NAME", default_value = "localhost")]
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
    #[arg(long = "hub", value_name = "NAME")]
    pub hubs: Vec<String>,
    /// Throttles and quotas: azure, self-hosted or none
    #[arg(long, value_name = "PROFILE", default_value = "self-hosted", value_parser = profile)]
    pub limits: Profile,
    /// Provision a few devices after the start, and end
    #[arg(long)]
    pub demo: bool,
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
            limits: Profile::SelfHosted,
            demo: true,
        }
    }
}

fn profile(text: &str) -> Result<Profile, String> {
    Profile::parse(text).ok_or_else(|| "use azure, self-hosted or none".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}
