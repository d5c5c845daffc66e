//! The tables: forward-only migrations, and the SQL of every statement.
//!
//! Owns all SQL text that names a column. Must not know when a statement runs.

use dps_core::ports::store::{Collection, StoreError};
use dps_model::limits::{MAX_CHAIN_CERTIFICATES, MAX_LOOKUP_KEYS, MAX_PAGE};
use rusqlite::{Connection, TransactionBehavior};

use super::failed;

/// Migrations in order; a shipped one never changes.
const MIGRATIONS: [(&str, &str); 3] = [
    ("documents", include_str!("../../migrations/sqlite/0001_documents.sql")),
    ("certificate_claims", include_str!("../../migrations/sqlite/0002_certificate_claims.sql")),
    ("monitoring", include_str!("../../migrations/sqlite/0003_monitoring.sql")),
];

/// Brings the tables to the newest version. Each migration happens whole or not at all.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    connection
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, name TEXT NOT NULL)",
        )
        .map_err(failed)?;
    let version: u32 = connection
        .query_row("SELECT coalesce(max(version), 0) FROM schema_version", [], |row| row.get(0))
        .map_err(failed)?;
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    if version > MIGRATIONS.len() {
        return Err(StoreError::Failed(format!(
            "the store was written by a newer release (its tables have version {version}, this release knows {})",
            MIGRATIONS.len()
        )));
    }
    for (number, (name, sql)) in (1_u32..).zip(MIGRATIONS).skip(version) {
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        transaction.execute_batch(sql).map_err(failed)?;
        transaction
            .execute("INSERT INTO schema_version (version, name) VALUES (?1, ?2)", (number, name))
            .map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
    Ok(())
}

/// The columns that every read returns, in the order that `read::document` expects.
const COLUMNS: &str = "instance, id, etag, body, sealed, owner, due, lookups";

/// Sizes of the text lists that `find` is prepared for; a list is padded to the next size.
const FIND_SIZES: [usize; 6] = [1, 2, 4, 12, 4 * MAX_CHAIN_CERTIFICATES, MAX_LOOKUP_KEYS];

/// The statements of one collection.
pub(super) struct Statements {
    /// ?1 instance, ?2 id.
    pub get: String,
    /// ?1 instance, ?2 limit.
    pub first_page: String,
    /// ?1 instance, ?2 limit, ?3 after.
    pub page: String,
    /// ?1 instance, ?2 limit, ?3 owner.
    pub first_page_of_owner: String,
    /// ?1 instance, ?2 limit, ?3 owner, ?4 after.
    pub page_of_owner: String,
    /// ?1 instant, ?2 limit.
    pub due: String,
    /// ?1 instance, then the texts.
    find: [String; FIND_SIZES.len()],
    /// ?1 instance, ?2 id: etag, owner, lookups.
    pub current: String,
    /// The columns; does nothing when the id is there.
    pub insert: String,
    /// The columns; of a document that is there.
    pub replace: String,
    /// Without owner and lookups, which stay: ?1 instance, ?2 id, ?3 etag, ?4 body, ?5 sealed, ?6 due.
    pub amend: String,
    /// Like `amend`, if ?7 is still the etag, ?8 the owner and ?9 the lookups.
    pub amend_if: String,
    /// ?1 instance, ?2 id.
    pub delete: String,
    /// ?1 instance.
    pub clear: String,
}

impl Statements {
    fn of(collection: Collection) -> Self {
        let table = collection.name();
        let select = format!("SELECT {COLUMNS} FROM {table}");
        let amend = format!(
            "UPDATE {table} SET etag = ?3, body = ?4, sealed = ?5, due = ?6 WHERE instance = ?1 AND id = ?2"
        );
        Self {
            get: format!("{select} WHERE instance = ?1 AND id = ?2"),
            first_page: format!("{select} WHERE instance = ?1 ORDER BY id LIMIT ?2"),
            page: format!("{select} WHERE instance = ?1 AND id > ?3 ORDER BY id LIMIT ?2"),
            first_page_of_owner: format!(
                "{select} WHERE instance = ?1 AND owner = ?3 ORDER BY id LIMIT ?2"
            ),
            page_of_owner: format!(
                "{select} WHERE instance = ?1 AND owner = ?3 AND id > ?4 ORDER BY id LIMIT ?2"
            ),
            due: format!("{select} WHERE due <= ?1 ORDER BY due, instance, id LIMIT ?2"),
            find: FIND_SIZES.map(|size| {
                if size == 1 {
                    // Of one text, the ids come in order and once each: no list in between.
                    let columns = COLUMNS.replace(", ", ", document.");
                    return format!(
                        "SELECT document.{columns} FROM lookups CROSS JOIN {table} AS document \
                         ON document.instance = ?1 AND document.id = lookups.id \
                         WHERE lookups.collection = '{table}' AND lookups.instance = ?1 AND lookups.text = ?2 \
                         ORDER BY lookups.id LIMIT {MAX_PAGE}"
                    );
                }
                let texts = vec!["?"; size].join(", ");
                format!(
                    "{select} WHERE instance = ?1 AND id IN (SELECT id FROM lookups WHERE collection = '{table}' \
                     AND instance = ?1 AND text IN ({texts})) ORDER BY id LIMIT {MAX_PAGE}"
                )
            }),
            current: format!("SELECT etag, owner, lookups FROM {table} WHERE instance = ?1 AND id = ?2"),
            insert: format!(
                "INSERT INTO {table} ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
                 ON CONFLICT (instance, id) DO NOTHING"
            ),
            replace: format!(
                "UPDATE {table} SET etag = ?3, body = ?4, sealed = ?5, owner = ?6, due = ?7, lookups = ?8 \
                 WHERE instance = ?1 AND id = ?2"
            ),
            amend_if: format!("{amend} AND etag = ?7 AND owner IS ?8 AND lookups IS ?9"),
            amend,
            delete: format!("DELETE FROM {table} WHERE instance = ?1 AND id = ?2"),
            clear: format!("DELETE FROM {table} WHERE instance = ?1"),
        }
    }

