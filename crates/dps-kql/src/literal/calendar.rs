//! Instants: ISO 8601, the forms of RFC 822 and RFC 850, and month/day/year. The calendar is Gregorian from year 1 on.

use super::duration::read_fraction;
use crate::{TICKS_PER_DAY, TICKS_PER_SECOND};

/// Ticks of the last instant there is, at the end of the year 9999.
const LAST: i64 = 3_155_378_975_999_999_999;
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// An instant in ticks since 0001-01-01T00:00:00Z. What has no zone is UTC.
pub fn read_datetime(text: &str) -> Option<i64> {
    let text = text.trim();
    let (date, rest) = iso_date(text).or_else(|| slashed_date(text)).or_else(|| named_date(text))?;
    let (time, offset) = time_of_day(rest)?;
    let ticks = date.checked_mul(TICKS_PER_DAY)?.checked_add(time)?.checked_sub(offset)?;
    (0..=LAST).contains(&ticks).then_some(ticks)
}

/// `2024-12-31T23:59:59.1234567Z`, always with seven digits of the second.
pub fn format_datetime(ticks: i64) -> String {
    let ticks = ticks.clamp(0, LAST);
    let (year, month, day) = civil(ticks / TICKS_PER_DAY);
    let seconds = ticks % TICKS_PER_DAY / TICKS_PER_SECOND;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = ticks % TICKS_PER_SECOND;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:07}Z")
}

/// Digits at the front, as many as `least` to `most`.
fn digits(text: &str, least: usize, most: usize) -> Option<(i64, &str)> {
    let length = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    let (front, rest) = text.split_at_checked(length).filter(|_| length >= least)?;
    front.parse().ok().map(|number| (number, rest))
}

/// Days since 0001-01-01.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=9999).contains(&year) || !(1..=length).contains(&day) {
        return None;
    }
    // A year that begins in March has its leap day at the end.
    let (shifted, from_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let before = 365 * shifted + shifted / 4 - shifted / 100 + shifted / 400;
    Some(before + (153 * from_march + 2) / 5 + day - 1 - 306)
}

/// Year, month and day of a day since 0001-01-01.
fn civil(day: i64) -> (i64, i64, i64) {
    let shifted = day + 306;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// `2024`, `2024-12`, `2024-12-31`, `20241231`.
fn iso_date(text: &str) -> Option<(i64, &str)> {
    let (year, rest) = digits(text, 4, 4)?;
    if let Some((month, rest)) = digits(rest, 2, 2) {
        let (day, rest) = digits(rest, 2, 2)?;
        return Some((days(year, month, day)?, rest));
    }
    let Some((month, rest)) = rest.strip_prefix('-').and_then(|rest| digits(rest, 1, 2)) else {
        return rest.is_empty().then_some((days(year, 1, 1)?, rest));
    };
    match rest.strip_prefix('-').and_then(|rest| digits(rest, 1, 2)) {
        Some((day, rest)) => Some((days(year, month, day)?, rest)),
        None => rest.is_empty().then_some((days(year, month, 1)?, rest)),
    }
}

/// `12/31/2024`.
fn slashed_date(text: &str) -> Option<(i64, &str)> {
    let (month, rest) = digits(text, 1, 2)?;
    let (day, rest) = digits(rest.strip_prefix('/')?, 1, 2)?;
    let (year, rest) = digits(rest.strip_prefix('/')?, 4, 4)?;
    Some((days(year, month, day)?, rest))
}

/// `Sat, 8 Nov 14 …`, `Saturday, 08-Nov-14 …`, `8 November 2014`. The weekday is not checked against the date.
fn named_date(text: &str) -> Option<(i64, &str)> {
    let after = match text.split_once(',') {
        Some((weekday, rest)) => {
            let short = weekday.get(..3)?.to_ascii_lowercase();
            let letters = weekday.bytes().all(|next| next.is_ascii_alphabetic());
            (letters && WEEKDAYS.contains(&short.as_str())).then_some(rest.trim_start())?
        }
        None => text,
    };
    let (day, rest) = digits(after, 1, 2)?;
    let rest = rest.strip_prefix([' ', '-'])?;
    let length = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
    let (name, rest) = rest.split_at_checked(length)?;
    let short = name.get(..3)?.to_ascii_lowercase();
    let month = MONTHS.iter().position(|month| *month == short)?;
    let (year, rest) = digits(rest.strip_prefix([' ', '-'])?, 2, 4)?;
    // Two digits are of the century that ends in 2049, as .NET has it.
    let year = if year >= 100 {
        year
    } else if year < 50 {
        2000 + year
    } else {
        1900 + year
    };
    Some((days(year, i64::try_from(month).ok()? + 1, day)?, rest))
}

/// What follows a date: nothing, or a time with a zone, both in ticks.
fn time_of_day(text: &str) -> Option<(i64, i64)> {
    let text = text.strip_prefix('T').unwrap_or_else(|| text.trim_start());
    if text.is_empty() || text == "Z" {
        return Some((0, 0));
    }
    let (hour, rest) = digits(text, 1, 2)?;
    let (minute, rest) = digits(rest.strip_prefix(':')?, 2, 2)?;
    let (second, rest) = match rest.strip_prefix(':') {
        Some(rest) => digits(rest, 2, 2)?,
        None => (0, rest),
    };
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => {
            let length = rest.bytes().take_while(u8::is_ascii_digit).count();
            rest.split_at_checked(length).filter(|_| length > 0)?
        }
        None => ("", rest),
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = hour * 3600 + minute * 60 + second;
    Some((seconds * TICKS_PER_SECOND + read_fraction(fraction)?, zone(rest.trim())?))
}

/// `Z`, `UTC`, `+02:00`, `-0530`, `EST`: ticks east of Greenwich.
fn zone(text: &str) -> Option<i64> {
    const NAMED: [(&str, i64); 8] = [
        ("EST", -5),
        ("EDT", -4),
        ("CST", -6),
        ("CDT", -5),
        ("MST", -7),
        ("MDT", -6),
        ("PST", -8),
        ("PDT", -7),
    ];
    let minutes = match text {
        "" | "Z" | "z" | "UTC" | "GMT" | "UT" => 0,
        _ if text.starts_with(['+', '-']) => {
            let (hours, rest) = digits(text.get(1..)?, 2, 2)?;
            let rest = rest.strip_prefix(':').unwrap_or(rest);
            let (minutes, rest) = if rest.is_empty() { (0, rest) } else { digits(rest, 2, 2)? };
            if !rest.is_empty() || hours > 14 || minutes > 59 {
                return None;
            }
            let sign = if text.starts_with('-') { -1 } else { 1 };
            sign * (hours * 60 + minutes)
        }
        _ => 60 * NAMED.iter().find(|(name, _)| *name == text)?.1,
    };
    Some(minutes * 60 * TICKS_PER_SECOND)
}
