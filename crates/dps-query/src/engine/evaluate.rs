//! `evaluate`: what it yields depends on rows, so it is computed before the query is analysed to its end.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch, StringArray,
    StringBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use dps_kql::{Aggregation, Column, Evaluate, Expr, ExprKind, Node, Plan, Scalar, Schema, Type};

use super::limits::EVALUATED_COLUMNS;
use super::work::Bench;
use crate::functions::{self, json};
use crate::lower::Computed;

/// Cells that `pivot` fills.
const PIVOT_CELLS: usize = 10_000_000;

/// Columns and rows.
pub struct Evaluated {
    /// The columns, for the next analysis.
    pub schema: Schema,
    /// The rows.
    pub computed: Computed,
}

impl Bench {
    /// Runs the input and evaluates.
    pub async fn evaluate(&mut self, input: Plan, evaluate: &Evaluate) -> Result<Evaluated> {
        match evaluate {
            Evaluate::Pivot { column, aggregation, keys } => {
                self.pivot(input, column, aggregation, keys).await
            }
            Evaluate::BagUnpack { column, prefix, conflict, ignored } => {
                let schema = input.schema.clone();
                let rows = self.rows(input).await?;
                let unpack = Unpack { column: *column, prefix, conflict, ignored };
                unpack.run(&schema, &rows)
            }
        }
    }

    async fn pivot(
        &mut self,
        input: Plan,
        column: &Expr,
        aggregation: &Aggregation,
        keys: &[(String, Expr)],
    ) -> Result<Evaluated> {
        let Some(output) = aggregation.outputs.first() else {
            return plan_err!("pivot: an aggregate of nothing");
        };
        let name = match column.ty {
            Type::String => column.clone(),
            _ => Expr {
                kind: ExprKind::Call { function: Scalar::ToString, args: vec![column.clone()] },
                ty: Type::String,
            },
        };
        let empty = Plan { node: Node::Values { rows: Vec::new() }, schema: input.schema.clone() };
        let aggregate = |input: Plan, keys: Vec<(String, Expr)>| {
            let mut schema: Schema =
                keys.iter().map(|(name, key)| Column { name: name.clone(), ty: key.ty }).collect();
            schema.push(output.clone());
            let keys = keys.into_iter().map(|(_, key)| key).collect();
            let aggregations = vec![aggregation.clone()];
            Plan { node: Node::Aggregate { input: Box::new(input), keys, aggregations }, schema }
        };
        let nothing = self.rows(aggregate(empty, Vec::new())).await?;
        let default = match nothing.batches.iter().find(|batch| batch.num_rows() > 0) {
            Some(batch) => ScalarValue::try_from_array(batch.column(0), 0)?,
            None => functions::null(output.ty),
        };
        let all = keys.iter().cloned().chain([("name".to_owned(), name)]).collect();
        let grouped = self.rows(aggregate(input, all)).await?;
        let mut pivot = Pivot::default();
        for batch in &grouped.batches {
            pivot.read(batch, keys.len())?;
        }
        let keys = keys.iter().map(|(name, key)| Column { name: name.clone(), ty: key.ty }).collect();
        pivot.finish(keys, output.ty, &default)
    }
}

#[derive(Default)]
struct Pivot {
    groups: Vec<Vec<ScalarValue>>,
    places: HashMap<Vec<ScalarValue>, usize>,
    /// Cells of each name, by group.
    cells: BTreeMap<String, HashMap<usize, ScalarValue>>,
}

