//! `alertContext` of a finding, in the common alert schema's members (facts: Azure's "Common alert schema"). Must not know
//! whom it is sent to.

use serde_json::{Map, Value, json};

use super::{Figure, Finding, instant};
use crate::alerts::rule::{
    Condition, DynamicCriterion, FailingPeriods, Measure, MetricCriterion, QueryCriterion, Rule, Sensitivity,
    Side,
};
use crate::metrics::iso_minutes;
use crate::ports::IdParts;

/// What a notification says of the condition that was evaluated at that minute.
pub fn alert_context(rule: &Rule, finding: &Finding, at: i64) -> Value {
    let (kind, items): (&str, Vec<Value>) = match &rule.condition {
        Condition::Metrics { criteria, multiple } => {
            let kind = if *multiple {
                "MultipleResourceMultipleMetricCriteria"
            } else {
                "SingleResourceMultipleMetricCriteria"
            };
            let each = criteria.iter().zip(&finding.figures);
            (kind, each.map(|(criterion, figure)| metric(criterion, figure)).collect())
        }
        Condition::Dynamic(criterion) => {
            let each = finding.figures.iter().map(|figure| dynamic(criterion, figure));
            ("DynamicThresholdCriteria", each.collect())
        }
        Condition::Query(criterion) => {
            let each = finding.figures.iter().map(|figure| query(rule, criterion, figure));
            ("LogQueryCriteria", each.collect())
        }
    };
    let mut condition = Map::new();
    condition.insert("windowSize".into(), json!(iso_minutes(i64::from(rule.window))));
    condition.insert("allOf".into(), Value::Array(items));
    put_window(&mut condition, rule, at);
    json!({"conditionType": kind, "condition": condition})
}

/// The context of an alert whose series has no data any more: as it was, for another window and without figures.
pub fn without_figures(context: &Value, rule: &Rule, at: i64) -> Value {
    let mut context = context.clone();
    let Some(condition) = context.get_mut("condition").and_then(Value::as_object_mut) else {
        return context;
    };
    put_window(condition, rule, at);
    let items = condition.get_mut("allOf").and_then(Value::as_array_mut).into_iter().flatten();
    for item in items.filter_map(Value::as_object_mut) {
        item.insert("metricValue".into(), Value::Null);
    }
    context
}

fn put_window(condition: &mut Map<String, Value>, rule: &Rule, at: i64) {
    let start = at.saturating_sub(i64::from(rule.window));
    condition.insert("windowStartTime".into(), json!(instant(start)));
    condition.insert("windowEndTime".into(), json!(instant(at)));
}

fn dimensions(figure: &Figure) -> Value {
    figure.dimensions.iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
}

/// Thresholds are texts, figures are numbers.
fn threshold(figure: &Figure) -> Option<String> {
    figure.threshold.map(|threshold| threshold.to_string())
}

fn measured(figure: &Figure, measure: &Measure, operator: &str) -> Value {
    let definition = measure.metric.definition();
    json!({
        "metricName": definition.name,
        "metricNamespace": definition.namespace.name(),
        "operator": operator,
        "threshold": threshold(figure),
        "timeAggregation": measure.aggregation.name(),
        "dimensions": dimensions(figure),
        "metricValue": figure.value,
        "webTestName": null,
    })
}

fn metric(criterion: &MetricCriterion, figure: &Figure) -> Value {
    measured(figure, &criterion.measure, criterion.operator.name())
}

fn dynamic(criterion: &DynamicCriterion, figure: &Figure) -> Value {
    let mut item = measured(figure, &criterion.measure, criterion.side.name());
    if let Some(item) = item.as_object_mut() {
        item.insert("alertSensitivity".into(), json!(criterion.sensitivity.name()));
        item.insert("failingPeriods".into(), failing(criterion.failing));
        item.insert("ignoreDataBefore".into(), json!(criterion.ignore_before));
    }
    item
}

fn query(rule: &Rule, criterion: &QueryCriterion, figure: &Figure) -> Value {
    let kinds: Vec<String> = rule
        .scopes
        .iter()
        .map(|id| IdParts::of(id))
        .map(|parts| format!("'{}/{}'", parts.provider, parts.kind))
        .collect();
    json!({
        "searchQuery": criterion.query,
        "metricMeasureColumn": criterion.measure_column,
        "targetResourceTypes": format!("[{}]", kinds.join(",")),
        "operator": criterion.operator.name(),
        "threshold": threshold(figure),
        "timeAggregation": criterion.aggregation.name(),
        "dimensions": dimensions(figure),
        "metricValue": figure.value,
        "failingPeriods": failing(criterion.failing),
    })
}

fn failing(failing: FailingPeriods) -> Value {
    json!({"numberOfEvaluationPeriods": failing.of, "minFailingPeriodsToAlert": failing.at_least})
}

impl Side {
    /// Azure's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Above => "GreaterThan",
            Self::Below => "LessThan",
            Self::Either => "GreaterOrLessThan",
        }
    }
}

impl Sensitivity {
    /// Azure's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
        }
    }
}
