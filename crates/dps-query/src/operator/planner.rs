//! Plans our operators' execution beside `DataFusion`'s own.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::Result;
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};

use super::Operator;
use super::exec::OperatorExec;

/// The planner of a session that runs our operators.
#[derive(Debug, Default)]
pub struct KqlPlanner;

#[async_trait]
impl QueryPlanner for KqlPlanner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(Operators)])
            .create_physical_plan(plan, session)
            .await
    }
}

struct Operators;

#[async_trait]
impl ExtensionPlanner for Operators {
    async fn plan_extension(
        &self,
        _: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        _: &dyn Session,
        _: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let (Some(operator), [input]) = (node.as_any().downcast_ref::<Operator>(), inputs) else {
            return Ok(None);
        };
        Ok(Some(Arc::new(OperatorExec::new(Arc::clone(&operator.transform), Arc::clone(input)))))
    }
}
