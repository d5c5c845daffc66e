//! Expressions: columns by name, calls through the functions, constants by evaluating them.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::array::RecordBatchOptions;
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::logical_expr::{ColumnarValue, Expr, lit};
use datafusion::scalar::ScalarValue;
use dps_kql::{ExprKind, Node, Scalar, Step, Type};

use super::membership::membership;
use super::{Lowering, Relation, column};
use crate::functions::{self, PathStep};
use std::sync::Arc;

impl Lowering<'_> {
    pub(super) fn exprs(&self, exprs: &[dps_kql::Expr], input: &Relation) -> Result<Vec<Expr>> {
        exprs.iter().map(|expr| self.expr(expr, &input.columns)).collect()
    }

    /// An expression over columns of those names.
    pub(super) fn expr(&self, expr: &dps_kql::Expr, columns: &[String]) -> Result<Expr> {
        let _deeper = self.deeper()?;
        match &expr.kind {
            ExprKind::Literal(value) => Ok(lit(functions::literal(value))),
            ExprKind::Column(index) => {
                let Some(name) = columns.get(*index) else {
                    return plan_err!("a column that is not there: {index}");
                };
                Ok(column(name))
            }
            ExprKind::Call { function: function @ (Scalar::And | Scalar::Or), .. } => {
                let terms = terms(expr, *function).into_iter();
                let terms = terms.map(|term| self.expr(term, columns)).collect::<Result<Vec<_>>>()?;
                balanced(terms, *function, expr.ty)
            }
            ExprKind::Call { function, args } => {
                let lowered = args.iter().map(|arg| self.expr(arg, columns)).collect::<Result<Vec<_>>>()?;
                let types: Vec<_> = args.iter().map(|arg| arg.ty).collect();
                functions::scalar(*function, lowered, &types, expr.ty)
            }
            ExprKind::Path { base, steps } => {
                let base = self.expr(base, columns)?;
                let step = |step: &Step| {
                    Ok(match step {
                        Step::Member(name) => PathStep::Member(name.clone()),
                        Step::Index(index) => PathStep::Index(*index),
                        Step::Computed(expr) => PathStep::Computed(self.expr(expr, columns)?, expr.ty),
                    })
                };
                functions::path(base, steps.iter().map(step).collect::<Result<_>>()?)
            }
            ExprKind::InQuery { value, query, negated, ignore_case } => {
                let Node::Opened(number) = query.node else {
                    return plan_err!("a subquery that has not run");
                };
                let Some(computed) = self.computed.get(number) else {
                    return plan_err!("a subquery without rows");
                };
                let of = self.expr(value, columns)?;
                Ok(membership(of, value.ty, &computed.batches, *ignore_case, *negated))
            }
            ExprKind::ScalarQuery(query) => {
                let Node::Opened(number) = query.node else {
                    return plan_err!("a subquery that has not run");
                };
                let Some(computed) = self.computed.get(number) else {
                    return plan_err!("a subquery without rows");
                };
                let row = computed.batches.iter().find(|batch| batch.num_rows() > 0);
                match row.and_then(|batch| batch.columns().first()) {
                    Some(value) => Ok(lit(ScalarValue::try_from_array(value, 0)?)),
                    None => Ok(lit(functions::null(expr.ty))),
                }
            }
        }
    }

    /// The value of an expression without columns.
    pub(super) fn constant(&self, expr: &dps_kql::Expr) -> Result<ScalarValue> {
        self.evaluate(self.expr(expr, &[])?)
    }

    pub(super) fn evaluate(&self, expr: Expr) -> Result<ScalarValue> {
        if let Expr::Literal(value, _) = expr {
            return Ok(value);
        }
        let physical = self.session.create_physical_expr(expr, &DFSchema::empty())?;
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        let row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)?;
        match physical.evaluate(&row)? {
            ColumnarValue::Scalar(value) => Ok(value),
            ColumnarValue::Array(values) => ScalarValue::try_from_array(&values, 0),
        }
    }

    /// The same as a whole number: of an int, a long, ticks.
    pub(super) fn whole(&self, expr: &dps_kql::Expr) -> Result<Option<i64>> {
        match self.constant(expr)?.cast_to(&DataType::Int64)? {
            ScalarValue::Int64(value) => Ok(value),
            _ => Ok(None),
        }
    }

    /// Converts to a type, as `tolong` and the like do.
    pub(super) fn convert(expr: Expr, from: Type, to: Type) -> Result<Expr> {
        if from == to {
            return Ok(expr);
        }
        let function = match to {
            Type::Bool => Scalar::ToBool,
            Type::Int => Scalar::ToInt,
            Type::Long => Scalar::ToLong,
            Type::Real => Scalar::ToReal,
            Type::Decimal => Scalar::ToDecimal,
            Type::String => Scalar::ToString,
            Type::DateTime => Scalar::ToDateTime,
            Type::TimeSpan => Scalar::ToTimeSpan,
            Type::Guid => Scalar::ToGuid,
            Type::Dynamic => Scalar::ToDynamic,
        };
        functions::scalar(function, vec![expr], &[from], to)
    }
}

/// What a chain of `and` or of `or` connects, in order, however it is nested.
fn terms(expr: &dps_kql::Expr, chain: Scalar) -> Vec<&dps_kql::Expr> {
    let mut found = Vec::new();
    let mut left = vec![expr];
    while let Some(expr) = left.pop() {
        match &expr.kind {
            ExprKind::Call { function, args } if *function == chain => left.extend(args.iter().rev()),
            _ => found.push(expr),
        }
    }
    found
}

/// The chain as a tree that is as deep as need be, since planners walk it by recursion.
fn balanced(mut terms: Vec<Expr>, chain: Scalar, ty: Type) -> Result<Expr> {
    while terms.len() > 1 {
        let mut joined = Vec::with_capacity(terms.len().div_ceil(2));
        let mut rest = terms.into_iter();
        while let Some(first) = rest.next() {
            joined.push(match rest.next() {
                Some(second) => functions::scalar(chain, vec![first, second], &[ty, ty], ty)?,
                None => first,
            });
        }
        terms = joined;
    }
    terms.pop().map_or_else(|| plan_err!("{} of nothing", chain.name()), Ok)
}
