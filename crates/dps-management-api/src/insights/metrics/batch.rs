//! `metrics:getBatch`: the same values of many resources in one call. Owns its body and its names for start and end.

use std::sync::Arc;

use dps_model::instance::Instance;
use dps_model::limits::MAX_METRIC_RESOURCES;
use dps_model::{Error, Timestamp};
use dps_monitor::metrics::{Budget, Rollups, Span};
use http::request::Parts;
use serde_json::{Value, json};

use super::parameters::{DEFAULT_TIMESPAN, Parameters, parameter};
use super::{resource, values};
use crate::wanted::same_location;

/// The ids in a body.
pub(crate) fn resources(body: &Value) -> Result<Vec<String>, Error> {
    let wrong = |rule: &str| Error::argument(format!("resourceids {rule}."));
    let listed = body.get("resourceids").and_then(Value::as_array);
    let listed = listed.filter(|listed| !listed.is_empty()).ok_or_else(|| wrong("is required"))?;
    if listed.len() > MAX_METRIC_RESOURCES {
        return Err(wrong(&format!(
            "has {} items; at most {MAX_METRIC_RESOURCES} are allowed",
            listed.len()
        )));
    }
    let text = |value: &Value| value.as_str().map(|id| id.trim_end_matches('/').to_owned());
    listed.iter().map(|value| text(value).ok_or_else(|| wrong("must hold texts"))).collect()
}

/// What a batch asks.
pub(super) struct Asked {
    parameters: Parameters,
    span: Span,
}

impl Asked {
    /// Reads a call: without an end up to now, without both the last hour.
    pub(super) fn of(head: &Parts, now: Timestamp) -> Result<Self, Error> {
        for name in ["metricnames", "metricnamespace"] {
            if parameter(head, name).is_none() {
                return Err(Error::argument(format!("The {name} query parameter is required.")));
            }
        }
        let instant = |name: &str| {
            let Some(text) = parameter(head, name) else { return Ok(None) };
            let mended = text.trim().replace(' ', "+");
            let read = Timestamp::parse(&mended).or_else(|| Timestamp::parse(&format!("{mended}Z")));
            read.map(Some).ok_or_else(|| Error::argument(format!("{name} is no instant in ISO 8601.")))
        };
        let (start, end) = (instant("starttime")?, instant("endtime")?);
        let end = end.unwrap_or(now);
        let start = start.unwrap_or_else(|| end.plus_millis(-DEFAULT_TIMESPAN));
        let span = Span::between(start, end);
        let span = span.map_err(|error| Error::argument(format!("The timespan {error}.")))?;
        Ok(Self { parameters: Parameters::of_batch(head)?, span })
    }
}

/// Answers a batch.
pub(super) async fn show(
    rollups: &Rollups,
    asked: &Asked,
    instances: &[Arc<Instance>],
    now: Timestamp,
) -> Result<Value, Error> {
    let first = instances.first();
    if first.is_some_and(|first| !instances.iter().all(|it| same_location(&it.location, &first.location))) {
        return Err(Error::argument("The resources of a batch must be in one region."));
    }
    let Asked { parameters, span } = asked;
    let grain = parameters.grain()?;
    let mut budget = Budget::default();
    let mut reading = values::Reading { rollups, budget: &mut budget, now };
    let mut shown = Vec::with_capacity(instances.len());
    for instance in instances {
        let (id, wanted) = (&instance.resource_id, [resource(instance)?]);
        let metrics = reading.metrics(parameters, &wanted, id, (*span, grain)).await?;
        shown.push(json!({
            "starttime": values::instant(span.start()),
            "endtime": values::instant(span.end()),
            "interval": grain.iso(*span),
            "namespace": parameters.namespace()?.name(),
            "resourceregion": instance.location,
            "resourceid": id,
            "value": metrics,
        }));
    }
    Ok(json!({ "values": shown }))
}
