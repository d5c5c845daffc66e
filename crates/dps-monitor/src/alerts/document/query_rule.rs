//! `scheduledQueryRules` (api-versions 2020-05-01-preview to 2023-12-01).

use dps_kql::{Analysis, Environment, Schema, Type};
use dps_model::Error;
use dps_model::limits::{
    MAX_QUERY_PERIODS, MAX_RULE_ACTIONS, MAX_RULE_FREQUENCY, MAX_RULE_LOOK_BACK, MAX_RULE_NAME,
    MAX_RULE_PROPERTY, MAX_RULE_QUERY, MAX_RULE_SCOPES,
};
use dps_model::member::Member;
use serde_json::Value;

use super::condition::{aggregation, dimensions, failing, operator, threshold};
use super::parts::{self, Watched, minutes, needed, text};
use super::{Kind, Surroundings};
use crate::alerts::rule::{Action, Condition, FailingPeriods, QueryCriterion, Rule};
use crate::metrics::{Aggregation, iso_minutes};
use crate::ports::IdParts;
use crate::table::Table;

/// A column's name that Azure keeps for itself.
const RESERVED: &str = "AggregatedValue";

/// Reads a rule. `id` is its ARM id.
pub fn read(body: &Value, id: &str, around: Option<&Surroundings<'_>>) -> Result<Rule, Error> {
    let name = IdParts::of(id).name;
    parts::check_name(Kind::QueryRule, name)?;
    let body = Member::body(body)?;
    let properties = parts::head(&body)?;
    // D-603
    if body.get("kind").one_of(&[("LogAlert", true), ("LogToMetric", false)])? == Some(false) {
        return Err(body
            .get("kind")
            .wrong("must be LogAlert: this server has no metrics of its clients' own"));
    }
    text(&properties.get("displayName"), MAX_RULE_NAME)?;
    properties.get("targetResourceTypes").texts(MAX_RULE_SCOPES)?;
    storage(&properties)?;
    let window = properties.get("windowSize");
    let window_minutes = needed(&window, minutes(&window, &[])?)?;
    let criterion = criterion(&properties, around.is_some())?;
    let looks_back = criterion.time_range.unwrap_or(window_minutes.saturating_mul(criterion.failing.of));
    if looks_back > MAX_RULE_LOOK_BACK || window_minutes > MAX_RULE_LOOK_BACK {
        let most = iso_minutes(MAX_RULE_LOOK_BACK.into());
        return Err(window.wrong(&format!(
            "times numberOfEvaluationPeriods, or overrideQueryTimeRange, must be at most {most}"
        )));
    }
    let frequency = frequency(&properties, looks_back)?;
    let (stateful, mute) = memory(&properties)?;
    let enabled = properties.get("enabled").boolean()?.unwrap_or(true);
    let (actions, custom_properties) = actions(&properties.get("actions"), around)?;
    Ok(Rule {
        id: id.to_owned(),
        name: name.to_owned(),
        description: parts::description(&properties)?,
        severity: parts::severity(&properties)?,
        enabled,
        scopes: parts::scopes(&properties, Watched::Rows, around)?,
        frequency,
        window: window_minutes,
        stateful,
        mute,
        condition: Condition::Query(criterion),
        actions,
        custom_properties,
    })
}

fn storage(properties: &Member<'_>) -> Result<(), Error> {
    let member = properties.get("checkWorkspaceAlertsStorageConfigured");
    if member.boolean()? == Some(true) {
        return Err(member.wrong("must be false: the workspace has no storage account linked to it"));
    }
    Ok(())
}

fn frequency(properties: &Member<'_>, looks_back: u32) -> Result<u32, Error> {
    let member = properties.get("evaluationFrequency");
    let given = needed(&member, minutes(&member, &[])?)?;
    if given > MAX_RULE_FREQUENCY {
        return Err(member.wrong(&format!("must be at most {}", iso_minutes(MAX_RULE_FREQUENCY.into()))));
    }
    if given > looks_back {
        return Err(member.wrong(&format!(
            "must be at most {}, as far as the query looks back: what lies between is never seen",
            iso_minutes(looks_back.into())
        )));
    }
    Ok(given)
}

/// Does it remember, and for how long is it silent?
fn memory(properties: &Member<'_>) -> Result<(bool, Option<u32>), Error> {
    let mute = properties.get("muteActionsDuration");
    let silent = minutes(&mute, &[])?;
    let mitigates = properties.get("autoMitigate").boolean()?;
    if silent.is_some() && mitigates == Some(true) {
        return Err(
            mute.wrong("is for rules whose autoMitigate is false: others tell once until they resolve")
        );
    }
    let resolves = properties.get("resolveConfiguration").get("autoResolved").boolean()?;
    let stateful = mitigates.unwrap_or(silent.is_none()) && resolves.unwrap_or(true);
    Ok((stateful, silent))
}

