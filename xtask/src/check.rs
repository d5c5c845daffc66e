//! The fast lane: what a developer runs before every commit. Under two minutes when warm.

use crate::{steps, tidy};
use anyhow::Result;

/// Crates without sockets, files or clocks of their own: their unit tests take seconds.
const QUICK: &[&str] = &[
    "dps-model",
    "dps-attestation",
    "dps-core",
    "dps-events",
    "dps-explain",
    "dps-kql",
    "dps-wire",
    "dps-access",
    "xtask",
];

/// Format, style, lints, and the unit tests of the quick crates.
pub fn run() -> Result<()> {
    let mut selection = vec!["--lib".to_owned(), "--bins".to_owned()];
    for name in tidy::metadata::member_names()? {
        if QUICK.contains(&name.as_str()) {
            selection.extend(["-p".to_owned(), name]);
        }
    }
    steps::all(vec![
        ("format", Box::new(steps::format)),
        ("tidy", Box::new(tidy::run)),
        ("lints", Box::new(steps::lints)),
        (
            "unit tests",
            Box::new(move || steps::tests(&selection.iter().map(String::as_str).collect::<Vec<_>>())),
        ),
    ])
}
