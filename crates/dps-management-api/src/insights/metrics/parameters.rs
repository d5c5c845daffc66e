//! What a call for values asks, from its query and, at a subscription, from its body: each from one of the two. Must not
//! know how it is answered.

use dps_model::limits::MAX_METRIC_NAMES;
use dps_model::{Error, Timestamp};
use dps_monitor::metrics::{Aggregation, Filter, Grain, Metric, Namespace, Order, Question, Resource, Span};
use http::request::Parts;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::namespace;

/// Series that a filter splits into where nobody says how many.
const DEFAULT_TOP: usize = 10;
/// Milliseconds of the timespan where nobody says which.
pub(super) const DEFAULT_TIMESPAN: i64 = 3_600_000;

/// Name in the query and name in the body.
const NAMES: [(&str, &str); 13] = [
    ("timespan", "timespan"),
    ("interval", "interval"),
    ("metricnames", "metricNames"),
    ("aggregation", "aggregation"),
    ("top", "top"),
    ("orderby", "orderBy"),
    ("$filter", "filter"),
    ("resultType", "resultType"),
    ("metricnamespace", "metricNamespace"),
    ("AutoAdjustTimegrain", "autoAdjustTimegrain"),
    ("ValidateDimensions", "validateDimensions"),
    ("rollupby", "rollUpBy"),
    ("region", "region"),
];

/// A parameter of the query, in any case; `+` may stand for a space. One that is empty counts as absent.
pub(in crate::insights) fn parameter(head: &Parts, name: &str) -> Option<String> {
    let pairs = head.uri.query()?.split('&');
    let text = |raw: &str| percent_decode_str(&raw.replace('+', " ")).decode_utf8_lossy().into_owned();
    pairs
        .filter_map(|pair| pair.split_once('='))
        .find(|(given, _)| text(given).eq_ignore_ascii_case(name))
        .map(|(_, value)| text(value))
        .filter(|value| !value.trim().is_empty())
}

/// What is asked.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    pub(super) timespan: Option<String>,
    interval: Option<String>,
    names: Option<String>,
    aggregation: Option<String>,
    top: Option<String>,
    orderby: Option<String>,
    pub(super) filter: Option<String>,
    pub(super) metadata: bool,
    namespace: Option<String>,
    adjust: bool,
    lenient: bool,
    rollupby: Option<String>,
}

impl Parameters {
    /// Reads a call.
    pub(super) fn of(head: &Parts, body: Option<&Value>) -> Result<Self, Error> {
        if body.is_some_and(|body| !body.is_object()) {
            return Err(Error::argument("The request body is no JSON object."));
        }
        let given = |name: &str| given(head, body, name);
        let result_type = given("resultType")?.unwrap_or_default();
        let metadata = result_type.eq_ignore_ascii_case("Metadata");
        if !metadata && !result_type.is_empty() && !result_type.eq_ignore_ascii_case("Data") {
            return Err(Error::argument("resultType is neither Data nor Metadata."));
        }
        given("region")?;
        Ok(Self {
            timespan: given("timespan")?,
            interval: given("interval")?,
            names: given("metricnames")?,
            aggregation: given("aggregation")?,
            top: given("top")?,
            orderby: given("orderby")?,
            filter: given("$filter")?,
            metadata,
            namespace: given("metricnamespace")?,
            adjust: boolean("AutoAdjustTimegrain", given("AutoAdjustTimegrain")?.as_deref(), false)?,
            lenient: !boolean("ValidateDimensions", given("ValidateDimensions")?.as_deref(), true)?,
            rollupby: given("rollupby")?,
        })
    }

    /// Those of a batch, whose names differ a little.
    pub(super) fn of_batch(head: &Parts) -> Result<Self, Error> {
        let filter = parameter(head, "filter");
        let of_query = Self::of(head, None)?;
        Ok(Self { filter: filter.or(of_query.filter), metadata: false, ..of_query })
    }

    pub(super) fn namespace(&self) -> Result<Namespace, Error> {
        namespace(self.namespace.as_deref())
    }

    /// The metrics that are asked for; without names, those of the namespace.
    pub(super) fn metrics(&self) -> Result<Vec<Metric>, Error> {
        let namespace = self.namespace()?;
        let Some(names) = &self.names else {
            return Ok(namespace.metrics().take(MAX_METRIC_NAMES).collect());
        };
        let mut metrics = Vec::new();
        // A comma within a name is written %2.
        for name in names.split(',').map(|name| name.replace("%2", ",")) {
            let metric = namespace.metric(&name).ok_or_else(|| {
                let known: Vec<_> = namespace.metrics().map(|metric| metric.definition().name).collect();
                Error::argument(format!(
                    "Failed to find metric configuration for provider: {}. Valid metrics: {}",
                    namespace.name(),
                    known.join(",")
                ))
            })?;
            if !metrics.contains(&metric) {
                metrics.push(metric);
            }
            if metrics.len() > MAX_METRIC_NAMES {
                return Err(Error::argument(format!("At most {MAX_METRIC_NAMES} metrics can be asked for.")));
            }
        }
        Ok(metrics)
    }

