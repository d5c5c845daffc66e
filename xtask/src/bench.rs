//! Measurements over real sockets, and of the query engine, in the release profile. No number here decides whether CI
//! passes.

use crate::conformance::ensure_venv;
use crate::shell::{cargo, command, root, run as run_command, target_dir};
use anyhow::Result;

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
pub struct Options {
    /// Passed on to `muster-bench`: a measurement's name and its options; nothing runs all. `kql` and its options are
    /// passed on to `benches/kql`, whose query engine takes long to build.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Builds server and measuring program, then hands over.
pub fn run(options: &Options) -> Result<()> {
    if let Some((first, rest)) = options.rest.split_first()
        && first == "kql"
    {
        return queries(rest);
    }
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

/// KQL beside `DuckDB`, of the pinned version of `PyPI`.
fn queries(rest: &[String]) -> Result<()> {
    let example = ["--example", "fleet_queries"];
    run_command(cargo(&["build", "--release", "--locked", "-p", "dps-query"]).args(example))?;
    ensure_venv()?;
    let bench = root().join("benches/kql");
    let venv = target_dir().join("kql-bench-venv");
    run_command(command("python3").args(["-m", "venv"]).arg(&venv))?;
    let python = venv.join("bin/python");
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    run_command(command(&python).args(install).arg(bench.join("requirements.txt")))?;
    let program = target_dir().join("release/examples/fleet_queries");
    run_command(command(&python).arg(bench.join("bench.py")).arg("--program").arg(program).args(rest))
}
