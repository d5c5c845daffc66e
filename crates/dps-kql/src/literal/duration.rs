//! Durations: `1d`, `1.02:03:04.5`.

use crate::{TICKS_PER_DAY, TICKS_PER_SECOND};

const TICKS_PER_MINUTE: i64 = 60 * TICKS_PER_SECOND;
const TICKS_PER_HOUR: i64 = 60 * TICKS_PER_MINUTE;
/// Digits of a fraction of a second.
const FRACTION_DIGITS: usize = 7;

/// Suffixes with their length: in ticks, or (below a tick) how many make one.
const SUFFIXES: &[(&[&str], i64)] = &[
    (&["d", "day", "days"], TICKS_PER_DAY),
    (&["h", "hr", "hrs", "hour", "hours"], TICKS_PER_HOUR),
    (&["m", "min", "minute", "minutes"], TICKS_PER_MINUTE),
    (&["s", "sec", "second", "seconds"], TICKS_PER_SECOND),
    (&["ms", "milli", "millis", "millisec", "millisecond", "milliseconds"], TICKS_PER_SECOND / 1000),
    (&["micro", "micros", "microsec", "microsecond", "microseconds"], TICKS_PER_SECOND / 1_000_000),
    (&["tick", "ticks"], 1),
];
const NANO: &[&str] = &["nano", "nanos", "nanosec", "nanosecond", "nanoseconds"];
const TICKS_PER_NANO: f64 = 0.01;

/// A number and a suffix without a sign: `1d`, `1.5hours`. The suffix minds case.
pub fn read_suffixed(text: &str) -> Option<i64> {
    let number =
        text.len() - text.trim_start_matches(|next: char| next.is_ascii_digit() || next == '.').len();
    let suffix = text.get(number..)?.trim_start();
    let number = text.get(..number)?;
    if number.starts_with('.') || number.ends_with('.') {
        return None;
    }
    if NANO.contains(&suffix) {
        return scaled(number.parse().ok()?, TICKS_PER_NANO);
    }
    let (_, ticks) = SUFFIXES.iter().find(|(names, _)| names.contains(&suffix))?;
    if number.contains('.') {
        #[allow(clippy::cast_precision_loss, reason = "a day's ticks are below 2^53")]
        return scaled(number.parse().ok()?, *ticks as f64);
    }
    number.parse::<i64>().ok()?.checked_mul(*ticks)
}

fn scaled(number: f64, ticks: f64) -> Option<i64> {
    let ticks = (number * ticks).trunc();
    #[allow(clippy::cast_precision_loss, reason = "a bound, not a value")]
    let fits = ticks.abs() < i64::MAX as f64;
    #[allow(clippy::cast_possible_truncation, reason = "within bounds, and without a fraction")]
    fits.then_some(ticks as i64)
}

/// `1d`, `1.02:03:04.5`, `02:03`, `5` (days), each perhaps with a `-`.
pub fn read_timespan(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let ticks = match text.split_once(':') {
        Some((front, back)) => clock(front, back)?,
        None if text.bytes().all(|next| next.is_ascii_digit()) => {
            text.parse::<i64>().ok()?.checked_mul(TICKS_PER_DAY)?
        }
        None => read_suffixed(text)?,
    };
    Some(if negative { -ticks } else { ticks })
}

/// `d.hh` and `mm:ss.fffffff` or `mm`.
fn clock(front: &str, back: &str) -> Option<i64> {
    let (days, hours) = front.split_once('.').unwrap_or(("0", front));
    let (minutes, seconds) = back.split_once(':').unwrap_or((back, "0"));
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let hours = bounded(hours, 23)?;
    let minutes = bounded(minutes, 59)?;
    let seconds = bounded(whole, 59)?;
    let days = bounded(days, i64::MAX / TICKS_PER_DAY)?;
    let within = hours * TICKS_PER_HOUR + minutes * TICKS_PER_MINUTE + seconds * TICKS_PER_SECOND;
    days.checked_mul(TICKS_PER_DAY)?.checked_add(within + read_fraction(fraction)?)
}

fn bounded(digits: &str, most: i64) -> Option<i64> {
    if !digits.bytes().all(|next| next.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|number| *number <= most)
}

/// Digits behind the point of a second, in ticks; more digits than a tick has are cut off.
pub(super) fn read_fraction(digits: &str) -> Option<i64> {
    if !digits.bytes().all(|next| next.is_ascii_digit()) {
        return None;
    }
    let mut ticks = 0;
    for at in 0..FRACTION_DIGITS {
        ticks = ticks * 10 + digits.as_bytes().get(at).map_or(0, |digit| i64::from(digit - b'0'));
    }
    Some(ticks)
}

/// `[-][d.]hh:mm:ss[.fffffff]`.
pub fn format_timespan(ticks: i64) -> String {
    let all = ticks.unsigned_abs();
    let unit = |ticks: i64| ticks.unsigned_abs();
    let (days, within) = (all / unit(TICKS_PER_DAY), all % unit(TICKS_PER_DAY));
    let hours = within / unit(TICKS_PER_HOUR);
    let minutes = within % unit(TICKS_PER_HOUR) / unit(TICKS_PER_MINUTE);
    let seconds = within % unit(TICKS_PER_MINUTE) / unit(TICKS_PER_SECOND);
    let fraction = within % unit(TICKS_PER_SECOND);
    let sign = if ticks < 0 { "-" } else { "" };
    let days = if days == 0 { String::new() } else { format!("{days}.") };
    let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:07}") };
    format!("{sign}{days}{hours:02}:{minutes:02}:{seconds:02}{fraction}")
}
