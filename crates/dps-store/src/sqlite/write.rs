//! The writing side: one thread with the only writing connection, and group commit.
//!
//! Owns the queue of batches, the transaction around a group of them, and the checkpoint. Must not answer a batch
//! before the commit that holds it is on disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use dps_core::ports::store::{Collection, Document, Precondition, StoreError, Write};
use dps_model::limits::{
    MAX_STORE_LOG_PAGES, MAX_WRITES_PER_COMMIT, MAX_WRITES_WAITING, STORE_CHECKPOINT_PAGES,
};
use rusqlite::{Connection, ErrorCode, OptionalExtension};
use tokio::sync::oneshot;

use super::apply::apply;
use super::read::Reading;
use super::schema::Tables;
use super::seal::Seal;
use super::{closed, failed};

/// A document as it is bound to the statements: sealed, its lookups as text.
pub(super) struct Row {
    pub document: Document,
    pub sealed: Option<Vec<u8>>,
    pub lookups: Option<String>,
}

/// A write that is ready for its statements.
pub(super) enum ReadyWrite {
    Put { collection: Collection, instance: String, row: Row, precondition: Precondition },
    Delete { collection: Collection, instance: String, id: String, precondition: Precondition },
    Clear { collection: Collection, instance: String },
}

/// Seals and encodes; done by the caller, so that the writer only writes.
pub(super) fn ready(seal: &Seal, writes: Vec<Write>) -> Result<Vec<ReadyWrite>, StoreError> {
    writes
        .into_iter()
        .map(|write| match write {
            Write::Put { collection, instance, mut document, precondition } => {
                let secret = document.sealed.take();
                let sealed = secret
                    .map(|secret| seal.seal(collection, &instance, &document.id, &secret))
                    .transpose()?;
                let lookups = if document.lookups.is_empty() {
                    None
                } else {
                    let json = serde_json::to_string(&document.lookups);
                    Some(json.map_err(|error| StoreError::Failed(error.to_string()))?)
                };
                Ok(ReadyWrite::Put {
                    collection,
                    instance,
                    row: Row { document, sealed, lookups },
                    precondition,
                })
            }
            Write::Delete { collection, instance, id, precondition } => {
                Ok(ReadyWrite::Delete { collection, instance, id, precondition })
            }
            Write::Clear { collection, instance } => Ok(ReadyWrite::Clear { collection, instance }),
        })
        .collect()
}

/// Writes that happen together, and who waits for them.
struct Batch {
    writes: Vec<ReadyWrite>,
    answer: oneshot::Sender<Result<(), StoreError>>,
}

/// What the writer is asked.
enum Job {
    Write(Batch),
    /// Everything before it is done; then the connections are closed.
    Close(oneshot::Sender<Result<(), StoreError>>),
    #[cfg(feature = "faults")]
    Break(super::faults::Break),
}

/// The sending end of the queue.
pub(super) struct Queue {
    jobs: Sender<Job>,
    waiting: Arc<AtomicUsize>,
}

impl Queue {
    /// Adds a batch, and waits until it is on disk or refused. The batch is queued by the first poll; a caller that
    /// goes away later does not take it back.
    pub async fn write(&self, writes: Vec<ReadyWrite>) -> Result<(), StoreError> {
        let count = writes.len();
        let room = |waiting: usize| waiting.checked_add(count).filter(|sum| *sum <= MAX_WRITES_WAITING);
        if self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).is_err() {
            return Err(StoreError::Busy);
        }
        let (answer, answered) = oneshot::channel();
        if self.jobs.send(Job::Write(Batch { writes, answer })).is_err() {
            return Err(closed());
        }
        answered.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Asks the writer to end; what it says arrives when it has.
    pub fn close(&self) -> oneshot::Receiver<Result<(), StoreError>> {
        let (answer, answered) = oneshot::channel();
        // An error means that the writer has ended; the receiver tells that too.
        let _ended = self.jobs.send(Job::Close(answer));
        answered
    }

    #[cfg(feature = "faults")]
    pub fn break_writer(&self, fault: super::faults::Break) -> Result<(), StoreError> {
        self.jobs.send(Job::Break(fault)).map_err(|_| closed())
    }
}

/// The writer, as it runs on its thread.
pub(super) struct Writer {
    connection: Connection,
    tables: Tables,
    jobs: Receiver<Job>,
    waiting: Arc<AtomicUsize>,
    /// Pages in the write-ahead log after the last commit.
    log_pages: Arc<AtomicUsize>,
    commits: Arc<AtomicU64>,
    #[cfg(feature = "faults")]
    faults: super::faults::Faults,
}

