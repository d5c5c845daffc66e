//! The steps that lanes are made of, each one call to cargo or to `tidy`.
//!
//! Clippy and the tests take the same packages, profile and features, so that the dependencies of each
//! are built once. `RUSTFLAGS` is never set: it would build everything anew.

use crate::shell::{cargo, ensure_programs, is_root, output, root, run, which};
use anyhow::{Result, bail};
use std::time::Instant;

/// What a step does.
pub type Step = Box<dyn FnOnce() -> Result<()>>;

/// Says which step runs, runs it and says how long it took.
pub fn step(name: &str, body: impl FnOnce() -> Result<()>) -> Result<()> {
    eprintln!("\n== {name}");
    let start = Instant::now();
    let result = body();
    eprintln!("== {name}: {} in {:.1} s", verdict(&result), start.elapsed().as_secs_f64());
    result
}

/// Runs every step, even after one has failed, so that one run shows all there is to mend.
pub fn all(steps: Vec<(&'static str, Step)>) -> Result<()> {
    let mut failed = Vec::new();
    for (name, body) in steps {
        if let Err(error) = step(name, body) {
            eprintln!("error: {error:#}");
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn verdict(result: &Result<()>) -> &'static str {
    if result.is_ok() { "ok" } else { "FAILED" }
}

/// `cargo fmt` in its checking form; the fuzz targets are a workspace of their own.
pub fn format() -> Result<()> {
    run(&mut cargo(&["fmt", "--all", "--check"]))?;
    if root().join("fuzz/Cargo.toml").is_file() {
        run(&mut cargo(&["fmt", "--manifest-path", "fuzz/Cargo.toml", "--", "--check"]))?;
    }
    Ok(())
}

/// Clippy over everything, warnings denied.
pub fn lints() -> Result<()> {
    let arguments =
        ["clippy", "--workspace", "--all-targets", "--locked", "--keep-going", "--", "-D", "warnings"];
    run(&mut cargo(&arguments))
}

/// Builds every target once, with the features that the tests use.
pub fn build() -> Result<()> {
    run(&mut cargo(&["build", "--workspace", "--all-targets", "--locked"]))
}

/// Runs tests with nextest where it is installed, with cargo's own runner elsewhere.
///
/// `selection` are arguments that both understand, such as `--workspace` or `-p NAME`.
pub fn tests(selection: &[&str]) -> Result<()> {
    // Where a TPM can be had, a test that leaves it out has failed.
    let tpm = has_tpm_simulator().then_some(("MUSTER_REQUIRE_SWTPM", "1"));
    if !has_subcommand("nextest") {
        return run(cargo(&["test", "--locked", "--no-fail-fast"]).args(selection).envs(tpm));
    }
    // `tests/it` of a crate in the making may hold nothing yet; that is no failure of the lane.
    let profile = if std::env::var_os("CI").is_some() { "ci" } else { "default" };
    let arguments = ["nextest", "run", "--locked", "--no-tests", "warn", "--profile", profile];
    run(cargo(&arguments).args(selection).envs(tpm))
}

/// What the tests of TPM attestation drive, with its Debian packages.
const TPM_PROGRAMS: &[(&str, &str)] = &[("swtpm", "swtpm"), ("tpm2_createek", "tpm2-tools")];

/// Installs a TPM simulator and its tools where this user may; elsewhere the tests that need them say so and pass.
pub fn tpm_simulator() -> Result<()> {
    if let Err(error) = ensure_programs(TPM_PROGRAMS) {
        if is_root() && which("apt-get").is_some() {
            return Err(error);
        }
        eprintln!("tests with a TPM are left out: {error:#}");
    }
    Ok(())
}

fn has_tpm_simulator() -> bool {
    TPM_PROGRAMS.iter().all(|(program, _)| which(program).is_some())
}

/// The examples in the documentation of libraries.
pub fn doc_tests() -> Result<()> {
    run(&mut cargo(&["test", "--workspace", "--doc", "--locked", "--quiet"]))
}

/// The API documentation: a link that leads nowhere is an error.
pub fn api_docs() -> Result<()> {
    let arguments = ["doc", "--workspace", "--no-deps", "--document-private-items", "--locked", "--quiet"];
    run(cargo(&arguments).env("RUSTDOCFLAGS", "-D warnings"))
}

/// cargo-deny and cargo-machete where they are installed.
///
/// `tidy` decides the same bans, licences, sources and unused dependencies from `cargo metadata`; these
/// two are a second opinion, and compiling them in every fresh CI run would cost more than it tells.
pub fn supply_chain_tools() -> Result<()> {
    if has_subcommand("deny") {
        run(&mut cargo(&["deny", "--offline", "check", "bans", "licenses", "sources"]))?;
    }
    if has_subcommand("machete") {
        run(&mut cargo(&["machete"]))?;
    }
    Ok(())
}

/// Whether `cargo NAME` is installed.
pub fn has_subcommand(name: &str) -> bool {
    output(&mut cargo(&[name, "--version"])).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn all_with_a_failing_step_runs_the_rest_and_names_it() {
        static RAN: AtomicUsize = AtomicUsize::new(0);
        let error = all(vec![
            ("first", Box::new(|| bail!("broken"))),
            (
                "second",
                Box::new(|| {
                    RAN.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                }),
            ),
        ])
        .unwrap_err();
        assert_eq!(error.to_string(), "failed: first");
        assert_eq!(RAN.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn has_subcommand_tells_installed_from_missing() {
        assert!(has_subcommand("clippy"));
        assert!(!has_subcommand("no-such-subcommand-of-cargo"));
    }
}
