//! Where rows come from, and the operators behind it.

use super::convert::{convert, null};
use super::limits::MAX_CELLS;
use super::name::Names;
use super::nearest::suggestion;
use super::scope::{Binding, Rows, column};
use super::{Binder, Bound, Stopped, all, size};
use crate::ast::{self, Call, ExprKind as Syntax, Operator, OperatorKind, PathStep, Span};
use crate::diagnostic::code;
use crate::{ExprKind, Node, Plan, Schema, Type, Value, literal, signature};

/// Whether a call names another place that rows can come from.
pub(super) fn is_place(call: &Call) -> bool {
    matches!(call.name.text.as_str(), "workspace" | "resource")
}

impl Binder<'_> {
    /// Binds what yields rows.
    pub(super) fn table(&mut self, expr: &ast::Expr) -> Bound<Plan> {
        self.deeper(expr.span, |binder| binder.table_within(expr))
    }

    fn table_within(&mut self, expr: &ast::Expr) -> Bound<Plan> {
        let span = expr.span;
        match &expr.kind {
            Syntax::Name(name) => self.named_table(name, span),
            Syntax::Call(call) => self.called_table(call),
            Syntax::Path { base, steps } => self.distant_table(base, steps, span),
            Syntax::DataTable { columns, values } => self.data_table(columns, values, span),
            Syntax::Leading(operator) => self.leading(operator),
            Syntax::Pipe { source, operators } => {
                let source = self.table(source)?;
                self.pipe(source, operators)
            }
            _ => self.fail("KS111", span, "Tabular value expected."),
        }
    }

    /// Operators over rows.
    pub(super) fn pipe(&mut self, source: Plan, operators: &[Operator]) -> Bound<Plan> {
        operators.iter().try_fold(source, |input, operator| self.operator(input, operator))
    }

    fn named_table(&mut self, name: &str, span: Span) -> Bound<Plan> {
        match self.scope.find(name) {
            Some(Binding::Table(plan)) => {
                let plan = plan.clone();
                self.grow(size::of_plan(&plan).size, span)?;
                Ok(plan)
            }
            Some(Binding::Function { .. }) => {
                let name = ast::Name { text: name.to_owned(), span };
                self.table_function(&Call { name, args: Vec::new(), span }, None)
            }
            Some(Binding::Scalar(_)) => self.fail("KS111", span, "Tabular value expected."),
            Some(Binding::Wrong) => Err(Stopped),
            None => self.catalog_table(name, None, span),
        }
    }

    pub(super) fn catalog_table(&mut self, name: &str, scope: Option<String>, span: Span) -> Bound<Plan> {
        let environment = self.environment;
        match environment.tables.iter().find(|table| table.name == name) {
            Some(table) => {
                self.node(Node::Table { name: name.to_owned(), scope }, table.schema.clone(), span)
            }
            None => Err(self.unknown_table(name, span)),
        }
    }

    fn unknown_table(&mut self, name: &str, span: Span) -> Stopped {
        let tables = self.environment.tables.iter().map(|table| table.name.as_str());
        let near = suggestion(name, tables.chain(self.scope.names()));
        let message =
            format!("The name '{name}' does not refer to any known table, tabular variable or function.");
        self.tell("KS204", span, message, near)
    }

    fn called_table(&mut self, call: &Call) -> Bound<Plan> {
        let name = call.name.text.as_str();
        if matches!(self.scope.find(name), Some(Binding::Function { .. })) {
            return self.table_function(call, None);
        }
        match (name, call.args.as_slice()) {
            ("materialize", [arg]) => self.table(&arg.expr),
            ("table", [arg, ..]) => {
                let bound = self.scalar(&mut Rows::none(), &arg.expr)?;
                match bound.kind {
                    ExprKind::Literal(Value::String(name)) => self.catalog_table(&name, None, arg.expr.span),
                    _ => self.fail("KS131", arg.expr.span, "The expression must be a literal."),
                }
            }
            _ if signature::scalar(name).is_some() => {
                self.fail("KS111", call.span, "Tabular value expected.")
            }
            _ => self.no_function(&call.name),
        }
    }

    /// `workspace("x").T`, `resource("x").T`.
    fn distant_table(&mut self, base: &ast::Expr, steps: &[PathStep], span: Span) -> Bound<Plan> {
        let Syntax::Call(call) = &base.kind else {
            return self.fail("KS111", span, "Tabular value expected.");
        };
        let scope = self.place_of(call)?;
        match steps {
            [PathStep::Member(table)] => self.catalog_table(&table.text, Some(scope), table.span),
            [PathStep::Call(call)] => self.no_function(&call.name),
            _ => self.fail("KS111", span, "Tabular value expected."),
        }
    }

    /// `workspace("x")`, `resource("x")` as a scope.
    pub(super) fn place_of(&mut self, call: &Call) -> Bound<String> {
        if !is_place(call) {
            return self.no_function(&call.name);
        }
        let [arg] = call.args.as_slice() else {
            let message = format!("The function '{}' expects 1 argument.", call.name.text);
            return self.fail("KS119", call.name.span, message);
        };
        match self.scalar(&mut Rows::none(), &arg.expr)?.kind {
            ExprKind::Literal(Value::String(place)) => Ok(format!("{}(\"{place}\")", call.name.text)),
            _ => self.fail("KS131", arg.expr.span, "The expression must be a literal."),
        }
    }

    fn data_table(&mut self, columns: &[ast::Column], values: &[ast::Expr], span: Span) -> Bound<Plan> {
        let schema = self.declared_columns(columns)?;
        if !values.len().is_multiple_of(schema.len().max(1)) || (schema.is_empty() && !values.is_empty()) {
            let message = format!(
                "Incorrect number of data values. The values should appear in multiples of {}.",
                schema.len()
            );
            return self.fail("KS173", span, message);
        }
        if values.len() > MAX_CELLS {
            let message = format!("A datatable has at most {MAX_CELLS} values.");
            return self.fail(code::LIMIT, span, message);
        }
        let mut cells = Vec::with_capacity(values.len());
        for (value, column) in values.iter().zip(schema.iter().cycle()) {
            cells.push(self.scalar(&mut Rows::none(), value).map(|bound| cell(bound, column.ty)));
        }
        let cells = all(cells)?;
        let rows = cells.chunks(schema.len().max(1)).map(<[Value]>::to_vec).collect();
        self.node(Node::Values { rows }, schema, span)
    }

    /// Columns with their types, each name once.
    pub(super) fn declared_columns(&mut self, columns: &[ast::Column]) -> Bound<Schema> {
        let mut names = Names::default();
        let mut schema = Vec::with_capacity(columns.len());
        for declared in columns {
            schema.push(if names.claim(&declared.name.text) {
                Ok(column(declared.name.text.clone(), declared.ty))
            } else {
                Err(self.twice(&declared.name.text, declared.name.span))
            });
        }
        all(schema)
    }

    /// Tells that a column of that name is there.
    pub(super) fn twice(&mut self, name: &str, span: Span) -> Stopped {
        self.error("KS171", span, format!("A column with the name '{name}' is already declared."))
    }

    fn leading(&mut self, operator: &Operator) -> Bound<Plan> {
        match &operator.kind {
            OperatorKind::Print(items) => self.print(items, operator.span),
            OperatorKind::Range { name, from, to, step } => self.range(name, [from, to, step], operator.span),
            OperatorKind::Union(sources) => self.union(None, sources, operator),
            OperatorKind::Search { sources, predicate } => self.search(None, sources, predicate, operator),
            OperatorKind::Find { .. } => self.unsupported(operator),
            _ => {
                let message = "The operator cannot be the first operator in a query.";
                self.fail("KS174", operator.span, message)
            }
        }
    }

    fn operator(&mut self, input: Plan, operator: &Operator) -> Bound<Plan> {
        let span = operator.span;
        match &operator.kind {
            OperatorKind::Where(predicate) => self.filter(input, predicate, span),
            OperatorKind::Project(items) => self.project(input, items, span),
            OperatorKind::Extend(items) | OperatorKind::Serialize(items) => self.extend(input, items, span),
            OperatorKind::ProjectAway(patterns) => self.project_away(input, patterns, span),
            OperatorKind::ProjectKeep(patterns) => self.project_keep(input, patterns, span),
            OperatorKind::ProjectRename(items) => self.project_rename(input, items, span),
            OperatorKind::ProjectReorder(items) => self.project_reorder(input, items, span),
            OperatorKind::Summarize { aggregates, by } => self.summarize(input, aggregates, by, span),
            OperatorKind::Distinct(distinct) => self.distinct(input, distinct, span),
            OperatorKind::Count(name) => self.count_rows(input, name.as_ref(), span),
            OperatorKind::Sort(keys) => self.sort(input, keys, span),
            OperatorKind::Top { count, by } => self.top(input, count, by, span),
            OperatorKind::Take(count) | OperatorKind::Sample(count) => self.take(input, count, span),
            OperatorKind::SampleDistinct { count, of } => self.sample_distinct(input, count, of, span),
            OperatorKind::TopNested(levels) => self.top_nested(input, levels, span),
            OperatorKind::Join { right, on } => self.join(input, right, on, operator),
            OperatorKind::Lookup { right, on } => self.lookup(input, right, on, operator),
            OperatorKind::Union(sources) => self.union(Some(input), sources, operator),
            OperatorKind::Search { sources, predicate } => {
                self.search(Some(input), sources, predicate, operator)
            }
            OperatorKind::MvExpand { columns, limit } => {
                self.mv_expand(input, columns, limit.as_ref(), operator)
            }
            OperatorKind::MvApply { columns, limit, subquery } => {
                self.mv_apply(input, columns, limit.as_ref(), subquery, operator)
            }
            OperatorKind::MakeSeries { aggregates, axis, range, by } => {
                self.make_series(input, aggregates, axis, range, by, span)
            }
            OperatorKind::Parse { .. } => self.parse(input, operator),
            OperatorKind::ParseKv { source, keys, properties } => {
                self.parse_kv(input, source, keys, properties, span)
            }
            OperatorKind::Evaluate { call, schema } => self.evaluate(input, call, schema.as_deref(), span),
            OperatorKind::GetSchema => self.get_schema(&input, span),
            _ => self.rarer_operator(input, operator),
        }
    }

    /// Operators that change no rows, and those that are not there.
    fn rarer_operator(&mut self, input: Plan, operator: &Operator) -> Bound<Plan> {
        let span = operator.span;
        match &operator.kind {
            OperatorKind::As(name) => {
                self.grow(size::of_plan(&input).size, span)?;
                self.scope.declare(&name.text, Binding::Table(input.clone()));
                Ok(input)
            }
            OperatorKind::Render { visualization, properties } => {
                if !self.judging {
                    self.render = Some(crate::Render {
                        visualization: visualization.text.clone(),
                        properties: properties
                            .iter()
                            .map(|property| (property.name.text.clone(), property.values.join(",")))
                            .collect(),
                    });
                }
                Ok(input)
            }
            OperatorKind::Invoke(expr) => match &expr.kind {
                Syntax::Call(call) => self.table_function(call, Some(input)),
                _ => self.fail("KS128", expr.span, "The name does not refer to a function."),
            },
            OperatorKind::Consume => {
                let count = super::convert::literal(Value::Long(0));
                let schema = input.schema.clone();
                self.node(Node::Take { input: Box::new(input), count }, schema, span)
            }
            OperatorKind::Print(_) | OperatorKind::Range { .. } => {
                self.fail("KS175", span, "The operator must be the first operator in the query.")
            }
            _ => self.unsupported(operator),
        }
    }

    fn unsupported<T>(&mut self, operator: &Operator) -> Bound<T> {
        let message = format!("The query operator '{}' is not supported.", operator.kind.keyword());
        self.fail(code::UNSUPPORTED, operator.span, message)
    }
}

