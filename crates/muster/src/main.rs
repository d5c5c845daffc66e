//! The binary: command line, data directory, wiring of the rooms, shutdown.
//!
//! Owns what belongs to the process as a whole: signals, file limits, the terminal. Must not know how any room does its
//! work.

mod cli;
mod demo;
mod dev;
mod device;
mod server;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    match run(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One clear line: what was tried, and why it failed.
            eprintln!("muster: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: cli::Command) -> anyhow::Result<()> {
    // The provider may be set by nobody else before: this is the first thing the process does.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    server::process::raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match command {
        cli::Command::Dev(options) if options.demo => runtime.block_on(demo::run(options)),
        cli::Command::Dev(options) => runtime.block_on(dev::run(options)),
        cli::Command::Device(command) => runtime.block_on(device::run(*command)),
        cli::Command::Demo(options) => runtime.block_on(demo::run(options.into_dev())),
    }
}
