//! KQL run the naive way: a plan, row by row, over rows in memory, by the book and with nothing of the engine. What the
//! engine answers is compared with it.
//!
//! Owns what each operator means; must not know `DataFusion`, Arrow or `dps_query`. It knows the operators and functions
//! that `generate` makes queries of, and no limits.

#![allow(
    clippy::match_bool,
    clippy::range_plus_one,
    clippy::format_push_string,
    reason = "what is compared with is kept short rather than quick"
)]

mod aggregate;
mod arithmetic;
mod calendar;
mod expand;
pub mod generate;
mod nested;
mod operators;
mod scalar;
mod series;
mod text;
pub mod value;

use std::collections::HashMap;

use dps_kql::{Expr, ExprKind, Plan, Schema, Step, Value};

/// A row.
pub type Row = Vec<Value>;

/// The tables there are, by name.
pub struct Tables(pub HashMap<String, Vec<Row>>);

/// What a plan is run with.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    tables: &'a Tables,
    /// Rows and columns of the `mv-apply` around.
    applied: Option<&'a [Row]>,
}

/// The rows of a plan.
pub fn rows(plan: &Plan, tables: &Tables) -> Vec<Row> {
    Scope { tables, applied: None }.rows(plan)
}

impl Scope<'_> {
    /// The value of an expression over a row.
    fn value(&self, expr: &Expr, row: &[Value]) -> Value {
        match &expr.kind {
            ExprKind::Literal(value) => value.clone(),
            ExprKind::Column(index) => row[*index].clone(),
            ExprKind::Call { function, args } => {
                let values: Vec<_> = args.iter().map(|arg| self.value(arg, row)).collect();
                scalar::call(*function, &values, expr.ty)
            }
            ExprKind::Path { base, steps } => {
                steps.iter().fold(self.value(base, row), |value, step| match step {
                    Step::Member(name) => value::member(&value, name),
                    Step::Index(index) => value::element(&value, *index),
                    Step::Computed(expr) => match self.value(expr, row) {
                        Value::String(name) => value::member(&value, &name),
                        other => value::integer(&other)
                            .map_or(value::null(expr.ty), |index| value::element(&value, index)),
                    },
                })
            }
            ExprKind::InQuery { value, query, negated, ignore_case } => {
                let value = self.value(value, row);
                let found = self.rows(query).iter().any(|row| scalar::among(&value, &row[0], *ignore_case));
                Value::Bool(found != *negated)
            }
            ExprKind::ScalarQuery(query) => {
                self.rows(query).first().map_or_else(|| value::null(expr.ty), |row| row[0].clone())
            }
        }
    }

    /// Whether it is true; null is not.
    fn holds(&self, expr: &Expr, row: &[Value]) -> bool {
        self.value(expr, row) == Value::Bool(true)
    }

    /// The value of an expression without columns.
    fn constant(&self, expr: &Expr) -> Value {
        self.value(expr, &[])
    }

    /// Rows in groups by keys, in the order in which groups first appear.
    fn groups<'r>(&self, keys: &[Expr], rows: &'r [Row]) -> Vec<(Row, Vec<&'r Row>)> {
        let mut groups: Vec<(Row, Vec<&Row>)> = Vec::new();
        for row in rows {
            let key: Row = keys.iter().map(|key| self.value(key, row)).collect();
            match groups.iter_mut().find(|(known, _)| value::same_row(known, &key)) {
                Some((_, members)) => members.push(row),
                None => groups.push((key, vec![row])),
            }
        }
        groups
    }
}

/// A row of a schema that holds nothing.
fn nothing(schema: &Schema) -> Row {
    schema.iter().map(|column| value::null(column.ty)).collect()
}
