//! `muster alert rule`: alert rules on metrics and on log queries, with one condition each.

use reqwest::Method;
use serde_json::{Value, json};

use super::{METRIC_ALERT, QUERY_RULE, Resource, group_ids};
use crate::fleet::Failure;
use crate::fleet::api::ControlPlane;
use crate::fleet::connection::InstanceOptions;
use crate::fleet::output::{Column, OutputOptions};
use crate::fleet::value;
use crate::watch::duration;

const COLUMNS: &[Column] = &[
    ("RULE", "/name"),
    ("KIND", "/ruleKind"),
    ("ENABLED", "/properties/enabled"),
    ("SEVERITY", "/properties/severity"),
    ("EVERY", "/properties/evaluationFrequency"),
    ("WINDOW", "/properties/windowSize"),
    ("DESCRIPTION", "/properties/description"),
];

/// Alert rules.
#[derive(clap::Subcommand)]
pub enum Command {
    /// List the rules of the resource group
    #[command(after_help = "Example:
  muster alert rule list")]
    List(ListOptions),
    /// Show a rule
    #[command(after_help = "Example:
  muster alert rule show --name refused")]
    Show(ItemOptions),
    /// Create a rule: metric, log
    #[command(subcommand)]
    Create(Box<CreateCommand>),
    /// Switch a rule on
    #[command(after_help = "Example:
  muster alert rule enable --name refused")]
    Enable(ItemOptions),
    /// Switch a rule off; it stays where it is
    #[command(after_help = "Example:
  muster alert rule disable --name refused")]
    Disable(ItemOptions),
    /// Delete a rule
    #[command(after_help = "Example:
  muster alert rule delete --name refused")]
    Delete(ItemOptions),
}

/// Which kind of rule is made.
#[derive(clap::Subcommand)]
pub enum CreateCommand {
    /// A rule that fires when a metric passes a threshold
    #[command(after_help = "Examples:
  muster alert rule create metric --name refused --metric AttestationAttempts --dimension Status=ClientError \\
    --operator gt --threshold 10 --window 5m --group ops
  muster alert rule create metric --name odd --metric RegistrationAttempts --dynamic medium --window 15m --every 5m")]
    Metric(MetricOptions),
    /// A rule that fires when what a query finds passes a threshold
    #[command(after_help = "Examples:
  muster alert rule create log --name refused --query \"AzureDiagnostics | where ResultType == 'ClientError'\" \\
    --operator gt --threshold 3 --window 5m --group ops
  muster alert rule create log --name slow --query @slow.kql --aggregation Maximum --measure-column p99 \\
    --operator gt --threshold 2000 --window 10m --mute 1h")]
    Log(LogOptions),
}

/// Kinds of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Metric,
    Log,
}

impl Kind {
    fn resource(self) -> Resource {
        match self {
            Self::Metric => METRIC_ALERT,
            Self::Log => QUERY_RULE,
        }
    }
}

/// How a figure is compared with its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Operator {
    Gt,
    Ge,
    Lt,
    Le,
    Eq,
    /// Outside the band, on either side (dynamic thresholds alone)
    Outside,
}

impl Operator {
    fn name(self) -> &'static str {
        match self {
            Self::Gt => "GreaterThan",
            Self::Ge => "GreaterThanOrEqual",
            Self::Lt => "LessThan",
            Self::Le => "LessThanOrEqual",
            Self::Eq => "Equals",
            Self::Outside => "GreaterOrLessThan",
        }
    }
}

/// How wide a dynamic threshold's band is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Sensitivity {
    Low,
    Medium,
    High,
}

impl Sensitivity {
    fn name(self) -> &'static str {
        match self {
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
        }
    }
}

#[derive(clap::Args)]
pub struct ListOptions {
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    instance: InstanceOptions,
}

#[derive(clap::Args)]
pub struct ItemOptions {
    /// Name of the rule
    #[arg(long, short, value_name = "NAME")]
    name: String,
    /// Kind of the rule, where there is one of either of that name
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    instance: InstanceOptions,
}

/// What rules of both kinds say.
#[derive(clap::Args)]
struct RuleOptions {
    /// Name of the rule
    #[arg(long, short, value_name = "NAME")]
    name: String,
    /// What people read when it fires
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,
    /// 0 (critical) to 4 (verbose)
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(0..=4))]
    severity: u8,
    /// Time between two evaluations
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration::period)]
    every: String,
    /// Time that one evaluation looks back
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration::period)]
    window: String,
    /// Narrows and splits: NAME=VALUE[,VALUE…], NAME!=VALUE for all others, NAME=* for each value by itself; one or more
    #[arg(long, value_name = "FILTER", num_args = 1..)]
    dimension: Vec<String>,
    /// Action groups that it tells: names, or ARM ids; one or more
    #[arg(long, value_name = "NAME", num_args = 1..)]
    group: Vec<String>,
    /// Make it switched off
    #[arg(long)]
    disabled: bool,
    /// Tell at each evaluation that finds something, and never resolve
    #[arg(long)]
    stateless: bool,
    /// Of the last N evaluations this many must find something: `M/N`
    #[arg(long, value_name = "M/N", value_parser = periods)]
    failing: Option<(u32, u32)>,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    instance: InstanceOptions,
}

