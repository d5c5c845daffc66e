//! The embedded store: SQLite in WAL mode, one writer with group commit, a few readers, secrets sealed.
//!
//! Owns opening, closing and who does what. Must not know what a document means, nor the SQL (`schema`). Why it is
//! built so: `docs/adr/0004-document-store.md`.

mod apply;
#[cfg(feature = "faults")]
mod faults;
mod read;
mod schema;
mod seal;
mod write;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use dps_core::ports::store::{Collection, Document, Page, Store, StoreError, Write};
use dps_model::limits::STORE_LOCK_TIMEOUT;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension};

use crate::rules;
use read::{Readers, Reading};
use schema::Tables;
use seal::Seal;
use write::{Queue, Writer};

/// Page cache of the writer, in KiB.
const WRITER_CACHE_KIB: i64 = 64 * 1024;
/// Page cache of one reader, in KiB.
const READER_CACHE_KIB: i64 = 16 * 1024;
/// Prepared statements kept by a connection: more than there are.
const STATEMENTS_CACHED: usize = 128;
/// Fewest and most readers; between them, one for each core.
const READERS: (usize, usize) = (2, 8);

/// Where a store is.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The database; made when missing. SQLite keeps its log beside it.
    pub database: PathBuf,
    /// The key of what is sealed: 32 bytes, mode 0600; made together with the database, never later.
    pub key_file: PathBuf,
}

impl OpenOptions {
    /// `store.db` and `store.key` of a directory, which must exist.
    pub fn in_directory(directory: &Path) -> Self {
        Self { database: directory.join("store.db"), key_file: directory.join("store.key") }
    }
}

/// A store in one SQLite database. One process may have it open, once.
pub struct SqliteStore {
    reading: Arc<Reading>,
    queue: Queue,
    commits: Arc<AtomicU64>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl SqliteStore {
    /// Opens a store, makes it when it is not there, and brings its tables up to date.
    ///
    /// # Errors
    /// A sentence for the operator: the disk, a key file that is missing, open to others or not the store's, a store
    /// of a newer release.
    pub async fn open(options: OpenOptions) -> Result<Self, StoreError> {
        tokio::task::spawn_blocking(move || Self::open_blocking(&options))
            .await
            .map_err(|error| StoreError::Failed(format!("the store could not be opened: {error}")))?
    }

    fn open_blocking(options: &OpenOptions) -> Result<Self, StoreError> {
        let at = |error: StoreError| match error {
            StoreError::Failed(cause) => {
                StoreError::Failed(format!("{}: {cause}", options.database.display()))
            }
            other => other,
        };
        let connection = open_database(&options.database).map_err(at)?;
        let seal = fit_key(&connection, &options.key_file)?;
        seal::sync_directory_of(&options.database).map_err(failed)?;
        let cores = std::thread::available_parallelism().map_or(READERS.0, usize::from);
        let readers = Readers::open(&options.database, cores.clamp(READERS.0, READERS.1)).map_err(at)?;
        let reading = Arc::new(Reading { readers, tables: Tables::new(), seal });
        let commits = Arc::new(AtomicU64::new(0));
        let (writer, queue) = Writer::new(connection, Arc::clone(&commits))?;
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn({
                let reading = Arc::clone(&reading);
                move || writer.run(&reading)
            })
            .map_err(failed)?;
        Ok(Self { reading, queue, commits, writer: Mutex::new(Some(thread)) })
    }

    /// Commits since the store was opened; with group commit, fewer than writes.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Does what was asked before, empties the log and closes the files. Later calls fail. Dropping the store does the
    /// same, and waits for it on the dropping thread.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.queue.close().await.unwrap_or_else(|_| Err(closed()))
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        drop(self.queue.close());
        let thread = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // The writer does not panic; were it to, its callers have heard it as "closed".
            let _ended = thread.join();
        }
    }
}

/// Ways to make the store fail, for tests.
#[cfg(feature = "faults")]
impl SqliteStore {
    /// The disk is full: nothing that needs another page can be written.
    pub fn fill_disk(&self) -> Result<(), StoreError> {
        self.queue.break_writer(faults::Break::Full)
    }

    /// The disk has room again.
    pub fn free_disk(&self) -> Result<(), StoreError> {
        self.queue.break_writer(faults::Break::Room)
    }

    /// So many of the next commits fail as if the disk did not answer.
    pub fn fail_commits(&self, count: u32) -> Result<(), StoreError> {
        self.queue.break_writer(faults::Break::Commits(count))
    }

