//! Definitions of metrics as the API has them. Must not know who asks.

use serde_json::Value;

use crate::fleet::Failure;
use crate::fleet::api::ControlPlane;

/// What the service says of a metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    pub name: String,
    pub title: String,
    pub namespace: String,
    pub unit: String,
    pub aggregation: String,
    pub dimensions: Vec<String>,
}

impl Definition {
    fn of(value: &Value) -> Option<Self> {
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let dimensions = value["dimensions"].as_array().into_iter().flatten();
        let name = text("/name/value")?;
        Some(Self {
            title: text("/name/localizedValue").unwrap_or_else(|| name.clone()),
            namespace: text("/namespace").unwrap_or_default(),
            unit: text("/unit").unwrap_or_default(),
            aggregation: text("/primaryAggregationType").unwrap_or_else(|| "Total".to_owned()),
            dimensions: dimensions.filter_map(|it| it["value"].as_str().map(str::to_owned)).collect(),
            name,
        })
    }

    /// The dimension of that name, in any case, as the service writes it.
    pub fn dimension(&self, name: &str) -> Result<&str, Failure> {
        let found = self.dimensions.iter().find(|it| it.eq_ignore_ascii_case(name.trim()));
        found.map(String::as_str).ok_or_else(|| {
            let known =
                if self.dimensions.is_empty() { "none".to_owned() } else { self.dimensions.join(", ") };
            Failure::Usage(format!("{} has no dimension {name}; it has {known}", self.name))
        })
    }
}

/// The definitions, as they come.
pub async fn all(api: &ControlPlane, namespace: Option<&str>) -> Result<Vec<Value>, Failure> {
    let parameters: Vec<_> = namespace.map(|name| ("metricnamespace", name.to_owned())).into_iter().collect();
    let mut body = api.insights("metricDefinitions", &parameters).await?;
    match body.get_mut("value").map(Value::take) {
        Some(Value::Array(values)) => Ok(values),
        _ => Err(Failure::Unreachable(
            "the service answered with no list: does it have a metrics API?".to_owned(),
        )),
    }
}

/// The metric of that name, in any case.
pub fn named(name: &str, values: &[Value]) -> Result<Definition, Failure> {
    let mut all = values.iter().filter_map(Definition::of).collect::<Vec<_>>();
    if let Some(at) = all.iter().position(|it| it.name.eq_ignore_ascii_case(name)) {
        return Ok(all.swap_remove(at));
    }
    let wanted = name.to_lowercase();
    let near = all.iter().map(|it| (strsim::jaro_winkler(&it.name.to_lowercase(), &wanted), &it.name));
    let near = near.filter(|(near, _)| *near > 0.8).max_by(|one, other| one.0.total_cmp(&other.0));
    let hint = match near {
        Some((_, near)) => format!("did you mean {near}?"),
        None => "`muster metrics list` names those there are".to_owned(),
    };
    Err(Failure::Missing(format!("there is no metric {name}: {hint}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn metric_is_found_in_any_case_and_a_near_one_is_named() {
        let values = [json!({
            "name": {"value": "AttestationAttempts", "localizedValue": "Attestation attempts"},
            "namespace": "N", "unit": "Count", "primaryAggregationType": "Total",
            "dimensions": [{"value": "Status"}, {"value": "Protocol"}],
        })];
        let found = named("attestationattempts", &values).ok().unwrap();
        assert_eq!(
            (found.name.as_str(), found.title.as_str()),
            ("AttestationAttempts", "Attestation attempts")
        );
        assert_eq!(found.dimension("status").ok(), Some("Status"));
        assert!(found.dimension("Hub").err().unwrap().to_string().contains("it has Status, Protocol"));
        let near = named("AttestationAttempt", &values).err().unwrap();
        assert_eq!((near.exit_status(), near.to_string().contains("AttestationAttempts?")), (3, true));
        assert!(named("Cats", &values).err().unwrap().to_string().contains("metrics list"));
    }
}
