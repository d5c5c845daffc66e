//! Queries and what they yield, file by file in `tests/queries`. `MUSTER_UPDATE_GOLDEN=1` writes the results anew; then they
//! are read by a person.
//!
//! A file is a list of cases: a line `query NAME` (`unordered` after it where the query leaves the order open), the text, a
//! line `----`, the columns as `name:type`, then the rows, cells between ` | `. A refusal is one line `error: …`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use dps_kql::Value;
use dps_monitor::Table;
use dps_monitor::ports::{AnswerTable, QueryEngine, QueryError};
use dps_query::DataFusionEngine;

use super::fixture::{SECOND, START, Store, log, request, text};

struct Case {
    head: String,
    query: String,
    expected: String,
}

#[tokio::test]
async fn queries_of_every_file_yield_what_is_written_there() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/queries");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let engine = store().await.engine();
    let refill = std::env::vars().any(|(name, value)| name == "MUSTER_UPDATE_GOLDEN" && value == "1");
    let only = std::env::vars().find(|(name, _)| name == "MUSTER_QUERY").map(|(_, value)| value);
    let (mut count, mut wrong) = (0, String::new());
    for file in files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "test")) {
        let content = std::fs::read_to_string(file).unwrap();
        let (preface, cases) = parse(&content);
        let mut written = preface;
        for case in &cases {
            let named = |only: &String| case.head.contains(only.as_str());
            if only.as_ref().is_some_and(|only| !named(only)) {
                continue;
            }
            count += 1;
            let found = answer(&engine, case).await;
            if found != case.expected {
                writeln!(
                    wrong,
                    "{}: {}\n{}\nexpected:\n{}found:\n{found}",
                    file.display(),
                    case.head,
                    case.query,
                    case.expected
                )
                .unwrap();
            }
            write!(written, "{}\n{}\n----\n{found}\n", case.head, case.query).unwrap();
        }
        if refill && only.is_none() {
            std::fs::write(file, written.trim_end().to_owned() + "\n").unwrap();
        }
    }
    assert!(count > 0, "no case was run");
    assert!(refill || wrong.is_empty(), "{wrong}");
}

/// Query and expectation of each case of a file.
pub fn cases(file: &Path) -> Vec<(String, String)> {
    let (_, cases) = parse(&std::fs::read_to_string(file).unwrap());
    cases.into_iter().map(|case| (case.query, case.expected)).collect()
}

fn parse(content: &str) -> (String, Vec<Case>) {
    let mut preface = String::new();
    let mut cases: Vec<Case> = Vec::new();
    let mut in_expected = false;
    for line in content.lines() {
        if line.starts_with("query ") {
            cases.push(Case { head: line.to_owned(), query: String::new(), expected: String::new() });
            in_expected = false;
        } else if let Some(case) = cases.last_mut() {
            if line == "----" {
                in_expected = true;
            } else if in_expected {
                if !line.is_empty() {
                    writeln!(case.expected, "{line}").unwrap();
                }
            } else {
                if !case.query.is_empty() {
                    case.query.push('\n');
                }
                case.query.push_str(line);
            }
        } else {
            writeln!(preface, "{line}").unwrap();
        }
    }
    (preface, cases)
}

async fn answer(engine: &DataFusionEngine, case: &Case) -> String {
    match engine.run(request(&case.query)).await {
        Ok(answer) => render(&answer.table, case.head.ends_with(" unordered")),
        Err(QueryError::Wrong(diagnostics)) => {
            let errors = diagnostics.errors.iter().map(|error| format!("{} {}", error.code, error.message));
            format!("error: {}\n", errors.collect::<Vec<_>>().join("; "))
        }
        Err(error) => format!("error: {}\n", error.to_string().replace('\n', " / ")),
    }
}

