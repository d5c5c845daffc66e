//! The writing side: lines are gathered, handed to the operating system together, and can be found from then on. Owns the
//! segment that is written and the removal of old ones; must not know what lines mean. What a disk does not take is cut
//! off again, so that offsets stay true.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use dps_model::limits::MAX_ATTEMPT_LINE;

use super::index::Growing;
use super::key::{self, Subject};
use super::read::AttemptReader;
use super::segment::{Closed, Shared};
use super::{INDEX, LINES, Segments, numbers, path, remove};
use crate::record::Event;

/// Bytes of lines that are gathered before they are written.
const GATHER: usize = 64 * 1024;
/// Milliseconds between two looks for segments that are too old.
const LOOK: i64 = 60_000;
/// A segment is closed after this part of the age that lines may have, so that it is not kept for much longer.
const AGE_PARTS: u64 = 8;

/// Lines that could not be kept, and why.
#[derive(Debug)]
pub struct Lost {
    /// How many.
    pub lines: u32,
    /// Why.
    pub error: io::Error,
}

/// A file that lines are appended to; a seam, so that a test can fill the disk.
pub(super) trait LineFile: Send {
    /// Appends all of it.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Cuts it to that length.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

impl LineFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

/// A line that waits to be written.
struct Waiting {
    length: usize,
    subject: Option<Subject>,
}

/// The log of attempts.
pub struct AttemptLog {
    shared: Arc<Shared>,
    number: u64,
    pub(super) file: Box<dyn LineFile>,
    /// Length of the file.
    written: u64,
    /// The file may end with half a line.
    torn: bool,
    bytes: Vec<u8>,
    waiting: Vec<Waiting>,
    segments: Segments,
    /// Time of the latest event, and of the last look for old segments, in milliseconds.
    now: i64,
    looked: i64,
}

impl AttemptLog {
    /// Opens the folder (created when missing) and begins or continues its last segment.
    pub fn open(folder: &Path) -> io::Result<Self> {
        Self::bounded(folder, Segments::default())
    }

    /// The same within other bounds.
    pub fn bounded(folder: &Path, segments: Segments) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut found = numbers(folder, LINES)?;
        for orphan in numbers(folder, INDEX)?.into_iter().filter(|number| !found.contains(number)) {
            remove(&path(folder, orphan, INDEX))?;
        }
        let number = found.pop().unwrap_or(0);
        let file = open_segment(folder, number)?;
        // It grows from here, so what an index says of it would be wrong.
        remove(&path(folder, number, INDEX))?;
        let current = Growing::scan(&path(folder, number, LINES))?;
        let written = current.summary.length;
        let shared = Arc::new(Shared::new(folder, &found, number, current));
        let log = Self {
            shared,
            number,
            file: Box::new(file),
            written,
            torn: false,
            bytes: Vec::new(),
            waiting: Vec::new(),
            segments,
            now: i64::MIN,
            looked: i64::MIN,
        };
        log.remove_surplus()?;
        Ok(log)
    }

    /// Who asks for lines; knows those that were flushed.
    pub fn reader(&self) -> AttemptReader {
        AttemptReader::new(Arc::clone(&self.shared))
    }