fn criterion(properties: &Member<'_>, checked: bool) -> Result<QueryCriterion, Error> {
    let all = properties.get("criteria").get("allOf");
    let items = needed(&all, all.list(1)?)?;
    let item = items.first().ok_or_else(|| all.wrong("must have one condition"))?;
    let query = item.get("query");
    let text = query.required()?;
    if text.len() > MAX_RULE_QUERY {
        return Err(query.wrong(&format!("is longer than {MAX_RULE_QUERY} bytes")));
    }
    let skip = properties.get("skipQueryValidation").boolean()?.unwrap_or(false);
    let columns = if checked && !skip { Some(columns(&query, text)?) } else { None };
    let aggregation = aggregation(item)?;
    let measure = item.get("metricMeasureColumn");
    let measure_column = column(&measure, columns.as_ref(), NUMBERS)?;
    match (aggregation, &measure_column) {
        (Aggregation::Count, Some(_)) => {
            return Err(measure.wrong("must be left out with timeAggregation Count, which counts rows"));
        }
        (Aggregation::Count, None) | (_, Some(_)) => {}
        (other, None) => {
            return Err(measure.wrong(&format!("is required with timeAggregation {}", other.name())));
        }
    }
    let mut filters = Vec::new();
    for (mut filter, place) in dimensions(item)? {
        let name = place.get("name");
        if let Some(known) = column(&name, columns.as_ref(), DIMENSIONS)? {
            filter.name = known;
        }
        filters.push(filter);
    }
    let range = properties.get("overrideQueryTimeRange");
    let resolve = properties.get("resolveConfiguration").get("timeToResolve");
    let periods = item.get("failingPeriods");
    Ok(QueryCriterion {
        query: text.to_owned(),
        aggregation,
        measure_column,
        resource_column: column(&item.get("resourceIdColumn"), columns.as_ref(), TEXTS)?,
        dimensions: filters,
        operator: operator(item)?,
        threshold: threshold(item)?,
        failing: failing(&periods, MAX_QUERY_PERIODS)?.unwrap_or(FailingPeriods { of: 1, at_least: 1 }),
        time_range: minutes(&range, &[])?,
        time_to_resolve: minutes(&resolve, &[])?,
    })
}

/// The columns that a query yields.
fn columns(member: &Member<'_>, text: &str) -> Result<Schema, Error> {
    let tables = Table::ALL.map(Table::schema);
    let environment = Environment { tables: &tables, now: 0, opened: &[] };
    let schema = match dps_kql::analyse(text, &environment) {
        Ok(Analysis::Ready(query)) => query.plan.schema,
        Ok(Analysis::Open { .. }) => {
            return Err(member.wrong(
                "uses an operator whose columns depend on rows (bag_unpack, pivot, narrow), which no rule may",
            ));
        }
        Err(wrong) => {
            let place = wrong.errors.first().map(|error| error.position(text)).unwrap_or_default();
            return Err(member.wrong(&format!(
                "is no legal query, at line {} column {}: {}",
                place.0,
                place.1,
                wrong.to_string().trim_end_matches('.')
            )));
        }
    };
    if schema.iter().any(|column| column.name == RESERVED) {
        return Err(member.wrong(&format!("yields a column {RESERVED}, a name that is reserved")));
    }
    Ok(schema)
}

/// What a column must be.
type Fits = (fn(Type) -> bool, &'static str);
const NUMBERS: Fits = (|ty| matches!(ty, Type::Int | Type::Long | Type::Real | Type::Decimal), "a number");
const TEXTS: Fits = (|ty| ty == Type::String, "a text");
const DIMENSIONS: Fits = (
    |ty| matches!(ty, Type::String | Type::Int | Type::Long | Type::Real | Type::Decimal),
    "a text or a number",
);

/// A member that names a column of the result.
fn column(
    member: &Member<'_>,
    columns: Option<&Schema>,
    (fits, what): Fits,
) -> Result<Option<String>, Error> {
    let Some(name) = text(member, MAX_RULE_PROPERTY)?.map(str::trim).filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let Some(columns) = columns else { return Ok(Some(name.to_owned())) };
    match columns.iter().find(|column| column.name == name) {
        Some(column) if fits(column.ty) => Ok(Some(name.to_owned())),
        Some(_) => Err(member.wrong(&format!("names a column that is not {what}"))),
        None => {
            let known: Vec<_> = columns.iter().map(|column| column.name.as_str()).take(20).collect();
            Err(member.wrong(&format!("names no column of the query, which yields {}", known.join(", "))))
        }
    }
}

/// `actions`: an object of groups, or, in older versions, the list that metric alerts have.
fn actions(
    member: &Member<'_>,
    around: Option<&Surroundings<'_>>,
) -> Result<(Vec<Action>, std::collections::BTreeMap<String, String>), Error> {
    if member.is_list() {
        return Ok((parts::actions(member, around)?, std::collections::BTreeMap::new()));
    }
    member.object()?;
    parts::properties(&member.get("actionProperties"))?;
    let custom = parts::properties(&member.get("customProperties"))?;
    let mut actions = Vec::new();
    let groups = member.get("actionGroups").texts(MAX_RULE_ACTIONS)?;
    for (text, place) in groups.unwrap_or_default() {
        let group = parts::group(&place, text, around)?;
        parts::push(&mut actions, Action { group, properties: custom.clone() }, &place)?;
    }
    Ok((actions, custom))
}
