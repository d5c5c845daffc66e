//! A disk that fails: it ends at a given operation, forgets what was not synced, or is full. It syncs nothing itself: what
//! is durable is its own account, and waiting for the machine's disk would take minutes.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use dps_query::store::disk::{Disk, DiskFile, LocalDisk};

#[derive(Clone, Debug, Default)]
pub struct FaultDisk(Arc<Mutex<Faults>>);

#[derive(Debug, Default)]
struct Faults {
    done: u64,
    /// Operations until the machine stops.
    left: Option<u64>,
    full: bool,
    /// Files with bytes that are not durable, and how many are.
    durable: HashMap<PathBuf, u64>,
    /// Names that are not durable, in order.
    names: Vec<Name>,
}

#[derive(Debug)]
enum Name {
    Created(PathBuf),
    Renamed { from: PathBuf, to: PathBuf, former: Option<Vec<u8>> },
    Removed(PathBuf, Vec<u8>),
}

impl FaultDisk {
    /// Stops after that many operations.
    pub fn stopping_after(operations: u64) -> Self {
        let disk = Self::default();
        disk.0.lock().unwrap().left = Some(operations);
        disk
    }

    pub fn operations(&self) -> u64 {
        self.0.lock().unwrap().done
    }

    pub fn set_full(&self, full: bool) {
        self.0.lock().unwrap().full = full;
    }

    /// The power goes: what was not made durable is lost.
    pub fn lose_power(&self) {
        let mut faults = self.0.lock().unwrap();
        for (path, length) in faults.durable.drain() {
            if let Ok(file) = std::fs::OpenOptions::new().write(true).open(&path) {
                // Half of it may have come through.
                let has = file.metadata().unwrap().len();
                file.set_len(length + has.saturating_sub(length) / 2).unwrap();
            }
        }
        while let Some(name) = faults.names.pop() {
            match name {
                Name::Created(path) => drop(std::fs::remove_file(path)),
                Name::Renamed { from, to, former } => {
                    std::fs::rename(&to, from).unwrap();
                    if let Some(bytes) = former {
                        std::fs::write(&to, bytes).unwrap();
                    }
                }
                Name::Removed(path, bytes) => std::fs::write(path, bytes).unwrap(),
            }
        }
    }

    fn step(&self) -> io::Result<()> {
        let mut faults = self.0.lock().unwrap();
        if faults.left == Some(0) {
            return Err(io::Error::other("the machine has stopped"));
        }
        faults.left = faults.left.map(|left| left - 1);
        faults.done += 1;
        Ok(())
    }

    fn note(&self, name: Name) {
        self.0.lock().unwrap().names.push(name);
    }
}

impl Disk for FaultDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.step()?;
        std::fs::create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.step()?;
        LocalDisk.list(dir)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.step()?;
        LocalDisk.read(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.step()?;
        let inner = LocalDisk.create(path)?;
        self.note(Name::Created(path.to_owned()));
        self.0.lock().unwrap().durable.insert(path.to_owned(), 0);
        Ok(Box::new(FaultFile { disk: self.clone(), path: path.to_owned(), inner, length: 0 }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        let former = std::fs::read(to).ok();
        LocalDisk.rename(from, to)?;
        let mut faults = self.0.lock().unwrap();
        if let Some(length) = faults.durable.remove(from) {
            faults.durable.insert(to.to_owned(), length);
        }
        drop(faults);
        self.note(Name::Renamed { from: from.to_owned(), to: to.to_owned(), former });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        if let Ok(bytes) = std::fs::read(path) {
            LocalDisk.remove(path)?;
            self.note(Name::Removed(path.to_owned(), bytes));
        }
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.step()?;
        self.0.lock().unwrap().names.retain(|name| match name {
            Name::Created(path) | Name::Removed(path, _) => path.parent() != Some(dir),
            Name::Renamed { to, .. } => to.parent() != Some(dir),
        });
        Ok(())
    }
}

#[derive(Debug)]
struct FaultFile {
    disk: FaultDisk,
    path: PathBuf,
    inner: Box<dyn DiskFile>,
    length: u64,
}

impl DiskFile for FaultFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let half = &bytes[..bytes.len() / 2];
        if self.disk.0.lock().unwrap().full {
            self.inner.write(half)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        if let Err(error) = self.disk.step() {
            self.inner.write(half)?;
            return Err(error);
        }
        self.length += bytes.len() as u64;
        self.inner.write(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.step()?;
        self.disk.0.lock().unwrap().durable.insert(self.path.clone(), self.length);
        Ok(())
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.disk.step()?;
        self.length = length;
        self.inner.cut(length)
    }
}
