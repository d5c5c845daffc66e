use jiff::civil::DateTime;
use proptest::prelude::*;

use super::calendar::{add_months, day_of_year, iso_week, weekday};
use super::format::{datetime_by, timespan_by};
use super::*;

fn with_jiff(ticks: i64) -> DateTime {
    let base = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
    let since = i128::from(ticks - UNIX_EPOCH);
    base.checked_add(jiff::SignedDuration::from_nanos_i128(since * 100)).unwrap()
}

proptest! {
    #[test]
    fn parts_agree_with_jiff(ticks in 0..=LAST_TICK) {
        let (ours, theirs) = (civil(ticks), with_jiff(ticks));
        prop_assert_eq!(ours.year, i64::from(theirs.year()));
        prop_assert_eq!(ours.month, i64::from(theirs.month()));
        prop_assert_eq!(ours.day, i64::from(theirs.day()));
        prop_assert_eq!(ours.hour, i64::from(theirs.hour()));
        prop_assert_eq!(ours.tick * 100, i64::from(theirs.subsec_nanosecond()));
        prop_assert_eq!(weekday(ticks), i64::from(theirs.weekday().to_sunday_zero_offset()));
        prop_assert_eq!(day_of_year(ticks), i64::from(theirs.day_of_year()));
        prop_assert_eq!(iso_week(ticks), i64::from(theirs.date().iso_week_date().week()));
        prop_assert_eq!(of_civil(ours), Some(ticks));
    }

    #[test]
    fn iso_text_reads_back(ticks in 0..=LAST_TICK) {
        prop_assert_eq!(datetime(&iso(ticks)), Some(ticks));
    }

    #[test]
    fn timespan_text_reads_back(ticks in -10_000_000 * DAY..10_000_000 * DAY) {
        prop_assert_eq!(timespan(&timespan_text(ticks)), Some(ticks), "{}", timespan_text(ticks));
    }

    #[test]
    fn months_added_agree_with_jiff(ticks in 400 * DAY..LAST_TICK - 400 * DAY, months in -12_i64..12) {
        let theirs = with_jiff(ticks).checked_add(jiff::Span::new().months(months)).unwrap();
        prop_assert_eq!(add_months(ticks, months).map(with_jiff), Some(theirs));
    }

    #[test]
    fn any_text_is_read_without_panic(text in "[0-9TZ:. /+,-]{0,30}|.{0,20}") {
        let _ = (datetime(&text), timespan(&text), datetime_by(0, &text), timespan_by(-1, &text));
    }

    #[test]
    fn any_ticks_are_written_without_panic(ticks: i64) {
        let _ = (iso(ticks), timespan_text(ticks), datetime_by(ticks, "yyyy-MM-dd"), timespan_by(ticks, "ddd hh"));
    }
}

#[test]
fn texts_of_the_forms_that_are_taken_are_one_instant() {
    let wanted = datetime("2026-03-04T15:05:02Z");
    assert!(wanted.is_some());
    for text in [
        "2026-03-04 15:05:02",
        "2026-03-04T15:05:02.0000000Z",
        "2026-03-04T16:05:02+01:00",
        "2026-03-04T10:05:02-0500",
        "Wed, 4 Mar 2026 15:05:02 GMT",
        "4 Mar 2026 15:05:02",
        "Wednesday, 04-Mar-26 15:05:02 UTC",
        "3/4/2026 3:05:02 PM",
    ] {
        assert_eq!(datetime(text), wanted, "{text}");
    }
    for text in ["", "2026-13-01", "2026-02-30", "2026-03-04T24:00", "x", "2026-03-04T15:05:02Zx", "99"] {
        assert_eq!(datetime(text), None, "{text}");
    }
}

#[test]
fn timespans_are_read_in_all_forms() {
    assert_eq!(timespan("1.02:03:04.5"), Some(DAY + 2 * HOUR + 3 * MINUTE + 4 * SECOND + 5_000_000));
    assert_eq!(timespan("-00:30"), Some(-30 * MINUTE));
    assert_eq!(timespan("3"), Some(3 * DAY));
    assert_eq!(timespan("1.5h"), Some(90 * MINUTE));
    for text in ["", "25:00", "00:61", "1x", "1:2:3:4", "999999999999d"] {
        assert_eq!(timespan(text), None, "{text}");
    }
}