    /// The statement that finds by at most so many texts, and how many it takes; `None` beyond `MAX_LOOKUP_KEYS`.
    pub fn find(&self, texts: usize) -> Option<(&str, usize)> {
        self.find.iter().zip(FIND_SIZES).find(|(_, size)| *size >= texts).map(|(sql, size)| (&**sql, size))
    }
}

/// The statements of every collection.
pub(super) struct Tables([Statements; Collection::ALL.len()]);

impl Tables {
    pub fn new() -> Self {
        Self(Collection::ALL.map(Statements::of))
    }

    pub fn of(&self, collection: Collection) -> &Statements {
        let [instances, enrollments, groups, claims, registrations, devices, settings, monitoring, rollups] =
            &self.0;
        match collection {
            Collection::Instances => instances,
            Collection::Enrollments => enrollments,
            Collection::EnrollmentGroups => groups,
            Collection::CertificateClaims => claims,
            Collection::Registrations => registrations,
            Collection::HubDevices => devices,
            Collection::Settings => settings,
            Collection::Monitoring => monitoring,
            Collection::Rollups => rollups,
        }
    }
}

/// Adds a text of a document: collection, instance, text, id.
pub(super) const ADD_LOOKUP: &str =
    "INSERT OR IGNORE INTO lookups (collection, instance, text, id) VALUES (?1, ?2, ?3, ?4)";
/// Removes a text of a document: collection, instance, text, id.
pub(super) const REMOVE_LOOKUP: &str =
    "DELETE FROM lookups WHERE collection = ?1 AND instance = ?2 AND text = ?3 AND id = ?4";
/// Removes the texts of all documents of an instance: collection, instance.
pub(super) const CLEAR_LOOKUPS: &str = "DELETE FROM lookups WHERE collection = ?1 AND instance = ?2";
/// Adds to a count: collection, instance, difference.
pub(super) const ADD_COUNT: &str = "INSERT INTO counts (collection, instance, documents) VALUES (?1, ?2, ?3) \
     ON CONFLICT (collection, instance) DO UPDATE SET documents = documents + excluded.documents";
/// Reads a count: collection, instance.
pub(super) const COUNT: &str = "SELECT documents FROM counts WHERE collection = ?1 AND instance = ?2";
/// Reads a fact about the store: name.
pub(super) const META: &str = "SELECT value FROM meta WHERE name = ?1";
/// Writes a fact about the store: name, value.
pub(super) const SET_META: &str = "INSERT INTO meta (name, value) VALUES (?1, ?2)";

#[cfg(test)]
mod tests {
    use dps_core::ports::store::Collection;
    use rusqlite::Connection;

    use super::{MIGRATIONS, Statements, Tables, migrate};

    fn plan(connection: &Connection, sql: &str) -> String {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let parameters = vec![rusqlite::types::Null; statement.parameter_count()];
        let lines = statement
            .query_map(rusqlite::params_from_iter(parameters), |row| row.get::<_, String>("detail"))
            .unwrap();
        lines.map(Result::unwrap).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn statements_every_collection_use_an_index_and_no_sort() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        let tables = Tables::new();
        for collection in Collection::ALL {
            let Statements {
                get,
                first_page,
                page,
                first_page_of_owner,
                page_of_owner,
                due,
                find,
                current,
                replace,
                amend,
                amend_if,
                delete,
                clear,
                insert: _,
            } = tables.of(collection);
            let all = [
                get,
                first_page,
                page,
                first_page_of_owner,
                page_of_owner,
                due,
                current,
                replace,
                amend,
                amend_if,
                delete,
                clear,
            ];
            for sql in all.into_iter().chain(find) {
                let plan = plan(&connection, sql);
                assert!(!plan.contains("SCAN"), "{sql}\n{plan}");
                assert!(!plan.contains("TEMP B-TREE FOR ORDER BY"), "{sql}\n{plan}");
            }
            for sql in find {
                let plan = plan(&connection, sql);
                assert!(plan.contains("(instance=? AND id=?)"), "{sql}\n{plan}");
            }
        }
    }

    #[test]
    fn migrate_twice_changes_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        let versions: u32 =
            connection.query_row("SELECT count(*) FROM schema_version", [], |row| row.get(0)).unwrap();
        assert_eq!(versions as usize, MIGRATIONS.len());
    }

    #[test]
    fn migrate_newer_store_is_refused_with_a_sentence() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        connection.execute("INSERT INTO schema_version VALUES (99, 'later')", []).unwrap();
        let error = migrate(&mut connection).unwrap_err().to_string();
        assert!(error.contains("newer release"), "{error}");
    }
}
