//! Subqueries run before the query that reads them, innermost first, and each once. Owns which they are and what they leave
//! behind in the plan: rows that have been computed.

use datafusion::common::{Result, plan_err};
use dps_kql::{Expr, ExprKind, Node, Plan, Step, Type, Value, WindowFunction};

use super::limits::{COMPUTED_ROWS, DEPTH, SET_VALUES};

/// Subqueries of a query.
const SUBQUERIES: usize = 100;
/// Terms of a chain of `or`, which may be nested.
const CHAIN: usize = 10_000;

/// A subquery.
#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    /// What it computes.
    pub plan: Plan,
    /// How many rows it may have.
    pub most: usize,
}

/// Takes the subqueries out of a plan. What is left of each is `Opened` of its number, counted on from `first`; a subquery
/// may read those before it.
pub fn settle(plan: &mut Plan, first: usize) -> Result<Vec<Subquery>> {
    let mut settling = Settling { first, taken: Vec::new() };
    settling.plan(plan, 0)?;
    Ok(settling.taken)
}

struct Settling {
    first: usize,
    taken: Vec<Subquery>,
}

impl Settling {
    fn plan(&mut self, plan: &mut Plan, depth: usize) -> Result<()> {
        if depth > DEPTH {
            return plan_err!("the query is nested too deeply");
        }
        for input in inputs(&mut plan.node) {
            self.plan(input, depth + 1)?;
        }
        for expr in exprs(&mut plan.node) {
            self.expr(expr, depth + 1)?;
        }
        match &mut plan.node {
            // What is read more than once, and must be the same each time.
            Node::MvApply { input, .. } | Node::TopNested { input, .. }
                if !matches!(input.node, Node::Opened(_) | Node::Values { .. }) && !holds_applied(input) =>
            {
                self.take(input, COMPUTED_ROWS, |input| input)
            }
            _ => Ok(()),
        }
    }

    fn expr(&mut self, expr: &mut Expr, depth: usize) -> Result<()> {
        if depth > CHAIN {
            return plan_err!("the query is nested too deeply");
        }
        match &mut expr.kind {
            ExprKind::Literal(_) | ExprKind::Column(_) => Ok(()),
            ExprKind::Call { args, .. } => args.iter_mut().try_for_each(|arg| self.expr(arg, depth + 1)),
            ExprKind::Path { base, steps } => {
                self.expr(base, depth + 1)?;
                steps.iter_mut().try_for_each(|step| match step {
                    Step::Computed(expr) => self.expr(expr, depth + 1),
                    Step::Member(_) | Step::Index(_) => Ok(()),
                })
            }
            ExprKind::InQuery { value, query, .. } => {
                self.expr(value, depth + 1)?;
                self.plan(query, depth + 1)?;
                self.take(query, SET_VALUES, |query| limited(distinct(query), SET_VALUES + 1))
            }
            ExprKind::ScalarQuery(query) => {
                self.plan(query, depth + 1)?;
                self.take(query, 1, |query| limited(query, 1))
            }
        }
    }

    fn take(&mut self, plan: &mut Plan, most: usize, shape: impl FnOnce(Plan) -> Plan) -> Result<()> {
        if matches!(plan.node, Node::Opened(number) if number >= self.first) {
            return Ok(());
        }
        let schema = plan.schema.clone();
        let taken = std::mem::replace(plan, Plan { node: Node::Opened(0), schema });
        let taken = Subquery { plan: shape(taken), most };
        let known = self.taken.iter().position(|known| *known == taken);
        let number = known.unwrap_or(self.taken.len());
        if known.is_none() {
            if self.taken.len() >= SUBQUERIES {
                return plan_err!("more than {SUBQUERIES} subqueries");
            }
            self.taken.push(taken);
        }
        plan.node = Node::Opened(self.first + number);
        Ok(())
    }
}

fn distinct(plan: Plan) -> Plan {
    let Some(column) = plan.schema.first().cloned() else { return plan };
    let keys = vec![Expr { kind: ExprKind::Column(0), ty: column.ty }];
    let schema = vec![column];
    Plan { node: Node::Aggregate { input: Box::new(plan), keys, aggregations: Vec::new() }, schema }
}

