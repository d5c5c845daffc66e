//! The proleptic Gregorian calendar between the years 1 and 9999.

use super::{DAY, HOUR, MINUTE, SECOND, UNIX_EPOCH};

/// The last tick of the year 9999.
pub const LAST_TICK: i64 = 3_652_059 * DAY - 1;

/// Parts of an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// From 1.
    pub year: i64,
    /// From 1.
    pub month: i64,
    /// From 1.
    pub day: i64,
    /// From 0.
    pub hour: i64,
    /// From 0.
    pub minute: i64,
    /// From 0.
    pub second: i64,
    /// Ticks within the second.
    pub tick: i64,
}

/// The instant, where there is one.
pub fn in_range(ticks: i64) -> Option<i64> {
    (0..=LAST_TICK).contains(&ticks).then_some(ticks)
}

/// Its parts. An instant out of range is taken to the nearest within.
pub fn civil(ticks: i64) -> Civil {
    let ticks = ticks.clamp(0, LAST_TICK);
    let (days, rest) = (ticks / DAY, ticks % DAY);
    // Days since 0000-03-01; eras of 400 years make leap days the last of their year.
    let shifted = days - UNIX_EPOCH / DAY + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Civil {
        year,
        month,
        day,
        hour: rest / HOUR,
        minute: rest % HOUR / MINUTE,
        second: rest % MINUTE / SECOND,
        tick: rest % SECOND,
    }
}

/// Days from 0001-01-01 to a date, whose parts are within range.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468 + UNIX_EPOCH / DAY
}

/// How many days a month has.
pub fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The instant of the parts, when they name one. The second may be 60 nowhere.
pub fn of_civil(parts: Civil) -> Option<i64> {
    let Civil { year, month, day, hour, minute, second, tick } = parts;
    let legal = (1..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=month_days(year, month)).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second)
        && (0..SECOND).contains(&tick);
    legal.then(|| days(year, month, day) * DAY + hour * HOUR + minute * MINUTE + second * SECOND + tick)
}

/// Midnight of a date.
pub fn midnight(year: i64, month: i64, day: i64) -> Option<i64> {
    of_civil(Civil { year, month, day, hour: 0, minute: 0, second: 0, tick: 0 })
}

/// Sunday is 0.
pub fn weekday(ticks: i64) -> i64 {
    // 0001-01-01 was a Monday.
    (ticks.div_euclid(DAY) + 1).rem_euclid(7)
}

/// January 1 is 1.
pub fn day_of_year(ticks: i64) -> i64 {
    let start = midnight(civil(ticks).year, 1, 1).unwrap_or(0);
    (ticks.clamp(0, LAST_TICK) - start) / DAY + 1
}

/// The week of ISO 8601: it begins on Monday, and the first of a year has its first Thursday.
pub fn iso_week(ticks: i64) -> i64 {
    let monday_based = (weekday(ticks) + 6) % 7;
    let year = civil(ticks).year;
    let week = (day_of_year(ticks) - monday_based + 9) / 7;
    if week < 1 {
        return weeks_in(year - 1);
    }
    if week > weeks_in(year) { 1 } else { week }
}

fn weeks_in(year: i64) -> i64 {
    // A year has 53 weeks where it begins or ends on a Thursday.
    let ends_on =
        |year: i64| (year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400)).rem_euclid(7);
    if ends_on(year) == 4 || ends_on(year - 1) == 3 { 53 } else { 52 }
}

/// The same day and time so many months later; the last day of a shorter month.
pub fn add_months(ticks: i64, months: i64) -> Option<i64> {
    let parts = civil(ticks);
    let month = (parts.year * 12 + parts.month - 1).checked_add(months)?;
    let (year, month) = (month.div_euclid(12), month.rem_euclid(12) + 1);
    let day = parts.day.min(month_days(year, month));
    of_civil(Civil { year, month, day, ..parts })
}
