//! Timespans of queries: ISO 8601 durations, intervals of two instants, of an instant and a duration. In ticks.

use dps_kql::{TICKS_PER_DAY, TICKS_PER_SECOND};
use dps_model::Timestamp;

use super::failure::Failure;

/// Ticks between 0001-01-01 and 1970-01-01.
const EPOCH: i64 = 719_162 * TICKS_PER_DAY;

/// An instant in ticks since 0001-01-01.
pub fn ticks(at: Timestamp) -> i64 {
    let nanos = i64::from(at.0.subsec_nanosecond());
    at.0.as_second().saturating_mul(TICKS_PER_SECOND).saturating_add(nanos / 100).saturating_add(EPOCH)
}

/// From when (inclusive) until when (exclusive). A duration alone ends now, the rows of this instant included.
pub(super) fn read(text: &str, now: i64) -> Result<(i64, i64), Failure> {
    let text = text.trim();
    let wrong = || {
        Failure::argument(format!(
            "The timespan {text:?} is none: write a duration like PT12H or P1D, two instants like \
             2026-11-28T00:00:00Z/2026-11-29T00:00:00Z, or an instant and a duration."
        ))
    };
    let span = match text.split_once('/') {
        None => duration(text).map(|long| (now.saturating_sub(long), now.saturating_add(1))),
        Some((from, to)) => match (instant(from), instant(to), duration(from), duration(to)) {
            (Some(from), Some(to), ..) => Some((from, to)),
            (Some(from), _, _, Some(long)) => Some((from, from.saturating_add(long))),
            (_, Some(to), Some(long), _) => Some((to.saturating_sub(long), to)),
            _ => None,
        },
    };
    let (from, to) = span.ok_or_else(wrong)?;
    if from > to {
        return Err(Failure::argument(format!("The timespan {text:?} ends before it begins.")));
    }
    Ok((from, to))
}

fn instant(text: &str) -> Option<i64> {
    let text = text.trim();
    // Clients leave out the zone and mean UTC.
    let zoned = || Timestamp::parse(&format!("{text}Z"));
    Timestamp::parse(text).or_else(zoned).map(ticks)
}

/// `P[nY][nM][nW][nD][T[nH][nM][nS]]` with fractions; a month has 30 days and a year 365, as in .NET's reading.
fn duration(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let rest = text.strip_prefix(['P', 'p'])?;
    let (days, time) = match rest.split_once(['T', 't']) {
        Some((days, time)) if !time.is_empty() => (days, Some(time)),
        Some(_) => return None,
        None => (rest, None),
    };
    if days.is_empty() && time.is_none() {
        return None;
    }
    let of_days = [('Y', 365 * 86_400), ('M', 30 * 86_400), ('W', 7 * 86_400), ('D', 86_400)];
    let of_time = [('H', 3_600), ('M', 60), ('S', 1)];
    let long = sum(days, &of_days)? + sum(time.unwrap_or_default(), &of_time)?;
    // A century is more than any row is old.
    (!negative && long <= 36_525.0 * 86_400.0).then(|| in_ticks(long))
}

#[allow(clippy::cast_possible_truncation, reason = "bounded by the caller")]
fn in_ticks(seconds: f64) -> i64 {
    #[allow(clippy::cast_precision_loss, reason = "exact")]
    let per_second = TICKS_PER_SECOND as f64;
    (seconds * per_second).round() as i64
}

/// Seconds of numbers with their units, each unit at most once and in order.
fn sum(mut text: &str, units: &[(char, i32)]) -> Option<f64> {
    let mut left = units.iter();
    let mut seconds = 0.0;
    while !text.is_empty() {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',')?;
        let (number, rest) = text.split_at_checked(end)?;
        let number: f64 = number.replace(',', ".").parse().ok()?;
        let unit = rest.chars().next()?;
        let (_, weight) = left.find(|(name, _)| name.eq_ignore_ascii_case(&unit))?;
        seconds += number * f64::from(*weight);
        text = rest.get(unit.len_utf8()..)?;
    }
    Some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        ticks(Timestamp::parse(text).unwrap())
    }

    #[test]
    fn timespan_is_read_in_each_form_that_clients_send() {
        let now = at("2026-11-28T12:00:00Z");
        let hour = 3_600 * TICKS_PER_SECOND;
        for (text, from, to) in [
            ("PT1H", now - hour, now + 1),
            ("PT3600.0S", now - hour, now + 1),
            ("P1DT12H", now - 36 * hour, now + 1),
            ("p2w", now - 14 * 24 * hour, now + 1),
            ("2026-11-28T00:00:00.000Z/2026-11-28T01:00:00Z", now - 12 * hour, now - 11 * hour),
            ("2026-11-28/PT7200.0S", now - 12 * hour, now - 10 * hour),
            ("2026-11-28T00:00:00/PT1M", now - 12 * hour, now - 12 * hour + 60 * TICKS_PER_SECOND),
            ("PT1H/2026-11-28T12:00:00+00:00", now - hour, now),
        ] {
            assert_eq!(read(text, now).ok().unwrap(), (from, to), "{text}");
        }
    }

    #[test]
    fn timespan_that_is_none_is_told() {
        for text in
            ["", "1h", "P", "PT", "P1", "PT1H1H", "PT1M1H", "-PT1H", "P9999999D", "PT.S", "2026-11-28", "a/b"]
        {
            assert!(read(text, 0).is_err(), "{text}");
        }
        let turned = read("2026-11-28/2026-11-27", 0).err().unwrap();
        assert!(turned.error.message.contains("ends before it begins"));
    }

    #[test]
    fn instant_has_ticks_since_the_year_one() {
        assert_eq!(at("1970-01-01T00:00:00Z"), 621_355_968_000_000_000);
        assert_eq!(at("1969-12-31T23:59:59.9999999Z"), 621_355_968_000_000_000 - 1);
    }
}
