//! `metricAlerts` (api-version 2018-03-01).

use std::collections::HashSet;

use dps_model::limits::{MAX_DYNAMIC_PERIODS, MAX_RULE_CONDITIONS, MAX_RULE_NAME};
use dps_model::member::Member;
use dps_model::{Error, Timestamp};
use serde_json::Value;

use super::condition::{aggregation, dimensions, failing, operator, threshold};
use super::parts::{self, Watched, needed, text};
use super::{Kind, Surroundings};
use crate::alerts::rule::{
    Condition, DimensionFilter, DynamicCriterion, Measure, MetricCriterion, Rule, Sensitivity, Side,
};
use crate::metrics::{Metric, Namespace};
use crate::ports::IdParts;

/// Minutes of `windowSize`.
const WINDOWS: [u32; 8] = [1, 5, 15, 30, 60, 360, 720, 1_440];
/// Minutes of `evaluationFrequency`.
const FREQUENCIES: [u32; 5] = [1, 5, 15, 30, 60];
/// Minutes of both where the threshold is dynamic.
const DYNAMIC: [u32; 4] = [5, 15, 30, 60];
/// What the names of the forms begin with.
const FORMS: &str = "Microsoft.Azure.Monitor.";

/// The form of `criteria`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Single,
    Multiple,
}

/// The kind of one of them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Threshold {
    Static,
    Dynamic,
}

/// Reads a rule. `id` is its ARM id.
pub fn read(body: &Value, id: &str, around: Option<&Surroundings<'_>>) -> Result<Rule, Error> {
    let name = IdParts::of(id).name;
    parts::check_name(Kind::MetricAlert, name)?;
    let properties = parts::head(&Member::body(body)?)?;
    let enabled = properties.get("enabled");
    let scopes = parts::scopes(&properties, Watched::Services, around)?;
    let criteria = properties.get("criteria");
    let form = form(&criteria)?;
    resource_type(&properties, form, &scopes)?;
    let condition = condition(&criteria, form)?;
    let allowed: (&[u32], &[u32]) = match condition {
        Condition::Dynamic(_) => (&DYNAMIC, &DYNAMIC),
        _ => (&WINDOWS, &FREQUENCIES),
    };
    let (window, frequency) = (properties.get("windowSize"), properties.get("evaluationFrequency"));
    let minutes = |member: &Member<'_>, allowed| needed(member, parts::minutes(member, allowed)?);
    let rule = Rule {
        id: id.to_owned(),
        name: name.to_owned(),
        description: parts::description(&properties)?,
        severity: parts::severity(&properties)?,
        enabled: needed(&enabled, enabled.boolean()?)?,
        scopes,
        frequency: minutes(&frequency, allowed.1)?,
        window: minutes(&window, allowed.0)?,
        stateful: properties.get("autoMitigate").boolean()?.unwrap_or(true),
        mute: None,
        condition,
        actions: parts::actions(&properties.get("actions"), around)?,
        custom_properties: parts::properties(&properties.get("customProperties"))?,
    };
    if rule.frequency > rule.window {
        return Err(
            window.wrong("must not be shorter than evaluationFrequency: what lies between is never seen")
        );
    }
    Ok(rule)
}

fn form(criteria: &Member<'_>) -> Result<Form, Error> {
    let member = criteria.get("odata.type");
    let given = member.required()?;
    let short = match given.get(..FORMS.len()) {
        Some(start) if start.eq_ignore_ascii_case(FORMS) => given.get(FORMS.len()..).unwrap_or_default(),
        _ => given,
    };
    let is = |name: &str| short.eq_ignore_ascii_case(name);
    if is("SingleResourceMultipleMetricCriteria") {
        Ok(Form::Single)
    } else if is("MultipleResourceMultipleMetricCriteria") {
        Ok(Form::Multiple)
    } else if is("WebtestLocationAvailabilityCriteria") || is("PromQLCriteria") {
        Err(member.wrong("is a form that provisioning services do not have: they have metrics alone"))
    } else {
        Err(member.wrong(
            "must be Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria or \
             Microsoft.Azure.Monitor.MultipleResourceMultipleMetricCriteria",
        ))
    }
}

/// Azure asks for the type and the region where a rule has several resources.
fn resource_type(properties: &Member<'_>, form: Form, scopes: &[String]) -> Result<(), Error> {
    let kind = properties.get("targetResourceType");
    if kind.text()?.is_some_and(|kind| !kind.eq_ignore_ascii_case(Namespace::Azure.name())) {
        return Err(kind.wrong(&format!("must be {}", Namespace::Azure.name())));
    }
    if scopes.len() < 2 {
        return Ok(());
    }
    if form == Form::Single {
        return Err(properties
            .get("scopes")
            .wrong("has several resources, which only MultipleResourceMultipleMetricCriteria takes"));
    }
    kind.required()?;
    properties.get("targetResourceRegion").required()?;
    Ok(())
}

