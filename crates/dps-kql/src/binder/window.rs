//! Functions over neighbours: `row_number`, `row_cumsum`, `prev`, `next`. Wherever they stand in an expression they become
//! columns appended to its input.

use super::convert::{column as at, convert, null};
use super::operator::is_constant;
use super::scope::{Rows, column};
use super::{Binder, Bound, Stopped};
use crate::ast::{Call, Span};
use crate::{Expr, ExprKind, Node, Plan, Type, Value, WindowFunction};

/// Functions that the expressions of an operator call.
#[derive(Debug, Default)]
pub(super) struct Windows {
    functions: Vec<(WindowFunction, Type)>,
}

impl Windows {
    pub(super) const fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }
}

impl Binder<'_> {
    /// The input with the functions' columns behind its own.
    pub(super) fn windowed(&mut self, input: Plan, windows: Windows, span: Span) -> Bound<Plan> {
        if windows.is_empty() {
            return Ok(input);
        }
        let mut names = super::name::Names::default();
        for known in &input.schema {
            names.claim(&known.name);
        }
        let mut plan = input;
        let mut functions = Vec::new();
        let mut schema = plan.schema.clone();
        for (function, ty) in windows.functions {
            // A function sees the columns of those before it: they are made by a node below.
            if looks_behind(&function, plan.schema.len()) {
                let made = std::mem::take(&mut functions);
                plan =
                    self.node(Node::Window { input: Box::new(plan), functions: made }, schema.clone(), span)?;
            }
            schema.push(column(names.apart("window"), ty));
            functions.push(function);
        }
        self.node(Node::Window { input: Box::new(plan), functions }, schema, span)
    }

    /// A call of one.
    pub(super) fn window(&mut self, rows: &mut Rows<'_>, called: &Call) -> Bound<Expr> {
        if rows.windows.is_none() {
            let name = &called.name.text;
            let message =
                format!("The function '{name}' is not allowed in this context: it looks at neighbours.");
            return self.fail("KS126", called.name.span, message);
        }
        let args = self.arguments(rows, called)?;
        let (function, ty) = self.window_function(called, args)?;
        let windows = rows.windows.as_mut().ok_or(Stopped)?;
        windows.functions.push((function, ty));
        Ok(at(rows.columns.len() + windows.functions.len() - 1, ty))
    }

    fn window_function(&mut self, called: &Call, args: Vec<Expr>) -> Bound<(WindowFunction, Type)> {
        let name = called.name.text.as_str();
        let (least, most) = match name {
            "row_number" => (0, 2),
            "row_cumsum" => (1, 2),
            _ => (1, 3),
        };
        if args.len() < least || args.len() > most {
            let message = format!("The function '{name}' expects {least} to {most} arguments.");
            return self.fail("KS119", called.name.span, message);
        }
        let spans: Vec<_> = called.args.iter().map(|arg| arg.expr.span).collect();
        let span = |index: usize| spans.get(index).copied().unwrap_or(called.span);
        let mut args = args.into_iter();
        match name {
            "row_number" => {
                let start = args.next().map_or(Ok(1), |start| self.whole(start, span(0)))?;
                let restart = args.next().map(|restart| self.restart(restart, span(1))).transpose()?;
                Ok((WindowFunction::RowNumber { start, restart }, Type::Long))
            }
            "row_cumsum" => {
                let term = args.next().ok_or(Stopped)?;
                if !super::convert::is_number(term.ty) {
                    return self.fail("KS137", span(0), "The expression value must be a number.");
                }
                let ty = term.ty;
                let restart = args.next().map(|restart| self.restart(restart, span(1))).transpose()?;
                Ok((WindowFunction::CumulativeSum { term, restart }, ty))
            }
            _ => {
                let value = args.next().ok_or(Stopped)?;
                if !matches!(value.kind, ExprKind::Column(_)) {
                    return self.fail("KS109", span(0), "Column name expected.");
                }
                let ty = value.ty;
                let offset = args.next().map_or(Ok(1), |offset| self.whole(offset, span(1)))?;
                let offset = if name == "next" { offset.checked_neg().ok_or(Stopped)? } else { offset };
                let default = match args.next() {
                    None => null(ty),
                    Some(default) if is_constant(&default) => match convert(default, ty).kind {
                        ExprKind::Literal(value) => value,
                        _ => return self.fail("KS131", span(2), "The expression must be a literal."),
                    },
                    Some(_) => return self.fail("KS129", span(2), "The expression must be a constant."),
                };
                Ok((WindowFunction::Shifted { value, offset, default }, ty))
            }
        }
    }

    fn restart(&mut self, restart: Expr, span: Span) -> Bound<Expr> {
        if restart.ty == Type::Bool {
            return Ok(restart);
        }
        self.fail("KS107", span, "A value of type bool expected.")
    }

    fn whole(&mut self, expr: Expr, span: Span) -> Bound<i64> {
        match convert(expr, Type::Long).kind {
            ExprKind::Literal(Value::Long(number)) => Ok(number),
            _ => self.fail("KS129", span, "The expression must be a constant."),
        }
    }
}

/// Whether a function looks at a column at that place or behind it.
fn looks_behind(function: &WindowFunction, first: usize) -> bool {
    match function {
        WindowFunction::RowNumber { restart, .. } => {
            restart.as_ref().is_some_and(|expr| uses_from(expr, first))
        }
        WindowFunction::CumulativeSum { term, restart } => {
            uses_from(term, first) || restart.as_ref().is_some_and(|expr| uses_from(expr, first))
        }
        WindowFunction::Shifted { value, .. } => uses_from(value, first),
    }
}

fn uses_from(expr: &Expr, first: usize) -> bool {
    match &expr.kind {
        ExprKind::Column(index) => *index >= first,
        ExprKind::Literal(_) | ExprKind::ScalarQuery(_) => false,
        ExprKind::Call { args, .. } => args.iter().any(|arg| uses_from(arg, first)),
        ExprKind::Path { base, steps } => {
            uses_from(base, first)
                || steps
                    .iter()
                    .any(|step| matches!(step, crate::Step::Computed(expr) if uses_from(expr, first)))
        }
        ExprKind::InQuery { value, .. } => uses_from(value, first),
    }
}
