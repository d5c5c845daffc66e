//! `muster doctor`: the network from a device's side, step by step, each with what it found and what to do. Works on any
//! provisioning service, Azure's own included. Owns options and the order of the steps; must not know the server.

#![allow(clippy::doc_markdown)] // comments of options are the help's text

mod handshake;
mod http;
mod identity;
mod limits;
mod registration;
mod report;
mod route;
mod visit;

use std::path::PathBuf;

use anyhow::Context as _;
use rustls_pki_types::ServerName;

use self::handshake::Trust;
use self::registration::Credential;
use self::report::{Check, Report};
use self::route::{Proxy, Way};
use self::visit::{Port, Visit};
use crate::config::environment;
use crate::dev::env_file;
use crate::fleet::Failure;
use crate::fleet::output::Form;

/// Where devices find Azure's service.
const AZURE: &str = "global.azure-devices-provisioning.net";

/// Options of `muster doctor`.
#[derive(clap::Args)]
pub struct DoctorOptions {
    /// Host of the provisioning service [default: from --dev-env, else Azure's global one]
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// HTTPS and WebSocket port [default: from --dev-env, else 443]
    #[arg(long, value_name = "N")]
    https_port: Option<u16>,
    /// MQTT port [default: from --dev-env, else 8883]
    #[arg(long, value_name = "N")]
    mqtt_port: Option<u16>,
    /// AMQP port [default: from --dev-env, else 5671]
    #[arg(long, value_name = "N")]
    amqp_port: Option<u16>,
    /// Trust these certificates (PEM) alone, as the device does [default: from --dev-env, else the machine's]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Take host, ports, ID scope and CA from the dev.env of a `muster dev` on this machine
    #[arg(long, value_name = "FILE")]
    dev_env: Option<PathBuf>,
    /// Leave the registration out
    #[arg(long)]
    no_register: bool,
    #[command(flatten)]
    credential: Credential,
    /// Form of the output [default: table on a terminal, else json]
    #[arg(long, short, value_name = "FORM")]
    output: Option<Form>,
}

/// Looks at everything; a failure when a step failed.
pub async fn run(options: DoctorOptions) -> Result<(), Failure> {
    let place = Place::of(&options)?;
    let mut report = Report::new(options.output, &place.host);
    let proxy = Proxy::of_environment(environment::variable, &place.host);
    let way = match &proxy {
        Ok(None) => Way::Direct,
        Ok(Some(proxy)) => {
            let found = format!(
                "HTTPS and WebSockets go through the proxy {}; MQTT and AMQP on their own ports do not",
                proxy.shown()
            );
            report.add(Check::ok("proxy", &place.host, found))?;
            Way::Proxy(proxy.clone())
        }
        Err(why) => {
            let advice = "name an HTTP proxy, or unset the variable";
            report.add(Check::failed("proxy", &place.host, why.clone(), advice).but_a_warning())?;
            Way::Direct
        }
    };
    let mut visit = Visit::new(place.host.clone(), place.name.clone(), place.trust.clone(), way.clone());
    visit.name_server(&mut report).await?;
    for port in [Port::Https(place.https), Port::Mqtt(place.mqtt), Port::Amqp(place.amqp)] {
        visit.port(port, &mut report).await?;
    }
    visit.compare(&mut report)?;
    let host = &place.host;
    let check = if options.no_register {
        Check::skipped("registration", host, "left out, as --no-register says")
    } else {
        let reach = visit.reach(place.https, place.mqtt, &report);
        options.credential.register(&place, reach, way).await
    };
    report.add(check)?;
    report.end()
}

/// Where the service is, and whom the device believes.
struct Place {
    host: String,
    name: ServerName<'static>,
    https: u16,
    mqtt: u16,
    amqp: u16,
    id_scope: Option<String>,
    roots: Option<Vec<u8>>,
    trust: Trust,
}

impl Place {
    fn of(options: &DoctorOptions) -> Result<Self, Failure> {
        let env = match &options.dev_env {
            Some(path) => {
                let text = std::fs::read_to_string(path).with_context(|| {
                    format!("{} cannot be read; is `muster dev` running?", path.display())
                })?;
                env_file::pairs(&text)
                    .with_context(|| format!("{} is no dev.env: a line has no =", path.display()))?
            }
            None => std::collections::HashMap::new(),
        };
        let port = |said: Option<u16>, key: &str, usual: u16| match (said, env.get(key)) {
            (Some(port), _) => Ok(port),
            (None, Some(text)) => text.parse().with_context(|| format!("{key} in dev.env is no port")),
            (None, None) => Ok(usual),
        };
        let said = options.host.clone().or_else(|| env.get("MUSTER_DEVICE_HOST").cloned());
        let host = said.unwrap_or_else(|| AZURE.to_owned()).trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host.clone()).map_err(|_| {
            Failure::Usage(format!(
                "{host:?} is no host name: write a name or an address, without scheme and port"
            ))
        })?;
        let roots = options.ca.clone().or_else(|| env.get("MUSTER_CA_FILE").map(PathBuf::from));
        let read = |path: PathBuf| {
            std::fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))
        };
        let roots = roots.map(read).transpose()?;
        Ok(Self {
            name,
            https: port(options.https_port, "MUSTER_HTTPS_PORT", 443)?,
            mqtt: port(options.mqtt_port, "MUSTER_MQTT_PORT", 8883)?,
            amqp: port(options.amqp_port, "MUSTER_AMQP_PORT", 5671)?,
            id_scope: env.get("MUSTER_ID_SCOPE").cloned(),
            trust: Trust::new(roots.as_deref())?,
            roots,
            host,
        })
    }
}
