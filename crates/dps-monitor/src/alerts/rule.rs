//! A rule as its evaluation needs it. Reading one from the document that a client wrote, and finding what is wrong with
//! it, is `document`'s.

use std::collections::BTreeMap;

use crate::metrics::{Aggregation, Metric};

/// An alert rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// ARM id, as it was spelt first.
    pub id: String,
    /// Name.
    pub name: String,
    /// What people read.
    pub description: String,
    /// 0 (critical) to 4 (verbose).
    pub severity: u8,
    /// Is it evaluated?
    pub enabled: bool,
    /// ARM ids of the provisioning services (or of the workspace) that it watches.
    pub scopes: Vec<String>,
    /// Minutes between two evaluations.
    pub frequency: u32,
    /// Minutes that one evaluation looks back.
    pub window: u32,
    /// Does it remember that it fired, and resolve?
    pub stateful: bool,
    /// Minutes without another notification after one (stateless log rules).
    pub mute: Option<u32>,
    /// When it fires.
    pub condition: Condition,
    /// Whom it tells.
    pub actions: Vec<Action>,
    /// Passed on in notifications (log rules).
    pub custom_properties: BTreeMap<String, String>,
}

/// When a rule fires.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// All of these hold. `multiple` is Azure's `MultipleResourceMultipleMetricCriteria`.
    Metrics {
        /// Each with its threshold.
        criteria: Vec<MetricCriterion>,
        /// The form that it was written in.
        multiple: bool,
    },
    /// A metric leaves the band that its past suggests.
    Dynamic(DynamicCriterion),
    /// A query's figures pass a threshold. Azure allows one.
    Query(QueryCriterion),
}

/// Which series of which metric, as one figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Measure {
    /// The criterion's name.
    pub name: String,
    /// Metric.
    pub metric: Metric,
    /// Narrows, and splits.
    pub dimensions: Vec<DimensionFilter>,
    /// How the window becomes one figure.
    pub aggregation: Aggregation,
}

/// Values of a dimension; each that is let through is a series of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DimensionFilter {
    /// Name.
    pub name: String,
    /// Those (`Include`) or all others (`Exclude`)?
    pub include: bool,
    /// Values; `*` is any.
    pub values: Vec<String>,
}

/// A metric and its threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricCriterion {
    /// What is measured.
    pub measure: Measure,
    /// How it is compared.
    pub operator: Operator,
    /// With what.
    pub threshold: f64,
}

/// How a figure is compared with its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// =
    Equals,
    /// ≠ (an older form of the API).
    NotEquals,
    /// >
    GreaterThan,
    /// ≥
    GreaterThanOrEqual,
    /// <
    LessThan,
    /// ≤
    LessThanOrEqual,
}

/// A metric and the band that its past suggests.
#[derive(Clone, Debug, PartialEq)]
pub struct DynamicCriterion {
    /// What is measured.
    pub measure: Measure,
    /// Above it, below it, or both.
    pub side: Side,
    /// How wide the band is.
    pub sensitivity: Sensitivity,
    /// Of the last so many evaluations so many must be outside.
    pub failing: FailingPeriods,
    /// Nothing older teaches.
    pub ignore_before: Option<dps_model::Timestamp>,
}

/// Which side of a band.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// `GreaterThan`
    Above,
    /// `LessThan`
    Below,
    /// `GreaterOrLessThan`
    Either,
}

/// How wide a band is: the more sensitive, the narrower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sensitivity {
    /// Wide.
    Low,
    /// Middle.
    Medium,
    /// Narrow.
    High,
}

/// Of the last `of` evaluations `at_least` must fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailingPeriods {
    /// `numberOfEvaluationPeriods`
    pub of: u32,
    /// `minFailingPeriodsToAlert`
    pub at_least: u32,
}

/// A query and its threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryCriterion {
    /// KQL.
    pub query: String,
    /// How the rows of a period become one figure; `Count` counts rows.
    pub aggregation: Aggregation,
    /// The column that holds figures; none when rows are counted.
    pub measure_column: Option<String>,
    /// The column that holds the id of the resource that an alert is about.
    pub resource_column: Option<String>,
    /// Columns that split.
    pub dimensions: Vec<DimensionFilter>,
    /// How it is compared.
    pub operator: Operator,
    /// With what.
    pub threshold: f64,
    /// How often it must fail.
    pub failing: FailingPeriods,
    /// Minutes that the query itself looks back, when not `window` × periods.
    pub time_range: Option<u32>,
    /// `resolveConfiguration.timeToResolve` in minutes, when said.
    pub time_to_resolve: Option<u32>,
}

/// Whom a rule tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// ARM id of an action group.
    pub group: String,
    /// `webHookProperties`, passed on.
    pub properties: BTreeMap<String, String>,
}
