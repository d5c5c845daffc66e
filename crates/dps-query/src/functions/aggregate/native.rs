//! Aggregates that `DataFusion` has: they keep state for many groups at once.

use datafusion::arrow::datatypes::DataType;
use datafusion::functions_aggregate::average::avg_udaf;
use datafusion::functions_aggregate::bit_and_or_xor::{bit_and_udaf, bit_or_udaf, bit_xor_udaf};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::functions_aggregate::stddev::{stddev_pop_udaf, stddev_udaf};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::functions_aggregate::variance::{var_pop_udaf, var_samp_udaf};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::expr_fn::cast;
use datafusion::logical_expr::{AggregateUDF, Expr, lit};
use dps_kql::{Aggregate, Type};
use std::sync::Arc;

use crate::functions::null;

/// The aggregate, and its value where the group has none.
pub(super) fn lower(
    function: Aggregate,
    args: &[Expr],
    ty: Type,
    filter: Option<&Expr>,
) -> Option<(Expr, Option<Expr>)> {
    use Aggregate as A;
    let arg = args.first().cloned();
    let call = |udaf: Arc<AggregateUDF>, arg: Expr, distinct: bool| {
        Expr::AggregateFunction(AggregateFunction::new_udf(
            udaf,
            vec![arg],
            distinct,
            filter.cloned().map(Box::new),
            Vec::new(),
            None,
        ))
    };
    let real = |arg: Expr| if ty == Type::Real { arg } else { cast(arg, DataType::Float64) };
    let is_number = matches!(ty, Type::Int | Type::Long | Type::Real);
    let found = match function {
        A::Count | A::CountIf => (call(count_udaf(), lit(1_i64), false), None),
        A::CountDistinct | A::CountDistinctIf => (call(count_udaf(), arg?, true), None),
        A::Sum | A::SumIf if matches!(ty, Type::Int | Type::Long | Type::TimeSpan) => {
            // Of ints it is a long.
            let arg = if ty == Type::Int { cast(arg?, DataType::Int64) } else { arg? };
            (call(sum_udaf(), arg, false), Some(lit(0_i64)))
        }
        A::Sum | A::SumIf if ty == Type::Real => (call(sum_udaf(), arg?, false), Some(lit(0.0))),
        A::Avg | A::AvgIf if is_number => (call(avg_udaf(), real(arg?), false), Some(lit(f64::NAN))),
        A::Min | A::MinIf if is_plain(ty) => (call(min_udaf(), arg?, false), default(ty)),
        A::Max | A::MaxIf if is_plain(ty) => (call(max_udaf(), arg?, false), default(ty)),
        A::Stdev | A::StdevIf if is_number => (call(stddev_udaf(), real(arg?), false), Some(lit(0.0))),
        A::StdevPopulation if is_number => (call(stddev_pop_udaf(), real(arg?), false), Some(lit(0.0))),
        A::Variance | A::VarianceIf if is_number => {
            (call(var_samp_udaf(), real(arg?), false), Some(lit(0.0)))
        }
        A::VariancePopulation if is_number => (call(var_pop_udaf(), real(arg?), false), Some(lit(0.0))),
        A::BinaryAllAnd => (call(bit_and_udaf(), arg?, false), None),
        A::BinaryAllOr => (call(bit_or_udaf(), arg?, false), None),
        A::BinaryAllXor => (call(bit_xor_udaf(), arg?, false), None),
        _ => return None,
    };
    Some(found)
}

/// Types whose least and greatest value Arrow finds as Kusto does. Among reals it would take NaN for one.
fn is_plain(ty: Type) -> bool {
    !matches!(ty, Type::Real | Type::Dynamic | Type::Decimal)
}

fn default(ty: Type) -> Option<Expr> {
    (ty == Type::String).then(|| Expr::Literal(null(ty), None))
}