    /// Appends the event's line, where it has one.
    pub fn append(&mut self, event: &Event) -> Result<(), Lost> {
        if !event.is_kept() {
            return Ok(());
        }
        let one = |error| Lost { lines: 1, error };
        let before = self.bytes.len();
        serde_json::to_writer(&mut self.bytes, &event.line()).map_err(|error| one(error.into()))?;
        self.bytes.push(b'\n');
        let length = self.bytes.len() - before;
        if length as u64 > MAX_ATTEMPT_LINE {
            self.bytes.truncate(before);
            return Err(one(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "the event is too large for a line",
            )));
        }
        let subject = self.bytes.get(before..).and_then(key::subject);
        self.now = self.now.max(subject.as_ref().map_or(i64::MIN, |subject| subject.time.millis()));
        self.waiting.push(Waiting { length, subject });
        let full = self.written + self.bytes.len() as u64 > self.segments.size.min(u64::from(u32::MAX));
        if full && self.written + before as u64 > 0 {
            return self.roll();
        }
        if self.bytes.len() >= GATHER { self.flush() } else { Ok(()) }
    }

    /// Hands what is gathered to the operating system; readers find it then.
    pub fn flush(&mut self) -> Result<(), Lost> {
        let count = self.waiting.len();
        self.write(count)?;
        if self.now >= self.looked.saturating_add(LOOK) {
            self.looked = self.now;
            self.retire().map_err(|error| Lost { lines: 0, error })?;
        }
        Ok(())
    }

    /// Writes so many of the lines that wait, or loses them.
    fn write(&mut self, count: usize) -> Result<(), Lost> {
        let lines: Vec<_> = self.waiting.drain(..count).collect();
        let length = lines.iter().map(|line| line.length).sum();
        let rest = self.bytes.split_off(length);
        let bytes = std::mem::replace(&mut self.bytes, rest);
        if bytes.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.mend().and_then(|()| self.file.append(&bytes)) {
            // Half of it may be there; offsets must go on from a known end.
            self.torn = self.file.cut(self.written).is_err();
            return Err(Lost { lines: u32::try_from(lines.len()).unwrap_or(u32::MAX), error });
        }
        let mut state = self.shared.state();
        for line in lines {
            state.current.line(self.written, line.length as u64, line.subject.as_ref());
            self.written += line.length as u64;
        }
        Ok(())
    }

    fn mend(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.cut(self.written)?;
            self.torn = false;
        }
        Ok(())
    }

    /// Closes the segment before the line that came last, which begins the next one.
    fn roll(&mut self) -> Result<(), Lost> {
        let written = self.write(self.waiting.len().saturating_sub(1));
        let rolled = self.next_segment().map_err(|error| Lost { lines: 0, error });
        written.and(rolled).and_then(|()| self.write(self.waiting.len()))
    }

    fn next_segment(&mut self) -> io::Result<()> {
        let number = self.number + 1;
        self.file = Box::new(open_segment(&self.shared.folder, number)?);
        (self.number, self.written, self.torn) = (number, 0, false);
        // Without an index, the first question makes it.
        let indexed = self.shared.roll(number);
        self.remove_surplus()?;
        indexed
    }

    /// Closes the segment when its first line is old, and removes those whose lines are all too old.
    fn retire(&mut self) -> io::Result<()> {
        let part = self.age().saturating_div(i64::try_from(AGE_PARTS).unwrap_or(1));
        let first = self.shared.state().current.summary.first;
        if self.written > 0 && first < self.now.saturating_sub(part) {
            self.next_segment()?;
        }
        self.remove_surplus()
    }

    /// Milliseconds that lines are kept.
    fn age(&self) -> i64 {
        i64::try_from(self.segments.age.saturating_mul(1_000)).unwrap_or(i64::MAX)
    }

    fn remove_surplus(&self) -> io::Result<()> {
        let oldest = self.now.saturating_sub(self.age());
        while let Some(closed) = self.shared.take_surplus(self.segments.count, oldest) {
            Closed::remove(&closed)?;
        }
        Ok(())
    }
}

/// Opens a segment for appending. A line cut short by a crash is ended, so that the next one stands alone.
fn open_segment(folder: &Path, number: u64) -> io::Result<File> {
    let path = path(folder, number, LINES);
    let cut_short = ends_within_a_line(&path)?;
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
    if cut_short {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

fn ends_within_a_line(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::FileExt as _;
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    let Some(last) = file.metadata()?.len().checked_sub(1) else { return Ok(false) };
    let mut byte = [0];
    file.read_exact_at(&mut byte, last)?;
    Ok(byte != *b"\n")
}
