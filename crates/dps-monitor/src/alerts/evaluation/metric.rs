//! Metric criteria: the rollups of a window become one figure for each series, and all criteria of a rule must hold of
//! the same series. Must not know thresholds that are learnt.

use std::collections::BTreeMap;

use dps_model::Timestamp;
use dps_model::limits::MAX_ALERT_SERIES;

use super::{EvaluationError, Figure, Finding, Series, filter, resource};
use crate::alerts::rule::{Measure, MetricCriterion, Rule};
use crate::metrics::{Budget, Grain, Question, Rollups, Span, Values};

/// Evaluates the criteria of a rule over the window that ends with that minute.
pub async fn metrics(
    rollups: &Rollups,
    rule: &Rule,
    criteria: &[MetricCriterion],
    at: i64,
    now: Timestamp,
) -> Result<Vec<Finding>, EvaluationError> {
    let span = Span { from: at.saturating_sub(i64::from(rule.window)), to: at };
    let mut findings = Vec::new();
    for target in targets(rule, criteria.iter().map(|criterion| &criterion.measure)) {
        let mut readings = Vec::with_capacity(criteria.len());
        for criterion in criteria {
            let question = question(&criterion.measure, target, span, Grain::Full)?;
            let values = rollups.read(&question, &mut Budget::default(), now).await?;
            readings.push(reading(&values, &criterion.measure));
        }
        findings.extend(combine(target, criteria, readings)?);
        if findings.len() > MAX_ALERT_SERIES {
            return Err(EvaluationError::too_many());
        }
    }
    Ok(findings)
}

/// The resources of which a rule's measures tell: all of them, or the first for all where they tell of the server.
pub(super) fn targets<'a>(rule: &'a Rule, measures: impl IntoIterator<Item = &'a Measure>) -> &'a [String] {
    let of_services = measures.into_iter().any(|measure| measure.metric.definition().is_of_a_service());
    let count = if of_services { rule.scopes.len() } else { 1 };
    rule.scopes.get(..count).unwrap_or_default()
}

/// What is asked of the rollups.
pub(super) fn question(
    measure: &Measure,
    target: &str,
    span: Span,
    grain: Grain,
) -> Result<Question, EvaluationError> {
    let definition = measure.metric.definition();
    let resources = if definition.is_of_a_service() { vec![resource(target)] } else { Vec::new() };
    let mut question = Question::new(measure.metric, resources, span, grain);
    question.filter = filter(&measure.dimensions, definition)?;
    Ok(question)
}

/// Dimensions of a series with its figure.
type Reading = Vec<(Vec<(String, String)>, Option<f64>)>;

fn reading(values: &Values, measure: &Measure) -> Reading {
    values
        .series
        .iter()
        .map(|series| {
            let figure = series.whole().map(|rollup| rollup.value(measure.aggregation));
            (series.dimensions.clone(), figure)
        })
        .collect()
}

/// Joins the series of the criteria where they agree on the dimensions that they share; each combination is a series of
/// the rule, and its condition holds where every criterion does.
fn combine(
    target: &str,
    criteria: &[MetricCriterion],
    readings: Vec<Reading>,
) -> Result<Vec<Finding>, EvaluationError> {
    let mut combined: Vec<(BTreeMap<String, String>, Vec<Figure>)> = vec![(BTreeMap::new(), Vec::new())];
    for (criterion, reading) in criteria.iter().zip(readings) {
        let mut next = Vec::new();
        for (dimensions, figures) in &combined {
            for (own, value) in &reading {
                let agree = own.iter().all(|(name, value)| {
                    dimensions.get(name).is_none_or(|there| there.eq_ignore_ascii_case(value))
                });
                if !agree {
                    continue;
                }
                if next.len() >= MAX_ALERT_SERIES {
                    return Err(EvaluationError::too_many());
                }
                let mut dimensions = dimensions.clone();
                dimensions.extend(own.iter().cloned());
                let mut figures = figures.clone();
                let threshold = Some(criterion.threshold);
                figures.push(Figure { value: *value, threshold, dimensions: own.clone() });
                next.push((dimensions, figures));
            }
        }
        combined = next;
    }
    let finding = |(dimensions, figures): (BTreeMap<String, String>, Vec<Figure>)| {
        let mut each = criteria.iter().zip(&figures);
        let met = each.all(|(criterion, figure)| {
            figure.value.is_some_and(|value| criterion.operator.holds(value, criterion.threshold))
        });
        let dimensions = dimensions.into_iter().collect();
        Finding { series: Series { target: target.to_owned(), dimensions }, met, figures }
    };
    Ok(combined.into_iter().map(finding).collect())
}

#[cfg(test)]
mod tests;
