//! Where a secret is: in a file, in a credential of systemd, in the environment, or (not advised) in the file of
//! settings itself. Owns reading it and the remarks on how it is kept; must not know what it opens.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use dps_model::{Secret, limits};
use toml::de::DeValue;

use super::environment;
use super::section::Reading;

/// Where a secret is.
pub enum Source {
    /// `{ file = "path" }`
    File(String),
    /// `{ credential = "name" }`: systemd's `LoadCredential=`.
    Credential(String),
    /// `{ env = "NAME" }`
    Variable(String),
    /// `{ value = "…" }`
    Inline(Secret),
}

impl Source {
    /// From a table of one key.
    pub fn read(value: &DeValue<'_>) -> Option<Self> {
        let table = value.as_table().filter(|table| table.len() == 1)?;
        let (key, value) = table.iter().next()?;
        let text = value.get_ref().as_str().filter(|text| !text.is_empty())?.to_owned();
        match &**key.get_ref() {
            "file" => Some(Self::File(text)),
            "credential" => Some(Self::Credential(text)),
            "env" => Some(Self::Variable(text)),
            "value" => Some(Self::Inline(Secret::from(text))),
            _ => None,
        }
    }

    /// The secret; the error is one clause, and holds nothing of it.
    pub fn take(self, reading: &Reading<'_>, at: usize) -> Result<Secret, String> {
        match self {
            Self::File(path) => file(reading, &reading.folder.join(path), at),
            Self::Credential(name) => {
                let path = environment::credential(reading.variable, &name).ok_or_else(|| {
                    format!("there are no credentials: start it by systemd with LoadCredential={name}:…")
                })?;
                file(reading, &path, at)
            }
            Self::Variable(name) => {
                let text = (reading.variable)(&name).filter(|text| !text.is_empty());
                text.map(Secret::from).ok_or_else(|| format!("the environment has no {name}"))
            }
            Self::Inline(secret) => {
                reading
                    .doubtful(at, "a secret stands in the file of settings; { file = \"…\" } keeps it apart");
                Ok(secret)
            }
        }
    }
}

/// Is the secret somewhere else than in the file of settings, so that the file can be shown?
pub fn is_elsewhere(value: &DeValue<'_>) -> bool {
    !matches!(Source::read(value), None | Some(Source::Inline(_)))
}

/// The text of a file without the line end that editors add.
fn file(reading: &Reading<'_>, path: &Path, at: usize) -> Result<Secret, String> {
    let mut bytes = bounded(path)?;
    while matches!(bytes.last(), Some(b'\n' | b'\r' | b' ')) {
        bytes.pop();
    }
    if bytes.is_empty() {
        return Err(format!("{} is empty", path.display()));
    }
    if let Some(doubt) = kept_badly(path) {
        reading.doubtful(at, doubt);
    }
    Ok(Secret::new(bytes))
}

/// A small file, whole.
pub fn bounded(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let mut bytes = Vec::new();
    let limit = limits::MAX_CONFIG_FILE;
    std::fs::File::open(path).map_err(failed)?.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(format!("{} is larger than {limit} bytes", path.display()));
    }
    Ok(bytes)
}

/// Says who else may read a file that holds a secret.
pub fn kept_badly(path: &Path) -> Option<String> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    // A group that reads is how services share a key (Debian: ssl-cert); one that writes is not.
    let who = match (mode & 0o007 != 0, mode & 0o020 != 0) {
        (true, _) => "everybody on this machine may use",
        (false, true) => "its whole group may write",
        (false, false) => return None,
    };
    Some(format!("{who} {} (mode {:o}); chmod it to 0600 or 0640", path.display(), mode & 0o777))
}

/// The known name that was probably meant.
pub fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let lower = name.to_ascii_lowercase().replace('-', "_");
    let scored = known.map(|candidate| (strsim::damerau_levenshtein(&lower, candidate), candidate));
    let (distance, candidate) = scored.min_by_key(|(distance, _)| *distance)?;
    // A third of the letters wrong is another word.
    (distance * 3 <= candidate.len().max(3)).then_some(candidate)
}
