//! `muster metrics list`: what can be shown.

use serde_json::{Value, json};

use super::definition;
use crate::fleet::Failure;
use crate::fleet::connection::InstanceOptions;
use crate::fleet::output::line;
use crate::watch::output::{Form, OutputOptions, Sheet};

/// Options of `muster metrics list`.
#[derive(clap::Args)]
pub struct ListOptions {
    /// Only the metrics of this namespace
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    instance: InstanceOptions,
}

/// Lists the metrics. As JSON they are the API's own definitions.
pub async fn run(options: &ListOptions) -> Result<(), Failure> {
    let api = options.instance.open()?;
    let values = definition::all(&api, options.namespace.as_deref()).await?;
    let form = options.output.form();
    match form {
        Form::Json => return line(&format!("{:#}", Value::Array(values))),
        Form::Jsonl => return values.iter().try_for_each(|value| line(&value.to_string())),
        Form::Table | Form::Csv => {}
    }
    let columns = ["METRIC", "UNIT", "AGGREGATIONS", "DIMENSIONS", "NAMESPACE"];
    let mut sheet = Sheet::new(form, columns.map(str::to_owned).to_vec());
    sheet.rows(&values.iter().map(row).collect::<Vec<_>>())?;
    sheet.end()
}

fn row(value: &Value) -> Vec<Value> {
    let list = |member: &str, name: &str| {
        let items = value[member].as_array().into_iter().flatten();
        let items: Vec<&str> = items.filter_map(|it| it.as_str().or_else(|| it[name].as_str())).collect();
        json!(items.join(" "))
    };
    vec![
        value["name"]["value"].clone(),
        value["unit"].clone(),
        list("supportedAggregationTypes", ""),
        list("dimensions", "value"),
        value["namespace"].clone(),
    ]
}
