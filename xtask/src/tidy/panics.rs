//! No panic that a peer could cause: `unwrap` is for tests, `expect` and `unreachable!` state an invariant.

use super::finding::Finding;
use super::lexer::find;
use super::tree::{RustFile, Tree};

const WHY: &str = "a panic that the network can reach takes a connection, or the server, with it";

/// Every `unwrap` and every unexplained `expect` outside tests.
pub fn check(tree: &Tree) -> Vec<Finding> {
    // An example is run by who wrote its input.
    tree.rust.iter().filter(|file| !file.path.contains("/examples/")).flat_map(check_file).collect()
}

fn check_file(file: &RustFile) -> Vec<Finding> {
    let code = &file.views.code;
    let mut findings = Vec::new();
    for call in [".unwrap()", ".unwrap_err()", ".unwrap_unchecked()"] {
        for at in find(code, call).filter(|at| !file.is_test(*at)) {
            findings.push(file.finding(
                at,
                "no-unwrap",
                format!("`{call}`"),
                WHY,
                "return an error, or `expect(\"invariant: …\")`",
            ));
        }
    }
    for call in [".expect(", ".expect_err(", "unreachable!("] {
        for at in find(code, call).filter(|at| !file.is_test(*at)) {
            if !states_invariant(&file.text[at + call.len()..]) {
                let what = format!("`{call}…)` without an invariant");
                let mend = "begin the message with `invariant: ` and say why it holds, or return an error";
                findings.push(file.finding(at, "stated-invariant", what, WHY, mend));
            }
        }
    }
    findings
}

/// Whether the first argument is a text that states an invariant. Something that is no text at all (the
/// `expect` of a parser) is none of our business.
fn states_invariant(arguments: &str) -> bool {
    let first = arguments.trim_start();
    if first.starts_with(')') || first.starts_with("&format!") {
        return false;
    }
    let Some(message) = first.strip_prefix('"') else { return true };
    let message = message.split('"').next().unwrap_or_default();
    message.strip_prefix("invariant: ").is_some_and(|reason| reason.trim().len() >= 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, source: &str) -> Vec<&'static str> {
        check_file(&RustFile::new(path, source)).iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn unwrap_fails_in_the_product_and_passes_in_tests() {
        let source = "fn a() { b().unwrap(); }\n";
        assert_eq!(rules("crates/a/src/b.rs", source), ["no-unwrap"]);
        assert!(rules("crates/a/tests/it/main.rs", source).is_empty());
        assert!(
            rules("crates/a/src/b.rs", "#[cfg(test)]\nmod tests {\n fn a() { b().unwrap(); }\n}\n")
                .is_empty()
        );
    }

    #[test]
    fn unwrap_with_another_word_or_in_a_comment_passes() {
        assert!(rules("crates/a/src/b.rs", "// never .unwrap()\nfn a() { b().unwrap_or(0); }\n").is_empty());
    }

    #[test]
    fn expect_passes_with_a_stated_invariant_alone() {
        for good in [
            "b.expect(\"invariant: the key was inserted above\")",
            "b.expect(\n    \"invariant: the key was inserted above\",\n)",
        ] {
            assert!(rules("crates/a/src/b.rs", &format!("fn a() {{ {good}; }}\n")).is_empty(), "{good}");
        }
        for bad in [
            "b.expect(\"works\")",
            "b.expect(\"invariant: \")",
            "b.expect(&format!(\"invariant: {x} is there\"))",
            "unreachable!()",
        ] {
            assert_eq!(
                rules("crates/a/src/b.rs", &format!("fn a() {{ {bad}; }}\n")),
                ["stated-invariant"],
                "{bad}"
            );
        }
    }

    #[test]
    fn expect_of_a_parser_passes() {
        assert!(rules("crates/a/src/b.rs", "fn a() { parser.expect(Token::Comma)?; }\n").is_empty());
    }
}
