//! `sort`, `top`, `take`, `sample-distinct`.

use super::name::Names;
use super::scope::Rows;
use super::{Binder, Bound, all};
use crate::ast::{self, Named, Nulls, Order, Ordered, Span};
use crate::{Node, Plan, SortKey};

impl Binder<'_> {
    fn sort_key(&mut self, input: &Plan, by: &Ordered) -> Bound<SortKey> {
        let expr = self.scalar(&mut Rows::of(&input.schema), &by.key.expr)?;
        let expr = self.not_dynamic(expr, by.key.expr.span)?;
        let descending = !matches!(by.order, Some(Order::Ascending | Order::GrannyAscending));
        let nulls_first = match by.nulls {
            Some(Nulls::First) => true,
            Some(Nulls::Last) => false,
            None => !descending,
        };
        Ok(SortKey { expr, descending, nulls_first })
    }

    pub(super) fn sort(&mut self, input: Plan, keys: &[Ordered], span: Span) -> Bound<Plan> {
        let keys = all(keys.iter().map(|key| self.sort_key(&input, key)).collect())?;
        let schema = input.schema.clone();
        self.node(Node::Sort { input: Box::new(input), keys }, schema, span)
    }

    pub(super) fn take(&mut self, input: Plan, count: &ast::Expr, span: Span) -> Bound<Plan> {
        let count = self.count(&input.schema, count)?;
        let schema = input.schema.clone();
        self.node(Node::Take { input: Box::new(input), count }, schema, span)
    }

    pub(super) fn top(&mut self, input: Plan, count: &ast::Expr, by: &Ordered, span: Span) -> Bound<Plan> {
        let (count_bound, key) = (self.count(&input.schema, count), self.sort_key(&input, by));
        let (count, key) = (count_bound?, key?);
        let schema = input.schema.clone();
        let sorted =
            self.node(Node::Sort { input: Box::new(input), keys: vec![key] }, schema.clone(), span)?;
        self.node(Node::Take { input: Box::new(sorted), count }, schema, span)
    }

    pub(super) fn sample_distinct(
        &mut self,
        input: Plan,
        count: &ast::Expr,
        of: &Named,
        span: Span,
    ) -> Bound<Plan> {
        let count = self.count(&input.schema, count)?;
        if !matches!(of.expr.kind, ast::ExprKind::Name(_)) {
            return self.fail("KS109", of.expr.span, "Column name expected.");
        }
        let keys = self.keys(&input.schema, std::slice::from_ref(of), &mut Names::default())?;
        let (schema, keys): (Vec<_>, _) = keys.into_iter().unzip();
        let node = Node::Aggregate { input: Box::new(input), keys, aggregations: Vec::new() };
        let distinct = self.node(node, schema.clone(), span)?;
        self.node(Node::Take { input: Box::new(distinct), count }, schema, span)
    }
}
