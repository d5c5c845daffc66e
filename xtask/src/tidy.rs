//! The style guide that runs: dependency edges, sizes, and the absences that words can decide.
//!
//! Each rule is a small function from the tree (or from cargo's metadata) to findings, with tests that
//! show it failing on bad text and passing on good. Printed as `path:line: rule: what; why; how to mend`.

mod absence;
mod edges;
mod emission;
mod finding;
mod layout;
mod lexer;
mod links;
mod machine;
pub mod metadata;
mod panics;
mod size;
mod supply;
mod tree;

use anyhow::{Result, bail};
use tree::Tree;

/// Runs every rule and prints what is broken.
pub fn run() -> Result<()> {
    let tree = Tree::load()?;
    let metadata = metadata::load()?;
    let members: Vec<String> =
        metadata.workspace_packages().iter().map(|package| package.name.to_string()).collect();
    let mut findings = edges::check(&metadata::direct(&metadata), &members);
    findings.extend(supply::check(&tree, &metadata)?);
    findings.extend(size::check(&tree));
    findings.extend(absence::check(&tree));
    findings.extend(panics::check(&tree));
    findings.extend(layout::check(&tree));
    findings.extend(emission::check(&tree));
    findings.extend(machine::check(&tree));
    findings.extend(links::check(&tree));
    findings.sort();
    findings.dedup();
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} broken rules", findings.len());
    }
    eprintln!("{} files, no rule is broken", tree.text.len());
    Ok(())
}
