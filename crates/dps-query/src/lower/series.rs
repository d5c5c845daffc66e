//! `make-series`: the bins are an aggregation; our operator lays them along the axis.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, lit};
use datafusion::scalar::ScalarValue;
use dps_kql::{Node, Plan, Scalar, Type};

use super::{Lowering, Relation, column};
use crate::functions;
use crate::operator::{Axis, Operator, Series};

/// The ends and the step, as they are.
struct Ends {
    from: Option<ScalarValue>,
    to: Option<ScalarValue>,
    step: ScalarValue,
    inclusive: bool,
}

impl Lowering<'_> {
    pub(super) fn make_series(&self, plan: &Plan, input: Relation) -> Result<Relation> {
        let Node::MakeSeries { axis, from, to, step, inclusive, keys, series, .. } = &plan.node else {
            return plan_err!("no make-series");
        };
        let of_axis = |expr: &dps_kql::Expr| {
            let value = self.expr(expr, &[])?;
            self.evaluate(Self::convert(value, expr.ty, axis.ty)?)
        };
        let mut ends = Ends {
            from: from.as_ref().map(of_axis).transpose()?,
            to: to.as_ref().map(of_axis).transpose()?,
            step: self.constant(step)?,
            inclusive: *inclusive,
        };
        let is_null = |value: &Option<ScalarValue>| value.as_ref().is_some_and(ScalarValue::is_null);
        if is_null(&ends.from) || is_null(&ends.to) || ends.step.is_null() {
            return plan_err!("make-series: the ends and the step must be values, and one of them is null");
        }
        let is_positive = matches!(
            ends.step.cast_to(&DataType::Float64)?,
            ScalarValue::Float64(Some(step)) if step > 0.0
        );
        if !is_positive {
            return plan_err!("make-series: the step must be positive");
        }
        let bin = |value: Expr| {
            functions::scalar(Scalar::Bin, vec![value, lit(ends.step.clone())], &[axis.ty, step.ty], axis.ty)
        };
        if *inclusive && let Some(from) = ends.from.take() {
            ends.from = Some(self.evaluate(bin(lit(from))?)?);
        }
        let at = self.expr(axis, &input.columns)?;
        let begins = match &ends.from {
            Some(from) if !inclusive => functions::scalar(
                Scalar::BinAt,
                vec![at.clone(), lit(ends.step.clone()), lit(from.clone())],
                &[axis.ty, step.ty, axis.ty],
                axis.ty,
            )?,
            _ => bin(at.clone())?,
        };
        let input = within(input, &at, &ends)?;
        let mut groups = self.exprs(keys, &input)?;
        groups.push(begins);
        let aggregations: Vec<_> = series.iter().map(|series| &series.aggregation).collect();
        let binned = self.grouped(input, groups, &aggregations)?;
        let mut texts: Vec<Expr> =
            binned.columns.iter().take(keys.len() + 1).map(|name| column(name)).collect();
        for (name, series) in binned.columns.iter().skip(keys.len() + 1).zip(series) {
            let ty = series.aggregation.outputs.first().map_or(Type::Dynamic, |output| output.ty);
            texts.push(Self::convert(column(name), ty, Type::Dynamic)?);
        }
        let texts = self.project(binned, texts)?;
        self.along_axis(plan, &texts, &ends)
    }

    fn along_axis(&self, plan: &Plan, binned: &Relation, ends: &Ends) -> Result<Relation> {
        let Node::MakeSeries { axis, keys, series, .. } = &plan.node else {
            return plan_err!("no make-series");
        };
        let fresh = |name: &String, ty: Type| Ok((name.clone(), self.name()?, functions::arrow_type(ty)));
        let key_types = keys.iter().map(|key| key.ty);
        let mut groups = binned
            .columns
            .iter()
            .zip(key_types)
            .map(|(name, ty)| fresh(name, ty))
            .collect::<Result<Vec<_>>>()?;
        let of_keys: Vec<_> = groups.iter().map(|(_, name, _)| name.clone()).collect();
        for name in &binned.carried {
            let field = binned.plan.schema().field_with_unqualified_name(name)?;
            groups.push((name.clone(), self.name()?, field.data_type().clone()));
        }
        let carried = groups.iter().skip(keys.len()).map(|(_, name, _)| name.clone()).collect();
        let Some(bin) = binned.columns.get(keys.len()) else { return plan_err!("make-series: no bins") };
        let mut values = Vec::with_capacity(series.len());
        for (name, series) in binned.columns.iter().skip(keys.len() + 1).zip(series) {
            let default =
                Self::convert(lit(functions::literal(&series.default)), series.default.ty(), Type::Dynamic)?;
            let default = match self.evaluate(default)? {
                ScalarValue::Utf8(Some(text)) => text,
                _ => "null".to_owned(),
            };
            values.push((name.clone(), self.name()?, default));
        }
        let axis_name = self.name()?;
        let columns = of_keys
            .into_iter()
            .chain(values.iter().map(|(_, name, _)| name.clone()))
            .chain([axis_name.clone()])
            .collect();
        let transform = Series {
            keys: groups,
            bin: bin.clone(),
            values,
            axis_name,
            axis: ends.axis(axis.ty)?,
            axis_text: self.axis_text(axis.ty)?,
        };
        let plan = Operator::plan(self.number()?, Arc::new(transform), binned.plan.clone())?;
        Ok(Relation { plan, columns, carried })
    }

    fn axis_text(&self, ty: Type) -> Result<Arc<dyn datafusion::physical_plan::PhysicalExpr>> {
        let schema = Schema::new(vec![Field::new("axis", functions::arrow_type(ty), true)]);
        let text = Self::convert(column("axis"), ty, Type::Dynamic)?;
        self.session.create_physical_expr(text, &DFSchema::try_from(schema)?)
    }
}

impl Ends {
    fn axis(&self, ty: Type) -> Result<Axis> {
        let whole = |value: &ScalarValue| {
            let Ok(ScalarValue::Int64(Some(value))) = value.cast_to(&DataType::Int64) else {
                return plan_err!("make-series: {value} is no whole number");
            };
            Ok(value)
        };
        let real = |value: &ScalarValue| {
            let Ok(ScalarValue::Float64(Some(value))) = value.cast_to(&DataType::Float64) else {
                return plan_err!("make-series: {value} is no number");
            };
            Ok(value)
        };
        let inclusive = self.inclusive;
        if ty == Type::Real {
            let to = self.to.as_ref().map(real).transpose()?.map(|to| (to, inclusive));
            let from = self.from.as_ref().map(real).transpose()?;
            return Ok(Axis::Real { from, to, step: real(&self.step)? });
        }
        let step = whole(&self.step)?;
        let to = self.to.as_ref().map(whole).transpose()?.map(|to| (to, inclusive));
        let int = ty == Type::Int;
        Ok(Axis::Whole { int, from: self.from.as_ref().map(whole).transpose()?, to, step })
    }
}

/// The rows that lie on the axis.
fn within(input: Relation, at: &Expr, ends: &Ends) -> Result<Relation> {
    let from = ends.from.as_ref().map(|from| at.clone().gt_eq(lit(from.clone())));
    let to = ends.to.as_ref().map(|to| {
        let to = lit(to.clone());
        if ends.inclusive { at.clone().lt_eq(to) } else { at.clone().lt(to) }
    });
    let inside = std::iter::once(at.clone().is_not_null()).chain(from).chain(to).reduce(Expr::and);
    let plan = match inside {
        Some(inside) => LogicalPlanBuilder::from(input.plan).filter(inside)?.build()?,
        None => input.plan,
    };
    Ok(Relation { plan, ..input })
}
