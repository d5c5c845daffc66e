use std::sync::Arc;

use dps_model::Protocol;
use proptest::prelude::*;

use super::{combine, metrics};
use crate::alerts::evaluation::{EvaluationError, Finding};
use crate::alerts::fixtures::{MemoryState, attempt, attempts, rule, shortly_after, target};
use crate::alerts::rule::{MetricCriterion, Operator};
use crate::metrics::{Metric, Rollups};

const AT: i64 = 29_000_000;

fn observed(events: &[(Protocol, bool, i64)]) -> Rollups {
    let rollups = Rollups::new(Arc::new(MemoryState::default()));
    for (protocol, good, minute) in events {
        rollups.observe(&attempt(*protocol, *good, *minute));
    }
    rollups
}

async fn evaluate(
    rollups: &Rollups,
    criteria: Vec<MetricCriterion>,
) -> Result<Vec<Finding>, EvaluationError> {
    let rule = rule(criteria.clone());
    metrics(rollups, &rule, &criteria, AT, shortly_after(AT)).await
}

fn shape(findings: &[Finding]) -> Vec<(String, bool, Option<f64>)> {
    let name = |finding: &Finding| {
        let values: Vec<_> = finding.series.dimensions.iter().map(|(_, value)| value.as_str()).collect();
        values.join("/")
    };
    findings.iter().map(|finding| (name(finding), finding.met, finding.figures[0].value)).collect()
}

#[tokio::test]
async fn window_ends_before_the_minute_that_is_due() {
    use Protocol::Mqtt;
    let rollups =
        observed(&[(Mqtt, true, AT - 6), (Mqtt, true, AT - 5), (Mqtt, false, AT - 1), (Mqtt, true, AT)]);
    let found = evaluate(&rollups, vec![attempts(1.0, &[])]).await.unwrap();
    assert_eq!(shape(&found), [(String::new(), true, Some(2.0))]);
    assert_eq!(found[0].series.target, target());
    assert!(!evaluate(&rollups, vec![attempts(2.0, &[])]).await.unwrap()[0].met, "2 is not more than 2");
}

#[tokio::test]
async fn nothing_is_no_breach_not_even_of_less_than() {
    let rollups = observed(&[]);
    let few = MetricCriterion { operator: Operator::LessThan, ..attempts(1.0, &[]) };
    assert_eq!(shape(&evaluate(&rollups, vec![few]).await.unwrap()), [(String::new(), false, None)]);
}

#[tokio::test]
async fn dimensions_split_include_and_exclude() {
    use Protocol::{Amqp, Http, Mqtt};
    let rollups = observed(&[
        (Mqtt, true, AT - 1),
        (Mqtt, true, AT - 2),
        (Http, true, AT - 1),
        (Amqp, true, AT - 1),
        (Mqtt, false, AT - 1),
    ]);
    let split = attempts(1.0, &[("Protocol", true, &["*"]), ("Status", true, &["success"])]);
    let found = evaluate(&rollups, vec![split]).await.unwrap();
    let mut shapes = shape(&found);
    shapes.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = [("Amqp/Success", false, 1.0), ("Http/Success", false, 1.0), ("Mqtt/Success", true, 2.0)];
    assert_eq!(shapes, expected.map(|(name, met, value)| (name.to_owned(), met, Some(value))));

    let others = attempts(0.0, &[("Protocol", false, &["mqtt", "Http"])]);
    assert_eq!(shape(&evaluate(&rollups, vec![others]).await.unwrap()), [("Amqp".into(), true, Some(1.0))]);
}

