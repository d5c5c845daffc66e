//! The segments as writer and readers share them. Owns which there are; a lock is held for moments, never while lines are
//! read or written.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::index::{Growing, Summary, Written};
use super::{INDEX, LINES, path};

/// A segment that no line is added to.
pub(super) struct Closed {
    pub(super) number: u64,
    pub(super) lines: PathBuf,
    pub(super) index: PathBuf,
    /// Of an index that was found whole, or was written by this process.
    checked: Mutex<Option<Summary>>,
}

/// What finds lines.
pub(super) enum Index {
    Written(Written),
    /// It could not be written, so it is made for each question.
    Scanned(Growing),
}

impl Index {
    pub(super) fn offsets(&self, hash: u64, before: u64, from: u64, most: usize) -> io::Result<Vec<u64>> {
        match self {
            Self::Written(index) => index.offsets(hash, before, from, most),
            Self::Scanned(index) => Ok(index.offsets(hash, before, from, most)),
        }
    }
}

impl Closed {
    pub(super) fn new(folder: &Path, number: u64) -> Self {
        Self {
            number,
            lines: path(folder, number, LINES),
            index: path(folder, number, INDEX),
            checked: Mutex::new(None),
        }
    }

    /// Its index, made anew when it is missing or damaged. Questions about the same segment wait for that.
    pub(super) fn open(&self) -> io::Result<(Summary, Index)> {
        let mut checked = lock(&self.checked);
        if let Some(summary) = *checked {
            match Written::open(&self.index) {
                Ok(index) => return Ok((summary, Index::Written(index))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let length = fs::metadata(&self.lines)?.len();
        if let Some(summary) = Written::check(&self.index, length)? {
            *checked = Some(summary);
            return Ok((summary, Index::Written(Written::open(&self.index)?)));
        }
        let growing = Growing::scan(&self.lines)?;
        let summary = growing.summary;
        if growing.write(&self.index).is_err() {
            return Ok((summary, Index::Scanned(growing)));
        }
        *checked = Some(summary);
        Ok((summary, Index::Written(Written::open(&self.index)?)))
    }

    /// The time of its latest line, in milliseconds, where that is known without reading it all.
    pub(super) fn last_time(&self) -> Option<i64> {
        let known = *lock(&self.checked);
        known.map_or_else(|| Written::last_time(&self.index), |summary| Some(summary.last))
    }

    /// Writes the index of what was the current segment. Who asks meanwhile waits for it.
    fn finish(&self, index: &Growing, mut checked: MutexGuard<'_, Option<Summary>>) -> io::Result<()> {
        index.write(&self.index)?;
        *checked = Some(index.summary);
        Ok(())
    }

    pub(super) fn remove(&self) -> io::Result<()> {
        super::remove(&self.lines)?;
        super::remove(&self.index)
    }
}

/// All segments.
pub(super) struct Shared {
    pub(super) folder: PathBuf,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) closed: BTreeMap<u64, Arc<Closed>>,
    /// Number of the segment that is written.
    pub(super) number: u64,
    /// Its index; covers what was handed to the operating system.
    pub(super) current: Growing,
}

impl Shared {
    pub(super) fn new(folder: &Path, closed: &[u64], number: u64, current: Growing) -> Self {
        let closed = closed.iter().map(|&number| (number, Arc::new(Closed::new(folder, number)))).collect();
        Self { folder: folder.to_owned(), state: Mutex::new(State { closed, number, current }) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Lines go to another segment from now on; the former one's index is written.
    pub(super) fn roll(&self, number: u64) -> io::Result<()> {
        let mut state = self.state();
        let closed = Arc::new(Closed::new(&self.folder, state.number));
        let checked = lock(&closed.checked);
        let index = std::mem::replace(&mut state.current, Growing::new());
        state.number = number;
        state.closed.insert(closed.number, Arc::clone(&closed));
        drop(state);
        closed.finish(&index, checked)
    }

    /// Takes the oldest closed segment out, if it is one too many or too old.
    pub(super) fn take_surplus(&self, count: usize, oldest: i64) -> Option<Arc<Closed>> {
        let mut state = self.state();
        let (&number, first) = state.closed.first_key_value()?;
        let surplus = state.closed.len() >= count.max(1);
        if !surplus && first.last_time().is_none_or(|last| last >= oldest) {
            return None;
        }
        state.closed.remove(&number)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