    /// The writer stands still, when it has done what was asked before, until the returned value is dropped.
    pub fn pause(&self) -> Result<impl Drop + Send + use<>, StoreError> {
        struct Paused(#[allow(dead_code, reason = "dropping it is its use")] std::sync::mpsc::Sender<()>);
        impl Drop for Paused {
            fn drop(&mut self) {}
        }
        let (sender, until) = std::sync::mpsc::channel();
        self.queue.break_writer(faults::Break::Pause(until))?;
        Ok(Paused(sender))
    }
}

#[async_trait]
impl Store for SqliteStore {
    // Reading inline costs a few microseconds; handing it to another thread costs more than that (measured: see the
    // decision record). Only pages, which may be long, go to a thread of their own.
    async fn get(
        &self,
        collection: Collection,
        instance: &str,
        id: &str,
    ) -> Result<Option<Document>, StoreError> {
        self.reading.get(collection, instance, id)
    }

    async fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        rules::check_writes(&writes)?;
        if writes.is_empty() {
            return Ok(());
        }
        self.queue.write(write::ready(&self.reading.seal, writes)?).await
    }

    async fn find(
        &self,
        collection: Collection,
        instance: &str,
        lookups: &[String],
    ) -> Result<Vec<Document>, StoreError> {
        rules::check_lookups(lookups)?;
        self.reading.find(collection, instance, lookups)
    }

    async fn page(&self, page: Page<'_>) -> Result<Vec<Document>, StoreError> {
        let Page { collection, instance, owner, after, limit } = page;
        let (instance, owner, after) =
            (instance.to_owned(), owner.map(str::to_owned), after.map(str::to_owned));
        let limit = rules::page_limit(limit);
        self.elsewhere(move |reading| reading.page(collection, instance, owner, after, limit)).await
    }

    async fn due(
        &self,
        collection: Collection,
        at_or_before: i64,
        limit: usize,
    ) -> Result<Vec<(String, Document)>, StoreError> {
        let limit = rules::page_limit(limit);
        self.elsewhere(move |reading| reading.due(collection, at_or_before, limit)).await
    }

    async fn count(&self, collection: Collection, instance: &str) -> Result<u64, StoreError> {
        self.reading.count(collection, instance)
    }
}

impl SqliteStore {
    async fn elsewhere<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reading) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let reading = Arc::clone(&self.reading);
        tokio::task::spawn_blocking(move || read(&reading))
            .await
            .map_err(|error| StoreError::Failed(format!("a read did not end: {error}")))?
    }
}

/// The writing connection, with its tables up to date.
fn open_database(path: &Path) -> Result<Connection, StoreError> {
    private_file(path).map_err(failed)?;
    let mut connection = Connection::open(path).map_err(failed)?;
    let set = |connection: &Connection| -> rusqlite::Result<()> {
        connection.busy_timeout(Duration::from_secs(STORE_LOCK_TIMEOUT))?;
        connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
        connection.pragma_update(None, "temp_store", "memory")?;
        keep_plans(connection)
    };
    set(&connection).map_err(failed)?;
    schema::migrate(&mut connection)?;
    Ok(connection)
}

/// Prepares each statement once: SQLite would plan some of them anew for every bound value.
fn keep_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    Ok(())
}

/// Makes the file, readable by its owner alone, when it is not there. SQLite gives its log the same mode.
fn private_file(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).map(drop)
}

/// The key of the key file, if it is the store's. A new store takes the key that is there, or makes one.
fn fit_key(connection: &Connection, key_file: &Path) -> Result<Seal, StoreError> {
    const NAME: &str = "key_check";
    let check: Option<Vec<u8>> =
        connection.query_row(schema::META, [NAME], |row| row.get(0)).optional().map_err(failed)?;
    let seal = seal::key(key_file, check.is_none())?;
    match check {
        Some(check) if seal.fits(&check) => {}
        Some(_) => {
            return Err(StoreError::Failed(format!(
                "the key file {} is not the one that the store was sealed with",
                key_file.display()
            )));
        }
        None => {
            let check = seal
                .check_value()
                .ok_or_else(|| StoreError::Failed("the key of the store cannot be used".into()))?;
            connection.execute(schema::SET_META, (NAME, check)).map_err(failed)?;
        }
    }
    Ok(seal)
}

/// A failure with its cause.
fn failed(cause: impl std::fmt::Display) -> StoreError {
    StoreError::Failed(cause.to_string())
}

fn closed() -> StoreError {
    StoreError::Failed("the store is closed".into())
}
