//! `muster dev` as a measured server. Owns its start from a data directory and what it announces there.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use dps_model::IdScope;
use dps_model::connection_string::ConnectionString;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::process::Process;

/// How long a start may take; a store of a million enrollments is opened in much less.
const START: Duration = Duration::from_mins(1);

/// A running server.
pub struct Muster {
    /// The process.
    pub process: Process,
    /// Its data directory.
    pub data_dir: PathBuf,
    env: HashMap<String, String>,
}

impl Muster {
    /// Starts a server on free ports, with throttles off, and waits for `dev.env`.
    pub async fn start(program: &Path, data_dir: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        command.arg("dev").arg("--data-dir").arg(data_dir);
        for port in ["--https-port", "--mqtt-port", "--amqp-port", "--http-port"] {
            command.args([port, "0"]);
        }
        command.args(["--limits", "none"]).stdin(Stdio::null()).stdout(Stdio::null());
        let announced = data_dir.join("dev.env");
        // Of a process that was ended before it could tidy up: its ports are nobody's now.
        let _ = std::fs::remove_file(&announced);
        let mut process = Process::start("muster", &mut command)?;
        let text = timeout(START, async {
            loop {
                match std::fs::read_to_string(&announced) {
                    Ok(text) => return anyhow::Ok(text),
                    Err(_) => process.alive()?,
                }
                sleep(Duration::from_millis(20)).await;
            }
        });
        let text = text.await.context("muster did not start in time")??;
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        let env = pairs.map(|(key, value)| (key.to_owned(), value.trim_matches('\'').to_owned())).collect();
        Ok(Self { process, data_dir: data_dir.to_owned(), env })
    }

    /// Starts once so that the data directory is as the server makes it, and stops; answers id scope and instance.
    pub async fn prepare(program: &Path, data_dir: &Path) -> Result<(IdScope, String)> {
        let server = Self::start(program, data_dir).await?;
        let facts = (server.id_scope()?, server.instance()?);
        server.stop().await?;
        Ok(facts)
    }

    /// Asks it to end, and waits.
    pub async fn stop(self) -> Result<()> {
        self.process.stop().await
    }

    /// Where HTTPS is.
    pub fn https(&self) -> Result<SocketAddr> {
        self.address("MUSTER_HTTPS_PORT")
    }

    /// Where MQTT over TLS is.
    pub fn mqtt(&self) -> Result<SocketAddr> {
        self.address("MUSTER_MQTT_PORT")
    }

    /// Where AMQP over TLS is.
    pub fn amqp(&self) -> Result<SocketAddr> {
        self.address("MUSTER_AMQP_PORT")
    }

    /// The default instance's id scope.
    pub fn id_scope(&self) -> Result<IdScope> {
        IdScope::parse(self.get("MUSTER_ID_SCOPE")?).context("the id scope of dev.env")
    }

    /// The owner's connection string of the service API.
    pub fn service(&self) -> Result<ConnectionString> {
        ConnectionString::parse(self.get("MUSTER_SERVICE_CONNECTION_STRING")?)
            .context("the service connection string of dev.env")
    }

    /// The default instance's name.
    fn instance(&self) -> Result<String> {
        let resource = self.get("MUSTER_RESOURCE_ID")?;
        Ok(resource.rsplit('/').next().unwrap_or_default().to_owned())
    }

    fn address(&self, key: &str) -> Result<SocketAddr> {
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, self.get(key)?.parse()?)))
    }

    fn get(&self, key: &str) -> Result<&str> {
        self.env.get(key).map(String::as_str).with_context(|| format!("dev.env has no {key}"))
    }
}
