//! How large and how high a tree is, for what is written out in several places.

use crate::{Aggregation, Expr, ExprKind, Node, Plan, Step, WindowFunction};

/// Size and height.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Measure {
    pub(super) size: usize,
    pub(super) height: usize,
}

impl Measure {
    fn on_top(of: impl Iterator<Item = Self>) -> Self {
        let mut sum = Self { size: 1, height: 0 };
        for part in of {
            sum.size = sum.size.saturating_add(part.size);
            sum.height = sum.height.max(part.height);
        }
        sum.height += 1;
        sum
    }
}

/// Of an expression.
pub(super) fn of_expr(expr: &Expr) -> Measure {
    match &expr.kind {
        ExprKind::Literal(_) | ExprKind::Column(_) => Measure { size: 1, height: 1 },
        ExprKind::Call { args, .. } => Measure::on_top(args.iter().map(of_expr)),
        ExprKind::Path { base, steps } => {
            let computed = steps.iter().filter_map(|step| match step {
                Step::Computed(expr) => Some(of_expr(expr)),
                Step::Member(_) | Step::Index(_) => None,
            });
            Measure::on_top(std::iter::once(of_expr(base)).chain(computed))
        }
        ExprKind::InQuery { value, query, .. } => {
            Measure::on_top([of_expr(value), of_plan(query)].into_iter())
        }
        ExprKind::ScalarQuery(query) => Measure::on_top(std::iter::once(of_plan(query))),
    }
}

/// Of a plan, its expressions included.
pub(super) fn of_plan(plan: &Plan) -> Measure {
    let mut parts = Vec::new();
    for input in inputs(&plan.node) {
        parts.push(of_plan(input));
    }
    for expr in expressions(&plan.node) {
        parts.push(of_expr(expr));
    }
    Measure::on_top(parts.into_iter())
}

fn inputs(node: &Node) -> Vec<&Plan> {
    match node {
        Node::Table { .. } | Node::Values { .. } | Node::Range { .. } | Node::Opened(_) | Node::Applied => {
            Vec::new()
        }
        Node::Filter { input, .. }
        | Node::Project { input, .. }
        | Node::Aggregate { input, .. }
        | Node::Sort { input, .. }
        | Node::Take { input, .. }
        | Node::MvExpand { input, .. }
        | Node::MakeSeries { input, .. }
        | Node::Window { input, .. }
        | Node::Parse { input, .. }
        | Node::ParseKv { input, .. }
        | Node::TopNested { input, .. } => vec![input],
        Node::Join { left, right, .. } => vec![left, right],
        Node::MvApply { input, subquery, .. } => vec![input, subquery],
        Node::Union { inputs } => inputs.iter().collect(),
    }
}

fn expressions(node: &Node) -> Vec<&Expr> {
    fn of(aggregations: &[Aggregation]) -> impl Iterator<Item = &Expr> {
        aggregations.iter().flat_map(|aggregation| &aggregation.args)
    }
    match node {
        Node::Table { .. } | Node::Values { .. } | Node::Opened(_) | Node::Applied | Node::Union { .. } => {
            Vec::new()
        }
        Node::Range { from, to, step } => vec![from, to, step],
        Node::Filter { predicate: expr, .. }
        | Node::Take { count: expr, .. }
        | Node::Parse { source: expr, .. }
        | Node::ParseKv { source: expr, .. } => vec![expr],
        Node::Project { columns, .. } => columns.iter().collect(),
        Node::Aggregate { keys, aggregations, .. } => keys.iter().chain(of(aggregations)).collect(),
        Node::Sort { keys, .. } => keys.iter().map(|key| &key.expr).collect(),
        Node::Join { on, .. } => on.iter().flat_map(|(left, right)| [left, right]).collect(),
        Node::MvExpand { columns, .. } | Node::MvApply { columns, .. } => {
            columns.iter().map(|column| &column.source).collect()
        }
        Node::MakeSeries { axis, from, to, step, keys, series, .. } => [axis, step]
            .into_iter()
            .chain(from)
            .chain(to)
            .chain(keys)
            .chain(series.iter().flat_map(|series| &series.aggregation.args))
            .collect(),
        Node::Window { functions, .. } => functions
            .iter()
            .filter_map(|function| match function {
                WindowFunction::RowNumber { restart, .. } => restart.as_ref(),
                WindowFunction::CumulativeSum { term, .. } => Some(term),
                WindowFunction::Shifted { value, .. } => Some(value),
            })
            .collect(),
        Node::TopNested { levels, .. } => levels
            .iter()
            .flat_map(|level| std::iter::once(&level.key).chain(&level.aggregation.args))
            .collect(),
    }
}
