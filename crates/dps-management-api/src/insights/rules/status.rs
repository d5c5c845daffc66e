//! How the series of a metric alert rule are (`…/metricAlerts/{name}/status`): healthy, or not since an alert fired.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_model::{Error, Timestamp};
use dps_monitor::RuleSource as _;
use dps_monitor::alerts::alert::MonitorCondition;
use dps_monitor::alerts::archive::AlertFilter;
use dps_monitor::alerts::book::Document;
use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::insights::{Insights, failed};

/// All of them, or those of that name.
pub(super) async fn show(
    insights: &Insights,
    document: &Document,
    name: &str,
    now: Timestamp,
) -> Result<Answer, Error> {
    let filter = AlertFilter {
        rules: vec![document.id.clone()],
        conditions: vec![MonitorCondition::Fired],
        ..AlertFilter::default()
    };
    let mut shown: Vec<Value> = Vec::new();
    let mut told: Vec<String> = Vec::new();
    insights
        .alerts
        .each(|alert| {
            if filter.passes(&alert) {
                let dimensions: Map<_, _> = alert
                    .dimensions
                    .iter()
                    .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
                    .collect();
                // D-607
                shown.push(status(document, &alert.target, "Unhealthy", &dimensions, alert.fired));
                told.push(alert.target.to_lowercase());
            }
        })
        .await
        .map_err(failed)?;
    let scopes = insights.rules.rule(&document.id).map(|rule| rule.scopes.clone()).unwrap_or_default();
    for scope in scopes.iter().filter(|scope| !told.contains(&scope.to_lowercase())) {
        shown.push(status(document, scope, "Healthy", &Map::new(), now));
    }
    if !name.is_empty() {
        shown.retain(|status| status["name"] == name);
    }
    Ok(Answer::shown(json!({ "value": shown })))
}

fn status(
    document: &Document,
    resource: &str,
    status: &str,
    dimensions: &Map<String, Value>,
    since: Timestamp,
) -> Value {
    let name = STANDARD.encode(format!("resourceId={resource}"));
    json!({
        "id": format!("{}/status/{name}", document.id),
        "name": name,
        "type": "Microsoft.Insights/metricAlerts/status",
        "properties": { "dimensions": dimensions, "status": status, "timestamp": since },
    })
}
