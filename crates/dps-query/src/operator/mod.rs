//! Relational operators that SQL lacks: one logical node and one execution plan around a [`Transform`], which says what
//! becomes of batches. Owns how they are planned and driven; must not know KQL plans or tables.

mod exec;
mod expand;
mod first;
mod pairs;
mod parse;
mod planner;
mod serialize;
mod series;
mod steps;
mod window;

use std::cmp::Ordering;
use std::fmt::{self, Debug, Formatter};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, SchemaRef};
use datafusion::common::{Column, DFSchema, DFSchemaRef, Result, internal_err};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};

pub use expand::Expand;
pub use first::FirstOfEach;
pub use pairs::{PairSyntax, Pairs};
pub use parse::{Parse, group_name};
pub use planner::KqlPlanner;
pub use serialize::{OrderKey, Serialize};
pub use series::{Axis, Series};
pub use steps::{Bounds, Steps};
pub use window::{Window, WindowColumn};

/// What an operator does with batches. Columns are known by their names, so that unneeded ones can be left out beneath it.
pub trait Transform: Debug + Send + Sync {
    /// Its name in plans.
    fn name(&self) -> &'static str;

    /// Columns of the input that it reads.
    fn operands(&self) -> Vec<&str>;

    /// Columns that it makes.
    fn made(&self) -> Vec<(String, DataType)>;

    /// Whether the input's columns pass, before those that it makes.
    fn passes_columns(&self) -> bool {
        true
    }

    /// Whether it wants all rows in one stream.
    fn wants_all(&self) -> bool {
        false
    }

    /// The order that it wants its rows in.
    fn wants_order(&self) -> &[OrderKey] {
        &[]
    }

    /// Begins.
    fn start(&self, start: Start) -> Result<Box<dyn Run>>;
}

/// What a run begins with.
#[derive(Debug)]
pub struct Start {
    /// What comes in.
    pub input: SchemaRef,
    /// What goes out.
    pub output: SchemaRef,
    /// What it may take, and must ask for.
    pub memory: MemoryReservation,
    /// Rows of a batch, about.
    pub batch_rows: usize,
}

/// An operator at work: batches go in; what it can give is pulled before the next goes in.
pub trait Run: Send {
    /// The next batch.
    fn push(&mut self, batch: RecordBatch) -> Result<()>;

    /// No more will come.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }

    /// What it can give now; none when it wants more. One call is bounded in work.
    fn pull(&mut self) -> Result<Option<RecordBatch>>;
}

/// The logical node of an operator.
#[derive(Clone, Debug)]
pub struct Operator {
    /// Tells operators of a query apart.
    number: usize,
    transform: Arc<dyn Transform>,
    input: LogicalPlan,
    schema: DFSchemaRef,
}

impl Operator {
    /// The plan of an operator over an input.
    pub fn plan(number: usize, transform: Arc<dyn Transform>, input: LogicalPlan) -> Result<LogicalPlan> {
        Ok(LogicalPlan::Extension(Extension { node: Arc::new(Self::new(number, transform, input)?) }))
    }

    fn new(number: usize, transform: Arc<dyn Transform>, input: LogicalPlan) -> Result<Self> {
        let mut fields = Vec::new();
        if transform.passes_columns() {
            fields.extend(input.schema().iter().map(|(table, field)| (table.cloned(), Arc::clone(field))));
        }
        fields.extend(made_fields(transform.as_ref()).into_iter().map(|field| (None, field)));
        let schema = Arc::new(DFSchema::new_with_metadata(fields, std::collections::HashMap::new())?);
        Ok(Self { number, transform, input, schema })
    }
}

/// The fields of what a transform makes. Each may be null, because plans above it are checked against that.
fn made_fields(transform: &dyn Transform) -> Vec<FieldRef> {
    transform.made().into_iter().map(|(name, ty)| Arc::new(Field::new(name, ty, true))).collect()
}

impl PartialEq for Operator {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number && self.input == other.input
    }
}

impl Eq for Operator {}

impl PartialOrd for Operator {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match self.number.cmp(&other.number) {
            Ordering::Equal => self.input.partial_cmp(&other.input),
            order => Some(order),
        }
    }
}

impl Hash for Operator {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
        self.input.hash(state);
    }
}

impl UserDefinedLogicalNodeCore for Operator {
    fn name(&self) -> &str {
        self.transform.name()
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        self.transform
            .operands()
            .into_iter()
            .map(|name| Expr::Column(Column::new_unqualified(name)))
            .collect()
    }

    fn fmt_for_explain(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.transform.name(), self.transform.operands().join(", "))
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        match <[LogicalPlan; 1]>::try_from(inputs) {
            Ok([input]) => Self::new(self.number, Arc::clone(&self.transform), input),
            Err(inputs) => internal_err!("an operator has one input, not {}", inputs.len()),
        }
    }

    fn necessary_children_exprs(&self, output: &[usize]) -> Option<Vec<Vec<usize>>> {
        if !self.transform.passes_columns() {
            return None;
        }
        let passed = self.input.schema().fields().len();
        let operands = self.transform.operands();
        let needed = |(index, field): (usize, &FieldRef)| {
            let asked = output.contains(&index) || operands.contains(&field.name().as_str());
            (index < passed && asked).then_some(index)
        };
        Some(vec![self.input.schema().fields().iter().enumerate().filter_map(needed).collect()])
    }
}

/// A batch of a schema; of so many rows even without columns.
fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}
