use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dps_model::{Channel, Error, ErrorCode, Protocol, Timestamp, TlsSession, TrackingId};
use proptest::prelude::*;

use super::write::LineFile;
use super::{AttemptLog, AttemptReader, Key, Lookup, Position, Segments, numbers};
use crate::record::{
    AttemptRecord, BulkItemRecord, ConnectionRecord, Event, Operation, Outcome, ServiceCallRecord,
};

const SMALL: Segments = Segments { size: 2_000, count: 1_000, age: 1_000_000 };

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

fn connection(reason: &str) -> Event {
    Event::Connection(Box::new(ConnectionRecord {
        tracking_id: TrackingId::fresh(),
        time: at(0),
        micros: 1,
        protocol: Protocol::Mqtt,
        peer: "127.0.0.1:9".parse().unwrap(),
        stage: "handshake",
        reason: reason.into(),
        causes: Vec::new(),
        claimed: None,
        hub_device: None,
        handshake: None,
    }))
}

fn attempt(instance: &str, id: &str, seconds: i64, refused: bool) -> Event {
    let channel =
        Channel { protocol: Protocol::Mqtt, peer: "10.0.0.1:1".parse().unwrap(), tls: TlsSession::default() };
    let mut record = AttemptRecord::open(TrackingId::fresh(), at(seconds), &channel, Operation::Register);
    record.instance = Some(instance.into());
    record.registration_id = id.into();
    record.outcome =
        if refused { Outcome::failed(&Error::new(ErrorCode::Unauthorized)) } else { Outcome::Success };
    Event::Attempt(Box::new(record))
}

fn text_of(event: &Event) -> String {
    serde_json::to_string(&event.line()).unwrap()
}

fn find(reader: &AttemptReader, key: Key) -> Vec<String> {
    let found = reader.find(&Lookup { any: vec![key], most: 1_000, ..Lookup::default() }).unwrap();
    found.lines.into_iter().map(|kept| kept.line).collect()
}

fn file(folder: &Path, number: u64, kind: &str) -> std::path::PathBuf {
    super::path(folder, number, kind)
}

#[test]
fn log_in_small_segments_keeps_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let segments = Segments { size: 1, count: 2, age: 1_000 };
    let mut log = AttemptLog::bounded(folder.path(), segments).unwrap();
    for number in 0..5 {
        log.append(&connection(&format!("number {number}"))).unwrap();
    }
    log.flush().unwrap();
    let kept = numbers(folder.path(), "jsonl").unwrap();
    let last = fs::read_to_string(file(folder.path(), kept[1], "jsonl")).unwrap();
    assert!(kept.len() == 2 && last.contains("number 4"), "{kept:?} {last}");
    assert_eq!(numbers(folder.path(), "index").unwrap(), kept[..1]);
    assert_eq!(find(&log.reader(), Key::instance(None)).len(), 2);
}

#[test]
fn log_reopened_after_a_cut_line_keeps_lines_apart() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = AttemptLog::open(folder.path()).unwrap();
    log.append(&connection("first")).unwrap();
    log.flush().unwrap();
    drop(log);
    let segment = file(folder.path(), 0, "jsonl");
    let whole = fs::read_to_string(&segment).unwrap();
    fs::write(&segment, format!("{whole}{{\"cut")).unwrap();
    let mut log = AttemptLog::open(folder.path()).unwrap();
    log.append(&connection("second")).unwrap();
    log.flush().unwrap();
    let text = fs::read_to_string(&segment).unwrap();
    assert_eq!(text.lines().count(), 3, "{text}");
    let lookup = Lookup { any: vec![Key::instance(None)], most: 10, ..Lookup::default() };
    let found = log.reader().find(&lookup).unwrap();
    assert_eq!((found.lines.len(), found.unreadable), (2, 1));
    assert!(found.lines[0].line.contains("second") && found.lines[1].line.contains("first"));
}

