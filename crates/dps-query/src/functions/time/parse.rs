//! Reading text as a datetime or a timespan: what `todatetime` and `totimespan` take.

use super::calendar::{Civil, in_range, of_civil};
use super::{DAY, HOUR, MILLISECOND, MINUTE, SECOND};

/// ISO 8601 from a year on, and the dates of RFC 822 and 850. What says no zone is UTC.
pub fn datetime(text: &str) -> Option<i64> {
    let text = text.trim();
    iso8601(text).or_else(|| rfc822(text)).or_else(|| american(text))
}

struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn digits(&mut self, least: usize, most: usize) -> Option<i64> {
        let count = self.rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        if count < least {
            return None;
        }
        let (digits, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        digits.parse().ok()
    }

    fn eat(&mut self, any: &[char]) -> bool {
        match self.rest.strip_prefix(any) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn word(&mut self) -> &'a str {
        let count = self.rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (word, rest) = self.rest.split_at(count);
        self.rest = rest;
        word
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Digits behind a point, as ticks of a second.
    fn fraction(&mut self) -> Option<i64> {
        let count = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        if count == 0 {
            return None;
        }
        let (digits, rest) = self.rest.split_at(count);
        self.rest = rest;
        let kept = digits.get(..count.min(7))?;
        format!("{kept:0<7}").parse().ok()
    }
}

fn iso8601(text: &str) -> Option<i64> {
    let mut at = Cursor { rest: text };
    let mut parts =
        Civil { year: at.digits(4, 4)?, month: 1, day: 1, hour: 0, minute: 0, second: 0, tick: 0 };
    if at.eat(&['-']) {
        parts.month = at.digits(1, 2)?;
        if at.eat(&['-']) {
            parts.day = at.digits(1, 2)?;
        }
    }
    let mut zone = 0;
    if at.eat(&['T', 't', ' ']) {
        at.space();
        zone = clock(&mut at, &mut parts)?;
    } else if at.eat(&['Z', 'z']) {
        zone = 0;
    }
    if !at.rest.is_empty() {
        return None;
    }
    of_civil(parts)?.checked_sub(zone).and_then(in_range)
}

/// `hh:mm[:ss[.fffffff]]`, then a zone; answers the zone's distance from UTC.
fn clock(at: &mut Cursor<'_>, parts: &mut Civil) -> Option<i64> {
    parts.hour = at.digits(1, 2)?;
    if !at.eat(&[':']) {
        return None;
    }
    parts.minute = at.digits(2, 2)?;
    if at.eat(&[':']) {
        parts.second = at.digits(2, 2)?;
        if at.eat(&['.', ',']) {
            parts.tick = at.fraction()?;
        }
    }
    at.space();
    half_day(at, parts)?;
    zone(at)
}

fn half_day(at: &mut Cursor<'_>, parts: &mut Civil) -> Option<()> {
    let before = at.rest;
    match at.word() {
        half @ ("AM" | "am" | "PM" | "pm") => {
            if !(1..=12).contains(&parts.hour) {
                return None;
            }
            parts.hour = parts.hour % 12 + if half.eq_ignore_ascii_case("pm") { 12 } else { 0 };
            at.space();
        }
        _ => at.rest = before,
    }
    Some(())
}

fn zone(at: &mut Cursor<'_>) -> Option<i64> {
    if at.eat(&['+']) {
        offset(at)
    } else if at.eat(&['-']) {
        offset(at).map(|distance| -distance)
    } else {
        match at.word() {
            "" | "Z" | "z" | "GMT" | "UTC" | "UT" => Some(0),
            "EDT" => Some(-4 * HOUR),
            "EST" | "CDT" => Some(-5 * HOUR),
            "CST" | "MDT" => Some(-6 * HOUR),
            "MST" | "PDT" => Some(-7 * HOUR),
            "PST" => Some(-8 * HOUR),
            _ => None,
        }
    }
}

fn offset(at: &mut Cursor<'_>) -> Option<i64> {
    let hours = at.digits(2, 2)?;
    at.eat(&[':']);
    let minutes = at.digits(0, 2).unwrap_or(0);
    (hours <= 14 && minutes < 60).then_some(hours * HOUR + minutes * MINUTE)
}

/// `Sat, 8 Nov 2014 15:05:02 GMT`, `Saturday, 08-Nov-14 15:05:02 UTC`, day of the week and seconds optional.
fn rfc822(text: &str) -> Option<i64> {
    let mut at = Cursor { rest: text };
    if at.rest.starts_with(|first: char| first.is_ascii_alphabetic()) {
        let name = at.word();
        let known = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
        if !known.iter().any(|day| name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(day))) {
            return None;
        }
        at.eat(&[',']);
        at.space();
    }
    let day = at.digits(1, 2)?;
    at.eat(&['-']);
    at.space();
    let month = month_of(at.word())?;
    at.eat(&['-']);
    at.space();
    let before = at.rest.len();
    let year = at.digits(2, 4)?;
    let year = match before - at.rest.len() {
        2 if year < 50 => 2000 + year,
        2 => 1900 + year,
        4 => year,
        _ => return None,
    };
    let mut parts = Civil { year, month, day, hour: 0, minute: 0, second: 0, tick: 0 };
    at.space();
    let zone = if at.rest.is_empty() { 0 } else { clock(&mut at, &mut parts)? };
    if !at.rest.is_empty() {
        return None;
    }
    of_civil(parts)?.checked_sub(zone).and_then(in_range)
}

