//! The manifest: which files are in, how far segments are rolled into them, what is to be removed. One small file,
//! replaced as a whole: the moment of its replacement is the moment of every change. Must not know what files hold.

use std::io;
use std::path::Path;

use datafusion::object_store::path::Path as Location;
use dps_monitor::Table;
use serde::{Deserialize, Serialize};

use super::disk::{self, Disk};
use super::frame;
use super::scan::DataFile;

/// Its name in the store's folder.
pub const NAME: &str = "manifest";
/// Its version, in its first line.
const TITLE: &str = "log-store manifest 1";

/// The manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The number of the next file, greater than any that was given.
    pub next: u64,
    /// Segments up to this number are in files.
    pub rolled: u64,
    /// Files that are in.
    pub files: Vec<Entry>,
    /// Locations of files that are out and may still be there.
    pub removed: Vec<String>,
}

/// A file that is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its table's name.
    pub table: String,
    /// Its place.
    pub location: String,
    /// Its bytes.
    pub size: u64,
    /// Its rows.
    pub rows: u64,
    /// In ticks.
    pub earliest: i64,
    /// In ticks.
    pub latest: i64,
    /// How many columns it has.
    pub columns: usize,
}

impl Entry {
    /// Of a file.
    pub fn new(table: Table, file: &DataFile) -> Self {
        Self {
            table: table.name().to_owned(),
            location: file.location.to_string(),
            size: file.size,
            rows: file.rows,
            earliest: file.earliest,
            latest: file.latest,
            columns: file.columns,
        }
    }

    /// Table and file; none if it is of a table that we do not know.
    pub fn file(&self) -> Option<(Table, DataFile)> {
        let table = Table::ALL.into_iter().find(|t| t.name() == self.table)?;
        let file = DataFile {
            location: Location::parse(&self.location).ok()?,
            size: self.size,
            rows: self.rows,
            earliest: self.earliest,
            latest: self.latest,
            columns: self.columns,
        };
        Some((table, file))
    }
}

/// What is on disk.
#[derive(Debug)]
pub enum Found {
    /// None.
    None,
    /// It.
    Whole(Manifest),
    /// One that cannot be read.
    Damaged,
}

/// Reads it.
pub fn read(disk: &dyn Disk, dir: &Path) -> io::Result<Found> {
    let bytes = match disk.read(&dir.join(NAME)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::None),
        Err(error) => return Err(error),
    };
    Ok(parse(&bytes).map_or(Found::Damaged, Found::Whole))
}

/// Replaces it. After an error either may be on disk: what one of them names must stay until the next success.
pub fn write(disk: &dyn Disk, dir: &Path, manifest: &Manifest) -> io::Result<()> {
    let json = serde_json::to_vec(manifest)?;
    let mut bytes = format!("{TITLE} {:016x}\n", frame::hash(&json)).into_bytes();
    bytes.extend_from_slice(&json);
    disk::replace(disk, &dir.join(NAME), &bytes)
}

fn parse(bytes: &[u8]) -> Option<Manifest> {
    let end = bytes.iter().position(|b| *b == b'\n')?;
    let (title, json) = (bytes.get(..end)?, bytes.get(end + 1..)?);
    let hash = std::str::from_utf8(title).ok()?.strip_prefix(TITLE)?.trim_start();
    if u64::from_str_radix(hash, 16).ok()? != frame::hash(json) {
        return None;
    }
    serde_json::from_slice(json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::disk::LocalDisk;

    #[test]
    fn manifest_with_any_byte_changed_or_cut_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = Manifest { next: 7, rolled: 3, files: vec![], removed: vec!["a/b".to_owned()] };
        assert!(matches!(read(&LocalDisk, dir.path()).unwrap(), Found::None));
        write(&LocalDisk, dir.path(), &manifest).unwrap();
        assert!(matches!(read(&LocalDisk, dir.path()).unwrap(), Found::Whole(m) if m == manifest));
        let bytes = std::fs::read(dir.path().join(NAME)).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(parse(&changed).is_none_or(|m| m == manifest), "{at}");
            assert!(parse(&bytes[..at]).is_none(), "{at}");
        }
    }
}
