//! `top-nested`: per level a key and what it is judged by.

use super::convert::convert;
use super::name::{Names, natural};
use super::scope::{Rows, column};
use super::{Binder, Bound, Stopped, all};
use crate::ast::{Call, ExprKind as Syntax, Order, Span, TopNestedPart};
use crate::diagnostic::code;
use crate::{Aggregation, Column, ExprKind, Node, Plan, Schema, TopNestedLevel};

impl Binder<'_> {
    pub(super) fn top_nested(&mut self, input: Plan, parts: &[TopNestedPart], span: Span) -> Bound<Plan> {
        let mut names = Names::default();
        let levels = all(parts.iter().map(|part| self.level(&input.schema, part, &mut names)).collect())?;
        let mut schema: Schema = Vec::with_capacity(2 * levels.len());
        let mut made = Vec::with_capacity(levels.len());
        for (key, level) in levels {
            schema.push(key);
            schema.extend(level.aggregation.outputs.first().cloned());
            made.push(level);
        }
        self.node(Node::TopNested { input: Box::new(input), levels: made }, schema, span)
    }

    fn level(
        &mut self,
        schema: &Schema,
        part: &TopNestedPart,
        names: &mut Names,
    ) -> Bound<(Column, TopNestedLevel)> {
        let count = part.count.as_ref().map(|count| self.count(schema, count)).transpose();
        let key = self.scalar(&mut Rows::of(schema), &part.of.expr);
        let (count, key) = (count?, key?);
        let natural = natural(&part.of.expr, schema, &self.scope).unwrap_or_default();
        let name = part.of.names.first().map_or(natural, |given| given.text.clone());
        let name = names.apart(&name);
        let others = match &part.others {
            None => None,
            Some(expr) => match convert(self.scalar(&mut Rows::none(), expr)?, key.ty).kind {
                ExprKind::Literal(value) => Some(value),
                _ => return self.fail("KS131", expr.span, "The expression must be a literal."),
            },
        };
        let by = &part.by.key;
        let mut aggregation = self.one_aggregate(schema, &by.expr)?;
        let called =
            by.names.first().map_or_else(|| format!("aggregated_{name}"), |given| given.text.clone());
        if let Some(output) = aggregation.outputs.first_mut() {
            output.name = names.apart(&called);
        }
        let ascending = part.by.order == Some(Order::Ascending);
        let named = column(name, key.ty);
        Ok((named, TopNestedLevel { count, key, others, aggregation, ascending }))
    }

    /// An expression that must be one aggregate with one column.
    pub(super) fn one_aggregate(&mut self, schema: &Schema, expr: &crate::ast::Expr) -> Bound<Aggregation> {
        let mut rows = Rows::summary(schema, Vec::new());
        let call: &Call = match &expr.kind {
            Syntax::Call(call) if super::summarize::is_aggregate(&call.name.text) => call,
            _ => {
                self.scalar(&mut rows, expr)?;
                let message = "One aggregate is expected here, not what is computed of one.";
                return self.fail(code::UNSUPPORTED, expr.span, message);
            }
        };
        self.aggregate_call(&mut rows, call)?;
        let mut aggregations = rows.summary.map(|summary| summary.aggregations).unwrap_or_default();
        match (aggregations.pop(), aggregations.is_empty()) {
            (Some(aggregation), true) if aggregation.outputs.len() == 1 => Ok(aggregation),
            (None, _) => Err(Stopped),
            _ => self.fail("KS139", expr.span, "An aggregate that yields one column is expected here."),
        }
    }
}
