//! Relational operators, each over all rows of its input.

use std::cmp::Ordering;

use dps_kql::{Expr, JoinKind, Node, Plan, SortKey, Type, Value};

use super::value::{integer, is_null, long, order, real, same_row};
use super::{Row, Scope, nothing};

impl Scope<'_> {
    /// The rows of a plan.
    pub fn rows(&self, plan: &Plan) -> Vec<Row> {
        match &plan.node {
            Node::Table { name, .. } => self.tables.0[name].clone(),
            Node::Values { rows } => rows.clone(),
            Node::Range { from, to, step } => self.range(from, to, step, plan.schema[0].ty),
            Node::Filter { input, predicate } => {
                self.rows(input).into_iter().filter(|row| self.holds(predicate, row)).collect()
            }
            Node::Project { input, columns } => {
                let project = |row: &Row| columns.iter().map(|expr| self.value(expr, row)).collect();
                self.rows(input).iter().map(project).collect()
            }
            Node::Aggregate { input, keys, aggregations } => {
                let rows = self.rows(input);
                let mut groups = self.groups(keys, &rows);
                if keys.is_empty() && groups.is_empty() {
                    groups.push((Vec::new(), Vec::new()));
                }
                let outputs = |members: &[&Row]| {
                    aggregations.iter().flat_map(|each| self.aggregate(each, members)).collect::<Row>()
                };
                groups.into_iter().map(|(key, members)| [key, outputs(&members)].concat()).collect()
            }
            Node::Sort { input, keys } => {
                let mut rows = self.rows(input);
                rows.sort_by(|left, right| self.order(keys, left, right));
                rows
            }
            Node::Take { input, count } => {
                let count = integer(&self.constant(count)).unwrap_or(0).max(0);
                self.rows(input).into_iter().take(usize::try_from(count).unwrap()).collect()
            }
            Node::Join { kind, left, right, on } => self.join(*kind, left, right, on),
            Node::Union { inputs } => inputs.iter().flat_map(|input| self.rows(input)).collect(),
            Node::MvExpand { input, columns, item_index, bag_as_array, limit } => {
                let form = super::expand::Form {
                    columns,
                    item_index: *item_index,
                    bag_as_array: *bag_as_array,
                    limit: *limit,
                    width: plan.schema.len(),
                };
                self.rows(input).iter().flat_map(|row| self.expand(row, &form)).collect()
            }
            Node::Parse { input, source, pieces, mode, keep_unmatched } => {
                let parse = |row: Row| self.parse(row, source, pieces, *mode, *keep_unmatched, &plan.schema);
                self.rows(input).into_iter().filter_map(parse).collect()
            }
            Node::Window { input, functions } => self.windows(self.rows(input), functions),
            Node::Applied => self.applied.unwrap().to_vec(),
            Node::MvApply { .. } | Node::TopNested { .. } | Node::MakeSeries { .. } => self.nested(plan),
            Node::Opened(_) | Node::ParseKv { .. } => panic!("no such query is made"),
        }
    }

    fn range(&self, from: &Expr, to: &Expr, step: &Expr, ty: Type) -> Vec<Row> {
        let (from, to, step) = (self.constant(from), self.constant(to), self.constant(step));
        if ty == Type::Real {
            let (from, to, step) = (real(&from).unwrap(), real(&to).unwrap(), real(&step).unwrap());
            let count = (0..).map(|n| from + f64::from(n) * step);
            return count.take_while(|at| *at <= to).map(|at| vec![Value::Real(at)]).collect();
        }
        let ends = (integer(&from).unwrap(), integer(&to).unwrap(), integer(&step).unwrap());
        let (mut at, to, step) = ends;
        let mut rows = Vec::new();
        while at <= to && step > 0 || at >= to && step < 0 {
            rows.push(vec![match ty {
                Type::DateTime => Value::DateTime(at),
                Type::TimeSpan => Value::TimeSpan(at),
                Type::Int => Value::Int(i32::try_from(at).unwrap()),
                _ => Value::Long(at),
            }]);
            at += step;
        }
        rows
    }

    fn order(&self, keys: &[SortKey], left: &Row, right: &Row) -> Ordering {
        let ordering = |key: &SortKey| {
            let (left, right) = (self.value(&key.expr, left), self.value(&key.expr, right));
            // What is no number stands beside the nulls.
            let place = |value: &Value| match value {
                Value::Null(_) => 0,
                Value::Real(value) if value.is_nan() => 1,
                _ => 2,
            };
            let places = place(&left).cmp(&place(&right));
            let places = if key.nulls_first { places } else { places.reverse() };
            let values = order(&left, &right).unwrap_or(Ordering::Equal);
            places.then(if key.descending { values.reverse() } else { values })
        };
        keys.iter().map(ordering).find(|found| found.is_ne()).unwrap_or(Ordering::Equal)
    }

    fn join(&self, kind: JoinKind, left: &Plan, right: &Plan, on: &[(Expr, Expr)]) -> Vec<Row> {
        let keyed = |plan: &Plan, side: fn(&(Expr, Expr)) -> &Expr| {
            let rows = self.rows(plan).into_iter();
            let key = |row: &Row| on.iter().map(|pair| self.value(side(pair), row)).collect::<Row>();
            rows.map(|row| (key(&row), row)).collect::<Vec<_>>()
        };
        let mut lefts = keyed(left, |pair| &pair.0);
        let rights = keyed(right, |pair| &pair.1);
        if kind == JoinKind::InnerUnique {
            let mut first: Vec<(Row, Row)> = Vec::new();
            for (key, row) in lefts {
                if !first.iter().any(|(known, _)| same_row(known, &key)) {
                    first.push((key, row));
                }
            }
            lefts = first;
        }
        let is_met = |key: &Row, others: &[(Row, Row)]| others.iter().any(|(other, _)| same_row(key, other));
        let of_side = |rows: &[(Row, Row)], others: &[(Row, Row)], wanted: bool| {
            let chosen = rows.iter().filter(|(key, _)| is_met(key, others) == wanted);
            chosen.map(|(_, row)| row.clone()).collect::<Vec<_>>()
        };
        match kind {
            JoinKind::LeftSemi => return of_side(&lefts, &rights, true),
            JoinKind::LeftAnti => return of_side(&lefts, &rights, false),
            JoinKind::RightSemi => return of_side(&rights, &lefts, true),
            JoinKind::RightAnti => return of_side(&rights, &lefts, false),
            _ => {}
        }
        let mut rows = Vec::new();
        for (key, row) in &lefts {
            let partners = rights.iter().filter(|(other, _)| same_row(key, other));
            rows.extend(partners.map(|(_, partner)| [row.clone(), partner.clone()].concat()));
        }
        if matches!(kind, JoinKind::LeftOuter | JoinKind::FullOuter) {
            let alone = of_side(&lefts, &rights, false).into_iter();
            rows.extend(alone.map(|row| [row, nothing(&right.schema)].concat()));
        }
        if matches!(kind, JoinKind::RightOuter | JoinKind::FullOuter) {
            let alone = of_side(&rights, &lefts, false).into_iter();
            rows.extend(alone.map(|row| [nothing(&left.schema), row].concat()));
        }
        rows
    }

    fn windows(&self, rows: Vec<Row>, functions: &[dps_kql::WindowFunction]) -> Vec<Row> {
        let columns: Vec<Vec<Value>> = functions.iter().map(|each| self.window(&rows, each)).collect();
        let widened = rows.into_iter().enumerate().map(|(at, mut row)| {
            row.extend(columns.iter().map(|column| column[at].clone()));
            row
        });
        widened.collect()
    }

    fn window(&self, rows: &[Row], function: &dps_kql::WindowFunction) -> Vec<Value> {
        use dps_kql::WindowFunction as W;
        let begins_anew =
            |restart: &Option<Expr>, row: &Row| restart.as_ref().is_some_and(|expr| self.holds(expr, row));
        match function {
            W::RowNumber { start, restart } => {
                let mut next = *start;
                let number = |row: &Row| {
                    next = if begins_anew(restart, row) { start + 1 } else { next + 1 };
                    Value::Long(next - 1)
                };
                rows.iter().map(number).collect()
            }
            W::CumulativeSum { term, restart } => {
                let mut sum = 0.0;
                let add = |row: &Row| {
                    let value = self.value(term, row);
                    let before = if begins_anew(restart, row) { 0.0 } else { sum };
                    sum = before + if is_null(&value) { 0.0 } else { real(&value).unwrap() };
                    if term.ty == Type::Real { Value::Real(sum) } else { long(integer(&Value::Real(sum))) }
                };
                rows.iter().map(add).collect()
            }
            W::Shifted { value, offset, default } => {
                let shifted = |at: usize| {
                    let from = i64::try_from(at).unwrap() - offset;
                    let row = usize::try_from(from).ok().and_then(|from| rows.get(from));
                    row.map_or_else(|| default.clone(), |row| self.value(value, row))
                };
                (0..rows.len()).map(shifted).collect()
            }
        }
    }
}
