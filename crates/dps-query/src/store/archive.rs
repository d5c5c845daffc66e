//! Where files of rows are kept: an object store, or a folder that is used as one. Owns how a file comes in whole and
//! durable; must not know what is in it.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use datafusion::object_store::local::LocalFileSystem;
use datafusion::object_store::path::Path;
use datafusion::object_store::{self, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload};
use futures_util::StreamExt;

use super::disk::{self, DAMAGED, Disk};

/// A place of files.
#[derive(Clone)]
pub struct Archive {
    /// It, to read from.
    pub objects: Arc<dyn ObjectStore>,
    /// Its folder if it is one: an object store of the local file system makes nothing durable, so we write ourselves.
    folder: Option<(PathBuf, Arc<dyn Disk>)>,
}

impl Archive {
    /// A folder.
    pub fn folder(root: PathBuf, disk: Arc<dyn Disk>) -> Result<Self, String> {
        disk.create_dir(&root).map_err(|e| format!("{}: {e}", root.display()))?;
        let objects = LocalFileSystem::new_with_prefix(&root).map_err(|e| e.to_string())?;
        Ok(Self { objects: Arc::new(objects), folder: Some((root, disk)) })
    }

    /// An object store: what it has acknowledged is durable.
    pub fn objects(objects: Arc<dyn ObjectStore>) -> Self {
        Self { objects, folder: None }
    }

    /// Puts a file in place, whole and durable.
    pub fn put(&self, location: &Path, bytes: Vec<u8>) -> Result<(), String> {
        let Some((root, disk)) = &self.folder else {
            let put = self.objects.put(location, PutPayload::from(bytes));
            return wait(put).map(drop).map_err(|e| e.to_string());
        };
        let path = root.join(location.as_ref());
        let dir = path.parent().map_or(Ok(()), |dir| disk.create_dir(dir));
        dir.and_then(|()| disk::replace(&**disk, &path, &bytes))
            .map_err(|e| format!("{}: {e}", path.display()))
    }

    /// A whole file, or the end of it.
    pub fn read(&self, location: &Path, range: Option<GetRange>) -> Result<Vec<u8>, object_store::Error> {
        let options = GetOptions { range, ..GetOptions::default() };
        wait(async { self.objects.get_opts(location, options).await?.bytes().await }).map(|b| b.to_vec())
    }

    /// Every file, with its size.
    pub fn list(&self) -> Result<Vec<(Path, u64)>, String> {
        wait(async {
            let mut found = Vec::new();
            let mut list = self.objects.list(None);
            while let Some(meta) = list.next().await {
                let meta = meta.map_err(|e| e.to_string())?;
                found.push((meta.location, meta.size));
            }
            Ok(found)
        })
    }

    /// Removes a file; no error if it is not there.
    pub fn remove(&self, location: &Path) -> Result<(), String> {
        if let Some((root, disk)) = &self.folder {
            let path = root.join(location.as_ref());
            // Durable, so that no crash brings back what nobody remembers.
            let removed = disk.remove(&path).and_then(|()| match path.parent() {
                Some(dir) if dir.is_dir() => disk.sync_dir(dir),
                _ => Ok(()),
            });
            return removed.map_err(|e| format!("{}: {e}", path.display()));
        }
        match wait(self.objects.delete(location)) {
            Err(object_store::Error::NotFound { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Gives a damaged file a name that no reader looks for.
    pub fn set_aside(&self, location: &Path) -> Result<(), String> {
        if let Some((root, disk)) = &self.folder {
            return disk::set_aside(&**disk, &root.join(location.as_ref())).map_err(|e| e.to_string());
        }
        let aside = Path::parse(format!("{location}{DAMAGED}")).map_err(|e| e.to_string())?;
        wait(self.objects.rename(location, &aside)).map_err(|e| e.to_string())
    }
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Archive({})", self.objects)
    }
}

/// Whether it says that a file is not there.
pub fn is_missing(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. })
}

/// Waits for a future on this thread, which may block. Outside a runtime a folder is read in place; inside one (a
/// blocking task), by its blocking threads.
fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}
