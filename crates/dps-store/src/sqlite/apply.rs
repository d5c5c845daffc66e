//! The statements of a group of batches, inside one transaction that somebody else begins and commits.
//!
//! Owns that a refused batch leaves no trace while its neighbours stay. Must not know who asked.

use std::collections::BTreeMap;

use dps_core::ports::store::{Collection, Precondition, Refusal, StoreError};
use rusqlite::{Connection, OptionalExtension};

use super::schema::{ADD_COUNT, ADD_LOOKUP, CLEAR_LOOKUPS, REMOVE_LOOKUP, Tables};
use super::write::{ReadyWrite, Row};
use crate::rules;

/// A failure of the database, which ends the group, or a refusal, which ends the batch.
enum Stop {
    Failed(rusqlite::Error),
    Refused(Refusal),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Refusal> for Stop {
    fn from(why: Refusal) -> Self {
        Self::Refused(why)
    }
}

/// How counts change, by collection and instance.
type Counts<'a> = BTreeMap<(&'static str, &'a str), i64>;

/// Does the batches; the results are in their order. An error leaves the transaction to be rolled back.
pub(super) fn apply<'a>(
    connection: &Connection,
    tables: &Tables,
    batches: impl Iterator<Item = &'a [ReadyWrite]>,
) -> rusqlite::Result<Vec<Result<(), StoreError>>> {
    let mut results = Vec::new();
    let mut counts = Counts::new();
    for writes in batches {
        results.push(batch(connection, tables, writes, &mut counts)?);
    }
    for ((collection, instance), difference) in counts {
        if difference != 0 {
            connection.prepare_cached(ADD_COUNT)?.execute((collection, instance, difference))?;
        }
    }
    Ok(results)
}

/// Does the writes of a batch, or none of them.
fn batch<'a>(
    connection: &Connection,
    tables: &Tables,
    writes: &'a [ReadyWrite],
    counts: &mut Counts<'a>,
) -> rusqlite::Result<Result<(), StoreError>> {
    // A write that is refused has changed nothing itself, so only a batch whose later writes may be refused needs a
    // point to go back to.
    let needs_savepoint = writes.iter().skip(1).any(|write| *write.precondition() != Precondition::None);
    if needs_savepoint {
        connection.prepare_cached("SAVEPOINT batch")?.execute([])?;
    }
    let mut differences = Vec::with_capacity(writes.len());
    let mut refused = None;
    for (index, write) in writes.iter().enumerate() {
        match one(connection, tables, write) {
            Ok(difference) => differences.push((write.place(), difference)),
            Err(Stop::Refused(why)) => {
                refused = Some(StoreError::Refused { index, why });
                break;
            }
            Err(Stop::Failed(error)) => return Err(error),
        }
    }
    if needs_savepoint {
        if refused.is_some() {
            connection.prepare_cached("ROLLBACK TO batch")?.execute([])?;
        }
        connection.prepare_cached("RELEASE batch")?.execute([])?;
    }
    if let Some(refused) = refused {
        return Ok(Err(refused));
    }
    for (place, difference) in differences {
        *counts.entry(place).or_default() += difference;
    }
    Ok(Ok(()))
}

impl ReadyWrite {
    fn precondition(&self) -> &Precondition {
        match self {
            Self::Put { precondition, .. } | Self::Delete { precondition, .. } => precondition,
            Self::Clear { .. } => &Precondition::None,
        }
    }

    fn place(&self) -> (&'static str, &str) {
        match self {
            Self::Put { collection, instance, .. }
            | Self::Delete { collection, instance, .. }
            | Self::Clear { collection, instance } => (collection.name(), instance),
        }
    }
}

/// Does one write; says by how much the count changes.
fn one(connection: &Connection, tables: &Tables, write: &ReadyWrite) -> Result<i64, Stop> {
    let table = Table { connection, tables };
    match write {
        ReadyWrite::Put { collection, instance, row, precondition: Precondition::Absent } => {
            if table.insert(*collection, instance, row)? { Ok(1) } else { Err(Refusal::Exists.into()) }
        }
        ReadyWrite::Put { collection, instance, row, precondition } => {
            if let Precondition::Matches(etag) = precondition
                && table.amend_if(*collection, instance, row, &etag.0)?
            {
                return Ok(0);
            }
            table.put(*collection, instance, row, precondition)
        }
        ReadyWrite::Delete { collection, instance, id, precondition } => {
            table.delete(*collection, instance, id, precondition)
        }
        ReadyWrite::Clear { collection, instance } => Ok(table.clear(*collection, instance)?),
    }
}

/// What is there now, as far as a write must know it.
struct Current {
    etag: String,
    owner: Option<String>,
    lookups: Option<String>,
}