impl Pivot {
    fn read(&mut self, batch: &RecordBatch, keys: usize) -> Result<()> {
        let (Some(names), Some(values)) = (batch.columns().get(keys), batch.columns().get(keys + 1)) else {
            return internal_err!("pivot without names or values");
        };
        for row in 0..batch.num_rows() {
            let key =
                batch.columns().iter().take(keys).map(|column| ScalarValue::try_from_array(column, row));
            let key = key.collect::<Result<Vec<_>>>()?;
            let next = self.groups.len();
            let group = *self.places.entry(key).or_insert_with_key(|key| {
                self.groups.push(key.clone());
                next
            });
            let names = names.as_string::<i32>();
            let name = if names.is_valid(row) { names.value(row) } else { "" };
            let value = ScalarValue::try_from_array(values, row)?;
            self.cells.entry(name.to_owned()).or_default().insert(group, value);
            if self.cells.len() > EVALUATED_COLUMNS {
                return plan_err!("pivot: more than {EVALUATED_COLUMNS} columns");
            }
            if self.cells.len().saturating_mul(self.groups.len()) > PIVOT_CELLS {
                return plan_err!("pivot: more than {PIVOT_CELLS} cells");
            }
        }
        Ok(())
    }

    fn finish(mut self, keys: Schema, ty: Type, default: &ScalarValue) -> Result<Evaluated> {
        let mut schema = keys;
        let mut arrays = Vec::new();
        for (at, column) in schema.iter().enumerate() {
            let cells = self.groups.iter().filter_map(|group| group.get(at).cloned());
            arrays.push(array(cells.collect(), column.ty)?);
        }
        let mut names: HashSet<String> = schema.iter().map(|column| column.name.clone()).collect();
        for (name, mut cells) in std::mem::take(&mut self.cells) {
            let name = unique(&name, &mut names);
            let column =
                (0..self.groups.len()).map(|group| cells.remove(&group).unwrap_or_else(|| default.clone()));
            arrays.push(array(column.collect(), ty)?);
            schema.push(Column { name, ty });
        }
        evaluated(schema, arrays, self.groups.len())
    }
}

fn array(cells: Vec<ScalarValue>, ty: Type) -> Result<ArrayRef> {
    if cells.is_empty() {
        return Ok(datafusion::arrow::array::new_empty_array(&functions::arrow_type(ty)));
    }
    ScalarValue::iter_to_array(cells)
}

/// A name that no column has yet; one without letters gets one.
fn unique(name: &str, names: &mut HashSet<String>) -> String {
    let name = if name.is_empty() { "Column" } else { name };
    let mut found = name.to_owned();
    let mut number = 1_usize;
    while !names.insert(found.clone()) {
        found = format!("{name}{number}");
        number += 1;
    }
    found
}

fn evaluated(schema: Schema, arrays: Vec<ArrayRef>, rows: usize) -> Result<Evaluated> {
    let fields = schema.iter().enumerate();
    let fields =
        fields.map(|(at, column)| Field::new(at.to_string(), functions::arrow_type(column.ty), true));
    let arrow = Arc::new(datafusion::arrow::datatypes::Schema::new(fields.collect::<Vec<_>>()));
    let options = datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&arrow), arrays, &options)?;
    Ok(Evaluated { schema, computed: Computed { schema: arrow, batches: vec![batch] } })
}

struct Unpack<'a> {
    column: usize,
    prefix: &'a str,
    conflict: &'a str,
    ignored: &'a [String],
}

