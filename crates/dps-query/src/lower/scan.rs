//! Tables, rows written in the query, ranges; and what filters say of a table's columns, so that files and pages are left
//! out that cannot hold what is asked for.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, TimeUnit};
use datafusion::common::{Column, Result, plan_err};
use datafusion::datasource::provider_as_source;
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, Operator as Comparison, binary_expr, cast, lit};
use datafusion::scalar::ScalarValue;
use dps_kql::{ExprKind, Plan, Scalar, Type, Value};
use dps_monitor::ports::Scope;

use super::{Lowering, Relation};
use crate::functions;
use crate::operator::{Bounds, Operator, Steps};

/// Ticks at 1970-01-01.
pub const UNIX_EPOCH_TICKS: i64 = 621_355_968_000_000_000;
const TICKS_PER_MICROSECOND: i64 = 10;
const RESOURCE: &str = "_ResourceId";
const TIME: &str = "TimeGenerated";

/// What must be true of a datetime column for a row to be of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Which.
    pub column: usize,
    /// At or after, in ticks.
    pub from: Option<i64>,
    /// Before.
    pub before: Option<i64>,
}

/// What is asked of the input of a projection.
pub fn through_project(bounds: &[Bound], columns: &[dps_kql::Expr]) -> Vec<Bound> {
    let passed = |bound: &Bound| match columns.get(bound.column)?.kind {
        ExprKind::Column(column) => Some(Bound { column, ..*bound }),
        _ => None,
    };
    bounds.iter().filter_map(passed).collect()
}

/// What is asked of the first columns.
pub fn below(bounds: &[Bound], width: usize) -> Vec<Bound> {
    bounds.iter().filter(|bound| bound.column < width).copied().collect()
}

