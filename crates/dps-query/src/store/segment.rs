//! Write-ahead segments: files of frames, one folder of them, numbered. Owns what is on disk before rows are
//! acknowledged; must not know tables beyond their encoding.

use std::io;
use std::path::{Path, PathBuf};

use dps_monitor::Row;

use super::disk::{Disk, DiskFile};
use super::{frame, record};

const END: &str = ".wal";

/// A segment being written.
#[derive(Debug)]
pub struct Segment {
    /// Its number.
    pub number: u64,
    /// Bytes that are durable.
    pub length: u64,
    file: Box<dyn DiskFile>,
    /// Bytes beyond `length` may be in the file, of which nobody was told.
    torn: bool,
}

impl Segment {
    /// Begins one.
    pub fn create(disk: &dyn Disk, dir: &Path, number: u64) -> io::Result<Self> {
        let mut file = disk.create(&path(dir, number))?;
        let mut head = Vec::new();
        frame::write(&mut head, &record::head());
        file.write(&head)?;
        file.sync()?;
        disk.sync_dir(dir)?;
        Ok(Self { number, length: head.len() as u64, file, torn: false })
    }

    /// Appends a frame: durable, or not there.
    pub fn append(&mut self, frame: &[u8]) -> io::Result<()> {
        self.mend()?;
        self.torn = true;
        if let Err(error) = self.file.write(frame).and_then(|()| self.file.sync()) {
            // If this fails as well, the next append tries it again before it writes.
            let _ = self.mend();
            return Err(error);
        }
        self.torn = false;
        self.length += frame.len() as u64;
        Ok(())
    }

    /// Cuts what a failed append left.
    pub fn mend(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.cut(self.length)?;
            self.file.sync()?;
            self.torn = false;
        }
        Ok(())
    }
}

/// What is in a segment.
#[derive(Debug, Default)]
pub struct Replay {
    /// Rows, as they were appended.
    pub appends: Vec<Vec<Row>>,
    /// Stretches of bytes, frames or heads that cannot be read.
    pub damaged: usize,
    /// Bytes that a crash left at the end.
    pub torn: usize,
}

/// Reads a segment.
pub fn replay(bytes: &[u8]) -> Replay {
    let frames = frame::read(bytes);
    let mut replay = Replay { damaged: frames.damaged, torn: frames.torn, ..Replay::default() };
    let mut payloads = frames.payloads.into_iter();
    let Some(head) = payloads.next() else { return replay };
    let Some(reader) = record::Reader::new(head) else {
        replay.damaged += 1;
        return replay;
    };
    for payload in payloads {
        match reader.rows(payload) {
            Some(rows) => replay.appends.push(rows),
            None => replay.damaged += 1,
        }
    }
    replay
}

/// Numbers of the segments in a folder, in order.
pub fn list(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<u64>> {
    let names = disk.list(dir)?;
    let numbers = names.iter().filter_map(|name| name.strip_suffix(END)?.parse().ok());
    let mut numbers: Vec<u64> = numbers.collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Where a segment is.
pub fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}{END}"))
}
