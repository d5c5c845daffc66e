//! Joins: equality of pairs of expressions, in which null equals null.

use datafusion::common::{NullEquality, Result, plan_err};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::{Expr, JoinType, LogicalPlanBuilder, lit};
use dps_kql::{JoinKind, Plan, Schema, Type};

use super::apply::Applied;
use super::{Lowering, Relation, column};
use crate::operator::FirstOfEach;

impl Lowering<'_> {
    pub(super) fn join(
        &self,
        kind: JoinKind,
        (left_plan, right_plan): (&Plan, &Plan),
        on: &[(dps_kql::Expr, dps_kql::Expr)],
        applied: Option<&Applied>,
    ) -> Result<Relation> {
        let left = self.relation(left_plan, &[], applied)?;
        let right = self.relation(right_plan, &[], applied)?;
        let left_keys =
            on.iter().map(|(key, _)| self.expr(key, &left.columns)).collect::<Result<Vec<_>>>()?;
        let right_keys =
            on.iter().map(|(_, key)| self.expr(key, &right.columns)).collect::<Result<Vec<_>>>()?;
        let (mut left, mut left_keys) = self.extended(left, left_keys)?;
        let (right, mut right_keys) = self.extended(right, right_keys)?;
        let (carried, one_side) = match (left.carried.first(), right.carried.first()) {
            (Some(of_left), Some(of_right)) => {
                left_keys.push(of_left.clone());
                right_keys.push(of_right.clone());
                (left.carried.clone(), false)
            }
            (Some(_), None) => (left.carried.clone(), true),
            (None, Some(_)) => (right.carried.clone(), true),
            (None, None) => (Vec::new(), false),
        };
        let keeps_left = !matches!(
            kind,
            JoinKind::RightOuter | JoinKind::FullOuter | JoinKind::RightSemi | JoinKind::RightAnti
        );
        if !carried.is_empty()
            && (!keeps_left || (one_side && left.carried.is_empty() && kind != JoinKind::Inner))
        {
            return plan_err!(
                "mv-apply: its subquery may join only to what it expands, and keep that side's rows"
            );
        }
        if kind == JoinKind::InnerUnique {
            left = self.operator(left, FirstOfEach { keys: left_keys.clone(), count: 1 })?;
        }
        let keys = (
            left_keys.iter().map(String::as_str).collect::<Vec<_>>(),
            right_keys.iter().map(String::as_str).collect::<Vec<_>>(),
        );
        let builder = LogicalPlanBuilder::from(left.plan);
        let plan = if left_keys.is_empty() && matches!(kind, JoinKind::Inner | JoinKind::InnerUnique) {
            builder.cross_join(right.plan)?
        } else {
            builder.join_detailed(right.plan, join_type(kind), keys, None, NullEquality::NullEqualsNull)?
        };
        let (of_left, of_right) = sides(kind);
        let mut outputs = Vec::new();
        if of_left {
            outputs.extend(filled(&left.columns, &left_plan.schema, fills_left(kind)));
        }
        if of_right {
            outputs.extend(filled(&right.columns, &right_plan.schema, fills_right(kind)));
        }
        self.project(Relation { plan: plan.build()?, columns: Vec::new(), carried }, outputs)
    }
}

const fn join_type(kind: JoinKind) -> JoinType {
    match kind {
        JoinKind::InnerUnique | JoinKind::Inner => JoinType::Inner,
        JoinKind::LeftOuter => JoinType::Left,
        JoinKind::RightOuter => JoinType::Right,
        JoinKind::FullOuter => JoinType::Full,
        JoinKind::LeftSemi => JoinType::LeftSemi,
        JoinKind::RightSemi => JoinType::RightSemi,
        JoinKind::LeftAnti => JoinType::LeftAnti,
        JoinKind::RightAnti => JoinType::RightAnti,
    }
}

/// Which sides' columns the result has.
const fn sides(kind: JoinKind) -> (bool, bool) {
    match kind {
        JoinKind::LeftSemi | JoinKind::LeftAnti => (true, false),
        JoinKind::RightSemi | JoinKind::RightAnti => (false, true),
        _ => (true, true),
    }
}

const fn fills_left(kind: JoinKind) -> bool {
    matches!(kind, JoinKind::RightOuter | JoinKind::FullOuter)
}

const fn fills_right(kind: JoinKind) -> bool {
    matches!(kind, JoinKind::LeftOuter | JoinKind::FullOuter)
}

/// A side's columns. Where it may be missing its texts are empty: text has no null.
fn filled(names: &[String], schema: &Schema, missing: bool) -> Vec<Expr> {
    let of = |(name, of): (&String, &dps_kql::Column)| match of.ty {
        Type::String if missing => coalesce(vec![column(name), lit("")]),
        _ => column(name),
    };
    names.iter().zip(schema).map(of).collect()
}
