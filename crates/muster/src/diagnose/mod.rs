//! The commands that find out what a device met, or would meet: rehearsals.
//!
//! Owns options, what is printed and exit statuses, with the connection and the habits of the fleet commands. Must not
//! know the server: it may run elsewhere.

mod rehearsal;

use crate::fleet::{Failure, until_interrupted};

/// What to find out.
#[derive(clap::Subcommand)]
pub enum DiagnoseCommand {
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
        DiagnoseCommand::Test(options) => rehearsal::run(*options).await,
    }
}
