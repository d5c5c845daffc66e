//! `muster metrics show`: the values of one metric.

use muster_device::{Clock as _, SystemClock};
use serde_json::{Value, json};

use super::answer::{Values, member};
use super::question::Question;
use super::{chart, definition};
use crate::fleet::Failure;
use crate::fleet::connection::InstanceOptions;
use crate::fleet::output::{line, terminal_width, write};
use crate::watch::duration::{interval, timespan};
use crate::watch::output::{Form, Sheet};

/// How values are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum View {
    /// A chart of each series, with its figures
    Chart,
    /// A row for each point
    Table,
    /// The metric as the API answers it, indented
    Json,
    /// One object for each point
    Jsonl,
    /// Comma-separated values with a header (RFC 4180)
    Csv,
}

/// Options of `muster metrics show`.
#[derive(clap::Args)]
pub struct ShowOptions {
    /// Name of the metric, in any case
    #[arg(value_name = "METRIC")]
    name: String,
    /// Namespace of the metric, where two have one of that name
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// Which time: 30m, 12h, 7d, PT12H, or START/END [default: 1h]
    #[arg(long, short, value_name = "TIME", value_parser = timespan)]
    timespan: Option<String>,
    /// Time between points: 1m, 5m, 15m, 30m, 1h, 6h, 12h, 1d, or full for one [default: the shortest with at most 60]
    #[arg(long, short, value_name = "TIME", value_parser = interval)]
    interval: Option<String>,
    /// Average, Count, Minimum, Maximum, Total; several with commas [default: the metric's own]
    #[arg(long, short, value_name = "NAME,…", value_delimiter = ',')]
    aggregation: Vec<String>,
    /// Only these values of dimensions, such as "Status eq 'Success'"
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,
    /// A series for each value of these dimensions
    #[arg(long, value_name = "DIMENSION,…", value_delimiter = ',')]
    split: Vec<String>,
    /// Most series [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    top: Option<u32>,
    /// Form of the output [default: chart on a terminal, else json]
    #[arg(long, short, value_name = "FORM", help_heading = "Output")]
    output: Option<View>,
    #[command(flatten)]
    instance: InstanceOptions,
}

/// Asks for the definition, then for the values.
pub async fn run(options: &ShowOptions) -> Result<(), Failure> {
    let api = options.instance.open()?;
    let definitions = definition::all(&api, options.namespace.as_deref()).await?;
    let metric = definition::named(&options.name, &definitions)?;
    let question = Question {
        timespan: options.timespan.as_deref(),
        interval: options.interval.as_deref(),
        aggregations: &options.aggregation,
        filter: options.filter.as_deref(),
        split: &options.split,
        top: options.top,
    };
    let parameters = question.parameters(&metric, SystemClock.now())?;
    let values = Values::read(api.insights("metrics", &parameters).await?, &metric)?;
    let aggregations = question.aggregations(&metric);
    let usual = if Form::usual() == Form::Table { View::Chart } else { View::Json };
    let form = match options.output.unwrap_or(usual) {
        View::Chart => return write(&chart::draw(&metric, &values, &aggregations, terminal_width())),
        View::Json => return line(&format!("{:#}", values.metric)),
        View::Table => Form::Table,
        View::Jsonl => Form::Jsonl,
        View::Csv => Form::Csv,
    };
    let (columns, rows) = rows(&values, &aggregations);
    let mut sheet = Sheet::new(form, columns);
    sheet.rows(&rows)?;
    sheet.end()
}

/// A row for each point: its time, what its series is, and each aggregation.
fn rows(values: &Values, aggregations: &[String]) -> (Vec<String>, Vec<Vec<Value>>) {
    let dimensions = values.dimensions();
    let names = aggregations.iter().map(|name| name.trim().to_owned());
    let columns = std::iter::once("Time".to_owned()).chain(dimensions.iter().cloned()).chain(names).collect();
    let mut rows = Vec::new();
    for series in &values.series {
        for point in &series.points {
            let mut row = vec![point.get("timeStamp").cloned().unwrap_or_default()];
            row.extend(dimensions.iter().map(|name| {
                let pair = series.dimensions.iter().find(|(its, _)| its == name);
                json!(pair.map(|(_, value)| value))
            }));
            row.extend(aggregations.iter().map(|name| point.get(&member(name)).cloned().unwrap_or_default()));
            rows.push(row);
        }
    }
    (columns, rows)
}

#[cfg(test)]
mod tests {
    use super::super::definition::Definition;
    use super::*;

    fn metric() -> Definition {
        Definition {
            name: "M".into(),
            title: "M".into(),
            namespace: "N".into(),
            unit: "Count".into(),
            aggregation: "Total".into(),
            dimensions: vec!["Status".into()],
        }
    }

    #[test]
    fn point_without_values_is_a_row_without_values() {
        let body = json!({"timespan": "a/b", "interval": "PT1M", "value": [{"timeseries": [{
            "metadatavalues": [{"name": {"value": "status"}, "value": "Success"}],
            "data": [{"timeStamp": "t1", "total": 12.0}, {"timeStamp": "t2"}],
        }], "errorCode": "Success"}]});
        let values = Values::read(body, &metric()).ok().unwrap();
        let (columns, rows) = rows(&values, &["total".into(), "Count".into()]);
        assert_eq!(columns, ["Time", "Status", "total", "Count"]);
        assert_eq!(rows[0], [json!("t1"), json!("Success"), json!(12.0), Value::Null]);
        assert_eq!(rows[1], [json!("t2"), json!("Success"), Value::Null, Value::Null]);
    }

    #[test]
    fn what_a_metric_cannot_do_is_told() {
        let body = json!({"value": [{"errorCode": "InvalidSamplingType", "errorMessage": "no Total", "timeseries": []}]});
        let failure = Values::read(body, &metric()).err().unwrap();
        assert_eq!((failure.exit_status(), failure.to_string().as_str()), (2, "no Total"));
        for strange in [json!({}), json!({"value": []}), json!({"value": [{}]}), json!(null)] {
            assert_eq!(Values::read(strange, &metric()).err().unwrap().exit_status(), 6);
        }
    }
}
