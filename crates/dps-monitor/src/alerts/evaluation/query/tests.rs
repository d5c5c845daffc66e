use dps_kql::{Type, Value};
use proptest::prelude::*;

use super::{MINUTE, query};
use crate::alerts::evaluation::{EvaluationError, Finding, alert_context, instant, without_figures};
use crate::alerts::fixtures::{FakeEngine, query_rule, rows_over, table, whole};
use crate::alerts::rule::{DimensionFilter, FailingPeriods, Operator, QueryCriterion, Rule};
use crate::logs::ticks;
use crate::metrics::Aggregation;
use crate::ports::{Answer, AnswerTable, PartialAnswer, QueryEngine, QueryError, Scope};

const AT: i64 = 29_000_000;

/// The last instant of that many minutes before the end.
fn before(minutes: i64) -> Value {
    Value::DateTime(ticks(instant(AT)) - (minutes * MINUTE) - 1)
}

fn text(value: &str) -> Value {
    Value::String(value.into())
}

fn times(minutes: &[i64]) -> AnswerTable {
    table(&[("TimeGenerated", Type::DateTime)], minutes.iter().map(|minute| vec![before(*minute)]).collect())
}

async fn found(criterion: QueryCriterion, answer: AnswerTable) -> Result<Vec<Finding>, EvaluationError> {
    let engine = FakeEngine::new(move |_: &_| Ok(whole(answer.clone())));
    evaluate(engine.as_ref(), criterion).await
}

async fn evaluate(
    engine: &dyn QueryEngine,
    criterion: QueryCriterion,
) -> Result<Vec<Finding>, EvaluationError> {
    let rule = Rule { window: 5, ..query_rule(criterion.clone()) };
    query(engine, &rule, &criterion, AT).await
}

fn shape(findings: &[Finding]) -> Vec<(String, bool, Option<f64>)> {
    let name = |finding: &Finding| {
        let values: Vec<_> = finding.series.dimensions.iter().map(|(_, value)| value.as_str()).collect();
        values.join("/")
    };
    findings.iter().map(|finding| (name(finding), finding.met, finding.figures[0].value)).collect()
}

fn split(name: &str, include: bool, values: &[&str]) -> DimensionFilter {
    DimensionFilter { name: name.into(), include, values: values.iter().map(|v| (*v).to_owned()).collect() }
}

#[tokio::test]
async fn rows_are_counted_and_none_are_nought() {
    let two = found(rows_over(1.0), times(&[0, 4])).await.unwrap();
    assert_eq!(shape(&two), [(String::new(), true, Some(2.0))]);
    let silent = QueryCriterion { operator: Operator::LessThan, ..rows_over(1.0) };
    assert_eq!(shape(&found(silent.clone(), times(&[])).await.unwrap()), [(String::new(), true, Some(0.0))]);
    // A measure of no rows is not nought.
    let measured =
        QueryCriterion { aggregation: Aggregation::Total, measure_column: Some("n".into()), ..silent };
    let empty = table(&[("TimeGenerated", Type::DateTime), ("n", Type::Long)], Vec::new());
    assert_eq!(shape(&found(measured, empty).await.unwrap()), [(String::new(), false, None)]);
}

#[tokio::test]
async fn rows_belong_to_the_period_of_their_time() {
    let failing =
        |of, at_least| QueryCriterion { failing: FailingPeriods { of, at_least }, ..rows_over(0.0) };
    // Three periods of five minutes: rows in the last and in the first of them.
    let answer = times(&[0, 1, 14, 15, 99]);
    for (of, at_least, met) in [(3, 2, true), (3, 3, false), (4, 3, true), (1, 1, true), (2, 2, false)] {
        let shapes = shape(&found(failing(of, at_least), answer.clone()).await.unwrap());
        assert_eq!(shapes, [(String::new(), met, Some(2.0))], "{of} {at_least}");
    }
}

