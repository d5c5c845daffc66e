//! Arrays of numbers, as `make-series` makes them.

use super::{
    ARRAY, BOOL, INTEGER, NUMBER, Naming, REAL, STRING, ScalarFunction, Signature, Yields, many, row, to,
};
use crate::{Scalar, Type};

const ONE: &[Signature] = &[to(&[ARRAY], Type::Dynamic)];
const REAL_OF_ONE: &[Signature] = &[to(&[ARRAY], Type::Real)];
const TWO: &[Signature] = &[
    to(&[ARRAY, ARRAY], Type::Dynamic),
    to(&[ARRAY, NUMBER], Type::Dynamic),
    to(&[NUMBER, ARRAY], Type::Dynamic),
];
const STATS: &[Signature] = &[to(&[ARRAY, BOOL.constant().opt()], Type::Dynamic)];

pub(super) const TABLE: &[ScalarFunction] = &[
    row(&["series_fit_line"], Scalar::SeriesFitLine, ONE, Naming::None),
    row(&["series_fit_2lines"], Scalar::SeriesFit2Lines, ONE, Naming::None),
    row(&["series_fit_line_dynamic"], Scalar::SeriesFitLineDynamic, ONE, Naming::None),
    row(&["series_fit_2lines_dynamic"], Scalar::SeriesFit2LinesDynamic, ONE, Naming::None),
    row(&["series_stats"], Scalar::SeriesStats, STATS, Naming::None),
    row(&["series_stats_dynamic"], Scalar::SeriesStatsDynamic, STATS, Naming::None),
    row(
        &["series_fill_const"],
        Scalar::SeriesFillConst,
        &[to(&[ARRAY, NUMBER.opt(), NUMBER.opt()], Type::Dynamic)],
        Naming::First,
    ),
    row(
        &["series_fill_forward"],
        Scalar::SeriesFillForward,
        &[to(&[ARRAY, NUMBER.opt()], Type::Dynamic)],
        Naming::First,
    ),
    row(
        &["series_fill_backward"],
        Scalar::SeriesFillBackward,
        &[to(&[ARRAY, NUMBER.opt()], Type::Dynamic)],
        Naming::First,
    ),
    row(
        &["series_fill_linear"],
        Scalar::SeriesFillLinear,
        &[to(&[ARRAY, NUMBER.opt(), BOOL.opt(), NUMBER.opt()], Type::Dynamic)],
        Naming::First,
    ),
    row(
        &["series_outliers"],
        Scalar::SeriesOutliers,
        &[to(&[ARRAY, STRING.opt(), REAL.opt(), REAL.opt(), REAL.opt(), INTEGER.opt()], Type::Dynamic)],
        Naming::First,
    ),
    row(
        &["series_decompose"],
        Scalar::SeriesDecompose,
        &[to(&[ARRAY, INTEGER.opt(), STRING.opt(), INTEGER.opt(), REAL.opt()], Type::Dynamic)],
        Naming::None,
    ),
    row(
        &["series_decompose_anomalies"],
        Scalar::SeriesDecomposeAnomalies,
        &[to(
            &[ARRAY, REAL.opt(), INTEGER.opt(), STRING.opt(), INTEGER.opt(), STRING.opt(), REAL.opt()],
            Type::Dynamic,
        )],
        Naming::None,
    ),
    row(
        &["series_decompose_forecast"],
        Scalar::SeriesDecomposeForecast,
        &[to(&[ARRAY, INTEGER, INTEGER.opt(), STRING.opt(), REAL.opt()], Type::Dynamic)],
        Naming::None,
    ),
    row(
        &["series_periods_detect"],
        Scalar::SeriesPeriodsDetect,
        &[to(&[ARRAY, REAL, REAL, INTEGER], Type::Dynamic)],
        Naming::None,
    ),
    row(
        &["series_periods_validate"],
        Scalar::SeriesPeriodsValidate,
        &[many(&[ARRAY, REAL], 1, 17, Yields::Is(Type::Dynamic))],
        Naming::None,
    ),
    row(
        &["series_seasonal"],
        Scalar::SeriesSeasonal,
        &[to(&[ARRAY, INTEGER.opt(), INTEGER.opt()], Type::Dynamic)],
        Naming::None,
    ),
    row(
        &["series_fir"],
        Scalar::SeriesFir,
        &[to(&[ARRAY, ARRAY, BOOL.opt(), BOOL.opt()], Type::Dynamic)],
        Naming::First,
    ),
    row(&["series_iir"], Scalar::SeriesIir, &[to(&[ARRAY, ARRAY, ARRAY], Type::Dynamic)], Naming::First),
    row(&["series_add"], Scalar::SeriesAdd, TWO, Naming::None),
    row(&["series_subtract"], Scalar::SeriesSubtract, TWO, Naming::None),
    row(&["series_multiply"], Scalar::SeriesMultiply, TWO, Naming::None),
    row(&["series_divide"], Scalar::SeriesDivide, TWO, Naming::None),
    row(&["series_equals"], Scalar::SeriesEquals, TWO, Naming::None),
    row(&["series_not_equals"], Scalar::SeriesNotEquals, TWO, Naming::None),
    row(&["series_less"], Scalar::SeriesLess, TWO, Naming::None),
    row(&["series_less_equals"], Scalar::SeriesLessEquals, TWO, Naming::None),
    row(&["series_greater"], Scalar::SeriesGreater, TWO, Naming::None),
    row(&["series_greater_equals"], Scalar::SeriesGreaterEquals, TWO, Naming::None),
    row(&["series_abs"], Scalar::SeriesAbs, ONE, Naming::None),
    row(&["series_sum"], Scalar::SeriesSum, REAL_OF_ONE, Naming::None),
    row(&["series_product"], Scalar::SeriesProduct, REAL_OF_ONE, Naming::None),
    row(
        &["series_dot_product"],
        Scalar::SeriesDotProduct,
        &[
            to(&[ARRAY, ARRAY], Type::Real),
            to(&[ARRAY, NUMBER], Type::Real),
            to(&[NUMBER, ARRAY], Type::Real),
        ],
        Naming::None,
    ),
    row(
        &["series_pearson_correlation"],
        Scalar::SeriesPearsonCorrelation,
        &[to(&[ARRAY, ARRAY], Type::Real)],
        Naming::None,
    ),
    row(&["series_magnitude"], Scalar::SeriesMagnitude, REAL_OF_ONE, Naming::None),
    row(&["series_exp"], Scalar::SeriesExp, ONE, Naming::None),
    row(&["series_log"], Scalar::SeriesLog, ONE, Naming::None),
    row(&["series_pow"], Scalar::SeriesPow, TWO, Naming::None),
    row(&["series_sign"], Scalar::SeriesSign, ONE, Naming::None),
    row(&["series_ceiling"], Scalar::SeriesCeiling, ONE, Naming::None),
    row(&["series_floor"], Scalar::SeriesFloor, ONE, Naming::None),
];
