//! Files of settings that are refused, each with the very lines that it is refused with: `bad/NAME.toml` beside
//! `bad/NAME.txt`. `MUSTER_UPDATE_GOLDEN=1` writes the second; read what it wrote.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use super::fixture::Authority;
use crate::harness::server::BINARY;

#[test]
fn bad_settings_are_refused_with_every_mistake_and_its_place() {
    let cases = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/serve/bad");
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = Authority::new().issue();
    let (_, other_key) = Authority::new().issue();
    for (name, text) in [("chain.pem", &chain), ("key.pem", &key), ("other-key.pem", &other_key)] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(&cases).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    names.sort();
    assert!(names.len() >= 8, "{names:?}");
    for case in names {
        let name = case.file_name().unwrap();
        std::fs::copy(&case, folder.path().join(name)).unwrap();
        let refused = Command::new(BINARY)
            .args(["config", "check"])
            .arg(name)
            .current_dir(folder.path())
            .env_remove("CREDENTIALS_DIRECTORY")
            .output()
            .unwrap();
        assert_eq!(refused.status.code(), Some(1), "{}", case.display());
        let said = String::from_utf8(refused.stderr).unwrap();
        let said = said.replace(&folder.path().canonicalize().unwrap().display().to_string(), "FOLDER");
        let said = said.replace(&folder.path().display().to_string(), "FOLDER");
        let golden = case.with_extension("txt");
        if std::env::var_os("MUSTER_UPDATE_GOLDEN").is_some_and(|value| value == "1") {
            std::fs::write(&golden, &said).unwrap();
        }
        let kept = std::fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(said, kept, "{}", case.display());
        // A server is started by none of them.
        let served = Command::new(BINARY)
            .args(["serve", "--config"])
            .arg(name)
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert_eq!(served.status.code(), Some(1), "{}", case.display());
        assert!(!folder.path().join("data").exists(), "nothing is touched before all is checked");
    }
}
