//! Evaluating a rule: data of a window in, one finding for each series out. Owns what a breach is; must not know whether
//! an alert is open, who is told, or when to evaluate.
//!
//! A window ends with the minute at which the rule is due. Where there is no figure there is no breach: nothing is not
//! nought. The exception is the count of a query's rows, of which none are nought.

mod context;
mod dynamic;
mod metric;
mod query;

pub use context::{alert_context, without_figures};
pub use dynamic::{Band, Learnt, Profile, Sample, dynamic, learn, learns_until};
pub use metric::metrics;
pub use query::query;

use dps_model::Timestamp;
use dps_model::limits::{MAX_ALERT_QUERY_BYTES, MAX_ALERT_SERIES, MAX_DYNAMIC_SERIES};
use serde::{Deserialize, Serialize};

use super::rule::{DimensionFilter, Operator};
use crate::metrics::{Condition, Definition, Filter, Group, ReadError, Resource, Subject, Test};
use crate::ports::{IdParts, QueryError};

/// What tells the series of a rule apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Series {
    /// ARM id of the resource that it is about.
    pub target: String,
    /// Name and value of each dimension.
    pub dimensions: Vec<(String, String)>,
}

/// What an evaluation found of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Which.
    pub series: Series,
    /// Does the rule's condition hold?
    pub met: bool,
    /// One for each criterion.
    pub figures: Vec<Figure>,
}

/// A figure beside its threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// None where there were no data.
    pub value: Option<f64>,
    /// What it was compared with; none where a dynamic threshold has not learnt enough.
    pub threshold: Option<f64>,
    /// The dimensions of its series of the metric or the query.
    pub dimensions: Vec<(String, String)>,
}

/// Why a rule could not be evaluated. It keeps the state that it has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// Too many series.
    #[error("the rule looks at more than {0} series; split by fewer dimensions, or name their values")]
    Series(usize),
    /// Metrics could not be read.
    #[error(transparent)]
    Metrics(#[from] ReadError),
    /// A dimension that the metric does not have.
    #[error("the metric {metric} has no dimension {dimension}")]
    Dimension {
        /// Of which metric.
        metric: &'static str,
        /// As the rule has it.
        dimension: String,
    },
    /// The query could not be run.
    #[error("{0}")]
    Query(#[from] QueryError),
    /// This build answers no queries.
    #[error("this server keeps no log rows, so that log rules cannot be evaluated")]
    NoQueries,
    /// A column that the query does not yield.
    #[error("the query yields no column {0}; its result must have the columns that the rule names")]
    Column(String),
    /// A column whose values are no numbers.
    #[error("the column {column} has the type {found}; a measure must be a number")]
    Measure {
        /// Which.
        column: String,
        /// Its type.
        found: &'static str,
    },
    /// The answer was cut, and what is missing could change what was found.
    #[error(
        "the query's result is larger than {MAX_ALERT_QUERY_BYTES} bytes; summarize, or return fewer columns"
    )]
    Cut,
}

impl EvaluationError {
    pub(super) const fn too_many() -> Self {
        Self::Series(MAX_ALERT_SERIES)
    }

    pub(super) const fn too_many_dynamic() -> Self {
        Self::Series(MAX_DYNAMIC_SERIES)
    }
}

impl Operator {
    /// Does the figure pass the threshold?
    pub fn holds(self, figure: f64, threshold: f64) -> bool {
        // What was summed up differs from what was written down by less than this.
        let same = (figure - threshold).abs() <= f64::EPSILON * figure.abs().max(threshold.abs()).max(1.0);
        match self {
            Self::Equals => same,
            Self::NotEquals => !same,
            Self::GreaterThan => figure > threshold,
            Self::GreaterThanOrEqual => figure >= threshold,
            Self::LessThan => figure < threshold,
            Self::LessThanOrEqual => figure <= threshold,
        }
    }

    /// Azure's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Equals => "Equals",
            Self::NotEquals => "NotEquals",
            Self::GreaterThan => "GreaterThan",
            Self::GreaterThanOrEqual => "GreaterThanOrEqual",
            Self::LessThan => "LessThan",
            Self::LessThanOrEqual => "LessThanOrEqual",
        }
    }
}