#[tokio::test]
async fn query_without_time_runs_once_for_each_period() {
    let engine = FakeEngine::new(|request: &crate::ports::QueryRequest| {
        let (from, to) = request.timespan.unwrap();
        // Rows in every period but the one before the last.
        let rows =
            if to == ticks(instant(AT - 5)) { vec![] } else { vec![vec![Value::Long((to - from) / MINUTE)]] };
        Ok(whole(table(&[("n", Type::Long)], rows)))
    });
    let criterion = QueryCriterion { failing: FailingPeriods { of: 3, at_least: 2 }, ..rows_over(0.0) };
    let findings = evaluate(engine.as_ref(), criterion).await.unwrap();
    assert!(findings[0].met);
    let asked = engine.asked.lock().unwrap();
    let spans: Vec<_> = asked
        .iter()
        .map(|request| {
            request.timespan.map(|(from, to)| ((ticks(instant(AT)) - to) / MINUTE, (to - from) / MINUTE))
        })
        .collect();
    assert_eq!(spans, [Some((0, 15)), Some((0, 5)), Some((5, 5)), Some((10, 5))]);
    assert!(asked.iter().all(|request| request.now == request.timespan.unwrap().1));
}

#[tokio::test]
async fn dimensions_and_resource_split_and_figures_are_aggregated() {
    let columns = [
        ("TimeGenerated", Type::DateTime),
        ("Hub", Type::String),
        ("code", Type::Int),
        ("ms", Type::Real),
        ("_ResourceId", Type::String),
    ];
    let row = |hub: &str, code: i32, ms: Value, id: &str| {
        vec![before(0), text(hub), Value::Int(code), ms, text(id)]
    };
    let answer = table(
        &columns,
        vec![
            row("a", 1, Value::Real(10.0), "/r1"),
            row("a", 1, Value::Real(30.0), "/r1"),
            row("a", 1, Value::Null(Type::Real), "/r1"),
            row("b", 2, Value::Real(50.0), "/r2"),
            row("c", 2, Value::Real(f64::NAN), "/r2"),
            row("never", 2, Value::Real(99.0), "/r2"),
        ],
    );
    let criterion = QueryCriterion {
        aggregation: Aggregation::Average,
        measure_column: Some("ms".into()),
        resource_column: Some("_ResourceId".into()),
        dimensions: vec![split("Hub", false, &["NEVER"]), split("code", true, &["*"])],
        ..rows_over(20.0)
    };
    let findings = found(criterion.clone(), answer.clone()).await.unwrap();
    assert_eq!(shape(&findings), [("a/1".into(), false, Some(20.0)), ("b/2".into(), true, Some(50.0))]);
    let targets: Vec<_> = findings.iter().map(|finding| finding.series.target.as_str()).collect();
    assert_eq!(targets, ["/r1", "/r2"]);

    for (aggregation, expected) in [
        (Aggregation::Total, 40.0),
        (Aggregation::Minimum, 10.0),
        (Aggregation::Maximum, 30.0),
        (Aggregation::Count, 2.0),
    ] {
        let findings =
            found(QueryCriterion { aggregation, ..criterion.clone() }, answer.clone()).await.unwrap();
        assert_eq!(findings[0].figures[0].value, Some(expected), "{aggregation:?}");
    }
}

#[tokio::test]
async fn what_does_not_fit_is_an_error_and_no_finding() {
    let missing = QueryCriterion { dimensions: vec![split("Hub", true, &["*"])], ..rows_over(0.0) };
    let error = found(missing, times(&[0])).await.unwrap_err();
    assert!(error.to_string().contains("yields no column Hub"), "{error}");
    let wrong = QueryCriterion {
        measure_column: Some("TimeGenerated".into()),
        aggregation: Aggregation::Total,
        ..rows_over(0.0)
    };
    let error = found(wrong, times(&[0])).await.unwrap_err();
    assert!(error.to_string().contains("datetime"), "{error}");

    let cut = |_: &_| Ok(Answer { partial: Some(PartialAnswer::Bytes), ..whole(times(&[0, 1])) });
    assert!(evaluate(FakeEngine::new(cut).as_ref(), rows_over(1.0)).await.unwrap()[0].met, "at least two");
    let few = QueryCriterion { operator: Operator::LessThan, ..rows_over(9.0) };
    assert_eq!(evaluate(FakeEngine::new(cut).as_ref(), few).await, Err(EvaluationError::Cut));
    let busy = FakeEngine::new(|_: &_| Err(QueryError::Busy));
    assert!(matches!(
        evaluate(busy.as_ref(), rows_over(1.0)).await,
        Err(EvaluationError::Query(QueryError::Busy))
    ));
}

