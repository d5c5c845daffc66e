//! `make-series`.

use super::convert::{convert, is_number, literal, promoted, wider};
use super::name::{Names, natural};
use super::scope::{Rows, column};
use super::{Binder, Bound, Stopped, all};
use crate::ast::{self, Named, SeriesAggregate, SeriesRange, Span};
use crate::{Expr, ExprKind, Node, Plan, Schema, Series, Type, Value};

/// The ends and the width of a bin, as they were written.
struct Bounds<'q> {
    from: Option<&'q ast::Expr>,
    to: Option<&'q ast::Expr>,
    step: &'q ast::Expr,
    inclusive: bool,
}

/// The axis, bound: all of types that go together.
struct Axis {
    value: Expr,
    from: Option<Expr>,
    to: Option<Expr>,
    step: Expr,
}

impl Binder<'_> {
    pub(super) fn make_series(
        &mut self,
        input: Plan,
        aggregates: &[SeriesAggregate],
        axis: &Named,
        range: &SeriesRange,
        by: &[Named],
        span: Span,
    ) -> Bound<Plan> {
        let mut names = Names::default();
        let keys = self.keys(&input.schema, by, &mut names);
        let bounds = match range {
            SeriesRange::In { from, to, step } => {
                Bounds { from: Some(from), to: Some(to), step, inclusive: true }
            }
            SeriesRange::FromTo { from, to, step } => {
                Bounds { from: from.as_ref(), to: to.as_ref(), step, inclusive: false }
            }
        };
        let (axis_name, axis) = self.axis(&input, axis, &bounds)?;
        let keys = keys?;
        let mut schema: Schema = keys.iter().map(|(key, _)| key.clone()).collect();
        let mut series = Vec::with_capacity(aggregates.len());
        for asked in aggregates {
            series.push(self.one_series(&input.schema, asked, &mut names));
        }
        let series = all(series)?;
        for made in &series {
            let name = made.aggregation.outputs.first().map(|output| output.name.clone()).unwrap_or_default();
            schema.push(column(name, Type::Dynamic));
        }
        schema.push(column(names.apart(&axis_name), Type::Dynamic));
        let keys = keys.into_iter().map(|(_, expr)| expr).collect();
        let inclusive = bounds.inclusive;
        let Axis { value: axis, from, to, step } = axis;
        let node = Node::MakeSeries { input: Box::new(input), axis, from, to, step, inclusive, keys, series };
        self.node(node, schema, span)
    }

    /// The axis, its ends and its step, all of types that go together.
    fn axis(&mut self, input: &Plan, axis: &Named, bounds: &Bounds<'_>) -> Bound<(String, Axis)> {
        let bound = self.scalar(&mut Rows::of(&input.schema), &axis.expr)?;
        let name = axis.names.first().map(|given| given.text.clone());
        let name = name.or_else(|| natural(&axis.expr, &input.schema, &self.scope));
        let name = name.unwrap_or_else(|| "Column1".to_owned());
        let step = self.constant(&mut Rows::none(), bounds.step)?;
        let fits = match bound.ty {
            Type::DateTime | Type::TimeSpan => step.ty == Type::TimeSpan,
            ty => is_number(ty) && is_number(step.ty),
        };
        if !fits {
            let message = format!(
                "The type '{}' is not an appropriate interval type for '{}'",
                step.ty.name(),
                bound.ty.name()
            );
            return self.fail("KS178", bounds.step.span, message);
        }
        let ty = if is_number(bound.ty) { promoted(wider(bound.ty, step.ty)) } else { bound.ty };
        let end = |binder: &mut Self, expr: Option<&ast::Expr>| {
            expr.map(|expr| {
                let end = binder.constant(&mut Rows::none(), expr)?;
                if end.ty == ty || (is_number(ty) && is_number(end.ty)) {
                    return Ok(convert(end, ty));
                }
                let message = format!("The expression must have the type {}.", ty.name());
                binder.fail("KS141", expr.span, message)
            })
            .transpose()
        };
        let (from, to) = (end(self, bounds.from), end(self, bounds.to));
        let width = if is_number(ty) { ty } else { Type::TimeSpan };
        Ok((name, Axis { value: convert(bound, ty), from: from?, to: to?, step: convert(step, width) }))
    }

    fn one_series(&mut self, schema: &Schema, asked: &SeriesAggregate, names: &mut Names) -> Bound<Series> {
        let mut aggregation = self.one_aggregate(schema, &asked.value.expr)?;
        let output = aggregation.outputs.first_mut().ok_or(Stopped)?;
        let name = match asked.value.names.first() {
            Some(given) if !names.claim(&given.text) => return Err(self.twice(&given.text, given.span)),
            Some(given) => given.text.clone(),
            None => names.apart(&output.name),
        };
        output.name = name;
        let ty = output.ty;
        let default = match &asked.default {
            None => zero(ty),
            Some(expr) => {
                let bound = self.constant(&mut Rows::none(), expr)?;
                // A default may be finer than what is counted: 1.5 among longs.
                let ty = if is_number(ty) && is_number(bound.ty) { wider(ty, bound.ty) } else { ty };
                match convert(bound, ty).kind {
                    ExprKind::Literal(value) => value,
                    _ => return self.fail("KS131", expr.span, "The expression must be a literal."),
                }
            }
        };
        Ok(Series { aggregation, default })
    }
}

/// What an empty bin holds.
fn zero(ty: Type) -> Value {
    match convert(literal(Value::Long(0)), ty).kind {
        ExprKind::Literal(value) => value,
        _ => super::convert::null(ty),
    }
}