fn condition(criteria: &Member<'_>, form: Form) -> Result<Condition, Error> {
    let all = criteria.get("allOf");
    let items = needed(&all, all.list(MAX_RULE_CONDITIONS)?)?;
    let (Some(first), more) = (items.first(), items.len() > 1) else {
        return Err(all.wrong("must have at least one condition"));
    };
    let mut names = HashSet::new();
    let mut criteria = Vec::with_capacity(items.len());
    for item in &items {
        let kind = kind(item, form)?;
        if kind == Threshold::Dynamic && more {
            return Err(item.wrong("is dynamic: a dynamic threshold must be a rule's only condition"));
        }
        let measure = measure(item, more)?;
        if !names.insert(measure.name.to_lowercase()) {
            return Err(item.get("name").wrong("is the name of another condition too"));
        }
        if kind == Threshold::Dynamic {
            return dynamic(first, measure).map(Condition::Dynamic);
        }
        criteria.push(MetricCriterion { measure, operator: operator(item)?, threshold: threshold(item)? });
    }
    Ok(Condition::Metrics { criteria, multiple: form == Form::Multiple })
}

fn kind(item: &Member<'_>, form: Form) -> Result<Threshold, Error> {
    let member = item.get("criterionType");
    let known =
        [("StaticThresholdCriterion", Threshold::Static), ("DynamicThresholdCriterion", Threshold::Dynamic)];
    match (member.one_of(&known)?, form) {
        (Some(Threshold::Dynamic), Form::Single) => {
            Err(member.wrong("is dynamic, which only MultipleResourceMultipleMetricCriteria takes"))
        }
        (None, Form::Multiple) => Err(member.wrong("is required")),
        (kind, _) => Ok(kind.unwrap_or(Threshold::Static)),
    }
}

fn measure(item: &Member<'_>, among_others: bool) -> Result<Measure, Error> {
    let name = item.get("name");
    name.required()?;
    let name = text(&name, MAX_RULE_NAME)?.unwrap_or_default().trim().to_owned();
    let metric = metric(item)?;
    let definition = metric.definition();
    item.get("skipMetricValidation").boolean()?;
    let aggregation = aggregation(item)?;
    if !definition.supported.contains(&aggregation) {
        let legal: Vec<_> = definition.supported.iter().map(|aggregation| aggregation.name()).collect();
        let member = item.get("timeAggregation");
        return Err(member.wrong(&format!("must be one of {}, for {}", legal.join(", "), definition.name)));
    }
    let mut filters = Vec::new();
    for (mut filter, place) in dimensions(item)? {
        let Some(known) =
            definition.dimension(&filter.name).and_then(|at| definition.dimensions.get(at)).copied()
        else {
            let known = definition.dimensions.join(", ");
            let legal = if known.is_empty() { "it has none".to_owned() } else { format!("it has {known}") };
            return Err(place.get("name").wrong(&format!("is no dimension of {}; {legal}", definition.name)));
        };
        known.clone_into(&mut filter.name);
        if among_others {
            one_value(&filter, &place)?;
        }
        filters.push(filter);
    }
    Ok(Measure { name, metric, dimensions: filters, aggregation })
}

/// Azure's rule where a rule has several conditions: their series must be the same.
fn one_value(filter: &DimensionFilter, place: &Member<'_>) -> Result<(), Error> {
    let one = filter.include && filter.values.len() == 1 && !filter.values.iter().any(|value| value == "*");
    if one {
        return Ok(());
    }
    Err(place.wrong("must include exactly one value, not *, since the rule has several conditions"))
}

fn metric(item: &Member<'_>) -> Result<Metric, Error> {
    let member = item.get("metricNamespace");
    let namespace = match member.text()?.filter(|text| !text.trim().is_empty()) {
        None => Namespace::Azure,
        Some(text) => Namespace::parse(text).ok_or_else(|| {
            let known = Namespace::ALL.map(Namespace::name).join(" or ");
            member.wrong(&format!("must be {known}"))
        })?,
    };
    let member = item.get("metricName");
    namespace.metric(member.required()?).ok_or_else(|| {
        let known: Vec<_> = namespace.metrics().map(|metric| metric.definition().name).collect();
        member.wrong(&format!("is no metric of {}; it has {}", namespace.name(), known.join(", ")))
    })
}

fn dynamic(item: &Member<'_>, measure: Measure) -> Result<DynamicCriterion, Error> {
    let operator = item.get("operator");
    let side = operator.one_of(&[
        ("GreaterThan", Side::Above),
        ("LessThan", Side::Below),
        ("GreaterOrLessThan", Side::Either),
    ])?;
    let wanted = item.get("alertSensitivity");
    let sensitivity = wanted.one_of(&[
        ("Low", Sensitivity::Low),
        ("Medium", Sensitivity::Medium),
        ("High", Sensitivity::High),
    ])?;
    let periods = item.get("failingPeriods");
    let before = item.get("ignoreDataBefore");
    let ignore_before =
        match before.text()? {
            None => None,
            Some(text) => Some(Timestamp::parse(text).ok_or_else(|| {
                before.wrong("must be an instant in ISO 8601, such as 2026-01-01T00:00:00Z")
            })?),
        };
    Ok(DynamicCriterion {
        measure,
        side: needed(&operator, side)?,
        sensitivity: needed(&wanted, sensitivity)?,
        failing: needed(&periods, failing(&periods, MAX_DYNAMIC_PERIODS)?)?,
        ignore_before,
    })
}