#[test]
fn line_is_found_once_flushed_and_by_each_of_its_keys() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = AttemptLog::bounded(folder.path(), SMALL).unwrap();
    let reader = log.reader();
    let event = attempt("dps", "Device-1", 5, true);
    let Event::Attempt(record) = &event else { unreachable!() };
    let keys = [
        Key::registration(Some("DPS"), "device-1"),
        Key::tracking(&record.tracking_id.to_string()),
        Key::refused(Some("dps")),
        Key::instance(Some("dps")),
    ];
    log.append(&event).unwrap();
    assert!(find(&reader, keys[0].clone()).is_empty());
    log.flush().unwrap();
    for key in keys {
        assert_eq!(find(&reader, key.clone()), [text_of(&event)], "{key:?}");
    }
    for key in [Key::registration(Some("other"), "device-1"), Key::registration(None, "device-1")] {
        assert!(find(&reader, key).is_empty());
    }
}

#[test]
fn service_call_is_found_by_the_devices_and_the_group_that_it_touches() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = AttemptLog::bounded(folder.path(), SMALL).unwrap();
    let mut call = ServiceCallRecord {
        tracking_id: TrackingId::fresh(),
        time: at(0),
        micros: 0,
        instance: Some("dps".into()),
        operation: "BulkOperation",
        kind: "IndividualEnrollment",
        id: None,
        api_version: None,
        client: None,
        caller: None,
        auth: None,
        credential: None,
        peer: "10.0.0.1:1".parse().unwrap(),
        previous_etag: None,
        etag: None,
        items: Vec::new(),
        causes: Vec::new(),
        outcome: Outcome::Success,
    };
    let item = |id: &str| BulkItemRecord {
        id: id.into(),
        previous_etag: None,
        etag: None,
        outcome: Outcome::Success,
    };
    call.items = vec![item("a"), item("a"), item("b")];
    log.append(&Event::ServiceCall(Box::new(call.clone()))).unwrap();
    (call.kind, call.id, call.items) = ("EnrollmentGroup", Some("g".into()), Vec::new());
    log.append(&Event::ServiceCall(Box::new(call))).unwrap();
    log.flush().unwrap();
    let reader = log.reader();
    let device = |id: &str| find(&reader, Key::registration(Some("dps"), id)).len();
    assert_eq!([device("a"), device("b"), device("g")], [1, 1, 0]);
    assert_eq!(find(&reader, Key::group(Some("dps"), "G")).len(), 1);
}

#[test]
fn segment_older_than_its_age_is_removed_and_one_that_grows_old_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let segments = Segments { size: 1 << 20, count: 100, age: 8_000 };
    let mut log = AttemptLog::bounded(folder.path(), segments).unwrap();
    for seconds in [0, 500, 1_100, 5_000, 8_000, 9_200] {
        log.append(&attempt("dps", "x", seconds, false)).unwrap();
        log.flush().unwrap();
    }
    // 0, 500 and 1,100 are one segment, whose last line is older than 8,000 seconds.
    assert_eq!(find(&log.reader(), Key::instance(Some("dps"))).len(), 3);
    assert!(!file(folder.path(), 0, "jsonl").exists() && !file(folder.path(), 0, "index").exists());
}

/// A file that is full at times, after half of what is written.
struct Full {
    inner: fs::File,
    now: Arc<AtomicBool>,
    cuts_fail: bool,
}

impl LineFile for Full {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.now.load(Ordering::SeqCst) {
            LineFile::append(&mut self.inner, &bytes[..bytes.len() / 2])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        LineFile::append(&mut self.inner, bytes)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        if self.cuts_fail && self.now.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::Other.into());
        }
        self.inner.cut(length)
    }
}

#[test]
fn full_disk_loses_and_counts_lines_and_later_ones_are_found() {
    for cuts_fail in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut log = AttemptLog::bounded(folder.path(), Segments::default()).unwrap();
        let full = Arc::new(AtomicBool::new(false));
        let open = || fs::OpenOptions::new().append(true).open(file(folder.path(), 0, "jsonl")).unwrap();
        log.file = Box::new(Full { inner: open(), now: Arc::clone(&full), cuts_fail });
        let write = |log: &mut AttemptLog, id: &str| {
            log.append(&attempt("dps", id, 1, false)).unwrap();
            log.append(&attempt("dps", id, 2, false)).unwrap();
            log.flush().map_err(|lost| (lost.lines, lost.error.kind()))
        };
        write(&mut log, "before").unwrap();
        full.store(true, Ordering::SeqCst);
        for _ in 0..3 {
            let (lines, _) = write(&mut log, "during").unwrap_err();
            assert_eq!(lines, 2);
        }
        full.store(false, Ordering::SeqCst);
        write(&mut log, "after").unwrap();
        let lookup = Lookup { any: vec![Key::instance(Some("dps"))], most: 10, ..Lookup::default() };
        let found = log.reader().find(&lookup).unwrap();
        assert_eq!((found.lines.len(), found.unreadable), (4, 0));
        assert!(found.lines[0].line.contains("\"after\"") && found.lines[3].line.contains("\"before\""));
    }
}

