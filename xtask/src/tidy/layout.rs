//! Where things are and what they are called: heads of modules, names that say nothing, test binaries.

use super::finding::Finding;
use super::tree::{RustFile, Tree};

/// Lines of the head of a crate.
const CRATE_HEAD: usize = 3;
/// Lines of the head of any other module.
const MODULE_HEAD: usize = 1;
/// Names that a reader learns nothing from.
const EMPTY_NAMES: &[&str] = &["common", "util", "utils", "misc", "helpers", "shared", "stuff"];

/// Layout of the shipped crates and the tools.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.rust {
        findings.extend(head(file));
        findings.extend(name(file));
        findings.extend(test_binary(file));
    }
    findings
}

/// A module says at its top what it owns and what it must not know.
fn head(file: &RustFile) -> Option<Finding> {
    if !file.path.contains("src/") || file.is_test(0) {
        return None;
    }
    let lines =
        file.text.lines().take_while(|line| line.starts_with("//!")).filter(|line| line.len() > 4).count();
    let is_root = ["src/lib.rs", "src/main.rs"].iter().any(|end| file.path.ends_with(end));
    let wanted = if is_root { CRATE_HEAD } else { MODULE_HEAD };
    (lines < wanted).then(|| {
        file.finding(
            0,
            "module-head",
            format!("a head of {lines} lines, at least {wanted}"),
            "a reader wants to know what a room owns before walking in",
            "begin the file with `//!`: what it owns, what it must not know",
        )
    })
}

/// No drawer for everything.
fn name(file: &RustFile) -> Option<Finding> {
    let mut parts = file.path.trim_end_matches(".rs").split('/');
    // Helpers that only tests see may be shared between them.
    let empty = parts.find(|part| EMPTY_NAMES.contains(part)).filter(|_| !file.is_test(0))?;
    Some(file.finding(
        0,
        "empty-name",
        format!("a module called `{empty}`"),
        "a drawer without a label collects everything",
        "name it after the subject, or move its content to where it is used",
    ))
}

/// One integration binary per crate: each one more links the whole crate again.
fn test_binary(file: &RustFile) -> Option<Finding> {
    let inside = file.path.strip_prefix("crates/")?.split_once("/tests/")?.1;
    (!inside.contains('/')).then(|| {
        file.finding(
            0,
            "one-test-binary",
            format!("`tests/{inside}` is a test binary of its own"),
            "every test binary links the crate and its dependencies again",
            "make it a module of tests/it/main.rs",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<&'static str> {
        let file = RustFile::new(path, text);
        [head(&file), name(&file), test_binary(&file)]
            .into_iter()
            .flatten()
            .map(|finding| finding.rule)
            .collect()
    }

    #[test]
    fn crate_wants_three_lines_of_head_and_a_module_one() {
        assert_eq!(rules("crates/a/src/lib.rs", "//! One.\n//!\n//! Two.\n"), ["module-head"]);
        assert!(rules("crates/a/src/lib.rs", "//! One.\n//! Two.\n//! Three.\n").is_empty());
        assert_eq!(rules("crates/a/src/b.rs", "use x;\n"), ["module-head"]);
        assert!(rules("crates/a/src/b.rs", "//! One.\n").is_empty());
        assert!(rules("crates/a/src/b/tests.rs", "use x;\n").is_empty());
    }

    #[test]
    fn empty_name_fails_as_file_and_as_folder() {
        assert_eq!(rules("crates/a/src/utils.rs", "//! One.\n"), ["empty-name"]);
        assert_eq!(rules("crates/a/src/common/b.rs", "//! One.\n"), ["empty-name"]);
        assert!(rules("crates/a/src/uncommon.rs", "//! One.\n").is_empty());
    }

    #[test]
    fn second_test_binary_fails_and_a_module_of_the_first_passes() {
        assert_eq!(rules("crates/a/tests/more.rs", ""), ["one-test-binary"]);
        assert!(rules("crates/a/tests/it/main.rs", "").is_empty());
        assert!(rules("crates/a/tests/it/more.rs", "").is_empty());
    }
}
