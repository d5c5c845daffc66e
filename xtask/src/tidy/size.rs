//! A file fits in one sitting and a function on one screen.
//!
//! Lines are counted as a reader meets them, with comments and blanks. Test functions may be longer (a
//! scenario reads from top to bottom); test files may not. `xtask/tidy-ratchet.txt` names the exceptions
//! with their present size, one `PATH LINES` or `PATH::FUNCTION LINES` a line: a size there must be
//! exact, so it can only go down, and git tells that no entry was added or raised.

use super::finding::Finding;
use super::lexer::{find, item_end, line_of};
use super::tree::{RustFile, Tree};
use crate::shell::{command, output};
use std::collections::BTreeMap;

/// Lines of a Rust file.
const FILE_LINES: usize = 600;
/// Lines of a function, from `fn` to its closing brace.
const FUNCTION_LINES: usize = 70;
/// Where the exceptions are.
const RATCHET: &str = "xtask/tidy-ratchet.txt";

type Ratchet = BTreeMap<String, usize>;

/// Sizes of all files and functions against the limits and the ratchet.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let text = tree.text.iter().find(|file| file.path == RATCHET).map_or("", |file| &file.text);
    let ratchet = parse(text);
    let measured: Vec<Measure> = tree.rust.iter().flat_map(measure).collect();
    let mut findings = judge(&measured, &ratchet);
    findings.extend(grown(&ratchet));
    findings
}

/// One measured thing.
struct Measure {
    path: String,
    line: usize,
    /// Key in the ratchet.
    key: String,
    lines: usize,
    limit: usize,
}

fn measure(file: &RustFile) -> Vec<Measure> {
    let mut measures = vec![Measure {
        path: file.path.clone(),
        line: 1,
        key: file.path.clone(),
        lines: file.text.lines().count(),
        limit: FILE_LINES,
    }];
    for function in functions(&file.views.code) {
        if !file.is_test(function.at) {
            measures.push(Measure {
                path: file.path.clone(),
                line: line_of(&file.text, function.at),
                key: format!("{}::{}", file.path, function.name),
                lines: function.lines,
                limit: FUNCTION_LINES,
            });
        }
    }
    measures
}

struct Function<'a> {
    at: usize,
    name: &'a str,
    lines: usize,
}

/// Every function with a body in a code view.
fn functions(code: &str) -> Vec<Function<'_>> {
    let mut functions = Vec::new();
    for at in find(code, "fn") {
        let rest = code[at + 2..].trim_start();
        let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '#').unwrap_or(rest.len());
        if length == 0 {
            continue; // a function pointer, or a macro's `fn $name`
        }
        let end = item_end(code, at);
        if code[..end].ends_with('}') {
            let lines = line_of(code, end) - line_of(code, at) + 1;
            functions.push(Function { at, name: &rest[..length], lines });
        }
    }
    functions
}

fn judge(measured: &[Measure], ratchet: &Ratchet) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    for measure in measured {
        // Two functions of one name in one file share an entry: the longer one is meant.
        let size = sizes.entry(&measure.key).or_default();
        *size = (*size).max(measure.lines);
        let allowed = ratchet.get(&measure.key).copied().unwrap_or(measure.limit);
        if measure.lines > allowed {
            findings.push(Finding {
                path: measure.path.clone(),
                line: measure.line,
                rule: "size",
                what: format!("{} has {} lines, at most {allowed}", measure.key, measure.lines),
                why: "what does not fit on a screen is not read as a whole",
                mend: "split it where the subject changes",
            });
        }
    }
    for (key, allowed) in ratchet {
        let lines = sizes.get(key.as_str()).copied().unwrap_or(0);
        if lines < *allowed {
            findings.push(Finding {
                path: RATCHET.to_owned(),
                line: 1,
                rule: "ratchet",
                what: format!("{key} now has {lines} lines, the entry says {allowed}"),
                why: "an exception only shrinks",
                mend: "lower the entry, or remove it once the size is within the limit",
            });
        }
    }
    findings
}

fn parse(text: &str) -> Ratchet {
    let entries = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    entries
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(key, n)| Some((key.trim().to_owned(), n.parse().ok()?)))
        .collect()
}