impl Unpack<'_> {
    fn run(&self, schema: &Schema, rows: &Computed) -> Result<Evaluated> {
        let members = self.members(rows)?;
        let names: HashSet<&str> = schema
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != self.column)
            .map(|(_, column)| column.name.as_str())
            .collect();
        let mut made: Vec<(String, Column)> = Vec::new();
        let mut replaced: HashSet<String> = HashSet::new();
        for (member, ty) in members {
            let name = format!("{}{member}", self.prefix);
            if names.contains(name.as_str()) {
                match self.conflict {
                    "replace_source" => {
                        replaced.insert(name.clone());
                    }
                    "keep_source" => continue,
                    _ => return plan_err!("bag_unpack: there is a column {name} already"),
                }
            }
            made.push((member, Column { name, ty }));
        }
        let mut out_schema = Schema::new();
        let mut arrays = Vec::new();
        let whole = datafusion::arrow::compute::concat_batches(&rows.schema, &rows.batches)?;
        for (at, (column, array)) in schema.iter().zip(whole.columns()).enumerate() {
            if at == self.column {
                for (member, column) in &made {
                    arrays.push(unpacked(array.as_string::<i32>(), member, column.ty));
                    out_schema.push(column.clone());
                }
            } else if !replaced.contains(&column.name) {
                arrays.push(Arc::clone(array));
                out_schema.push(column.clone());
            }
        }
        evaluated(out_schema, arrays, whole.num_rows())
    }

    /// Names of members, in order, and what all of their values are.
    fn members(&self, rows: &Computed) -> Result<BTreeMap<String, Type>> {
        let mut found: BTreeMap<String, Option<Type>> = BTreeMap::new();
        for batch in &rows.batches {
            let Some(bags) = batch.columns().get(self.column).and_then(|bags| bags.as_string_opt::<i32>())
            else {
                return internal_err!("bag_unpack of what is no dynamic");
            };
            for (name, value) in bags.iter().flatten().filter_map(json::members).flatten() {
                if self.ignored.iter().any(|ignored| *ignored == name) {
                    continue;
                }
                let ty = type_of(value);
                match found.get_mut(name.as_ref()) {
                    Some(known) => *known = common_type(*known, ty),
                    None => {
                        found.insert(name.into_owned(), ty);
                    }
                }
                if found.len() > EVALUATED_COLUMNS {
                    return plan_err!("bag_unpack: more than {EVALUATED_COLUMNS} columns");
                }
            }
        }
        Ok(found.into_iter().map(|(name, ty)| (name, ty.unwrap_or(Type::Dynamic))).collect())
    }
}

fn type_of(value: &str) -> Option<Type> {
    match value.bytes().next()? {
        b'"' => Some(Type::String),
        b't' | b'f' => Some(Type::Bool),
        b'n' => None,
        b'[' | b'{' => Some(Type::Dynamic),
        _ if value.parse::<i64>().is_ok() => Some(Type::Long),
        _ => Some(Type::Real),
    }
}

fn common_type(one: Option<Type>, other: Option<Type>) -> Option<Type> {
    match (one, other) {
        (None, ty) | (ty, None) => ty,
        (Some(one), Some(other)) if one == other => Some(one),
        (Some(Type::Long | Type::Real), Some(Type::Long | Type::Real)) => Some(Type::Real),
        _ => Some(Type::Dynamic),
    }
}

fn unpacked(bags: &StringArray, member: &str, ty: Type) -> ArrayRef {
    let value = |bag: &str| -> Option<String> {
        let found = json::members(bag)?.into_iter().find(|(name, _)| name == member)?.1;
        (found != "null").then(|| found.to_owned())
    };
    let values = bags.iter().map(|bag| bag.and_then(value));
    match functions::arrow_type(ty) {
        DataType::Boolean => {
            let mut builder = BooleanBuilder::new();
            values.for_each(|value| builder.append_option(value.map(|value| value == "true")));
            Arc::new(builder.finish())
        }
        DataType::Int64 => {
            let mut builder = Int64Builder::new();
            values.for_each(|value| builder.append_option(value.and_then(|value| value.parse().ok())));
            Arc::new(builder.finish())
        }
        DataType::Float64 => {
            let mut builder = Float64Builder::new();
            values.for_each(|value| builder.append_option(value.and_then(|value| value.parse().ok())));
            Arc::new(builder.finish())
        }
        _ => {
            let mut builder = StringBuilder::new();
            for value in values {
                match (ty, value) {
                    (Type::String, value) => {
                        let value = value.unwrap_or_default();
                        builder.append_value(json::unquote(&value).unwrap_or_default());
                    }
                    (_, value) => builder.append_option(value),
                }
            }
            Arc::new(builder.finish())
        }
    }
}
