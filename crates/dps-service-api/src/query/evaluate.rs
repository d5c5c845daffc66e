//! Judges one row. Every condition is true or false: what is absent is `null`, values of two types differ and have no
//! order, and NOT is the contrary. Must not know the text of the query.

use std::cmp::Ordering;

use dps_model::Timestamp;
use serde_json::{Number, Value};

use super::members::Kind;
use super::syntax::{Condition, Literal, Operand, Operator, Path, Step, TextFunction};

/// Is the condition true of the row?
pub(super) fn holds(condition: &Condition, row: &Value) -> bool {
    match condition {
        Condition::Constant(value) => *value,
        Condition::And(parts) => parts.iter().all(|part| holds(part, row)),
        Condition::Or(parts) => parts.iter().any(|part| holds(part, row)),
        Condition::Not(inner) => !holds(inner, row),
        Condition::Compare(left, operator, right) => {
            let fold = folds(left) || folds(right);
            compare(&seen(left, row), *operator, &seen(right, row), fold)
        }
        Condition::In { operand, negated, list } => {
            let (value, fold) = (seen(operand, row), folds(operand));
            list.iter().any(|literal| equal(&value, &literal.into(), fold)) != *negated
        }
        Condition::IsDefined(path) => find(path, row).is_some(),
        Condition::IsTrue(path) => find(path, row) == Some(&Value::Bool(true)),
        Condition::ArrayContains(path, literal) => {
            let items = find(path, row).and_then(Value::as_array);
            let (wanted, fold) = (literal.into(), path.kind == Kind::Name);
            items.is_some_and(|items| items.iter().any(|item| equal(&item.into(), &wanted, fold)))
        }
        Condition::Text { function, operand, part, ignore_case } => match seen_as_text(operand, row) {
            Some(text) if *ignore_case || folds(operand) => {
                found(*function, &text.to_ascii_lowercase(), &part.to_ascii_lowercase())
            }
            Some(text) => found(*function, text, part),
            None => false,
        },
    }
}

/// A value as it is compared.
#[derive(Clone, Copy)]
enum Seen<'a> {
    Null,
    Flag(bool),
    Number(&'a Number),
    Text(&'a str),
    Time(Timestamp),
    /// A list or an object: equals nothing.
    Other,
}

impl<'a> From<&'a Value> for Seen<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Flag(*value),
            Value::Number(number) => Self::Number(number),
            Value::String(text) => Self::Text(text),
            Value::Array(_) | Value::Object(_) => Self::Other,
        }
    }
}

impl<'a> From<&'a Literal> for Seen<'a> {
    fn from(literal: &'a Literal) -> Self {
        match literal {
            Literal::Null => Self::Null,
            Literal::Flag(value) => Self::Flag(*value),
            Literal::Number(number) => Self::Number(number),
            Literal::Text(text) => Self::Text(text),
            Literal::Time { at, .. } => Self::Time(*at),
        }
    }
}

fn seen<'a>(operand: &'a Operand, row: &'a Value) -> Seen<'a> {
    match operand {
        Operand::Literal(literal) => literal.into(),
        Operand::Path(path) => match (path.kind, find(path, row)) {
            (_, None) => Seen::Null,
            (Kind::Time, Some(Value::String(text))) => {
                Timestamp::parse(text).map_or(Seen::Text(text), Seen::Time)
            }
            (_, Some(value)) => value.into(),
        },
    }
}

/// The operand's text, a time's as it is written.
fn seen_as_text<'a>(operand: &'a Operand, row: &'a Value) -> Option<&'a str> {
    match operand {
        Operand::Literal(Literal::Text(text) | Literal::Time { text, .. }) => Some(text),
        Operand::Literal(_) => None,
        Operand::Path(path) => find(path, row).and_then(Value::as_str),
    }
}

fn folds(operand: &Operand) -> bool {
    matches!(operand, Operand::Path(Path { kind: Kind::Name, .. }))
}

fn find<'a>(path: &Path, row: &'a Value) -> Option<&'a Value> {
    path.steps.iter().try_fold(row, |value, step| match step {
        Step::Name(name) => value.as_object()?.get(name),
        Step::Index(index) => value.as_array()?.get(*index),
    })
}

fn compare(left: &Seen<'_>, operator: Operator, right: &Seen<'_>, fold: bool) -> bool {
    let order = || order(left, right, fold);
    match operator {
        Operator::Equal => equal(left, right, fold),
        Operator::Different => !equal(left, right, fold),
        Operator::Less => order() == Some(Ordering::Less),
        Operator::LessOrEqual => order().is_some_and(Ordering::is_le),
        Operator::Greater => order() == Some(Ordering::Greater),
        Operator::GreaterOrEqual => order().is_some_and(Ordering::is_ge),
    }
}

fn equal(left: &Seen<'_>, right: &Seen<'_>, fold: bool) -> bool {
    match (left, right) {
        (Seen::Null, Seen::Null) => true,
        (Seen::Flag(left), Seen::Flag(right)) => left == right,
        (Seen::Text(left), Seen::Text(right)) if fold => left.eq_ignore_ascii_case(right),
        _ => order(left, right, fold) == Some(Ordering::Equal),
    }
}

/// Numbers, texts and times have an order, each among themselves.
fn order(left: &Seen<'_>, right: &Seen<'_>, fold: bool) -> Option<Ordering> {
    match (left, right) {
        (Seen::Number(left), Seen::Number(right)) => numbers(left, right),
        (Seen::Text(left), Seen::Text(right)) if fold => {
            let lower = |text: &str| text.bytes().map(|byte| byte.to_ascii_lowercase()).collect::<Vec<_>>();
            Some(lower(left).cmp(&lower(right)))
        }
        (Seen::Text(left), Seen::Text(right)) => Some(left.cmp(right)),
        (Seen::Time(left), Seen::Time(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

fn numbers(left: &Number, right: &Number) -> Option<Ordering> {
    match (left.as_i128(), right.as_i128()) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

fn found(function: TextFunction, text: &str, part: &str) -> bool {
    match function {
        TextFunction::StartsWith => text.starts_with(part),
        TextFunction::EndsWith => text.ends_with(part),
        TextFunction::Contains => text.contains(part),
    }
}
