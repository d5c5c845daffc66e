//! Query criteria: the rows that a query yields become one figure for each series and period. Must not know what runs a
//! query.
//!
//! A query runs once over all periods when its result has the column `TimeGenerated`, which says to which period a row
//! belongs. When it has not, it runs once for each period, as if it had been evaluated then.

use std::collections::BTreeMap;
use std::time::Duration;

use dps_kql::{Column, Type, Value};
use dps_model::limits::{
    ALERT_QUERY_TIME, MAX_ALERT_DIMENSION, MAX_ALERT_QUERY_BYTES, MAX_ALERT_QUERY_ROWS, MAX_FAILING_PERIODS,
    MAX_QUERY_MEMORY, MAX_STATELESS_LOG_ALERTS,
};

use super::{EvaluationError, Figure, Finding, Series, instant};
use crate::alerts::rule::{Operator, QueryCriterion, Rule};
use crate::logs::ticks;
use crate::metrics::{Aggregation, Rollup};
use crate::ports::{AnswerTable, IdParts, QueryEngine, QueryLimits, QueryRequest, Scope};

/// The column that says when.
const TIME: &str = "TimeGenerated";
/// Ticks of a minute.
const MINUTE: i64 = 60 * dps_kql::TICKS_PER_SECOND;

/// Evaluates the query of a rule over the periods the last of which ends with that minute.
pub async fn query(
    engine: &dyn QueryEngine,
    rule: &Rule,
    criterion: &QueryCriterion,
    at: i64,
) -> Result<Vec<Finding>, EvaluationError> {
    let window = i64::from(rule.window).max(1);
    let periods = criterion.failing.of.clamp(1, MAX_FAILING_PERIODS);
    let all = criterion.time_range.map_or(window.saturating_mul(i64::from(periods)), i64::from);
    let table = run(engine, rule, criterion, all, at).await?;
    let mut binned = Periods::new(periods);
    if column(&table, TIME).is_some_and(|(_, column)| column.ty == Type::DateTime) {
        binned.take(criterion, rule, &table, Period::ByTime { end: ticks(instant(at)), window })?;
    } else if periods == 1 {
        binned.take(criterion, rule, &table, Period::All(0))?;
    } else {
        let length = criterion.time_range.map_or(window, i64::from);
        for period in 0..periods {
            let end = at.saturating_sub(window.saturating_mul(i64::from(period)));
            let table = run(engine, rule, criterion, length, end).await?;
            binned.take(criterion, rule, &table, Period::All(period))?;
        }
    }
    Ok(binned.findings(criterion, rule))
}

/// Runs the query over so many minutes up to that one.
async fn run(
    engine: &dyn QueryEngine,
    rule: &Rule,
    criterion: &QueryCriterion,
    minutes: i64,
    at: i64,
) -> Result<AnswerTable, EvaluationError> {
    let (from, to) = (instant(at.saturating_sub(minutes)), instant(at));
    let request = QueryRequest {
        text: criterion.query.clone(),
        timespan: Some((ticks(from), ticks(to))),
        scope: scope(rule),
        now: ticks(to),
        limits: QueryLimits {
            time: Duration::from_secs(ALERT_QUERY_TIME),
            rows: MAX_ALERT_QUERY_ROWS,
            bytes: MAX_ALERT_QUERY_BYTES,
            memory: MAX_QUERY_MEMORY,
        },
    };
    let answer = engine.run(request).await?;
    // More rows make a count or a maximum only greater: what is over the threshold is so without them.
    let grows = matches!(criterion.aggregation, Aggregation::Count | Aggregation::Maximum);
    let over = matches!(criterion.operator, Operator::GreaterThan | Operator::GreaterThanOrEqual);
    if answer.partial.is_some() && !(grows && over) {
        return Err(EvaluationError::Cut);
    }
    Ok(answer.table)
}

fn scope(rule: &Rule) -> Scope {
    let of_workspace =
        |id: &String| IdParts::of(id).provider.eq_ignore_ascii_case("Microsoft.OperationalInsights");
    if rule.scopes.iter().any(of_workspace) {
        Scope::Workspace
    } else {
        Scope::Resources(rule.scopes.clone())
    }
}

fn column<'a>(table: &'a AnswerTable, name: &str) -> Option<(usize, &'a Column)> {
    table.columns.iter().enumerate().find(|(_, column)| column.name == name)
}

/// To which period the rows of a table belong; the last one is 0.
#[derive(Clone, Copy)]
enum Period {
    All(u32),
    ByTime { end: i64, window: i64 },
}

impl Period {
    fn of(self, time: Option<&Value>) -> Option<u32> {
        match (self, time) {
            (Self::All(period), _) => Some(period),
            (Self::ByTime { end, window }, Some(Value::DateTime(time))) if *time < end => {
                let before = end.saturating_sub(1).saturating_sub(*time);
                u32::try_from(before / window.saturating_mul(MINUTE)).ok()
            }
            _ => None,
        }
    }
}

/// Rows of a result, folded by series and period.
struct Periods {
    count: u32,
    by_series: BTreeMap<Series, BTreeMap<u32, Rollup>>,
}

/// Where the columns are that a rule names.
struct Places {
    time: Option<usize>,
    measure: Option<usize>,
    resource: Option<usize>,
    dimensions: Vec<usize>,
}