fn render(table: &AnswerTable, unordered: bool) -> String {
    let columns = table.columns.iter().map(|column| format!("{}:{}", column.name, column.ty.name()));
    let head = columns.collect::<Vec<_>>().join(" | ");
    let row = |row: &Vec<Value>| row.iter().map(cell).collect::<Vec<_>>().join(" | ");
    let mut rows: Vec<String> = table.rows.iter().map(row).collect();
    if unordered {
        rows.sort();
    }
    let lines = std::iter::once(head).chain(rows);
    lines.fold(String::new(), |all, line| all + line.trim_end() + "\n")
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null(_) => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Long(value) => value.to_string(),
        Value::Real(value) => format!("{value:?}"),
        Value::Decimal(digits) => digits.to_string(),
        Value::String(text) => format!("'{}'", text.escape_debug()),
        Value::DateTime(ticks) => instant(*ticks),
        Value::TimeSpan(ticks) => duration(*ticks),
        Value::Guid(bytes) => bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")),
        Value::Dynamic(json) => json.to_string(),
    }
}

fn duration(ticks: i64) -> String {
    let sign = if ticks < 0 { "-" } else { "" };
    let (days, rest) =
        (ticks.unsigned_abs() / (86_400 * 10_000_000), ticks.unsigned_abs() % (86_400 * 10_000_000));
    let (seconds, fraction) = (rest / 10_000_000, rest % 10_000_000);
    let mut text = format!("{sign}{days}.{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if fraction > 0 {
        write!(text, ".{fraction:07}").unwrap();
    }
    text
}

/// A civil date from days, by the calendar of 400 years that repeats.
fn instant(ticks: i64) -> String {
    let (days, rest) = (ticks.div_euclid(86_400 * SECOND), ticks.rem_euclid(86_400 * SECOND));
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let (mut year, mut left) = (1, days);
    while left >= 365 + i64::from(is_leap(year)) {
        left -= 365 + i64::from(is_leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + i64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    let (seconds, fraction) = (rest / SECOND, rest % SECOND);
    let mut text = format!("{year:04}-{month:02}-{:02}", left + 1);
    if rest > 0 {
        write!(text, "T{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60).unwrap();
    }
    if fraction > 0 {
        write!(text, ".{fraction:07}").unwrap();
    }
    text
}

/// The day of a small fleet: some rows in files, the last ones in memory.
async fn store() -> Store {
    let mut store = Store::new();
    let one = "/subscriptions/s/resourcegroups/g/providers/microsoft.devices/provisioningservices/one";
    let two = "/subscriptions/s/resourcegroups/g/providers/microsoft.devices/provisioningservices/two";
    let device = |mut row: Vec<(&'static str, Value)>, id: &str, protocol: &str| {
        row.push(("properties_s", text(&format!(r#"{{"id":"{id}","protocol":"{protocol}"}}"#))));
        row
    };
    let early = [
        device(log(60, "AttestationAttempt", "Success", Some(12), one), "d1", "Mqtt"),
        device(log(90, "AttestationAttempt", "401002", Some(3), one), "d2", "Mqtt"),
        device(log(3700, "AttestationAttempt", "Success", Some(20), two), "d3", "Amqp"),
    ];
    let late = [
        device(log(7300, "Register", "Success", Some(40), one), "d1", "Https"),
        device(log(7400, "AttestationAttempt", "401002", None, one), "d2", "Mqtt"),
        device(log(80_000, "Register", "Success", Some(33), two), "d3", "Amqp"),
    ];
    let early: Vec<_> = early.iter().map(Vec::as_slice).collect();
    store.file(Table::AzureDiagnostics, 2, &early).await;
    let late: Vec<_> = late.iter().map(Vec::as_slice).collect();
    store.hot(Table::AzureDiagnostics, &late);
    let metric = |hour: i64, name: &str, total: f64| {
        vec![
            ("TimeGenerated", Value::DateTime(START + hour * 3600 * SECOND)),
            ("MetricName", text(name)),
            ("Total", Value::Real(total)),
            ("_ResourceId", text(one)),
        ]
    };
    let metrics = [
        metric(0, "AttestationAttempts", 2.0),
        metric(2, "AttestationAttempts", 1.0),
        metric(2, "DeviceAssignments", 1.5),
    ];
    let metrics: Vec<_> = metrics.iter().map(Vec::as_slice).collect();
    store.hot(Table::AzureMetrics, &metrics);
    store
}
