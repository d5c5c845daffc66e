//! Writes the generated pages of `docs/reference` anew.
//!
//! A page is the output of a test: it compares the page with what the code says and does, and writes it instead when
//! `MUSTER_UPDATE_GOLDEN` is 1.

use crate::shell::{cargo, command, output, run as run_command};
use anyhow::Result;

/// Package and test of each page.
const PAGES: &[(&str, &str)] = &[
    // docs/reference/errors.md
    ("dps-device-api", "errors::errors_page_is_what_the_code_does"),
    // The control plane's tables of docs/reference/access.md, which the next one repeats
    ("dps-management-api", "rights::access_tables_are_what_every_call_finds"),
    // docs/reference/access.md
    ("dps-service-api", "access_page::access_page_is_what_every_call_finds"),
    // The refusals in docs/reference/query.md
    ("dps-service-api", "query_page::query_page_refusals_are_those_of_the_code"),
    // docs/reference/metrics.md
    ("dps-monitor", "metrics_page::metrics_page_is_the_catalogue"),
    ("dps-explain", "causes_page::causes_page_is_the_catalogue"),
    // docs/reference/cli.md
    ("muster", "fleet::reference::cli_page_is_what_help_says"),
    // docs/reference/configuration.md
    ("muster", "serve::settings::configuration_page_is_what_the_binary_prints"),
    // The functions in docs/reference/kql.md
    ("dps-kql", "page::kql_page_lists_the_functions_of_the_code"),
    // docs/reference/protocols.md
    ("muster-parity", "matrix::protocols_page_is_what_every_cell_does"),
];

/// Runs those tests in their writing form and shows what changed.
pub fn run() -> Result<()> {
    for (package, test) in PAGES {
        // Cargo's own runner: both take a name, but nextest would be one more thing to have.
        run_command(
            cargo(&[
                "test",
                "--package",
                package,
                "--test",
                "it",
                "--locked",
                "--quiet",
                "--",
                "--exact",
                test,
            ])
            .env("MUSTER_UPDATE_GOLDEN", "1"),
        )?;
    }
    let changed =
        output(command("git").args(["status", "--short", "--", "docs", "crates"])).unwrap_or_default();
    eprintln!("{}", if changed.is_empty() { "nothing changed" } else { changed.trim_end() });
    Ok(())
}
