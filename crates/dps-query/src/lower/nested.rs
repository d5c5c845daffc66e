//! `top-nested`: level by level, the best keys within each key of the level above.

use datafusion::common::{NullEquality, Result, plan_err};
use datafusion::logical_expr::{JoinType, LogicalPlanBuilder, lit, when};
use dps_kql::TopNestedLevel;

use super::{Lowering, Relation, column};
use crate::functions;
use crate::operator::{FirstOfEach, OrderKey};

/// Levels of one `top-nested`. Each doubles the plan.
const LEVELS: usize = 6;

impl Lowering<'_> {
    pub(super) fn top_nested(&self, input: Relation, levels: &[TopNestedLevel]) -> Result<Relation> {
        if levels.len() > LEVELS {
            return plan_err!("top-nested: more than {LEVELS} levels");
        }
        if !input.carried.is_empty() {
            return plan_err!("top-nested cannot stand within mv-apply");
        }
        let mut rows = input;
        // Keys of the levels so far: in the rows, and in the result.
        let mut parents: Vec<String> = Vec::new();
        let mut result: Option<Relation> = None;
        for level in levels {
            let key = self.expr(&level.key, &rows.columns)?;
            let (with_key, key) = self.extended(rows, vec![key])?;
            let Some(key) = key.into_iter().next() else {
                return plan_err!("top-nested: a level without a key");
            };
            let best = self.best(&with_key, &parents, &key, level)?;
            let (kept, key) = self.kept(with_key, &parents, key, &best, level)?;
            let values = match level.others {
                Some(_) => self.valued(&kept, &parents, &key, level)?,
                None => best,
            };
            result = Some(match result {
                None => values,
                Some(above) => self.beneath(above, values, parents.len())?,
            });
            rows = kept;
            parents.push(key);
        }
        result.map_or_else(|| plan_err!("top-nested: no level"), Ok)
    }

    /// Parents' keys, the key, and its value, of every key.
    fn valued(
        &self,
        rows: &Relation,
        parents: &[String],
        key: &String,
        level: &TopNestedLevel,
    ) -> Result<Relation> {
        let keys = parents.iter().chain([key]).map(|name| column(name)).collect();
        self.grouped(rows.clone(), keys, &[&level.aggregation])
    }

    /// The same, of the best keys within each parent.
    fn best(
        &self,
        rows: &Relation,
        parents: &[String],
        key: &String,
        level: &TopNestedLevel,
    ) -> Result<Relation> {
        let valued = self.valued(rows, parents, key, level)?;
        let Some(count) = &level.count else { return Ok(valued) };
        let count = self.whole(count)?.unwrap_or(0).max(0).unsigned_abs();
        let (keys, value) = valued.columns.split_at(parents.len() + 1);
        let Some(value) = value.first() else { return plan_err!("top-nested: a level without a value") };
        // Among equals the key decides, so that every computation of it finds the same.
        let order = std::iter::once((value, !level.ascending)).chain(keys.iter().map(|key| (key, false)));
        let order = order.map(|(column, descending)| OrderKey {
            column: column.clone(),
            descending,
            nulls_first: false,
        });
        let order = order.collect();
        let groups = keys.iter().take(parents.len()).cloned().collect();
        let sorted = self.sorted(valued.clone(), order, None)?;
        self.operator(sorted, FirstOfEach { keys: groups, count })
    }

    /// The rows whose key is among the best; or all, with the key of the others in place of theirs.
    fn kept(
        &self,
        rows: Relation,
        parents: &[String],
        key: String,
        best: &Relation,
        level: &TopNestedLevel,
    ) -> Result<(Relation, String)> {
        let best =
            self.project(best.clone(), best.columns.iter().map(|name| column(name).alias(name)).collect())?;
        let (best, marks) = self.extended(best, vec![lit(true)])?;
        let keys: Vec<_> = parents.iter().chain([&key]).map(String::as_str).collect();
        let among: Vec<_> = best.columns.iter().take(keys.len()).map(String::as_str).collect();
        let kind = if level.others.is_some() { JoinType::Left } else { JoinType::LeftSemi };
        let plan = LogicalPlanBuilder::from(rows.plan.clone())
            .join_detailed(best.plan, kind, (keys, among), None, NullEquality::NullEqualsNull)?
            .build()?;
        let joined = Relation { plan, ..rows };
        let (Some(others), Some(mark)) = (&level.others, marks.first()) else { return Ok((joined, key)) };
        let mapped = when(column(mark).is_null(), lit(functions::literal(others))).otherwise(column(&key))?;
        // Keys of the rows, and no column of the best: those come again at the next level.
        let mut all: Vec<_> = joined.columns.iter().chain(parents).map(|name| column(name)).collect();
        let name = self.name()?;
        all.push(mapped.alias(&name));
        let plan = LogicalPlanBuilder::from(joined.plan).project(all)?.build()?;
        Ok((Relation { plan, columns: joined.columns, carried: Vec::new() }, name))
    }

    /// The result so far with a level beneath it.
    fn beneath(&self, above: Relation, level: Relation, parents: usize) -> Result<Relation> {
        // In the result each key is followed by its value.
        let of_above: Vec<_> = above.columns.iter().step_by(2).take(parents).map(String::as_str).collect();
        let of_level: Vec<_> = level.columns.iter().take(parents).map(String::as_str).collect();
        let plan = LogicalPlanBuilder::from(above.plan)
            .join_detailed(
                level.plan,
                JoinType::Inner,
                (of_above, of_level),
                None,
                NullEquality::NullEqualsNull,
            )?
            .build()?;
        let columns: Vec<_> =
            above.columns.iter().chain(level.columns.iter().skip(parents)).map(|name| column(name)).collect();
        self.project(Relation { plan, columns: Vec::new(), carried: Vec::new() }, columns)
    }
}
