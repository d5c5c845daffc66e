//! KQL's aggregates. Owns which of `DataFusion`'s own serve, and the accumulators where none does; must not know groups.

mod collect;
mod distinct;
mod extreme;
mod native;
mod percentile;
mod total;
mod udaf;

#[cfg(test)]
mod tests;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};
use datafusion::functions::core::expr_fn::{coalesce, get_field};
use datafusion::logical_expr::Expr;
use datafusion::scalar::ScalarValue;
use dps_kql::{Aggregate, Column, Scalar, Type};

use super::limits::COLLECTED;
use super::null;
use super::udf::KqlFunction;
use udaf::{KqlAggregate, Measure};

/// An aggregate at work: what to compute for each group, and how the outputs come out of it.
#[derive(Clone, Debug)]
pub struct AggregateCall {
    /// The aggregate expression. Give it a name (`alias`) and aggregate with it.
    pub aggregate: Expr,
    outputs: Outputs,
}

#[derive(Clone, Debug)]
enum Outputs {
    /// The column itself, or the value where it is null.
    One(Option<Expr>),
    /// The fields of a struct, named by their numbers, with the same.
    Fields(Vec<Option<Expr>>),
}

impl AggregateCall {
    /// The outputs, in order, over the column that holds the aggregate's value: project them after aggregating.
    pub fn outputs(&self, column: &Expr) -> Vec<Expr> {
        let or = |value: Expr, default: &Option<Expr>| match default {
            Some(default) => coalesce(vec![value, default.clone()]),
            None => value,
        };
        match &self.outputs {
            Outputs::One(default) => vec![or(column.clone(), default)],
            Outputs::Fields(fields) => {
                let field = |(index, default): (usize, &Option<Expr>)| {
                    or(get_field(column.clone(), index.to_string()), default)
                };
                fields.iter().enumerate().map(field).collect()
            }
        }
    }
}

/// An aggregate function: its arguments lowered, with their KQL types, and what the binder says it yields. Literals among
/// the arguments (percentages, sizes) are taken as such.
pub fn aggregate(
    function: Aggregate,
    args: Vec<Expr>,
    types: &[Type],
    outputs: &[Column],
) -> Result<AggregateCall> {
    if args.len() != types.len() || outputs.is_empty() {
        return plan_err!("{} of {} arguments and {} types", function.name(), args.len(), types.len());
    }
    let (args, types, filter) = split_filter(function, args, types);
    let (args, types) = reals_of_decimals(function, args, types);
    let ty = types.first().copied().unwrap_or(Type::Long);
    if let Some((aggregate, default)) = native::lower(function, &args, ty, filter.as_ref()) {
        return Ok(AggregateCall { aggregate, outputs: Outputs::One(default) });
    }
    let measure = measure(function, &args, outputs)?;
    let count = match &measure {
        Measure::Extreme { .. } | Measure::Any => args.len(),
        Measure::Percentile { weighted: true, .. } => 2,
        _ => 1,
    };
    let types: Vec<Type> = types.into_iter().take(count).collect();
    let args: Vec<Expr> = args.into_iter().take(count).collect();
    if args.len() < count {
        return plan_err!("{} of {} arguments", function.name(), args.len());
    }
    let default =
        |column: &Column| (column.ty == Type::String).then(|| Expr::Literal(null(Type::String), None));
    let carries = matches!(measure, Measure::Extreme { .. } | Measure::Any) && outputs.len() > 1;
    let yielded = if carries {
        Outputs::Fields(outputs.iter().map(default).collect())
    } else {
        Outputs::One(outputs.first().and_then(default))
    };
    let outputs: Vec<Type> = outputs.iter().map(|column| column.ty).collect();
    let aggregate = KqlAggregate::call(function, measure, args, types, outputs, filter);
    Ok(AggregateCall { aggregate, outputs: yielded })
}

/// `countif` and its kin are the aggregate over the rows that their condition keeps.
fn split_filter(
    function: Aggregate,
    mut args: Vec<Expr>,
    types: &[Type],
) -> (Vec<Expr>, Vec<Type>, Option<Expr>) {
    use Aggregate as A;
    let place = match function {
        A::CountIf => 0,
        A::CountDistinctIf
        | A::DcountIf
        | A::SumIf
        | A::AvgIf
        | A::MinIf
        | A::MaxIf
        | A::StdevIf
        | A::VarianceIf
        | A::MakeListIf
        | A::MakeSetIf
        | A::MakeBagIf
        | A::TakeAnyIf => 1,
        _ => return (args, types.to_vec(), None),
    };
    if place >= args.len() {
        return (args, types.to_vec(), None);
    }
    let mut types = types.to_vec();
    let filter = args.remove(place);
    types.remove(place);
    (args, types, Some(filter))
}

