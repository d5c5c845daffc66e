//! The index of a closed segment: a sorted file of hashes and offsets, with what it must be checked by. Owns its bytes;
//! must not know what is asked. Damage is found by a checksum, and answered by making the index anew.

use std::collections::HashMap;
use std::fs::{self, File};
use std::hash::Hasher as _;
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use dps_model::limits::MAX_ATTEMPT_LINE;
use twox_hash::XxHash64;

use super::key::{self, Subject};

const MAGIC: u64 = u64::from_le_bytes(*b"attempt1");
/// Eight fields of eight bytes: magic, length of the lines, entries, lines, unreadable ones, first and last time, checksum.
const HEADER: usize = 64;
/// A hash and an offset.
const ENTRY: usize = 12;

/// Where a line about a key begins. Sorted by both.
type Entry = (u64, u32);

/// What is known of a segment's lines as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    /// Bytes of lines that it covers.
    pub(super) length: u64,
    /// Lines that can be found.
    pub(super) lines: u64,
    /// Lines that are no event: cut short by a crash, or damaged.
    pub(super) unreadable: u64,
    /// Milliseconds of the earliest and the latest begin of a line's unit of work.
    pub(super) first: i64,
    pub(super) last: i64,
}

impl Summary {
    fn empty() -> Self {
        Self { first: i64::MAX, last: i64::MIN, ..Self::default() }
    }
}

/// An index that is being made: of the segment that is written, or of one whose index is damaged.
pub(super) struct Growing {
    pub(super) summary: Summary,
    /// The last link of each chain.
    heads: HashMap<u64, u32>,
    /// The link before it, and the offset; a chain begins with a link that names itself.
    links: Vec<(u32, u32)>,
}

impl Growing {
    pub(super) fn new() -> Self {
        Self { summary: Summary::empty(), heads: HashMap::new(), links: Vec::new() }
    }

    /// Takes a line that ends at the end of what is covered then.
    pub(super) fn line(&mut self, offset: u64, length: u64, subject: Option<&Subject>) {
        self.summary.length = offset + length;
        let (Some(subject), Ok(offset)) = (subject, u32::try_from(offset)) else {
            self.summary.unreadable += 1;
            return;
        };
        self.summary.lines += 1;
        self.summary.first = self.summary.first.min(subject.time.millis());
        self.summary.last = self.summary.last.max(subject.time.millis());
        for hash in subject.keys.iter().map(key::Key::hash) {
            let Ok(link) = u32::try_from(self.links.len()) else { return };
            let before = self.heads.insert(hash, link).unwrap_or(link);
            self.links.push((before, offset));
        }
    }

    /// Reads a segment from its beginning.
    pub(super) fn scan(path: &Path) -> io::Result<Self> {
        let mut growing = Self::new();
        let mut lines = BufReader::with_capacity(1 << 16, File::open(path)?);
        let mut line = Vec::new();
        let mut offset = 0;
        loop {
            line.clear();
            let read = (&mut lines).take(MAX_ATTEMPT_LINE).read_until(b'\n', &mut line)? as u64;
            if read == 0 {
                return Ok(growing);
            }
            let whole = line.last() == Some(&b'\n');
            let rest = if whole { 0 } else { skip_line(&mut lines)? };
            let subject = if whole { key::subject(&line) } else { None };
            growing.line(offset, read + rest, subject.as_ref());
            offset += read + rest;
        }
    }

    /// Offsets of lines about that hash, newest first: those before one and not before another, at most so many.
    pub(super) fn offsets(&self, hash: u64, before: u64, from: u64, most: usize) -> Vec<u64> {
        let mut offsets = Vec::new();
        let mut at = self.heads.get(&hash).copied();
        while let Some((link, &(previous, offset))) =
            at.and_then(|link| Some((link, self.links.get(link as usize)?)))
        {
            let offset = u64::from(offset);
            if offset < from || offsets.len() == most {
                break;
            }
            if offset < before {
                offsets.push(offset);
            }
            at = (previous != link).then_some(previous);
        }
        offsets
    }

    fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::with_capacity(self.links.len());
        for (&hash, &head) in &self.heads {
            let mut at = Some(head);
            while let Some((link, &(previous, offset))) =
                at.and_then(|link| Some((link, self.links.get(link as usize)?)))
            {
                entries.push((hash, offset));
                at = (previous != link).then_some(previous);
            }
        }
        entries.sort_unstable();
        entries
    }

    /// Puts the file in place: there is none, or a whole one.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let temporary = path.with_extension("index.tmp");
        let written = self.write_to(&temporary).and_then(|()| fs::rename(&temporary, path));
        if written.is_err() {
            // What is left of it takes room that may be what is short.
            let _ = super::remove(&temporary);
        }
        written
    }

    fn write_to(&self, path: &Path) -> io::Result<()> {
        let entries = self.entries();
        let mut bytes = Vec::with_capacity(HEADER + entries.len() * ENTRY);
        let Summary { length, lines, unreadable, first, last } = self.summary;
        let (first, last) = (u64::from_le_bytes(first.to_le_bytes()), u64::from_le_bytes(last.to_le_bytes()));
        for field in [MAGIC, length, entries.len() as u64, lines, unreadable, first, last, 0] {
            bytes.extend(field.to_le_bytes());
        }
        for (hash, offset) in entries {
            bytes.extend(hash.to_le_bytes());
            bytes.extend(offset.to_le_bytes());
        }
        let checksum = XxHash64::oneshot(0, &bytes).to_le_bytes();
        if let Some(field) = bytes.get_mut(HEADER - 8..HEADER) {
            field.copy_from_slice(&checksum);
        }
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600).open(path)?.write_all(&bytes)
    }
}

/// Passes over what is left of a line that is too long; its length.
fn skip_line(lines: &mut impl BufRead) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let held = lines.fill_buf()?;
        let end = held.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let count = end.unwrap_or(held.len());
        lines.consume(count);
        skipped += count as u64;
        if end.is_some() || count == 0 {
            return Ok(skipped);
        }
    }
}

/// An index file that was found to be whole.
pub(super) struct Written {
    file: File,
    entries: u64,
}

impl Written {
    /// Opens it without looking at all of it, which was done before.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let entries = file.metadata()?.len().saturating_sub(HEADER as u64) / ENTRY as u64;
        Ok(Self { file, entries })
    }

    /// Reads all of it, and compares it with its checksum and with the length of its lines.
    pub(super) fn check(path: &Path, length: u64) -> io::Result<Option<Summary>> {
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut header = [0; HEADER];
        if file.read_exact(&mut header).is_err() {
            return Ok(None);
        }
        let Some((fields, summary)) = read_header(&header) else { return Ok(None) };
        let size = file.metadata()?.len();
        let expected = fields.entries.saturating_mul(ENTRY as u64).saturating_add(HEADER as u64);
        if summary.length != length || size != expected {
            return Ok(None);
        }
        if let Some(field) = header.get_mut(HEADER - 8..) {
            field.fill(0);
        }
        let mut hasher = XxHash64::with_seed(0);
        hasher.write(&header);
        let mut chunk = vec![0; 1 << 16];
        loop {
            let count = file.read(&mut chunk)?;
            let Some(read) = chunk.get(..count).filter(|read| !read.is_empty()) else { break };
            hasher.write(read);
        }
        Ok((hasher.finish() == fields.checksum).then_some(summary))
    }

    /// The time of its latest line, as its header says it; not checked.
    pub(super) fn last_time(path: &Path) -> Option<i64> {
        let mut header = [0; HEADER];
        File::open(path).ok()?.read_exact(&mut header).ok()?;
        read_header(&header).map(|(_, summary)| summary.last)
    }

    /// As [`Growing::offsets`].
    pub(super) fn offsets(&self, hash: u64, before: u64, from: u64, most: usize) -> io::Result<Vec<u64>> {
        let mut end = self.lower_bound(hash, before)?;
        let mut offsets = Vec::new();
        while end > 0 && offsets.len() < most {
            end -= 1;
            let (found, offset) = self.entry(end)?;
            let offset = u64::from(offset);
            if found != hash || offset < from {
                break;
            }
            offsets.push(offset);
        }
        Ok(offsets)
    }

    /// The first entry that is not less.
    fn lower_bound(&self, hash: u64, offset: u64) -> io::Result<u64> {
        let (mut low, mut high) = (0, self.entries);
        while low < high {
            let middle = low + (high - low) / 2;
            let (found, at) = self.entry(middle)?;
            if (found, u64::from(at)) < (hash, offset) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    fn entry(&self, number: u64) -> io::Result<Entry> {
        let mut bytes = [0; ENTRY];
        self.file.read_exact_at(&mut bytes, HEADER as u64 + number * ENTRY as u64)?;
        let [hash @ .., a, b, c, d] = bytes;
        Ok((u64::from_le_bytes(hash), u32::from_le_bytes([a, b, c, d])))
    }
}

struct Fields {
    entries: u64,
    checksum: u64,
}

fn read_header(header: &[u8; HEADER]) -> Option<(Fields, Summary)> {
    let mut fields = [0; HEADER / 8];
    for (field, bytes) in fields.iter_mut().zip(header.chunks_exact(8)) {
        *field = u64::from_le_bytes(bytes.try_into().ok()?);
    }
    let [magic, length, entries, lines, unreadable, first, last, checksum] = fields;
    let (first, last) = (i64::from_le_bytes(first.to_le_bytes()), i64::from_le_bytes(last.to_le_bytes()));
    let summary = Summary { length, lines, unreadable, first, last };
    (magic == MAGIC).then_some((Fields { entries, checksum }, summary))
}
