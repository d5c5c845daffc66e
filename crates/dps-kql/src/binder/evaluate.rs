//! `evaluate pivot(…)`, `evaluate bag_unpack(…)`: plugins whose columns rows decide.

use super::convert::{column as at, convert, literal, null};
use super::limits::MAX_OPENED;
use super::nearest::suggestion;
use super::scope::{Rows, identity, position};
use super::{Binder, Bound, Stopped, all};
use crate::ast::{self, Call, ExprKind as Syntax, Span};
use crate::diagnostic::code;
use crate::{Aggregate, Aggregation, Evaluate, Expr, ExprKind, Node, Plan, Type, Value};

const CONFLICTS: [&str; 3] = ["error", "replace_source", "keep_source"];

impl Binder<'_> {
    pub(super) fn evaluate(
        &mut self,
        input: Plan,
        call: &Call,
        schema: Option<&[ast::Column]>,
        span: Span,
    ) -> Bound<Plan> {
        let evaluate = match call.name.text.as_str() {
            "pivot" => self.pivot(&input, call)?,
            "bag_unpack" => self.bag_unpack(&input, call)?,
            name => {
                let near = suggestion(name, ["pivot", "bag_unpack"].into_iter());
                let message = format!("The plug-in function '{name}' is not defined.");
                return Err(self.tell("KS124", call.name.span, message, near));
            }
        };
        if self.within_apply {
            let message = "evaluate cannot stand within mv-apply.";
            return self.fail(code::UNSUPPORTED, span, message);
        }
        if self.judging {
            return Err(Stopped);
        }
        let number = self.opened;
        if number >= MAX_OPENED {
            let message = format!("A query has at most {MAX_OPENED} evaluate operators.");
            return self.fail(code::LIMIT, span, message);
        }
        self.opened += 1;
        let environment = self.environment;
        let Some(opened) = environment.opened.get(number) else {
            self.open = Some((input, evaluate));
            return Err(Stopped);
        };
        let plan = self.node(Node::Opened(number), opened.clone(), span)?;
        match schema {
            None => Ok(plan),
            Some(columns) => self.as_declared(plan, columns, span),
        }
    }

    /// `evaluate … : (a:long)`: these columns, whatever rows say.
    fn as_declared(&mut self, plan: Plan, columns: &[ast::Column], span: Span) -> Bound<Plan> {
        let schema = self.declared_columns(columns)?;
        let shown = schema
            .iter()
            .map(|wanted| match position(&plan.schema, &wanted.name) {
                Some(index) => {
                    let ty = plan.schema.get(index).map_or(wanted.ty, |known| known.ty);
                    convert(at(index, ty), wanted.ty)
                }
                None => literal(null(wanted.ty)),
            })
            .collect();
        self.node(Node::Project { input: Box::new(plan), columns: shown }, schema, span)
    }

    fn pivot(&mut self, input: &Plan, call: &Call) -> Bound<Evaluate> {
        let mut args = call.args.iter().map(|arg| &arg.expr);
        let Some(first) = args.next() else {
            return self.fail(
                "KS120",
                call.name.span,
                "The function 'pivot' expects between 1 and 32767 arguments.",
            );
        };
        let column = self.input_column(input, first)?;
        let column = self.not_dynamic(column, first.span)?;
        let second = args.next();
        let aggregation = match second {
            Some(expr) => self.one_aggregate(&input.schema, expr)?,
            None => Aggregation {
                function: Aggregate::Count,
                args: Vec::new(),
                outputs: vec![super::scope::column("count_", Type::Long)],
            },
        };
        let mut keys = Vec::new();
        for expr in args {
            keys.push(self.input_column(input, expr));
        }
        let keys = all(keys)?;
        let keys = if keys.is_empty() { remaining(input, &column, &aggregation) } else { keys };
        let named = keys.into_iter().map(|key| {
            let name = match key.kind {
                ExprKind::Column(index) => input.schema.get(index).map(|known| known.name.clone()),
                _ => None,
            };
            (name.unwrap_or_default(), key)
        });
        let keys = named.collect();
        let column = convert(column, Type::String);
        Ok(Evaluate::Pivot { column, aggregation, keys })
    }

    fn bag_unpack(&mut self, input: &Plan, call: &Call) -> Bound<Evaluate> {
        let mut given: [Option<&ast::Expr>; 4] = [None; 4];
        for (index, arg) in call.args.iter().enumerate() {
            let place = match arg.names.first().map(|name| name.text.as_str()) {
                None => index,
                Some("column") => 0,
                Some("OutputColumnPrefix" | "column_prefix") => 1,
                Some("columnsConflict") => 2,
                Some("ignoredProperties") => 3,
                Some(_) => {
                    return self.fail(
                        "KS196",
                        arg.span(),
                        "The argument name does not refer to a declared parameter.",
                    );
                }
            };
            match given.get_mut(place) {
                Some(slot) => *slot = Some(&arg.expr),
                None => {
                    return self.fail(
                        "KS119",
                        call.name.span,
                        "The function 'bag_unpack' expects 1 to 4 arguments.",
                    );
                }
            }
        }
        let [Some(bag), prefix, conflict, ignored] = given else {
            return self.fail("KS119", call.name.span, "The function 'bag_unpack' expects 1 to 4 arguments.");
        };
        let bound = self.input_column(input, bag)?;
        let ExprKind::Column(column) = bound.kind else { return Err(Stopped) };
        if bound.ty != Type::Dynamic {
            return self.fail("KS141", bag.span, "The expression must have the type dynamic.");
        }
        let prefix = prefix.map(|expr| self.literal_text(expr)).transpose()?.unwrap_or_default();
        let conflict = match conflict {
            None => "error".to_owned(),
            Some(expr) => {
                let word = self.literal_text(expr)?;
                if !CONFLICTS.contains(&word.as_str()) {
                    let message =
                        format!("The expression must be one of the values: {}", CONFLICTS.join(", "));
                    let near = suggestion(&word, CONFLICTS.into_iter());
                    return Err(self.tell("KS140", expr.span, message, near));
                }
                word
            }
        };
        let ignored =
            match ignored.map(|expr| self.scalar(&mut Rows::none(), expr)).transpose()?.map(|expr| expr.kind)
            {
                None => Vec::new(),
                Some(ExprKind::Literal(Value::Dynamic(serde_json::Value::Array(names)))) => {
                    names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
                }
                Some(_) => return self.fail("KS131", call.span, "The expression must be a literal."),
            };
        Ok(Evaluate::BagUnpack { column, prefix, conflict, ignored })
    }

    fn input_column(&mut self, input: &Plan, expr: &ast::Expr) -> Bound<Expr> {
        let bound = self.scalar(&mut Rows::of(&input.schema), expr)?;
        if matches!((&bound.kind, &expr.kind), (ExprKind::Column(_), Syntax::Name(_))) {
            return Ok(bound);
        }
        self.fail("KS109", expr.span, "Column name expected.")
    }

    fn literal_text(&mut self, expr: &ast::Expr) -> Bound<String> {
        match self.scalar(&mut Rows::none(), expr)?.kind {
            ExprKind::Literal(Value::String(text)) => Ok(text.to_string()),
            _ => self.fail("KS131", expr.span, "The expression must be a literal."),
        }
    }
}

/// All columns that neither name columns nor fill them.
fn remaining(input: &Plan, column: &Expr, aggregation: &Aggregation) -> Vec<Expr> {
    let used = |expr: &Expr| expr == column || aggregation.args.iter().any(|arg| mentions(arg, expr));
    identity(&input.schema).into_iter().filter(|expr| !used(expr)).collect()
}

fn mentions(expr: &Expr, column: &Expr) -> bool {
    expr.kind == column.kind
        || match &expr.kind {
            ExprKind::Call { args, .. } => args.iter().any(|arg| mentions(arg, column)),
            ExprKind::Path { base, .. } => mentions(base, column),
            _ => false,
        }
}
