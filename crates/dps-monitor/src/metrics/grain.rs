//! Spans and grains of time as the metrics API writes them (ISO 8601), and the buckets that they make. Must not know
//! metrics.

use std::fmt::Write as _;

use dps_model::Timestamp;

/// Milliseconds of a minute.
const MINUTE: i64 = 60_000;
/// Longest duration that is read, in milliseconds: a hundred years.
const LONGEST: f64 = 100.0 * 366.0 * 86_400_000.0;
/// Grains that are kept, in minutes.
const GRAINS: [i64; 8] = [1, 5, 15, 30, 60, 360, 720, 1_440];

/// The length of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// So many minutes; one of `Grain::ALL`.
    Minutes(i64),
    /// The whole span.
    Full,
}

impl Grain {
    /// The grains that definitions offer.
    pub const ALL: [Self; GRAINS.len()] = [
        Self::Minutes(1),
        Self::Minutes(5),
        Self::Minutes(15),
        Self::Minutes(30),
        Self::Minutes(60),
        Self::Minutes(360),
        Self::Minutes(720),
        Self::Minutes(1_440),
    ];

    /// Reads `FULL` or a duration; what is no grain becomes the nearest one where `adjust` says so.
    pub fn parse(text: &str, adjust: bool) -> Option<Self> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("FULL") {
            return Some(Self::Full);
        }
        let millis = duration(text)?;
        let exact = GRAINS.into_iter().find(|minutes| minutes * MINUTE == millis);
        let nearest = || GRAINS.into_iter().min_by_key(|minutes| (minutes * MINUTE - millis).abs());
        exact.or_else(|| adjust.then(nearest).flatten()).map(Self::Minutes)
    }

    /// As ISO 8601.
    pub fn iso(self, span: Span) -> String {
        match self {
            Self::Minutes(minutes) => iso_minutes(minutes),
            Self::Full => iso_minutes(span.minutes()),
        }
    }

    /// Minutes of a bucket.
    pub fn minutes(self, span: Span) -> i64 {
        match self {
            Self::Minutes(minutes) => minutes,
            Self::Full => span.minutes(),
        }
        .max(1)
    }
}

/// From a minute on, up to but without another; counted from 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First minute.
    pub from: i64,
    /// The minute after the last.
    pub to: i64,
}

/// Why a text is no span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// It cannot be read.
    #[error("is neither a duration nor a start and an end in ISO 8601")]
    Malformed,
    /// It ends before it starts.
    #[error("does not end after it starts")]
    Empty,
}

impl Span {
    /// From one instant to another, whole minutes.
    pub fn between(start: Timestamp, end: Timestamp) -> Result<Self, SpanError> {
        let from = start.millis().div_euclid(MINUTE);
        let to = end.millis().saturating_add(MINUTE - 1).div_euclid(MINUTE);
        if start.millis() < end.millis() { Ok(Self { from, to }) } else { Err(SpanError::Empty) }
    }

    /// That many milliseconds up to an instant.
    pub fn up_to(end: Timestamp, millis: i64) -> Result<Self, SpanError> {
        Self::between(end.plus_millis(millis.saturating_neg()), end)
    }

    /// Reads `start/end`, `start/duration`, `duration/end` or `duration`, which ends now.
    pub fn parse(text: &str, now: Timestamp) -> Result<Self, SpanError> {
        let text = text.trim();
        let Some((first, second)) = text.split_once('/') else {
            return Self::up_to(now, duration(text).ok_or(SpanError::Malformed)?);
        };
        let (first, second) = (first.trim(), second.trim());
        match (instant(first), instant(second), duration(first), duration(second)) {
            (Some(start), Some(end), ..) => Self::between(start, end),
            (Some(start), None, _, Some(millis)) => Self::between(start, start.plus_millis(millis)),
            (None, Some(end), Some(millis), _) => Self::up_to(end, millis),
            _ => Err(SpanError::Malformed),
        }
    }

    /// Its length.
    pub fn minutes(self) -> i64 {
        self.to.saturating_sub(self.from)
    }

    /// Its buckets, the last of which may be shorter.
    pub fn buckets(self, grain: Grain) -> i64 {
        let minutes = grain.minutes(self);
        self.minutes().saturating_add(minutes - 1) / minutes
    }

    /// Its first minute.
    pub fn start(self) -> Timestamp {
        at(self.from)
    }

    /// The minute after its last.
    pub fn end(self) -> Timestamp {
        at(self.to)
    }
}

/// The instant at which a minute begins.
fn at(minute: i64) -> Timestamp {
    Timestamp::from_millis(minute.saturating_mul(MINUTE))
}

/// An instant with or without an offset; without, it is UTC. A `+` may have become a space on its way through a URL.
fn instant(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    if !bytes.first()?.is_ascii_digit() {
        return None;
    }
    let mended = text
        .replace(' ', if text.matches(' ').count() == 1 && bytes.get(10) == Some(&b' ') { "T" } else { "+" });
    Timestamp::parse(&mended).or_else(|| Timestamp::parse(&format!("{mended}Z")))
}

