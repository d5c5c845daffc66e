//! The little of a file system that durability needs, as a seam: what is written, what is made durable, what is put in
//! place. Owns the order write, sync, rename, sync of the folder; must not know what the files hold.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// A file system.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Makes a folder and those above it; no error if it is there.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Names of the files in a folder.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// A whole file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// A new, empty file, in place of any former one.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Gives a file another name, in place of any former one of that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file; no error if it is not there.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// A file being written, at its end.
pub trait DiskFile: Debug + Send {
    /// Writes all of it.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes what was written durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts it to that length, and goes on there.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

/// The end of names of files that are not in place yet.
pub const TEMPORARY: &str = ".tmp";
/// The end of names of files that were set aside.
pub const DAMAGED: &str = ".damaged";

/// Puts a whole file in place: after a crash there is the former one, or this one whole.
pub fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = with_end(path, TEMPORARY);
    let written = disk.create(&temporary).and_then(|mut file| {
        file.write(bytes)?;
        file.sync()
    });
    if let Err(error) = written.and_then(|()| disk.rename(&temporary, path)) {
        // What is left of it takes room that may be what is short.
        let _ = disk.remove(&temporary);
        return Err(error);
    }
    path.parent().map_or(Ok(()), |dir| disk.sync_dir(dir))
}

/// Sets a file aside.
pub fn set_aside(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    disk.rename(path, &with_end(path, DAMAGED))?;
    path.parent().map_or(Ok(()), |dir| disk.sync_dir(dir))
}

fn with_end(path: &Path, end: &str) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// The operating system's.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalDisk;

impl Disk for LocalDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        // One by one, so that each name is durable in the folder that holds it.
        if let Some(above) = dir.parent().filter(|a| !a.as_os_str().is_empty()) {
            self.create_dir(above)?;
        }
        match fs::create_dir(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        dir.parent().filter(|a| !a.as_os_str().is_empty()).map_or(Ok(()), |above| self.sync_dir(above))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            // A name that is no text is none of ours.
            if let (true, Ok(name)) = (entry.file_type()?.is_file(), entry.file_name().into_string()) {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
        Ok(Box::new(LocalFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
}

#[derive(Debug)]
struct LocalFile(File);

impl DiskFile for LocalFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)?;
        io::Seek::seek(&mut self.0, io::SeekFrom::Start(length)).map(drop)
    }
}
