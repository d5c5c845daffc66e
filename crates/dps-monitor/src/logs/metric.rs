//! Metrics as rows: one row a metric and minute, dimensions dropped, as a diagnostic setting exports them.

use dps_kql::Value;
use dps_model::Timestamp;

use super::{row, text, ticks};
use crate::ports::{IdParts, Resource};
use crate::{Row, Table};

/// What one series of a metric came to in a minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetricTotal<'a> {
    /// Name of the metric.
    pub name: &'a str,
    /// `Count`, `MilliSeconds` …
    pub unit: &'a str,
    /// Sum of the points.
    pub sum: f64,
    /// Number of them.
    pub count: u64,
    /// The least.
    pub minimum: f64,
    /// The greatest.
    pub maximum: f64,
}

/// The rows of the minute that begins then: series of one metric are folded, and one without points has none.
pub fn rows_of_minute(
    workspace: &str,
    resource: &Resource,
    minute: Timestamp,
    series: &[MetricTotal<'_>],
) -> Vec<Row> {
    let mut totals: Vec<MetricTotal<'_>> = Vec::new();
    for one in series.iter().filter(|one| one.count > 0) {
        match totals.iter_mut().find(|total| total.name == one.name) {
            Some(total) => {
                total.sum += one.sum;
                total.count = total.count.saturating_add(one.count);
                total.minimum = total.minimum.min(one.minimum);
                total.maximum = total.maximum.max(one.maximum);
            }
            None => totals.push(*one),
        }
    }
    totals.iter().map(|total| row_of(workspace, resource, minute, total)).collect()
}

fn row_of(workspace: &str, resource: &Resource, minute: Timestamp, total: &MetricTotal<'_>) -> Row {
    let id = resource.id.to_uppercase();
    let parts = IdParts::of(&id);
    #[allow(clippy::cast_precision_loss)] // points of a minute are far below 2^53
    let count = total.count as f64;
    row(Table::AzureMetrics, |column| match column {
        "TimeGenerated" => Value::DateTime(ticks(minute)),
        "TenantId" => text(workspace),
        "SourceSystem" => text("Azure"),
        "Type" => text(Table::AzureMetrics.name()),
        "MetricName" => text(total.name),
        "Total" => Value::Real(total.sum),
        "Count" => Value::Real(count),
        "Average" => Value::Real(total.sum / count),
        "Minimum" => Value::Real(total.minimum),
        "Maximum" => Value::Real(total.maximum),
        "TimeGrain" => text("PT1M"),
        "UnitName" => text(total.unit),
        "Resource" => text(parts.name),
        "ResourceGroup" => text(parts.resource_group),
        "ResourceId" => text(&id),
        "ResourceProvider" => text(parts.provider),
        "SubscriptionId" | "_SubscriptionId" => text(&parts.subscription.to_lowercase()),
        "_ResourceId" => text(&id.to_lowercase()),
        _ => text(""),
    })
}

#[cfg(test)]
mod tests {
    use dps_kql::Value;
    use dps_model::Timestamp;

    use super::{MetricTotal, rows_of_minute};
    use crate::{Resource, Row};

    fn cell(row: &Row, name: &str) -> Value {
        let index = row.table.columns().iter().position(|(column, _)| *column == name).unwrap();
        row.cells[index].clone()
    }

    #[test]
    fn minute_has_one_row_a_metric_summed_over_its_series() {
        let resource = Resource { id: "/subscriptions/s/resourceGroups/g".into(), location: "local".into() };
        let point = |name, sum: f64, count| MetricTotal {
            name,
            unit: "Count",
            sum,
            count,
            minimum: sum / 2.0,
            maximum: sum * 2.0,
        };
        let series = [point("A", 4.0, 2), point("B", 1.0, 1), point("A", 8.0, 4), point("C", 0.0, 0)];
        let rows = rows_of_minute("w", &resource, Timestamp::from_millis(60_000), &series);
        assert_eq!(rows.len(), 2);
        let values = ["Total", "Count", "Average", "Minimum", "Maximum"].map(|name| cell(&rows[0], name));
        assert_eq!(values, [12.0, 6.0, 2.0, 2.0, 16.0].map(Value::Real));
        assert_eq!(cell(&rows[1], "MetricName"), Value::String("B".into()));
        for row in &rows {
            for ((name, ty), value) in row.table.columns().iter().zip(&row.cells) {
                assert_eq!(value.ty(), *ty, "{name}");
            }
        }
    }
}
