//! What cargo knows about the workspace, read once.

use crate::shell::{cargo, output, root};
use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// The resolved workspace, all platforms and the default features.
pub fn load() -> Result<Metadata> {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .other_options(vec!["--locked".to_owned()])
        .exec()
        .context("`cargo metadata --locked` failed")
}

/// Names of the workspace's packages.
pub fn member_names() -> Result<Vec<String>> {
    let text = output(&mut cargo(&["metadata", "--format-version", "1", "--no-deps", "--locked"]))
        .context("`cargo metadata` failed")?;
    let metadata = MetadataCommand::parse(text)?;
    Ok(metadata.packages.iter().map(|package| package.name.to_string()).collect())
}

/// One dependency as a manifest states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// Package that depends.
    pub from: String,
    /// Package that is depended on.
    pub to: String,
    /// Name in source code, when it is not the package's.
    pub library: String,
    /// Whether tests alone see it.
    pub dev: bool,
}

/// What every member of the workspace depends on directly.
pub fn direct(metadata: &Metadata) -> Vec<Dependency> {
    let mut found = Vec::new();
    for package in metadata.workspace_packages() {
        for dependency in &package.dependencies {
            let library = dependency
                .rename
                .clone()
                .unwrap_or_else(|| library_name(metadata, package, &dependency.name));
            found.push(Dependency {
                from: package.name.to_string(),
                to: dependency.name.clone(),
                library: library.replace('-', "_"),
                dev: dependency.kind == DependencyKind::Development,
            });
        }
    }
    found
}

/// Name of a dependency's library target: `rustls-webpki` is `webpki` in source code.
fn library_name(metadata: &Metadata, from: &Package, to: &str) -> String {
    let resolve = metadata.resolve.as_ref();
    let node = resolve.and_then(|resolve| resolve.nodes.iter().find(|node| node.id == from.id));
    let edge = node.and_then(|node| {
        node.deps
            .iter()
            .find(|edge| metadata.packages.iter().any(|p| p.id == edge.pkg && p.name.as_str() == to))
    });
    edge.map_or_else(|| to.to_owned(), |edge| edge.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn direct_of_this_workspace_knows_this_package() {
        let metadata = load().unwrap();
        let found = direct(&metadata);
        assert!(found.iter().any(|d| d.from == "xtask" && d.to == "anyhow" && !d.dev));
        assert!(member_names().unwrap().contains(&"xtask".to_owned()));
    }
}
