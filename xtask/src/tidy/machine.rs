//! Nothing in the repository knows the machine it was written on: no absolute paths, no package mirrors.

use super::finding::Finding;
use super::lexer::line_of;
use super::tree::{TextFile, Tree, extension};

/// Folders of one machine. Written in halves, so that this file does not break its own rule.
const FOLDERS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Use", "rs/"),
    concat!("/t", "mp/"),
];

/// What points a package client at another registry: file name, text, what it is.
const REGISTRIES: &[(&str, &str)] = &[
    ("package-lock.json", "\"resolved\": \"http"),
    (".npmrc", "registry"),
    ("requirements.txt", "--index-url"),
    ("requirements.txt", "--extra-index-url"),
    ("requirements.txt", "--find-links"),
    ("requirements.txt", "--trusted-host"),
    ("pip.conf", "index-url"),
    ("config.toml", "replace-with"),
    ("config.toml", "[registries"),
    ("config.toml", "[source."),
];

/// Every text file.
pub fn check(tree: &Tree) -> Vec<Finding> {
    tree.text.iter().flat_map(check_file).collect()
}

fn check_file(file: &TextFile) -> Vec<Finding> {
    let mut findings: Vec<Finding> = FOLDERS.iter().flat_map(|folder| paths(file, folder)).collect();
    let name = file.path.rsplit('/').next().unwrap_or_default();
    for (_, text) in REGISTRIES.iter().filter(|(wanted, _)| *wanted == name) {
        for (at, _) in file.text.match_indices(text) {
            findings.push(Finding {
                path: file.path.clone(),
                line: line_of(&file.text, at),
                rule: "no-registry-host",
                what: format!("`{text}`"),
                why: "everybody else reaches the packages by another way",
                mend: "leave the address to the machine (npm: omit-lockfile-registry-resolved)",
            });
        }
    }
    findings.extend(unnumbered_tasks(file));
    findings
}

fn paths(file: &TextFile, folder: &str) -> Vec<Finding> {
    let starts = file.text.match_indices(folder).map(|(at, _)| at).filter(|at| {
        // The middle of a longer path, a URL or a sed expression is not the root of a machine.
        let before = file.text[..*at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "_-./}~*$".contains(c))
    });
    starts
        .map(|at| Finding {
            path: file.path.clone(),
            line: line_of(&file.text, at),
            rule: "no-machine-path",
            what: format!("`{folder}`"),
            why: "the path exists on one machine only",
            mend: "use a path inside the repository, or a temporary folder the system names",
        })
        .collect()
}

/// The rule of `no-todo` for scripts; Rust is judged by its comments.
fn unnumbered_tasks(file: &TextFile) -> Vec<Finding> {
    let scripts = ["py", "ts", "tsx", "js", "mjs", "cjs", "sh"];
    if !scripts.contains(&extension(&file.path)) || file.path.contains("/dist/") {
        return Vec::new();
    }
    let lines =
        file.text.lines().enumerate().filter(|(_, line)| {
            ["TODO", "FIXME"].iter().any(|mark| line.contains(mark)) && !line.contains("(#")
        });
    lines
        .map(|(index, _)| Finding {
            path: file.path.clone(),
            line: index + 1,
            rule: "no-todo",
            what: "a task without an issue".to_owned(),
            why: "it is forgotten",
            mend: "give it the number: TODO(#12)",
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<&'static str> {
        let file = TextFile { path: path.to_owned(), text: text.to_owned() };
        check_file(&file).iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn absolute_path_of_a_machine_fails_wherever_it_begins() {
        for lead in ["", " ", "\"", "=", "(", "`", ":"] {
            let text = format!("{lead}{}me/file", concat!("/ho", "me/"));
            assert_eq!(rules("docs/a.md", &text), ["no-machine-path"], "{text}");
        }
    }

    #[test]
    fn path_inside_the_repository_or_a_url_passes() {
        let folder = concat!("wo", "rk/");
        for text in [
            format!("./{folder}x"),
            format!("frame{folder}x"),
            format!("https://a.example/{folder}x"),
            format!("$DIR/{folder}"),
        ] {
            assert!(rules("docs/a.md", &text).is_empty(), "{text}");
        }
    }

    #[test]
    fn lock_file_with_an_address_fails_and_without_passes() {
        let path = "tests/conformance/package-lock.json";
        assert_eq!(rules(path, "  \"resolved\": \"https://mirror.example/a.tgz\","), ["no-registry-host"]);
        assert!(rules(path, "  \"version\": \"1.0.0\", \"integrity\": \"sha512-x\"").is_empty());
    }

    #[test]
    fn requirements_with_an_index_fail() {
        assert_eq!(rules("tests/conformance/requirements.txt", "--index-url x\na==1"), ["no-registry-host"]);
    }

    #[test]
    fn task_in_a_script_wants_a_number() {
        let mark = concat!("TO", "DO");
        assert_eq!(rules("tests/run.py", &format!("# {mark} later")), ["no-todo"]);
        assert!(rules("tests/run.py", &format!("# {mark}(#4) later")).is_empty());
        assert!(rules("docs/a.md", &format!("{mark} in prose")).is_empty());
    }
}
