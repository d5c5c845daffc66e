//! Instants and durations.

use super::{
    ANY, DATETIME, INTEGER, LONG, Naming, Need, REAL, STRING, ScalarFunction, Signature, TIMESPAN, row, to,
};
use crate::{Scalar, Type};

/// Parts that one can add and count.
const STEPS: Need = Need::OneOf(&[
    "year",
    "quarter",
    "month",
    "week",
    "day",
    "hour",
    "minute",
    "second",
    "millisecond",
    "microsecond",
    "nanosecond",
]);
/// Parts that one can read.
const PARTS: Need = Need::OneOf(&[
    "year",
    "quarter",
    "month",
    "week_of_year",
    "day",
    "dayofyear",
    "hour",
    "minute",
    "second",
    "millisecond",
    "microsecond",
    "nanosecond",
]);

const SHIFTED: &[Signature] = &[to(&[DATETIME, LONG.opt()], Type::DateTime)];
const NUMBERED: &[Signature] = &[to(&[DATETIME], Type::Int)];
const UNIX: &[Signature] = &[to(&[REAL], Type::DateTime)];
const UNIX_EXACT: &[Signature] = &[to(&[INTEGER], Type::DateTime), to(&[REAL], Type::DateTime)];
const ZONE: &[Signature] = &[to(&[DATETIME, STRING], Type::DateTime)];

pub(super) const TABLE: &[ScalarFunction] = &[
    row(&["startofday"], Scalar::StartOfDay, SHIFTED, Naming::First),
    row(&["startofweek"], Scalar::StartOfWeek, SHIFTED, Naming::None),
    row(&["startofmonth"], Scalar::StartOfMonth, SHIFTED, Naming::None),
    row(&["startofyear"], Scalar::StartOfYear, SHIFTED, Naming::None),
    row(&["endofday"], Scalar::EndOfDay, SHIFTED, Naming::None),
    row(&["endofweek"], Scalar::EndOfWeek, SHIFTED, Naming::None),
    row(&["endofmonth"], Scalar::EndOfMonth, SHIFTED, Naming::None),
    row(&["endofyear"], Scalar::EndOfYear, SHIFTED, Naming::None),
    row(
        &["datetime_diff"],
        Scalar::DateTimeDiff,
        &[to(&[STRING.need(STEPS), DATETIME, DATETIME], Type::Long)],
        Naming::None,
    ),
    row(
        &["datetime_add"],
        Scalar::DateTimeAdd,
        &[to(&[STRING.need(STEPS), INTEGER, DATETIME], Type::DateTime)],
        Naming::None,
    ),
    row(
        &["datetime_part", "datepart"],
        Scalar::DateTimePart,
        &[to(&[STRING.need(PARTS), DATETIME], Type::Int)],
        Naming::None,
    ),
    row(
        &["format_datetime"],
        Scalar::FormatDateTime,
        &[to(&[DATETIME, STRING.need(Need::NotEmpty)], Type::String)],
        Naming::First,
    ),
    row(
        &["format_timespan"],
        Scalar::FormatTimeSpan,
        &[to(&[TIMESPAN, STRING.need(Need::NotEmpty)], Type::String)],
        Naming::First,
    ),
    row(&["dayofweek"], Scalar::DayOfWeek, &[to(&[DATETIME], Type::TimeSpan)], Naming::None),
    row(&["dayofmonth"], Scalar::DayOfMonth, NUMBERED, Naming::None),
    row(&["dayofyear"], Scalar::DayOfYear, NUMBERED, Naming::None),
    row(&["week_of_year", "weekofyear"], Scalar::WeekOfYear, NUMBERED, Naming::None),
    row(&["hourofday"], Scalar::HourOfDay, NUMBERED, Naming::None),
    row(&["monthofyear"], Scalar::MonthOfYear, NUMBERED, Naming::None),
    row(&["getyear"], Scalar::GetYear, NUMBERED, Naming::None),
    row(&["getmonth"], Scalar::GetMonth, NUMBERED, Naming::None),
    row(
        &["make_datetime"],
        Scalar::MakeDateTime,
        &[
            to(&[INTEGER, INTEGER, INTEGER, INTEGER.opt(), INTEGER.opt(), REAL.opt()], Type::DateTime),
            to(&[ANY], Type::DateTime),
        ],
        Naming::Only,
    ),
    row(
        &["make_timespan"],
        Scalar::MakeTimeSpan,
        &[
            to(&[INTEGER, INTEGER, INTEGER, REAL], Type::TimeSpan),
            to(&[INTEGER, INTEGER, REAL.opt()], Type::TimeSpan),
            to(&[ANY], Type::TimeSpan),
        ],
        Naming::Only,
    ),
    row(&["unixtime_seconds_todatetime"], Scalar::UnixSeconds, UNIX, Naming::None),
    row(&["unixtime_milliseconds_todatetime"], Scalar::UnixMilliseconds, UNIX, Naming::None),
    row(&["unixtime_microseconds_todatetime"], Scalar::UnixMicroseconds, UNIX_EXACT, Naming::None),
    row(&["unixtime_nanoseconds_todatetime"], Scalar::UnixNanoseconds, UNIX_EXACT, Naming::None),
    row(&["datetime_utc_to_local"], Scalar::DateTimeUtcToLocal, ZONE, Naming::None),
    row(&["datetime_local_to_utc"], Scalar::DateTimeLocalToUtc, ZONE, Naming::None),
];
