//! Measurements over real sockets, in the release profile. No number here decides whether CI passes.

use crate::shell::{cargo, command, run as run_command, target_dir};
use anyhow::Result;

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
pub struct Options {
    /// Passed on to `muster-bench`: a measurement's name and its options; nothing runs all.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Builds server and measuring program, then hands over.
pub fn run(options: &Options) -> Result<()> {
    run_command(&mut cargo(&[
        "build",
        "--release",
        "--locked",
        "-p",
        "muster",
        "-p",
        "muster-bench",
        "--no-default-features",
    ]))?;
    let release = target_dir().join("release");
    run_command(
        command(release.join("muster-bench")).env("MUSTER_BIN", release.join("muster")).args(&options.rest),
    )
}