#[derive(clap::Args)]
pub struct MetricOptions {
    #[command(flatten)]
    rule: RuleOptions,
    /// Name of the metric
    #[arg(long, value_name = "NAME")]
    metric: String,
    /// Namespace of the metric [default: Azure's]
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// How the window becomes one figure: Total, Average, Minimum, Maximum or Count
    #[arg(long, value_name = "NAME", default_value = "Total")]
    aggregation: String,
    /// How the figure is compared
    #[arg(long, value_enum, default_value = "gt")]
    operator: Operator,
    /// With what
    #[arg(long, value_name = "N", allow_negative_numbers = true, required_unless_present = "dynamic")]
    threshold: Option<f64>,
    /// Compare with a band that the metric's past suggests, this sensitively
    #[arg(long, value_enum, conflicts_with = "threshold")]
    dynamic: Option<Sensitivity>,
}

#[derive(clap::Args)]
pub struct LogOptions {
    #[command(flatten)]
    rule: RuleOptions,
    /// KQL, or @FILE that holds it
    #[arg(long, value_name = "QUERY")]
    query: String,
    /// How rows become one figure: Count (of rows), or Total, Average, Minimum, Maximum of a column
    #[arg(long, value_name = "NAME", default_value = "Count")]
    aggregation: String,
    /// Column that holds the figures
    #[arg(long, value_name = "NAME")]
    measure_column: Option<String>,
    /// How the figure is compared
    #[arg(long, value_enum, default_value = "gt")]
    operator: Operator,
    /// With what
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    threshold: f64,
    /// After it told, be silent for this long
    #[arg(long, value_name = "TIME", value_parser = duration::period)]
    mute: Option<String>,
    /// ARM id of what it asks about [default: the provisioning service]
    #[arg(long, value_name = "ID")]
    scope: Option<String>,
}

/// Runs one of the commands.
pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::List(options) => list(&options).await,
        Command::Show(options) => {
            let control = options.instance.open()?;
            options.output.item(find(&control, &options).await?.1)
        }
        Command::Create(command) => match *command {
            CreateCommand::Metric(options) => create_metric(&options).await,
            CreateCommand::Log(options) => create_log(&options).await,
        },
        Command::Enable(options) => switch(&options, true).await,
        Command::Disable(options) => switch(&options, false).await,
        Command::Delete(options) => {
            let control = options.instance.open()?;
            let (resource, _) = find(&control, &options).await?;
            resource.call(&control, Method::DELETE, &options.name, None).await.map(drop)
        }
    }
}

async fn list(options: &ListOptions) -> Result<(), Failure> {
    let control = options.instance.open()?;
    let mut all = Vec::new();
    for resource in [METRIC_ALERT, QUERY_RULE] {
        for mut rule in resource.list(&control).await? {
            rule["ruleKind"] = resource.words.into();
            all.push(rule);
        }
    }
    options.output.items(COLUMNS, all)
}

/// The rule that is meant, of whichever kind it is.
async fn find(control: &ControlPlane, options: &ItemOptions) -> Result<(Resource, Value), Failure> {
    let kinds = match options.kind {
        Some(kind) => vec![kind.resource()],
        None => vec![METRIC_ALERT, QUERY_RULE],
    };
    let mut found = Vec::new();
    for resource in kinds {
        found.extend(resource.find(control, &options.name).await?.map(|rule| (resource, rule)));
    }
    let another = found.len() > 1;
    match found.into_iter().next() {
        Some(_) if another => Err(Failure::Usage(format!(
            "there are two rules {}: say --kind metric or --kind log",
            options.name
        ))),
        Some(one) => Ok(one),
        None => Err(Failure::Missing(format!("there is no alert rule {}", options.name))),
    }
}

async fn switch(options: &ItemOptions, on: bool) -> Result<(), Failure> {
    let control = options.instance.open()?;
    let (resource, _) = find(&control, options).await?;
    let body = json!({ "properties": { "enabled": on } });
    options.output.item(resource.call(&control, Method::PATCH, &options.name, Some(body)).await?)
}

