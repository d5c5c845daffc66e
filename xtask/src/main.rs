//! The one door to everything that is done to this repository: `cargo xtask <command>`.
//!
//! Owns the order of steps and the executable style guide (`tidy`). CI calls the same commands as a
//! developer does, so nothing but the Rust toolchain, Python 3 and Node is needed to start.
//! It knows the workspace from the outside only: no crate of ours is linked into it.

mod bench;
mod check;
mod conformance;
mod docs;
mod fuzz;
mod portal;
mod shell;
mod steps;
mod test;
mod tidy;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Commands of the Muster repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The fast lane: format, style, lints and unit tests.
    Check,
    /// Everything that CI runs.
    Test,
    /// The official Azure SDKs against `muster dev`.
    Conformance(conformance::Options),
    /// The fuzz targets, on the nightly toolchain.
    Fuzz(fuzz::Options),
    /// The measurements of docs/reference/performance.md, in the release profile.
    Bench(bench::Options),
    /// Writes the generated pages under docs/ anew.
    Docs,
    /// Builds the pages of the portal from their sources.
    Portal(portal::Options),
    /// Drives the portal of `muster dev` with a browser.
    PortalTest(portal::TestOptions),
    /// The executable style guide: edges, sizes, absences.
    Tidy,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Check => check::run(),
        Command::Test => test::run(),
        Command::Conformance(options) => conformance::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Docs => docs::run(),
        Command::Portal(options) => portal::run(&options),
        Command::PortalTest(options) => portal::test(&options),
        Command::Tidy => tidy::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
