//! One query from its text to its answer: analysed, subqueries first, each `evaluate` when its rows are there.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use datafusion::arrow::array::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::common::Result;
use datafusion::datasource::physical_plan::ParquetSource;
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::SessionState;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use dps_kql::{Analysis, Environment, Plan, Query, Schema};
use dps_monitor::Table;
use dps_monitor::ports::{Answer, AnswerTable, QueryError, QueryRequest};
use futures_util::StreamExt;
use tokio::time::Instant;

use super::answer::Gathered;
use super::evaluate::Evaluated;
use super::failure::failure;
use super::limits::{EVALUATES, QUERY_BYTES};
use super::session::session;
use super::table::{ScanFacts, SnapshotTable};
use crate::lower::{COMPUTED_ROWS, Computed, Lowering, settle};
use crate::store::scan::Snapshots;

/// A query and what it runs on.
pub struct Work {
    /// What is run.
    pub source: Source,
    /// The request.
    pub request: QueryRequest,
    /// The tables.
    pub tables: Vec<dps_kql::Table>,
    /// Their rows.
    pub snapshots: Arc<dyn Snapshots>,
    /// Footers of files that were read before.
    pub footers: Arc<FileMetadataCache>,
    /// Streams side by side.
    pub partitions: usize,
}

/// What is run.
pub enum Source {
    /// The request's text.
    Text,
    /// This.
    Plan(Box<Query>),
}

/// What a query's scans read and left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanStatistics {
    /// Files that were opened.
    pub files_read: u64,
    /// Files left out by their times.
    pub files_left_out: u64,
    /// Row groups left out by their statistics.
    pub row_groups_left_out: u64,
    /// Rows that pages left out would have had.
    pub page_rows_left_out: u64,
    /// Rows that were read.
    pub rows: u64,
}

impl Work {
    /// Runs it.
    pub async fn run(self) -> Result<(Answer, ScanStatistics), QueryError> {
        let begun = Instant::now();
        let facts = Arc::new(ScanFacts::default());
        let mut bench = Bench::new(&self, &facts).map_err(|error| failure(&error))?;
        let Query { plan, render } = match self.source {
            Source::Plan(query) => *query,
            Source::Text => analysed(&mut bench, &self.request, &self.tables).await?,
        };
        let mut gathered = Gathered::new();
        let limits = self.request.limits;
        let schema = plan.schema.clone();
        let finish = bench.stream(plan, |batch| Ok(gathered.push(&schema, &batch, &limits))).await;
        finish.map_err(|error| failure(&error))?;
        let mut statistics = bench.statistics;
        statistics.files_read = facts.files_read.load(Ordering::Relaxed);
        statistics.files_left_out = facts.files_left_out.load(Ordering::Relaxed);
        statistics.rows += facts.hot_rows.load(Ordering::Relaxed);
        let answer = Answer {
            table: AnswerTable { columns: schema, rows: gathered.rows },
            render,
            partial: gathered.partial,
            elapsed: begun.elapsed(),
            scanned_rows: statistics.rows,
        };
        Ok((answer, statistics))
    }
}

/// Analyses a text until its plan can run: what an `evaluate` yields is known when its input has run.
async fn analysed(
    bench: &mut Bench,
    request: &QueryRequest,
    tables: &[dps_kql::Table],
) -> Result<Query, QueryError> {
    if request.text.len() > QUERY_BYTES {
        return Err(QueryError::Value(format!("the query has more than {QUERY_BYTES} bytes")));
    }
    let mut opened: Vec<Schema> = Vec::new();
    loop {
        let environment = Environment { tables, now: request.now, opened: &opened };
        match dps_kql::analyse(&request.text, &environment).map_err(QueryError::Wrong)? {
            Analysis::Ready(query) => return Ok(*query),
            Analysis::Open { input, evaluate } => {
                if opened.len() >= EVALUATES {
                    return Err(QueryError::Value(format!("more than {EVALUATES} evaluate operators")));
                }
                let evaluated = bench.evaluate(*input, &evaluate).await.map_err(|error| failure(&error))?;
                let Evaluated { schema, computed } = evaluated;
                opened.push(schema);
                bench.computed.push(computed);
            }
        }
    }
}

/// Where the plans of a query run, one after the other.
pub struct Bench {
    session: SessionState,
    tables: HashMap<String, Arc<dyn TableProvider>>,
    request: QueryRequest,
    /// Rows of `evaluate`s.
    computed: Vec<Computed>,
    memory: MemoryReservation,
    statistics: ScanStatistics,
}

