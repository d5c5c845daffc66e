//! Limits, admission, cancellation.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dps_kql::Value;
use dps_monitor::Table;
use dps_monitor::ports::{PartialAnswer, QueryEngine, QueryError, QueryRequest, Scope};

use super::fixture::{HOUR, START, Store, limits, log, request};

/// More than a test waits for.
const ENDLESS: &str = "range x from 1 to 100000000000 step 1 | where x % 7 == 8 | count";

#[tokio::test]
async fn answer_beyond_the_row_limit_is_cut_and_says_so() {
    let engine = Store::new().engine();
    let mut cut = request("range x from 1 to 100000000000 step 1");
    cut.limits.rows = 1000;
    let answer = engine.run(cut).await.unwrap();
    assert_eq!(answer.table.rows.len(), 1000);
    assert_eq!(answer.partial, Some(PartialAnswer::Rows));
    let mut whole = request("range x from 1 to 1000 step 1");
    whole.limits.rows = 1000;
    assert_eq!(engine.run(whole).await.unwrap().partial, None);
}

#[tokio::test]
async fn answer_beyond_the_byte_limit_is_cut_and_says_so() {
    let engine = Store::new().engine();
    let mut cut =
        request("range x from 1 to 100000000 step 1 | extend t = strcat('0123456789', tostring(x))");
    cut.limits.bytes = 10_000;
    let answer = engine.run(cut).await.unwrap();
    assert_eq!(answer.partial, Some(PartialAnswer::Bytes));
    assert!((50..1000).contains(&answer.table.rows.len()), "{}", answer.table.rows.len());
}

#[tokio::test]
async fn query_that_runs_too_long_is_cancelled() {
    let engine = Store::new().engine();
    let mut request = request(ENDLESS);
    request.limits.time = Duration::from_millis(300);
    let begun = Instant::now();
    let error = engine.run(request).await.unwrap_err();
    assert_eq!(error, QueryError::Time(Duration::from_millis(300)));
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn dropped_query_frees_its_place() {
    let engine = Arc::new(Store::new().engine_with(1, 1, 1));
    let running = Arc::clone(&engine);
    let task = tokio::spawn(async move { running.run(request(ENDLESS)).await });
    while engine.idle_places() > 0 {
        tokio::task::yield_now().await;
    }
    task.abort();
    // The only place, on the only thread: it is had only if the work has ended.
    let answer = engine.run(request("print 1")).await.unwrap();
    assert_eq!(answer.table.rows, [[Value::Long(1)]]);
}

#[tokio::test]
async fn query_beyond_those_that_may_wait_is_turned_away() {
    let engine = Arc::new(Store::new().engine_with(1, 1, 1));
    let start = || {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move { engine.run(request(ENDLESS)).await })
    };
    let first = start();
    while engine.idle_places() > 0 {
        tokio::task::yield_now().await;
    }
    let second = start();
    while engine.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(engine.run(request("print 1")).await.unwrap_err(), QueryError::Busy);
    first.abort();
    second.abort();
}

#[tokio::test]
async fn query_that_wants_too_much_memory_fails_and_others_do_not() {
    let engine = Store::new().engine();
    for text in [
        "range x from 1 to 10000000 step 1 | summarize count() by x, t = strcat('a long enough text ', tostring(x)) | count",
        "range x from 1 to 10000000 step 1 | sort by x desc | count",
        "range x from 1 to 10000000 step 1 | serialize p = prev(x) | count",
        "range x from 1 to 10000000 step 1 | join (range x from 1 to 10000000 step 1) on x | count",
        "range x from 1 to 10000000 step 1 | summarize l = make_list(x) | mv-expand l | summarize make_set(tostring(l))",
        "let s = range x from 1 to 900000 step 1; range y from 1 to 10 step 1 | where y in (s)",
    ] {
        let mut small = request(text);
        small.limits.memory = 4 << 20;
        assert_eq!(engine.run(small).await.unwrap_err(), QueryError::Memory, "{text}");
    }
    assert!(engine.run(request("print 1")).await.is_ok());
}

