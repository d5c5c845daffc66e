//! A link between two pages of the repository leads somewhere.

use super::finding::Finding;
use super::lexer::line_of;
use super::tree::{TextFile, Tree, extension};
use crate::shell::root;

/// Every relative link of every Markdown page.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let exists = |path: &str| root().join(path).exists();
    tree.text
        .iter()
        .filter(|file| extension(&file.path) == "md")
        .flat_map(|file| check_page(file, exists))
        .collect()
}

fn check_page(file: &TextFile, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, target) in links(&file.text) {
        let page = target.split('#').next().unwrap_or_default();
        if page.is_empty() || page.contains("://") || page.starts_with("mailto:") {
            continue;
        }
        if !resolve(&file.path, page).is_some_and(|path| exists(&path)) {
            findings.push(Finding {
                path: file.path.clone(),
                line: line_of(&file.text, at),
                rule: "dead-link",
                what: format!("`{target}` leads nowhere"),
                why: "a reader follows it and is lost",
                mend: "name the page where it is now, or write it",
            });
        }
    }
    findings
}

/// Targets of inline links outside of code blocks, with their offsets.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut offset = 0;
    let mut in_block = false;
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        }
        for (at, _) in line.match_indices("](").filter(|_| !in_block) {
            if let Some((target, _)) = line[at + 2..].split_once(')') {
                found.push((offset + at, target.split(' ').next().unwrap_or_default()));
            }
        }
        offset += line.len();
    }
    found
}

/// Path from the root of what `target` means on the page `from`; `None` when it leaves the repository.
fn resolve(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead(path: &str, text: &str) -> Vec<String> {
        let file = TextFile { path: path.to_owned(), text: text.to_owned() };
        let there = ["README.md", "docs/README.md", "docs/adr"];
        check_page(&file, |path| there.contains(&path)).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn link_to_a_page_that_is_there_passes() {
        assert!(
            dead("docs/README.md", "[a](../README.md) [b](adr/) [c](./README.md#part) [d](#here)").is_empty()
        );
    }

    #[test]
    fn link_to_a_missing_page_or_out_of_the_repository_fails() {
        assert_eq!(dead("docs/README.md", "x [a](gone.md#b)"), ["`gone.md#b` leads nowhere"]);
        assert_eq!(dead("README.md", "[a](../README.md)").len(), 1);
    }

    #[test]
    fn address_and_code_block_are_not_judged() {
        assert!(dead("README.md", "[a](https://a.example/gone.md)\n```\n[b](gone.md)\n```\n").is_empty());
    }
}
