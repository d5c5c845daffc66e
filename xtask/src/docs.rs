//! Writes the generated pages of `docs/reference` anew.
//!
//! A page is the output of a test whose name contains `golden`: it compares the page with what the code
//! says, and writes it instead when `MUSTER_UPDATE_GOLDEN` is 1.

use crate::shell::{cargo, command, output, run as run_command};
use anyhow::Result;

/// Runs the golden tests in their writing form and shows what changed.
pub fn run() -> Result<()> {
    // Cargo's own runner: both take a name, but nextest would be one more thing to have.
    run_command(
        cargo(&["test", "--workspace", "--locked", "--quiet", "golden"]).env("MUSTER_UPDATE_GOLDEN", "1"),
    )?;
    let changed =
        output(command("git").args(["status", "--short", "--", "docs", "crates"])).unwrap_or_default();
    eprintln!("{}", if changed.is_empty() { "nothing changed" } else { changed.trim_end() });
    Ok(())
}
