//! The official Azure SDKs, at pinned versions, against `muster dev`.
//!
//! Prepares what `tests/conformance/run.py` needs (a virtual environment, npm packages, a few Debian
//! programs, the binary) and hands over. Knows no test.

use crate::shell::{self, cargo, command, ensure_programs, output, root, run as run_command};
use anyhow::{Context, Result, bail};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// Arguments of `cargo xtask conformance`.
#[derive(clap::Args)]
pub struct Options {
    /// A `muster` to test; built in the dev profile when not given.
    #[arg(long, value_name = "FILE")]
    muster: Option<PathBuf>,
    /// Passed on to `run.py`, for example `--full`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Programs the tests use beside Python and Node, with their Debian packages.
const PROGRAMS: &[(&str, &str)] = &[("openssl", "openssl"), ("ip", "iproute2"), ("unshare", "util-linux")];

/// Builds `muster`, or takes the one given, and runs the tests against it.
pub fn run(options: &Options) -> Result<()> {
    if let Some(muster) = &options.muster {
        let muster = std::path::absolute(muster)?;
        return run_against(&muster, &options.rest);
    }
    run_command(&mut cargo(&["build", "--locked", "-p", "muster", "--bin", "muster"]))?;
    run_against(&shell::target_dir().join("debug/muster"), &options.rest)
}

/// Runs the tests against a binary that exists.
pub fn run_against(muster: &Path, rest: &[String]) -> Result<()> {
    let folder = root().join("tests/conformance");
    if !folder.join("run.py").is_file() {
        bail!("tests/conformance/run.py is missing");
    }
    if !muster.is_file() {
        bail!("there is no muster at {}", muster.display());
    }
    ensure_programs(PROGRAMS)?;
    let python = python_environment(&folder)?;
    node_packages(&folder)?;
    run_command(command(python).arg(folder.join("run.py")).arg("--muster").arg(muster).args(rest))
}

/// A virtual environment with the pinned requirements; remade only when they change.
fn python_environment(folder: &Path) -> Result<PathBuf> {
    let environment = folder.join(".venv");
    let python = environment.join("bin/python");
    let requirements = folder.join("requirements.txt");
    let stamp = environment.join("requirements.stamp");
    let system = output(command("python3").arg("--version")).context("python3 is missing")?;
    let wanted = fingerprint(&requirements, &system)?;
    if python.is_file() && fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(python);
    }
    let create = || run_command(command("python3").args(["-m", "venv", "--clear"]).arg(&environment));
    if let Err(error) = create() {
        // Debian splits the module's second half into a package of its own.
        if !shell::is_root() || shell::which("apt-get").is_none() {
            return Err(error.context("python3 cannot make a virtual environment (Debian: python3-venv)"));
        }
        shell::apt_install(&["python3-venv"])?;
        create()?;
    }
    run_command(
        command(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(&requirements),
    )?;
    fs::write(&stamp, wanted)?;
    Ok(python)
}

/// `npm ci` from the committed lock file; run again only when that changes.
fn node_packages(folder: &Path) -> Result<()> {
    let lock = folder.join("package-lock.json");
    let stamp = folder.join("node_modules/.muster-stamp");
    let version = output(command("node").arg("--version")).context("node is missing")?;
    let wanted = fingerprint(&lock, &version)?;
    if fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(());
    }
    run_command(
        command("npm").args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(folder),
    )?;
    fs::write(&stamp, wanted)?;
    Ok(())
}

/// Changes when the file does, or the tool that reads it.
fn fingerprint(file: &Path, tool: &str) -> Result<String> {
    let content = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut hasher = DefaultHasher::new();
    (content, tool.trim()).hash(&mut hasher);
    Ok(format!("{:016x}", hasher.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_depends_on_the_tool_and_is_stable() {
        let file = root().join("Cargo.lock");
        let one = fingerprint(&file, "Python 3.11.7\n").unwrap();
        assert_eq!(one, fingerprint(&file, "Python 3.11.7").unwrap());
        assert_ne!(one, fingerprint(&file, "Python 3.12.0").unwrap());
    }

    #[test]
    fn fingerprint_of_a_missing_file_is_an_error_that_names_it() {
        let error = fingerprint(Path::new("no-such-lock"), "x").unwrap_err();
        assert!(error.to_string().contains("no-such-lock"));
    }
}