impl Bench {
    fn new(work: &Work, facts: &Arc<ScanFacts>) -> Result<Self> {
        let mut objects = None;
        let mut tables: HashMap<String, Arc<dyn TableProvider>> = HashMap::new();
        for table in Table::ALL {
            let snapshot = work.snapshots.snapshot(table);
            objects.get_or_insert_with(|| Arc::clone(&snapshot.objects));
            let provider = SnapshotTable::new(snapshot, Arc::clone(&work.footers), Arc::clone(facts));
            tables.insert(table.name().to_owned(), Arc::new(provider));
        }
        let session = session(work.request.limits.memory, work.partitions, objects)?;
        let memory = MemoryConsumer::new("Computed").register(&session.runtime_env().memory_pool);
        let request = work.request.clone();
        Ok(Self {
            session,
            tables,
            request,
            computed: Vec::new(),
            memory,
            statistics: ScanStatistics::default(),
        })
    }

    /// Runs a plan, its subqueries first, and hands over its batches as long as they are wanted.
    pub async fn stream(
        &mut self,
        mut plan: Plan,
        mut take: impl FnMut(RecordBatch) -> Result<bool> + Send,
    ) -> Result<()> {
        let mut computed = self.computed.clone();
        for subquery in settle(&mut plan, computed.len())? {
            let rows = self.gather(&subquery.plan, &computed, subquery.most).await?;
            computed.push(rows);
        }
        self.execute(&plan, &computed, &mut take).await
    }

    /// Runs a plan and keeps its rows.
    pub async fn rows(&mut self, mut plan: Plan) -> Result<Computed> {
        let mut computed = self.computed.clone();
        for subquery in settle(&mut plan, computed.len())? {
            let rows = self.gather(&subquery.plan, &computed, subquery.most).await?;
            computed.push(rows);
        }
        self.gather(&plan, &computed, COMPUTED_ROWS).await
    }

    async fn gather(&mut self, plan: &Plan, computed: &[Computed], most: usize) -> Result<Computed> {
        let fields = plan.schema.iter().enumerate().map(|(at, column)| {
            let ty = crate::functions::arrow_type(column.ty);
            datafusion::arrow::datatypes::Field::new(at.to_string(), ty, true)
        });
        let schema = Arc::new(datafusion::arrow::datatypes::Schema::new(fields.collect::<Vec<_>>()));
        let mut batches = Vec::new();
        let mut rows = 0_usize;
        // What is kept is asked of the same pool that operators ask.
        let memory = self.memory.new_empty();
        let kept = Arc::clone(&schema);
        self.execute(plan, computed, &mut |batch: RecordBatch| {
            rows = rows.saturating_add(batch.num_rows());
            if rows > most {
                return datafusion::common::plan_err!(
                    "a subquery has more than {most} rows; filter it, or summarize"
                );
            }
            memory.try_grow(batch.get_array_memory_size())?;
            let options =
                datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            batches.push(RecordBatch::try_new_with_options(
                Arc::clone(&kept),
                batch.columns().to_vec(),
                &options,
            )?);
            Ok(true)
        })
        .await?;
        self.memory.try_grow(memory.free())?;
        Ok(Computed { schema, batches })
    }

    async fn execute(
        &mut self,
        plan: &Plan,
        computed: &[Computed],
        take: &mut (dyn FnMut(RecordBatch) -> Result<bool> + Send),
    ) -> Result<()> {
        let logical = {
            let request = &self.request;
            Lowering::new(&self.session, &self.tables, computed, request.timespan, &request.scope)
                .lower(plan)?
        };
        let physical = self.session.create_physical_plan(&logical).await?;
        let mut stream = execute_stream(Arc::clone(&physical), self.session.task_ctx())?;
        while let Some(batch) = stream.next().await {
            if !take(batch?)? {
                break;
            }
        }
        drop(stream);
        measure(&physical, &mut self.statistics);
        Ok(())
    }
}

/// Adds what the scans of a plan counted.
fn measure(plan: &Arc<dyn ExecutionPlan>, statistics: &mut ScanStatistics) {
    let mut left = vec![plan];
    while let Some(plan) = left.pop() {
        left.extend(plan.children());
        let Some(source) = plan.downcast_ref::<DataSourceExec>() else { continue };
        if source.downcast_to_file_source::<ParquetSource>().is_none() {
            continue;
        }
        let Some(metrics) = plan.metrics() else { continue };
        let pruned = |name: &str| {
            let of = metrics.iter().filter(|metric| metric.value().name() == name);
            of.map(|metric| match metric.value() {
                datafusion::physical_plan::metrics::MetricValue::PruningMetrics {
                    pruning_metrics, ..
                } => pruning_metrics.pruned() as u64,
                other => other.as_usize() as u64,
            })
            .sum::<u64>()
        };
        statistics.rows += metrics.output_rows().unwrap_or(0) as u64;
        statistics.row_groups_left_out += pruned("row_groups_pruned_statistics");
        statistics.page_rows_left_out += pruned("page_index_rows_pruned");
    }
}
