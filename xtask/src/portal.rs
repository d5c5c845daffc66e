//! The portal: its pages are built from `crates/dps-portal/web` into `crates/dps-portal/dist`, and driven by a browser.
//!
//! What is committed in `dist/` is what the binary embeds, so that `cargo build` needs no Node. Owns the commands; knows
//! neither a page nor a test.

use crate::shell::{self, cargo, command, ensure_programs, root, run as run_command};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Arguments of `cargo xtask portal`.
#[derive(clap::Args)]
pub struct Options {
    /// Change nothing: fail when `dist/` is not what the sources make.
    #[arg(long)]
    check: bool,
}

/// Arguments of `cargo xtask portal-test`.
#[derive(clap::Args)]
pub struct TestOptions {
    /// A `muster` to test; built in the dev profile when not given.
    #[arg(long, value_name = "FILE")]
    muster: Option<PathBuf>,
    /// Passed on to `run.mjs`, for example `-k NAME`, `--shots FOLDER`, or `--full` for a store of a million devices.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Routes that CI's build has, and the program beside it that fills stores, so that no case that needs one is left out unseen.
pub const ROUTES: &str = "queries,causes,attempts,rehearsals,inbox,analysis,clock,faults,seeder";

/// Programs the build uses, with their Debian packages.
const BUILD: &[(&str, &str)] = &[("node", "nodejs"), ("npm", "npm")];
/// Programs the tests use besides.
const BROWSER: &[(&str, &str)] = &[("chromium", "chromium"), ("openssl", "openssl")];

/// Builds the pages, or compares.
pub fn run(options: &Options) -> Result<()> {
    if options.check { check() } else { build(&dist()) }
}

/// Whether `dist/` is what the sources make.
pub fn check() -> Result<()> {
    let fresh = shell::target_dir().join("portal-dist");
    build(&fresh)?;
    let (made, kept) = (files(&fresh)?, files(&dist())?);
    let mut differing: Vec<&str> = made
        .iter()
        .filter(|(name, bytes)| kept.get(*name) != Some(bytes))
        .map(|(name, _)| name.as_str())
        .chain(kept.keys().filter(|name| !made.contains_key(*name)).map(String::as_str))
        .collect();
    differing.sort_unstable();
    if !differing.is_empty() {
        bail!(
            "crates/dps-portal/dist is not what its sources make: {}; run `cargo xtask portal` and commit",
            differing.join(", ")
        );
    }
    eprintln!("{} files are what their sources make", made.len());
    Ok(())
}

/// Drives the portal of a `muster`, built before when none is given.
pub fn test(options: &TestOptions) -> Result<()> {
    if let Some(muster) = &options.muster {
        return test_against(&std::path::absolute(muster)?, &options.rest);
    }
    // One call for each: features are joined over what is built together, and `muster` alone has others.
    run_command(&mut cargo(&["build", "--locked", "-p", "muster", "--bin", "muster"]))?;
    run_command(&mut cargo(&["build", "--locked", "-p", "muster-bench", "--bin", "muster-bench"]))?;
    test_against(&shell::target_dir().join("debug/muster"), &options.rest)
}

/// Drives the portal of a binary that exists.
pub fn test_against(muster: &Path, rest: &[String]) -> Result<()> {
    if !muster.is_file() {
        bail!("there is no muster at {}", muster.display());
    }
    ensure_programs(BUILD)?;
    ensure_programs(BROWSER)?;
    let folder = root().join("tests/portal");
    install(&folder)?;
    run_command(command("node").arg(folder.join("run.mjs")).arg("--muster").arg(muster).args(rest))
}

fn dist() -> PathBuf {
    root().join("crates/dps-portal/dist")
}

fn build(into: &Path) -> Result<()> {
    ensure_programs(BUILD)?;
    let web = root().join("crates/dps-portal/web");
    install(&web)?;
    let tool = |name: &str| command(web.join("node_modules/.bin").join(name));
    run_command(tool("tsc").arg("--noEmit").current_dir(&web))?;
    let mut vite = tool("vite");
    vite.args(["build", "--emptyOutDir", "--logLevel", "warn", "--outDir"]).arg(into).current_dir(&web);
    run_command(&mut vite)
}

/// What the lock file pins, without running anything of it. Not `npm ci`: it refuses a lock that lacks an optional
/// package of another system, which the registry does not have.
fn install(folder: &Path) -> Result<()> {
    let mut npm = command("npm");
    npm.args(["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(folder);
    run_command(&mut npm)
}

/// Contents by path, with `/`.
fn files(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let entries = std::fs::read_dir(&next).with_context(|| format!("cannot read {}", next.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder)?.to_string_lossy().replace('\\', "/");
            found.insert(name, std::fs::read(&path)?);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_tells_contents_by_path() {
        let folder = std::env::temp_dir().join(format!("portal-files-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("assets")).unwrap();
        std::fs::write(folder.join("index.html"), "page").unwrap();
        std::fs::write(folder.join("assets/a.js"), "script").unwrap();
        let found = files(&folder).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["assets/a.js", "index.html"]);
        assert_eq!(found["index.html"], b"page");
    }
}
