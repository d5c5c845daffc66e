//! The files of the repository as the rules see them, and which of their lines are test code.

use super::finding::Finding;
use super::lexer::{Views, find, item_end, line_of, views};
use crate::shell::{command, output, root};
use anyhow::{Context, Result};
use std::ops::Range;

/// A text file that git tracks, or would.
pub struct TextFile {
    /// Path from the root of the repository, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// A Rust file with its views.
pub struct RustFile {
    /// Path from the root of the repository, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
    /// Code, literals and comments apart.
    pub views: Views,
    /// Byte ranges of test code.
    tests: Vec<Range<usize>>,
}

/// All text files of the repository.
pub struct Tree {
    /// Rust files.
    pub rust: Vec<RustFile>,
    /// Everything, Rust files included.
    pub text: Vec<TextFile>,
}

impl RustFile {
    /// Reads a source text; `path` decides whether all of it is test code.
    pub fn new(path: &str, text: &str) -> Self {
        let views = views(text);
        let whole = is_test_path(path) || views.code.contains("#![cfg(test)]");
        let tests = if whole { everything(text) } else { test_ranges(text, &views.code) };
        Self { path: path.to_owned(), text: text.to_owned(), views, tests }
    }

    /// Whether the byte at this offset belongs to test code.
    pub fn is_test(&self, at: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&at))
    }

    /// Whether the file belongs to the crate in this folder of `crates/`.
    pub fn in_crate(&self, name: &str) -> bool {
        self.path
            .strip_prefix("crates/")
            .and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with('/'))
    }

    /// Whether the file is in the shipped part of the workspace: not a tool, a measurement, an example or a fuzz
    /// target.
    pub fn in_product(&self) -> bool {
        self.path.starts_with("crates/") && !self.path.contains("/examples/")
    }

    /// A finding at a byte offset of this file.
    pub fn finding(
        &self,
        at: usize,
        rule: &'static str,
        what: String,
        why: &'static str,
        mend: &'static str,
    ) -> Finding {
        Finding { path: self.path.clone(), line: line_of(&self.text, at), rule, what, why, mend }
    }
}

