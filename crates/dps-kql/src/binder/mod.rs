//! From syntax to plan: names become columns, calls become functions with arguments of the right types, shorthand is spelt
//! out, and what is illegal is told with Kusto's code. Must not know what runs a plan.
//!
//! `statement` begins, `source` finds tables, one file per family of operators makes nodes, `scalar` binds expressions. An
//! operator's errors are all told; what follows a wrong operator is not judged, as its columns are not known.

mod call;
mod carry;
mod convert;
mod evaluate;
mod expand;
mod fold;
mod function;
mod join;
mod limits;
mod name;
mod nearest;
mod operator;
mod order;
mod parse;
mod path;
mod predicate;
mod project;
mod scalar;
mod scope;
mod search;
mod series;
mod size;
mod source;
mod statement;
mod summarize;
mod top_nested;
mod union;
mod window;

use crate::ast::{QueryBlock, Span};
use crate::diagnostic::code;
use crate::{
    Analysed, Analysis, Diagnostic, Diagnostics, Environment, Evaluate, Node, Plan, Query, Render, Schema,
};

use limits::{MAX_COLUMNS, MAX_DEPTH, MAX_ERRORS, MAX_PLAN_SIZE};
use scope::Scope;

/// Binds a query.
pub(crate) fn bind(query: &QueryBlock, environment: &Environment<'_>) -> Analysed {
    let mut binder = Binder::new(environment);
    let plan = binder.query(query);
    if !binder.errors.is_empty() {
        binder.errors.sort_by_key(|error| (error.start, error.end));
        binder.errors.dedup();
        return Err(Diagnostics { errors: binder.errors, syntax: false });
    }
    if let Some((input, evaluate)) = binder.open {
        return Ok(Analysis::Open { input: Box::new(input), evaluate: Box::new(evaluate) });
    }
    match plan {
        Ok(plan) => Ok(Analysis::Ready(Box::new(Query { plan, render: binder.render }))),
        Err(Stopped) => Err(Diagnostics {
            errors: vec![Diagnostic {
                code: code::FRAGMENT,
                message: "The query has no result.".to_owned(),
                start: 0,
                end: 0,
                suggestion: None,
            }],
            syntax: false,
        }),
    }
}

/// There is nothing to give back: an error is in the list, or an `evaluate` waits for its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stopped;

type Bound<T> = Result<T, Stopped>;

struct Binder<'a> {
    environment: &'a Environment<'a>,
    scope: Scope,
    errors: Vec<Diagnostic>,
    render: Option<Render>,
    /// The `evaluate` whose columns are asked for.
    open: Option<(Plan, Evaluate)>,
    /// How many `evaluate` operators have been met.
    opened: usize,
    /// The body of a function is judged whose arguments are not known: nothing is kept.
    judging: bool,
    /// Within an `mv-apply`, whose rows cannot be run alone.
    within_apply: bool,
    size: usize,
    depth: usize,
}

impl<'a> Binder<'a> {
    fn new(environment: &'a Environment<'a>) -> Self {
        Self {
            environment,
            scope: Scope::default(),
            errors: Vec::new(),
            render: None,
            open: None,
            opened: 0,
            judging: false,
            within_apply: false,
            size: 0,
            depth: 0,
        }
    }

    /// Tells an error.
    fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>) -> Stopped {
        self.tell(code, span, message.into(), None)
    }

    /// Tells an error and how to mend it.
    fn tell(
        &mut self,
        code: &'static str,
        span: Span,
        message: String,
        suggestion: Option<String>,
    ) -> Stopped {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(Diagnostic { code, message, start: span.start, end: span.end, suggestion });
        }
        Stopped
    }

    fn fail<T>(&mut self, code: &'static str, span: Span, message: impl Into<String>) -> Bound<T> {
        Err(self.error(code, span, message))
    }

    /// Runs a step deeper.
    fn deeper<T>(&mut self, span: Span, step: impl FnOnce(&mut Self) -> Bound<T>) -> Bound<T> {
        if self.depth >= MAX_DEPTH {
            return self.fail(
                code::TOO_DEEP,
                span,
                "The query lies too deep within itself, functions and names written out.",
            );
        }
        self.depth += 1;
        let done = step(self);
        self.depth -= 1;
        done
    }

    /// Counts what the plan grows by.
    fn grow(&mut self, by: usize, span: Span) -> Bound<()> {
        self.size = self.size.saturating_add(by);
        if self.size > MAX_PLAN_SIZE {
            return self.fail(
                code::LIMIT,
                span,
                "The query becomes too large, functions and names written out.",
            );
        }
        Ok(())
    }

    /// A node of the plan.
    fn node(&mut self, node: Node, schema: Schema, span: Span) -> Bound<Plan> {
        self.grow(1, span)?;
        if schema.len() > MAX_COLUMNS {
            let message = format!("More than {MAX_COLUMNS} columns.");
            return self.fail(code::LIMIT, span, message);
        }
        Ok(Plan { node, schema })
    }
}

/// All that came out well, or nothing; errors of all are told.
fn all<T>(bound: Vec<Bound<T>>) -> Bound<Vec<T>> {
    bound.into_iter().collect()
}

#[cfg(test)]
mod tests;
