//! The assignment on disk, so that a device need not provision at every start. Owns the file's form and its atomic
//! replacement; holds no key. What cannot be read is as good as absent: a cache never keeps a device from its hub.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use dps_model::{IdScope, RegistrationId};
use serde::{Deserialize, Serialize};

use crate::assignment::Assignment;
use crate::limits::MAX_CACHE_FILE;

/// The form of the file. One of another version is not read.
const VERSION: u32 = 1;

/// Where an assignment is kept over restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssignmentCache(Option<PathBuf>);

/// What stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    version: u32,
    /// Whose it is: the file of another device, or of another service, is not this device's.
    id_scope: String,
    registration_id: String,
    assignment: Assignment,
}

/// Whose assignment.
#[derive(Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) id_scope: &'a IdScope,
    pub(crate) registration_id: &'a RegistrationId,
}

impl AssignmentCache {
    /// Kept in this file, readable by its owner alone. The folder must exist.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Some(path.into()))
    }

    /// Kept nowhere: the device provisions at every start.
    pub fn none() -> Self {
        Self(None)
    }

    /// The assignment, if there is one. An error says why the file is not used.
    pub(crate) async fn read(&self, owner: Owner<'_>) -> Result<Option<Assignment>, String> {
        let Some(path) = self.0.clone() else { return Ok(None) };
        let read = tokio::task::spawn_blocking(move || load(&path)).await;
        let bytes = match read.unwrap_or_else(|_| Err(io::Error::other("reading stopped half way"))) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        parse(&bytes, owner).map(Some)
    }

    /// Replaces the assignment: at any moment the file is the old one or the new one, whole.
    pub(crate) async fn write(&self, owner: Owner<'_>, assignment: &Assignment) -> Result<(), String> {
        let Some(path) = self.0.clone() else { return Ok(()) };
        let record = Record {
            version: VERSION,
            id_scope: owner.id_scope.as_str().to_owned(),
            registration_id: owner.registration_id.as_str().to_owned(),
            assignment: assignment.clone(),
        };
        let mut text = serde_json::to_vec_pretty(&record).map_err(|error| error.to_string())?;
        text.push(b'\n');
        let written = tokio::task::spawn_blocking(move || replace(&path, &text)).await;
        written
            .unwrap_or_else(|_| Err(io::Error::other("writing stopped half way")))
            .map_err(|error| error.to_string())
    }
}

fn parse(bytes: &[u8], owner: Owner<'_>) -> Result<Assignment, String> {
    let record: Record = serde_json::from_slice(bytes)
        .map_err(|error| format!("it is damaged at line {}, column {}", error.line(), error.column()))?;
    if record.version != VERSION {
        return Err(format!("its version is {}, and {VERSION} is read", record.version));
    }
    let same = record.id_scope.eq_ignore_ascii_case(owner.id_scope.as_str())
        && record.registration_id == owner.registration_id.as_str();
    if !same {
        return Err("it belongs to another device or another provisioning service".into());
    }
    // The names are checked as if they came from the network.
    let Assignment { assigned_hub, device_id, .. } = &record.assignment;
    Assignment::new(assigned_hub, device_id).map_err(|error| error.to_string())?;
    Ok(record.assignment)
}