/// A deviation of decimals, or of what is dynamic, is one of reals.
fn reals_of_decimals(function: Aggregate, args: Vec<Expr>, types: Vec<Type>) -> (Vec<Expr>, Vec<Type>) {
    use Aggregate as A;
    let computes = matches!(
        function,
        A::Stdev | A::StdevIf | A::StdevPopulation | A::Variance | A::VarianceIf | A::VariancePopulation
    );
    let dynamic = matches!(function, A::Sum | A::SumIf | A::Avg | A::AvgIf);
    let convert = |ty: Type| match ty {
        Type::Decimal | Type::TimeSpan | Type::DateTime => computes,
        Type::Dynamic => computes || dynamic,
        _ => false,
    };
    let one = |(arg, ty): (Expr, Type)| {
        if convert(ty) {
            (KqlFunction::call(Scalar::ToReal, vec![arg], &[ty], Type::Real), Type::Real)
        } else {
            (arg, ty)
        }
    };
    args.into_iter().zip(types).map(one).unzip()
}

fn measure(function: Aggregate, args: &[Expr], outputs: &[Column]) -> Result<Measure> {
    use Aggregate as A;
    let numbers = |from: usize| -> Vec<f64> { args.iter().skip(from).filter_map(number).collect() };
    let limit = || {
        let wanted = args.get(1).and_then(number).filter(|limit| *limit > 0.0);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative, and bounded"
        )]
        wanted.map_or(COLLECTED, |limit| limit.min(1e9) as usize).min(COLLECTED)
    };
    Ok(match function {
        A::Sum | A::SumIf => Measure::Total { mean: false },
        A::Avg | A::AvgIf => Measure::Total { mean: true },
        A::Min | A::MinIf | A::ArgMin => Measure::Extreme { greatest: false },
        A::Max | A::MaxIf | A::ArgMax => Measure::Extreme { greatest: true },
        A::TakeAny | A::TakeAnyIf => Measure::Any,
        A::Dcount | A::DcountIf => Measure::Distinct,
        A::Percentile | A::PercentilesArray => percentile(function, numbers(1), false, outputs)?,
        A::PercentileWeighted => percentile(function, numbers(2), true, outputs)?,
        A::MakeList | A::MakeListIf => Measure::List { nulls: false, limit: limit() },
        A::MakeListWithNulls => Measure::List { nulls: true, limit: COLLECTED },
        A::MakeSet | A::MakeSetIf => Measure::Set { limit: limit() },
        A::MakeBag | A::MakeBagIf => Measure::Bag { limit: limit() },
        A::Count
        | A::CountIf
        | A::CountDistinct
        | A::CountDistinctIf
        | A::Stdev
        | A::StdevIf
        | A::StdevPopulation
        | A::Variance
        | A::VarianceIf
        | A::VariancePopulation
        | A::BinaryAllAnd
        | A::BinaryAllOr
        | A::BinaryAllXor => return plan_err!("{} of such arguments", function.name()),
    })
}

fn percentile(
    function: Aggregate,
    percents: Vec<f64>,
    weighted: bool,
    outputs: &[Column],
) -> Result<Measure> {
    if percents.is_empty() || !percents.iter().all(|percent| (0.0..=100.0).contains(percent)) {
        return plan_err!("{}: a percentage is a literal between 0 and 100", function.name());
    }
    let array = outputs.first().is_some_and(|column| column.ty == Type::Dynamic);
    Ok(Measure::Percentile { percents: percents.into_iter().map(f64::to_bits).collect(), weighted, array })
}

/// A literal number.
fn number(expr: &Expr) -> Option<f64> {
    let value = match expr {
        Expr::Literal(value, _) => value,
        Expr::Cast(cast) => return number(&cast.expr),
        _ => return None,
    };
    match value.cast_to(&DataType::Float64) {
        Ok(ScalarValue::Float64(value)) => value,
        _ => None,
    }
}
