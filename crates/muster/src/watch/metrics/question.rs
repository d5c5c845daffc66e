//! What is asked of a metric: how long, how fine, which series. Owns the parameters; must not know how they are sent.

use dps_model::Timestamp;
use dps_monitor::metrics::{Grain, Span};

use super::definition::Definition;
use crate::fleet::Failure;
use crate::watch::limits::CHART_POINTS;

/// A timespan where none is said.
const TIMESPAN: &str = "PT1H";

/// A question in words.
#[derive(Debug, Default)]
pub struct Question<'a> {
    pub timespan: Option<&'a str>,
    pub interval: Option<&'a str>,
    pub aggregations: &'a [String],
    pub filter: Option<&'a str>,
    pub split: &'a [String],
    pub top: Option<u32>,
}

/// What `--filter` and `--split` come to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Series {
    filter: Option<String>,
    /// Dimensions that the filter names and that nobody splits by.
    rollup: Vec<String>,
}

impl Question<'_> {
    /// As parameters of the API.
    pub fn parameters(
        &self,
        metric: &Definition,
        now: Timestamp,
    ) -> Result<Vec<(&'static str, String)>, Failure> {
        let timespan = self.timespan.unwrap_or(TIMESPAN);
        let mut parameters = vec![
            ("metricnames", metric.name.clone()),
            ("metricnamespace", metric.namespace.clone()),
            ("timespan", timespan.to_owned()),
            ("interval", self.interval.map_or_else(|| usual_interval(timespan, now), str::to_owned)),
            ("aggregation", self.aggregations(metric).join(",")),
        ];
        let series = self.series(metric)?;
        match (series.filter, self.top) {
            (Some(filter), top) => {
                parameters.push(("$filter", filter));
                parameters.extend(top.map(|top| ("top", top.to_string())));
            }
            (None, Some(_)) => return Err(Failure::Usage("--top needs --split or --filter".to_owned())),
            (None, None) => {}
        }
        if !series.rollup.is_empty() {
            parameters.push(("rollupby", series.rollup.join(",")));
        }
        parameters.retain(|(_, value)| !value.is_empty());
        Ok(parameters)
    }

    /// Those that are asked for, else the metric's own.
    pub fn aggregations(&self, metric: &Definition) -> Vec<String> {
        if self.aggregations.is_empty() {
            vec![metric.aggregation.clone()]
        } else {
            self.aggregations.to_vec()
        }
    }

    /// A filter picks and a split splits: the API splits by every dimension that a filter names, unless it is rolled up.
    fn series(&self, metric: &Definition) -> Result<Series, Failure> {
        let split = self.split.iter().map(|name| metric.dimension(name));
        let split = split.collect::<Result<Vec<&str>, _>>()?;
        let picked = self.filter.map(|filter| words(filter)).unwrap_or_default();
        let is_picked = |name: &str| picked.iter().any(|word| word.eq_ignore_ascii_case(name));
        let mut parts: Vec<String> = self.filter.map(str::to_owned).into_iter().collect();
        for (at, name) in split.iter().enumerate() {
            if !is_picked(name) && !split[..at].contains(name) {
                parts.push(format!("{name} eq '*'"));
            }
        }
        let rolled =
            metric.dimensions.iter().filter(|name| is_picked(name) && !split.contains(&name.as_str()));
        Ok(Series {
            filter: (!parts.is_empty()).then(|| parts.join(" and ")),
            rollup: rolled.cloned().collect(),
        })
    }
}

/// The words of a filter that stand in no quotes.
fn words(filter: &str) -> Vec<&str> {
    let bare = filter.split('\'').step_by(2);
    bare.flat_map(|part| part.split(|c: char| !c.is_alphanumeric() && c != '_'))
        .filter(|word| !word.is_empty())
        .collect()
}

/// The shortest interval that makes a readable chart.
fn usual_interval(timespan: &str, now: Timestamp) -> String {
    // What cannot be read is refused by the service, in its own words.
    let Ok(span) = Span::parse(timespan, now) else { return "PT1M".to_owned() };
    // Time that begins and ends within a bucket has one more.
    let fits = Grain::ALL.into_iter().find(|grain| span.buckets(*grain) <= CHART_POINTS + 1);
    fits.unwrap_or(Grain::Minutes(1_440)).iso(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric() -> Definition {
        Definition {
            name: "M".into(),
            title: "M".into(),
            namespace: "N".into(),
            unit: "Count".into(),
            aggregation: "Total".into(),
            dimensions: ["Service", "Status", "Protocol"].map(str::to_owned).to_vec(),
        }
    }

    fn series(filter: Option<&str>, split: &[&str]) -> Result<Series, Failure> {
        let split: Vec<String> = split.iter().map(ToString::to_string).collect();
        Question { filter, split: &split, ..Question::default() }.series(&metric())
    }

    #[test]
    fn filter_picks_and_split_splits() {
        let picked = "Status eq 'Protocol' or status eq 'it''s'";
        for (filter, split, wanted, rolled) in [
            (None, &[][..], None, &[][..]),
            (None, &["status"], Some("Status eq '*'"), &[]),
            (None, &["Status", "status", "Protocol"], Some("Status eq '*' and Protocol eq '*'"), &[]),
            (Some(picked), &[], Some(picked), &["Status"]),
            (Some(picked), &["Status"], Some(picked), &[]),
            (Some("Status eq 'a'"), &["Protocol"], Some("Status eq 'a' and Protocol eq '*'"), &["Status"]),
        ] {
            let series = series(filter, split).ok().unwrap();
            assert_eq!(series.filter.as_deref(), wanted, "{filter:?} {split:?}");
            assert_eq!(series.rollup, rolled, "{filter:?} {split:?}");
        }
        assert_eq!(series(None, &["Hub"]).err().unwrap().exit_status(), 2);
    }

    #[test]
    fn interval_follows_the_timespan() {
        let now = Timestamp::from_millis(1_000_000 * 60_000 + 17_000);
        for (timespan, interval) in [
            ("PT1H", "PT1M"),
            ("PT5H", "PT5M"),
            ("P1D", "PT30M"),
            ("P30D", "PT12H"),
            ("P90D", "P1D"),
            ("nonsense", "PT1M"),
        ] {
            assert_eq!(usual_interval(timespan, now), interval, "{timespan}");
        }
    }

    #[test]
    fn parameters_leave_out_what_nobody_said() {
        let now = Timestamp::from_millis(0);
        let names = |question: Question| {
            let parameters = question.parameters(&metric(), now).ok().unwrap();
            parameters.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
        };
        let plain =
            ["metricnames=M", "metricnamespace=N", "timespan=PT1H", "interval=PT1M", "aggregation=Total"];
        assert_eq!(names(Question::default()), plain);
        let some = [String::from("Average"), String::from("Maximum")];
        let split = [String::from("Status")];
        let asked = names(Question {
            aggregations: &some,
            interval: Some("FULL"),
            split: &split,
            top: Some(3),
            ..Question::default()
        });
        assert_eq!(
            asked[3..],
            ["interval=FULL", "aggregation=Average,Maximum", "$filter=Status eq '*'", "top=3"]
        );
        let alone = Question { top: Some(3), ..Question::default() };
        assert_eq!(alone.parameters(&metric(), now).err().unwrap().exit_status(), 2);
    }
}