fn limited(plan: Plan, rows: usize) -> Plan {
    let rows = Value::Long(i64::try_from(rows).unwrap_or(i64::MAX));
    let count = Expr { kind: ExprKind::Literal(rows), ty: Type::Long };
    let schema = plan.schema.clone();
    Plan { node: Node::Take { input: Box::new(plan), count }, schema }
}

/// Whether a plan stands on the row of an `mv-apply` around it.
fn holds_applied(plan: &Plan) -> bool {
    match &plan.node {
        Node::Applied => true,
        Node::Table { .. } | Node::Values { .. } | Node::Range { .. } | Node::Opened(_) => false,
        Node::Join { left, right, .. } => holds_applied(left) || holds_applied(right),
        Node::Union { inputs } => inputs.iter().any(holds_applied),
        Node::Filter { input, .. }
        | Node::Project { input, .. }
        | Node::Aggregate { input, .. }
        | Node::Sort { input, .. }
        | Node::Take { input, .. }
        | Node::MvExpand { input, .. }
        | Node::MvApply { input, .. }
        | Node::MakeSeries { input, .. }
        | Node::Window { input, .. }
        | Node::Parse { input, .. }
        | Node::ParseKv { input, .. }
        | Node::TopNested { input, .. } => holds_applied(input),
    }
}

fn inputs(node: &mut Node) -> Vec<&mut Plan> {
    match node {
        Node::Table { .. } | Node::Values { .. } | Node::Range { .. } | Node::Opened(_) | Node::Applied => {
            Vec::new()
        }
        Node::Join { left, right, .. } => vec![left, right],
        Node::Union { inputs } => inputs.iter_mut().collect(),
        Node::MvApply { input, subquery, .. } => vec![input, subquery],
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
    }
}

fn exprs(node: &mut Node) -> Vec<&mut Expr> {
    match node {
        Node::Table { .. } | Node::Values { .. } | Node::Union { .. } | Node::Opened(_) | Node::Applied => {
            Vec::new()
        }
        Node::Range { from, to, step } => vec![from, to, step],
        Node::Filter { predicate, .. } => vec![predicate],
        Node::Project { columns, .. } => columns.iter_mut().collect(),
        Node::Aggregate { keys, aggregations, .. } => {
            keys.iter_mut().chain(aggregations.iter_mut().flat_map(|of| of.args.iter_mut())).collect()
        }
        Node::Sort { keys, .. } => keys.iter_mut().map(|key| &mut key.expr).collect(),
        Node::Take { count, .. } => vec![count],
        Node::Join { on, .. } => on.iter_mut().flat_map(|(left, right)| [left, right]).collect(),
        Node::MvExpand { columns, .. } | Node::MvApply { columns, .. } => {
            columns.iter_mut().map(|expanded| &mut expanded.source).collect()
        }
        Node::MakeSeries { axis, from, to, step, keys, series, .. } => {
            let ends = [Some(axis), from.as_mut(), to.as_mut(), Some(step)].into_iter().flatten();
            let args = series.iter_mut().flat_map(|series| series.aggregation.args.iter_mut());
            ends.chain(keys.iter_mut()).chain(args).collect()
        }
        Node::Window { functions, .. } => functions.iter_mut().flat_map(of_window).collect(),
        Node::Parse { source, .. } | Node::ParseKv { source, .. } => vec![source],
        Node::TopNested { levels, .. } => levels
            .iter_mut()
            .flat_map(|level| {
                level
                    .count
                    .as_mut()
                    .into_iter()
                    .chain([&mut level.key])
                    .chain(level.aggregation.args.iter_mut())
            })
            .collect(),
    }
}

fn of_window(function: &mut WindowFunction) -> Vec<&mut Expr> {
    match function {
        WindowFunction::RowNumber { restart, .. } => restart.iter_mut().collect(),
        WindowFunction::CumulativeSum { term, restart } => {
            std::iter::once(term).chain(restart.as_mut()).collect()
        }
        WindowFunction::Shifted { value, .. } => vec![value],
    }
}
