//! Times as options have them: `90s`, `30m`, `12h`, `7d` as in KQL, or ISO 8601. Must not know what they are for.

use std::time::Duration;

use dps_monitor::metrics::duration as iso_millis;

use super::limits::MAX_TIME_MILLIS;

/// Ticks of a millisecond.
const TICKS_PER_MILLI: i64 = dps_kql::TICKS_PER_SECOND / 1_000;
/// A day of milliseconds.
const DAY: i64 = 86_400_000;

/// A length of time; nought is one.
pub fn length(text: &str) -> Result<Duration, String> {
    let millis = millis(text).ok_or("write a time like 90s, 30m, 12h, 7d or PT12H")?;
    Ok(Duration::from_millis(millis.unsigned_abs()))
}

/// A timespan as the APIs read it: a length up to now, or an interval, which is passed on as it is.
pub fn timespan(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.contains('/') {
        return Ok(text.to_owned());
    }
    let millis = millis(text).filter(|millis| *millis > 0);
    let millis = millis.ok_or(
        "write a time like 30m, 12h, 7d or PT12H, or an interval like 2026-11-28T00:00:00Z/2026-11-29T00:00:00Z",
    )?;
    Ok(iso(millis))
}

/// A length of time as the APIs read it; nought is none.
pub fn period(text: &str) -> Result<String, String> {
    let millis = millis(text).filter(|millis| *millis > 0);
    millis.map(iso).ok_or_else(|| "write a time like 5m, 12h, 7d or PT5M".to_owned())
}

/// An interval between points: a length, or `full` for one point.
pub fn interval(text: &str) -> Result<String, String> {
    if text.eq_ignore_ascii_case("full") {
        return Ok("FULL".to_owned());
    }
    let millis = millis(text).filter(|millis| *millis > 0);
    millis.map(iso).ok_or_else(|| "write a time like 1m, 1h, 1d or PT1M, or full".to_owned())
}

fn millis(text: &str) -> Option<i64> {
    let text = text.trim();
    let millis = if text.starts_with(['P', 'p']) {
        iso_millis(text)
    } else {
        dps_kql::literal::read_suffixed(text).map(|ticks| ticks / TICKS_PER_MILLI)
    };
    millis.filter(|millis| (0..=MAX_TIME_MILLIS).contains(millis))
}

/// In the largest unit that holds it whole.
fn iso(millis: i64) -> String {
    let units = [(DAY, "P", "D"), (3_600_000, "PT", "H"), (60_000, "PT", "M"), (1_000, "PT", "S")];
    let whole = units.into_iter().find(|(unit, ..)| millis % unit == 0);
    match whole {
        Some((unit, front, back)) => format!("{front}{}{back}", millis / unit),
        None => format!("PT{}.{:03}S", millis / 1_000, millis % 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_in_kql_and_as_in_iso_8601() {
        for (text, read) in [
            ("12h", Some("PT12H")),
            ("90m", Some("PT90M")),
            ("60min", Some("PT1H")),
            ("7d", Some("P7D")),
            ("1.5s", Some("PT1.500S")),
            ("PT3600S", Some("PT1H")),
            ("P1DT12H", Some("PT36H")),
            (" 1d/2026-11-29 ", Some("1d/2026-11-29")),
            ("0s", None),
            ("-1h", None),
            ("12", None),
            ("P", None),
            ("40000d", None),
            ("99999999999999999999d", None),
            ("", None),
        ] {
            assert_eq!(timespan(text).ok().as_deref(), read, "{text}");
        }
        assert_eq!(length("0s").ok(), Some(Duration::ZERO));
        assert_eq!(length("PT1.5S").ok(), Some(Duration::from_millis(1_500)));
        assert_eq!(interval("Full").ok().as_deref(), Some("FULL"));
        assert_eq!(interval("5m").ok().as_deref(), Some("PT5M"));
        assert!(interval("often").is_err());
    }
}
