//! Events on disk: one JSON line each, in segments of bounded size and age, the oldest removed, each with an index of
//! what its lines are about. Owns the files; must not know who asks. Loss of the last lines in a crash is accepted: a
//! registration never waits for its log.
//!
//! ```text
//! attempts-<16 digits>.jsonl   the lines; the highest number is being written
//! attempts-<16 digits>.index   hash of key -> offsets, sorted; written when the segment is closed, and anew when it is
//!                              missing or damaged
//! ```

mod index;
mod key;
mod read;
mod segment;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use dps_model::limits::{MAX_ATTEMPT_AGE, MAX_ATTEMPT_SEGMENT, MAX_ATTEMPT_SEGMENTS};

pub use key::Key;
pub use read::{AttemptReader, Found, Kept, Lookup};
pub use write::{AttemptLog, Lost};

/// How much of the log is kept.
#[derive(Clone, Copy, Debug)]
pub struct Segments {
    /// Bytes after which a new one is begun.
    pub size: u64,
    /// How many there are at most.
    pub count: usize,
    /// Seconds after which one whose lines are all older is removed.
    pub age: u64,
}

impl Default for Segments {
    fn default() -> Self {
        Self { size: MAX_ATTEMPT_SEGMENT, count: MAX_ATTEMPT_SEGMENTS, age: MAX_ATTEMPT_AGE }
    }
}

/// Where a line stands. Later lines have greater ones, also across restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Number of the segment.
    pub segment: u64,
    /// Offset of the line's first byte.
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{:x}", self.segment, self.offset)
    }
}

/// The text is not a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAPosition;

impl FromStr for Position {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            plain.then(|| u64::from_str_radix(digits, 16).ok()).flatten().ok_or(NotAPosition)
        };
        let (segment, offset) = text.split_once('.').ok_or(NotAPosition)?;
        Ok(Self { segment: number(segment)?, offset: number(offset)? })
    }
}

const LINES: &str = "jsonl";
const INDEX: &str = "index";

fn path(folder: &Path, number: u64, kind: &str) -> PathBuf {
    folder.join(format!("attempts-{number:016}.{kind}"))
}

/// Numbers of the files of that kind, ascending.
fn numbers(folder: &Path, kind: &str) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix("attempts-")?.strip_suffix(kind)?.strip_suffix('.'))
            .and_then(|digits| digits.parse::<u64>().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Removes a file; no error if it is not there.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
