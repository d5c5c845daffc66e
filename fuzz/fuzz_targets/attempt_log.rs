//! Files of the attempt log after anything may have happened to them: it opens, answers within its bounds, and gives no line
//! that does not stand there.
#![no_main]

use std::fs;

use dps_events::AttemptLog;
use dps_events::attempt_log::{Key, Lookup};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|files: &[u8]| {
    // No line has this byte, an index may.
    let mut parts = files.splitn(3, |byte| *byte == 0xff);
    let mut part = || parts.next().unwrap_or_default();
    let (closed, current, index) = (part(), part(), part());
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in [
        ("attempts-0000000000000000.jsonl", closed),
        ("attempts-0000000000000000.index", index),
        ("attempts-0000000000000001.jsonl", current),
    ] {
        fs::write(folder.path().join(name), bytes).expect("a file");
    }
    let Ok(log) = AttemptLog::open(folder.path()) else { return };
    let lookup = Lookup {
        any: vec![
            Key::instance(Some("dps")),
            Key::refused(Some("dps")),
            Key::registration(Some("dps"), "device"),
            Key::tracking("t"),
        ],
        most: usize::MAX,
        ..Lookup::default()
    };
    let Ok(found) = log.reader().find(&lookup) else { return };
    let stands = |line: &[u8]| {
        [closed, current].iter().any(|file| file.split(|byte| *byte == b'\n').any(|other| other == line))
    };
    for kept in &found.lines {
        assert!(stands(kept.line.as_bytes()), "{kept:?}");
    }
});
