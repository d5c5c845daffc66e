//! Functions of many rows.

use super::{
    ANY, AggregateFunction, BAG, BOOL, DATETIME, INTEGER, MOST_ARGUMENTS, NOT_DYNAMIC, NUMBER, Naming,
    ORDERABLE, Param, REAL_ONLY, SUMMABLE, Signature, TIMESPAN, Wants, Yields, many, sig, to,
};
use crate::{Aggregate, Type};

const DECIMAL: Param = Param::new(Wants::Is(Type::Decimal));
const MOST: Param = INTEGER.opt();

const fn row(
    names: &'static [&'static str],
    function: Aggregate,
    signatures: &'static [Signature],
    prefix: &'static str,
) -> AggregateFunction {
    AggregateFunction { names, function, signatures, naming: Naming::Prefix(prefix) }
}

/// Named by the binder: by percentages, by what is carried along.
const fn own(
    names: &'static [&'static str],
    function: Aggregate,
    signatures: &'static [Signature],
) -> AggregateFunction {
    AggregateFunction { names, function, signatures, naming: Naming::None }
}

const fn first(
    names: &'static [&'static str],
    function: Aggregate,
    signatures: &'static [Signature],
) -> AggregateFunction {
    AggregateFunction { names, function, signatures, naming: Naming::First }
}

const SPREAD: &[Signature] = &[to(&[SUMMABLE], Type::Real)];
const SPREAD_IF: &[Signature] = &[to(&[SUMMABLE, BOOL], Type::Real)];
const BITS: &[Signature] = &[to(&[INTEGER], Type::Long)];
const CARRY: &[Signature] = &[many(&[ORDERABLE, ANY.opt()], 1, MOST_ARGUMENTS, Yields::First)];