    /// The aggregations that are asked for; none for the metric's own.
    pub(super) fn aggregations(&self) -> Result<Vec<Aggregation>, Error> {
        let mut found = Vec::new();
        for name in self.aggregation.iter().flat_map(|text| text.split(',')).map(str::trim) {
            if name.is_empty() || name.eq_ignore_ascii_case("None") {
                continue;
            }
            let known = Aggregation::ALL.into_iter().find(|it| it.name().eq_ignore_ascii_case(name));
            let aggregation = known.ok_or_else(|| {
                let known = Aggregation::ALL.map(Aggregation::name).join(", ");
                Error::argument(format!("aggregation holds a word that is none of: {known}."))
            })?;
            if !found.contains(&aggregation) {
                found.push(aggregation);
            }
        }
        Ok(found)
    }

    pub(super) fn span(&self, now: Timestamp) -> Result<Span, Error> {
        match &self.timespan {
            Some(text) => Span::parse(text, now),
            None => Span::up_to(now, DEFAULT_TIMESPAN),
        }
        .map_err(|error| Error::argument(format!("The timespan {error}.")))
    }

    pub(super) fn grain(&self) -> Result<Grain, Error> {
        let text = self.interval.as_deref().unwrap_or("PT1M");
        Grain::parse(text, self.adjust).ok_or_else(|| {
            let any = Span { from: 0, to: 1 };
            let known = Grain::ALL.map(|grain| grain.iso(any)).join(",");
            Error::argument(format!(
                "Detected invalid time grain input; the supported values are: {known},FULL"
            ))
        })
    }

    /// The question about one of the metrics.
    pub(super) fn question(
        &self,
        metric: Metric,
        resources: Vec<Resource>,
        span: Span,
        grain: Grain,
    ) -> Result<Question, Error> {
        let mut question = Question::new(metric, resources, span, grain);
        if let Some(text) = &self.filter {
            let filter = Filter::parse(text, metric.definition(), self.lenient);
            question.filter = filter.map_err(|error| Error::argument(error.to_string()))?;
            question.top = Some(self.top()?.unwrap_or(DEFAULT_TOP));
        } else if self.top()?.is_some() {
            return Err(Error::argument("top is only taken with a filter."));
        }
        question.order = self.order()?.unwrap_or(question.order);
        question.rolled_up = self
            .rollupby
            .iter()
            .flat_map(|text| text.split(','))
            .map(|name| name.trim().to_owned())
            .collect();
        Ok(question)
    }

    fn top(&self) -> Result<Option<usize>, Error> {
        let read = |text: &String| text.trim().parse::<usize>().ok().filter(|top| *top > 0);
        let wrong = || Error::argument("top is no whole number above 0.");
        self.top.as_ref().map(|text| read(text).ok_or_else(wrong)).transpose()
    }

    /// `sum asc`; without a direction, ascending.
    fn order(&self) -> Result<Option<Order>, Error> {
        let Some(text) = &self.orderby else { return Ok(None) };
        let wrong = || Error::argument("orderby is not one aggregation and asc or desc, such as 'sum asc'.");
        let mut words = text.split_whitespace();
        let by = words.next().and_then(Aggregation::parse).ok_or_else(wrong)?;
        let ascending = match words.next() {
            None => true,
            Some(word) if word.eq_ignore_ascii_case("asc") => true,
            Some(word) if word.eq_ignore_ascii_case("desc") => false,
            Some(_) => return Err(wrong()),
        };
        if words.next().is_some() { Err(wrong()) } else { Ok(Some(Order { by, ascending })) }
    }
}

/// A parameter from the query or from the body, not from both.
fn given(head: &Parts, body: Option<&Value>, name: &str) -> Result<Option<String>, Error> {
    let in_query = parameter(head, name);
    let member = NAMES.iter().find(|(query, _)| *query == name).map_or(name, |(_, member)| member);
    let in_body = match body.and_then(|body| body.get(member)) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()).filter(|text| !text.trim().is_empty()),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => Some(value.to_string()),
        Some(_) => return Err(Error::argument(format!("{member} must be a text, a number or a boolean."))),
    };
    match (in_query, in_body) {
        (Some(_), Some(_)) => Err(Error::argument(format!(
            "{member} stands in the query and in the body; it may stand in one."
        ))),
        (query, body) => Ok(query.or(body)),
    }
}

fn boolean(name: &str, text: Option<&str>, otherwise: bool) -> Result<bool, Error> {
    match text.map(str::trim) {
        None => Ok(otherwise),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(Error::argument(format!("{name} is neither true nor false."))),
    }
}
