//! Rows on disk: one JSON line an event, in segments of bounded size, the oldest removed. Owns the files; must not know
//! what reads them. Loss of the last lines in a crash is accepted: a registration never waits for its log.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use dps_model::limits::{MAX_ATTEMPT_SEGMENT, MAX_ATTEMPT_SEGMENTS};

use crate::record::Event;

/// How much of the log is kept.
#[derive(Clone, Copy, Debug)]
pub struct Segments {
    /// Bytes after which a new one is begun.
    pub size: u64,
    /// How many there are at most.
    pub count: usize,
}

impl Default for Segments {
    fn default() -> Self {
        Self { size: MAX_ATTEMPT_SEGMENT, count: MAX_ATTEMPT_SEGMENTS }
    }
}

/// A folder of segments, `attempts-<16 digits>.jsonl`, the highest number being written.
pub struct AttemptLog {
    folder: PathBuf,
    number: u64,
    file: BufWriter<File>,
    written: u64,
    segments: Segments,
}

impl AttemptLog {
    /// Opens the folder (created when missing) and begins or continues its last segment.
    pub fn open(folder: &Path) -> io::Result<Self> {
        Self::bounded(folder, Segments::default())
    }

    /// The same within other bounds.
    pub fn bounded(folder: &Path, kept: Segments) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let number = segments(folder)?.last().copied().unwrap_or(0);
        let (file, written) = open_segment(folder, number)?;
        Ok(Self { folder: folder.to_owned(), number, file, written, segments: kept })
    }

    /// Appends the event's row, where it has one.
    pub fn append(&mut self, event: &Event) -> io::Result<()> {
        let Some(row) = event.row() else { return Ok(()) };
        let mut line = serde_json::to_vec(&row)?;
        line.push(b'\n');
        if self.written > 0 && self.written + line.len() as u64 > self.segments.size {
            self.roll()?;
        }
        self.file.write_all(&line)?;
        self.written += line.len() as u64;
        Ok(())
    }

    /// Hands what is buffered to the operating system.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    fn roll(&mut self) -> io::Result<()> {
        self.file.flush()?;
        self.number += 1;
        (self.file, self.written) = open_segment(&self.folder, self.number)?;
        let numbers = segments(&self.folder)?;
        let surplus = numbers.len().saturating_sub(self.segments.count);
        for number in numbers.into_iter().take(surplus) {
            fs::remove_file(path(&self.folder, number))?;
        }
        Ok(())
    }
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("attempts-{number:016}.jsonl"))
}

/// Numbers of the segments, ascending.
fn segments(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix("attempts-")?.strip_suffix(".jsonl"))
            .and_then(|digits| digits.parse::<u64>().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Opens a segment for appending. A line cut short by a crash is ended, so that the next one stands alone.
fn open_segment(folder: &Path, number: u64) -> io::Result<(BufWriter<File>, u64)> {
    let path = path(folder, number);
    let cut_short = fs::read(&path).is_ok_and(|bytes| bytes.last().is_some_and(|last| *last != b'\n'));
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
    if cut_short {
        file.write_all(b"\n")?;
    }
    let written = file.metadata()?.len();
    Ok((BufWriter::new(file), written))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use dps_model::{Protocol, Timestamp, TrackingId};

    use super::{AttemptLog, Segments};
    use crate::record::{ConnectionRecord, Event};

    fn event(reason: &str) -> Event {
        Event::Connection(Box::new(ConnectionRecord {
            tracking_id: TrackingId::fresh(),
            time: Timestamp::from_millis(0),
            micros: 1,
            protocol: Protocol::Mqtt,
            peer: "127.0.0.1:9".parse().unwrap(),
            stage: "handshake",
            reason: reason.into(),
            claimed: None,
        }))
    }

    #[test]
    fn log_in_small_segments_keeps_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = AttemptLog::bounded(folder.path(), Segments { size: 1, count: 2 }).unwrap();
        for number in 0..5 {
            log.append(&event(&format!("number {number}"))).unwrap();
        }
        log.flush().unwrap();
        let mut names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        let last = fs::read_to_string(names.last().unwrap()).unwrap();
        assert!(names.len() == 2 && last.contains("number 4"), "{names:?} {last}");
    }

    #[test]
    fn log_reopened_after_a_cut_line_keeps_lines_apart() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = AttemptLog::open(folder.path()).unwrap();
        log.append(&event("first")).unwrap();
        log.flush().unwrap();
        let segment = folder.path().join("attempts-0000000000000000.jsonl");
        let whole = fs::read_to_string(&segment).unwrap();
        fs::write(&segment, format!("{whole}{{\"cut")).unwrap();
        let mut log = AttemptLog::open(folder.path()).unwrap();
        log.append(&event("second")).unwrap();
        log.flush().unwrap();
        let text = fs::read_to_string(&segment).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(
            serde_json::from_str::<serde_json::Value>(lines[2]).unwrap()["resultDescription"]
                .as_str()
                .is_some_and(|text| text.contains("second"))
        );
    }
}
