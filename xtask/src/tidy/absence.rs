//! What must not be there (ARCHITECTURE.md, invariants), as far as words can decide it.
//!
//! One row per absence: where it holds, the words that break it, why, and what to do instead.

use super::finding::Finding;
use super::lexer::find;
use super::tree::{RustFile, Tree};

/// The part of a source text that a row looks at.
#[derive(Clone, Copy)]
enum View {
    Code,
    Literals,
    Comments,
}

/// Which code a row judges.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Judges {
    Product,
    Tests,
    Both,
}

/// One absence.
struct Absence {
    rule: &'static str,
    /// Files that the rule holds for.
    holds: fn(&RustFile) -> bool,
    judges: Judges,
    view: View,
    /// Finds the offsets that break it, with what stands there.
    breaks: fn(&str) -> Vec<(usize, String)>,
    why: &'static str,
    mend: &'static str,
}

/// Every absence against every file.
pub fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust.iter().flat_map(check_file).collect()
}

fn check_file(file: &RustFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for row in ABSENCES.iter().filter(|row| (row.holds)(file)) {
        let text = match row.view {
            View::Code => &file.views.code,
            View::Literals => &file.views.literals,
            View::Comments => &file.views.comments,
        };
        for (at, what) in (row.breaks)(text) {
            let skipped = if file.is_test(at) { Judges::Product } else { Judges::Tests };
            if row.judges != skipped {
                findings.push(file.finding(at, row.rule, what, row.why, row.mend));
            }
        }
    }
    findings
}

const ABSENCES: &[Absence] = &[
    Absence {
        rule: "no-wire-in-core",
        holds: is_core,
        judges: Judges::Product,
        view: View::Code,
        breaks: |code| {
            words(code, &["http", "hyper", "axum", "StatusCode", "http_status", "topic", "topics"])
        },
        why: "the domain does not know which protocol asks",
        mend: "decide it in dps-device-api's decode, encode or reject",
    },
    Absence {
        rule: "no-wire-in-core",
        holds: is_core,
        judges: Judges::Product,
        view: View::Literals,
        breaks: |text| parts(text, &["$dps", "$iothub", "api-version=", "amqps:", "x-opt-", "iotdps-"]),
        why: "topic, link, header and status words stop at decode",
        mend: "move the text to dps-wire or dps-device-api",
    },
    Absence {
        rule: "no-sql-outside-store",
        holds: |file| !file.in_crate("dps-store"),
        judges: Judges::Both,
        view: View::Code,
        breaks: |code| words(code, &["rusqlite", "tokio_postgres", "deadpool_postgres", "sqlx"]),
        why: "dps-store is the only crate that speaks to a database",
        mend: "add a method to the store port",
    },
    Absence {
        rule: "no-sql-outside-store",
        holds: |file| file.in_product() && !file.in_crate("dps-store"),
        judges: Judges::Product,
        view: View::Literals,
        breaks: sql_statements,
        why: "SQL lives in dps-store",
        mend: "add a method to the store port",
    },
    Absence {
        rule: "no-if-postgres",
        holds: |_| true,
        judges: Judges::Both,
        view: View::Code,
        breaks: if_backend,
        why: "two backends with one suite, not one code with branches",
        mend: "put what differs into the backend's folder of dps-store",
    },
    Absence {
        rule: "no-wall-clock",
        holds: |file| file.in_product() && !is_clock(file),
        judges: Judges::Product,
        view: View::Code,
        breaks: |code| {
            words(
                code,
                &[
                    "SystemTime::now",
                    "Timestamp::now",
                    "Zoned::now",
                    "Utc::now",
                    "Local::now",
                    "UNIX_EPOCH.elapsed",
                ],
            )
        },
        why: "time is a port, so that a test can hold it",
        mend: "take the time as an argument, or ask the Clock",
    },
    Absence {
        rule: "no-wall-clock",
        holds: |file| file.in_product() && !is_clock(file),
        judges: Judges::Product,
        view: View::Code,
        breaks: std_instant,
        why: "std's Instant cannot be held by a test, tokio's can (start_paused)",
        mend: "use tokio::time::Instant for timeouts, the Clock for timings",
    },
    Absence {
        rule: "no-env-outside-config",
        holds: |file| file.in_product() && !file.path.starts_with("crates/muster/src/config"),
        judges: Judges::Product,
        view: View::Code,
        breaks: |code| {
            words(
                code,
                &["env::var", "env::vars", "env::var_os", "env::vars_os", "env::set_var", "env::remove_var"],
            )
        },
        why: "a server is described by its configuration, in one place",
        mend: "read it in crates/muster/src/config and pass the value in",
    },
    Absence {
        rule: "no-unbounded-queue",
        holds: RustFile::in_product,
        judges: Judges::Product,
        view: View::Code,
        breaks: |code| words(code, &["unbounded_channel", "unbounded", "UnboundedSender", "mpsc::channel()"]),
        why: "a queue without a bound is a memory leak that a peer controls",
        mend: "use a bounded channel with a named limit, and say what happens when it is full",
    },
    Absence {
        rule: "limits-in-limits",
        holds: |file| file.in_product() && !is_limits(file),
        judges: Judges::Product,
        view: View::Code,
        breaks: limit_constants,
        why: "every limit is found in one place",
        mend: "move it to dps-model's limits.rs, or to the crate's own where it cannot see the model",
    },
    Absence {
        rule: "no-todo",
        holds: |_| true,
        judges: Judges::Both,
        view: View::Code,
        breaks: |code| words(code, &["todo!", "unimplemented!"]),
        why: "a stub that compiles is taken for work that is done",
        mend: "write it, or answer with an error of the catalogue and a row in docs/divergences.md",
    },
    Absence {
        rule: "no-todo",
        holds: |_| true,
        judges: Judges::Both,
        view: View::Comments,
        breaks: todo_without_issue,
        why: "a task without an issue is forgotten",
        mend: "give it the number: TODO(#12)",
    },
    Absence {
        rule: "no-sleep-in-tests",
        holds: |file| !file.text.contains("start_paused"),
        judges: Judges::Tests,
        view: View::Code,
        breaks: |code| words(code, &["thread::sleep", "time::sleep"]),
        why: "a sleep is too short on a slow machine and too long on a fast one",
        mend: "wait for the event itself, or hold the clock (tokio: start_paused)",
    },
    Absence {
        rule: "no-blocking-sleep",
        holds: RustFile::in_product,
        judges: Judges::Product,
        view: View::Code,
        breaks: |code| words(code, &["thread::sleep"]),
        why: "it holds a whole thread, and every connection on it",
        mend: "use tokio::time::sleep, or wait on a condition with a timeout",
    },
];

