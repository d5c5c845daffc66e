//! Instants as Azure writes them: UTC with seven fractional digits and `Z`. Owns the text form; must not read a clock.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub jiff::Timestamp);

impl Timestamp {
    /// The end of the calendar.
    pub const MAX: Self = Self(jiff::Timestamp::MAX);

    /// The instant that many milliseconds after 1970-01-01T00:00:00Z; the nearer end of the calendar when out of range.
    pub fn from_millis(millis: i64) -> Self {
        let end = if millis < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        Self(jiff::Timestamp::from_millisecond(millis).unwrap_or(end))
    }

    /// The instant that a text names: ISO 8601 with an offset, or a date alone for its first instant in UTC.
    pub fn parse(text: &str) -> Option<Self> {
        let date = |date: jiff::civil::Date| date.to_zoned(jiff::tz::TimeZone::UTC).ok();
        let whole = text.parse().ok();
        let at = match text.len() {
            10 => whole.or_else(|| date(text.parse().ok()?).map(|midnight| midnight.timestamp())),
            _ => whole,
        };
        at.map(Self)
    }

    /// Milliseconds after 1970-01-01T00:00:00Z.
    pub fn millis(self) -> i64 {
        self.0.as_millisecond()
    }

    /// Whole seconds after 1970-01-01T00:00:00Z.
    pub fn seconds(self) -> i64 {
        self.0.as_second()
    }

    /// As HTTP writes dates, to the second: `Fri, 06 May 2022 17:50:01 GMT` (RFC 9110 §5.6.7). None before the year 0.
    pub fn http_date(self) -> Option<String> {
        jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&self.0).ok()
    }

    /// The instant that such a date names.
    pub fn of_http_date(text: &str) -> Option<Self> {
        jiff::fmt::rfc2822::parse(text).ok().map(|date| Self(date.timestamp()))
    }

    /// This instant, so many milliseconds later (or earlier); saturates at the ends of the calendar.
    pub fn plus_millis(self, millis: i64) -> Self {
        Self::from_millis(self.millis().saturating_add(millis))
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.7}", self.0)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn timestamp_written_has_seven_digits_and_z() {
        assert_eq!(Timestamp::from_millis(1_661_983_370_516).to_string(), "2022-08-31T22:02:50.5160000Z");
        assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00.0000000Z");
        assert_eq!(Timestamp::from_millis(i64::MAX), Timestamp::MAX);
    }

    #[test]
    fn timestamp_parsed_from_times_and_dates() {
        let millis = |text| Timestamp::parse(text).map(Timestamp::millis);
        assert_eq!(millis("1970-01-02"), Some(86_400_000));
        assert_eq!(millis("1970-01-01T00:00:01.5Z"), Some(1_500));
        assert_eq!(millis("1970-01-01T01:00:00+01:00"), Some(0));
        for text in ["", "1970", "1970-01-01T00:00:00", "1970-13-01", "yesterday"] {
            assert_eq!(millis(text), None, "{text}");
        }
    }

    #[test]
    fn timestamp_as_http_date_is_in_gmt() {
        let date = Timestamp::from_millis(1_651_859_401_516).http_date();
        assert_eq!(date.as_deref(), Some("Fri, 06 May 2022 17:50:01 GMT"));
    }

    #[test]
    fn timestamp_written_reads_back() {
        let at = Timestamp::from_millis(1_661_983_370_516);
        let text = serde_json::to_string(&at).unwrap();
        assert_eq!(serde_json::from_str::<Timestamp>(&text).unwrap(), at);
    }
}
