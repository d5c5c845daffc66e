//! Coverage-guided fuzzing of everything that reads bytes from the network. Never part of CI.

use crate::shell::{command, output, root, run as run_command, which};
use anyhow::{Context, Result, bail};
use std::process::Command;

/// Arguments of `cargo xtask fuzz`.
#[derive(clap::Args)]
pub struct Options {
    /// One target; all of them in turn when not given.
    target: Option<String>,
    /// How long each target runs.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// Runs one target or all of them for a bounded time.
pub fn run(options: &Options) -> Result<()> {
    if !root().join("fuzz/Cargo.toml").is_file() {
        bail!("fuzz/Cargo.toml is missing");
    }
    ensure_tools()?;
    let listed = output(nightly().args(["fuzz", "list"])).context("`cargo fuzz list` failed")?;
    let targets: Vec<&str> = listed.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let chosen = choose(&targets, options.target.as_deref())?;
    for target in chosen {
        let mut fuzz = nightly();
        fuzz.args(["fuzz", "run", target]);
        // libFuzzer writes what it learns to the first folder and only reads the second.
        fuzz.arg(format!("fuzz/corpus/{target}"));
        std::fs::create_dir_all(root().join("fuzz/corpus").join(target))?;
        let seeds = format!("fuzz/seeds/{target}");
        if root().join(&seeds).is_dir() {
            fuzz.arg(seeds);
        }
        fuzz.args([
            "--",
            &format!("-max_total_time={}", options.seconds),
            "-timeout=10",
            "-rss_limit_mb=4096",
        ]);
        run_command(&mut fuzz)?;
    }
    Ok(())
}

/// The targets to run; a name that does not exist is answered with those that do.
fn choose<'a>(targets: &[&'a str], wanted: Option<&str>) -> Result<Vec<&'a str>> {
    let chosen: Vec<&str> = match wanted {
        None => targets.to_vec(),
        Some(name) => targets.iter().filter(|target| **target == name).copied().collect(),
    };
    if chosen.is_empty() {
        bail!("no such fuzz target; there are: {}", targets.join(", "));
    }
    Ok(chosen)
}

fn ensure_tools() -> Result<()> {
    if which("rustup").is_none() || output(nightly().arg("--version")).is_none() {
        bail!("fuzzing needs the nightly toolchain: `rustup toolchain install nightly`");
    }
    if output(nightly().args(["fuzz", "--version"])).is_none() {
        run_command(nightly().args(["install", "--locked", "cargo-fuzz"]))?;
    }
    Ok(())
}

/// Cargo of the nightly toolchain, whatever this repository pins.
fn nightly() -> Command {
    let mut cargo = command("rustup");
    cargo.args(["run", "nightly", "cargo"]);
    // What the pinned toolchain's cargo has set for its children would lead back to it.
    for name in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        cargo.env_remove(name);
    }
    cargo
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choose_without_a_name_takes_all() {
        assert_eq!(choose(&["mqtt", "sas"], None).unwrap(), ["mqtt", "sas"]);
    }

    #[test]
    fn choose_with_a_name_takes_that_one() {
        assert_eq!(choose(&["mqtt", "sas"], Some("sas")).unwrap(), ["sas"]);
    }

    #[test]
    fn choose_with_an_unknown_name_lists_those_there_are() {
        let error = choose(&["mqtt", "sas"], Some("tls")).unwrap_err();
        assert!(error.to_string().contains("mqtt, sas"));
    }
}
