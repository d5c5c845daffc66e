//! `summarize`, `distinct`, `count`, and aggregates wherever they stand.

use super::convert::{self, convert};
use super::name::{self, Names, natural};
use super::project::{Called, Made};
use super::scope::{Rows, column, identity};
use super::{Binder, Bound, Stopped, all, call};
use crate::ast::{self, Call, Distinct, ExprKind as Syntax, Name, Named, Span};
use crate::signature::{self, AggregateFunction, Yields};
use crate::{Aggregate, Aggregation, Column, Expr, ExprKind, Node, Plan, Schema, Type, Value};

/// A column that an aggregate makes: its natural name, and its place in the aggregated rows.
pub(super) struct Output {
    pub(super) name: String,
    pub(super) index: usize,
    pub(super) ty: Type,
}

/// Whether a name is an aggregate's.
pub(super) fn is_aggregate(name: &str) -> bool {
    signature::aggregate(name).is_some() || matches!(name, "percentiles" | "percentilesw")
}

impl Binder<'_> {
    pub(super) fn summarize(
        &mut self,
        input: Plan,
        items: &[Named],
        by: &[Named],
        span: Span,
    ) -> Bound<Plan> {
        let mut names = Names::default();
        let keys = self.keys(&input.schema, by, &mut names)?;
        let mut rows = Rows::summary(&input.schema, keys.iter().map(|(_, expr)| expr).cloned().collect());
        let mut made = Vec::with_capacity(items.len());
        for item in items {
            made.push(self.summary_item(&mut rows, item));
        }
        let made = all(made)?;
        let summary = rows.summary.take().ok_or(Stopped)?;
        let mut schema: Schema = keys.iter().map(|(key, _)| key.clone()).collect();
        let mut columns = identity(&schema);
        let mut good = Vec::new();
        for made in made.into_iter().flatten() {
            let ty = made.expr.ty;
            good.push(self.name_apart(&mut names, made.called).map(|name| column(name, ty)));
            columns.push(made.expr);
        }
        schema.extend(all(good)?);
        let keys = keys.into_iter().map(|(_, expr)| expr).collect();
        self.aggregated(input, keys, summary.aggregations, (schema, columns), span)
    }

    /// The aggregation, and above it what is computed of its columns.
    fn aggregated(
        &mut self,
        input: Plan,
        keys: Vec<Expr>,
        mut aggregations: Vec<Aggregation>,
        shown: (Schema, Vec<Expr>),
        span: Span,
    ) -> Bound<Plan> {
        let (schema, columns) = shown;
        let mut inner: Schema = schema.iter().take(keys.len()).cloned().collect();
        let outputs = aggregations.iter().map(|aggregation| aggregation.outputs.len()).sum::<usize>();
        let direct = schema.len() == keys.len() + outputs
            && columns.iter().enumerate().all(|(index, expr)| expr.kind == ExprKind::Column(index));
        let mut names = Names::default();
        for key in &inner {
            names.claim(&key.name);
        }
        let mut shown = schema.iter().skip(keys.len());
        for output in aggregations.iter_mut().flat_map(|aggregation| &mut aggregation.outputs) {
            output.name = match shown.next() {
                Some(shown) if direct => shown.name.clone(),
                _ => names.apart("aggregate"),
            };
            inner.push(output.clone());
        }
        let node = Node::Aggregate { input: Box::new(input), keys, aggregations };
        let plan = self.node(node, inner, span)?;
        if direct {
            return Ok(plan);
        }
        self.node(Node::Project { input: Box::new(plan), columns }, schema, span)
    }

    /// What groups: named, and not dynamic.
    pub(super) fn keys(
        &mut self,
        schema: &Schema,
        by: &[Named],
        names: &mut Names,
    ) -> Bound<Vec<(Column, Expr)>> {
        let mut keys = Vec::with_capacity(by.len());
        for item in by {
            let mut rows = Rows::of(schema);
            let made = self.called(schema, item).and_then(|called| {
                let expr = self.scalar(&mut rows, &item.expr)?;
                let expr = self.not_dynamic(expr, item.expr.span)?;
                let name = self.name_apart(names, called)?;
                Ok((column(name, expr.ty), expr))
            });
            keys.push(made);
        }
        all(keys)
    }

    /// What may group, sort and tell apart.
    pub(super) fn not_dynamic(&mut self, expr: Expr, span: Span) -> Bound<Expr> {
        if expr.ty != Type::Dynamic {
            return Ok(expr);
        }
        let message = "The value of type 'dynamic' is not allowed in this context.".to_owned();
        let mend = "Convert it first: tostring(…), tolong(…), todatetime(…).".to_owned();
        Err(self.tell("KS116", span, message, Some(mend)))
    }

    fn summary_item(&mut self, rows: &mut Rows<'_>, item: &Named) -> Bound<Vec<Made>> {
        let span = item.span();
        let direct = match &item.expr.kind {
            Syntax::Call(called) if self.scope.find(&called.name.text).is_none() => {
                is_aggregate(&called.name.text).then_some(called)
            }
            _ => None,
        };
        let Some(called) = direct else {
            let name = self.called(rows.columns, item)?;
            let expr = self.scalar(rows, &item.expr)?;
            return Ok(vec![Made { called: name, expr, span }]);
        };
        let outputs = self.aggregate_call(rows, called)?;
        if let (1, [first, .., last]) = (outputs.len(), item.names.as_slice()) {
            let span = first.span.to(last.span);
            return self.fail("KS149", span, "The expression does not have multiple named values.");
        }
        if let Some(extra) = item.names.get(outputs.len()) {
            return self.fail("KS150", extra.span, "The name does not have a corresponding expression.");
        }
        let made = outputs.into_iter().enumerate().map(|(index, output)| {
            let called = match item.names.get(index) {
                Some(given) => Called::Declared(given.text.clone(), given.span),
                None => Called::Natural(output.name),
            };
            Made { called, expr: convert::column(output.index, output.ty), span }
        });
        Ok(made.collect())
    }

    /// An aggregate within an expression.
    pub(super) fn nested_aggregate(&mut self, rows: &mut Rows<'_>, called: &Call) -> Bound<Expr> {
        let outputs = self.aggregate_call(rows, called)?;
        match outputs.as_slice() {
            [only] => Ok(convert::column(only.index, only.ty)),
            _ => {
                self.fail("KS139", called.span, "The multi-valued expression cannot be used within another.")
            }
        }
    }

    /// Binds an aggregate's call into the rows' summary.
    pub(super) fn aggregate_call(&mut self, rows: &mut Rows<'_>, called: &Call) -> Bound<Vec<Output>> {
        let allowed = rows.summary.as_ref().is_some_and(|summary| !summary.inside);
        if !allowed {
            let message =
                format!("The aggregate function '{}' is not allowed in this context.", called.name.text);
            let mend = "Aggregates stand in summarize, make-series, top-nested and pivot.".to_owned();
            return Err(self.tell("KS144", called.name.span, message, Some(mend)));
        }
        rows.set_inside(true);
        let aggregations = self.aggregations(rows, called);
        rows.set_inside(false);
        let aggregations = aggregations?;
        let summary = rows.summary.as_mut().ok_or(Stopped)?;
        let mut outputs = Vec::new();
        for aggregation in aggregations {
            let first = summary.width();
            outputs.extend(aggregation.outputs.iter().enumerate().map(|(index, output)| Output {
                name: output.name.clone(),
                index: first + index,
                ty: output.ty,
            }));
            summary.aggregations.push(aggregation);
        }
        self.grow(outputs.len(), called.span)?;
        Ok(outputs)
    }

    /// The aggregations of a call, with their outputs under natural names.
    fn aggregations(&mut self, rows: &mut Rows<'_>, called: &Call) -> Bound<Vec<Aggregation>> {
        match called.name.text.as_str() {
            "percentiles" => return self.percentiles(rows, called, Aggregate::Percentile),
            "percentilesw" => return self.percentiles(rows, called, Aggregate::PercentileWeighted),
            _ => {}
        }
        let Some(row) = signature::aggregate(&called.name.text) else {
            return self.no_function(&called.name);
        };
        match row.function {
            Aggregate::ArgMax | Aggregate::ArgMin | Aggregate::TakeAny => self.carrying(rows, row, called),
            function @ (Aggregate::Percentile | Aggregate::PercentileWeighted) => {
                return self.percentiles(rows, called, function);
            }
            Aggregate::Count if !called.args.is_empty() => {
                const PREDICATE: &str = "countif";
                let row = signature::aggregate(PREDICATE).ok_or(Stopped)?;
                self.plain(rows, row, called, "count")
            }
            _ => {
                let prefix = match row.naming {
                    signature::Naming::Prefix(prefix) => prefix,
                    _ => "",
                };
                self.plain(rows, row, called, prefix)
            }
        }
        .map(|aggregation| vec![aggregation])
    }

    /// One aggregate, one column.
    fn plain(
        &mut self,
        rows: &mut Rows<'_>,
        row: &AggregateFunction,
        called: &Call,
        prefix: &str,
    ) -> Bound<Aggregation> {
        let args = self.arguments(rows, called)?;
        let signature = self.choose(row.signatures, called, &args)?;
        let (mut args, ty) = self.fitted(signature, called, args)?;
        if signature.yields == Yields::FirstPromoted
            && let Some(first) = args.first_mut()
        {
            *first = convert(std::mem::replace(first, convert::literal(Value::Bool(false))), ty);
        }
        let name = self.first_name(rows, called);
        let name = match row.function {
            Aggregate::PercentilesArray => {
                self.constant_percentages(&mut args, called)?;
                name::prefixed("percentiles", name)
            }
            _ if prefix.is_empty() => name.unwrap_or_else(|| format!("{}_", called.name.text)),
            _ => name::prefixed(prefix, name),
        };
        Ok(Aggregation { function: row.function, args, outputs: vec![column(name, ty)] })
    }

    pub(super) fn first_name(&self, rows: &Rows<'_>, called: &Call) -> Option<String> {
        called.args.first().and_then(|arg| natural(&arg.expr, rows.columns, &self.scope))
    }

    fn constant_percentages(&mut self, args: &mut Vec<Expr>, called: &Call) -> Bound<()> {
        if let [value, list] = args.as_slice()
            && let Some(elements) = call::literal_elements(list)
        {
            let value = value.clone();
            *args = std::iter::once(value).chain(elements.into_iter().map(convert::literal)).collect();
        }
        for (arg, syntax) in args.iter_mut().zip(&called.args).skip(1) {
            let number = convert(std::mem::replace(arg, convert::literal(Value::Bool(false))), Type::Real);
            *arg = self.percentage(number, syntax.expr.span)?;
        }
        Ok(())
    }

    fn percentage(&mut self, expr: Expr, span: Span) -> Bound<Expr> {
        match expr.kind {
            ExprKind::Literal(Value::Real(number)) if (0.0..=100.0).contains(&number) => Ok(expr),
            ExprKind::Literal(_) => self.fail("KS140", span, "A percentage lies between 0 and 100."),
            _ => self.fail("KS129", span, "The expression must be a constant."),
        }
    }

    /// `percentile`, `percentiles` and those with weights: one aggregation for each percentage.
    fn percentiles(
        &mut self,
        rows: &mut Rows<'_>,
        called: &Call,
        function: Aggregate,
    ) -> Bound<Vec<Aggregation>> {
        let row = signature::aggregate(function.name()).ok_or(Stopped)?;
        let signature = row.signatures.first().ok_or(Stopped)?;
        let fixed = signature.params.len() - 1;
        let args = self.arguments(rows, called)?;
        let several = called.name.text != function.name();
        if args.len() <= fixed || (!several && args.len() != fixed + 1) {
            let name = &called.name.text;
            return if several {
                let message = format!("The function '{name}' expects at least {} arguments.", fixed + 1);
                self.fail("KS120", called.name.span, message)
            } else {
                let message = format!("The function '{name}' expects {} arguments.", fixed + 1);
                self.fail("KS119", called.name.span, message)
            };
        }
        let name = self.first_name(rows, called).unwrap_or_default();
        let mut made = Vec::new();
        for (percentage, syntax) in args.iter().zip(&called.args).skip(fixed) {
            let mut some: Vec<_> = args.iter().take(fixed).cloned().collect();
            some.push(percentage.clone());
            let mut call = called.clone();
            call.args.truncate(fixed);
            call.args.push(syntax.clone());
            let (mut fitted, ty) = self.fitted(signature, &call, some)?;
            let number = fitted.pop().map(|number| convert(number, Type::Real)).ok_or(Stopped)?;
            fitted.push(self.percentage(number, syntax.expr.span)?);
            if let Some(first) = fitted.first_mut() {
                *first = convert(std::mem::replace(first, convert::literal(Value::Bool(false))), ty);
            }
            self.grow(fixed + 1, called.span)?;
            let outputs = vec![column(format!("percentile_{name}_{}", percentage_name(&syntax.expr)), ty)];
            made.push(Aggregation { function, args: fitted, outputs });
        }
        Ok(made)
    }

    pub(super) fn distinct(&mut self, input: Plan, distinct: &Distinct, span: Span) -> Bound<Plan> {
        let keys = match distinct {
            Distinct::Star => {
                let keys = input.schema.iter().cloned().zip(identity(&input.schema));
                let keys = keys.map(|(known, expr)| Ok((known, self.not_dynamic(expr, span)?))).collect();
                all(keys)?
            }
            Distinct::Columns(columns) => self.keys(&input.schema, columns, &mut Names::default())?,
        };
        let (schema, keys) = keys.into_iter().unzip();
        self.node(Node::Aggregate { input: Box::new(input), keys, aggregations: Vec::new() }, schema, span)
    }

    pub(super) fn count_rows(&mut self, input: Plan, name: Option<&Name>, span: Span) -> Bound<Plan> {
        let outputs = vec![column(name.map_or("Count", |name| name.text.as_str()), Type::Long)];
        let aggregation =
            Aggregation { function: Aggregate::Count, args: Vec::new(), outputs: outputs.clone() };
        let node =
            Node::Aggregate { input: Box::new(input), keys: Vec::new(), aggregations: vec![aggregation] };
        self.node(node, outputs, span)
    }
}

/// A percentage in a column's name: `95`, `99_9`.
fn percentage_name(expr: &ast::Expr) -> String {
    match &expr.kind {
        Syntax::Literal(Value::Long(number)) => number.to_string(),
        Syntax::Literal(Value::Real(number)) => number.to_string().replace('.', "_"),
        _ => String::new(),
    }
}
