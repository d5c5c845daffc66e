//! Instants and durations: ticks of 100 ns since the year 1 in Gregorian days.

use chrono::{Datelike, NaiveDate};
use dps_kql::{Scalar, TICKS_PER_DAY, TICKS_PER_SECOND, Type, Value};

use super::value::{long, string};

const TICKS_PER_HOUR: i64 = 3600 * TICKS_PER_SECOND;
const TICKS_PER_MINUTE: i64 = 60 * TICKS_PER_SECOND;

fn date(ticks: i64) -> NaiveDate {
    let days = i32::try_from(ticks.div_euclid(TICKS_PER_DAY)).unwrap();
    NaiveDate::from_num_days_from_ce_opt(days + 1).unwrap()
}

fn ticks(date: NaiveDate) -> i64 {
    (i64::from(date.num_days_from_ce()) - 1) * TICKS_PER_DAY
}

fn first_of(year: i32, month: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, 1).unwrap()
}

fn clock(ticks: i64) -> String {
    let seconds = ticks / TICKS_PER_SECOND;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// As `tostring` writes it.
pub fn instant_text(at: i64) -> String {
    let within = at.rem_euclid(TICKS_PER_DAY);
    format!("{}T{}.{:07}Z", date(at).format("%Y-%m-%d"), clock(within), within % TICKS_PER_SECOND)
}

/// As `tostring` writes it.
pub fn duration_text(ticks: i64) -> String {
    let sign = if ticks < 0 { "-" } else { "" };
    let (days, within) = (ticks.abs() / TICKS_PER_DAY, ticks.abs() % TICKS_PER_DAY);
    let days = if days > 0 { format!("{days}.") } else { String::new() };
    let fraction = within % TICKS_PER_SECOND;
    let fraction = if fraction > 0 { format!(".{fraction:07}") } else { String::new() };
    format!("{sign}{days}{}{fraction}", clock(within))
}

/// First tick of the day, week, month or year of an instant, `offset` of them later.
fn start(function: Scalar, at: i64, offset: i64) -> i64 {
    let date = date(at);
    let offset = i32::try_from(offset).unwrap();
    match function {
        Scalar::StartOfDay | Scalar::EndOfDay => ticks(date) + i64::from(offset) * TICKS_PER_DAY,
        Scalar::StartOfWeek | Scalar::EndOfWeek => {
            let sunday = ticks(date) - i64::from(date.weekday().num_days_from_sunday()) * TICKS_PER_DAY;
            sunday + i64::from(offset) * 7 * TICKS_PER_DAY
        }
        Scalar::StartOfMonth | Scalar::EndOfMonth => {
            let month = date.year() * 12 + date.month0().cast_signed() + offset;
            ticks(first_of(month.div_euclid(12), month.rem_euclid(12).cast_unsigned() + 1))
        }
        _ => ticks(first_of(date.year() + offset, 1)),
    }
}

/// `startof…` and `endof…`: the last tick is the one before the next beginning.
pub fn boundary(function: Scalar, at: i64, offset: i64) -> i64 {
    match function {
        Scalar::EndOfDay | Scalar::EndOfWeek | Scalar::EndOfMonth | Scalar::EndOfYear => {
            start(function, at, offset + 1) - 1
        }
        _ => start(function, at, offset),
    }
}

/// The parts that have functions of their own.
pub fn part(function: Scalar, at: i64, ty: Type) -> Value {
    let date = date(at);
    let number = match function {
        Scalar::DayOfWeek => {
            return Value::TimeSpan(i64::from(date.weekday().num_days_from_sunday()) * TICKS_PER_DAY);
        }
        Scalar::DayOfMonth => date.day().cast_signed(),
        Scalar::DayOfYear => date.ordinal().cast_signed(),
        Scalar::HourOfDay => i32::try_from(at.rem_euclid(TICKS_PER_DAY) / TICKS_PER_HOUR).unwrap(),
        Scalar::GetMonth | Scalar::MonthOfYear => date.month().cast_signed(),
        Scalar::GetYear => date.year(),
        Scalar::WeekOfYear => date.iso_week().week().cast_signed(),
        other => panic!("{other:?} is no part"),
    };
    if ty == Type::Int { Value::Int(number) } else { Value::Long(i64::from(number)) }
}

/// Boundaries of that kind between two instants.
fn periods(unit: &str, at: i64) -> i64 {
    let date = date(at);
    let months = i64::from(date.year()) * 12 + i64::from(date.month0());
    match unit {
        "year" => i64::from(date.year()),
        "quarter" => months.div_euclid(3),
        "month" => months,
        // The first day of the calendar was a Monday, and weeks begin on Sundays.
        "week" => (at.div_euclid(TICKS_PER_DAY) + 1).div_euclid(7),
        "day" => at.div_euclid(TICKS_PER_DAY),
        "hour" => at.div_euclid(TICKS_PER_HOUR),
        "minute" => at.div_euclid(TICKS_PER_MINUTE),
        "second" => at.div_euclid(TICKS_PER_SECOND),
        other => panic!("{other} is no unit"),
    }
}

/// `datetime_diff`.
pub fn diff(unit: &str, left: i64, right: i64) -> Value {
    long(Some(periods(unit, left) - periods(unit, right)))
}

/// `datetime_add`: a month later is the same day, or the month's last.
pub fn add(unit: &str, amount: i64, at: i64) -> i64 {
    let months = match unit {
        "year" => 12 * amount,
        "quarter" => 3 * amount,
        "month" => amount,
        "week" => return at + amount * 7 * TICKS_PER_DAY,
        "day" => return at + amount * TICKS_PER_DAY,
        "hour" => return at + amount * TICKS_PER_HOUR,
        "minute" => return at + amount * TICKS_PER_MINUTE,
        "second" => return at + amount * TICKS_PER_SECOND,
        other => panic!("{other} is no unit"),
    };
    let day = date(at);
    let month = i64::from(day.year()) * 12 + i64::from(day.month0()) + months;
    let year = i32::try_from(month.div_euclid(12)).unwrap();
    let first = first_of(year, u32::try_from(month.rem_euclid(12)).unwrap() + 1);
    let moved = (0..4).find_map(|back| first.with_day(day.day() - back)).unwrap();
    ticks(moved) + at.rem_euclid(TICKS_PER_DAY)
}

/// `datetime_part`.
pub fn part_named(unit: &str, at: i64) -> i64 {
    let date = date(at);
    let within = at.rem_euclid(TICKS_PER_DAY);
    match unit {
        "year" => i64::from(date.year()),
        "quarter" => i64::from(date.month0() / 3 + 1),
        "month" => i64::from(date.month()),
        "day" => i64::from(date.day()),
        "hour" => within / TICKS_PER_HOUR,
        "minute" => within / TICKS_PER_MINUTE % 60,
        "second" => within / TICKS_PER_SECOND % 60,
        other => panic!("{other} is no unit"),
    }
}

/// `2026-01-31`, `2026-01-31T12:00:00Z` and the like; nothing else is made.
pub fn parse(text: &str) -> Option<i64> {
    let (day, clock) = text.split_once(['T', ' ']).unwrap_or((text, ""));
    let day = NaiveDate::parse_from_str(day, "%Y-%m-%d").ok()?;
    let clock = clock.trim_end_matches('Z');
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut seconds = 0;
    for part in clock.split(':').filter(|part| !part.is_empty()) {
        seconds = seconds * 60 + part.parse::<i64>().ok()?;
    }
    Some(ticks(day) + seconds * TICKS_PER_SECOND + format!("{fraction:0<7}").parse::<i64>().ok()?)
}

/// `format_datetime` of the patterns that are made.
pub fn format(at: i64, pattern: &str) -> Value {
    let within = at.rem_euclid(TICKS_PER_DAY) / TICKS_PER_SECOND;
    let date = date(at);
    string(match pattern {
        "yyyy-MM-dd" => date.format("%Y-%m-%d").to_string(),
        "yyyy-MM" => date.format("%Y-%m").to_string(),
        "HH:mm:ss" => clock(within * TICKS_PER_SECOND),
        other => panic!("{other} is no pattern"),
    })
}
