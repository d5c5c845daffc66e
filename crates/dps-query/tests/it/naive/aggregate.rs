//! Aggregates over the rows of one group.

use std::cmp::Ordering;

use dps_kql::{Aggregate, Aggregation, Type, Value};
use serde_json::Value as Json;

use super::value::{canonical, dynamic, integer, is_null, json, long, null, order, real};
use super::{Row, Scope};

impl Scope<'_> {
    /// The outputs of an aggregation over rows.
    pub fn aggregate(&self, aggregation: &Aggregation, rows: &[&Row]) -> Row {
        let Aggregation { function, args, outputs } = aggregation;
        let over = |index: usize| rows.iter().map(move |row| self.value(&args[index], row));
        match function {
            Aggregate::ArgMax | Aggregate::ArgMin => {
                let wanted = if *function == Aggregate::ArgMax { Ordering::Greater } else { Ordering::Less };
                let there = rows.iter().filter(|row| !is_null(&self.value(&args[0], row)));
                let best = there.reduce(|best, row| {
                    let found = order(&self.value(&args[0], row), &self.value(&args[0], best));
                    if found == Some(wanted) { row } else { best }
                });
                match best.or(rows.first()) {
                    Some(row) => args.iter().map(|arg| self.value(arg, row)).collect(),
                    None => outputs.iter().map(|column| null(column.ty)).collect(),
                }
            }
            Aggregate::Count => vec![long(i64::try_from(rows.len()).ok())],
            Aggregate::CountIf => {
                let count = rows.iter().filter(|row| self.holds(&args[0], row)).count();
                vec![long(i64::try_from(count).ok())]
            }
            _ => {
                // `…if` takes the rows for which its second argument is true.
                let base = without_condition(*function);
                let values: Vec<_> = match base {
                    Some(_) => rows
                        .iter()
                        .filter(|row| self.holds(&args[1], row))
                        .map(|row| self.value(&args[0], row))
                        .collect(),
                    None => over(0).collect(),
                };
                let percent = args.get(1).filter(|_| base.is_none()).map(|arg| self.constant(arg));
                vec![fold(base.unwrap_or(*function), &values, percent.as_ref(), outputs[0].ty)]
            }
        }
    }
}

fn without_condition(function: Aggregate) -> Option<Aggregate> {
    Some(match function {
        Aggregate::CountDistinctIf => Aggregate::CountDistinct,
        Aggregate::DcountIf => Aggregate::Dcount,
        Aggregate::SumIf => Aggregate::Sum,
        Aggregate::AvgIf => Aggregate::Avg,
        Aggregate::MinIf => Aggregate::Min,
        Aggregate::MaxIf => Aggregate::Max,
        Aggregate::StdevIf => Aggregate::Stdev,
        Aggregate::VarianceIf => Aggregate::Variance,
        Aggregate::MakeListIf => Aggregate::MakeList,
        Aggregate::MakeSetIf => Aggregate::MakeSet,
        _ => return None,
    })
}

/// Of values, of which nulls are left out.
#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn fold(function: Aggregate, values: &[Value], percent: Option<&Value>, ty: Type) -> Value {
    let all = values;
    let values: Vec<&Value> = values.iter().filter(|value| !is_null(value)).collect();
    let extreme = |wanted: Ordering| {
        let best = values
            .iter()
            .copied()
            .reduce(|best, value| if order(value, best) == Some(wanted) { value } else { best });
        best.cloned().unwrap_or(null(ty))
    };
    let numbers = || values.iter().filter_map(|value| real(value));
    let count = values.len() as f64;
    match function {
        Aggregate::Sum => match ty {
            Type::Real => Value::Real(numbers().sum()),
            ty => of_ticks(values.iter().filter_map(|value| integer(value)).fold(0, i64::wrapping_add), ty),
        },
        Aggregate::Avg if ty == Type::Real => Value::Real(numbers().sum::<f64>() / count),
        Aggregate::Avg if values.is_empty() => null(ty),
        Aggregate::Avg => {
            let sum: i128 = values.iter().filter_map(|value| integer(value)).map(i128::from).sum();
            of_ticks(i64::try_from(sum / values.len() as i128).unwrap(), ty)
        }
        Aggregate::Min => extreme(Ordering::Less),
        Aggregate::Max => extreme(Ordering::Greater),
        Aggregate::Dcount | Aggregate::CountDistinct => long(i64::try_from(distinct(&values).len()).ok()),
        Aggregate::MakeList => dynamic(Json::Array(values.iter().map(|value| json(value)).collect())),
        Aggregate::MakeListWithNulls => dynamic(Json::Array(all.iter().map(json).collect())),
        Aggregate::MakeSet => dynamic(Json::Array(distinct(&values).into_iter().map(json).collect())),
        Aggregate::Percentile => nearest_rank(&values, percent.and_then(real).unwrap(), ty),
        Aggregate::Stdev => Value::Real(variance(&numbers().collect::<Vec<_>>(), 1.0).sqrt()),
        Aggregate::StdevPopulation => Value::Real(variance(&numbers().collect::<Vec<_>>(), 0.0).sqrt()),
        Aggregate::Variance => Value::Real(variance(&numbers().collect::<Vec<_>>(), 1.0)),
        Aggregate::VariancePopulation => Value::Real(variance(&numbers().collect::<Vec<_>>(), 0.0)),
        Aggregate::BinaryAllAnd => bits(&values, |left, right| left & right),
        Aggregate::BinaryAllOr => bits(&values, |left, right| left | right),
        Aggregate::BinaryAllXor => bits(&values, |left, right| left ^ right),
        Aggregate::TakeAny => values.first().map_or(null(ty), |value| (*value).clone()),
        other => panic!("{other:?} is not made"),
    }
}

fn of_ticks(number: i64, ty: Type) -> Value {
    match ty {
        Type::DateTime => Value::DateTime(number),
        Type::TimeSpan => Value::TimeSpan(number),
        _ => Value::Long(number),
    }
}

fn distinct<'v>(values: &[&'v Value]) -> Vec<&'v Value> {
    let mut seen = Vec::new();
    let mut distinct = Vec::new();
    for value in values {
        let text = canonical(value);
        if !seen.contains(&text) {
            seen.push(text);
            distinct.push(*value);
        }
    }
    distinct
}

/// The smallest value that so many percent are not above.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small"
)]
fn nearest_rank(values: &[&Value], percent: f64, ty: Type) -> Value {
    let mut sorted = values.to_vec();
    sorted.sort_by(|left, right| order(left, right).unwrap_or(Ordering::Equal));
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    let found = sorted.get(rank.saturating_sub(1)).map(|value| (*value).clone());
    match (found, ty) {
        (Some(Value::Int(number)), Type::Long) => Value::Long(i64::from(number)),
        (found, ty) => found.unwrap_or(null(ty)),
    }
}

/// Nought of fewer values than it takes.
#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn variance(values: &[f64], less: f64) -> f64 {
    let count = values.len() as f64;
    if count <= less {
        return 0.0;
    }
    let mean = values.iter().sum::<f64>() / count;
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - less)
}

fn bits(values: &[&Value], with: fn(i64, i64) -> i64) -> Value {
    long(values.iter().filter_map(|value| integer(value)).reduce(with))
}
