//! A snapshot of the log store as a table of `DataFusion`: files through its Parquet source, hot rows from memory. Leaves out
//! files whose times lie outside of what filters ask for; the source leaves out row groups and pages.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;

use super::limits::FOOTER_HINT_BYTES;
use crate::store::limits::PAGE_ROWS;
use crate::store::scan::{DataFile, Snapshot, objects_url};

const TIME: &str = "TimeGenerated";
const UNIX_EPOCH_TICKS: i64 = crate::lower::UNIX_EPOCH_TICKS;
const TICKS_PER_MICROSECOND: i64 = 10;

/// A table of one query.
pub struct SnapshotTable {
    snapshot: Snapshot,
    schema: SchemaRef,
    footers: Arc<FileMetadataCache>,
    facts: Arc<ScanFacts>,
}

/// What scans of a query left out, for statistics.
#[derive(Debug, Default)]
pub struct ScanFacts {
    /// Files that were not opened, by their times.
    pub files_left_out: AtomicU64,
    /// Files that were opened.
    pub files_read: AtomicU64,
    /// Rows in memory that were looked at.
    pub hot_rows: AtomicU64,
}

impl SnapshotTable {
    /// A table of what a snapshot holds; footers of its files are kept for other queries.
    pub fn new(snapshot: Snapshot, footers: Arc<FileMetadataCache>, facts: Arc<ScanFacts>) -> Self {
        Self { schema: snapshot.schema(), snapshot, footers, facts }
    }

    fn files(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        times: Times,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let (files, out): (Vec<_>, Vec<_>) =
            self.snapshot.files.iter().partition(|file| times.meet(file.earliest, file.latest));
        self.facts.files_left_out.fetch_add(out.len() as u64, Ordering::Relaxed);
        self.facts.files_read.fetch_add(files.len() as u64, Ordering::Relaxed);
        if files.is_empty() {
            return Ok(None);
        }
        let objects = Arc::clone(&self.snapshot.objects);
        let reader = CachedParquetFileReaderFactory::new(objects, Arc::clone(&self.footers));
        let mut source = ParquetSource::new(Arc::clone(&self.schema))
            // Of one page there is nothing to leave out, and its index is half a small file's footer.
            .with_enable_page_index(files.iter().any(|file| file.rows > PAGE_ROWS as u64))
            .with_metadata_size_hint(FOOTER_HINT_BYTES)
            .with_parquet_file_reader_factory(Arc::new(reader));
        if let Some(predicate) = conjunction(filters.iter().cloned()) {
            let schema = DFSchema::try_from(Arc::clone(&self.schema))?;
            source = source.with_predicate(session.create_physical_expr(predicate, &schema)?);
        }
        let config = FileScanConfigBuilder::new(objects_url(), Arc::new(source))
            .with_file_groups(groups(&files, session.config().target_partitions()))
            .with_projection_indices(projection.cloned())?
            .build();
        Ok(Some(DataSourceExec::from_data_source(config)))
    }

    fn hot(&self, projection: Option<&Vec<usize>>, times: Times) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let batches = self.snapshot.hot.iter().filter(|hot| times.meet(hot.earliest, hot.latest));
        // The table's schema may be wider in what may be null.
        let batches = batches
            .map(|hot| RecordBatch::try_new(Arc::clone(&self.schema), hot.rows.columns().to_vec()))
            .collect::<Result<Vec<_>, _>>()?;
        if batches.is_empty() {
            return Ok(None);
        }
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        self.facts.hot_rows.fetch_add(rows as u64, Ordering::Relaxed);
        let exec =
            MemorySourceConfig::try_new_exec(&[batches], Arc::clone(&self.schema), projection.cloned())?;
        Ok(Some(exec))
    }
}

/// Files in as many groups as run side by side, about evenly. The newest come first: who takes some rows wants late ones.
fn groups(files: &[&Arc<DataFile>], count: usize) -> Vec<FileGroup> {
    let mut groups = vec![Vec::new(); count.clamp(1, files.len().max(1))];
    let width = groups.len();
    for (at, file) in files.iter().rev().enumerate() {
        if let Some(group) = groups.get_mut(at % width) {
            // The file goes along, so that it is there as long as the plan is.
            let file = PartitionedFile::new(file.location.to_string(), file.size)
                .with_extension::<Arc<DataFile>>(Arc::clone(file));
            group.push(file);
        }
    }
    groups.into_iter().map(FileGroup::new).collect()
}

impl fmt::Debug for SnapshotTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotTable").field("snapshot", &self.snapshot).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for SnapshotTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let times = Times::of(filters);
        let files = self.files(session, projection, filters, times)?;
        let hot = self.hot(projection, times)?;
        match (files, hot) {
            (Some(files), Some(hot)) => UnionExec::try_new(vec![files, hot]),
            (Some(one), None) | (None, Some(one)) => Ok(one),
            (None, None) => {
                let schema = match projection {
                    Some(projection) => Arc::new(self.schema.project(projection)?),
                    None => Arc::clone(&self.schema),
                };
                Ok(Arc::new(EmptyExec::new(schema)))
            }
        }
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}

/// Times that filters leave, in microseconds since 1970, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Times {
    from: i64,
    to: i64,
}

impl Times {
    fn of(filters: &[Expr]) -> Self {
        let mut times = Self { from: i64::MIN, to: i64::MAX };
        for filter in filters {
            times.narrow(filter);
        }
        times
    }

    fn narrow(&mut self, filter: &Expr) {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else { return };
        if *op == Operator::And {
            self.narrow(left);
            self.narrow(right);
            return;
        }
        let (Expr::Column(column), Expr::Literal(ScalarValue::TimestampMicrosecond(Some(at), _), _)) =
            (left.as_ref(), right.as_ref())
        else {
            return;
        };
        if column.name != TIME {
            return;
        }
        match op {
            Operator::Gt => self.from = self.from.max(at.saturating_add(1)),
            Operator::GtEq => self.from = self.from.max(*at),
            Operator::Lt => self.to = self.to.min(at.saturating_sub(1)),
            Operator::LtEq => self.to = self.to.min(*at),
            Operator::Eq => {
                self.from = self.from.max(*at);
                self.to = self.to.min(*at);
            }
            _ => {}
        }
    }

    /// Whether rows between two ticks may be among them.
    fn meet(self, earliest: i64, latest: i64) -> bool {
        let micros = |ticks: i64| ticks.saturating_sub(UNIX_EPOCH_TICKS).div_euclid(TICKS_PER_MICROSECOND);
        micros(earliest) <= self.to && micros(latest) >= self.from
    }
}
