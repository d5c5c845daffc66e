//! `muster logs`: KQL over the logs of a workspace or of one resource, once or as rows come. Owns what is asked and what is
//! printed; must not know KQL beyond what a condition of `tail` is.

mod answer;
mod mistake;
mod query;
mod tail;
mod workspace;

use crate::fleet::Failure;

/// Log queries.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Run a query in KQL, and print its rows
    #[command(after_help = "Examples:
  muster logs query 'AzureDiagnostics | take 10'
  muster logs query --timespan 1d -o csv 'AzureDiagnostics | summarize count() by ResultType'
  muster logs query --file failures.kql")]
    Query(query::QueryOptions),
    /// Print rows as they come, until Ctrl-C
    #[command(after_help = "Examples:
  muster logs tail
  muster logs tail --since 10m --where 'ResultType != \"Success\"'
  muster logs tail --table AzureActivity -o jsonl")]
    Tail(tail::TailOptions),
}

impl Command {
    /// Does it end by Ctrl-C alone?
    pub const fn is_endless(&self) -> bool {
        matches!(self, Self::Tail(_))
    }
}

/// Runs one of the commands.
pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Query(options) => query::run(&options).await,
        Command::Tail(options) => tail::run(&options).await,
    }
}
