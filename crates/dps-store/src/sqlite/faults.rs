//! Ways to make the embedded store fail, for tests: a full disk, a failing commit, a writer that does not come along.
//!
//! Owns the switches; compiled only with the feature `faults`.

use std::sync::mpsc::Receiver;

use rusqlite::Connection;

/// SQLite's own highest page count: no limit.
const NO_LIMIT: u32 = 4_294_967_294;

/// What is to fail from now on.
pub(super) enum Break {
    /// The database may not have more pages than it has now.
    Full,
    /// There is room again.
    Room,
    /// So many commits fail as if the disk did not answer.
    Commits(u32),
    /// The writer stands still until the other end is dropped.
    Pause(Receiver<()>),
}

/// The switches as the writer keeps them.
#[derive(Default)]
pub(super) struct Faults {
    commits: u32,
}

impl Faults {
    pub fn set(&mut self, connection: &Connection, fault: Break) {
        let limit =
            |pages: u32| connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()));
        // A pragma that fails leaves the store whole, and the test that asked for it fails.
        let _unset = match fault {
            // A number below the present one means the present one.
            Break::Full => limit(1),
            Break::Room => limit(NO_LIMIT),
            Break::Commits(count) => {
                self.commits = count;
                Ok(())
            }
            Break::Pause(until) => {
                let _dropped = until.recv();
                Ok(())
            }
        };
    }

    pub fn before_commit(&mut self) -> rusqlite::Result<()> {
        if self.commits == 0 {
            return Ok(());
        }
        self.commits -= 1;
        let error = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
        Err(rusqlite::Error::SqliteFailure(error, Some("a commit was made to fail".into())))
    }
}
