//! KQL's plan as `DataFusion`'s logical plan. Owns what each operator becomes; must not know files, sessions or answers.
//!
//! Every column has a name of its own within a query (`v17`), so that joins and unions need no qualifiers. Order of rows is
//! kept by [`Serialize`] above each sort and by never repartitioning round robin.

mod aggregate;
mod apply;
mod expand;
mod expr;
mod join;
mod limits;
mod membership;
mod nested;
mod scan;
mod series;
mod settle;
mod text;
mod window;

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::common::{Column, Result, ScalarValue, plan_err};
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Sort, SortExpr, lit, when};
use dps_kql::{Node, Plan, Scalar, SortKey, Type};
use dps_monitor::ports::Scope;

use crate::functions;
use crate::operator::{FirstOfEach, Operator, OrderKey, Serialize, Transform};
use limits::{DEPTH, NAMES};

pub use limits::COMPUTED_ROWS;
pub use scan::{Bound, UNIX_EPOCH_TICKS};
pub use settle::settle;

/// Rows that have been computed before the query that reads them: of an `evaluate` or a subquery.
#[derive(Clone, Debug)]
pub struct Computed {
    /// Their columns, in our representation.
    pub schema: SchemaRef,
    /// Them.
    pub batches: Vec<RecordBatch>,
}

/// What a query is lowered against.
#[derive(Debug)]
pub struct Lowering<'a> {
    session: &'a SessionState,
    tables: &'a HashMap<String, Arc<dyn TableProvider>>,
    computed: &'a [Computed],
    timespan: Option<(i64, i64)>,
    scope: &'a Scope,
    names: Cell<usize>,
    depth: Cell<usize>,
}

/// A lowered operator.
#[derive(Clone, Debug)]
struct Relation {
    plan: LogicalPlan,
    /// Names of the schema's columns.
    columns: Vec<String>,
    /// Names of columns that go along unseen: within `mv-apply` the number of the row that it runs for, then what is kept
    /// of that row.
    carried: Vec<String>,
}

impl<'a> Lowering<'a> {
    /// Lowers against tables, computed rows, and what the query may see.
    pub fn new(
        session: &'a SessionState,
        tables: &'a HashMap<String, Arc<dyn TableProvider>>,
        computed: &'a [Computed],
        timespan: Option<(i64, i64)>,
        scope: &'a Scope,
    ) -> Self {
        Self { session, tables, computed, timespan, scope, names: Cell::new(0), depth: Cell::new(0) }
    }

    /// The plan that computes a KQL plan's columns, in order.
    pub fn lower(&self, plan: &Plan) -> Result<LogicalPlan> {
        let relation = self.relation(plan, &[], None)?;
        let columns = relation.columns.iter().map(|name| column(name));
        if relation.columns.is_empty() {
            return Ok(relation.plan);
        }
        LogicalPlanBuilder::from(relation.plan).project(columns)?.build()
    }

    /// Lowers an operator. `bounds` are what is above it asks of its columns; `applied` is what the leaf of an
    /// `mv-apply`'s subquery stands for.
    fn relation(&self, plan: &Plan, bounds: &[Bound], applied: Option<&apply::Applied>) -> Result<Relation> {
        let _deeper = self.deeper()?;
        match &plan.node {
            Node::Table { name, scope } => self.table(plan, name, scope.as_deref(), bounds),
            Node::Values { rows } => self.values(plan, rows),
            Node::Range { from, to, step } => self.range(from, to, step),
            Node::Filter { input, predicate } => self.filter(input, predicate, bounds, applied),
            Node::Project { input, columns } => {
                let bounds = scan::through_project(bounds, columns);
                let input = self.relation(input, &bounds, applied)?;
                let columns = self.exprs(columns, &input)?;
                self.project(input, columns)
            }
            Node::Aggregate { input, keys, aggregations } => {
                let input = self.relation(input, &[], applied)?;
                self.aggregate(&input, keys, aggregations, applied)
            }
            Node::Sort { input, keys } => {
                let input = self.relation(input, bounds, applied)?;
                self.sort(input, keys, None)
            }
            Node::Take { input, count } => self.take(input, count, applied),
            Node::Join { kind, left, right, on } => self.join(*kind, (left, right), on, applied),
            Node::Union { inputs } => self.union(inputs, bounds, applied),
            Node::MvExpand { input, columns, item_index, bag_as_array, limit } => {
                let input = self.relation(input, &[], applied)?;
                let shape = expand::Shape {
                    columns,
                    item_index: *item_index,
                    bag_as_array: *bag_as_array,
                    limit: *limit,
                    width: plan.schema.len(),
                };
                self.expand(input, &shape)
            }
            Node::MvApply { .. } => self.apply(plan, applied),
            Node::Applied => applied
                .map_or_else(|| plan_err!("a row outside of mv-apply"), |applied| Ok(applied.leaf.clone())),
            Node::Opened(number) => self.opened(*number),
            Node::MakeSeries { input, axis, from, to, inclusive, .. } => {
                let bounds = self.axis_bounds(axis, from.as_ref(), to.as_ref(), *inclusive);
                let input = self.relation(input, &bounds, applied)?;
                self.make_series(plan, input)
            }
            Node::Window { input, functions } => {
                let columns = plan.schema.get(input.schema.len()..).unwrap_or_default();
                let input = self.relation(input, &[], applied)?;
                self.window(input, functions, columns)
            }
            Node::Parse { input, .. } | Node::ParseKv { input, .. } => {
                let bounds = scan::below(bounds, input.schema.len());
                let input = self.relation(input, &bounds, applied)?;
                self.parse(plan, input)
            }
            Node::TopNested { input, levels } => {
                let input = self.relation(input, &[], applied)?;
                self.top_nested(input, levels)
            }
        }
    }

