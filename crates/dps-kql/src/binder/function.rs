//! Functions of the query's author. A call is written out: the body is bound anew with the arguments in place of the
//! parameters. A body sees the names before its own, so nothing calls itself.

use super::convert::{convert, literal, null};
use super::nearest::suggestion;
use super::scope::{Binding, Rows, column};
use super::{Binder, Bound, Stopped, all, size};
use crate::ast::{Call, ExprKind as Syntax, Function, LetValue, Named, ParameterKind, Span};
use crate::diagnostic::code;
use crate::{Expr, Node, Plan};

#[expect(clippy::large_enum_variant, reason = "it lives for one call")]
enum Body {
    Table(Plan),
    Scalar(Expr),
}

impl Binder<'_> {
    /// A declaration: the body is judged with arguments of which nothing is known but their types.
    pub(super) fn function(&mut self, function: &Function) -> Bound<(usize, Binding)> {
        let sees = self.scope.len();
        let mut placeholders = Vec::with_capacity(function.parameters.len());
        for parameter in &function.parameters {
            let binding = match &parameter.kind {
                ParameterKind::Scalar { ty, .. } => Binding::Scalar(literal(null(*ty))),
                ParameterKind::Tabular(columns) => {
                    let schema =
                        columns.iter().map(|named| column(named.name.text.clone(), named.ty)).collect();
                    Binding::Table(Plan { node: Node::Values { rows: Vec::new() }, schema })
                }
            };
            placeholders.push((parameter.name.text.clone(), binding));
        }
        let outside = (std::mem::replace(&mut self.judging, true), self.size);
        let errors = self.errors.len();
        let span = function.result.span;
        let judged = self.within(function, sees, placeholders, span);
        (self.judging, self.size) = outside;
        match judged {
            Err(Stopped) if self.errors.len() > errors => Err(Stopped),
            _ => Ok((0, Binding::Function { function: Box::new(function.clone()), sees })),
        }
    }

    /// A call where a value is wanted.
    pub(super) fn scalar_function(&mut self, rows: &mut Rows<'_>, call: &Call) -> Bound<Expr> {
        match self.inline(rows, call, None)? {
            Body::Scalar(expr) => Ok(expr),
            Body::Table(_) => self.fail("KS108", call.span, "Scalar value expected."),
        }
    }

    /// A call where rows are wanted; `first` is the rows that `invoke` gives it.
    pub(super) fn table_function(&mut self, call: &Call, first: Option<Plan>) -> Bound<Plan> {
        match self.inline(&mut Rows::none(), call, first)? {
            Body::Table(plan) => Ok(plan),
            Body::Scalar(_) => self.fail("KS111", call.span, "Tabular value expected."),
        }
    }

    /// Whether the function of that name yields rows.
    pub(super) fn yields_table(&self, name: &str) -> bool {
        let mut name = name;
        let mut lets: &[crate::ast::Let] = &[];
        let mut parameters: &[crate::ast::Parameter] = &[];
        for _ in 0..super::limits::MAX_NAMES_FOLLOWED {
            let local = lets.iter().rev().find(|named| named.name.text == name).map(|named| &named.value);
            let expr = if let Some(LetValue::Expr(expr)) = local {
                expr
            } else if let Some(parameter) = parameters.iter().find(|parameter| parameter.name.text == name) {
                return matches!(parameter.kind, ParameterKind::Tabular(_));
            } else {
                match (local, self.scope.find(name)) {
                    (Some(LetValue::Function(function)), _) => &function.result,
                    (_, Some(Binding::Function { function, .. })) => {
                        lets = &function.lets;
                        parameters = &function.parameters;
                        &function.result
                    }
                    (_, Some(Binding::Table(_))) => return true,
                    (_, Some(_)) => return false,
                    (_, None) => return self.environment.tables.iter().any(|table| table.name == name),
                }
            };
            name = match &expr.kind {
                Syntax::Pipe { .. } | Syntax::Leading(_) | Syntax::DataTable { .. } => return true,
                Syntax::Name(next) => next,
                Syntax::Call(call) if matches!(call.name.text.as_str(), "materialize" | "table") => {
                    return true;
                }
                Syntax::Call(call) => &call.name.text,
                Syntax::Path { base, .. } => {
                    return matches!(&base.kind, Syntax::Call(call) if super::source::is_place(call));
                }
                _ => return false,
            };
        }
        false
    }

    fn inline(&mut self, rows: &mut Rows<'_>, call: &Call, first: Option<Plan>) -> Bound<Body> {
        let Some(Binding::Function { function, sees }) = self.scope.find(&call.name.text) else {
            return self.no_function(&call.name);
        };
        let (function, sees) = (function.clone(), *sees);
        let arguments = self.match_parameters(rows, &function, call, first)?;
        self.deeper(call.span, |binder| binder.within(&function, sees, arguments, call.span))
    }

    /// The body, with the parameters bound.
    fn within(
        &mut self,
        function: &Function,
        sees: usize,
        arguments: Vec<(String, Binding)>,
        span: Span,
    ) -> Bound<Body> {
        let hidden = self.scope.enter(sees);
        for (name, binding) in arguments {
            self.scope.declare(&name, binding);
        }
        let errors = self.errors.len();
        for named in &function.lets {
            self.declare(named);
        }
        let body = if self.errors.len() > errors {
            Err(Stopped)
        } else if self.is_table(&Rows::none(), &function.result) {
            self.table(&function.result).map(Body::Table)
        } else {
            self.scalar(&mut Rows::none(), &function.result).map(Body::Scalar)
        };
        self.scope.leave(hidden);
        let height = match &body {
            Ok(Body::Table(plan)) => size::of_plan(plan).height,
            Ok(Body::Scalar(expr)) => size::of_expr(expr).height,
            Err(Stopped) => 0,
        };
        if height > super::limits::MAX_HEIGHT {
            return self.fail(code::LIMIT, span, "What the function stands for becomes too deep.");
        }
        body
    }

    fn match_parameters(
        &mut self,
        rows: &mut Rows<'_>,
        function: &Function,
        call: &Call,
        first: Option<Plan>,
    ) -> Bound<Vec<(String, Binding)>> {
        let count = function.parameters.len();
        let given = self.place(function, call, first.is_some())?;
        let mut first = first;
        let mut bound = Vec::with_capacity(count);
        for (index, (parameter, arg)) in function.parameters.iter().zip(given).enumerate() {
            let piped = if index == 0 { first.take() } else { None };
            let binding = match (&parameter.kind, piped, arg) {
                (ParameterKind::Tabular(columns), Some(plan), _) => {
                    self.has_columns(columns, &plan, call.span).map(|()| Binding::Table(plan))
                }
                (ParameterKind::Tabular(columns), None, Some(arg)) => {
                    self.table(&arg.expr).and_then(|plan| {
                        self.has_columns(columns, &plan, arg.expr.span)?;
                        Ok(Binding::Table(plan))
                    })
                }
                (ParameterKind::Scalar { ty, .. }, None, Some(arg)) => {
                    self.scalar(rows, &arg.expr).map(|expr| Binding::Scalar(convert(expr, *ty)))
                }
                (ParameterKind::Scalar { ty, default: Some(default) }, None, None) => {
                    self.scalar(&mut Rows::none(), default).map(|expr| Binding::Scalar(convert(expr, *ty)))
                }
                _ => Err(self.expects(&call.name.text, count, call.name.span)),
            };
            bound.push(binding.map(|binding| (parameter.name.text.clone(), binding)));
        }
        all(bound)
    }

    /// Which argument is which parameter's: by place, or by name.
    fn place<'c>(
        &mut self,
        function: &Function,
        call: &'c Call,
        piped: bool,
    ) -> Bound<Vec<Option<&'c Named>>> {
        let mut given: Vec<Option<&Named>> = vec![None; function.parameters.len()];
        for (index, arg) in call.args.iter().enumerate() {
            let position = match arg.names.as_slice() {
                [] => index + usize::from(piped),
                [name, ..] => {
                    let known =
                        function.parameters.iter().position(|parameter| parameter.name.text == name.text);
                    let Some(position) = known else {
                        let names = function.parameters.iter().map(|parameter| parameter.name.text.as_str());
                        let near = suggestion(&name.text, names);
                        let message = "The argument name does not refer to a declared parameter.".to_owned();
                        return Err(self.tell("KS196", name.span, message, near));
                    };
                    position
                }
            };
            match given.get_mut(position) {
                Some(slot) => *slot = Some(arg),
                None => return Err(self.expects(&call.name.text, function.parameters.len(), call.name.span)),
            }
        }
        Ok(given)
    }

    fn expects(&mut self, name: &str, count: usize, span: Span) -> Stopped {
        let plural = if count == 1 { "argument" } else { "arguments" };
        self.error("KS119", span, format!("The function '{name}' expects {count} {plural}."))
    }

    fn has_columns(&mut self, columns: &[crate::ast::Column], plan: &Plan, span: Span) -> Bound<()> {
        let missing = columns.iter().find(|wanted| {
            !plan.schema.iter().any(|known| known.name == wanted.name.text && known.ty == wanted.ty)
        });
        match missing {
            Some(wanted) => {
                let message = "The tabular value does not have the required columns.".to_owned();
                let mend = format!("It wants {}: {}.", wanted.name.text, wanted.ty.name());
                Err(self.tell("KS249", span, message, Some(mend)))
            }
            None => Ok(()),
        }
    }
}