#[tokio::test]
async fn several_criteria_must_all_hold_of_the_same_series() {
    use Protocol::{Http, Mqtt};
    let rollups = observed(&[(Mqtt, true, AT - 1), (Mqtt, false, AT - 1), (Http, true, AT - 1)]);
    let by = |status: &'static str| attempts(0.0, &[("Protocol", true, &["*"]), ("Status", true, &[status])]);
    let refused = MetricCriterion { measure: by("Success").measure, ..by("Success") };
    let any = attempts(2.0, &[]);
    let found = evaluate(&rollups, vec![refused, any]).await.unwrap();
    // The second has no dimensions: it holds beside each series of the first.
    assert_eq!(found.iter().map(|finding| finding.met).collect::<Vec<_>>(), [true, true]);
    assert!(found.iter().all(|finding| finding.figures.len() == 2));
    let (all, more) = (attempts(2.0, &[]), attempts(3.0, &[]));
    assert!(!evaluate(&rollups, vec![all, more]).await.unwrap()[0].met);
}

#[tokio::test]
async fn server_metrics_are_evaluated_once_whatever_the_scopes() {
    let rollups = observed(&[]);
    let sample = crate::metrics::Sample {
        metric: Metric::OpenConnections,
        service: None,
        values: Vec::new(),
        value: 9.0,
    };
    rollups.sample(&[sample], shortly_after(AT - 1));
    let mut criterion = attempts(8.0, &[]);
    criterion.measure.metric = Metric::OpenConnections;
    criterion.measure.aggregation = crate::metrics::Aggregation::Maximum;
    let mut rule = rule(vec![criterion.clone()]);
    rule.scopes.push(format!("{}2", target()));
    let found = metrics(&rollups, &rule, &[criterion], AT, shortly_after(AT)).await.unwrap();
    assert_eq!(shape(&found), [(String::new(), true, Some(9.0))]);
    // Metrics of services are evaluated for each.
    rule.scopes.truncate(2);
    let of_service = [attempts(1.0, &[])];
    assert_eq!(metrics(&rollups, &rule, &of_service, AT, shortly_after(AT)).await.unwrap().len(), 2);
}

#[test]
fn too_many_combinations_are_refused() {
    let many = |name: &str| {
        (0..100).map(|n| (vec![(name.to_owned(), n.to_string())], Some(1.0))).collect::<Vec<_>>()
    };
    let criteria = [attempts(0.0, &[]), attempts(0.0, &[])];
    let refused = combine("t", &criteria, vec![many("a"), many("b")]).unwrap_err();
    assert!(refused.to_string().contains("more than 5000 series"), "{refused}");
    assert_eq!(combine("t", &criteria, vec![many("a"), many("a")]).unwrap().len(), 100, "joined");
}

proptest! {
    /// By hand: a series of the rule is a pair that agrees on `p`, and is met where both figures are over.
    #[test]
    fn combined_series_are_those_that_agree(
        first in proptest::collection::btree_map("[a-c]", proptest::option::of(0..4_i32), 0..4),
        second in proptest::collection::btree_map(("[a-c]", "[x-y]"), proptest::option::of(0..4_i32), 0..6),
    ) {
        let criteria = [attempts(1.0, &[]), attempts(2.0, &[])];
        let figure = |value: &Option<i32>| value.map(f64::from);
        let one: Vec<_> = first
            .iter()
            .map(|(p, value)| (vec![("p".to_owned(), p.clone())], figure(value)))
            .collect();
        let two: Vec<_> = second
            .iter()
            .map(|((p, s), value)| {
                (vec![("s".to_owned(), s.clone()), ("p".to_owned(), p.clone())], figure(value))
            })
            .collect();
        let found = combine("t", &criteria, vec![one, two]).unwrap();
        let mut seen: Vec<_> = found.iter().map(|f| (f.series.dimensions.clone(), f.met)).collect();
        seen.sort();
        let mut expected: Vec<_> = second
            .iter()
            .filter_map(|((p, s), value)| {
                let there = first.get(p)?;
                let met = there.is_some_and(|v| v > 1) && value.is_some_and(|v| v > 2);
                Some((vec![("p".to_owned(), p.clone()), ("s".to_owned(), s.clone())], met))
            })
            .collect();
        expected.sort();
        prop_assert_eq!(seen, expected);
    }
}
