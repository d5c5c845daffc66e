//! `summarize` and what is one. Aggregates over nothing yield a row where there are no keys.

use std::sync::Arc;

use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{EmptyRelation, Expr, JoinType, LogicalPlan, LogicalPlanBuilder, lit, when};
use dps_kql::Aggregation;

use super::apply::Applied;
use super::{Lowering, Relation, column};
use crate::functions;

impl Lowering<'_> {
    pub(super) fn aggregate(
        &self,
        input: &Relation,
        keys: &[dps_kql::Expr],
        aggregations: &[Aggregation],
        applied: Option<&Applied>,
    ) -> Result<Relation> {
        let lowered = self.exprs(keys, input)?;
        let aggregations: Vec<_> = aggregations.iter().collect();
        match applied {
            Some(applied) if keys.is_empty() && !input.carried.is_empty() => {
                self.aggregate_each(input, &aggregations, applied)
            }
            _ => self.grouped(input.clone(), lowered, &aggregations),
        }
    }

    /// Keys, then the outputs of each aggregation; what is carried is a key too.
    pub(super) fn grouped(
        &self,
        input: Relation,
        keys: Vec<Expr>,
        aggregations: &[&Aggregation],
    ) -> Result<Relation> {
        let (input, keys) = self.extended(input, keys)?;
        let mut calls: Vec<(functions::AggregateCall, String)> = Vec::with_capacity(aggregations.len());
        let mut aggregates = Vec::with_capacity(aggregations.len());
        for aggregation in aggregations {
            let args = self.exprs(&aggregation.args, &input)?;
            let types: Vec<_> = aggregation.args.iter().map(|arg| arg.ty).collect();
            let call = functions::aggregate(aggregation.function, args, &types, &aggregation.outputs)?;
            // One that is asked for twice is computed once.
            let known = calls.iter().find(|(known, _)| known.aggregate == call.aggregate);
            let name = if let Some((_, name)) = known {
                name.clone()
            } else {
                let name = self.name()?;
                aggregates.push(call.aggregate.clone().alias(&name));
                name
            };
            calls.push((call, name));
        }
        let groups: Vec<_> = keys.iter().chain(&input.carried).map(|name| column(name)).collect();
        if groups.is_empty() && aggregates.is_empty() {
            return plan_err!("an aggregation of nothing by nothing");
        }
        let whole = groups.is_empty();
        let mut plan = LogicalPlanBuilder::from(input.plan).aggregate(groups, aggregates)?;
        if whole {
            // It yields one row always. The limit keeps filters without columns above it: below it, they would leave it a
            // row of nothing.
            plan = plan.limit(0, Some(1))?;
        }
        let plan = plan.build()?;
        let mut outputs: Vec<_> = keys.iter().map(|name| column(name)).collect();
        for (call, name) in &calls {
            outputs.extend(call.outputs(&column(name)));
        }
        self.project(Relation { plan, columns: Vec::new(), carried: input.carried }, outputs)
    }

    /// An aggregation without keys within `mv-apply`: a row for each row that it runs for, even where nothing was left of
    /// that row. Those get what the aggregates make of nothing.
    fn aggregate_each(
        &self,
        input: &Relation,
        aggregations: &[&Aggregation],
        applied: &Applied,
    ) -> Result<Relation> {
        let schema = Arc::clone(input.plan.schema());
        let nothing = LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema });
        let nothing = Relation { plan: nothing, columns: input.columns.clone(), carried: Vec::new() };
        let defaults = self.renamed(self.grouped(nothing, Vec::new(), aggregations)?)?;
        let rows = self.renamed(applied.rows.clone())?;
        let made = self.grouped(input.clone(), Vec::new(), aggregations)?;
        let (made, marks) = self.extended(made, vec![lit(true)])?;
        let (Some(of_row), Some(of_made), Some(mark)) =
            (rows.carried.first(), made.carried.first(), marks.first())
        else {
            return plan_err!("mv-apply: a row without a number");
        };
        let plan = LogicalPlanBuilder::from(rows.plan)
            .cross_join(defaults.plan)?
            .join(made.plan, JoinType::Left, (vec![of_row.as_str()], vec![of_made.as_str()]), None)?
            .build()?;
        let pairs = defaults.columns.iter().zip(&made.columns);
        let outputs = pairs
            .map(|(default, value)| when(column(mark).is_null(), column(default)).otherwise(column(value)))
            .collect::<Result<Vec<_>>>()?;
        self.project(Relation { plan, columns: Vec::new(), carried: rows.carried }, outputs)
    }

    /// All columns under new names.
    fn renamed(&self, input: Relation) -> Result<Relation> {
        let fresh = |names: &[String]| names.iter().map(|_| self.name()).collect::<Result<Vec<_>>>();
        let (columns, carried) = (fresh(&input.columns)?, fresh(&input.carried)?);
        let from = input.columns.iter().chain(&input.carried);
        let exprs: Vec<_> =
            from.zip(columns.iter().chain(&carried)).map(|(from, to)| column(from).alias(to)).collect();
        let plan = LogicalPlanBuilder::from(input.plan).project(exprs)?.build()?;
        Ok(Relation { plan, columns, carried })
    }

    /// The relation with expressions beside its columns, and their names.
    pub(super) fn extended(&self, input: Relation, exprs: Vec<Expr>) -> Result<(Relation, Vec<String>)> {
        if exprs.is_empty() {
            return Ok((input, Vec::new()));
        }
        let mut all: Vec<Expr> = input.plan.schema().iter().map(Expr::from).collect();
        let mut names = Vec::with_capacity(exprs.len());
        for expr in exprs {
            let name = self.name()?;
            all.push(expr.alias(&name));
            names.push(name);
        }
        let plan = LogicalPlanBuilder::from(input.plan).project(all)?.build()?;
        Ok((Relation { plan, ..input }, names))
    }
}