#[test]
fn index_missing_cut_or_damaged_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = AttemptLog::bounded(folder.path(), SMALL).unwrap();
    for number in 0..20 {
        log.append(&attempt("dps", &format!("d{}", number % 3), number, false)).unwrap();
    }
    log.flush().unwrap();
    drop(log);
    let index = file(folder.path(), 0, "index");
    let whole = fs::read(&index).unwrap();
    let expected = {
        let log = AttemptLog::bounded(folder.path(), SMALL).unwrap();
        find(&log.reader(), Key::registration(Some("dps"), "d1"))
    };
    assert_eq!(expected.len(), 7);
    let damaged = (0..whole.len()).map(|at| whole[..at].to_vec()).chain((0..whole.len()).map(|at| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        bytes
    }));
    for (case, bytes) in damaged.enumerate() {
        fs::write(&index, bytes).unwrap();
        let log = AttemptLog::bounded(folder.path(), SMALL).unwrap();
        assert_eq!(find(&log.reader(), Key::registration(Some("dps"), "d1")), expected, "{case}");
        assert_eq!(fs::read(&index).unwrap(), whole, "{case}");
    }
    fs::remove_file(&index).unwrap();
    let log = AttemptLog::bounded(folder.path(), SMALL).unwrap();
    assert_eq!(find(&log.reader(), Key::registration(Some("dps"), "d1")), expected);
    assert!(index.exists());
}

#[test]
fn lines_cut_anywhere_by_a_kill_leave_the_others_to_be_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = AttemptLog::bounded(folder.path(), Segments::default()).unwrap();
    let events: Vec<_> = (0..3).map(|number| attempt("dps", "x", number, false)).collect();
    for event in &events {
        log.append(event).unwrap();
    }
    log.flush().unwrap();
    drop(log);
    let segment = file(folder.path(), 0, "jsonl");
    let whole = fs::read(&segment).unwrap();
    for cut in (0..whole.len()).step_by(7) {
        fs::write(&segment, &whole[..cut]).unwrap();
        let mut log = AttemptLog::bounded(folder.path(), Segments::default()).unwrap();
        let next = attempt("dps", "x", 9, false);
        log.append(&next).unwrap();
        log.flush().unwrap();
        let whole_lines = whole[..cut].split(|byte| *byte == b'\n').count() - 1;
        let mut expected: Vec<_> = events[..whole_lines].iter().map(text_of).collect();
        expected.push(text_of(&next));
        expected.reverse();
        assert_eq!(find(&log.reader(), Key::instance(Some("dps"))), expected, "cut at {cut}");
    }
}

#[test]
fn segments_removed_while_they_are_read_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let segments = Segments { size: 1, count: 5, age: 1_000_000 };
    let mut log = AttemptLog::bounded(folder.path(), segments).unwrap();
    let reader = log.reader();
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut most = 0;
            while most < 3 {
                most = most.max(find(&reader, Key::instance(Some("dps"))).len());
            }
            let mut last = String::new();
            while !last.contains("\"last\"") {
                let lines = find(&reader, Key::instance(Some("dps")));
                assert!(lines.len() <= 5);
                last = lines.first().cloned().unwrap_or_default();
            }
        });
        for number in 0..300 {
            log.append(&attempt("dps", "x", number, false)).unwrap();
            log.flush().unwrap();
        }
        while !asking.is_finished() {
            log.append(&attempt("dps", "last", 300, false)).unwrap();
            log.flush().unwrap();
        }
    });
}