impl Lowering<'_> {
    /// Adds what a predicate asks of datetime columns: of those parts of it that must be true.
    pub(super) fn find_bounds(&self, predicate: &dps_kql::Expr, bounds: &mut Vec<Bound>) {
        let Ok(_deeper) = self.deeper() else { return };
        let ExprKind::Call { function, args } = &predicate.kind else { return };
        if *function == Scalar::And {
            for arg in args {
                self.find_bounds(arg, bounds);
            }
            return;
        }
        let column = |expr: &dps_kql::Expr| match expr.kind {
            ExprKind::Column(column) if expr.ty == Type::DateTime => Some(column),
            _ => None,
        };
        let (left, right) = match args.as_slice() {
            [left, right] => (left, right),
            [value, from, to] if *function == Scalar::Between => {
                if let (Some(column), Some(from), Some(to)) =
                    (column(value), self.instant(from), self.instant(to))
                {
                    bounds.push(Bound { column, from: Some(from), before: to.checked_add(1) });
                }
                return;
            }
            _ => return,
        };
        let (column, at, turned) = match (column(left), column(right)) {
            (Some(column), None) => (column, self.instant(right), false),
            (None, Some(column)) => (column, self.instant(left), true),
            _ => return,
        };
        let Some(at) = at else { return };
        let after = at.checked_add(1);
        let (from, before) = match (function, turned) {
            (Scalar::Equal, _) => (Some(at), after),
            (Scalar::Greater, false) | (Scalar::Less, true) => (after, None),
            (Scalar::GreaterOrEqual, false) | (Scalar::LessOrEqual, true) => (Some(at), None),
            (Scalar::Less, false) | (Scalar::Greater, true) => (None, Some(at)),
            (Scalar::LessOrEqual, false) | (Scalar::GreaterOrEqual, true) => (None, after),
            _ => return,
        };
        bounds.push(Bound { column, from, before });
    }

    /// What the ends of a series ask of its axis.
    pub(super) fn axis_bounds(
        &self,
        axis: &dps_kql::Expr,
        from: Option<&dps_kql::Expr>,
        to: Option<&dps_kql::Expr>,
        inclusive: bool,
    ) -> Vec<Bound> {
        let (ExprKind::Column(column), Type::DateTime) = (&axis.kind, axis.ty) else { return Vec::new() };
        // With `in range` the first bin begins before the first value.
        let from = from.filter(|_| !inclusive).and_then(|from| self.instant(from));
        let to = to.and_then(|to| self.instant(to));
        let before = if inclusive { to.and_then(|to| to.checked_add(1)) } else { to };
        vec![Bound { column: *column, from, before }]
    }

    /// The datetime of an expression without columns.
    fn instant(&self, expr: &dps_kql::Expr) -> Option<i64> {
        match &expr.kind {
            ExprKind::Literal(Value::DateTime(ticks)) => Some(*ticks),
            ExprKind::Call { .. } if expr.ty == Type::DateTime => self.whole(expr).ok().flatten(),
            _ => None,
        }
    }

    pub(super) fn table(
        &self,
        plan: &Plan,
        name: &str,
        scope: Option<&str>,
        bounds: &[Bound],
    ) -> Result<Relation> {
        let Some(provider) = self.tables.get(name) else { return plan_err!("there is no table {name}") };
        let raw = provider.schema();
        let field = |name: &str| raw.field_with_name(name).ok();
        let at = |name: &str| Expr::Column(Column::new(Some("stored"), name));
        let mut builder = LogicalPlanBuilder::scan("stored", provider_as_source(Arc::clone(provider)), None)?;
        let mut time = Vec::new();
        for bound in bounds {
            if let Some(field) = plan.schema.get(bound.column).and_then(|column| field(&column.name)) {
                time.extend(within(field, at(field.name()), bound.from, bound.before));
            }
        }
        if let (Some((from, before)), Some(field)) = (self.timespan, field(TIME)) {
            time.extend(within(field, at(TIME), Some(from), Some(before)));
        }
        if let Some(predicate) = time.into_iter().reduce(Expr::and) {
            builder = builder.filter(predicate)?;
        }
        for predicate in self.scopes(scope) {
            builder = match field(RESOURCE) {
                Some(_) => builder.filter(predicate(at(RESOURCE)))?,
                None => builder.filter(lit(false))?,
            };
        }
        let mut columns = Vec::with_capacity(plan.schema.len());
        let mut exprs = Vec::with_capacity(plan.schema.len());
        for column in &plan.schema {
            let name = self.name()?;
            let expr = match field(&column.name) {
                Some(field) => represented(field, column.ty, at(&column.name))?,
                None => lit(functions::null(column.ty)),
            };
            exprs.push(expr.alias(&name));
            columns.push(name);
        }
        Ok(Relation { plan: builder.project(exprs)?.build()?, columns, carried: Vec::new() })
    }

    /// What must be true of the resource id, for the request's scope and the table's own.
    fn scopes(&self, own: Option<&str>) -> Vec<impl Fn(Expr) -> Expr + use<>> {
        let mut scopes = Vec::new();
        if let Scope::Resources(ids) = self.scope {
            scopes.push(ids.clone());
        }
        // A name that is no path is a workspace's: there is one.
        scopes.extend(own.filter(|own| own.starts_with('/')).map(|own| vec![own.to_owned()]));
        let of_all = |ids: Vec<String>| {
            move |resource: Expr| {
                let beneath = ids.iter().map(|id| beneath(id, &resource));
                beneath.reduce(Expr::or).unwrap_or_else(|| lit(false))
            }
        };
        scopes.into_iter().map(of_all).collect()
    }

    pub(super) fn values(&self, plan: &Plan, rows: &[Vec<Value>]) -> Result<Relation> {
        let mut fields: Vec<FieldRef> = Vec::with_capacity(plan.schema.len());
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(plan.schema.len());
        for (at, column) in plan.schema.iter().enumerate() {
            let ty = functions::arrow_type(column.ty);
            let cell =
                |row: &Vec<Value>| row.get(at).map_or_else(|| functions::null(column.ty), functions::literal);
            let array = match rows {
                [] => datafusion::arrow::array::new_empty_array(&ty),
                _ => ScalarValue::iter_to_array(rows.iter().map(cell))?,
            };
            fields.push(Arc::new(Field::new(at.to_string(), ty, true)));
            arrays.push(array);
        }
        let schema = Arc::new(Schema::new(fields));
        let options = datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options)?;
        self.rows(&schema, vec![batch])
    }

    pub(super) fn range(
        &self,
        from: &dps_kql::Expr,
        to: &dps_kql::Expr,
        step: &dps_kql::Expr,
    ) -> Result<Relation> {
        let (from, to, step) = (self.constant(from)?, self.constant(to)?, self.constant(step)?);
        let bounds = match (&from, &to, &step) {
            (
                ScalarValue::Int32(Some(from)),
                ScalarValue::Int32(Some(to)),
                ScalarValue::Int32(Some(step)),
            ) => Bounds::Int(*from, *to, *step),
            (
                ScalarValue::Int64(Some(from)),
                ScalarValue::Int64(Some(to)),
                ScalarValue::Int64(Some(step)),
            ) => Bounds::Long(*from, *to, *step),
            (
                ScalarValue::Float64(Some(from)),
                ScalarValue::Float64(Some(to)),
                ScalarValue::Float64(Some(step)),
            ) => Bounds::Real(*from, *to, *step),
            _ if from.is_null() || to.is_null() || step.is_null() => {
                return plan_err!("range: its ends and its step must be values, and one of them is null");
            }
            _ => {
                return plan_err!(
                    "range: from {} to {} by {}",
                    from.data_type(),
                    to.data_type(),
                    step.data_type()
                );
            }
        };
        if matches!(bounds, Bounds::Int(_, _, 0) | Bounds::Long(_, _, 0))
            || matches!(bounds, Bounds::Real(_, _, 0.0))
        {
            return plan_err!("range: a step of nought leads nowhere");
        }
        let name = self.name()?;
        let one = LogicalPlanBuilder::empty(true).build()?;
        let plan = Operator::plan(self.number()?, Arc::new(Steps { name: name.clone(), bounds }), one)?;
        Ok(Relation { plan, columns: vec![name], carried: Vec::new() })
    }
}

