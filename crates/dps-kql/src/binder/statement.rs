//! A query's statements in their order.

use super::limits::MAX_HEIGHT;
use super::scope::{Binding, Rows};
use super::{Binder, Bound, Stopped, size};
use crate::Plan;
use crate::ast::{Let, LetValue, QueryBlock, Statement};
use crate::diagnostic::code;

impl Binder<'_> {
    /// The plan of the statement that yields rows.
    pub(super) fn query(&mut self, query: &QueryBlock) -> Bound<Plan> {
        let mut result = None;
        for statement in &query.statements {
            match statement {
                Statement::Let(named) => self.declare(named),
                // A wish about how it is run; none changes what comes out.
                Statement::Set { .. } => {}
                Statement::Query(expr) if result.is_some() => {
                    let message = "A query has one result here; this is a second.";
                    return self.fail("KS198", expr.span, message);
                }
                Statement::Query(expr) => {
                    let plan = self.table(expr);
                    if let Ok(plan) = &plan
                        && size::of_plan(plan).height > MAX_HEIGHT
                    {
                        return self.fail(code::LIMIT, expr.span, "The query becomes too deep.");
                    }
                    result = Some(plan);
                }
            }
            if self.open.is_some() {
                return Err(Stopped);
            }
        }
        result.unwrap_or(Err(Stopped))
    }

    /// Binds a `let` and puts it in sight. What is wrong is in sight as well, so that it is told once.
    pub(super) fn declare(&mut self, named: &Let) {
        let name = &named.name;
        if self.scope.declared(&name.text) {
            let message = format!("A variable with the name '{}' has already been declared.", name.text);
            self.error("KS201", name.span, message);
            return;
        }
        let binding = match &named.value {
            LetValue::Function(function) => self.function(function),
            LetValue::Expr(expr) if self.is_table(&Rows::none(), expr) => {
                self.table(expr).map(|plan| (size::of_plan(&plan).height, Binding::Table(plan)))
            }
            LetValue::Expr(expr) => self
                .scalar(&mut Rows::none(), expr)
                .map(|expr| (size::of_expr(&expr).height, Binding::Scalar(expr))),
        };
        let binding = match binding {
            Ok((height, _)) if height > MAX_HEIGHT => {
                self.error(code::LIMIT, named.span, "What the name stands for becomes too deep.");
                Binding::Wrong
            }
            Ok((_, binding)) => binding,
            Err(Stopped) => Binding::Wrong,
        };
        self.scope.declare(&name.text, binding);
    }
}
