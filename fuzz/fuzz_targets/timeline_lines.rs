//! Lines of the attempt log, which hold what devices said of themselves: whatever stands there, a timeline is in order, tells
//! only of what was read, and ends.
#![no_main]

use dps_explain::timeline::{Line, Sources, of, related};
use dps_model::Timestamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (i64, &str)| {
    let (now, text) = input;
    let lines: Vec<Line> = text.lines().filter_map(Line::read).collect();
    let _ = related(&lines);
    let telling = ["hub.example".to_owned()];
    let sources = Sources {
        registration_id: "device",
        lines: &lines,
        telling_hubs: &telling,
        now: Some(Timestamp::from_millis(now)),
    };
    let timeline = of(&sources);
    assert!(timeline.entries.is_sorted_by_key(|entry| entry.time), "{timeline:?}");
    assert!(lines.is_empty() <= timeline.entries.is_empty(), "an entry of nothing: {timeline:?}");
    assert!(serde_json::to_string(&timeline).is_ok());
});
