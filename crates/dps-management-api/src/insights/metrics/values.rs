//! Values as ARM shows them: a list of metrics, each with its series, each with its points. What a metric cannot do is said
//! at the metric, and the others are answered.

use dps_model::{Error, Timestamp};
use dps_monitor::metrics::{
    Aggregation, Budget, Grain, Metric, Resource, Rollup, Rollups, Span, Timeseries, Values,
};
use serde_json::{Map, Value, json};

use super::failed;
use super::parameters::Parameters;

/// Where an answer belongs.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The resource or the subscription.
    pub(super) id: &'a str,
    /// Its region.
    pub(super) region: &'a str,
}

/// Answers a call for values.
pub(super) async fn show(
    rollups: &Rollups,
    asked: &Parameters,
    resources: Vec<Resource>,
    place: Place<'_>,
    now: Timestamp,
) -> Result<Value, Error> {
    let span = asked.span(now)?;
    let grain = if asked.metadata { Grain::Full } else { asked.grain()? };
    let metrics = asked.metrics()?;
    let mut budget = Budget::default();
    let mut reading = Reading { rollups, budget: &mut budget, now };
    let shown = reading.metrics(asked, &resources, place.id, (span, grain)).await?;
    let mut answer = Map::new();
    if !asked.metadata {
        let cost = i64::try_from(metrics.len()).unwrap_or(1).saturating_mul(span.minutes()).saturating_sub(1);
        answer.insert("cost".into(), json!(cost));
        answer.insert("interval".into(), json!(grain.iso(span)));
    }
    answer.insert("timespan".into(), json!(format!("{}/{}", instant(span.start()), instant(span.end()))));
    answer.insert("value".into(), Value::Array(shown));
    answer.insert("namespace".into(), json!(asked.namespace()?.name().to_ascii_lowercase()));
    answer.insert("resourceregion".into(), json!(place.region));
    Ok(Value::Object(answer))
}

/// One call that reads, with what it may still cost.
pub(super) struct Reading<'a> {
    pub(super) rollups: &'a Rollups,
    pub(super) budget: &'a mut Budget,
    pub(super) now: Timestamp,
}

impl Reading<'_> {
    /// Each metric that is asked for.
    pub(super) async fn metrics(
        &mut self,
        asked: &Parameters,
        resources: &[Resource],
        id: &str,
        (span, grain): (Span, Grain),
    ) -> Result<Vec<Value>, Error> {
        let aggregations = asked.aggregations()?;
        let mut shown = Vec::new();
        for metric in asked.metrics()? {
            let definition = metric.definition();
            let question = asked.question(metric, resources.to_vec(), span, grain)?;
            let unfit = aggregations.iter().find(|aggregation| !definition.supported.contains(aggregation));
            if let Some(unfit) = unfit {
                shown.push(unsupported(metric, *unfit, id));
                continue;
            }
            let values = self.rollups.read(&question, self.budget, self.now).await.map_err(failed)?;
            let own = [definition.primary];
            let wanted = if aggregations.is_empty() { &own[..] } else { &aggregations };
            let wanted = (!asked.metadata).then_some(wanted);
            let series =
                values.series.iter().filter(|series| !asked.metadata || !series.dimensions.is_empty());
            let mut one = head(metric, id);
            one.insert(
                "timeseries".into(),
                series.map(|series| timeseries(series, &values, wanted)).collect(),
            );
            one.insert("errorCode".into(), json!("Success"));
            shown.push(Value::Object(one));
        }
        Ok(shown)
    }
}

fn head(metric: Metric, id: &str) -> Map<String, Value> {
    let definition = metric.definition();
    let mut head = Map::new();
    head.insert("id".into(), json!(format!("{id}/providers/Microsoft.Insights/metrics/{}", definition.name)));
    head.insert("type".into(), json!("Microsoft.Insights/metrics"));
    head.insert("name".into(), json!({ "value": definition.name, "localizedValue": definition.display }));
    head.insert("displayDescription".into(), json!(definition.description));
    head.insert("unit".into(), json!(definition.unit.name()));
    head
}

fn unsupported(metric: Metric, aggregation: Aggregation, id: &str) -> Value {
    let supported: Vec<&str> = metric.definition().supported.iter().map(|it| it.name()).collect();
    let mut one = head(metric, id);
    one.insert("timeseries".into(), json!([]));
    one.insert("errorCode".into(), json!("InvalidSamplingType"));
    let message = format!(
        "The metric {} does not support the aggregation {}; it supports: {}.",
        metric.definition().name,
        aggregation.name(),
        supported.join(", ")
    );
    one.insert("errorMessage".into(), json!(message));
    Value::Object(one)
}

fn timeseries(series: &Timeseries, values: &Values, aggregations: Option<&[Aggregation]>) -> Value {
    let names = series.dimensions.iter().map(|(name, value)| {
        let name = name.to_ascii_lowercase();
        json!({ "name": { "value": name, "localizedValue": name }, "value": value })
    });
    let mut shown = Map::new();
    shown.insert("metadatavalues".into(), names.collect());
    if let Some(aggregations) = aggregations {
        let step = values.grain.minutes(values.span).saturating_mul(60_000);
        let mut at = values.span.start();
        let mut points = Vec::with_capacity(series.buckets.len());
        for bucket in &series.buckets {
            points.push(point(at, bucket.as_ref(), aggregations));
            at = at.plus_millis(step);
        }
        shown.insert("data".into(), Value::Array(points));
    }
    Value::Object(shown)
}

/// A bucket in which nothing was counted is a point without values: nothing is not nought.
fn point(at: Timestamp, rollup: Option<&Rollup>, aggregations: &[Aggregation]) -> Value {
    let mut point = Map::new();
    point.insert("timeStamp".into(), json!(instant(at)));
    if let Some(rollup) = rollup {
        for aggregation in aggregations {
            point.insert(aggregation.member().into(), json!(rollup.value(*aggregation)));
        }
    }
    Value::Object(point)
}

/// To the second, as Azure writes it.
pub(super) fn instant(at: Timestamp) -> String {
    format!("{:.0}", at.0)
}
