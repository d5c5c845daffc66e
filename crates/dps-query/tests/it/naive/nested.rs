//! `mv-apply` and `top-nested`: queries over each row's elements, and groups within groups.

use std::cmp::Ordering;

use dps_kql::{Expanded, Node, Plan, TopNestedLevel};

use super::expand::Form;
use super::value::{integer, is_null, null, order};
use super::{Row, Scope};

impl Scope<'_> {
    /// The rows of an operator that looks at rows within rows.
    pub fn nested(&self, plan: &Plan) -> Vec<Row> {
        match &plan.node {
            Node::MvApply { input, columns, item_index, limit, subquery, sources } => {
                let form = Form {
                    columns,
                    item_index: *item_index,
                    bag_as_array: false,
                    limit: *limit,
                    width: applied_width(input.schema.len(), columns, *item_index),
                };
                let mut rows = Vec::new();
                for row in self.rows(input) {
                    let applied = self.expand(&row, &form);
                    let within = Scope { applied: Some(&applied), ..*self };
                    for made in within.rows(subquery) {
                        let cell = |source: &Result<usize, usize>| match source {
                            Ok(index) => made[*index].clone(),
                            Err(index) => row[*index].clone(),
                        };
                        rows.push(sources.iter().map(cell).collect());
                    }
                }
                rows
            }
            Node::TopNested { input, levels } => {
                let rows = self.rows(input);
                self.levels(levels, &rows.iter().collect::<Vec<_>>())
            }
            Node::MakeSeries { .. } => self.make_series(plan),
            other => panic!("{other:?} is not nested"),
        }
    }

    fn levels(&self, levels: &[TopNestedLevel], rows: &[&Row]) -> Vec<Row> {
        let Some((level, rest)) = levels.split_first() else { return vec![Vec::new()] };
        let owned: Vec<Row> = rows.iter().map(|row| (*row).clone()).collect();
        let mut groups: Vec<(Row, Row, Vec<&Row>)> = self
            .groups(std::slice::from_ref(&level.key), &owned)
            .into_iter()
            .map(|(key, members)| (key, self.aggregate(&level.aggregation, &members), members))
            .collect();
        groups.sort_by(|(_, left, _), (_, right, _)| {
            // Nulls are last, whatever is asked for.
            let nulls = is_null(&left[0]).cmp(&is_null(&right[0]));
            let values = order(&left[0], &right[0]).unwrap_or(Ordering::Equal);
            nulls.then(if level.ascending { values } else { values.reverse() })
        });
        let count = level.count.as_ref().and_then(|count| integer(&self.constant(count)));
        let kept = count.map_or(groups.len(), |count| usize::try_from(count).unwrap().min(groups.len()));
        let others = groups.split_off(kept);
        let mut found = Vec::new();
        for (key, by, members) in &groups {
            for inner in self.levels(rest, members) {
                found.push([key.clone(), by.clone(), inner].concat());
            }
        }
        if let Some(name) = level.others.as_ref().filter(|_| !others.is_empty()) {
            let members: Vec<&Row> = others.iter().flat_map(|(_, _, members)| members.clone()).collect();
            let mut row = vec![name.clone()];
            row.extend(self.aggregate(&level.aggregation, &members));
            for level in rest {
                row.push(null(level.key.ty));
                row.extend(self.aggregate(&level.aggregation, &members));
            }
            found.push(row);
        }
        found
    }
}

/// Columns of what a subquery sees: the input's, the expanded ones in place or behind, the index.
fn applied_width(input: usize, columns: &[Expanded], item_index: bool) -> usize {
    let last = columns.iter().map(|column| column.target + 1).max().unwrap_or(0);
    input.max(last) + usize::from(item_index)
}