impl Writer {
    /// A writer with its queue.
    pub fn new(mut connection: Connection, commits: Arc<AtomicU64>) -> Result<(Self, Queue), StoreError> {
        let (sender, jobs) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let log_pages = Arc::new(AtomicUsize::new(0));
        let pages = Arc::clone(&log_pages);
        // Instead of SQLite's own checkpoint, which would run inside the commit, before the answers.
        connection
            .wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, count| {
                pages.store(usize::try_from(count).unwrap_or(0), Ordering::Relaxed);
                Ok(())
            }))
            .map_err(failed)?;
        let queue = Queue { jobs: sender, waiting: Arc::clone(&waiting) };
        let writer = Self {
            connection,
            tables: Tables::new(),
            jobs,
            waiting,
            log_pages,
            commits,
            #[cfg(feature = "faults")]
            faults: super::faults::Faults::default(),
        };
        Ok((writer, queue))
    }

    /// Serves the queue until it is closed or every sender is gone.
    pub fn run(mut self, reading: &Reading) {
        let mut next = self.jobs.recv().ok();
        while let Some(job) = next.take() {
            match job {
                Job::Write(batch) => {
                    let group;
                    (group, next) = self.gather(batch);
                    self.commit_and_answer(group);
                    self.checkpoint();
                }
                Job::Close(answer) => {
                    // Whoever is not interested any more does not hear it.
                    let _unheard = answer.send(self.end(reading));
                    return;
                }
                #[cfg(feature = "faults")]
                Job::Break(fault) => self.faults.set(&self.connection, fault),
            }
            if next.is_none() {
                next = self.jobs.recv().ok();
            }
        }
        let _unheard = self.end(reading);
    }

    /// The batches that share a commit, and the job that came after them.
    fn gather(&self, first: Batch) -> (Vec<Batch>, Option<Job>) {
        let mut writes = first.writes.len();
        let mut group = vec![first];
        let mut next = None;
        while next.is_none() {
            match self.jobs.try_recv() {
                Ok(Job::Write(batch)) if writes + batch.writes.len() <= MAX_WRITES_PER_COMMIT => {
                    writes += batch.writes.len();
                    group.push(batch);
                }
                Ok(job) => next = Some(job),
                Err(_) => break,
            }
        }
        self.waiting.fetch_sub(writes, Ordering::AcqRel);
        (group, next)
    }

    /// One transaction for the group; when it fails for a reason that may lie in one batch, one for each.
    fn commit_and_answer(&mut self, mut group: Vec<Batch>) {
        match self.commit(&group) {
            Ok(results) => {
                for (batch, result) in group.into_iter().zip(results) {
                    let _unheard = batch.answer.send(result);
                }
            }
            Err(error) if group.len() > 1 && !concerns_all(&error) => {
                for batch in group.drain(..) {
                    self.commit_and_answer(vec![batch]);
                }
            }
            Err(error) => {
                for batch in group {
                    let _unheard = batch.answer.send(Err(failed(&error)));
                }
            }
        }
    }

    /// Commits a group; the results are of the batches, in their order. On an error nothing of the group happened.
    fn commit(&mut self, group: &[Batch]) -> rusqlite::Result<Vec<Result<(), StoreError>>> {
        let done = self.transaction(group);
        if done.is_err() && !self.connection.is_autocommit() {
            // SQLite undoes what was not committed also when this fails or the process dies.
            let _already_failed = self.connection.execute_batch("ROLLBACK");
        }
        done
    }

    fn transaction(&mut self, group: &[Batch]) -> rusqlite::Result<Vec<Result<(), StoreError>>> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let batches = group.iter().map(|batch| &*batch.writes);
        let results = apply(&self.connection, &self.tables, batches)?;
        #[cfg(feature = "faults")]
        self.faults.before_commit()?;
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        self.commits.fetch_add(1, Ordering::Relaxed);
        Ok(results)
    }

    /// Copies the log into the database when it has grown. After the answers: nobody waits for it.
    fn checkpoint(&self) {
        let pages = self.log_pages.load(Ordering::Relaxed);
        if pages < STORE_CHECKPOINT_PAGES {
            return;
        }
        let mode = if pages < MAX_STORE_LOG_PAGES { "PASSIVE" } else { "RESTART" };
        // A failure leaves everything in the log, where it is safe; the next commit tries again.
        if self.connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(())).is_ok() {
            self.log_pages.store(0, Ordering::Relaxed);
        }
    }

    /// Closes the readers, then the last connection, which empties and removes the log.
    fn end(self, reading: &Reading) -> Result<(), StoreError> {
        reading.readers.close();
        let checkpointed = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .optional()
            .map_err(failed);
        self.connection.close().map_err(|(_, error)| failed(error))?;
        checkpointed.map(|_| ())
    }
}

/// True when every write would fail alike, so that trying each batch alone is of no use.
fn concerns_all(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::OutOfMemory
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::NotADatabase
        )
    )
}
