//! An hour of a series as a document: its id, in the order of which a metric's hours stand, and its JSON. Must not know
//! when it is written.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::definition::Metric;
use super::rollup::Rollup;

/// Minutes of an hour.
pub(super) const HOUR: i64 = 60;

/// A metric with one value for each of its dimensions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Series {
    pub metric: Metric,
    /// The provisioning service; empty for the server.
    pub service: String,
    /// Of the dimensions after the service.
    pub values: Vec<String>,
}

/// An hour of a series. Hours are counted from 1970.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct SeriesHour {
    pub series: Series,
    pub hour: i64,
}

/// By minute of the hour.
pub(super) type Minutes = BTreeMap<u8, Rollup>;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    metric: String,
    service: String,
    values: Vec<String>,
    hour: i64,
    /// Minute, sum, count, least, greatest.
    minutes: Vec<(u8, f64, u64, f64, f64)>,
}

impl SeriesHour {
    /// `{metric}/{service}/{hour}/{values…}`.
    pub(super) fn id(&self) -> String {
        let mut id = from_hour(self.series.metric, &self.series.service, self.hour);
        // Also without values: an id is greater than what its hour begins with.
        id.push('/');
        for (place, value) in self.series.values.iter().enumerate() {
            if place > 0 {
                id.push('/');
            }
            escape(value, &mut id);
        }
        id
    }

    pub(super) fn body(&self, minutes: &Minutes) -> String {
        let body = Body {
            metric: self.series.metric.definition().name.to_owned(),
            service: self.series.service.clone(),
            values: self.series.values.clone(),
            hour: self.hour,
            minutes: minutes
                .iter()
                .map(|(minute, rollup)| (*minute, rollup.sum, rollup.count, rollup.minimum, rollup.maximum))
                .collect(),
        };
        // Plain fields: it cannot fail.
        serde_json::to_string(&body).unwrap_or_default()
    }

    /// Reads a body; none where it is damaged.
    pub(super) fn read(metric: Metric, text: &str) -> Option<(Self, Minutes)> {
        let body: Body = serde_json::from_str(text).ok()?;
        let mut minutes = Minutes::new();
        for (minute, sum, count, minimum, maximum) in body.minutes {
            if i64::from(minute) >= HOUR {
                return None;
            }
            minutes.insert(minute, Rollup { sum, count, minimum, maximum });
        }
        let series = Series { metric, service: body.service, values: body.values };
        let whole = body.metric == metric.definition().name
            && series.values.len() == dimensions_after_service(metric).len();
        whole.then_some((Self { series, hour: body.hour }, minutes))
    }
}

/// The dimensions whose values a series has.
pub(super) fn dimensions_after_service(metric: Metric) -> &'static [&'static str] {
    let definition = metric.definition();
    definition.dimensions.get(usize::from(definition.is_of_a_service())..).unwrap_or_default()
}

/// What the ids of a metric of a service begin with.
pub(super) fn of_service(metric: Metric, service: &str) -> String {
    let mut id = of_metric(metric);
    escape(&service.to_ascii_lowercase(), &mut id);
    id.push('/');
    id
}

/// What the ids of a metric begin with.
pub(super) fn of_metric(metric: Metric) -> String {
    format!("{}/", metric.definition().name)
}

/// What is less than or equal to all ids of that hour and later, and greater than those of earlier hours.
pub(super) fn from_hour(metric: Metric, service: &str, hour: i64) -> String {
    let mut id = of_service(metric, service);
    // Writing to a String cannot fail.
    let _ = write!(id, "{:010}", hour.max(0));
    id
}

/// The service and the hour of an id of that metric.
pub(super) fn place(metric: Metric, id: &str) -> Option<(&str, i64)> {
    let mut parts = id.strip_prefix(metric.definition().name)?.strip_prefix('/')?.split('/');
    Some((parts.next()?, parts.next()?.parse().ok()?))
}

/// What may stand between slashes, in the order of bytes.
fn escape(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') {
            into.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Minutes, Series, SeriesHour, from_hour, of_service, place};
    use crate::metrics::{Metric, Rollup};

    fn key(hour: i64, values: &[&str]) -> SeriesHour {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        let series = Series { metric: Metric::AttestationAttempts, service: "My-DPS".into(), values };
        SeriesHour { series, hour }
    }

    #[test]
    fn ids_stand_in_the_order_of_hours_and_apart() {
        let ids = [key(9, &["Z", "z"]), key(10, &["A/b", ""]), key(10, &["A", "b"]), key(490_000, &["", ""])];
        let ids: Vec<String> = ids.iter().map(SeriesHour::id).collect();
        assert!(ids.is_sorted(), "{ids:?}");
        assert!(from_hour(Metric::AttestationAttempts, "my-dps", 10) <= ids[1]);
        assert!(from_hour(Metric::AttestationAttempts, "MY-dps", 10) > ids[0]);
        assert!(ids.iter().all(|id| id.starts_with(&of_service(Metric::AttestationAttempts, "my-dps"))));
        assert_eq!(place(Metric::AttestationAttempts, &ids[3]), Some(("my-dps", 490_000)));
        assert_eq!(place(Metric::DeviceAssignments, &ids[3]), None);
    }

    #[test]
    fn body_reads_back_to_the_last_bit_and_damage_is_seen() {
        let key = key(7, &["Success", "a \"quote\" é"]);
        let rollup = Rollup { sum: 0.1 + 0.2, count: 3, minimum: -1e-9, maximum: 1e300 };
        let minutes = Minutes::from([(0, rollup), (59, Rollup::of(1.0))]);
        let text = key.body(&minutes);
        assert_eq!(SeriesHour::read(Metric::AttestationAttempts, &text), Some((key, minutes)));
        assert_eq!(SeriesHour::read(Metric::DeviceAssignments, &text), None);
        for damaged in ["", "{}", &text.replace("[59,", "[60,"), &text[..text.len() - 1]] {
            assert_eq!(SeriesHour::read(Metric::AttestationAttempts, damaged), None, "{damaged}");
        }
    }
}
