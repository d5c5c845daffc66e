//! Ways into dynamic values.

use super::convert::convert;
use super::scope::Rows;
use super::{Binder, Bound};
use crate::ast::{self, PathStep, Span};
use crate::{Expr, ExprKind, Step, Type, Value};

impl Binder<'_> {
    pub(super) fn path(
        &mut self,
        rows: &mut Rows<'_>,
        base: &ast::Expr,
        steps: &[PathStep],
        span: Span,
    ) -> Bound<Expr> {
        let bound = self.scalar(rows, base)?;
        if bound.ty != Type::Dynamic {
            return match steps.first() {
                Some(PathStep::Member(member)) => self.unknown(&member.text, member.span, &[]),
                Some(PathStep::Call(call)) => self.no_function(&call.name),
                _ => {
                    self.fail("KS147", span, "The element access operator [] is not allowed in this context.")
                }
            };
        }
        let mut way = Vec::with_capacity(steps.len());
        for step in steps {
            way.push(match step {
                PathStep::Member(member) => Step::Member(member.text.clone()),
                PathStep::Index(index) => self.index(rows, index)?,
                PathStep::Call(call) => return self.no_function(&call.name),
            });
        }
        Ok(Expr { kind: ExprKind::Path { base: Box::new(bound), steps: way }, ty: Type::Dynamic })
    }

    fn index(&mut self, rows: &mut Rows<'_>, index: &ast::Expr) -> Bound<Step> {
        let bound = self.scalar(rows, index)?;
        Ok(match (bound.kind, bound.ty) {
            (ExprKind::Literal(Value::String(name)), _) => Step::Member(name.to_string()),
            (ExprKind::Literal(Value::Long(number)), _) => Step::Index(number),
            (kind, ty @ (Type::String | Type::Long | Type::Dynamic)) => {
                Step::Computed(Box::new(Expr { kind, ty }))
            }
            (kind, ty @ Type::Int) => Step::Computed(Box::new(convert(Expr { kind, ty }, Type::Long))),
            _ => {
                let message = "The expression must have one of the types: int, long or string.";
                return self.fail("KS141", index.span, message);
            }
        })
    }
}