/// A literal as a cell of a column; null where it is not one of that type.
fn cell(bound: crate::Expr, ty: Type) -> Value {
    match convert(bound, ty).kind {
        ExprKind::Literal(value) => value,
        ExprKind::Call { args, .. } => match args.first().map(|arg| &arg.kind) {
            Some(ExprKind::Literal(Value::String(text))) => read(text.trim(), ty).unwrap_or_else(|| null(ty)),
            _ => null(ty),
        },
        _ => null(ty),
    }
}

/// A text as a value of a column's type.
fn read(text: &str, ty: Type) -> Option<Value> {
    match ty {
        Type::Bool => text.to_ascii_lowercase().parse().ok().map(Value::Bool),
        Type::Int => literal::read_long(text).and_then(|number| i32::try_from(number).ok()).map(Value::Int),
        Type::Long => literal::read_long(text).map(Value::Long),
        Type::Real => literal::read_real(text).map(Value::Real),
        Type::Decimal => literal::read_decimal(text).map(|digits| Value::Decimal(digits.into())),
        Type::String => Some(Value::String(text.into())),
        Type::DateTime => literal::read_datetime(text).map(Value::DateTime),
        Type::TimeSpan => literal::read_timespan(text).map(Value::TimeSpan),
        Type::Guid => literal::read_guid(text).map(Value::Guid),
        Type::Dynamic => None,
    }
}
