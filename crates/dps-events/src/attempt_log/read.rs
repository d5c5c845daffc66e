//! The asking side: lines about something, newest first. Owns the bounds of an answer; never holds up who writes. A hash
//! may be that of another key, and a line may be damaged, so each line is read and judged before it is given.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dps_model::Timestamp;
use dps_model::limits::{MAX_ATTEMPT_ANSWER, MAX_ATTEMPT_LINE, MAX_ATTEMPTS_EXAMINED, MAX_ATTEMPTS_FOUND};

use super::index::Summary;
use super::key::{self, Key, Subject};
use super::segment::{Closed, Index, Shared};
use super::{LINES, Position, path};

/// Offsets that are looked up together.
const BATCH: usize = 256;
/// Bytes of a line that are read at first.
const FIRST_READ: usize = 4 * 1024;

/// Which lines are wanted.
#[derive(Clone, Debug, Default)]
pub struct Lookup {
    /// About one of these.
    pub any: Vec<Key>,
    /// And about one of each of these.
    pub all: Vec<Vec<Key>>,
    /// Later in the log than this line.
    pub after: Option<Position>,
    /// Earlier in the log than this line.
    pub before: Option<Position>,
    /// Begun at this time or later.
    pub from: Option<Timestamp>,
    /// Begun before this time.
    pub to: Option<Timestamp>,
    /// At most so many, and never more than `limits::MAX_ATTEMPTS_FOUND`.
    pub most: usize,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Where it stands.
    pub position: Position,
    /// JSON, without its end.
    pub line: String,
}

/// Lines, newest first.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// They.
    pub lines: Vec<Kept>,
    /// Lines of the segments looked at that cannot be read: cut short by a crash, or damaged.
    pub unreadable: u64,
    /// What to look before for more, where a bound ended the search.
    pub next: Option<Position>,
}

/// Reads the log while it is written. Cheap to clone.
#[derive(Clone)]
pub struct AttemptReader {
    shared: Arc<Shared>,
}

/// A segment as it was when the question came.
enum Segment {
    Current { number: u64, lines: PathBuf, unreadable: u64 },
    Closed(Arc<Closed>),
}

impl AttemptReader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Finds lines. Reads files: not for a thread that others wait for.
    pub fn find(&self, lookup: &Lookup) -> io::Result<Found> {
        let mut search = Search::new(lookup);
        for segment in self.segments() {
            match search.look(&segment, self) {
                Ok(true) => {}
                Ok(false) => break,
                // The oldest segments go while they are read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(search.found)
    }

    /// Where the next line will stand: everything that can be found is before it.
    pub fn end(&self) -> Position {
        let state = self.shared.state();
        Position { segment: state.number, offset: state.current.summary.length }
    }

    /// Newest first.
    fn segments(&self) -> Vec<Segment> {
        let state = self.shared.state();
        let lines = path(&self.shared.folder, state.number, LINES);
        let unreadable = state.current.summary.unreadable;
        let current = Segment::Current { number: state.number, lines, unreadable };
        let closed = state.closed.values().rev().map(|closed| Segment::Closed(Arc::clone(closed)));
        std::iter::once(current).chain(closed).collect()
    }

    /// Offsets in the segment that was the current one; it may have been closed since.
    fn current(&self, number: u64, hash: u64, range: Range, most: usize) -> io::Result<Vec<u64>> {
        let state = self.shared.state();
        if state.number == number {
            return Ok(state.current.offsets(hash, range.before, range.from, most));
        }
        let closed = state.closed.get(&number).cloned();
        drop(state);
        let Some(closed) = closed else { return Ok(Vec::new()) };
        closed.open()?.1.offsets(hash, range.before, range.from, most)
    }
}

/// Offsets of a segment that are looked at.
#[derive(Clone, Copy)]
struct Range {
    before: u64,
    from: u64,
}

struct Search<'a> {
    lookup: &'a Lookup,
    hashes: Vec<u64>,
    found: Found,
    examined: usize,
    bytes: usize,
}

impl<'a> Search<'a> {
    fn new(lookup: &'a Lookup) -> Self {
        let hashes = lookup.any.iter().map(Key::hash).collect();
        Self { lookup, hashes, found: Found::default(), examined: 0, bytes: 0 }
    }

