//! Values as the metrics API answers them: series, each with its points. Must not know how they are shown.

use serde_json::{Map, Value};

use super::definition::Definition;
use crate::fleet::Failure;
use crate::fleet::api::failure::shown;

/// A metric's values.
#[derive(Debug)]
pub struct Values {
    /// As it came.
    pub metric: Value,
    pub timespan: String,
    pub interval: String,
    pub series: Vec<Series>,
}

/// Points of one combination of dimensions.
#[derive(Debug)]
pub struct Series {
    /// Names as the definition has them, with their values.
    pub dimensions: Vec<(String, String)>,
    pub points: Vec<Map<String, Value>>,
}

impl Values {
    /// Reads a body; what the metric cannot do is a failure.
    pub fn read(mut body: Value, definition: &Definition) -> Result<Self, Failure> {
        let strange = || {
            Failure::Unreachable(
                "the service answered with no values: does it have a metrics API?".to_owned(),
            )
        };
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let (timespan, interval) = (text("timespan"), text("interval"));
        let metric = body.pointer_mut("/value/0").map(Value::take).ok_or_else(strange)?;
        let code = metric["errorCode"].as_str().unwrap_or("Success");
        if code != "Success" {
            let message = metric["errorMessage"].as_str().unwrap_or(code);
            return Err(Failure::Usage(shown(message)));
        }
        let series = metric["timeseries"].as_array().ok_or_else(strange)?;
        let series = series.iter().map(|series| one(series, definition)).collect();
        Ok(Self { metric, timespan, interval, series })
    }

    /// The names of all dimensions, in the order of their first coming.
    pub fn dimensions(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for (name, _) in self.series.iter().flat_map(|series| &series.dimensions) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }
}

fn one(series: &Value, definition: &Definition) -> Series {
    let pairs = series["metadatavalues"].as_array().into_iter().flatten().filter_map(|pair| {
        let name = pair.pointer("/name/value")?.as_str()?;
        // The API writes them in lower case.
        let name = definition.dimension(name).unwrap_or(name).to_owned();
        Some((name, pair["value"].as_str().unwrap_or_default().to_owned()))
    });
    let points = series["data"].as_array().into_iter().flatten();
    Series {
        dimensions: pairs.collect(),
        points: points.filter_map(|point| point.as_object().cloned()).collect(),
    }
}

impl Series {
    /// The values of an aggregation; none where nothing was counted.
    pub fn values(&self, aggregation: &str) -> Vec<Option<f64>> {
        let member = member(aggregation);
        self.points.iter().map(|point| point.get(&member).and_then(Value::as_f64)).collect()
    }

    /// `Status=Success Protocol=Mqtt`; empty where nothing splits.
    pub fn label(&self) -> String {
        self.dimensions.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    }
}

/// The member of a point that holds an aggregation.
pub fn member(aggregation: &str) -> String {
    aggregation.trim().to_ascii_lowercase()
}
