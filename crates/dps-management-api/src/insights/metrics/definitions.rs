//! Definitions and namespaces as ARM shows them.

use dps_model::Error;
use dps_monitor::metrics::{Grain, Metric, Namespace, Span};
use serde_json::{Value, json};

use super::namespace;

/// How long every grain is kept.
const RETENTION: &str = "P93D";

/// The definitions of a namespace, or of all.
pub(super) fn show(resource_id: &str, wanted: Option<&str>) -> Result<Value, Error> {
    let wanted = wanted.filter(|text| !text.trim().is_empty());
    let wanted = wanted.map(|text| namespace(Some(text))).transpose()?;
    let metrics = Metric::ALL.into_iter();
    let metrics = metrics.filter(|metric| wanted.is_none_or(|it| it == metric.definition().namespace));
    Ok(json!({ "value": metrics.map(|metric| definition(resource_id, metric)).collect::<Vec<_>>() }))
}

fn definition(resource_id: &str, metric: Metric) -> Value {
    let definition = metric.definition();
    let any = Span { from: 0, to: 1 };
    let availabilities: Vec<Value> = Grain::ALL
        .into_iter()
        .map(|grain| json!({ "timeGrain": grain.iso(any), "retention": RETENTION }))
        .collect();
    let dimensions: Vec<Value> = definition
        .dimensions
        .iter()
        .map(|name| json!({ "value": name, "localizedValue": words(name) }))
        .collect();
    let supported: Vec<&str> = definition.supported.iter().map(|aggregation| aggregation.name()).collect();
    json!({
        "id": format!("{resource_id}/providers/microsoft.insights/metricdefinitions/{}", definition.name),
        "resourceId": resource_id,
        "namespace": definition.namespace.name(),
        "name": { "value": definition.name, "localizedValue": definition.display },
        "displayDescription": definition.description,
        "isDimensionRequired": false,
        "unit": definition.unit.name(),
        "primaryAggregationType": definition.primary.name(),
        "supportedAggregationTypes": supported,
        "metricAvailabilities": availabilities,
        "dimensions": dimensions,
    })
}

/// The namespaces.
pub(super) fn namespaces(resource_id: &str) -> Value {
    let shown = |namespace: Namespace| {
        let name = namespace.name();
        json!({
            "id": format!("{resource_id}/providers/microsoft.insights/metricNamespaces/{name}"),
            "type": "Microsoft.Insights/metricNamespaces",
            "name": name.rsplit('/').next().unwrap_or(name),
            "classification": namespace.classification(),
            "properties": { "metricNamespaceName": name },
        })
    };
    json!({ "value": Namespace::ALL.map(shown) })
}

/// A name for people: `IotHubName` is `Iot Hub Name`.
fn words(name: &str) -> String {
    let mut words = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(character);
    }
    words
}