impl DimensionFilter {
    /// Is this value looked at? Case is ignored.
    pub fn lets_through(&self, value: &str) -> bool {
        let named = self.values.iter().any(|wanted| wanted == "*" || wanted.eq_ignore_ascii_case(value));
        named == self.include
    }
}

/// The minute of an instant, counted from 1970.
pub fn minute(time: Timestamp) -> i64 {
    time.millis().div_euclid(60_000)
}

/// The instant at which a minute begins.
pub fn instant(minute: i64) -> Timestamp {
    Timestamp::from_millis(minute.saturating_mul(60_000))
}

/// What a rule lets through, as the filter of a question: every dimension that it names splits.
fn filter(filters: &[DimensionFilter], definition: &'static Definition) -> Result<Filter, EvaluationError> {
    let mut groups = Vec::new();
    for filter in filters {
        let Some(place) = definition.dimension(&filter.name) else {
            let (metric, dimension) = (definition.name, filter.name.clone());
            return Err(EvaluationError::Dimension { metric, dimension });
        };
        let group =
            |conditions| Group { subject: Subject::Dimension(place), name: filter.name.clone(), conditions };
        let test = if filter.include { Test::Is } else { Test::IsNot };
        let conditions = filter.values.iter().map(|value| Condition { test, value: value.clone() });
        if filter.include {
            groups.push(group(conditions.collect()));
        } else {
            // None of them: each must hold.
            groups.extend(conditions.map(|condition| group(vec![condition])));
        }
    }
    Ok(Filter { groups })
}

/// The resource of an ARM id, as questions about metrics name it.
fn resource(id: &str) -> Resource {
    let parts = IdParts::of(id);
    Resource { service: parts.name.to_owned(), id: id.to_owned(), group: parts.resource_group.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Operator, filter, resource};
    use crate::alerts::rule::DimensionFilter;
    use crate::metrics::Metric;

    fn dimension(name: &str, include: bool, values: &[&str]) -> DimensionFilter {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        DimensionFilter { name: name.into(), include, values }
    }

    #[test]
    fn filter_includes_one_of_and_excludes_all_of() {
        let definition = Metric::AttestationAttempts.definition();
        let both = [
            dimension("protocol", true, &["Mqtt", "Http"]),
            dimension("Status", false, &["Success", "Throttled"]),
        ];
        let made = filter(&both, definition).unwrap();
        assert_eq!(made.groups.len(), 3);
        assert!(made.groups[0].holds("http") && !made.groups[0].holds("Amqp"));
        let excluded = |value| made.groups[1..].iter().all(|group| group.holds(value));
        assert!(excluded("Unauthorized") && !excluded("Success") && !excluded("throttled"));
        let wrong = filter(&[dimension("Hub", true, &["*"])], definition).unwrap_err();
        assert_eq!(wrong.to_string(), "the metric AttestationAttempts has no dimension Hub");
    }

    #[test]
    fn resource_of_an_id_has_its_name_and_group() {
        let found = resource(
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/provisioningServices/dps1",
        );
        assert_eq!((found.service.as_str(), found.group.as_str()), ("dps1", "g"));
    }

    proptest! {
        #[test]
        fn operators_are_opposites_and_agree_with_filters(
            figure in -1e6..1e6_f64, threshold in -1e6..1e6_f64,
            values in proptest::collection::vec("[a-c]", 0..3), value in "[a-d]",
        ) {
            for (one, other) in [
                (Operator::GreaterThan, Operator::LessThanOrEqual),
                (Operator::LessThan, Operator::GreaterThanOrEqual),
                (Operator::Equals, Operator::NotEquals),
            ] {
                prop_assert_ne!(one.holds(figure, threshold), other.holds(figure, threshold));
            }
            let named: Vec<&str> = values.iter().map(String::as_str).collect();
            let (include, exclude) =
                (dimension("Status", true, &named), dimension("Status", false, &named));
            prop_assert_ne!(include.lets_through(&value), exclude.lets_through(&value));
            let definition = Metric::AttestationAttempts.definition();
            for one in [include, exclude] {
                let by_question = filter(std::slice::from_ref(&one), definition).unwrap();
                let holds = by_question.groups.iter().all(|group| group.holds(&value));
                prop_assert_eq!(holds, one.lets_through(&value));
            }
        }
    }
}