fn is_core(file: &RustFile) -> bool {
    file.in_crate("dps-core") || file.in_crate("dps-attestation")
}

fn is_clock(file: &RustFile) -> bool {
    file.path.ends_with("/clock.rs") || file.path.contains("/clock/")
}

fn is_limits(file: &RustFile) -> bool {
    file.path.ends_with("/limits.rs") || file.path.contains("/limits/")
}

/// Whole words.
fn words(text: &str, needles: &[&str]) -> Vec<(usize, String)> {
    let hits = needles.iter().flat_map(|needle| find(text, needle).map(|at| (at, format!("`{}`", *needle))));
    hits.collect()
}

/// Any occurrence.
fn parts(text: &str, needles: &[&str]) -> Vec<(usize, String)> {
    let hits = needles
        .iter()
        .flat_map(|needle| text.match_indices(needle).map(|(at, _)| (at, format!("`{}`", *needle))));
    hits.collect()
}

/// SQL in capital letters, as it is written in literals. Azure's own query language has a SELECT, over its
/// own collections, and is not meant.
fn sql_statements(literals: &str) -> Vec<(usize, String)> {
    let mut found = parts(
        literals,
        &["INSERT INTO ", "DELETE FROM ", "CREATE TABLE ", "CREATE INDEX ", "PRAGMA ", "ON CONFLICT"],
    );
    for (at, _) in literals.match_indices("SELECT ") {
        let statement = literals[at..].split('"').next().unwrap_or_default();
        let Some((_, rest)) = statement.split_once(" FROM ") else { continue };
        let table = rest.split([' ', '\n', ';']).next().unwrap_or_default().to_lowercase();
        if !["enrollments", "enrollmentgroups", "deviceregistrations", "devices", "c"]
            .contains(&table.as_str())
        {
            found.push((at, "`SELECT … FROM`".to_owned()));
        }
    }
    for (at, _) in literals.match_indices("UPDATE ") {
        if literals[at..].split('"').next().unwrap_or_default().contains(" SET ") {
            found.push((at, "`UPDATE … SET`".to_owned()));
        }
    }
    found
}

/// A condition that asks which database it is.
fn if_backend(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for at in find(code, "if") {
        let condition = code[at..].split(['{', ';']).next().unwrap_or_default().to_lowercase();
        if condition.contains("postgres") || condition.contains("is_sqlite") {
            found.push((at, format!("`{}`", condition.trim())));
        }
    }
    found
}

/// `Instant::now` that is not tokio's: neither written so nor imported from there.
fn std_instant(code: &str) -> Vec<(usize, String)> {
    let imported = code.split(';').any(|item| {
        let item = item.trim_start().trim_start_matches("pub ").trim_start();
        item.starts_with("use tokio::") && find(item, "Instant").next().is_some()
    });
    let hits = find(code, "Instant::now").filter(|at| {
        let before = &code[..*at];
        !(before.ends_with("tokio::time::") || (imported && !before.ends_with("std::time::")))
    });
    hits.map(|at| (at, "`std::time::Instant::now`".to_owned())).collect()
}

/// `const MAX_FRAME: usize = …` and its like outside the limits.
fn limit_constants(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for at in find(code, "const") {
        let rest = code[at + 5..].trim_start();
        let Some((name, after)) = rest.split_once(':') else { continue };
        let typ = after.split('=').next().unwrap_or_default().trim();
        let number =
            ["usize", "u8", "u16", "u32", "u64", "i64", "Duration", "std::time::Duration"].contains(&typ);
        let limit = name.starts_with("MAX_")
            || name.ends_with("_MAX")
            || name.ends_with("_LIMIT")
            || name.ends_with("_TIMEOUT");
        // `NO_LIMIT` says that there is none.
        if number && limit && !name.starts_with("NO_") {
            found.push((at, format!("`const {name}: {typ}`")));
        }
    }
    found
}

/// Marks of work left, without an issue number behind them.
fn todo_without_issue(comments: &str) -> Vec<(usize, String)> {
    let marks = words(comments, &["TODO", "FIXME"]);
    marks.into_iter().filter(|(at, _)| !has_issue_number(&comments[*at..])).collect()
}

fn has_issue_number(text: &str) -> bool {
    let line = text.lines().next().unwrap_or_default();
    line.match_indices('#').any(|(at, _)| line[at + 1..].starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests;
