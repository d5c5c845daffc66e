//! Choice, emptiness and conversion.

use super::{
    ANY, BOOL, Layout, NUMBER, Naming, Param, REAL_ONLY, ScalarFunction, Signature, TEXT, TEXT_OR_DYNAMIC,
    Wants, Yields, many, row, sig, to,
};
use crate::{Scalar, Type};

const COMMON: Param = Param::new(Wants::Common);
const COMMON_ORDERABLE: Param = Param::new(Wants::CommonOrderable);
const BRANCH: Param = Param::new(Wants::CommonOrDynamic);

const PREDICATE: &[Signature] = &[to(&[ANY], Type::Bool)];

pub(super) const TABLE: &[ScalarFunction] = &[
    row(&["tobool", "toboolean"], Scalar::ToBool, &[to(&[ANY], Type::Bool)], Naming::First),
    row(&["toint"], Scalar::ToInt, &[to(&[ANY], Type::Int)], Naming::First),
    row(&["tolong"], Scalar::ToLong, &[to(&[ANY], Type::Long)], Naming::First),
    row(&["toreal", "todouble"], Scalar::ToReal, &[to(&[ANY], Type::Real)], Naming::First),
    row(&["todecimal"], Scalar::ToDecimal, &[to(&[ANY], Type::Decimal)], Naming::First),
    row(&["tostring"], Scalar::ToString, &[to(&[ANY], Type::String)], Naming::First),
    row(&["todatetime"], Scalar::ToDateTime, &[to(&[ANY], Type::DateTime)], Naming::First),
    row(&["totimespan", "totime"], Scalar::ToTimeSpan, &[to(&[ANY], Type::TimeSpan)], Naming::First),
    row(&["toguid"], Scalar::ToGuid, &[to(&[TEXT_OR_DYNAMIC], Type::Guid)], Naming::First),
    row(
        &["parse_json", "parsejson", "todynamic", "toobject"],
        Scalar::ToDynamic,
        &[to(&[TEXT_OR_DYNAMIC], Type::Dynamic)],
        Naming::First,
    ),
    row(
        &["iff", "iif"],
        Scalar::Iff,
        &[sig(&[BOOL, BRANCH, BRANCH], Yields::CommonNotDynamic)],
        Naming::None,
    ),
    row(
        &["case"],
        Scalar::Case,
        &[Signature {
            params: &[BOOL, BRANCH, BRANCH],
            layout: Layout::Cases,
            yields: Yields::CommonNotDynamic,
        }],
        Naming::None,
    ),
    row(&["coalesce"], Scalar::Coalesce, &[many(&[COMMON, COMMON], 1, 64, Yields::Common)], Naming::None),
    row(
        &["max_of"],
        Scalar::MaxOf,
        &[many(&[COMMON_ORDERABLE, COMMON_ORDERABLE], 1, 64, Yields::Common)],
        Naming::None,
    ),
    row(
        &["min_of"],
        Scalar::MinOf,
        &[many(&[COMMON_ORDERABLE, COMMON_ORDERABLE], 1, 64, Yields::Common)],
        Naming::None,
    ),
    row(&["not"], Scalar::Not, &[to(&[BOOL], Type::Bool)], Naming::None),
    row(&["isempty"], Scalar::IsEmpty, PREDICATE, Naming::None),
    row(&["isnotempty", "notempty"], Scalar::IsNotEmpty, PREDICATE, Naming::None),
    row(&["isnull"], Scalar::IsNull, PREDICATE, Naming::None),
    row(&["isnotnull", "notnull"], Scalar::IsNotNull, PREDICATE, Naming::None),
    row(&["isnan"], Scalar::IsNan, &[to(&[REAL_ONLY], Type::Bool)], Naming::None),
    row(&["isinf"], Scalar::IsInf, &[to(&[REAL_ONLY], Type::Bool)], Naming::None),
    row(&["isfinite"], Scalar::IsFinite, &[to(&[REAL_ONLY], Type::Bool)], Naming::None),
    row(&["isascii"], Scalar::IsAscii, &[to(&[TEXT], Type::Bool)], Naming::None),
    row(&["isutf8"], Scalar::IsUtf8, &[to(&[TEXT], Type::Bool)], Naming::None),
    row(&["gettype"], Scalar::GetType, &[to(&[ANY], Type::String)], Naming::Prefix("type")),
    row(
        &["range"],
        Scalar::Range,
        &[
            to(&[NUMBER, NUMBER, NUMBER.opt()], Type::Dynamic),
            to(&[super::DATETIME, super::DATETIME, super::TIMESPAN.opt()], Type::Dynamic),
            to(&[super::TIMESPAN, super::TIMESPAN, super::TIMESPAN.opt()], Type::Dynamic),
        ],
        Naming::None,
    ),
];