/// The statements of one write.
struct Table<'a> {
    connection: &'a Connection,
    tables: &'a Tables,
}

impl Table<'_> {
    fn insert(&self, collection: Collection, instance: &str, row: &Row) -> rusqlite::Result<bool> {
        let Row { document, sealed, lookups } = row;
        let inserted = self.connection.prepare_cached(&self.tables.of(collection).insert)?.execute((
            instance,
            &document.id,
            &document.etag.0,
            &document.body,
            sealed,
            &document.owner,
            document.due,
            lookups,
        ))?;
        if inserted == 1 {
            self.add_lookups(collection, instance, &document.id, &document.lookups)?;
        }
        Ok(inserted == 1)
    }

    /// The common case in one statement: the version is the expected one, and no index of owner or texts changes.
    fn amend_if(
        &self,
        collection: Collection,
        instance: &str,
        row: &Row,
        etag: &str,
    ) -> rusqlite::Result<bool> {
        let Row { document, sealed, lookups } = row;
        let changed = self.connection.prepare_cached(&self.tables.of(collection).amend_if)?.execute((
            instance,
            &document.id,
            &document.etag.0,
            &document.body,
            sealed,
            document.due,
            etag,
            &document.owner,
            lookups,
        ))?;
        Ok(changed == 1)
    }

    fn put(
        &self,
        collection: Collection,
        instance: &str,
        row: &Row,
        precondition: &Precondition,
    ) -> Result<i64, Stop> {
        let Row { document, sealed, lookups } = row;
        let current = self.current(collection, instance, &document.id)?;
        rules::judge(precondition, current.as_ref().map(|current| &*current.etag))?;
        let Some(current) = current else {
            self.insert(collection, instance, row)?;
            return Ok(1);
        };
        let statements = self.tables.of(collection);
        if current.owner == document.owner && current.lookups == *lookups {
            self.connection.prepare_cached(&statements.amend)?.execute((
                instance,
                &document.id,
                &document.etag.0,
                &document.body,
                sealed,
                document.due,
            ))?;
            return Ok(0);
        }
        self.connection.prepare_cached(&statements.replace)?.execute((
            instance,
            &document.id,
            &document.etag.0,
            &document.body,
            sealed,
            &document.owner,
            document.due,
            lookups,
        ))?;
        if current.lookups != *lookups {
            self.remove_lookups(collection, instance, &document.id, current.lookups.as_deref())?;
            self.add_lookups(collection, instance, &document.id, &document.lookups)?;
        }
        Ok(0)
    }

    fn delete(
        &self,
        collection: Collection,
        instance: &str,
        id: &str,
        precondition: &Precondition,
    ) -> Result<i64, Stop> {
        let current = self.current(collection, instance, id)?;
        rules::judge(precondition, current.as_ref().map(|current| &*current.etag))?;
        let Some(current) = current else { return Ok(0) };
        self.connection.prepare_cached(&self.tables.of(collection).delete)?.execute((instance, id))?;
        self.remove_lookups(collection, instance, id, current.lookups.as_deref())?;
        Ok(-1)
    }

    fn clear(&self, collection: Collection, instance: &str) -> rusqlite::Result<i64> {
        self.connection.prepare_cached(CLEAR_LOOKUPS)?.execute((collection.name(), instance))?;
        let removed =
            self.connection.prepare_cached(&self.tables.of(collection).clear)?.execute([instance])?;
        Ok(-i64::try_from(removed).unwrap_or(i64::MAX))
    }

    fn current(&self, collection: Collection, instance: &str, id: &str) -> rusqlite::Result<Option<Current>> {
        self.connection
            .prepare_cached(&self.tables.of(collection).current)?
            .query_row((instance, id), |row| {
                Ok(Current { etag: row.get(0)?, owner: row.get(1)?, lookups: row.get(2)? })
            })
            .optional()
    }

    fn add_lookups(
        &self,
        collection: Collection,
        instance: &str,
        id: &str,
        texts: &[String],
    ) -> rusqlite::Result<()> {
        for text in texts {
            self.connection.prepare_cached(ADD_LOOKUP)?.execute((collection.name(), instance, text, id))?;
        }
        Ok(())
    }

    fn remove_lookups(
        &self,
        collection: Collection,
        instance: &str,
        id: &str,
        texts: Option<&str>,
    ) -> rusqlite::Result<()> {
        let Some(json) = texts else { return Ok(()) };
        let texts: Vec<String> = serde_json::from_str(json).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, error.into())
        })?;
        for text in &texts {
            self.connection.prepare_cached(REMOVE_LOOKUP)?.execute((
                collection.name(),
                instance,
                text,
                id,
            ))?;
        }
        Ok(())
    }
}
