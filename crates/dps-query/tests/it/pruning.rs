//! Files, row groups and pages that cannot hold what is asked for are not read.

use dps_kql::{Analysis, Environment, Value};
use dps_monitor::Table;
use dps_monitor::ports::{QueryEngine, QueryRequest};
use dps_query::{DataFusionEngine, ScanStatistics};

use super::fixture::{HOUR, NOW, START, Store, log, request};

/// Ten files of an hour each, of 4 row groups of 100 rows; sorted by time.
async fn store() -> DataFusionEngine {
    let mut store = Store::new();
    for hour in 0..10 {
        let rows: Vec<_> = (0..400)
            .map(|at| {
                log(
                    hour * 3600 + at * 9,
                    &format!("Op{}", at / 100),
                    "Success",
                    Some(at),
                    &format!("/r{hour}"),
                )
            })
            .collect();
        let rows: Vec<_> = rows.iter().map(Vec::as_slice).collect();
        store.file(Table::AzureDiagnostics, 100, &rows).await;
    }
    store.engine()
}

async fn run(engine: &DataFusionEngine, request: QueryRequest) -> (i64, ScanStatistics) {
    let environment = Environment { tables: engine.tables(), now: NOW, opened: &[] };
    let Analysis::Ready(query) = dps_kql::analyse(&request.text, &environment).unwrap() else {
        panic!("an evaluate")
    };
    let (answer, statistics) = engine.run_plan_measured(*query, request).await.unwrap();
    match answer.table.rows[0][0] {
        Value::Long(count) => (count, statistics),
        ref other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn filter_on_time_leaves_out_files_and_row_groups() {
    let engine = store().await;
    let text = "AzureDiagnostics | where TimeGenerated >= datetime(2026-01-01T03:00:00Z) and TimeGenerated < datetime(2026-01-01T03:01:00Z) | count";
    let (count, read) = run(&engine, request(text)).await;
    assert_eq!(count, 7);
    assert_eq!((read.files_read, read.files_left_out), (1, 9));
    assert_eq!(read.row_groups_left_out, 3);
}

#[tokio::test]
async fn filter_on_time_leaves_out_pages_of_files_that_have_several() {
    let mut store = Store::new();
    let rows: Vec<_> = (0..8200).map(|at| log(at, "Op", "Success", Some(at), "/r")).collect();
    let rows: Vec<_> = rows.iter().map(Vec::as_slice).collect();
    store.file(Table::AzureDiagnostics, 4100, &rows).await;
    let text = "AzureDiagnostics | where TimeGenerated < datetime(2026-01-01T00:01:00Z) | count";
    let (count, read) = run(&store.engine(), request(text)).await;
    assert_eq!((count, read.row_groups_left_out), (60, 1));
    assert!(read.page_rows_left_out >= 2000, "{read:?}");
}

#[tokio::test]
async fn bounds_are_found_through_projections_functions_and_between() {
    let engine = store().await;
    for (text, count) in [
        (
            "AzureDiagnostics | where TimeGenerated between (datetime(2026-01-01T03:00:00Z) .. 1h) | count",
            401,
        ),
        (
            "AzureDiagnostics | extend x = 1 | project t = TimeGenerated, x | where x == 1 | where t > ago(16h) and t < ago(15h) | count",
            399,
        ),
        (
            "AzureDiagnostics | where datetime(2026-01-01T08:00:00Z) <= TimeGenerated | where TimeGenerated <= datetime(2026-01-01T08:59:00Z) | count",
            394,
        ),
        (
            "AzureDiagnostics | make-series n = count() on TimeGenerated from datetime(2026-01-01T03:00:00Z) to datetime(2026-01-01T04:00:00Z) step 1h | project toint(0) + tolong(n[0])",
            400,
        ),
    ] {
        let (found, read) = run(&engine, request(text)).await;
        assert_eq!(found, count, "{text}");
        assert!(read.files_read <= 2 && read.files_left_out >= 8, "{text}: {read:?}");
    }
}

#[tokio::test]
async fn timespan_of_the_request_leaves_out_files_in_each_scan() {
    let engine = store().await;
    let timespan = Some((START + HOUR, START + 2 * HOUR));
    let text = "AzureDiagnostics | union AzureDiagnostics | count";
    let (count, read) = run(&engine, QueryRequest { timespan, ..request(text) }).await;
    assert_eq!(count, 800);
    assert_eq!((read.files_read, read.files_left_out), (2, 18));
}

#[tokio::test]
async fn equal_texts_and_scopes_leave_out_row_groups() {
    let engine = store().await;
    let (count, read) =
        run(&engine, request("AzureDiagnostics | where OperationName == 'Op2' | count")).await;
    assert_eq!(count, 1000);
    assert_eq!(read.row_groups_left_out, 30);
    let (count, read) =
        run(&engine, request("AzureDiagnostics | where OperationName in ('Op1', 'Op3') | count")).await;
    assert_eq!(count, 2000);
    assert_eq!(read.row_groups_left_out, 20);
    let scope = dps_monitor::ports::Scope::Resources(vec!["/R4".to_owned()]);
    let (count, read) = run(&engine, QueryRequest { scope, ..request("AzureDiagnostics | count") }).await;
    assert_eq!(count, 400);
    assert_eq!(read.row_groups_left_out, 36);
}

#[tokio::test]
async fn columns_that_nobody_asks_for_do_not_hinder_pruning_and_results_agree() {
    let engine = store().await;
    let whole = "AzureDiagnostics | summarize sum(DurationMs) by OperationName | where OperationName == 'Op0' | project sum_DurationMs";
    let narrow = "AzureDiagnostics | where OperationName == 'Op0' | summarize sum(DurationMs)";
    let (one, _) = run(&engine, request(whole)).await;
    let (other, read) = run(&engine, request(narrow)).await;
    assert_eq!(one, other);
    assert_eq!(read.row_groups_left_out, 30);
}
