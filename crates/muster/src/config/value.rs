//! Values that TOML has no type for: times, sizes, rates. Owns their texts.

use dps_model::limits::Rate;

/// Seconds of a text like `30s`, `5m`, `2h`, `1d`.
pub fn seconds(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// Bytes of a text like `64MiB`.
pub fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// A text like `1000/60s`; the inner none of `none` is no limit.
#[allow(clippy::option_option)] // `none` is a value of its own
pub fn rate(text: &str) -> Option<Option<Rate>> {
    if text == "none" {
        return Some(None);
    }
    let (requests, time) = text.split_once('/')?;
    let requests = requests.trim().parse().ok().filter(|requests| *requests > 0)?;
    let seconds = u32::try_from(seconds(time.trim())?).ok().filter(|seconds| *seconds > 0)?;
    Some(Some(Rate { requests, seconds }))
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_sizes_and_rates_read() {
        for (text, read) in [
            ("30s", Some(30)),
            ("5m", Some(300)),
            ("2 h", Some(7_200)),
            ("1d", Some(86_400)),
            ("30", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("99999999999999999999s", None),
            ("18446744073709551615d", None),
        ] {
            assert_eq!(seconds(text), read, "{text}");
        }
        assert_eq!((size("64MiB"), size("7B"), size("1MB")), (Some(64 << 20), Some(7), None));
        assert_eq!(rate("1000/60s"), Some(Some(Rate { requests: 1_000, seconds: 60 })));
        assert_eq!((rate("none"), rate("0/1s"), rate("1/0s"), rate("5")), (Some(None), None, None, None));
    }
}
