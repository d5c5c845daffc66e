//! Expressions of one value.

use super::convert::{column, convert, literal};
use super::nearest::suggestion;
use super::operator::is_constant;
use super::scope::{Binding, Rows};
use super::{Binder, Bound, size};
use crate::ast::{self, ExprKind as Syntax, Name, Span};
use crate::{Expr, ExprKind, Scalar, Type, Value, signature};

impl Binder<'_> {
    /// Binds an expression over rows.
    pub(super) fn scalar(&mut self, rows: &mut Rows<'_>, expr: &ast::Expr) -> Bound<Expr> {
        self.grow(1, expr.span)?;
        self.deeper(expr.span, |binder| binder.scalar_within(rows, expr))
    }

    fn scalar_within(&mut self, rows: &mut Rows<'_>, expr: &ast::Expr) -> Bound<Expr> {
        let span = expr.span;
        match &expr.kind {
            Syntax::Literal(value) => Ok(literal(value.clone())),
            Syntax::Name(name) => self.name(rows, name, span),
            Syntax::Call(call) => self.call(rows, call, span),
            Syntax::Path { base, steps } => self.path(rows, base, steps, span),
            Syntax::Negate(value) => {
                let bound = self.scalar(rows, value)?;
                self.negate(bound, span)
            }
            Syntax::Binary { operator, at, left, right } => {
                if matches!(left.kind, Syntax::Star) {
                    return self.any_column(rows, *operator, *at, right);
                }
                let (left, right) = (self.scalar(rows, left), self.scalar(rows, right));
                self.binary(*operator, *at, left?, right?)
            }
            Syntax::Logical { operator, operands } => {
                let bound =
                    operands.iter().map(|operand| Ok((self.scalar(rows, operand)?, operand.span))).collect();
                let bound = super::all(bound)?;
                self.logical(*operator, bound)
            }
            Syntax::In { operator, at: _, value, list } => {
                self.membership(rows, *operator, value, list, span)
            }
            Syntax::Between { negated, at, value, low, high } => {
                let operator = if *negated { Scalar::NotBetween } else { Scalar::Between };
                let sides = (self.scalar(rows, value), self.scalar(rows, low), self.scalar(rows, high));
                self.between(operator, *at, [sides.0?, sides.1?, sides.2?], [low.span, high.span])
            }
            Syntax::Star => self.fail("KS191", span, "The * syntax is not allowed here."),
            Syntax::TypeOf(_) => self.fail("KS131", span, "A type is not a value."),
            Syntax::DataTable { .. } | Syntax::Pipe { .. } | Syntax::Leading(_) => {
                self.fail("KS108", span, "Scalar value expected.")
            }
        }
    }

    fn name(&mut self, rows: &mut Rows<'_>, name: &str, span: Span) -> Bound<Expr> {
        if let Some(index) = rows.position(name) {
            if rows.summary.as_ref().is_some_and(|summary| !summary.inside) {
                let message = format!("The name '{name}' is not an aggregate or scalar function.");
                let mend = format!("Say by {name}, or choose one value: take_any({name}).");
                return Err(self.tell("KS236", span, message, Some(mend)));
            }
            let ty = rows.columns.get(index).map_or(Type::Dynamic, |column| column.ty);
            return Ok(column(index, ty));
        }
        match self.scope.find(name) {
            Some(Binding::Scalar(expr)) => {
                let expr = expr.clone();
                self.grow(size::of_expr(&expr).size, span)?;
                Ok(expr)
            }
            Some(Binding::Table(_)) => self.fail("KS108", span, "Scalar value expected."),
            Some(Binding::Wrong) => Err(super::Stopped),
            Some(Binding::Function { .. }) => {
                let call = ast::Call { name: Name { text: name.to_owned(), span }, args: Vec::new(), span };
                self.scalar_function(rows, &call)
            }
            None => self.unbound(rows, name, span),
        }
    }

    fn unbound(&mut self, rows: &Rows<'_>, name: &str, span: Span) -> Bound<Expr> {
        if signature::scalar(name).is_some() || matches!(name, "now" | "ago") {
            let message = format!("The function '{name}' requires an argument list.");
            return Err(self.tell("KS117", span, message, Some(format!("Say {name}(…)."))));
        }
        if self.environment.tables.iter().any(|table| table.name == name) {
            return self.fail("KS108", span, "Scalar value expected.");
        }
        let columns: Vec<_> = rows.columns.iter().map(|column| column.name.clone()).collect();
        self.unknown(name, span, &columns)
    }

    /// Tells that nothing has that name.
    pub(super) fn unknown<T>(&mut self, name: &str, span: Span, columns: &[String]) -> Bound<T> {
        let message =
            format!("The name '{name}' does not refer to any known column, table, variable or function.");
        let near = suggestion(name, columns.iter().map(String::as_str).chain(self.scope.names()));
        Err(self.tell("KS142", span, message, near))
    }

    /// Binds a predicate.
    pub(super) fn condition(&mut self, rows: &mut Rows<'_>, expr: &ast::Expr) -> Bound<Expr> {
        let bound = self.scalar(rows, expr)?;
        if bound.ty == Type::Bool {
            return Ok(bound);
        }
        self.fail("KS141", expr.span, "The expression must have the type bool.")
    }

    /// Binds what is the same for all rows: no column is in sight.
    pub(super) fn constant(&mut self, rows: &mut Rows<'_>, expr: &ast::Expr) -> Bound<Expr> {
        let bound = self.scalar(rows, expr)?;
        if is_constant(&bound) {
            return Ok(bound);
        }
        self.fail("KS129", expr.span, "The expression must be a constant.")
    }

    /// Binds how many: a long that is the same for all rows.
    pub(super) fn count(&mut self, columns: &[crate::Column], expr: &ast::Expr) -> Bound<Expr> {
        let bound = self.scalar(&mut Rows::of(columns), expr)?;
        if !matches!(bound.ty, Type::Int | Type::Long) {
            return self.fail("KS134", expr.span, "The expression value must be an integer.");
        }
        if !is_constant(&bound) {
            return self.fail("KS129", expr.span, "The expression must be a constant.");
        }
        Ok(convert(bound, Type::Long))
    }

    /// A number that is written down.
    pub(super) fn number(&mut self, expr: &ast::Expr) -> Bound<u64> {
        let bound = self.count(&[], expr)?;
        match bound.kind {
            ExprKind::Literal(Value::Long(number)) if number >= 0 => Ok(number.unsigned_abs()),
            _ => self.fail("KS221", expr.span, "Integer literal expected, and not below zero."),
        }
    }
}