    /// Looks through a segment; false when the answer is full.
    fn look(&mut self, segment: &Segment, reader: &AttemptReader) -> io::Result<bool> {
        let number = match segment {
            Segment::Current { number, .. } => *number,
            Segment::Closed(closed) => closed.number,
        };
        let Some(mut range) = self.range(number) else { return Ok(true) };
        let (path, index) = match segment {
            Segment::Current { lines, unreadable, .. } => {
                self.found.unreadable += unreadable;
                (lines.as_path(), None)
            }
            Segment::Closed(closed) => {
                let (summary, index) = closed.open()?;
                self.found.unreadable += summary.unreadable;
                if !self.touches(&summary) {
                    return Ok(true);
                }
                (closed.lines.as_path(), Some(index))
            }
        };
        let mut lines = None;
        loop {
            let offsets = self.offsets(number, index.as_ref(), range, reader)?;
            let Some(&last) = offsets.last() else { return Ok(true) };
            for &offset in &offsets {
                if !self.take(Position { segment: number, offset }, open(&mut lines, path)?)? {
                    return Ok(false);
                }
            }
            if offsets.len() < BATCH {
                return Ok(true);
            }
            range.before = last;
        }
    }

    /// The part of a segment that the positions of the lookup leave.
    fn range(&self, number: u64) -> Option<Range> {
        let before = match self.lookup.before {
            Some(before) if before.segment < number => return None,
            Some(before) if before.segment == number => before.offset,
            _ => u64::MAX,
        };
        let from = match self.lookup.after {
            Some(after) if after.segment > number => return None,
            Some(after) if after.segment == number => after.offset.saturating_add(1),
            _ => 0,
        };
        Some(Range { before, from })
    }

    fn touches(&self, summary: &Summary) -> bool {
        let late = self.lookup.from.is_some_and(|from| summary.last < from.millis());
        let early = self.lookup.to.is_some_and(|to| summary.first >= to.millis());
        !late && !early
    }

    /// The newest offsets of a part of a segment.
    fn offsets(
        &self,
        number: u64,
        index: Option<&Index>,
        range: Range,
        reader: &AttemptReader,
    ) -> io::Result<Vec<u64>> {
        let mut offsets = Vec::new();
        for &hash in &self.hashes {
            offsets.extend(match index {
                Some(index) => index.offsets(hash, range.before, range.from, BATCH)?,
                None => reader.current(number, hash, range, BATCH)?,
            });
        }
        offsets.sort_unstable_by(|one, other| other.cmp(one));
        offsets.dedup();
        offsets.truncate(BATCH);
        Ok(offsets)
    }

    /// Judges a line, and keeps it where it fits; false when the answer is full.
    fn take(&mut self, position: Position, file: &File) -> io::Result<bool> {
        let most = self.lookup.most.min(MAX_ATTEMPTS_FOUND);
        if self.found.lines.len() >= most
            || self.examined >= MAX_ATTEMPTS_EXAMINED
            || self.bytes >= MAX_ATTEMPT_ANSWER
        {
            self.found.next = Some(Position { offset: position.offset + 1, ..position });
            return Ok(false);
        }
        self.examined += 1;
        let line = read_line(file, position.offset)?.unwrap_or_default();
        match key::subject(line.as_bytes()) {
            Some(subject) if self.fits(&subject) => {
                self.bytes += line.len();
                self.found.lines.push(Kept { position, line });
            }
            Some(_) => {}
            None => self.found.unreadable += 1,
        }
        Ok(true)
    }

    fn fits(&self, subject: &Subject) -> bool {
        let Lookup { any, all, from, to, .. } = self.lookup;
        let about = |keys: &Vec<Key>| keys.iter().any(|key| subject.keys.contains(key));
        about(any)
            && all.iter().all(about)
            && from.is_none_or(|from| subject.time >= from)
            && to.is_none_or(|to| subject.time < to)
    }
}

fn open<'a>(file: &'a mut Option<File>, path: &Path) -> io::Result<&'a File> {
    match file {
        Some(file) => Ok(file),
        None => Ok(file.insert(File::open(path)?)),
    }
}

/// The line that begins there; none when it has no end, is too long, or is no text.
fn read_line(file: &File, offset: u64) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    let mut size = FIRST_READ;
    while bytes.len() as u64 <= MAX_ATTEMPT_LINE {
        let read = bytes.len();
        bytes.resize(read + size, 0);
        let part = bytes.get_mut(read..).unwrap_or_default();
        let count = file.read_at(part, offset.saturating_add(read as u64))?;
        bytes.truncate(read + count);
        let end = bytes.iter().skip(read).position(|byte| *byte == b'\n');
        if let Some(end) = end {
            bytes.truncate(read + end);
            return Ok(String::from_utf8(bytes).ok());
        }
        if count == 0 {
            return Ok(None);
        }
        size = size.saturating_mul(4);
    }
    Ok(None)
}
