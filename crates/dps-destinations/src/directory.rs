//! A local directory in the layout of Azure's storage export: containers are folders, blobs are files that grow. Owns
//! that a record which was taken is on disk, whole, and not twice; must not know what a record says.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use dps_monitor::destinations::{Batch, DeliveryError, Destination};

use crate::limits::MAX_TORN_LINE;
use crate::{record, storage_path};

/// A directory on a local disk.
pub struct Directory {
    root: PathBuf,
}

impl Directory {
    /// That directory; it is created when the first batch comes.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }
}

#[async_trait]
impl Destination for Directory {
    async fn deliver(&self, batch: &Batch) -> Result<(), DeliveryError> {
        let texts = record::encode(batch)?;
        let Some(container) = storage_path::container(&batch.records) else { return Ok(()) };
        let folder = self.root.join(container).join(storage_path::folder(batch)?);
        let bytes = record::lines(&texts, usize::MAX).concat();
        let file = folder.join(storage_path::blob(0));
        let written = tokio::task::spawn_blocking(move || append(&folder, &file, &bytes)).await;
        match written {
            Ok(result) => result.map_err(later),
            Err(error) => Err(later(format!("writing broke off: {error}"))),
        }
    }
}

fn later(why: String) -> DeliveryError {
    DeliveryError::Later { why, after: None }
}

/// Appends and waits for the disk. A failure leaves the file as it was, so the batch may come again.
fn append(folder: &Path, path: &Path, bytes: &[u8]) -> Result<(), String> {
    let failed = |what: &str, error: std::io::Error| format!("cannot {what} {}: {error}", path.display());
    create(folder).map_err(|error| failed("make the folder of", error))?;
    let is_new = !path.exists();
    let mut options = OpenOptions::new();
    let mut file = options
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o640)
        .open(path)
        .map_err(|error| failed("open", error))?;
    // Two servers may share the directory; the lock ends with the file.
    file.lock().map_err(|error| failed("lock", error))?;
    let end = mend(&mut file).map_err(|error| failed("read", error))?;
    let written = file.seek(SeekFrom::Start(end)).and_then(|_| file.write_all(bytes));
    if let Err(error) = written.and_then(|()| file.sync_data()) {
        // What cannot be taken back now is mended by the next append at the latest.
        let _ = file.set_len(end).and_then(|()| file.sync_data());
        return Err(failed("append to", error));
    }
    if is_new {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed("keep", error))?;
    }
    Ok(())
}

/// Makes a folder and those above it, each on disk before the next.
fn create(folder: &Path) -> std::io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent();
    if let Some(above) = above.filter(|above| !above.as_os_str().is_empty()) {
        create(above)?;
    }
    match DirBuilder::new().mode(0o750).create(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    above.map_or(Ok(()), |above| File::open(above).and_then(|above| above.sync_all()))
}

/// Where the next line begins: the end, without a line that a crash tore. Such a line was never said to be taken.
fn mend(file: &mut File) -> std::io::Result<u64> {
    const STEP: u64 = 64 << 10;
    let end = file.seek(SeekFrom::End(0))?;
    let mut from = end;
    while from > 0 && end - from < MAX_TORN_LINE {
        let start = from.saturating_sub(STEP);
        file.seek(SeekFrom::Start(start))?;
        let mut piece = Vec::new();
        std::io::Read::by_ref(file).take(from - start).read_to_end(&mut piece)?;
        if let Some(at) = piece.iter().rposition(|byte| *byte == b'\n') {
            let whole = start + at as u64 + 1;
            if whole < end {
                tracing::warn!(bytes = end - whole, "a line that a crash tore was removed");
                file.set_len(whole)?;
            }
            return Ok(whole);
        }
        from = start;
    }
    if from == 0 {
        if end > 0 {
            file.set_len(0)?;
        }
        return Ok(0);
    }
    // No line of ours: whatever it is, it stays, on a line of its own.
    file.seek(SeekFrom::End(0))?;
    file.write_all(b"\n")?;
    Ok(end + 1)
}

#[cfg(test)]
mod tests;
