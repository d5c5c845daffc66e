//! What conditions of metric and of log alert rules have in common.

use dps_model::Error;
use dps_model::limits::{MAX_RULE_DIMENSION_VALUE, MAX_RULE_DIMENSION_VALUES, MAX_RULE_DIMENSIONS};
use dps_model::member::Member;

use super::parts::needed;
use crate::alerts::rule::{DimensionFilter, FailingPeriods, Operator};
use crate::metrics::Aggregation;

/// Azure's words for comparisons; the last one is of an older form of the API.
const OPERATORS: [(&str, Operator); 6] = [
    ("Equals", Operator::Equals),
    ("GreaterThan", Operator::GreaterThan),
    ("GreaterThanOrEqual", Operator::GreaterThanOrEqual),
    ("LessThan", Operator::LessThan),
    ("LessThanOrEqual", Operator::LessThanOrEqual),
    ("NotEquals", Operator::NotEquals),
];

/// The operator; log alert rules also know it under a shorter name.
pub(super) fn operator(item: &Member<'_>) -> Result<Operator, Error> {
    let member = item.get("operator");
    if member.text()?.is_some_and(|text| text.trim().eq_ignore_ascii_case("Equal")) {
        return Ok(Operator::Equals);
    }
    needed(&member, member.one_of(&OPERATORS)?)
}

/// The threshold: any number.
pub(super) fn threshold(item: &Member<'_>) -> Result<f64, Error> {
    let member = item.get("threshold");
    let given = needed(&member, member.number()?)?;
    if given.is_finite() { Ok(given) } else { Err(member.wrong("must be a number")) }
}

/// How a window becomes one figure.
pub(super) fn aggregation(item: &Member<'_>) -> Result<Aggregation, Error> {
    let member = item.get("timeAggregation");
    let names = Aggregation::ALL.map(|aggregation| (aggregation.name(), aggregation));
    needed(&member, member.one_of(&names)?)
}

/// Dimensions, each with the place where it stands. What names there are is the caller's to know.
pub(super) fn dimensions<'a>(item: &Member<'a>) -> Result<Vec<(DimensionFilter, Member<'a>)>, Error> {
    let mut filters: Vec<(DimensionFilter, Member<'a>)> = Vec::new();
    for given in item.get("dimensions").list(MAX_RULE_DIMENSIONS)?.unwrap_or_default() {
        let name = given.get("name");
        let text = name.required()?;
        if filters.iter().any(|(other, _)| other.name.eq_ignore_ascii_case(text)) {
            return Err(name.wrong("is the name of a dimension that stands here already"));
        }
        let operator = given.get("operator");
        let include = operator.one_of(&[("Include", true), ("Exclude", false)])?;
        let filter = DimensionFilter {
            name: text.to_owned(),
            include: needed(&operator, include)?,
            values: values(&given.get("values"))?,
        };
        filters.push((filter, given));
    }
    Ok(filters)
}

fn values(member: &Member<'_>) -> Result<Vec<String>, Error> {
    let given = needed(member, member.texts(MAX_RULE_DIMENSION_VALUES)?)?;
    if given.is_empty() {
        return Err(member.wrong("must have at least one value; * is any"));
    }
    for (text, place) in &given {
        if text.chars().count() > MAX_RULE_DIMENSION_VALUE {
            return Err(place.wrong(&format!("has more than {MAX_RULE_DIMENSION_VALUE} characters")));
        }
    }
    Ok(given.into_iter().map(|(text, _)| text.to_owned()).collect())
}

/// `failingPeriods`, of at most that many; some clients send its numbers with a fraction of nought.
pub(super) fn failing(member: &Member<'_>, most: i64) -> Result<Option<FailingPeriods>, Error> {
    if member.object()?.is_none() {
        return Ok(None);
    }
    let (of, at_least) = (member.get("numberOfEvaluationPeriods"), member.get("minFailingPeriodsToAlert"));
    let count = |member: &Member<'_>, most: i64| {
        let given = needed(member, member.number()?)?;
        #[allow(clippy::cast_precision_loss, reason = "these are small")]
        let found = (1..=most).find(|count| (*count as f64 - given).abs() < f64::EPSILON);
        found
            .and_then(|count| u32::try_from(count).ok())
            .ok_or_else(|| member.wrong(&format!("must be a whole number from 1 to {most}")))
    };
    let of = count(&of, most)?;
    Ok(Some(FailingPeriods { of, at_least: count(&at_least, of.into())? }))
}