/// What a bound asks of the column as it is stored.
fn within(field: &Field, column: Expr, from: Option<i64>, before: Option<i64>) -> Option<Expr> {
    let DataType::Timestamp(TimeUnit::Microsecond, zone) = field.data_type() else { return None };
    // Stored are whole microseconds: at or after a tick means at or after the next of them.
    let stored = |ticks: i64| {
        let ticks = ticks.saturating_sub(UNIX_EPOCH_TICKS);
        let floor = ticks.div_euclid(TICKS_PER_MICROSECOND);
        let next = floor.saturating_add(i64::from(ticks.rem_euclid(TICKS_PER_MICROSECOND) > 0));
        lit(ScalarValue::TimestampMicrosecond(Some(next), zone.clone()))
    };
    let from = from.map(|from| column.clone().gt_eq(stored(from)));
    let before = before.map(|before| column.lt(stored(before)));
    from.into_iter().chain(before).reduce(Expr::and)
}

/// A stored column in our representation.
fn represented(field: &Field, ty: Type, column: Expr) -> Result<Expr> {
    if ty == Type::String && field.is_nullable() {
        return Ok(coalesce(vec![column, lit("")]));
    }
    if ty == Type::Decimal && *field.data_type() == DataType::Utf8 {
        return Lowering::convert(column, Type::String, ty);
    }
    if !matches!(field.data_type(), DataType::Timestamp(TimeUnit::Microsecond, _)) {
        return Ok(column);
    }
    let ticks = binary_expr(cast(column, DataType::Int64), Comparison::Multiply, lit(TICKS_PER_MICROSECOND));
    Ok(binary_expr(ticks, Comparison::Plus, lit(UNIX_EPOCH_TICKS)))
}

/// A resource or what is beneath it: said as a range of texts, by which files are left out.
fn beneath(id: &str, resource: &Expr) -> Expr {
    let id = id.to_lowercase();
    let id = id.trim_end_matches('/');
    // The sign after the slash.
    let inside =
        resource.clone().gt_eq(lit(format!("{id}/"))).and(resource.clone().lt(lit(format!("{id}0"))));
    resource.clone().eq(lit(id)).or(inside)
}
