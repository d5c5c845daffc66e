//! What we stand on: banned crates, licences, sources, and dependencies that nothing uses.
//!
//! Bans and licences are read from `deny.toml`, so that this and cargo-deny judge by one list; cargo-deny
//! itself takes minutes to compile and is run only where it is installed.

use super::finding::Finding;
use super::lexer::find;
use super::metadata::{Dependency, direct};
use super::tree::{RustFile, Tree};
use crate::shell::{cargo, output};
use anyhow::{Context, Result};
use cargo_metadata::Metadata;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The part of `deny.toml` that decides here.
#[derive(Deserialize)]
struct Deny {
    bans: Bans,
    licenses: Licenses,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

/// The whole dependency graph against `deny.toml`, and the manifests against the code.
pub fn check(tree: &Tree, metadata: &Metadata) -> Result<Vec<Finding>> {
    let text = tree.text.iter().find(|file| file.path == "deny.toml").context("deny.toml is missing")?;
    let deny: Deny = toml::from_str(&text.text).context("deny.toml does not parse")?;
    let mut findings = judge(&built_packages()?, &deny);
    findings.extend(unused(&direct(metadata), &tree.rust));
    Ok(findings)
}

/// A package that some target of the workspace is built with.
#[derive(Debug, PartialEq, Eq)]
struct Built {
    name: String,
    licence: String,
    /// Where it comes from, when that is not the registry.
    source: Option<String>,
}

/// The graph as the feature resolver sees it, on every platform.
///
/// `cargo metadata` will not do: its graph holds packages that only a weak feature (`ring?/std`) names.
fn built_packages() -> Result<Vec<Built>> {
    let arguments =
        ["tree", "--workspace", "--locked", "--target", "all", "--prefix", "none", "--format", "{p}|{l}"];
    let text = output(&mut cargo(&arguments)).context("`cargo tree` failed")?;
    Ok(parse_tree(&text))
}

fn parse_tree(text: &str) -> Vec<Built> {
    let mut built: Vec<Built> = Vec::new();
    for line in text.lines() {
        let Some((package, licence)) = line.trim_end_matches("(*)").trim().split_once('|') else { continue };
        let name = package.split(' ').next().unwrap_or_default();
        let place = package.split_once('(').map(|(_, place)| place.trim_end_matches(')').to_owned());
        // A path is ours, and "proc-macro" no place.
        let source = place.filter(|place| place.contains("://"));
        built.push(Built { name: name.to_owned(), licence: licence.trim().to_owned(), source });
    }
    built
}

fn judge(built: &[Built], deny: &Deny) -> Vec<Finding> {
    let mut findings = Vec::new();
    for Built { name, licence, source } in built {
        if deny.bans.deny.iter().any(|ban| ban.name == *name) {
            findings.push(graph_finding(
                format!("`{name}` is in the graph"),
                "deny.toml bans it and says why",
                "turn off the feature that brings it in (cargo tree --target all -i NAME)",
            ));
        }
        if !allows(licence, &deny.licenses.allow) {
            findings.push(graph_finding(
                format!("`{name}` has the licence `{licence}`"),
                "deny.toml does not allow it",
                "choose another crate, or allow the licence by an ADR",
            ));
        }
        if let Some(source) = source {
            findings.push(graph_finding(
                format!("`{name}` comes from `{source}`"),
                "a source that can change under us",
                "depend on a published version",
            ));
        }
    }
    findings
}

/// One finding per crate that has dependencies it does not name.
fn unused(dependencies: &[Dependency], files: &[RustFile]) -> Vec<Finding> {
    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for dependency in dependencies.iter().filter(|dependency| is_unused(dependency, files)) {
        names.entry(&dependency.from).or_default().push(&dependency.to);
    }
    let findings = names.into_iter().map(|(from, unused)| Finding {
        path: format!("{}Cargo.toml", folder(from)),
        line: 1,
        rule: "unused-dependency",
        what: format!("nothing in `{from}` names {}", unused.join(", ")),
        why: "an unused dependency is compiled by everybody",
        mend: "remove it from the manifest",
    });
    findings.collect()
}

/// Folder of a member of the workspace.
pub fn folder(member: &str) -> String {
    match member {
        "xtask" => "xtask/".to_owned(),
        "muster-bench" => "benches/".to_owned(),
        "muster-parity" => "tests/parity/".to_owned(),
        name => format!("crates/{name}/"),
    }
}

fn graph_finding(what: String, why: &'static str, mend: &'static str) -> Finding {
    Finding { path: "Cargo.lock".to_owned(), line: 1, rule: "supply", what, why, mend }
}

/// Whether the name of a dependency stands nowhere in the crate that has it.
fn is_unused(dependency: &Dependency, files: &[RustFile]) -> bool {
    // A crate that turns on a feature of its own for its tests names itself in the manifest alone.
    if dependency.from == dependency.to {
        return false;
    }
    let folder = folder(&dependency.from);
    let mut sources = files.iter().filter(|file| file.path.starts_with(&folder));
    !sources.any(|file| find(&file.views.code, &dependency.library).next().is_some())
}

/// Whether a licence expression (SPDX, or the older `A/B`) can be met with what is allowed.
fn allows(expression: &str, allowed: &[String]) -> bool {
    let text = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = text.split_whitespace().peekable();
    let met = any_of(&mut words, allowed);
    met && words.peek().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(words: &mut Words<'_>, allowed: &[String]) -> bool {
    let mut met = all_of(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        met |= all_of(words, allowed);
    }
    met
}

fn all_of(words: &mut Words<'_>, allowed: &[String]) -> bool {
    let mut met = licence(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        met &= licence(words, allowed);
    }
    met
}

fn licence(words: &mut Words<'_>, allowed: &[String]) -> bool {
    match words.next() {
        Some("(") => {
            let met = any_of(words, allowed);
            words.next_if_eq(&")").is_some() && met
        }
        Some(name) => {
            let name = match words.next_if_eq(&"WITH").and_then(|_| words.next()) {
                Some(exception) => format!("{name} WITH {exception}"),
                None => name.to_owned(),
            };
            allowed.contains(&name)
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(expression: &str) -> bool {
        allows(
            expression,
            &["MIT".to_owned(), "Apache-2.0".to_owned(), "Apache-2.0 WITH LLVM-exception".to_owned()],
        )
    }

    #[test]
    fn licence_expression_is_met_as_spdx_reads_it() {
        for good in [
            "MIT",
            "MIT OR GPL-3.0",
            "GPL-3.0/MIT",
            "MIT AND Apache-2.0",
            "(GPL-2.0 OR MIT) AND Apache-2.0",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert!(met(good), "{good}");
        }
        for bad in [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "MIT AND (GPL-2.0 OR GPL-3.0)",
            "MIT WITH Odd-exception",
            "(MIT",
            "MIT MIT",
        ] {
            assert!(!met(bad), "{bad}");
        }
    }

    #[test]
    fn graph_with_a_ban_a_licence_or_a_source_that_is_not_allowed_fails() {
        let deny: Deny =
            toml::from_str("[bans]\ndeny = [{ crate = \"ring\" }]\n[licenses]\nallow = [\"MIT\"]").unwrap();
        let found = |line: &str| judge(&parse_tree(line), &deny).len();
        assert_eq!(found("a v1.0.0|MIT\nb v1.0.0 (proc-macro)|MIT (*)\nours v0.1.0 (/a/b)|MIT"), 0);
        assert_eq!(found("ring v0.17.0|MIT"), 1);
        assert_eq!(found("a v1.0.0|GPL-3.0"), 1);
        assert_eq!(found("a v1.0.0|"), 1);
        assert_eq!(found("a v1.0.0 (https://git.example/a#1234)|MIT"), 1);
    }

    #[test]
    fn graph_of_this_workspace_is_read() {
        let built = built_packages().unwrap();
        assert!(built.iter().any(|package| package.name == "clap" && package.licence.contains("MIT")));
    }

    #[test]
    fn dependency_is_used_when_its_library_name_stands_in_code() {
        let dependency = Dependency {
            from: "dps-a".into(),
            to: "rustls-webpki".into(),
            library: "webpki".into(),
            dev: false,
        };
        let file = |text| [RustFile::new("crates/dps-a/src/lib.rs", text)];
        assert!(!is_unused(&dependency, &file("use webpki::Error;")));
        assert!(is_unused(&dependency, &file("// webpki\nuse rustls_webpki_x;")));
        assert!(is_unused(&dependency, &[RustFile::new("crates/dps-b/src/lib.rs", "use webpki::Error;")]));
    }

    #[test]
    fn deny_file_of_this_repository_bans_what_it_must() {
        let text = std::fs::read_to_string(crate::shell::root().join("deny.toml")).unwrap();
        let deny: Deny = toml::from_str(&text).unwrap();
        for name in ["ring", "openssl-sys", "native-tls"] {
            assert!(deny.bans.deny.iter().any(|ban| ban.name == name), "{name}");
        }
        assert!(deny.licenses.allow.contains(&"Apache-2.0".to_owned()));
    }
}
