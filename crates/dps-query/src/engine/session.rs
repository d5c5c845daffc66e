//! The session of one query: its memory, its planner, its object store. Owns `DataFusion`'s options.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::SessionState;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::object_store::ObjectStore;
use datafusion::prelude::SessionConfig;

use super::limits::BATCH_ROWS;
use crate::operator::KqlPlanner;
use crate::store::scan::objects_url;

/// A session that may take so much memory, and nothing of the disk.
pub fn session(
    memory: usize,
    partitions: usize,
    objects: Option<Arc<dyn ObjectStore>>,
) -> Result<SessionState> {
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(memory)))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
        .build_arc()?;
    if let Some(objects) = objects {
        runtime.register_object_store(objects_url().as_ref(), objects);
    }
    let mut config = SessionConfig::new()
        .with_batch_size(BATCH_ROWS)
        .with_target_partitions(partitions.max(1))
        // The order of a sorted input is kept by never dealing rows out.
        .with_round_robin_repartition(false)
        .with_information_schema(false);
    let options = config.options_mut();
    // Predicates prune files, row groups and pages; rows are filtered once, by the filter above the scan.
    options.execution.parquet.pushdown_filters = false;
    // Sorts hold back memory for a merge that spills; here nothing spills.
    options.execution.sort_spill_reservation_bytes = 0;
    Ok(SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_query_planner(Arc::new(KqlPlanner))
        .build())
}