#[test]
fn answer_that_is_full_says_where_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = AttemptLog::bounded(folder.path(), SMALL).unwrap();
    let events: Vec<_> = (0..30).map(|number| attempt("dps", "x", number, number % 2 == 0)).collect();
    for event in &events {
        log.append(event).unwrap();
    }
    log.flush().unwrap();
    let (reader, mut lines, mut before) = (log.reader(), Vec::new(), None);
    loop {
        let any = vec![Key::registration(Some("dps"), "x")];
        let all = vec![vec![Key::refused(Some("dps"))]];
        let found = reader.find(&Lookup { any, all, before, most: 4, ..Lookup::default() }).unwrap();
        assert!(found.lines.len() <= 4);
        lines.extend(found.lines.into_iter().map(|kept| kept.line));
        before = found.next;
        if before.is_none() {
            break;
        }
    }
    let expected: Vec<_> = events.iter().step_by(2).rev().map(text_of).collect();
    assert_eq!(lines, expected);
}

#[test]
fn position_is_read_as_it_is_written() {
    let position = Position { segment: 31, offset: 4_096 };
    assert_eq!(position.to_string(), "1f.1000");
    assert_eq!("1f.1000".parse(), Ok(position));
    for text in ["", ".", "1.", ".1", "1", "+1.2", "1.2.3", "g.1", "fffffffffffffffff.1"] {
        assert!(text.parse::<Position>().is_err(), "{text}");
    }
}

#[derive(Clone, Debug)]
enum Act {
    Line { device: u8, seconds: i64, refused: bool },
    Flush,
    Reopen,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        12 => (0..4_u8, 0..50_i64, any::<bool>())
            .prop_map(|(device, seconds, refused)| Act::Line { device, seconds, refused }),
        2 => Just(Act::Flush),
        1 => Just(Act::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever is written and however it is asked, the answer is that of reading every line.
    #[test]
    fn index_answers_like_a_scan_of_all_lines(
        acts in prop::collection::vec(act(), 1..120),
        device in 0..4_u8, refused in any::<bool>(), from in 0..50_i64, span in 0..50_i64, most in 1..40_usize,
        skipped in 0..20_usize,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let segments = Segments { size: 3_000, count: 6, age: 1_000_000 };
        let mut log = AttemptLog::bounded(folder.path(), segments).unwrap();
        for act in acts {
            match act {
                Act::Line { device, seconds, refused } => {
                    log.append(&attempt("dps", &format!("d{device}"), seconds, refused)).unwrap();
                }
                Act::Flush => log.flush().unwrap(),
                Act::Reopen => {
                    log.flush().unwrap();
                    log = AttemptLog::bounded(folder.path(), segments).unwrap();
                }
            }
        }
        log.flush().unwrap();
        // The scan: every line of every file, newest first.
        let mut scanned = Vec::new();
        for number in numbers(folder.path(), "jsonl").unwrap() {
            let mut offset = 0;
            for line in fs::read_to_string(file(folder.path(), number, "jsonl")).unwrap().lines() {
                scanned.push((Position { segment: number, offset }, line.to_owned()));
                offset += line.len() as u64 + 1;
            }
        }
        scanned.reverse();
        let before = scanned.get(skipped).map(|(position, _)| *position);
        let id = format!("d{device}");
        let expected: Vec<_> = scanned
            .iter()
            .filter(|(position, line)| {
                let value: serde_json::Value = serde_json::from_str(line).unwrap();
                let time = Timestamp::parse(value["time"].as_str().unwrap()).unwrap();
                value["properties"]["registrationId"] == *id
                    && (!refused || value["resultType"] != "Success")
                    && time >= at(from) && time < at(from + span)
                    && before.is_none_or(|before| *position < before)
            })
            .take(most)
            .cloned()
            .collect();
        let lookup = Lookup {
            any: vec![Key::registration(Some("dps"), &id)],
            all: if refused { vec![vec![Key::refused(Some("dps"))]] } else { Vec::new() },
            before, from: Some(at(from)), to: Some(at(from + span)), most,
            ..Lookup::default()
        };
        let found = log.reader().find(&lookup).unwrap();
        let lines: Vec<_> = found.lines.into_iter().map(|kept| (kept.position, kept.line)).collect();
        prop_assert_eq!(&lines, &expected);
        // And what came after a line is what is newer than it.
        if let Some((after, _)) = expected.get(1) {
            let found = log.reader().find(&Lookup { after: Some(*after), ..lookup }).unwrap();
            prop_assert_eq!(found.lines.len(), 1);
        }
    }
}
