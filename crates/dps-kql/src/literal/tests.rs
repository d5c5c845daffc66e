use super::*;
use proptest::prelude::*;

#[test]
fn datetime_is_read_in_each_form() {
    let instant = read_datetime("2014-11-08T15:05:02Z").unwrap();
    assert_eq!(instant, 635_510_559_020_000_000);
    for text in [
        "2014-11-08 15:05:02",
        "20141108T15:05:02",
        "2014-11-08T17:05:02+02:00",
        "2014-11-08T09:35:02-0530",
        "2014-11-08 15:05:02.0000000 UTC",
        "Sat, 8 Nov 14 15:05:02 GMT",
        "Saturday, 08-Nov-14 15:05:02 UTC",
        "8 Nov 2014 10:05:02 EST",
        "11/8/2014 15:05:02",
    ] {
        assert_eq!(read_datetime(text), Some(instant), "{text}");
    }
    assert_eq!(read_datetime("2014"), read_datetime("2014-01-01T00:00"));
    assert_eq!(read_datetime("2014-11"), read_datetime("2014-11-01"));
    assert_eq!(read_datetime("0001-01-01"), Some(0));
    assert_eq!(read_datetime("9999-12-31T23:59:59.9999999"), Some(3_155_378_975_999_999_999));
}

#[test]
fn datetime_that_is_none_is_refused() {
    for text in [
        "",
        "x",
        "2014-13-01",
        "2014-02-29",
        "2014-1",
        "2014-11-08T",
        "2014-11-08T25:00",
        "2014-11-08T1",
        "10000-01-01",
        "0000-01-01",
        "2014-11-08T15:05:02+15:00",
        "2014-11-08T15:05:02.",
        "20141",
        "Foo, 8 Nov 14",
        "8 Nox 14",
        "1/1/1x",
        "0001-01-01T00:00+01:00",
        "é",
        "2014-11-08é",
    ] {
        // A month of one digit is borne.
        assert_eq!(read_datetime(text).is_some(), matches!(text, "2014-1" | "2014-11-08T"), "{text}");
    }
}

#[test]
fn timespan_is_read_in_each_form() {
    let second = crate::TICKS_PER_SECOND;
    for (text, ticks) in [
        ("1.02:03:04.5", 93_784 * second + second / 2),
        ("-1.02:03:04.5", -93_784 * second - second / 2),
        ("02:03", 7380 * second),
        ("2", 172_800 * second),
        ("5 seconds", 5 * second),
        ("-90m", -5400 * second),
        ("0.00:00:00.00000019", 1),
    ] {
        assert_eq!(read_timespan(text), Some(ticks), "{text}");
    }
    for text in [
        "",
        "x",
        "1:60",
        "25:00:00",
        "1.x:00",
        "1:2:3:4",
        "1..5s",
        "99999999d",
        "1 fortnight",
        "--1d",
        "-",
        "+1:00",
    ] {
        assert_eq!(read_timespan(text), None, "{text}");
    }
}

#[test]
fn decimal_keeps_its_digits() {
    for (text, digits) in
        [("12.50", "12.50"), ("-0012", "-12"), (".5", "0.5"), ("1e40", "1e40"), ("+0.00", "0.00")]
    {
        assert_eq!(read_decimal(text).as_deref(), Some(digits), "{text}");
    }
    for text in ["", "-", ".", "1.2.3", "1e", "1e99999", "x", "12345678901234567890123456789012345"] {
        assert_eq!(read_decimal(text), None, "{text}");
    }
}

#[test]
fn number_is_read_with_its_sign() {
    assert_eq!(read_long("-9223372036854775808"), Some(i64::MIN));
    assert_eq!(read_long("0xFFFFFFFFFFFFFFFF"), Some(-1));
    assert_eq!(read_long("0x+1"), None);
    assert_eq!(read_real("-1.5e3"), Some(-1500.0));
    assert_eq!(read_real("e5"), None);
}

#[test]
fn guid_is_read_with_and_without_hyphens() {
    let text = "74be27de-1e4e-49d9-b579-fe0b331d3642";
    let guid = read_guid(text).unwrap();
    assert_eq!(format_guid(guid), text);
    assert_eq!(read_guid(&text.replace('-', "")), Some(guid));
    assert_eq!(read_guid(&format!("{{{text}}}")), Some(guid));
    assert_eq!(read_guid("74be27de1-e4e-49d9-b579-fe0b331d3642"), None);
}

proptest! {
    #[test]
    fn datetime_is_read_as_it_is_written(ticks in 0..=3_155_378_975_999_999_999_i64) {
        prop_assert_eq!(read_datetime(&format_datetime(ticks)), Some(ticks));
    }

    #[test]
    fn timespan_is_read_as_it_is_written(ticks in -i64::MAX..=i64::MAX) {
        prop_assert_eq!(read_timespan(&format_timespan(ticks)), Some(ticks));
    }

    #[test]
    fn any_text_is_borne(text in "\\PC{0,40}") {
        let _ = (read_datetime(&text), read_timespan(&text), read_guid(&text), read_decimal(&text), read_real(&text));
        let _ = (read_suffixed(&text), read_long(&text));
    }

    #[test]
    fn text_of_dates_is_borne(text in "[0-9TZ:./ +-]{0,40}") {
        let _ = (read_datetime(&text), read_timespan(&text), read_guid(&text), read_decimal(&text), read_real(&text));
    }
}