pub(super) const TABLE: &[AggregateFunction] = &[
    row(&["count", "cnt"], Aggregate::Count, &[to(&[], Type::Long)], "count"),
    row(&["countif"], Aggregate::CountIf, &[to(&[BOOL], Type::Long)], "countif"),
    row(&["count_distinct"], Aggregate::CountDistinct, &[to(&[NOT_DYNAMIC], Type::Long)], "count_distinct"),
    row(
        &["count_distinctif"],
        Aggregate::CountDistinctIf,
        &[to(&[NOT_DYNAMIC, BOOL], Type::Long)],
        "count_distinctif",
    ),
    row(&["dcount"], Aggregate::Dcount, &[to(&[ANY, INTEGER.opt()], Type::Long)], "dcount"),
    row(&["dcountif"], Aggregate::DcountIf, &[to(&[ANY, BOOL, INTEGER.opt()], Type::Long)], "dcountif"),
    row(&["sum"], Aggregate::Sum, &[sig(&[SUMMABLE], Yields::FirstPromoted)], "sum"),
    row(&["sumif"], Aggregate::SumIf, &[sig(&[SUMMABLE, BOOL], Yields::FirstPromoted)], "sumif"),
    row(
        &["avg"],
        Aggregate::Avg,
        &[
            to(&[INTEGER], Type::Real),
            to(&[REAL_ONLY], Type::Real),
            to(&[DECIMAL], Type::Decimal),
            to(&[TIMESPAN], Type::TimeSpan),
            to(&[DATETIME], Type::DateTime),
        ],
        "avg",
    ),
    row(
        &["avgif"],
        Aggregate::AvgIf,
        &[
            to(&[INTEGER, BOOL], Type::Real),
            to(&[REAL_ONLY, BOOL], Type::Real),
            to(&[DECIMAL, BOOL], Type::Decimal),
            to(&[TIMESPAN, BOOL], Type::TimeSpan),
            to(&[DATETIME, BOOL], Type::DateTime),
        ],
        "avgif",
    ),
    row(&["min"], Aggregate::Min, &[sig(&[ORDERABLE], Yields::First)], "min"),
    row(&["minif"], Aggregate::MinIf, &[sig(&[ORDERABLE, BOOL], Yields::First)], "minif"),
    row(&["max"], Aggregate::Max, &[sig(&[ORDERABLE], Yields::First)], "max"),
    row(&["maxif"], Aggregate::MaxIf, &[sig(&[ORDERABLE, BOOL], Yields::First)], "maxif"),
    own(&["percentile"], Aggregate::Percentile, &[sig(&[ANY, NUMBER], Yields::FirstPromoted)]),
    own(
        &["percentilew"],
        Aggregate::PercentileWeighted,
        &[sig(&[ANY, INTEGER, NUMBER], Yields::FirstPromoted)],
    ),
    own(
        &["percentiles_array"],
        Aggregate::PercentilesArray,
        &[
            many(&[ANY, NUMBER], 1, MOST_ARGUMENTS, Yields::Is(Type::Dynamic)),
            to(&[ANY, super::ARRAY], Type::Dynamic),
        ],
    ),
    row(&["stdev"], Aggregate::Stdev, SPREAD, "stdev"),
    row(&["stdevif"], Aggregate::StdevIf, SPREAD_IF, "stdevif"),
    row(&["stdevp"], Aggregate::StdevPopulation, SPREAD, "stdevp"),
    row(&["variance"], Aggregate::Variance, SPREAD, "variance"),
    row(&["varianceif"], Aggregate::VarianceIf, SPREAD_IF, "varianceif"),
    row(&["variancep"], Aggregate::VariancePopulation, SPREAD, "variancep"),
    row(&["make_list", "makelist"], Aggregate::MakeList, &[to(&[ANY, MOST], Type::Dynamic)], "list"),
    row(&["make_list_if"], Aggregate::MakeListIf, &[to(&[ANY, BOOL, MOST], Type::Dynamic)], "list"),
    row(&["make_list_with_nulls"], Aggregate::MakeListWithNulls, &[to(&[ANY], Type::Dynamic)], "list"),
    row(&["make_set", "makeset"], Aggregate::MakeSet, &[to(&[ANY, MOST], Type::Dynamic)], "set"),
    row(&["make_set_if"], Aggregate::MakeSetIf, &[to(&[ANY, BOOL, MOST], Type::Dynamic)], "set"),
    row(&["make_bag"], Aggregate::MakeBag, &[to(&[BAG, MOST], Type::Dynamic)], "bag"),
    row(&["make_dictionary"], Aggregate::MakeBag, &[to(&[BAG, MOST], Type::Dynamic)], "dictionary"),
    row(&["make_bag_if"], Aggregate::MakeBagIf, &[to(&[BAG, BOOL, MOST], Type::Dynamic)], "bag"),
    own(&["arg_max"], Aggregate::ArgMax, CARRY),
    own(&["arg_min"], Aggregate::ArgMin, CARRY),
    // The old names call their columns in the old way: `max_t`, `max_t_carried`.
    row(&["argmax"], Aggregate::ArgMax, CARRY, "max"),
    row(&["argmin"], Aggregate::ArgMin, CARRY, "min"),
    own(&["take_any"], Aggregate::TakeAny, &[many(&[ANY], 1, MOST_ARGUMENTS, Yields::First)]),
    row(&["any"], Aggregate::TakeAny, &[many(&[ANY], 1, MOST_ARGUMENTS, Yields::First)], "any"),
    first(&["take_anyif"], Aggregate::TakeAnyIf, &[sig(&[ANY, BOOL], Yields::First)]),
    row(&["anyif"], Aggregate::TakeAnyIf, &[sig(&[ANY, BOOL], Yields::First)], "anyif"),
    first(&["binary_all_and"], Aggregate::BinaryAllAnd, BITS),
    first(&["binary_all_or"], Aggregate::BinaryAllOr, BITS),
    first(&["binary_all_xor"], Aggregate::BinaryAllXor, BITS),
];
