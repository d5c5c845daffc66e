//! Drives a transform over the batches of its input, one bounded step at a time.

use std::fmt::{self, Formatter};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{
    EquivalenceProperties, LexRequirement, OrderingRequirements, PhysicalSortRequirement,
};
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, Partitioning, PhysicalExpr, PlanProperties, ReplaceChildrenOptions,
};
use futures_util::StreamExt;
use futures_util::stream::try_unfold;

use super::{Run, Start, Transform, made_fields};

/// The execution of an operator.
#[derive(Debug)]
pub struct OperatorExec {
    transform: Arc<dyn Transform>,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl OperatorExec {
    /// A transform over an input.
    pub fn new(transform: Arc<dyn Transform>, input: Arc<dyn ExecutionPlan>) -> Self {
        let schema = output_schema(transform.as_ref(), &input.schema());
        let partitions =
            if transform.wants_all() { 1 } else { input.output_partitioning().partition_count() };
        // No order is claimed: what is above must not think it could sort less, or beneath that it could sort later.
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Both,
            Boundedness::Bounded,
        );
        Self { transform, input, properties: Arc::new(properties) }
    }
}

fn output_schema(transform: &dyn Transform, input: &Schema) -> SchemaRef {
    let mut fields = Vec::new();
    if transform.passes_columns() {
        fields.extend(input.fields().iter().cloned());
    }
    fields.extend(made_fields(transform));
    Arc::new(Schema::new(fields))
}

impl DisplayAs for OperatorExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.transform.name(), self.transform.operands().join(", "))
    }
}

impl ExecutionPlan for OperatorExec {
    fn name(&self) -> &str {
        self.transform.name()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![if self.transform.wants_all() {
            Distribution::SinglePartition
        } else {
            Distribution::UnspecifiedDistribution
        }])
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        let schema = self.input.schema();
        let required = self.transform.wants_order().iter().filter_map(|key| {
            let at = schema.index_of(&key.column).ok()?;
            let options = SortOptions { descending: key.descending, nulls_first: key.nulls_first };
            Some(PhysicalSortRequirement::new(Arc::new(Column::new(&key.column, at)), Some(options)))
        });
        vec![LexRequirement::new(required).map(OrderingRequirements::new)]
    }

    /// None: a planner would move sorts beneath it, and the order it claims none of would be missed above.
    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match <[Arc<dyn ExecutionPlan>; 1]>::try_from(children) {
            Ok([input]) => Ok(Arc::new(Self::new(Arc::clone(&self.transform), input))),
            Err(children) => internal_err!("an operator has one input, not {}", children.len()),
        }
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let start = Start {
            input: self.input.schema(),
            output: self.schema(),
            memory: MemoryConsumer::new(self.transform.name()).register(context.memory_pool()),
            batch_rows: context.session_config().batch_size(),
        };
        let driven = Driven {
            run: self.transform.start(start)?,
            input: Some(self.input.execute(partition, context)?),
        };
        let stream = RecordBatchStreamAdapter::new(self.schema(), try_unfold(driven, Driven::next));
        Ok(make_cooperative(Box::pin(stream)))
    }
}

/// A run and what is left of its input.
struct Driven {
    run: Box<dyn Run>,
    input: Option<SendableRecordBatchStream>,
}

impl Driven {
    async fn next(mut self) -> Result<Option<(RecordBatch, Self)>> {
        loop {
            if let Some(batch) = self.run.pull()? {
                return Ok(Some((batch, self)));
            }
            let Some(input) = &mut self.input else { return Ok(None) };
            if let Some(batch) = input.next().await {
                self.run.push(batch?)?;
            } else {
                self.input = None;
                self.run.finish()?;
            }
        }
    }
}
