//! The commands that find out what a device met, or would meet: its causes, rehearsals.
//!
//! Owns options, what is printed and exit statuses, with the connection and the habits of the fleet commands. Must not
//! know the server: it may run elsewhere.

mod attempt;
mod catalogue;
mod rehearsal;

use crate::fleet::{Failure, until_interrupted};

/// What to find out.
#[derive(clap::Subcommand)]
pub enum DiagnoseCommand {
    /// Tell why a device was refused, or how it fared last: causes, evidence, what mends it; exit status 3 when nothing of it is on record
    #[command(after_help = "Examples:
  muster diagnose robot-42
  muster diagnose 66212eff-faae-404e-9826-6d7c1436fe8f
  muster diagnose --last")]
    Diagnose(attempt::DiagnoseOptions),
    /// List the causes that a refusal may have, or tell one with its query; asks no server
    #[command(after_help = "Examples:
  muster causes
  muster causes SAS_GROUP_KEY_USED
  muster causes --query X509_CHAIN_INCOMPLETE | muster logs query -")]
    Causes(catalogue::CausesOptions),
    /// Tell what would happen to a device, step by step, without writing anything; exit status 1 when it would get no hub
    #[command(after_help = "Examples:
  muster test --cert leaf.pem --chain intermediate.pem
  muster test --registration-id robot-42 --key @device.key --proposed group.json
  muster test --sas @device.token --from 203.0.113.7 -o json")]
    Test(Box<rehearsal::TestOptions>),
}

/// Runs one of the commands, until Ctrl-C.
pub async fn run(command: DiagnoseCommand) -> Result<(), Failure> {
    until_interrupted(dispatch(command)).await
}

async fn dispatch(command: DiagnoseCommand) -> Result<(), Failure> {
    match command {
        DiagnoseCommand::Diagnose(options) => attempt::run(options).await,
        DiagnoseCommand::Causes(options) => catalogue::run(&options),
        DiagnoseCommand::Test(options) => rehearsal::run(*options).await,
    }
}
