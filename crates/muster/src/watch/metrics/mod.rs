//! `muster metrics`: what a provisioning service counts, over the metrics API. Owns what is asked and what is printed; must
//! not know how anything is counted.

mod answer;
mod chart;
mod definition;
mod list;
mod question;
mod show;

use crate::fleet::Failure;

/// Metrics.
#[derive(clap::Subcommand)]
pub enum Command {
    /// List the metrics that there are, with their aggregations and dimensions
    #[command(after_help = "Examples:
  muster metrics list
  muster metrics list --namespace Microsoft.Devices/provisioningServices -o json")]
    List(list::ListOptions),
    /// Show the values of a metric: a chart on a terminal, or rows
    #[command(after_help = "Examples:
  muster metrics show AttestationAttempts
  muster metrics show AttestationAttempts --timespan 1d --interval 1h --split Status,Protocol
  muster metrics show RegistrationAttempts --filter \"Status eq 'ClientError'\" --split IotHubName -o csv")]
    Show(show::ShowOptions),
}

/// Runs one of the commands.
pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::List(options) => list::run(&options).await,
        Command::Show(options) => show::run(&options).await,
    }
}
