//! The binary: command line, data directory, wiring of the rooms, shutdown.
//!
//! Owns what belongs to the process as a whole: signals, file limits, the terminal. Must not know how any room does its
//! work.

mod cli;
mod config;
mod demo;
mod dev;
mod device;
mod diagnose;
mod doctor;
mod explain_code;
mod fleet;
mod health;
mod serve;
mod server;
mod watch;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    let Err(error) = run(arguments.command) else { return ExitCode::SUCCESS };
    // The commands that manage a fleet tell scripts what went wrong.
    let status = error.downcast_ref::<fleet::Failure>().map_or(1, fleet::Failure::exit_status);
    if status != 0 {
        // One clear line: what was tried, and why it failed.
        eprintln!("muster: {error:#}");
    }
    ExitCode::from(status)
}

fn run(command: cli::Command) -> anyhow::Result<()> {
    // The provider may be set by nobody else before: this is the first thing the process does.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    server::process::raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match command {
        cli::Command::Dev(command) => match command.control {
            Some(control) => Ok(runtime.block_on(fleet::until_interrupted(dev::commands::run(control)))?),
            None if command.start.demo => runtime.block_on(demo::run(command.start)),
            None => runtime.block_on(dev::run(command.start)),
        },
        cli::Command::Serve(options) => runtime.block_on(serve::run(&options)),
        cli::Command::Config(command) => runtime.block_on(serve::config(&command)),
        cli::Command::Health(options) => runtime.block_on(health::run(&options)),
        cli::Command::Device(command) => runtime.block_on(device::run(*command)),
        cli::Command::Doctor(options) => {
            Ok(runtime.block_on(fleet::until_interrupted(doctor::run(*options)))?)
        }
        cli::Command::Demo(options) => runtime.block_on(demo::run(options.into_dev())),
        cli::Command::ExplainCode(options) => explain_code::run(&options),
        cli::Command::Completions { shell } => cli::completions(shell),
        cli::Command::Fleet(command) => {
            let done = runtime.block_on(fleet::run(command));
            // What still waits for standard input is not waited for.
            runtime.shutdown_background();
            Ok(done?)
        }
        cli::Command::Watch(command) => {
            let done = runtime.block_on(watch::run(command));
            runtime.shutdown_background();
            Ok(done?)
        }
        cli::Command::Diagnose(command) => {
            let done = runtime.block_on(diagnose::run(command));
            runtime.shutdown_background();
            Ok(done?)
        }
    }
}
