//! Events are emitted at few, listed places; everything else returns facts.
//!
//! The list is the table of sites in `docs/reference/events.md`: rows that begin with a path. A call of
//! `.record(` or `.emit(` in another file fails, and so does a listed file that emits nothing.

use super::finding::Finding;
use super::lexer::find;
use super::tree::{RustFile, Tree};

/// Where the sites are listed.
const SITES: &str = "docs/reference/events.md";
/// What an emission looks like.
const CALLS: &[&str] = &[".record(", ".emit("];
/// Receivers whose `record` is another one: spans of `tracing`, and a method of the type itself, which is
/// judged where it calls the sink.
const OTHERS: &[&str] = &["span", "current()", "self"];

/// Every emission against the list.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let list = tree.text.iter().find(|file| file.path == SITES).map_or("", |file| &file.text);
    judge(&tree.rust, list)
}

fn judge(files: &[RustFile], list: &str) -> Vec<Finding> {
    let sites: Vec<&str> = list.lines().filter_map(listed).collect();
    let mut findings = Vec::new();
    let mut used = Vec::new();
    // The events' own crate is where recording is defined.
    for file in files.iter().filter(|file| file.in_product() && !file.in_crate("dps-events")) {
        for at in emissions(file) {
            if sites.contains(&file.path.as_str()) {
                used.push(file.path.as_str());
            } else {
                findings.push(file.finding(
                    at,
                    "emission-site",
                    "an event is emitted here".to_owned(),
                    "one unit of work has one event, closed once by whoever opened it",
                    "return the fact to the caller; a new site gets a row in docs/reference/events.md",
                ));
            }
        }
    }
    for (line, site) in list.lines().enumerate().filter_map(|(line, text)| Some((line, listed(text)?))) {
        if !used.contains(&site) {
            findings.push(Finding {
                path: SITES.to_owned(),
                line: line + 1,
                rule: "emission-site",
                what: format!("{site} emits nothing"),
                why: "the table says where to look",
                mend: "remove the row",
            });
        }
    }
    findings
}

/// The path that a row of the table begins with.
fn listed(line: &str) -> Option<&str> {
    let cell = line.trim().strip_prefix("| `")?;
    cell.split('`').next().filter(|path| path.starts_with("crates/"))
}

fn emissions(file: &RustFile) -> Vec<usize> {
    let code = &file.views.code;
    let hits = CALLS.iter().flat_map(|call| find(code, call)).filter(|at| {
        let receiver = code[..*at].trim_end();
        !file.is_test(*at) && !OTHERS.iter().any(|other| receiver.ends_with(other))
    });
    hits.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "fn a() { self.sink.record(event); }";

    fn found(path: &str, source: &str, list: &str) -> usize {
        judge(&[RustFile::new(path, source)], list).len()
    }

    #[test]
    fn emission_at_a_listed_site_passes_and_elsewhere_fails() {
        let path = "crates/dps-core/src/provisioning.rs";
        assert_eq!(
            found(
                path,
                SOURCE,
                "| file | closes |\n| --- | --- |\n| `crates/dps-core/src/provisioning.rs` | the attempt |\n"
            ),
            0
        );
        assert_eq!(found(path, SOURCE, ""), 1);
    }

    #[test]
    fn listed_site_that_emits_nothing_fails() {
        assert_eq!(found("crates/dps-core/src/a.rs", "fn a() {}", "| `crates/dps-core/src/a.rs` | x |\n"), 1);
    }

    #[test]
    fn spans_own_methods_tests_and_the_crate_of_the_events_pass() {
        assert_eq!(
            found(
                "crates/dps-core/src/a.rs",
                "fn a() { span.record(\"x\", 1); Span::current().record(y); self.record(z); }",
                ""
            ),
            0
        );
        assert_eq!(found("crates/dps-core/tests/it/main.rs", SOURCE, ""), 0);
        assert_eq!(found("crates/dps-events/src/sink.rs", SOURCE, ""), 0);
    }
}