/// Milliseconds of an ISO 8601 duration of weeks, days, hours, minutes and seconds, each with a fraction or without.
/// `PT7200.0S` is how Python's SDK writes two hours.
pub fn duration(text: &str) -> Option<i64> {
    let rest = text.trim().strip_prefix(['P', 'p'])?;
    let (date, time) = match rest.split_once(['T', 't']) {
        Some((date, time)) if !time.is_empty() => (date, time),
        Some(_) => return None,
        None => (rest, ""),
    };
    let mut millis = 0.0;
    let mut any = false;
    for (part, units) in [(date, [('W', 604_800e3), ('D', 86_400e3)].as_slice()), (time, &TIME_UNITS)] {
        let mut units = units.iter();
        let mut number = String::new();
        for character in part.chars() {
            if character.is_ascii_digit() || character == '.' {
                number.push(character);
                continue;
            }
            // Units come in their order and once each.
            let (_, unit) = units.find(|(name, _)| *name == character.to_ascii_uppercase())?;
            millis += number.parse::<f64>().ok()? * unit;
            number.clear();
            any = true;
        }
        if !number.is_empty() {
            return None;
        }
    }
    #[allow(
        clippy::cast_possible_truncation,
        reason = "it is bounded, and below a millisecond nothing is meant"
    )]
    let whole = millis.round() as i64;
    (any && millis <= LONGEST).then_some(whole)
}

const TIME_UNITS: [(char, f64); 3] = [('H', 3_600e3), ('M', 60e3), ('S', 1e3)];

/// Minutes as ISO 8601: `PT5M`, `PT1H`, `P1D`, `P1DT2H`.
pub fn iso_minutes(minutes: i64) -> String {
    let (days, hours, rest) = (minutes / 1_440, minutes / 60 % 24, minutes % 60);
    let mut text = "P".to_owned();
    // Writing to a String cannot fail.
    if days > 0 {
        let _ = write!(text, "{days}D");
    }
    if hours > 0 || rest > 0 {
        text.push('T');
    }
    if hours > 0 {
        let _ = write!(text, "{hours}H");
    }
    if rest > 0 {
        let _ = write!(text, "{rest}M");
    }
    if text.len() == 1 { "PT0M".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use dps_model::Timestamp;

    use super::{Grain, Span, SpanError, duration, iso_minutes};

    #[test]
    fn durations_of_every_sdk_are_read_and_others_are_not() {
        for (text, millis) in [
            ("PT1M", 60_000),
            ("PT7200.0S", 7_200_000),
            ("P1D", 86_400_000),
            ("P1DT2H3M4.5S", 93_784_500),
            ("P2W", 1_209_600_000),
            ("pt0.001s", 1),
            ("PT0S", 0),
        ] {
            assert_eq!(duration(text), Some(millis), "{text}");
        }
        for text in [
            "",
            "P",
            "PT",
            "1H",
            "PT1",
            "PTM",
            "PT1M1H",
            "PT1M1M",
            "P1H",
            "P1M",
            "PT-1M",
            "PT1e9H",
            "P99999999D",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn grains_are_those_offered_or_the_nearest() {
        assert_eq!(Grain::parse("PT3600.0S", false), Some(Grain::Minutes(60)));
        assert_eq!(Grain::parse("full", false), Some(Grain::Full));
        assert_eq!(Grain::parse("PT2M", false), None);
        assert_eq!(Grain::parse("PT2M", true), Some(Grain::Minutes(1)));
        assert_eq!(Grain::parse("P9D", true), Some(Grain::Minutes(1_440)));
        assert_eq!(Grain::parse("x", true), None);
        let written = Grain::ALL.map(|grain| grain.iso(Span { from: 0, to: 1 }));
        assert_eq!(written, ["PT1M", "PT5M", "PT15M", "PT30M", "PT1H", "PT6H", "PT12H", "P1D"]);
        assert_eq!((iso_minutes(240), iso_minutes(1_500)), ("PT4H".into(), "P1DT1H".into()));
        assert_eq!(iso_minutes(0), "PT0M");
    }

    #[test]
    fn spans_in_every_form_are_whole_minutes() {
        let now = Timestamp::parse("2026-01-02T03:04:30Z").unwrap();
        let minute = |text: &str| Timestamp::parse(text).unwrap().millis() / 60_000;
        let expected = Span { from: minute("2026-01-02T02:04:00Z"), to: minute("2026-01-02T03:05:00Z") };
        for text in [
            "PT1H",
            "2026-01-02T02:04:30Z/2026-01-02T03:04:30Z",
            "2026-01-02T02:04:30.000001Z/PT1H",
            "PT3600.0S/2026-01-02T03:04:30.000Z",
            "2026-01-02T02:04:30/2026-01-02T04:04:30+01:00",
            "2026-01-02T02:04:30 00:00/2026-01-02T03:04:30 00:00",
        ] {
            assert_eq!(Span::parse(text, now), Ok(expected), "{text}");
        }
        for text in ["", "/", "x/y", "PT1H/PT1H", "2026-01-02T02:04:30Z/", "2026-13-02T02:04:30Z/PT1H"] {
            assert_eq!(Span::parse(text, now), Err(SpanError::Malformed), "{text}");
        }
        let backwards = "2026-01-02T03:00:00Z/2026-01-02T03:00:00Z";
        assert_eq!(Span::parse(backwards, now), Err(SpanError::Empty));
    }

    #[test]
    fn buckets_cover_the_span_and_the_last_may_be_short() {
        let span = Span { from: 7, to: 68 };
        assert_eq!(span.buckets(Grain::Minutes(1)), 61);
        assert_eq!(span.buckets(Grain::Minutes(60)), 2);
        assert_eq!((span.buckets(Grain::Full), Grain::Full.iso(span)), (1, "PT1H1M".into()));
    }
}
