//! `mv-apply`: its subquery does not run once for each row, but once for all: rows carry the number of the row that they
//! come from, and every operator keeps them apart by it.

use datafusion::common::{Result, plan_err};
use dps_kql::{Node, Plan};

use super::{Lowering, Relation, column, expand};
use crate::functions;
use crate::operator::{Window, WindowColumn};
use datafusion::arrow::datatypes::DataType;

/// What a subquery of `mv-apply` stands on.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The expanded rows.
    pub leaf: Relation,
    /// The rows before they are expanded; they carry the same.
    pub rows: Relation,
}

impl Lowering<'_> {
    pub(super) fn apply(&self, plan: &Plan, applied: Option<&Applied>) -> Result<Relation> {
        let Node::MvApply { input, columns, item_index, limit, subquery, sources } = &plan.node else {
            return plan_err!("no mv-apply");
        };
        let appended = columns.iter().map(|expanded| expanded.target + 1).max().unwrap_or(0);
        let width = input.schema.len().max(appended) + usize::from(*item_index);
        let input = self.relation(input, &[], applied)?;
        let outer = input.carried.clone();
        let row = self.name()?;
        let number = WindowColumn::RowNumber { start: 0, restart: None };
        let numbers = Window { columns: vec![(row.clone(), DataType::Int64, number)] };
        let numbered = self.operator(input, numbers)?;
        let kept = sources.iter().filter_map(|source| source.err()).map(|index| {
            let Some(name) = numbered.columns.get(index) else {
                return plan_err!("mv-apply: a column that is not there: {index}");
            };
            Ok(column(name))
        });
        let kept = kept.collect::<Result<Vec<_>>>()?;
        let (mut rows, kept) = self.extended(numbered, kept)?;
        rows.carried =
            std::iter::once(row).chain(outer.iter().cloned()).chain(kept.iter().cloned()).collect();
        let shape =
            expand::Shape { columns, item_index: *item_index, bag_as_array: false, limit: *limit, width };
        let leaf = self.expand(rows.clone(), &shape)?;
        let result = self.relation(subquery, &[], Some(&Applied { leaf, rows }))?;
        // Operators may have named anew what is carried; its order stays.
        let Some(carried) =
            result.carried.get(1..).filter(|carried| carried.len() == outer.len() + kept.len())
        else {
            return plan_err!("mv-apply: its subquery does not begin with what it expands");
        };
        let (outer, kept) = carried.split_at(outer.len());
        let mut kept = kept.iter();
        let mut outputs = Vec::with_capacity(sources.len());
        for (source, output) in sources.iter().zip(&plan.schema) {
            outputs.push(
                match source {
                    Ok(index) => result.columns.get(*index).map(|name| column(name)),
                    Err(_) => kept.next().map(|name| column(name)),
                }
                .unwrap_or_else(|| datafusion::logical_expr::lit(functions::null(output.ty))),
            );
        }
        let outer = outer.to_vec();
        self.project(Relation { plan: result.plan, columns: Vec::new(), carried: outer }, outputs)
    }
}