impl Tree {
    /// Reads what git tracks and what it would: a new file is judged before it is added.
    pub fn load() -> Result<Self> {
        let listed =
            output(command("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]))
                .context("`git ls-files` failed")?;
        let mut paths: Vec<&str> = listed.split('\0').filter(|path| !path.is_empty()).collect();
        paths.sort_unstable();
        paths.dedup();
        let mut text = Vec::new();
        for path in paths {
            // Gone from the work tree, a link to nowhere, or not text: no rule has a say.
            if let Ok(content) = std::fs::read_to_string(root().join(path)) {
                text.push(TextFile { path: path.to_owned(), text: content });
            }
        }
        let mut rust: Vec<RustFile> = text
            .iter()
            .filter(|file| extension(&file.path) == "rs")
            .map(|file| RustFile::new(&file.path, &file.text))
            .collect();
        mark_test_modules(&mut rust);
        Ok(Self { rust, text })
    }
}

/// What stands behind the last dot of a path, or nothing.
pub fn extension(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// Files that hold nothing but tests by their place: `tests/…`, `…/tests.rs`, `…/tests/…`, fuzz targets.
fn is_test_path(path: &str) -> bool {
    path.starts_with("fuzz/") || path.split('/').any(|part| part == "tests" || part == "tests.rs")
}

fn everything(text: &str) -> Vec<Range<usize>> {
    std::iter::once(0..text.len()).collect()
}

/// Cargo features that only tests turn on.
const TEST_FEATURES: &[&str] = &["\"suite\"", "\"faults\""];

/// Ranges of items that exist for tests alone; `code` is the code view of `text`.
fn test_ranges(text: &str, code: &str) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (at, _) in code.match_indices("#[") {
        if ranges.last().is_some_and(|range| range.contains(&at)) {
            continue;
        }
        let end = item_end_of_attribute(code, at);
        if is_test_attribute(&text[at..end]) {
            ranges.push(at..item_end(code, skip_attributes(code, end)));
        }
    }
    ranges
}

/// `#[test]`, `#[tokio::test(…)]`, `#[cfg(test)]`, `#[cfg(any(test, …))]`, `#[cfg(feature = "suite")]`; not `#[cfg(not(test))]`.
fn is_test_attribute(attribute: &str) -> bool {
    let inner = attribute.trim_start_matches("#[").trim();
    let name = inner.split(['(', ']', ' ']).next().unwrap_or_default();
    match name {
        "cfg" if inner.contains("not(") => false,
        "cfg" => {
            find(inner, "test").next().is_some() || TEST_FEATURES.iter().any(|name| inner.contains(name))
        }
        _ => name.rsplit("::").next() == Some("test"),
    }
}

/// Behind the bracket that closes the attribute at `at`.
fn item_end_of_attribute(code: &str, at: usize) -> usize {
    let mut depth = 0_i32;
    for (offset, byte) in code.bytes().enumerate().skip(at) {
        match byte {
            b'[' => depth += 1,
            b']' => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return offset + 1;
        }
    }
    code.len()
}

fn skip_attributes(code: &str, mut at: usize) -> usize {
    loop {
        at += code[at..].len() - code[at..].trim_start().len();
        if !code[at..].starts_with("#[") {
            return at;
        }
        at = item_end_of_attribute(code, at);
    }
}

/// A file that another declares as `#[cfg(test)] mod name;` is test code as a whole.
fn mark_test_modules(files: &mut [RustFile]) {
    let mut folders = Vec::new();
    for file in files.iter() {
        for range in &file.tests {
            if let Some(name) = declared_module(&file.views.code[range.clone()]) {
                folders.push(format!("{}/{name}", module_folder(&file.path)));
            }
        }
    }
    for file in files.iter_mut() {
        let stem = file.path.trim_end_matches(".rs");
        if folders.iter().any(|folder| stem == folder || stem.starts_with(&format!("{folder}/"))) {
            file.tests = everything(&file.text);
        }
    }
}

/// The name in `… mod name;`.
fn declared_module(item: &str) -> Option<&str> {
    let declaration = item.trim_end().strip_suffix(';')?;
    let name = &declaration[find(declaration, "mod").next()? + 3..];
    Some(name.trim())
}

/// Folder in which the modules that a file declares are looked for.
fn module_folder(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    match name {
        "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
        _ => path.trim_end_matches(".rs").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_test_at(source: &str, needle: &str) -> bool {
        RustFile::new("crates/a/src/lib.rs", source).is_test(source.find(needle).unwrap())
    }

    #[test]
    fn test_module_is_test_code_and_what_surrounds_it_is_not() {
        let source = "fn a() {}\n#[cfg(test)]\n#[allow(x)]\nmod tests { fn b() { { } } }\nfn c() {}";
        assert!(is_test_at(source, "fn b"));
        assert!(!is_test_at(source, "fn a") && !is_test_at(source, "fn c"));
    }

    #[test]
    fn attribute_forms_are_told_apart() {
        for yes in [
            "#[test]",
            "#[tokio::test(start_paused = true)]",
            "#[cfg(any(test, unix))]",
            "#[cfg(feature = \"suite\")]",
        ] {
            assert!(is_test_attribute(yes), "{yes}");
        }
        for no in [
            "#[cfg(not(test))]",
            "#[cfg(feature = \"sweet\")]",
            "#[cfg(not(feature = \"suite\"))]",
            "#[cfg(unix)]",
            "#[derive(Debug)]",
            "#[testing]",
        ] {
            assert!(!is_test_attribute(no), "{no}");
        }
    }

    #[test]
    fn test_attribute_inside_a_string_marks_nothing() {
        assert!(!is_test_at("const A: &str = \"#[cfg(test)]\"; fn b() {}", "fn b"));
    }

    #[test]
    fn path_of_integration_tests_marks_the_whole_file() {
        for path in [
            "crates/a/tests/it/main.rs",
            "crates/a/src/store/tests.rs",
            "crates/a/src/tests/x.rs",
            "fuzz/fuzz_targets/a.rs",
        ] {
            assert!(RustFile::new(path, "fn a() {}").is_test(3), "{path}");
        }
        assert!(!RustFile::new("crates/a/src/testing.rs", "fn a() {}").is_test(3));
    }

    #[test]
    fn file_declared_as_test_module_is_test_code() {
        let mut files = vec![
            RustFile::new("crates/a/src/lib.rs", "#[cfg(test)]\npub(crate) mod support;\nmod real;"),
            RustFile::new("crates/a/src/support.rs", "fn a() {}"),
            RustFile::new("crates/a/src/support/deep.rs", "fn a() {}"),
            RustFile::new("crates/a/src/real.rs", "fn a() {}"),
        ];
        mark_test_modules(&mut files);
        assert!(files[1].is_test(0) && files[2].is_test(0));
        assert!(!files[3].is_test(0));
    }

    #[test]
    fn in_crate_wants_the_whole_name() {
        let file = RustFile::new("crates/dps-core-extra/src/lib.rs", "");
        assert!(!file.in_crate("dps-core") && file.in_crate("dps-core-extra"));
    }
}
