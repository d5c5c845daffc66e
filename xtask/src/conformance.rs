//! The official Azure SDKs, at pinned versions, against `muster dev`, and the official parser of KQL against our queries.
//!
//! Builds the binary, sees to it that the few programs around Python and Node are there, and hands over
//! to `tests/conformance/run.py`, which installs the SDKs and isolates itself, and to `tests/kql-oracle/oracle.mjs`.
//! Knows no test.

use crate::shell::{self, cargo, command, ensure_programs, output, root, run as run_command};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// Arguments of `cargo xtask conformance`.
#[derive(clap::Args)]
pub struct Options {
    /// A `muster` to test; built in the dev profile when not given.
    #[arg(long, value_name = "FILE")]
    muster: Option<PathBuf>,
    /// Passed on to `run.py`, for example `--full` or `-k NAME`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Programs the tests use, with their Debian packages.
const PROGRAMS: &[(&str, &str)] = &[
    ("python3", "python3"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("mount", "mount"),
    ("unshare", "util-linux"),
];

/// Builds `muster`, or takes the one given, and runs the tests against it.
pub fn run(options: &Options) -> Result<()> {
    // Whoever names a case is at work on it.
    if options.rest.iter().all(|argument| argument == "--full") {
        kql_oracle()?;
    }
    if options.rest.iter().any(|argument| argument == "--full") {
        random_queries()?;
    }
    if let Some(muster) = &options.muster {
        return run_against(&std::path::absolute(muster)?, &options.rest);
    }
    run_command(&mut cargo(&["build", "--locked", "-p", "muster", "--bin", "muster"]))?;
    run_against(&shell::target_dir().join("debug/muster"), &options.rest)
}

/// Runs the tests against a binary that exists.
pub fn run_against(muster: &Path, rest: &[String]) -> Result<()> {
    let script = root().join("tests/conformance/run.py");
    if !script.is_file() {
        bail!("tests/conformance/run.py is missing");
    }
    if !muster.is_file() {
        bail!("there is no muster at {}", muster.display());
    }
    ensure_programs(PROGRAMS)?;
    ensure_venv()?;
    run_command(command("python3").arg(script).arg("--muster").arg(muster).args(rest))
}

/// Asks the official parser about every query of the tests; all of them take it some seconds.
pub fn kql_oracle() -> Result<()> {
    ensure_programs(&[("node", "nodejs"), ("npm", "npm")])?;
    run_command(command("node").arg(root().join("tests/kql-oracle/oracle.mjs")))
}

/// Random queries of KQL, of which the tests of CI take a sample of 300.
fn random_queries() -> Result<()> {
    // As the tests build it: alone, the engine would be compiled with other features once more.
    let mut test = cargo(&["test", "--locked", "--workspace", "--test", "it", "random_query"]);
    run_command(test.env("MUSTER_RANDOM_QUERIES", "3000"))
}

/// Debian keeps the part of Python that makes virtual environments in a package of its own.
pub fn ensure_venv() -> Result<()> {
    if output(command("python3").args(["-c", "import venv, ensurepip"])).is_some() {
        return Ok(());
    }
    if !shell::is_root() || shell::which("apt-get").is_none() {
        bail!("python3 cannot make virtual environments; install its venv module (Debian: python3-venv)");
    }
    shell::apt_install(&["python3-venv"])
}
