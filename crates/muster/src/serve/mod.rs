//! `muster serve`: production. One file of settings, own certificates, linked hubs; no development hub, no
//! development CA.
//!
//! Owns the order of start and end, and what signals do. Must not know how a room does its work.

mod announcement;
mod certificates;
mod declared;
mod hosting;
mod kept;
mod logging;
mod server;
mod systemd;

use anyhow::{Context as _, bail};
use dps_core::ports::{Clock as _, SystemClock};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::{ConfigCommand, ServeOptions};
use crate::config::{self, Config, Read};
use logging::Logging;
use server::Server;
use systemd::Systemd;

/// Runs until SIGTERM or Ctrl-C.
pub async fn run(options: &ServeOptions) -> anyhow::Result<()> {
    let mut signals = Signals::catch()?;
    let systemd = Systemd::found();
    let (config, read) = read(options)?;
    let logging = Logging::start(&config.log)?;
    for warning in read.problems.warnings() {
        tracing::warn!("{warning}");
    }
    let (drain, grace) = (config.drain, config.drain_grace);
    let server = Server::start(config).await?;
    systemd.ready();
    let watchdog = systemd.watch(server.health());
    while let Asked::Reload = signals.next().await {
        systemd.reloading();
        reload(options, &read.effective, &logging, &server);
        systemd.ready();
    }
    systemd.stopping();
    tracing::info!(
        grace = grace.as_secs(),
        drain = drain.as_secs(),
        "stopping: requests in flight end first"
    );
    tokio::select! {
        ended = server.stop(grace, drain) => ended?,
        () = signals.second() => {
            tracing::warn!("ended at once by a second signal; what was admitted is on disk");
            std::process::exit(1);
        }
    }
    drop(watchdog);
    tracing::info!("stopped");
    Ok(())
}

/// The settings, or every mistake on standard error.
fn read(options: &ServeOptions) -> anyhow::Result<(Config, Read)> {
    let mut read = config::read(&options.config, SystemClock::new().now())?;
    let Some(config) = read.config.take() else {
        eprintln!("{}", read.problems);
        bail!("{} cannot be used", options.config.display());
    };
    Ok((config, read))
}

/// The tables that a reload takes.
const RELOADED: [&str; 2] = ["[log]", "[regions]"];

/// Takes what may change while the server runs: certificates, the log's level and file, the files of regions.
fn reload(options: &ServeOptions, effective: &str, logging: &Logging, server: &Server) {
    server.certificates().reload();
    match config::read(&options.config, SystemClock::new().now()) {
        Ok(Read { config: Some(config), effective: now, .. }) => {
            if let Err(error) = logging.change(&config.log) {
                tracing::error!("the log stays as it is: {error:#}");
            }
            server.change_regions(config.regions);
            if fixed(&now) != fixed(effective) {
                let taken = RELOADED.join(" and ");
                tracing::warn!("changes of the file besides {taken} take effect at the next start");
            }
        }
        Ok(Read { problems, .. }) => {
            for error in problems.errors() {
                tracing::error!("the settings stay as they are: {error}");
            }
        }
        Err(error) => tracing::error!("the settings stay as they are: {error:#}"),
    }
    tracing::info!("reloaded");
}

/// The settings that no reload takes.
fn fixed(effective: &str) -> String {
    let reloaded = |table: &&str| RELOADED.iter().any(|header| table.trim_start().starts_with(header));
    let tables = effective.split("\n\n").filter(|table| !reloaded(table));
    tables.collect::<Vec<_>>().join("\n\n")
}

/// Runs `muster config …`.
pub async fn config(command: &ConfigCommand) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Reference => print!("{}", config::reference()),
        ConfigCommand::Print { file } => {
            let read = config::read(file, SystemClock::new().now())?;
            eprint!("{}", lines(&read.problems.to_string()));
            if read.config.is_none() {
                bail!("{} cannot be used", file.display());
            }
            print!("{}", read.effective);
        }
        ConfigCommand::Check { file, online } => {
            let read = config::read(file, SystemClock::new().now())?;
            eprint!("{}", lines(&read.problems.to_string()));
            let Some(config) = read.config else { bail!("{} cannot be used", file.display()) };
            let silent = if *online { server::probe_hubs(&config).await? } else { Vec::new() };
            eprint!("{}", lines(&silent.join("\n")));
            if !silent.is_empty() {
                bail!("{} of the linked hubs cannot be used", silent.len());
            }
            println!("{} is well: {}", file.display(), summary(&config));
        }
    }
    Ok(())
}

fn lines(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{text}\n") }
}

fn summary(config: &Config) -> String {
    let hubs: usize = config.instances.iter().map(|instance| instance.hubs.len()).sum();
    let (instances, certificates) = (config.instances.len(), config.certificates.len());
    format!("{instances} instances, {hubs} linked hubs, {certificates} server certificates")
}

/// What a signal asks for.
enum Asked {
    Reload,
    End,
}

/// Caught from the first moment on, so that none ends the process by default.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn catch() -> anyhow::Result<Self> {
        let catch = |kind| signal(kind).context("cannot catch signals");
        Ok(Self {
            interrupt: catch(SignalKind::interrupt())?,
            terminate: catch(SignalKind::terminate())?,
            hangup: catch(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            biased;
            () = ended(&mut self.interrupt, &mut self.terminate) => Asked::End,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }

    async fn second(&mut self) {
        ended(&mut self.interrupt, &mut self.terminate).await;
    }
}

async fn ended(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
