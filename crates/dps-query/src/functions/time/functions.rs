//! The functions of time.

use chrono_tz::Tz;
use dps_kql::Scalar;

use super::calendar::{add_months, civil, day_of_year, in_range, iso_week, midnight, of_civil, weekday};
use super::format::{datetime_by, timespan_by};
use super::{Civil, DAY, HOUR, MILLISECOND, MINUTE, SECOND, UNIX_EPOCH, parse};
use crate::functions::datum::Datum;
use crate::functions::kernel::{long_at, real_at, text_at};
use crate::functions::udf::Call;

fn instant<'a>(ticks: Option<i64>) -> Datum<'a> {
    ticks.and_then(in_range).map_or(Datum::Null, Datum::DateTime)
}

/// `startofday`, `startofweek`, `startofmonth`, `startofyear` and their ends, with an offset in such units.
pub fn boundary<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(ticks) = long_at(args, 0).and_then(in_range) else { return Datum::Null };
    let Some(offset) = (if args.len() > 1 { long_at(args, 1) } else { Some(0) }) else { return Datum::Null };
    let start = |offset: i64| match call.function {
        Scalar::StartOfDay | Scalar::EndOfDay => start_of_day(ticks, offset),
        Scalar::StartOfWeek | Scalar::EndOfWeek => start_of_week(ticks, offset),
        Scalar::StartOfMonth | Scalar::EndOfMonth => start_of_month(ticks, offset),
        _ => civil(ticks).year.checked_add(offset).and_then(|year| match year {
            10_000 => Some(super::LAST_TICK + 1),
            year => midnight(year, 1, 1),
        }),
    };
    let is_end = matches!(
        call.function,
        Scalar::EndOfDay | Scalar::EndOfWeek | Scalar::EndOfMonth | Scalar::EndOfYear
    );
    if is_end {
        instant(offset.checked_add(1).and_then(start).and_then(|next| next.checked_sub(1)))
    } else {
        instant(start(offset))
    }
}

fn start_of_day(ticks: i64, offset: i64) -> Option<i64> {
    (ticks - ticks.rem_euclid(DAY)).checked_add(offset.checked_mul(DAY)?)
}

fn start_of_week(ticks: i64, offset: i64) -> Option<i64> {
    let days = offset.checked_mul(7)?.checked_sub(weekday(ticks))?;
    start_of_day(ticks, days)
}

fn start_of_month(ticks: i64, offset: i64) -> Option<i64> {
    let parts = civil(ticks);
    let month = (parts.year * 12 + parts.month - 1).checked_add(offset)?;
    if month == 10_000 * 12 {
        return Some(super::LAST_TICK + 1);
    }
    midnight(month.div_euclid(12), month.rem_euclid(12) + 1, 1)
}

/// `datetime_diff`: how many boundaries of the unit lie between, first minus second.
pub fn datetime_diff<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let (Some(left), Some(right)) = (long_at(args, 1), long_at(args, 2)) else { return Datum::Null };
    let unit = text_at(args, 0).to_ascii_lowercase();
    let number = |ticks: i64| {
        let parts = civil(ticks);
        Some(match unit.as_str() {
            "year" => parts.year,
            "quarter" => parts.year * 4 + (parts.month - 1) / 3,
            "month" => parts.year * 12 + parts.month - 1,
            "week" => (ticks.div_euclid(DAY) + 1).div_euclid(7),
            "nanosecond" => ticks.checked_mul(100)?,
            other => ticks.div_euclid(unit_ticks(other)?),
        })
    };
    if unit == "nanosecond" {
        return left.checked_sub(right).and_then(|ticks| ticks.checked_mul(100)).into();
    }
    number(left).zip(number(right)).map(|(left, right)| left - right).into()
}

fn unit_ticks(unit: &str) -> Option<i64> {
    Some(match unit {
        "week" => 7 * DAY,
        "day" => DAY,
        "hour" => HOUR,
        "minute" => MINUTE,
        "second" => SECOND,
        "millisecond" => MILLISECOND,
        "microsecond" => 10,
        _ => return None,
    })
}

/// `datetime_add`.
pub fn datetime_add<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let (Some(amount), Some(ticks)) = (long_at(args, 1), long_at(args, 2).and_then(in_range)) else {
        return Datum::Null;
    };
    let months = |each: i64| amount.checked_mul(each).and_then(|months| add_months(ticks, months));
    instant(match text_at(args, 0).to_ascii_lowercase().as_str() {
        "year" => months(12),
        "quarter" => months(3),
        "month" => months(1),
        "nanosecond" => ticks.checked_add(amount / 100),
        unit => {
            unit_ticks(unit).and_then(|unit| amount.checked_mul(unit)).and_then(|add| ticks.checked_add(add))
        }
    })
}

/// `datetime_part`.
pub fn datetime_part<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(ticks) = long_at(args, 1).and_then(in_range) else { return Datum::Null };
    let parts = civil(ticks);
    Datum::Long(match text_at(args, 0).to_ascii_lowercase().as_str() {
        "year" => parts.year,
        "quarter" => (parts.month - 1) / 3 + 1,
        "month" => parts.month,
        "week_of_year" | "weekofyear" => iso_week(ticks),
        "day" => parts.day,
        "dayofyear" => day_of_year(ticks),
        "hour" => parts.hour,
        "minute" => parts.minute,
        "second" => parts.second,
        "millisecond" => parts.tick / MILLISECOND,
        "microsecond" => parts.tick / 10,
        "nanosecond" => parts.tick * 100,
        _ => return Datum::Null,
    })
}