#[tokio::test]
async fn hostile_queries_are_refused_with_words() {
    let engine = Store::new().engine();
    for (text, word) in [
        ("print x = 1 | where 'a' matches regex '('", "regular expression"),
        ("range x from 1 to 10 step 0", "step"),
        (
            "print t = now() | make-series count() default = 0 on t from datetime(1900-01-01) to datetime(2100-01-01) step 1tick",
            "step",
        ),
        ("let s = range x from 1 to 2000000 step 1; range y from 1 to 10 step 1 | where y in (s)", "rows"),
    ] {
        let mut roomy = request(text);
        roomy.limits.memory = 4 << 30;
        match engine.run(roomy).await {
            Err(QueryError::Value(message)) => assert!(message.contains(word), "{text}: {message}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    let deep = format!("print {}1{}", "(1+".repeat(5000), ")".repeat(5000));
    assert!(engine.run(request(&deep)).await.is_err());
    let long = format!("print 1{}", " | extend x = 1".repeat(5000));
    assert!(engine.run(request(&long)).await.is_err());
    let wide = format!("print 1 | where {}", vec!["1 == 1"; 5000].join(" or "));
    let _either = engine.run(request(&wide)).await;
    assert!(engine.run(request("print 1")).await.is_ok());
}

#[tokio::test]
async fn scope_and_timespan_hold_everywhere_in_a_query() {
    let one = "/subscriptions/s/resourcegroups/g/providers/microsoft.devices/provisioningservices/dps";
    let other = "/subscriptions/s/resourcegroups/g/providers/microsoft.devices/provisioningservices/dps2";
    let mut store = Store::new();
    let rows = [
        log(0, "A", "Success", None, one),
        log(10, "B", "Success", None, other),
        log(7200, "C", "Success", None, one),
        log(7300, "D", "Success", None, &format!("{one}/certificates/c")),
    ];
    let rows: Vec<_> = rows.iter().map(Vec::as_slice).collect();
    store.file(Table::AzureDiagnostics, 1, &rows[..2]).await;
    store.hot(Table::AzureDiagnostics, &rows[2..]);
    let engine = store.engine();
    let names = async |text: &str, scope: Scope, timespan| {
        let asked = QueryRequest { scope, timespan, ..request(text) };
        let answer = engine.run(asked).await.unwrap();
        answer
            .table
            .rows
            .iter()
            .map(|row| match &row[0] {
                Value::String(text) => text.to_string(),
                other => format!("{other:?}"),
            })
            .collect::<Vec<_>>()
            .join(",")
    };
    let all = "AzureDiagnostics | project OperationName | sort by OperationName asc";
    let upper = Scope::Resources(vec![one.to_uppercase() + "/"]);
    assert_eq!(names(all, Scope::Workspace, None).await, "A,B,C,D");
    assert_eq!(names(all, upper.clone(), None).await, "A,C,D");
    assert_eq!(names(all, Scope::Resources(vec![]), None).await, "");
    assert_eq!(names(all, upper.clone(), Some((START, START + HOUR))).await, "A");
    let subquery = "AzureDiagnostics | where OperationName in ((AzureDiagnostics | project OperationName)) | join kind=inner (AzureDiagnostics) on OperationName | summarize by OperationName | sort by OperationName asc";
    assert_eq!(names(subquery, upper.clone(), Some((START, START + HOUR))).await, "A");
    let scalar = "print toscalar(AzureDiagnostics | summarize tostring(count()))";
    assert_eq!(names(scalar, upper, None).await, "3");
}

#[tokio::test]
async fn answer_tells_how_many_rows_were_read() {
    let mut store = Store::new();
    let rows: Vec<_> = (0..100).map(|at| log(at, "A", "Success", Some(at), "/r")).collect();
    let rows: Vec<_> = rows.iter().map(Vec::as_slice).collect();
    store.file(Table::AzureDiagnostics, 50, &rows).await;
    store.hot(Table::AzureDiagnostics, &rows[..10]);
    let answer = store.engine().run(request("AzureDiagnostics | summarize sum(DurationMs)")).await.unwrap();
    assert_eq!(answer.scanned_rows, 110);
    assert_eq!(answer.table.rows, [[Value::Long(4950 + 45)]]);
    assert!(answer.elapsed < limits().time);
}
