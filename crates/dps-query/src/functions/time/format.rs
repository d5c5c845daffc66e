//! Text forms.

use std::fmt::Write as _;

use super::calendar::{Civil, civil};
use super::{DAY, HOUR, MINUTE, SECOND};

/// `2026-03-04T05:06:07.1234567Z`: always seven digits.
pub fn iso(ticks: i64) -> String {
    let Civil { year, month, day, hour, minute, second, tick } = civil(ticks);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{tick:07}Z")
}

/// `1.02:03:04.1234567`: days and the fraction only where they are not zero.
pub fn timespan_text(ticks: i64) -> String {
    let sign = if ticks < 0 { "-" } else { "" };
    let ticks = ticks.unsigned_abs();
    let unit = |size: i64| size.unsigned_abs();
    let days = ticks / unit(DAY);
    let (hours, minutes) = (ticks % unit(DAY) / unit(HOUR), ticks % unit(HOUR) / unit(MINUTE));
    let (seconds, fraction) = (ticks % unit(MINUTE) / unit(SECOND), ticks % unit(SECOND));
    let mut text = String::with_capacity(24);
    text.push_str(sign);
    if days > 0 {
        let _ = write!(text, "{days}.");
    }
    let _ = write!(text, "{hours:02}:{minutes:02}:{seconds:02}");
    if fraction > 0 {
        let _ = write!(text, ".{fraction:07}");
    }
    text
}

/// By a format of letters; any other character stands for itself. None where a letter is not known.
pub fn datetime_by(ticks: i64, format: &str) -> Option<String> {
    let parts = civil(ticks);
    let mut out = String::with_capacity(format.len() + 8);
    for (letter, count) in runs(format) {
        match (letter, count) {
            ('y', 1 | 2) => write!(out, "{:0count$}", parts.year % 100),
            ('y', 4) => write!(out, "{:04}", parts.year),
            ('M', 1 | 2) => write!(out, "{:0count$}", parts.month),
            ('d', 1 | 2) => write!(out, "{:0count$}", parts.day),
            ('H', 1 | 2) => write!(out, "{:0count$}", parts.hour),
            ('h', 1 | 2) => write!(out, "{:0count$}", (parts.hour + 11) % 12 + 1),
            ('m', 1 | 2) => write!(out, "{:0count$}", parts.minute),
            ('s', 1 | 2) => write!(out, "{:0count$}", parts.second),
            ('t', 1 | 2) => write!(out, "{}", if parts.hour < 12 { "AM" } else { "PM" }),
            ('f' | 'F', 1..=7) => out.write_str(&fraction(parts.tick, count, letter == 'F')),
            (' ' | '/' | '-' | ':' | ',' | '.' | '_' | '[' | ']' | 'T' | 'Z', _) => {
                out.extend(std::iter::repeat_n(letter, count));
                Ok(())
            }
            _ => return None,
        }
        .ok()?;
    }
    Some(out)
}

/// The same for a timespan; `d` stands for days, padded to as many digits as there are letters.
pub fn timespan_by(ticks: i64, format: &str) -> Option<String> {
    let size = ticks.unsigned_abs();
    let unit = |size: i64| size.unsigned_abs();
    let mut out = String::with_capacity(format.len() + 8);
    if ticks < 0 {
        out.push('-');
    }
    for (letter, count) in runs(format) {
        match (letter, count) {
            ('d', 1..=8) => write!(out, "{:0count$}", size / unit(DAY)),
            ('H' | 'h', 1 | 2) => {
                let hours = size % unit(DAY) / unit(HOUR);
                let hours = if letter == 'h' { (hours + 11) % 12 + 1 } else { hours };
                write!(out, "{hours:0count$}")
            }
            ('m', 1 | 2) => write!(out, "{:0count$}", size % unit(HOUR) / unit(MINUTE)),
            ('s', 1 | 2) => write!(out, "{:0count$}", size % unit(MINUTE) / unit(SECOND)),
            ('f' | 'F', 1..=7) => {
                let tick = i64::try_from(size % unit(SECOND)).ok()?;
                out.write_str(&fraction(tick, count, letter == 'F'))
            }
            (' ' | '/' | '-' | ':' | ',' | '.' | '_' | '[' | ']', _) => {
                out.extend(std::iter::repeat_n(letter, count));
                Ok(())
            }
            _ => return None,
        }
        .ok()?;
    }
    Some(out)
}

/// The first digits of a fraction of a second; without the last zeros where `short`.
fn fraction(tick: i64, digits: usize, short: bool) -> String {
    let mut text = format!("{tick:07}");
    text.truncate(digits);
    if short {
        text.truncate(text.trim_end_matches('0').len());
    }
    text
}

/// Letters and how often each follows itself.
fn runs(format: &str) -> impl Iterator<Item = (char, usize)> {
    let mut letters = format.chars().peekable();
    std::iter::from_fn(move || {
        let letter = letters.next()?;
        let mut count = 1;
        while letters.next_if_eq(&letter).is_some() {
            count += 1;
        }
        Some((letter, count))
    })
}
