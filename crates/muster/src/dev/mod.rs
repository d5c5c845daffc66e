//! `muster dev`: everything on one machine, without configuration.

mod authority;
mod clock;
pub mod commands;
mod control;
mod controls;
pub mod env_file;
mod faults;
mod hosting;
mod hubs;
mod identity_providers;
mod limits;
mod reset;
pub mod server;
mod settings;
pub mod terminal;

use std::sync::Arc;

use crate::cli::DevOptions;
use crate::server::process::StopSignals;

/// Runs until Ctrl-C or SIGTERM.
pub async fn run(options: DevOptions) -> anyhow::Result<()> {
    terminal::log_to_stderr();
    let mut signals = StopSignals::catch()?;
    let server = server::Server::start(&options, terminal::attempts(), Arc::new(terminal::HubLines)).await?;
    terminal::welcome(&server.env, &options);
    signals.received().await;
    terminal::farewell();
    server.stop().await
}
