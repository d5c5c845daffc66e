//! The commands that watch a provisioning service: its logs, its metrics and its alerts, asked in the words of Azure Monitor's APIs.
//!
//! Owns options, what is printed and exit statuses, with the connection and the habits of the fleet commands. Must not
//! know the server: it may run elsewhere, and may be Azure's own.

mod alerts;
pub mod duration;
mod limits;
mod logs;
mod metrics;
mod output;

use crate::fleet::{Failure, until_interrupted};

/// What to watch.
#[derive(clap::Subcommand)]
pub enum WatchCommand {
    /// Log queries: query, tail
    #[command(subcommand)]
    Logs(Box<logs::Command>),
    /// Metrics: list, show
    #[command(subcommand)]
    Metrics(Box<metrics::Command>),
    /// Alerts: list, show, acknowledge, close, history; their rules, whom they tell, and built-in rules
    #[command(subcommand)]
    Alert(Box<alerts::Command>),
}

/// Runs one of the commands, until Ctrl-C; for `tail` that is a good end.
pub async fn run(command: WatchCommand) -> Result<(), Failure> {
    let is_endless = matches!(&command, WatchCommand::Logs(command) if command.is_endless());
    match until_interrupted(dispatch(command)).await {
        Err(Failure::Interrupted) if is_endless => Ok(()),
        ended => ended,
    }
}

async fn dispatch(command: WatchCommand) -> Result<(), Failure> {
    match command {
        WatchCommand::Logs(command) => logs::run(*command).await,
        WatchCommand::Metrics(command) => metrics::run(*command).await,
        WatchCommand::Alert(command) => alerts::run(*command).await,
    }
}
