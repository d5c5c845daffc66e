//! The commands that find out what a device met, or would meet: its causes, its timeline, attempts, rehearsals, the inbox.
//!
//! Owns options, what is printed and exit statuses, with the connection and the habits of the fleet commands. Must not
//! know the server: it may run elsewhere.

mod attempt;
mod attempts;
mod catalogue;
mod inbox;
mod rehearsal;
mod timeline;

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
  muster causes --query X509_CHAIN_INCOMPLETE")]
    Causes(catalogue::CausesOptions),
    /// Devices that asked and that no enrollment knows: list, show, accept, ignore, delete
    #[command(subcommand)]
    Inbox(Box<inbox::Command>),
    /// Tell what would happen to a device, step by step, without writing anything; exit status 1 when it would get no hub
    #[command(after_help = "Examples:
  muster test --cert leaf.pem --chain intermediate.pem
  muster test --registration-id robot-42 --key @device.key --proposed group.json
  muster test --registration-id robot-42 --last-shown
  muster test --sas @device.token --from 203.0.113.7 -o json")]
    Test(Box<rehearsal::TestOptions>),
    /// Tell what happened to a device, from its first connection to the hub, and what is missing
    #[command(after_help = "Examples:
  muster timeline robot-42
  muster timeline robot-42 --from 2026-11-29T08:00:00Z -o json")]
    Timeline(Box<timeline::TimelineOptions>),
    /// List attempts, assignments, calls and refused connections, newest first, or as they come
    #[command(after_help = "Examples:
  muster attempts --refused --top 20
  muster attempts --registration-id robot-42
  muster attempts --refused --follow")]
    Attempts(Box<attempts::AttemptsOptions>),
}

/// Runs one of the commands, until Ctrl-C.
pub async fn run(command: DiagnoseCommand) -> Result<(), Failure> {
    let is_endless = matches!(&command, DiagnoseCommand::Attempts(options) if options.is_endless());
    match until_interrupted(dispatch(command)).await {
        Err(Failure::Interrupted) if is_endless => Ok(()),
        ended => ended,
    }
}

async fn dispatch(command: DiagnoseCommand) -> Result<(), Failure> {
    match command {
        DiagnoseCommand::Diagnose(options) => attempt::run(options).await,
        DiagnoseCommand::Causes(options) => catalogue::run(&options),
        DiagnoseCommand::Inbox(command) => inbox::run(*command).await,
        DiagnoseCommand::Test(options) => rehearsal::run(*options).await,
        DiagnoseCommand::Timeline(options) => timeline::run(*options).await,
        DiagnoseCommand::Attempts(options) => attempts::run(*options).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    /// What mends a cause is meant to be pasted: each command and option that a rule names is one of this program.
    #[test]
    fn commands_of_the_rules_exist() {
        let rules = [
            include_str!("../../../dps-explain/src/rules/attempt.rs"),
            include_str!("../../../dps-explain/src/rules/assignment.rs"),
            include_str!("../../../dps-explain/src/rules/sas.rs"),
            include_str!("../../../dps-explain/src/rules/tpm.rs"),
            include_str!("../../../dps-explain/src/rules/unknown.rs"),
            include_str!("../../../dps-explain/src/rules/x509.rs"),
        ];
        let text = rules.concat().replace("\\\n", " ");
        let mut seen = 0;
        for command in text.split("muster ").skip(1) {
            let command = command.split(['"', '&', '`', '|']).next().unwrap();
            let mut words = command.split_whitespace().peekable();
            let mut found = crate::cli::Arguments::command();
            found.build();
            while let Some(next) = words.peek().and_then(|word| found.find_subcommand(word)).cloned() {
                (found, _) = (next, words.next());
            }
            // A placeholder of format! stands for a command or an option that is said elsewhere.
            if words.peek().is_some_and(|word| word.starts_with('{')) {
                continue;
            }
            assert!(found.get_name() != "muster", "no command: muster {command}");
            for option in words.filter_map(|word| word.strip_prefix("--")) {
                let known = found.get_arguments().any(|argument| {
                    argument.get_long() == Some(option)
                        || argument.get_all_aliases().is_some_and(|aliases| aliases.contains(&option))
                });
                assert!(known, "muster {}: no option --{option}", found.get_name());
            }
            seen += 1;
        }
        assert!(seen > 12, "{seen}");
    }
}