async fn create_metric(options: &MetricOptions) -> Result<(), Failure> {
    let rule = &options.rule;
    let control = rule.instance.open()?;
    let mut criterion = json!({
        "criterionType": "StaticThresholdCriterion",
        "name": "condition-1",
        "metricName": options.metric,
        "timeAggregation": options.aggregation,
        "dimensions": dimensions(&rule.dimension)?,
        "operator": options.operator.name(),
    });
    if let Some(namespace) = &options.namespace {
        criterion["metricNamespace"] = namespace.as_str().into();
    }
    let mut form = "SingleResourceMultipleMetricCriteria";
    if let Some(sensitivity) = options.dynamic {
        form = "MultipleResourceMultipleMetricCriteria";
        criterion["criterionType"] = "DynamicThresholdCriterion".into();
        criterion["alertSensitivity"] = sensitivity.name().into();
        criterion["failingPeriods"] = failing(rule.failing.unwrap_or((4, 4)));
    } else {
        if rule.failing.is_some() {
            return Err(Failure::Usage("--failing is for dynamic thresholds and log rules".to_owned()));
        }
        criterion["threshold"] = options.threshold.into();
    }
    let groups = group_ids(&control, &rule.group)?;
    let mut body = json!({
        "location": "global",
        "properties": {
            "scopes": [control.service_id()?],
            "criteria": { "odata.type": format!("Microsoft.Azure.Monitor.{form}"), "allOf": [criterion] },
            "actions": groups.iter().map(|group| json!({ "actionGroupId": group })).collect::<Vec<_>>(),
        },
    });
    rule.apply(&mut body["properties"]);
    rule.output.item(METRIC_ALERT.create(&control, &rule.name, body).await?)
}

async fn create_log(options: &LogOptions) -> Result<(), Failure> {
    let rule = &options.rule;
    let control = rule.instance.open()?;
    let mut criterion = json!({
        "query": value::value_or_file(&options.query)?,
        "timeAggregation": options.aggregation,
        "dimensions": dimensions(&rule.dimension)?,
        "operator": options.operator.name(),
        "threshold": options.threshold,
        "failingPeriods": failing(rule.failing.unwrap_or((1, 1))),
    });
    if let Some(column) = &options.measure_column {
        criterion["metricMeasureColumn"] = column.as_str().into();
    }
    let scope = options.scope.clone().map_or_else(|| control.service_id(), Ok)?;
    let mut body = json!({
        "location": "global",
        "kind": "LogAlert",
        "properties": {
            "scopes": [scope],
            "criteria": { "allOf": [criterion] },
            "actions": { "actionGroups": group_ids(&control, &rule.group)? },
        },
    });
    rule.apply(&mut body["properties"]);
    if let Some(mute) = &options.mute {
        body["properties"]["muteActionsDuration"] = mute.as_str().into();
        body["properties"]["autoMitigate"] = false.into();
    }
    rule.output.item(QUERY_RULE.create(&control, &rule.name, body).await?)
}

impl RuleOptions {
    fn apply(&self, properties: &mut Value) {
        for (name, value) in [
            ("description", Value::from(self.description.as_str())),
            ("severity", self.severity.into()),
            ("enabled", (!self.disabled).into()),
            ("autoMitigate", (!self.stateless).into()),
            ("evaluationFrequency", self.every.as_str().into()),
            ("windowSize", self.window.as_str().into()),
        ] {
            properties[name] = value;
        }
    }
}

fn failing((at_least, of): (u32, u32)) -> Value {
    json!({ "numberOfEvaluationPeriods": of, "minFailingPeriodsToAlert": at_least })
}

fn periods(text: &str) -> Result<(u32, u32), String> {
    let read = |text: &str| text.trim().parse::<u32>().ok();
    let found = text.split_once('/').and_then(|(at_least, of)| Some((read(at_least)?, read(of)?)));
    found.filter(|(at_least, of)| (1..=*of).contains(at_least)).ok_or_else(|| "write it like 2/3".to_owned())
}

fn dimensions(filters: &[String]) -> Result<Vec<Value>, Failure> {
    let read = |filter: &String| {
        let (name, values) = filter.split_once('=')?;
        let (name, operator) = match name.strip_suffix('!') {
            Some(name) => (name, "Exclude"),
            None => (name, "Include"),
        };
        let values: Vec<_> = values.split(',').map(str::trim).filter(|value| !value.is_empty()).collect();
        let whole = !name.trim().is_empty() && !values.is_empty();
        whole.then(|| json!({ "name": name.trim(), "operator": operator, "values": values }))
    };
    let wrong =
        || Failure::Usage("write a dimension like Status=ClientError,Failure or Status!=Success".to_owned());
    filters.iter().map(|filter| read(filter).ok_or_else(wrong)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{dimensions, periods};

    #[test]
    fn filters_are_read_as_they_are_written() {
        let read = |text: &str| dimensions(&[text.to_owned()]).ok().map(|found| found[0].clone());
        let include = json!({"name": "Status", "operator": "Include", "values": ["a", "b=c"]});
        assert_eq!(read("Status=a, b=c"), Some(include));
        let exclude = json!({"name": "Status", "operator": "Exclude", "values": ["Success"]});
        assert_eq!(read("Status!=Success"), Some(exclude));
        for wrong in ["Status", "=a", "Status=", "!=a"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(periods("2/3"), Ok((2, 3)));
        for wrong in ["0/3", "4/3", "2", "a/b"] {
            assert!(periods(wrong).is_err(), "{wrong}");
        }
    }
}