#[tokio::test]
async fn scope_is_the_workspace_or_the_resources() {
    let engine = FakeEngine::new(|_: &_| Ok(whole(times(&[]))));
    let mut rule = query_rule(rows_over(0.0));
    query(engine.as_ref(), &rule, &rows_over(0.0), AT).await.unwrap();
    let resources = rule.scopes.clone();
    rule.scopes =
        vec!["/subscriptions/s/resourceGroups/g/providers/microsoft.operationalinsights/workspaces/w".into()];
    query(engine.as_ref(), &rule, &rows_over(0.0), AT).await.unwrap();
    let scopes: Vec<_> = engine.asked.lock().unwrap().iter().map(|request| request.scope.clone()).collect();
    assert_eq!(scopes, [Scope::Resources(resources), Scope::Workspace]);
}

#[tokio::test]
async fn context_has_the_members_of_the_common_schema() {
    let criterion = QueryCriterion { dimensions: vec![split("Hub", true, &["*"])], ..rows_over(0.0) };
    let columns = [("TimeGenerated", Type::DateTime), ("Hub", Type::String)];
    let answer = table(&columns, vec![vec![before(0), text("h")]]);
    let engine = FakeEngine::new(move |_: &_| Ok(whole(answer.clone())));
    let rule = query_rule(criterion.clone());
    let findings = query(engine.as_ref(), &rule, &criterion, AT).await.unwrap();
    let context = alert_context(&rule, &findings[0], AT);
    let item = &context["condition"]["allOf"][0];
    assert_eq!(context["conditionType"], "LogQueryCriteria");
    assert_eq!(context["condition"]["windowSize"], "PT5M");
    assert_eq!((item["threshold"].as_str(), item["metricValue"].as_f64()), (Some("0"), Some(1.0)));
    assert_eq!(item["dimensions"], serde_json::json!([{"name": "Hub", "value": "h"}]));
    assert_eq!(item["targetResourceTypes"], "['Microsoft.Devices/provisioningServices']");
    let later = without_figures(&context, &rule, AT + 5);
    assert!(later["condition"]["allOf"][0]["metricValue"].is_null());
    assert_eq!(later["condition"]["windowStartTime"], context["condition"]["windowEndTime"]);
}

proptest! {
    /// Sums over series are the sum of all, and a rule without dimensions sees that.
    #[test]
    fn split_figures_add_up(rows in proptest::collection::vec(("[a-d]", -100..100_i64, 0..10_i64), 1..40)) {
        let columns = [("TimeGenerated", Type::DateTime), ("Hub", Type::String), ("n", Type::Long)];
        let cells = |(hub, n, minute): &(String, i64, i64)| vec![before(*minute), text(hub), Value::Long(*n)];
        let answer = table(&columns, rows.iter().map(cells).collect());
        let whole_rule = QueryCriterion {
            aggregation: Aggregation::Total,
            measure_column: Some("n".into()),
            ..rows_over(0.0)
        };
        let by_hub = QueryCriterion { dimensions: vec![split("Hub", true, &["*"])], ..whole_rule.clone() };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let one = runtime.block_on(found(whole_rule, answer.clone())).unwrap();
        let each = runtime.block_on(found(by_hub, answer)).unwrap();
        let inside: Vec<i64> = rows.iter().filter(|row| row.2 < 5).map(|row| row.1).collect();
        #[allow(clippy::cast_precision_loss)]
        let expected = (!inside.is_empty()).then(|| inside.iter().sum::<i64>() as f64);
        prop_assert_eq!(one[0].figures[0].value, expected);
        let values: Vec<f64> = each.iter().filter_map(|finding| finding.figures[0].value).collect();
        prop_assert!((values.iter().sum::<f64>() - expected.unwrap_or(0.0)).abs() < 1e-6);
        prop_assert!(each.iter().all(|finding| finding.met == finding.figures[0].value.is_some_and(|v| v > 0.0)));
    }
}
