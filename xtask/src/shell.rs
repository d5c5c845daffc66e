//! Running other programs: cargo, Python, npm, apt.
//!
//! Every command is shown before it runs, starts in the root of the repository and never reads from the
//! terminal. Knows nothing of what the commands mean.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Root of the repository: the parent of this package.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Folder that cargo builds into, as cargo itself finds it.
pub fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) if !dir.is_empty() => root().join(dir),
        _ => root().join("target"),
    }
}

/// A command with the root of the repository as its folder and no standard input.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// The cargo that runs this program, so that a lane never mixes toolchains.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(arguments);
    cargo
}

/// Shows and runs a command; an exit status other than 0 is an error.
pub fn run(command: &mut Command) -> Result<()> {
    let line = display(command);
    eprintln!("$ {line}");
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed: {status}");
    }
    Ok(())
}

/// What a command prints; `None` when it cannot start or fails.
pub fn output(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Where a program is on `PATH`.
pub fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|candidate| candidate.is_file())
}

/// Installs Debian packages that bring the missing programs, when this user may.
///
/// `needs` pairs a program with the package that has it. On another system, or without the right to
/// install, the error names what is missing.
pub fn ensure_programs(needs: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<_> = needs.iter().filter(|(program, _)| which(program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let programs = missing.iter().map(|(program, _)| *program).collect::<Vec<_>>().join(", ");
    let packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    if !is_root() || which("apt-get").is_none() {
        bail!("missing: {programs}; install them first (Debian packages: {})", packages.join(", "));
    }
    apt_install(&packages).with_context(|| format!("missing: {programs}"))
}

/// Installs Debian packages; the lists are fetched first, since a new machine has none.
pub fn apt_install(packages: &[&str]) -> Result<()> {
    run(command("apt-get").args(["update", "-qq"]))?;
    run(command("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(packages))
}

/// Whether this user is root.
pub fn is_root() -> bool {
    output(command("id").arg("-u")).is_some_and(|id| id.trim() == "0")
}

/// A command as a person would type it.
fn display(command: &Command) -> String {
    let program = Path::new(command.get_program());
    // A full path to cargo or to the virtual environment's Python says nothing to the reader.
    let name = program.file_name().unwrap_or(program.as_os_str());
    std::iter::once(name)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_the_folder_of_the_workspace_manifest() {
        assert!(root().join("Cargo.lock").is_file());
    }

    #[test]
    fn display_shortens_the_program_and_keeps_the_arguments() {
        let mut command = Command::new("/opt/rust/bin/cargo");
        command.args(["test", "--locked"]);
        assert_eq!(display(&command), "cargo test --locked");
    }

    #[test]
    fn run_of_a_failing_command_is_an_error_that_names_it() {
        let error = run(&mut cargo(&["no-such-subcommand-of-cargo"])).unwrap_err();
        assert!(error.to_string().contains("cargo no-such-subcommand-of-cargo"), "{error}");
    }

    #[test]
    fn output_of_a_program_that_does_not_exist_is_none() {
        assert!(output(&mut Command::new("no-such-program-of-muster")).is_none());
    }
}
