//! `make-series`: bins of an axis, one array for each group.

use dps_kql::{Node, Plan, Type, Value};
use serde_json::Value as Json;

use super::calendar;
use super::value::{dynamic, integer, json};
use super::{Row, Scope};

impl Scope<'_> {
    /// The rows of a `make-series` with both ends of its axis.
    pub fn make_series(&self, plan: &Plan) -> Vec<Row> {
        let Node::MakeSeries { input, axis, from, to, step, inclusive, keys, series } = &plan.node else {
            panic!("no make-series")
        };
        let end = |expr: &Option<dps_kql::Expr>| integer(&self.constant(expr.as_ref().unwrap())).unwrap();
        let (from, to, step) = (end(from), end(to), integer(&self.constant(step)).unwrap());
        let mut bins: Vec<i64> =
            std::iter::successors(Some(from), |at| Some(at + step)).take_while(|at| *at < to).collect();
        if *inclusive && bins.last().is_none_or(|last| last + step == to) {
            bins.push(to);
        }
        let bin_of = |row: &Row| {
            let at = integer(&self.value(axis, row))?;
            bins.iter().rposition(|bin| *bin <= at).filter(|bin| at < bins[*bin] + step)
        };
        // `to` ends the axis although its last bin may be wider.
        let is_within =
            |row: &Row| integer(&self.value(axis, row)).is_some_and(|at| at < to || *inclusive && at == to);
        let rows: Vec<Row> =
            self.rows(input).into_iter().filter(|row| is_within(row) && bin_of(row).is_some()).collect();
        let axis_cell = |at: &i64| match axis.ty {
            Type::DateTime => Json::from(calendar::instant_text(*at)),
            Type::TimeSpan => Json::from(calendar::duration_text(*at)),
            _ => Json::from(*at),
        };
        let axis_array = dynamic(Json::Array(bins.iter().map(axis_cell).collect()));
        let mut groups = self.groups(keys, &rows);
        if keys.is_empty() && groups.is_empty() {
            groups.push((Vec::new(), Vec::new()));
        }
        let mut found = Vec::new();
        for (mut row, members) in groups {
            for series in series {
                let cell = |bin: usize| -> Value {
                    let members: Vec<&Row> =
                        members.iter().copied().filter(|row| bin_of(row) == Some(bin)).collect();
                    match members.is_empty() {
                        true => series.default.clone(),
                        false => self.aggregate(&series.aggregation, &members).remove(0),
                    }
                };
                row.push(dynamic(Json::Array((0..bins.len()).map(|bin| json(&cell(bin))).collect())));
            }
            row.push(axis_array.clone());
            found.push(row);
        }
        found
    }
}