fn month_of(name: &str) -> Option<i64> {
    const NAMES: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let start = name.get(..3)?;
    let index = NAMES.iter().position(|known| start.eq_ignore_ascii_case(known))?;
    i64::try_from(index + 1).ok()
}

/// `11/8/2014 3:05:02 PM`, as .NET's invariant culture writes it.
fn american(text: &str) -> Option<i64> {
    let mut at = Cursor { rest: text };
    let month = at.digits(1, 2)?;
    if !at.eat(&['/']) {
        return None;
    }
    let day = at.digits(1, 2)?;
    if !at.eat(&['/']) {
        return None;
    }
    let year = at.digits(4, 4)?;
    let mut parts = Civil { year, month, day, hour: 0, minute: 0, second: 0, tick: 0 };
    at.space();
    let zone = if at.rest.is_empty() { 0 } else { clock(&mut at, &mut parts)? };
    if !at.rest.is_empty() {
        return None;
    }
    of_civil(parts)?.checked_sub(zone).and_then(in_range)
}

/// `[-][d.]hh:mm[:ss[.fffffff]]`, days alone, or a number with a unit: `90m`, `1.5h`.
pub fn timespan(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, size) = match text.strip_prefix('-') {
        Some(size) => (true, size),
        None => (false, text),
    };
    let ticks = colons(size).or_else(|| with_unit(size))?;
    Some(if negative { -ticks } else { ticks })
}

fn colons(text: &str) -> Option<i64> {
    let mut at = Cursor { rest: text };
    let mut first = at.digits(1, 8)?;
    let mut days = 0;
    if at.rest.is_empty() {
        return first.checked_mul(DAY);
    }
    if at.eat(&['.']) {
        days = first;
        first = at.digits(1, 2)?;
    }
    if !at.eat(&[':']) || first > 23 {
        return None;
    }
    let minutes = at.digits(1, 2).filter(|minutes| *minutes < 60)?;
    let mut ticks = days.checked_mul(DAY)?.checked_add(first * HOUR + minutes * MINUTE)?;
    if at.eat(&[':']) {
        let seconds = at.digits(1, 2).filter(|seconds| *seconds < 60)?;
        ticks = ticks.checked_add(seconds * SECOND)?;
        if at.eat(&['.']) {
            ticks = ticks.checked_add(at.fraction()?)?;
        }
    }
    at.rest.is_empty().then_some(ticks)
}

fn with_unit(text: &str) -> Option<i64> {
    let split = text.find(|letter: char| letter.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at_checked(split)?;
    let unit = match unit {
        "d" | "day" | "days" => DAY,
        "h" | "hr" | "hrs" | "hour" | "hours" => HOUR,
        "m" | "min" | "minute" | "minutes" => MINUTE,
        "s" | "sec" | "second" | "seconds" => SECOND,
        "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => MILLISECOND,
        "micro" | "micros" | "microsecond" | "microseconds" => 10,
        "tick" | "ticks" => 1,
        _ => return None,
    };
    let number = number.trim();
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    scaled(number.parse().ok()?, unit)
}

/// So many units, none where it does not fit.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "bounded just above")]
pub fn scaled(number: f64, unit: i64) -> Option<i64> {
    let ticks = (number * unit as f64).round();
    (ticks.abs() < 9.2e18).then_some(ticks as i64)
}