impl Places {
    fn find(criterion: &QueryCriterion, table: &AnswerTable) -> Result<Self, EvaluationError> {
        let place = |name: &str| {
            let found = column(table, name).map(|(place, _)| place);
            found.ok_or_else(|| EvaluationError::Column(name.to_owned()))
        };
        let measure = criterion.measure_column.as_deref().map(place).transpose()?;
        let numbers = [Type::Int, Type::Long, Type::Real, Type::Decimal, Type::Dynamic];
        if let Some(column) = measure.and_then(|place| table.columns.get(place))
            && criterion.aggregation != Aggregation::Count
            && !numbers.contains(&column.ty)
        {
            let (column, found) = (column.name.clone(), column.ty.name());
            return Err(EvaluationError::Measure { column, found });
        }
        Ok(Self {
            time: column(table, TIME).map(|(place, _)| place),
            measure,
            resource: criterion.resource_column.as_deref().map(place).transpose()?,
            dimensions: criterion
                .dimensions
                .iter()
                .map(|filter| place(&filter.name))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl Periods {
    fn new(count: u32) -> Self {
        Self { count, by_series: BTreeMap::new() }
    }

    fn take(
        &mut self,
        criterion: &QueryCriterion,
        rule: &Rule,
        table: &AnswerTable,
        period: Period,
    ) -> Result<(), EvaluationError> {
        let places = Places::find(criterion, table)?;
        for row in &table.rows {
            let cell = |place: Option<usize>| place.and_then(|place| row.get(place));
            let Some(period) = period.of(cell(places.time)).filter(|period| *period < self.count) else {
                continue;
            };
            let Some(series) = series(criterion, rule, &places, row) else { continue };
            let rollup = match (criterion.aggregation, places.measure) {
                (Aggregation::Count, None) => Some(Rollup::of(1.0)),
                (Aggregation::Count, place) => {
                    cell(place).filter(|cell| !is_null(cell)).map(|_| Rollup::of(1.0))
                }
                (_, place) => cell(place).and_then(number).map(Rollup::of),
            };
            let Some(rollup) = rollup else { continue };
            if !self.by_series.contains_key(&series) && self.by_series.len() >= MAX_STATELESS_LOG_ALERTS {
                return Err(EvaluationError::Series(MAX_STATELESS_LOG_ALERTS));
            }
            let periods = self.by_series.entry(series).or_default();
            periods.entry(period).and_modify(|there| there.fold(&rollup)).or_insert(rollup);
        }
        Ok(())
    }

    fn findings(mut self, criterion: &QueryCriterion, rule: &Rule) -> Vec<Finding> {
        let is_split = !criterion.dimensions.is_empty() || criterion.resource_column.is_some();
        if !is_split {
            // One series, with rows or without.
            self.by_series.entry(whole(rule)).or_default();
        }
        let counts = criterion.aggregation == Aggregation::Count;
        let (count, aggregation) = (self.count, criterion.aggregation);
        let finding = |(series, periods): (Series, BTreeMap<u32, Rollup>)| {
            let value = |period| {
                let found = periods.get(&period).map(|rollup| rollup.value(aggregation));
                // No rows are none, which is a number; a measure of no rows is not.
                found.or_else(|| counts.then_some(0.0))
            };
            let failed = (0..count)
                .filter(|period| {
                    value(*period).is_some_and(|value| criterion.operator.holds(value, criterion.threshold))
                })
                .count();
            let wanted = usize::try_from(criterion.failing.at_least.max(1)).unwrap_or(usize::MAX);
            let (value, threshold) = (value(0), Some(criterion.threshold));
            let figures = vec![Figure { value, threshold, dimensions: series.dimensions.clone() }];
            Finding { series, met: failed >= wanted, figures }
        };
        self.by_series.into_iter().map(finding).collect()
    }
}

fn whole(rule: &Rule) -> Series {
    Series { target: rule.scopes.first().cloned().unwrap_or_default(), dimensions: Vec::new() }
}

/// The series of a row; none where the rule looks at other values of a dimension.
fn series(criterion: &QueryCriterion, rule: &Rule, places: &Places, row: &[Value]) -> Option<Series> {
    let mut series = whole(rule);
    if let Some(id) = places.resource.and_then(|place| row.get(place)).map(text).filter(|id| !id.is_empty()) {
        series.target = id;
    }
    for (filter, place) in criterion.dimensions.iter().zip(&places.dimensions) {
        let value = row.get(*place).map(text).unwrap_or_default();
        if !filter.lets_through(&value) {
            return None;
        }
        series.dimensions.push((filter.name.clone(), value));
    }
    Some(series)
}

fn is_null(value: &Value) -> bool {
    matches!(value, Value::Null(_))
}

#[allow(clippy::cast_precision_loss, reason = "figures are compared as doubles, as Azure does")]
fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Int(number) => Some(f64::from(*number)),
        Value::Long(number) => Some(*number as f64),
        Value::Real(number) => Some(*number),
        Value::Decimal(digits) => digits.parse().ok(),
        Value::Dynamic(json) => json.as_f64(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

/// A value as a dimension has it.
fn text(value: &Value) -> String {
    let text = match value {
        Value::Null(_) => String::new(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Long(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Decimal(text) | Value::String(text) => text.to_string(),
        Value::DateTime(ticks) => instant_text(*ticks),
        Value::TimeSpan(ticks) => format!("{ticks} ticks"),
        Value::Guid(bytes) => uuid::Uuid::from_bytes(*bytes).to_string(),
        Value::Dynamic(serde_json::Value::String(text)) => text.clone(),
        Value::Dynamic(json) => json.to_string(),
    };
    text.chars().take(MAX_ALERT_DIMENSION).collect()
}

/// To the millisecond.
fn instant_text(value: i64) -> String {
    let epoch = ticks(instant(0));
    let millis = value.saturating_sub(epoch).div_euclid(dps_kql::TICKS_PER_SECOND / 1_000);
    dps_model::Timestamp::from_millis(millis).to_string()
}

#[cfg(test)]
mod tests;