    fn filter(
        &self,
        input: &Plan,
        predicate: &dps_kql::Expr,
        bounds: &[Bound],
        applied: Option<&apply::Applied>,
    ) -> Result<Relation> {
        let mut bounds = bounds.to_vec();
        self.find_bounds(predicate, &mut bounds);
        let input = self.relation(input, &bounds, applied)?;
        let predicate = self.expr(predicate, &input.columns)?;
        let plan = LogicalPlanBuilder::from(input.plan).filter(predicate)?.build()?;
        Ok(Relation { plan, ..input })
    }

    /// The columns anew, with what is carried.
    fn project(&self, input: Relation, columns: Vec<Expr>) -> Result<Relation> {
        let carried: HashSet<&String> = input.carried.iter().collect();
        let mut taken: HashSet<String> = HashSet::new();
        let mut names = Vec::with_capacity(columns.len());
        let mut exprs = Vec::with_capacity(columns.len() + carried.len());
        for expr in columns {
            let kept = match &expr {
                Expr::Column(column) if column.relation.is_none() && !carried.contains(&column.name) => {
                    Some(column.name.clone()).filter(|name| taken.insert(name.clone()))
                }
                _ => None,
            };
            if let Some(name) = kept {
                names.push(name);
                exprs.push(expr);
            } else {
                let name = self.name()?;
                exprs.push(expr.alias(&name));
                names.push(name);
            }
        }
        exprs.extend(input.carried.iter().map(|name| column(name)));
        if exprs.is_empty() {
            exprs.push(datafusion::logical_expr::lit(true).alias(self.name()?));
        }
        let plan = LogicalPlanBuilder::from(input.plan).project(exprs)?.build()?;
        Ok(Relation { plan, columns: names, carried: input.carried })
    }

    fn sort(&self, input: Relation, keys: &[SortKey], fetch: Option<usize>) -> Result<Relation> {
        let mut exprs = Vec::with_capacity(keys.len());
        let mut orders = Vec::with_capacity(keys.len());
        for key in keys {
            let expr = self.expr(&key.expr, &input.columns)?;
            if key.expr.ty == Type::Real {
                // What is no number stands beside the nulls, whichever way the numbers go.
                let no_number =
                    functions::scalar(Scalar::IsNan, vec![expr.clone()], &[Type::Real], Type::Bool)?;
                let null = lit(ScalarValue::Boolean(None));
                exprs.push(when(expr.clone().is_null(), null).otherwise(no_number)?);
                orders.push((key.nulls_first, key.nulls_first));
            }
            exprs.push(expr);
            orders.push((key.descending, key.nulls_first));
        }
        let (input, names) = self.extended(input, exprs)?;
        // Within `mv-apply` rows of one row of its input stay together.
        let row = input.carried.first().cloned();
        let row = row.map(|column| OrderKey { column, descending: false, nulls_first: true });
        let keys = names.into_iter().zip(orders).map(|(column, (descending, nulls_first))| OrderKey {
            column,
            descending,
            nulls_first,
        });
        let keys = row.into_iter().chain(keys).collect();
        self.sorted(input, keys, fetch)
    }

    /// Sorted by columns, in one stream.
    fn sorted(&self, input: Relation, keys: Vec<OrderKey>, fetch: Option<usize>) -> Result<Relation> {
        let by = |key: &OrderKey| column(&key.column).sort(!key.descending, key.nulls_first);
        let expr: Vec<SortExpr> = keys.iter().map(by).collect();
        let plan = LogicalPlan::Sort(Sort { expr, input: Arc::new(input.plan), fetch });
        self.operator(Relation { plan, ..input }, Serialize { keys })
    }

