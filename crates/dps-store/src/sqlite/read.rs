//! The reading side: a small pool of read-only connections, each with its own page cache.
//!
//! Owns how a row becomes a document. Must not write. A connection is held for one statement only, never over an
//! await, so a read begins after every commit that was acknowledged before it, and sees it.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use dps_core::ports::store::{Collection, Document, StoreError};
use dps_model::Etag;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, ToSql, params_from_iter};

use super::schema::{COUNT, Tables};
use super::seal::Seal;
use super::{READER_CACHE_KIB, closed, failed, keep_plans};

/// Read-only connections.
pub(super) struct Readers {
    /// `None` after `close`.
    connections: Vec<Mutex<Option<Connection>>>,
}

impl Readers {
    /// Opens so many connections.
    pub fn open(database: &Path, count: usize) -> Result<Self, StoreError> {
        let open = || -> rusqlite::Result<Connection> {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(database, flags)?;
            connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
            keep_plans(&connection)?;
            Ok(connection)
        };
        let connections = (0..count)
            .map(|_| open().map(|connection| Mutex::new(Some(connection))).map_err(failed))
            .collect::<Result<_, _>>()?;
        Ok(Self { connections })
    }

    /// Closes every connection when the reads in progress have ended.
    pub fn close(&self) {
        for connection in &self.connections {
            drop(connection.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
    }

    /// Runs a read on the first free connection: the warmest cache serves most reads.
    pub fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let guard = self.free().ok_or_else(closed)?;
        read(guard.as_ref().ok_or_else(closed)?)
    }

    fn free(&self) -> Option<MutexGuard<'_, Option<Connection>>> {
        for connection in &self.connections {
            match connection.try_lock() {
                Ok(guard) => return Some(guard),
                Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        // All are busy: wait behind the one that the fewest others wait for, as far as that can be known.
        let connection = self.connections.last()?;
        Some(connection.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a document that cannot be read does to the others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Damage {
    /// Who lists them must know.
    Fails,
    /// It is told in the log.
    IsSkipped,
}

/// What a read needs besides a connection.
pub(super) struct Reading {
    pub readers: Readers,
    pub tables: Tables,
    pub seal: Seal,
}

impl Reading {
    /// The document of that id.
    pub fn get(
        &self,
        collection: Collection,
        instance: &str,
        id: &str,
    ) -> Result<Option<Document>, StoreError> {
        self.readers.with(|connection| {
            let damaged = |error| damaged(collection, id, &error);
            let mut statement = connection.prepare_cached(&self.tables.of(collection).get).map_err(failed)?;
            let mut rows = statement.query((instance, id)).map_err(damaged)?;
            match rows.next().map_err(damaged)? {
                Some(row) => self.document(collection, row).map(|(_, document)| Some(document)),
                None => Ok(None),
            }
        })
    }

    /// Documents that have one of the texts.
    pub fn find(
        &self,
        collection: Collection,
        instance: &str,
        texts: &[String],
    ) -> Result<Vec<Document>, StoreError> {
        let Some(last) = texts.last() else { return Ok(Vec::new()) };
        let Some((sql, size)) = self.tables.of(collection).find(texts.len()) else {
            return Err(StoreError::Failed("too many lookup texts".into()));
        };
        let padding = std::iter::repeat_n(last, size - texts.len());
        let parameters = std::iter::once(instance).chain(texts.iter().chain(padding).map(String::as_str));
        let found = self.rows(collection, sql, parameters, Damage::Fails)?;
        Ok(found.into_iter().map(|(_, document)| document).collect())
    }

    /// One page.
    pub fn page(
        &self,
        collection: Collection,
        instance: String,
        owner: Option<String>,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<Document>, StoreError> {
        let statements = self.tables.of(collection);
        let sql = match (&owner, &after) {
            (None, None) => &statements.first_page,
            (None, Some(_)) => &statements.page,
            (Some(_), None) => &statements.first_page_of_owner,
            (Some(_), Some(_)) => &statements.page_of_owner,
        };
        let mut parameters = vec![Value::Text(instance), limit_value(limit)];
        parameters.extend(owner.into_iter().chain(after).map(Value::Text));
        let page = self.rows(collection, sql, parameters, Damage::Fails)?;
        Ok(page.into_iter().map(|(_, document)| document).collect())
    }

    /// Documents that are due, with their instance; a damaged one must not hide what is behind it.
    pub fn due(
        &self,
        collection: Collection,
        at_or_before: i64,
        limit: usize,
    ) -> Result<Vec<(String, Document)>, StoreError> {
        let parameters = [Value::Integer(at_or_before), limit_value(limit)];
        self.rows(collection, &self.tables.of(collection).due, parameters, Damage::IsSkipped)
    }

    /// How many documents an instance has.
    pub fn count(&self, collection: Collection, instance: &str) -> Result<u64, StoreError> {
        self.readers.with(|connection| {
            let mut statement = connection.prepare_cached(COUNT).map_err(failed)?;
            let count = statement
                .query_row((collection.name(), instance), |row| row.get::<_, i64>(0))
                .optional()
                .map_err(failed)?
                .unwrap_or(0);
            u64::try_from(count)
                .map_err(|_| StoreError::Failed(format!("the count of {} is damaged", collection.name())))
        })
    }

    fn rows<P: ToSql>(
        &self,
        collection: Collection,
        sql: &str,
        parameters: impl IntoIterator<Item = P>,
        damage: Damage,
    ) -> Result<Vec<(String, Document)>, StoreError> {
        self.readers.with(|connection| {
            let mut statement = connection.prepare_cached(sql).map_err(failed)?;
            let mut rows = statement.query(params_from_iter(parameters)).map_err(failed)?;
            let mut documents: Vec<(String, Document)> = Vec::new();
            loop {
                let row = rows.next().map_err(|error| {
                    let before = documents.last().map_or("the first", |(_, document)| &document.id);
                    StoreError::Failed(format!("{} is damaged after {before}: {error}", collection.name()))
                })?;
                let Some(row) = row else { return Ok(documents) };
                match self.document(collection, row) {
                    Ok(document) => documents.push(document),
                    Err(error) if damage == Damage::IsSkipped => tracing::error!(%error, "left out"),
                    Err(error) => return Err(error),
                }
            }
        })
    }

    /// The instance and the document of a row with the columns of `schema::COLUMNS`.
    fn document(&self, collection: Collection, row: &Row<'_>) -> Result<(String, Document), StoreError> {
        let id: String = row.get(1).map_err(|error| damaged(collection, "a document", &error))?;
        self.columns(collection, &id, row).map_err(|error| damaged(collection, &id, &error)).and_then(
            |(instance, document)| {
                document.map(|document| (instance, document)).ok_or_else(|| {
                    let what = "its sealed part does not open";
                    StoreError::Failed(format!("{id} of {} is damaged: {what}", collection.name()))
                })
            },
        )
    }

    /// The columns as a document; `None` when the sealed part does not open.
    fn columns(
        &self,
        collection: Collection,
        id: &str,
        row: &Row<'_>,
    ) -> rusqlite::Result<(String, Option<Document>)> {
        let instance: String = row.get(0)?;
        let sealed = match row.get_ref(4)?.as_blob_or_null()? {
            None => None,
            Some(sealed) => match self.seal.open(collection, &instance, id, sealed) {
                None => return Ok((instance, None)),
                secret => secret,
            },
        };
        let lookups = match row.get_ref(7)?.as_str_or_null()? {
            None => Vec::new(),
            Some(json) => serde_json::from_str(json).map_err(|error| {
                rusqlite::Error::FromSqlConversionFailure(7, rusqlite::types::Type::Text, error.into())
            })?,
        };
        let document = Document {
            id: id.to_owned(),
            etag: Etag(row.get(2)?),
            body: row.get(3)?,
            sealed,
            owner: row.get(5)?,
            due: row.get(6)?,
            lookups,
        };
        Ok((instance, Some(document)))
    }
}

/// A limit as SQLite wants it; never negative, which would mean none.
fn limit_value(limit: usize) -> Value {
    Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX))
}

fn damaged(collection: Collection, id: &str, error: &rusqlite::Error) -> StoreError {
    StoreError::Failed(format!("{id} of {} is damaged: {error}", collection.name()))
}
