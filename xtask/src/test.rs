//! Everything that CI runs, cheapest first; a failure does not hide the ones behind it.

use crate::{conformance, portal, shell, steps, tidy};
use anyhow::Result;

/// Format, style, lints, all tests, documentation, the portal in a browser, then the official SDKs.
pub fn run() -> Result<()> {
    steps::all(vec![
        ("format", Box::new(steps::format)),
        ("tidy", Box::new(tidy::run)),
        ("supply chain", Box::new(steps::supply_chain_tools)),
        ("lints", Box::new(steps::lints)),
        ("pages of the portal", Box::new(portal::check)),
        // Before the tests: the conformance step then finds `muster` with the same features, and no
        // dependency is built a second time for it.
        ("build", Box::new(steps::build)),
        ("documentation tests", Box::new(steps::doc_tests)),
        ("TPM simulator", Box::new(steps::tpm_simulator)),
        ("tests", Box::new(|| steps::tests(&["--workspace"]))),
        ("API documentation", Box::new(steps::api_docs)),
        (
            "portal",
            Box::new(|| {
                let muster = shell::target_dir().join("debug/muster");
                portal::test_against(&muster, &["--require".to_owned(), portal::ROUTES.to_owned()])
            }),
        ),
        ("official parser of KQL", Box::new(conformance::kql_oracle)),
        (
            "conformance",
            Box::new(|| conformance::run_against(&shell::target_dir().join("debug/muster"), &[])),
        ),
    ])
}
