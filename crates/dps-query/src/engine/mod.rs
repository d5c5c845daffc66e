//! The query engine: KQL in, tables out. Owns admission, threads, limits and cancellation of queries; must not know what a
//! plan means (`lower`) or how rows are kept (`store`).

mod answer;
mod evaluate;
mod failure;
mod limits;
mod session;
mod table;
mod work;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::cache::default_cache::DefaultCache;
use dps_kql::Query;
use dps_monitor::Table;
use dps_monitor::ports::{Answer, QueryEngine, QueryError, QueryRequest};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use crate::store::scan::Snapshots;
use limits::{FOOTER_BYTES, STACK_BYTES};
use work::{Source, Work};

pub use work::ScanStatistics;

/// How much runs at once.
#[derive(Clone, Copy, Debug)]
pub struct EngineOptions {
    /// Threads that queries run on, of their own.
    pub threads: NonZeroUsize,
    /// Queries that run at once.
    pub running: NonZeroUsize,
    /// Queries that wait; one more is turned away.
    pub waiting: usize,
}

/// Runs KQL on `DataFusion`.
pub struct DataFusionEngine {
    /// None once it is being dropped.
    runtime: Option<Runtime>,
    tables: Vec<dps_kql::Table>,
    snapshots: Arc<dyn Snapshots>,
    /// Of the files read last. A file never changes and no name comes twice, so none is ever stale.
    footers: Arc<FileMetadataCache>,
    places: Arc<Semaphore>,
    /// Queries that wait for a place.
    waiting: AtomicUsize,
    options: EngineOptions,
}

impl DataFusionEngine {
    /// An engine over a log store.
    pub fn open(snapshots: Arc<dyn Snapshots>, options: EngineOptions) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(options.threads.get())
            .thread_name("query")
            .thread_stack_size(STACK_BYTES)
            .enable_time()
            .build()?;
        Ok(Self {
            runtime: Some(runtime),
            tables: Table::ALL.into_iter().map(Table::schema).collect(),
            snapshots,
            footers: Arc::new(DefaultCache::new(FOOTER_BYTES)),
            places: Arc::new(Semaphore::new(options.running.get())),
            waiting: AtomicUsize::new(0),
            options,
        })
    }

    /// Runs a query that has been analysed. The request's text is not looked at.
    pub async fn run_plan(&self, query: Query, request: QueryRequest) -> Result<Answer, QueryError> {
        self.work(Source::Plan(Box::new(query)), request).await.map(|(answer, _)| answer)
    }

    /// The same, with what its scans left out.
    pub async fn run_plan_measured(
        &self,
        query: Query,
        request: QueryRequest,
    ) -> Result<(Answer, ScanStatistics), QueryError> {
        self.work(Source::Plan(Box::new(query)), request).await
    }

    /// Places for queries that nobody has.
    pub fn idle_places(&self) -> usize {
        self.places.available_permits()
    }

    /// Queries that wait for a place.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    async fn work(
        &self,
        source: Source,
        request: QueryRequest,
    ) -> Result<(Answer, ScanStatistics), QueryError> {
        let time = request.limits.time;
        let Some(runtime) = &self.runtime else { return Err(QueryError::Busy) };
        let work = Work {
            source,
            request,
            tables: self.tables.clone(),
            snapshots: Arc::clone(&self.snapshots),
            footers: Arc::clone(&self.footers),
            partitions: self.options.threads.get(),
        };
        let run = async {
            let place = self.admit().await?;
            // The place is held until the work has really ended, which is later than it was cancelled.
            let mut task = Cancelled(runtime.spawn(async move {
                let _place = place;
                work.run().await
            }));
            match (&mut task.0).await {
                Ok(outcome) => outcome,
                Err(error) if error.is_panic() => {
                    tracing::error!("a query panicked");
                    Err(QueryError::Failed("the query panicked".to_owned()))
                }
                Err(_) => Err(QueryError::Failed("the query was cancelled".to_owned())),
            }
        };
        match tokio::time::timeout(time, run).await {
            Ok(outcome) => outcome,
            Err(_) => Err(QueryError::Time(time)),
        }
    }

    async fn admit(&self) -> Result<OwnedSemaphorePermit, QueryError> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(place);
        }
        let _waiting = Waiting::begin(&self.waiting, self.options.waiting).ok_or(QueryError::Busy)?;
        Arc::clone(&self.places).acquire_owned().await.map_err(|_| QueryError::Busy)
    }
}

impl fmt::Debug for DataFusionEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataFusionEngine").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Drop for DataFusionEngine {
    fn drop(&mut self) {
        // A runtime that waits for its threads may not be dropped by a task.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[async_trait]
impl QueryEngine for DataFusionEngine {
    fn tables(&self) -> &[dps_kql::Table] {
        &self.tables
    }

    async fn run(&self, request: QueryRequest) -> Result<Answer, QueryError> {
        self.work(Source::Text, request).await.map(|(answer, _)| answer)
    }
}

/// A task that ends when nobody waits for it any more.
struct Cancelled<T>(JoinHandle<T>);

impl<T> Drop for Cancelled<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A query among those that wait.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a AtomicUsize, most: usize) -> Option<Self> {
        let more = |count: usize| (count < most).then_some(count + 1);
        waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self(waiting))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
