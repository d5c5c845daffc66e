//! `mv-expand` and `parse`: several rows or columns of one row.

use dps_kql::{Expanded, Expr, ParseMode, ParsePiece, Scalar, Schema, Type, Value};
use serde_json::Value as Json;

use super::scalar::convert;
use super::value::{dynamic, is_null, null, string, text};
use super::{Row, Scope};

/// How an `mv-expand` expands.
pub struct Form<'a> {
    pub columns: &'a [Expanded],
    pub item_index: bool,
    pub bag_as_array: bool,
    pub limit: Option<u64>,
    /// Columns of what comes out.
    pub width: usize,
}

impl Scope<'_> {
    /// The rows that a row is expanded to.
    pub fn expand(&self, row: &Row, form: &Form<'_>) -> Vec<Row> {
        let sources = form.columns.iter().map(|column| self.value(&column.source, row));
        let lists: Vec<Vec<Json>> = sources.map(|value| elements(&value, form.bag_as_array)).collect();
        let count = lists.iter().map(Vec::len).max().unwrap_or(0);
        let count = form.limit.map_or(count, |limit| count.min(usize::try_from(limit).unwrap()));
        let mut rows = Vec::new();
        for at in 0..count {
            let mut expanded = row.clone();
            expanded.resize(form.width, Value::Null(Type::Dynamic));
            for (column, list) in form.columns.iter().zip(&lists) {
                let element = dynamic(list.get(at).cloned().unwrap_or_default());
                expanded[column.target] = to_type(&element, column.ty);
            }
            if form.item_index {
                expanded[form.width - 1] = Value::Long(i64::try_from(at).unwrap());
            }
            rows.push(expanded);
        }
        rows
    }

    /// The row with what its text is made of; none where a row that does not match is left out.
    pub fn parse(
        &self,
        mut row: Row,
        source: &Expr,
        pieces: &[ParsePiece],
        mode: ParseMode,
        keep_unmatched: bool,
        schema: &Schema,
    ) -> Option<Row> {
        let source = text(&self.value(source, &row));
        let names = pieces.iter().filter_map(|piece| match piece {
            ParsePiece::Column(index) => Some(*index),
            _ => None,
        });
        let columns: Vec<usize> = names.collect();
        let takes = |index: usize, part: &str| match schema[index].ty {
            // In the strict modes digits are looked for, not anything that turns out to be none.
            Type::Int | Type::Long if mode != ParseMode::Relaxed => part.trim_start().parse::<i64>().is_ok(),
            _ => true,
        };
        let parts = matched(&source, pieces, &takes);
        let values: Option<Vec<Value>> = parts.map(|parts| {
            let typed = columns.iter().zip(&parts);
            typed.map(|(index, part)| to_type(&string(part.as_str()), schema[*index].ty)).collect()
        });
        // All or nothing, unless it is relaxed.
        let values = values.filter(|values| mode == ParseMode::Relaxed || !values.iter().any(is_null));
        if values.is_none() && !keep_unmatched {
            return None;
        }
        row.resize_with(schema.len(), || Value::Null(Type::Dynamic));
        for (at, index) in columns.iter().enumerate() {
            row[*index] =
                values.as_ref().map_or_else(|| null(schema[*index].ty), |values| values[at].clone());
        }
        Some(row)
    }
}

fn elements(value: &Value, bag_as_array: bool) -> Vec<Json> {
    match value {
        Value::Dynamic(Json::Array(elements)) => elements.clone(),
        Value::Dynamic(Json::Object(members)) => members
            .iter()
            .map(|(name, value)| match bag_as_array {
                true => Json::Array(vec![name.as_str().into(), value.clone()]),
                false => Json::Object([(name.clone(), value.clone())].into_iter().collect()),
            })
            .collect(),
        Value::Dynamic(scalar) => vec![scalar.clone()],
        _ => vec![Json::Null],
    }
}

pub fn to_type(value: &Value, ty: Type) -> Value {
    let conversion = match ty {
        Type::Dynamic => return value.clone(),
        Type::String => Scalar::ToString,
        Type::Long => Scalar::ToLong,
        Type::Int => Scalar::ToInt,
        Type::Real => Scalar::ToReal,
        Type::Bool => Scalar::ToBool,
        Type::DateTime => Scalar::ToDateTime,
        Type::TimeSpan => Scalar::ToTimeSpan,
        other => panic!("nothing becomes a {}", other.name()),
    };
    convert(conversion, value, ty)
}

/// What the columns of a pattern take of the whole text, each as little as it can of what it takes.
fn matched(text: &str, pieces: &[ParsePiece], takes: &dyn Fn(usize, &str) -> bool) -> Option<Vec<String>> {
    let Some((piece, rest)) = pieces.split_first() else { return text.is_empty().then(Vec::new) };
    if let ParsePiece::Literal(literal) = piece {
        return matched(text.strip_prefix(literal.as_str())?, rest, takes);
    }
    let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    ends.into_iter().find_map(|end| {
        let column = match piece {
            ParsePiece::Column(index) => Some(*index),
            _ => None,
        };
        if column.is_some_and(|index| !takes(index, &text[..end])) {
            return None;
        }
        let mut parts = matched(&text[end..], rest, takes)?;
        if column.is_some() {
            parts.insert(0, text[..end].to_owned());
        }
        Some(parts)
    })
}