    fn take(
        &self,
        input: &Plan,
        count: &dps_kql::Expr,
        applied: Option<&apply::Applied>,
    ) -> Result<Relation> {
        let count = self.whole(count)?.unwrap_or(0).max(0);
        let rows = usize::try_from(count).unwrap_or(usize::MAX);
        // Of no rows no order is asked for: the sort that keeps the first few cannot keep none.
        if let (Node::Sort { input, keys }, 1..) = (&input.node, rows) {
            let input = self.relation(input, &[], applied)?;
            if input.carried.is_empty() {
                return self.sort(input, keys, Some(rows));
            }
            let sorted = self.sort(input, keys, None)?;
            return self.first_of_row(sorted, count.unsigned_abs());
        }
        let input = self.relation(input, &[], applied)?;
        if !input.carried.is_empty() {
            return self.first_of_row(input, count.unsigned_abs());
        }
        let plan = LogicalPlanBuilder::from(input.plan).limit(0, Some(rows))?.build()?;
        Ok(Relation { plan, ..input })
    }

    fn first_of_row(&self, input: Relation, count: u64) -> Result<Relation> {
        let keys = input.carried.first().cloned().into_iter().collect();
        self.operator(input, FirstOfEach { keys, count })
    }

    fn union(&self, inputs: &[Plan], bounds: &[Bound], applied: Option<&apply::Applied>) -> Result<Relation> {
        let mut lowered = inputs.iter().map(|input| self.relation(input, bounds, applied));
        let Some(first) = lowered.next().transpose()? else { return plan_err!("a union of nothing") };
        let columns = first.columns.iter().map(|_| self.name()).collect::<Result<Vec<_>>>()?;
        let carried = first.carried.iter().map(|_| self.name()).collect::<Result<Vec<_>>>()?;
        let renamed = |relation: Relation| {
            let names = relation.columns.iter().zip(&columns).chain(relation.carried.iter().zip(&carried));
            let exprs = names.map(|(from, to)| column(from).alias(to)).collect::<Vec<_>>();
            LogicalPlanBuilder::from(relation.plan).project(exprs)?.build()
        };
        let mut union = LogicalPlanBuilder::from(renamed(first)?);
        for input in lowered {
            let input = input?;
            if input.carried.len() != carried.len() {
                return plan_err!("mv-apply: a union within it may take rows only from what it expands");
            }
            union = union.union(renamed(input)?)?;
        }
        Ok(Relation { plan: union.build()?, columns, carried })
    }

    fn opened(&self, number: usize) -> Result<Relation> {
        let Some(computed) = self.computed.get(number) else {
            return plan_err!("rows that were not computed: {number}");
        };
        self.rows(&computed.schema, computed.batches.clone())
    }

    /// Rows in memory.
    fn rows(&self, schema: &SchemaRef, batches: Vec<RecordBatch>) -> Result<Relation> {
        let table = MemTable::try_new(Arc::clone(schema), vec![batches])?;
        let plan = LogicalPlanBuilder::scan("computed", provider_as_source(Arc::new(table)), None)?;
        let columns = schema.fields().iter().map(|_| self.name()).collect::<Result<Vec<_>>>()?;
        let named = schema.fields().iter().zip(&columns);
        let exprs =
            named.map(|(field, name)| Expr::Column(Column::new(Some("computed"), field.name())).alias(name));
        Ok(Relation { plan: plan.project(exprs)?.build()?, columns, carried: Vec::new() })
    }

    /// One of our operators above a relation whose columns pass.
    fn operator(&self, input: Relation, transform: impl Transform + 'static) -> Result<Relation> {
        let plan = Operator::plan(self.number()?, Arc::new(transform), input.plan)?;
        Ok(Relation { plan, ..input })
    }

    fn name(&self) -> Result<String> {
        Ok(format!("v{}", self.number()?))
    }

    fn number(&self) -> Result<usize> {
        let number = self.names.get();
        if number >= NAMES {
            return plan_err!("the query is too large");
        }
        self.names.set(number + 1);
        Ok(number)
    }

    fn deeper(&self) -> Result<Deeper<'_>> {
        let depth = self.depth.get() + 1;
        if depth > DEPTH {
            return plan_err!("the query is nested too deeply");
        }
        self.depth.set(depth);
        Ok(Deeper(&self.depth))
    }
}

/// A level of nesting, until it is dropped.
struct Deeper<'a>(&'a Cell<usize>);

impl Drop for Deeper<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}
