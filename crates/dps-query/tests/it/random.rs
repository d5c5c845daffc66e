//! Random legal queries: the engine's answer is the one that `naive` finds row by row.
//!
//! 300 queries by default; `MUSTER_RANDOM_QUERIES` says how many, `MUSTER_RANDOM_SEED` where they begin.

use std::collections::HashMap;

use dps_kql::{Type, Value};
use dps_monitor::Table;
use dps_monitor::ports::{QueryEngine, QueryError};
use dps_query::DataFusionEngine;

use super::fixture::{NOW, SECOND, START, Store, request, text};
use super::naive::generate::{Generator, Made};
use super::naive::value::{canonical, null};
use super::naive::{self, Row, Tables};

/// Queries of a run in CI: some ten seconds.
const SAMPLE: u64 = 300;
/// Told at most.
const TOLD: usize = 12;

fn number(variable: &str, default: u64) -> u64 {
    let found = std::env::vars().find(|(name, _)| name == variable);
    found.map_or(default, |(_, value)| value.parse().expect("a number"))
}

#[tokio::test]
async fn random_query_is_answered_as_the_naive_reading_of_its_plan() {
    let (store, tables) = logs().await;
    let engine = store.engine();
    let (first, count) = (number("MUSTER_RANDOM_SEED", 1), number("MUSTER_RANDOM_QUERIES", SAMPLE));
    let (mut made, mut left_out, mut wrong) = (0, 0, Vec::new());
    for seed in first..first + count {
        let mut generator = Generator::new(seed, engine.tables(), NOW);
        let query = generator.query();
        made += generator.made;
        left_out += generator.left_out;
        if disagreement(&engine, &tables, &generator, &query, query.stages.len()).await.is_none() {
            continue;
        }
        // The shortest part that is wrong says most.
        for stages in 1..=query.stages.len() {
            if let Some(told) = disagreement(&engine, &tables, &generator, &query, stages).await {
                wrong.push(format!("seed {seed}\n{told}"));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n\n{}", wrong.len(), wrong[..wrong.len().min(TOLD)].join("\n\n"));
    // What is made is legal nearly always, so that it reaches far.
    assert!(left_out * 20 <= made, "{left_out} of {made} operators were not legal");
}

/// What differs, in words.
async fn disagreement(
    engine: &DataFusionEngine,
    tables: &Tables,
    generator: &Generator<'_>,
    made: &Made,
    stages: usize,
) -> Option<String> {
    let asked = made.text(stages);
    let Some(query) = generator.analysed(&asked) else { return Some(format!("not legal: {asked}")) };
    let expected = naive::rows(&query.plan, tables);
    let answer = match engine.run(request(&asked)).await {
        Ok(answer) => answer,
        Err(QueryError::Wrong(diagnostics)) => return Some(format!("{asked}\nrefused: {diagnostics}")),
        Err(error) => return Some(format!("{asked}\nfailed: {error}")),
    };
    let ordered = made.ordered[stages - 1];
    let (expected, found) = (lines(&expected, ordered), lines(&answer.table.rows, ordered));
    let columns: Vec<_> = answer.table.columns.iter().map(|column| column.name.as_str()).collect();
    (expected != found).then(|| {
        format!(
            "{asked}\n{}\nexpected:\n{}\nfound:\n{}",
            columns.join(" | "),
            expected.join("\n"),
            found.join("\n")
        )
    })
}

fn lines(rows: &[Row], ordered: bool) -> Vec<String> {
    let line = |row: &Row| row.iter().map(canonical).collect::<Vec<_>>().join(" | ");
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    if !ordered {
        lines.sort();
    }
    lines
}

/// Rows of a log in files of small row groups and in memory, and the same rows as they are.
async fn logs() -> (Store, Tables) {
    let mut store = Store::new();
    let columns = Table::AzureDiagnostics.columns();
    let mut rows = Vec::new();
    for (number, at) in (0..40_usize).zip(0_i64..) {
        let duration = if at % 5 == 4 { Value::Null(Type::Long) } else { Value::Long(at * 7 % 11) };
        rows.push(vec![
            ("TimeGenerated", Value::DateTime(START + at * 1800 * SECOND)),
            ("OperationName", text(["AttestationAttempt", "Register", "Poll"][number % 3])),
            ("ResultType", text(["Success", "401002", ""][number % 7 % 3])),
            ("DurationMs", duration),
            ("CorrelationId", text(&format!("c-{at:02}"))),
            ("properties_s", text(&format!(r#"{{"id":"d{}","k":{at}}}"#, at % 6))),
        ]);
    }
    let cells: Vec<_> = rows.iter().map(Vec::as_slice).collect();
    store.file(Table::AzureDiagnostics, 4, &cells[..14]).await;
    store.file(Table::AzureDiagnostics, 4, &cells[14..30]).await;
    store.hot(Table::AzureDiagnostics, &cells[30..]);
    let whole = |row: &Vec<(&str, Value)>| -> Row {
        let cell = |(name, ty): &(&str, Type)| {
            let named = row.iter().find(|(column, _)| column == name);
            named.map_or_else(|| null(*ty), |(_, value)| value.clone())
        };
        columns.iter().map(cell).collect()
    };
    let tables =
        HashMap::from([(Table::AzureDiagnostics.name().to_owned(), rows.iter().map(whole).collect())]);
    (store, Tables(tables))
}