/// `dayofmonth`, `dayofyear`, `week_of_year`, `hourofday`, `monthofyear`, `getyear`, `getmonth`, and `dayofweek`, which
/// is a timespan.
pub fn part<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(ticks) = long_at(args, 0).and_then(in_range) else { return Datum::Null };
    let parts = civil(ticks);
    Datum::Long(match call.function {
        Scalar::DayOfWeek => return Datum::TimeSpan(weekday(ticks) * DAY),
        Scalar::DayOfYear => day_of_year(ticks),
        Scalar::WeekOfYear => iso_week(ticks),
        Scalar::HourOfDay => parts.hour,
        Scalar::MonthOfYear | Scalar::GetMonth => parts.month,
        Scalar::GetYear => parts.year,
        _ => parts.day,
    })
}

/// `format_datetime`.
pub fn format_datetime<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let text = long_at(args, 0).and_then(in_range).and_then(|ticks| datetime_by(ticks, text_at(args, 1)));
    Datum::text(text.unwrap_or_default())
}

/// `format_timespan`.
pub fn format_timespan<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    Datum::text(long_at(args, 0).and_then(|ticks| timespan_by(ticks, text_at(args, 1))).unwrap_or_default())
}

/// `make_datetime(year, month, day, hour, minute, second)`, the last three or none of them left out, or of a text.
pub fn make_datetime<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    if let [Datum::Text(text)] = args {
        return parse::datetime(text).map_or(Datum::Null, Datum::DateTime);
    }
    if let [Datum::DateTime(ticks)] = args {
        return Datum::DateTime(*ticks);
    }
    let or =
        |index: usize, default: i64| if index < args.len() { long_at(args, index) } else { Some(default) };
    let second = if args.len() > 5 { real_at(args, 5) } else { Some(0.0) };
    let parts = (|| {
        let (second, tick) = seconds(second?)?;
        Some(Civil {
            year: or(0, 1)?,
            month: or(1, 1)?,
            day: or(2, 1)?,
            hour: or(3, 0)?,
            minute: or(4, 0)?,
            second,
            tick,
        })
    })();
    instant(parts.and_then(of_civil))
}

fn seconds(value: f64) -> Option<(i64, i64)> {
    let ticks = parse::scaled(value, SECOND)?;
    (0..MINUTE).contains(&ticks).then_some((ticks / SECOND, ticks % SECOND))
}

/// `make_timespan(hour, minute)`, `(hour, minute, second)`, `(day, hour, minute, second)`, or of a text.
pub fn make_timespan<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let value = match args {
        [Datum::Text(text)] => parse::timespan(text),
        [Datum::TimeSpan(ticks)] => Some(*ticks),
        [_, _] => span(Some(0), long_at(args, 0), long_at(args, 1), Some(0.0)),
        [_, _, _] => span(Some(0), long_at(args, 0), long_at(args, 1), real_at(args, 2)),
        [_, _, _, _] => span(long_at(args, 0), long_at(args, 1), long_at(args, 2), real_at(args, 3)),
        _ => None,
    };
    value.map_or(Datum::Null, Datum::TimeSpan)
}

fn span(day: Option<i64>, hour: Option<i64>, minute: Option<i64>, second: Option<f64>) -> Option<i64> {
    let (hour, minute) =
        (hour.filter(|hour| (0..24).contains(hour))?, minute.filter(|m| (0..60).contains(m))?);
    let (second, tick) = seconds(second?)?;
    day?.checked_mul(DAY)?.checked_add(hour * HOUR + minute * MINUTE + second * SECOND + tick)
}

/// `unixtime_seconds_todatetime` and its finer kin; fractions count.
pub fn of_unix<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let per_second = match call.function {
        Scalar::UnixSeconds => 1,
        Scalar::UnixMilliseconds => 1_000,
        Scalar::UnixMicroseconds => 1_000_000,
        _ => 1_000_000_000,
    };
    let whole = |value: i64| {
        let ticks = i128::from(value) * i128::from(SECOND) / per_second;
        i64::try_from(ticks).ok()
    };
    let since = match args.first() {
        Some(Datum::Int(value)) => whole(i64::from(*value)),
        Some(Datum::Long(value)) => whole(*value),
        #[allow(clippy::cast_precision_loss, reason = "at most a thousand million")]
        Some(other) => other.real().and_then(|value| parse::scaled(value / per_second as f64, SECOND)),
        None => None,
    };
    instant(since.and_then(|ticks| ticks.checked_add(UNIX_EPOCH)))
}

/// `datetime_utc_to_local` and `datetime_local_to_utc`, by the IANA database. A time that a zone skips is read by the
/// distance before the change; of one that it has twice the first is meant.
pub fn zone<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let zone: Option<Tz> = text_at(args, 1).parse().ok();
    let (Some(ticks), Some(zone)) = (long_at(args, 0).and_then(in_range), zone) else { return Datum::Null };
    instant(distance(zone, ticks, call.function == Scalar::DateTimeUtcToLocal).and_then(|distance| {
        if call.function == Scalar::DateTimeUtcToLocal {
            ticks.checked_add(distance)
        } else {
            ticks.checked_sub(distance)
        }
    }))
}

fn distance(zone: Tz, ticks: i64, is_utc: bool) -> Option<i64> {
    use chrono::{DateTime, LocalResult, Offset, TimeZone};
    let naive = DateTime::from_timestamp((ticks - UNIX_EPOCH).div_euclid(SECOND), 0)?.naive_utc();
    let fix = |offset: <Tz as TimeZone>::Offset| i64::from(offset.fix().local_minus_utc()) * SECOND;
    if is_utc {
        return Some(fix(zone.offset_from_utc_datetime(&naive)));
    }
    match zone.offset_from_local_datetime(&naive) {
        LocalResult::Single(offset) | LocalResult::Ambiguous(offset, _) => Some(fix(offset)),
        LocalResult::None => distance(zone, ticks - DAY, false),
    }
}
