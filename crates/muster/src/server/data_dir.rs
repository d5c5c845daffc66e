//! The data directory: one process at a time, private files written whole. Must not know what the files mean.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use rustix::fs::{FlockOperation, flock};

/// A locked data directory; unlocked when dropped.
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Creates the directory when missing, locks it, and removes what a killed process announced.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let failed = || format!("cannot use {} as data directory", path.display());
        if !path.exists() {
            fs::create_dir_all(path).with_context(failed)?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).with_context(failed)?;
        }
        let path = path.canonicalize().with_context(failed)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("lock"))
            .with_context(failed)?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!("{} is in use by another process; stop it, or name another data directory", path.display());
        }
        Ok(Self { path, _lock: lock })
    }

    /// The path of a file in it, absolute.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The directory, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The text of a file; none when there is no such file.
    pub fn read(&self, name: &str) -> anyhow::Result<Option<String>> {
        match fs::read_to_string(self.file(name)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", self.file(name).display())),
        }
    }

    /// Writes a file whole, durably, with mode 0600: readers see the old text or the new one.
    pub fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let (target, draft) = (self.file(name), self.file(&format!(".{name}.new")));
        let written = || -> std::io::Result<()> {
            let mut file =
                OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&draft)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&draft, &target)?;
            File::open(&self.path)?.sync_all()
        };
        written().with_context(|| format!("cannot write {}", target.display()))
    }

    /// Removes a file; it is well when there is none.
    pub fn remove(&self, name: &str) -> anyhow::Result<()> {
        match fs::remove_file(self.file(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.file(name).display()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::DataDir;

    #[test]
    fn second_process_is_refused_and_no_file_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        // The keys of an instance called "dev" are told in a file of that name.
        std::fs::write(folder.path().join("dev.env"), "KEYS=1").unwrap();
        let first = DataDir::open(folder.path()).unwrap();
        assert!(folder.path().join("dev.env").exists());
        let refused = DataDir::open(folder.path()).err().unwrap().to_string();
        assert!(refused.contains("in use by another process"), "{refused}");
        drop(first);
        assert!(DataDir::open(folder.path()).is_ok());
    }

    #[test]
    fn written_file_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let directory = DataDir::open(folder.path()).unwrap();
        directory.write("dev.env", "A=1\n").unwrap();
        let mode = std::fs::metadata(directory.file("dev.env")).unwrap().permissions().mode();
        assert_eq!((mode & 0o777, directory.read("dev.env").unwrap().as_deref()), (0o600, Some("A=1\n")));
        assert_eq!(directory.read("missing").unwrap(), None);
    }
}