/// What was added or raised: now against the last commit, and in the last commit that touched the file.
fn grown(now: &Ratchet) -> Vec<Finding> {
    let show = |commit: &str| output(command("git").arg("show").arg(format!("{commit}:{RATCHET}")));
    let head = show("HEAD").map(|text| parse(&text));
    let mut findings = head.as_ref().map_or_else(Vec::new, |head| additions(head, now));
    let last = output(command("git").args(["log", "-1", "--format=%H", "--", RATCHET])).unwrap_or_default();
    if let (Some(head), false) = (&head, last.trim().is_empty()) {
        // Without a parent at hand (a shallow clone) there is nothing to compare with.
        let parent = format!("{}^", last.trim());
        if output(command("git").args(["rev-parse", "--verify", "--quiet", &parent])).is_some() {
            findings.extend(additions(&show(&parent).map(|text| parse(&text)).unwrap_or_default(), head));
        }
    }
    findings
}

fn additions(before: &Ratchet, after: &Ratchet) -> Vec<Finding> {
    let raised = after.iter().filter(|(key, lines)| before.get(*key).is_none_or(|old| old < *lines));
    raised
        .map(|(key, lines)| Finding {
            path: RATCHET.to_owned(),
            line: 1,
            rule: "ratchet",
            what: format!("{key} {lines} was added or raised"),
            why: "the list of exceptions only shrinks",
            mend: "split the file or the function instead",
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_of(lines: usize) -> RustFile {
        RustFile::new("crates/a/src/b.rs", &"// line\n".repeat(lines))
    }

    fn function_of(lines: usize) -> String {
        format!("fn long() {{\n{}}}\n", "    a();\n".repeat(lines - 2))
    }

    fn rules(source: &RustFile, ratchet: &str) -> Vec<String> {
        judge(&measure(source), &parse(ratchet)).iter().map(|finding| finding.what.clone()).collect()
    }

    #[test]
    fn file_at_the_limit_passes_and_above_fails() {
        assert!(rules(&file_of(FILE_LINES), "").is_empty());
        assert_eq!(rules(&file_of(FILE_LINES + 1), ""), ["crates/a/src/b.rs has 601 lines, at most 600"]);
    }

    #[test]
    fn function_at_the_limit_passes_and_above_fails() {
        let path = "crates/a/src/b.rs";
        assert!(rules(&RustFile::new(path, &function_of(FUNCTION_LINES)), "").is_empty());
        let found = rules(&RustFile::new(path, &function_of(FUNCTION_LINES + 1)), "");
        assert_eq!(found, ["crates/a/src/b.rs::long has 71 lines, at most 70"]);
    }

    #[test]
    fn long_test_function_passes() {
        let source = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function_of(90));
        assert!(rules(&RustFile::new("crates/a/src/b.rs", &source), "").is_empty());
    }

    #[test]
    fn braces_in_strings_and_comments_do_not_end_a_function() {
        let source = function_of(71).replacen("a();", "a(\"}\"); // }", 1);
        assert_eq!(rules(&RustFile::new("crates/a/src/b.rs", &source), "").len(), 1);
    }

    #[test]
    fn function_pointers_and_declarations_are_not_functions() {
        assert!(functions("type A = fn(u8) -> u8; trait B { fn c(&self); }").is_empty());
    }

    #[test]
    fn ratchet_entry_allows_its_size_and_must_be_exact() {
        let file = file_of(700);
        assert!(rules(&file, "# why\ncrates/a/src/b.rs 700\n").is_empty());
        assert_eq!(rules(&file, "crates/a/src/b.rs 699").len(), 1);
        assert_eq!(rules(&file, "crates/a/src/b.rs 701").len(), 1);
        assert_eq!(rules(&file, "crates/a/src/b.rs 700\ncrates/a/src/gone.rs 650").len(), 1);
    }

    #[test]
    fn ratchet_that_grows_is_found_and_one_that_shrinks_is_not() {
        let before = parse("a.rs 700\nb.rs 650");
        assert!(additions(&before, &parse("a.rs 690")).is_empty());
        assert_eq!(additions(&before, &parse("a.rs 701\nc.rs 601")).len(), 2);
    }
}