fn load(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_CACHE_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_CACHE_FILE {
        return Err(io::Error::other(format!("it has more than {MAX_CACHE_FILE} bytes")));
    }
    Ok(bytes)
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Made with mode 0600, under a name of its own, and gone when anything below fails.
    let mut file = tempfile::Builder::new().prefix(".assignment-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_folder(folder)
}

/// The rename itself lasts only when the folder is on disk.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::metadata(folder).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> (IdScope, RegistrationId) {
        (IdScope::parse("0ne1").unwrap(), RegistrationId::parse("device-1").unwrap())
    }

    async fn kept(text: &str) -> Result<Option<Assignment>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("assignment.json");
        fs::write(&path, text).unwrap();
        let (scope, id) = ids();
        AssignmentCache::file(path).read(Owner { id_scope: &scope, registration_id: &id }).await
    }

    #[tokio::test]
    async fn cache_written_reads_back_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("assignment.json");
        let cache = AssignmentCache::file(&path);
        let (scope, id) = ids();
        let owner = Owner { id_scope: &scope, registration_id: &id };
        assert_eq!(cache.read(owner).await, Ok(None));
        for hub in ["hub-1.example", "hub-2.example"] {
            let assignment = Assignment::new(hub, "device-1").unwrap();
            cache.write(owner, &assignment).await.unwrap();
            assert_eq!(cache.read(owner).await, Ok(Some(assignment)));
        }
        let names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["assignment.json"], "nothing else stays behind");

        let other = RegistrationId::parse("device-2").unwrap();
        let error = cache.read(Owner { registration_id: &other, ..owner }).await.unwrap_err();
        assert!(error.contains("another device"), "{error}");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn cache_is_readable_by_its_owner_alone_whatever_was_there() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("assignment.json");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        let (scope, id) = ids();
        let owner = Owner { id_scope: &scope, registration_id: &id };
        let assignment = Assignment::new("hub.example", "device-1").unwrap();
        AssignmentCache::file(&path).write(owner, &assignment).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn cache_damaged_in_any_way_is_not_used_and_says_why() {
        let good = r#"{"version":1,"idScope":"0ne1","registrationId":"device-1",
            "assignment":{"assignedHub":"hub.example","deviceId":"device-1"}}"#;
        assert!(kept(good).await.unwrap().is_some());
        for length in 0..good.len() {
            kept(&good[..length]).await.unwrap_err();
        }
        for (from, to, word) in [
            ("\"version\":1", "\"version\":2", "version is 2"),
            ("hub.example", "https://elsewhere/", "hub"),
            ("0ne1", "0ne2", "another"),
            ("{", "\\u0000{", "damaged"),
        ] {
            let error = kept(&good.replacen(from, to, 1)).await.unwrap_err();
            assert!(error.contains(word), "{error}");
        }
        let huge = format!("{}{good}", " ".repeat(usize::try_from(MAX_CACHE_FILE).unwrap()));
        assert!(kept(&huge).await.unwrap_err().contains("more than"));
    }

    /// Writes without end, for the test below.
    #[tokio::test]
    #[ignore = "it ends when it is killed"]
    async fn writer_without_end() {
        let mut path = String::new();
        io::stdin().read_line(&mut path).unwrap();
        let cache = AssignmentCache::file(path.trim());
        let (scope, id) = ids();
        let owner = Owner { id_scope: &scope, registration_id: &id };
        // The longer text begins where the shorter one is.
        for hub in ["hub.example", "hub-with-a-longer-name.example"].iter().cycle() {
            cache.write(owner, &Assignment::new(hub, "device-1").unwrap()).await.unwrap();
            writeln!(io::stdout(), "written").unwrap();
        }
    }

    #[tokio::test]
    async fn cache_whose_writer_is_killed_at_any_moment_is_whole() {
        use std::io::BufRead as _;
        use std::process::{Command, Stdio};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("assignment.json");
        let (scope, id) = ids();
        let owner = Owner { id_scope: &scope, registration_id: &id };
        for writes in 1..=25 {
            let mut writer = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "cache::tests::writer_without_end", "--ignored", "--nocapture"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            writeln!(writer.stdin.take().unwrap(), "{}", path.display()).unwrap();
            let lines = io::BufReader::new(writer.stdout.take().unwrap()).lines();
            let written = lines.map_while(Result::ok).filter(|line| line.ends_with("written"));
            assert_eq!(written.take(writes).count(), writes);
            writer.kill().unwrap();
            writer.wait().unwrap();
            let kept = AssignmentCache::file(&path).read(owner).await.unwrap().unwrap();
            assert!(kept.assigned_hub.ends_with(".example"), "{}", kept.assigned_hub);
        }
        // What a kill left beside it is in nobody's way.
        let assignment = Assignment::new("hub.example", "device-1").unwrap();
        AssignmentCache::file(&path).write(owner, &assignment).await.unwrap();
        assert_eq!(AssignmentCache::file(&path).read(owner).await, Ok(Some(assignment)));
    }

    #[tokio::test]
    async fn cache_that_cannot_be_written_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let (scope, id) = ids();
        let owner = Owner { id_scope: &scope, registration_id: &id };
        let assignment = Assignment::new("hub.example", "device-1").unwrap();
        let absent = AssignmentCache::file(folder.path().join("no-such-folder/assignment.json"));
        absent.write(owner, &assignment).await.unwrap_err();
        AssignmentCache::file(folder.path()).write(owner, &assignment).await.unwrap_err();
        AssignmentCache::file(folder.path()).read(owner).await.unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
