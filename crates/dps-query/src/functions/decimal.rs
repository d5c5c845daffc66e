//! Decimals as 128-bit integers scaled by 10^10: at most 28 digits before the point and 10 behind it. Owns their
//! arithmetic; must not know columns. What is out of range has no value.

use super::DECIMAL_SCALE;

/// One.
pub const ONE: i128 = 10_i128.pow(DECIMAL_SCALE as u32);
const LARGEST: i128 = 10_i128.pow(38) - 1;

fn within(value: i128) -> Option<i128> {
    (-LARGEST..=LARGEST).contains(&value).then_some(value)
}

/// Of a whole number.
pub fn from_long(value: i64) -> i128 {
    i128::from(value) * ONE
}

/// Of a whole number of more digits.
pub fn of_whole(value: i128) -> Option<i128> {
    value.checked_mul(ONE).and_then(within)
}

/// Of a double, as its shortest digits.
pub fn from_real(value: f64) -> Option<i128> {
    value.is_finite().then(|| parse(&format!("{value:e}"))).flatten()
}

/// The nearest double.
#[allow(clippy::cast_precision_loss, reason = "the nearest is asked for")]
pub fn to_real(value: i128) -> f64 {
    value as f64 / ONE as f64
}

/// Without what is behind the point.
pub fn truncated(value: i128) -> i128 {
    value / ONE
}

/// Reads digits, a point and an exponent. Digits behind the tenth are rounded away.
pub fn parse(text: &str) -> Option<i128> {
    let text = text.trim();
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, i64::from(exponent.parse::<i32>().ok()?)),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.as_bytes().first()? {
        b'-' => (true, mantissa.get(1..)?),
        b'+' => (false, mantissa.get(1..)?),
        _ => (false, mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value: i128 = 0;
    // Where the point lies behind the digits read so far, as a power of ten to come.
    let mut shift = exponent + i64::from(DECIMAL_SCALE);
    let mut round_up = false;
    let mut full = false;
    for (digit, behind) in
        whole.bytes().map(|digit| (digit, false)).chain(fraction.bytes().map(|d| (d, true)))
    {
        if !digit.is_ascii_digit() {
            return None;
        }
        let digit = i128::from(digit - b'0');
        if full {
            shift += i64::from(!behind);
            continue;
        }
        if let Some(next) = value.checked_mul(10).and_then(|value| value.checked_add(digit)).and_then(within)
        {
            value = next;
            shift -= i64::from(behind);
        } else {
            full = true;
            round_up = digit >= 5;
            shift += i64::from(!behind);
        }
    }
    if full && shift >= 0 {
        value += i128::from(round_up);
    }
    let value = scale(value, shift)?;
    within(if negative { -value } else { value })
}

fn scale(value: i128, shift: i64) -> Option<i128> {
    if value == 0 {
        return Some(0);
    }
    let power = u32::try_from(shift.unsigned_abs()).unwrap_or(u32::MAX);
    if shift >= 0 {
        return value.checked_mul(10_i128.checked_pow(power)?);
    }
    let Some(divisor) = 10_i128.checked_pow(power) else { return Some(0) };
    Some((value + divisor / 2) / divisor)
}

/// The shortest digits that say it.
pub fn format(value: i128) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let value = value.unsigned_abs();
    let one = ONE.unsigned_abs();
    let (whole, fraction) = (value / one, value % one);
    if fraction == 0 {
        return format!("{sign}{whole}");
    }
    let width = usize::from(DECIMAL_SCALE.unsigned_abs());
    let fraction = format!("{fraction:0width$}");
    format!("{sign}{whole}.{}", fraction.trim_end_matches('0'))
}

/// Sum.
pub fn add(left: i128, right: i128) -> Option<i128> {
    left.checked_add(right).and_then(within)
}

/// Difference.
pub fn subtract(left: i128, right: i128) -> Option<i128> {
    left.checked_sub(right).and_then(within)
}

/// Product, rounded to the scale.
pub fn multiply(left: i128, right: i128) -> Option<i128> {
    // (a·S + b)·r / S with |b| < S keeps every step within 128 bits for as long as the result is.
    let (whole, part) = (left / ONE, left % ONE);
    let (right_whole, right_part) = (right / ONE, right % ONE);
    let large = whole.checked_mul(right)?;
    let middle = part.checked_mul(right_whole)?;
    let small = part.checked_mul(right_part)?;
    let half = if small < 0 { -ONE / 2 } else { ONE / 2 };
    within(large.checked_add(middle)?.checked_add((small + half) / ONE)?)
}

/// Quotient; none by zero. Long division, digit by digit behind the point.
pub fn divide(left: i128, right: i128) -> Option<i128> {
    if right == 0 {
        return None;
    }
    let negative = (left < 0) != (right < 0);
    let (left, right) = (left.unsigned_abs(), right.unsigned_abs());
    let mut quotient = left / right;
    let mut rest = left % right;
    for _ in 0..DECIMAL_SCALE {
        rest = rest.checked_mul(10)?;
        quotient = quotient.checked_mul(10)?.checked_add(rest / right)?;
        rest %= right;
    }
    let quotient = i128::try_from(quotient).ok()?;
    within(if negative { -quotient } else { quotient })
}

/// What remains, not negative; none by zero.
pub fn modulo(left: i128, right: i128) -> Option<i128> {
    left.checked_rem_euclid(right)
}

/// The largest multiple of the step that is not above.
pub fn bin(value: i128, step: i128) -> Option<i128> {
    if step <= 0 {
        return None;
    }
    value.checked_sub(value.rem_euclid(step)).and_then(within)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn digits_with_point_and_exponent_are_read_exactly() {
        assert_eq!(parse("1.5"), Some(ONE + ONE / 2));
        assert_eq!(parse("-0.0000000001"), Some(-1));
        assert_eq!(parse("1e3"), Some(1000 * ONE));
        assert_eq!(parse("12.5e-1"), Some(ONE + ONE / 4));
        assert_eq!(parse("1e40"), None);
        assert_eq!(parse(&format!("0.{}e-2147483648", "0".repeat(100))), Some(0));
        assert_eq!(parse(&format!("{}e2147483647", "9".repeat(100))), None);
        assert_eq!(parse("1e-40"), Some(0));
        assert_eq!(parse("0.00000000014999999999999999999999999999999999999999999999999999"), Some(1));
        for text in ["", "-", ".", "1.2.3", "1e", "abc", "1e99999999999"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn quotient_of_one_and_three_has_ten_digits() {
        assert_eq!(divide(ONE, 3 * ONE).map(format).as_deref(), Some("0.3333333333"));
        assert_eq!(divide(ONE, 0), None);
    }

    proptest! {
        #[test]
        fn format_then_parse_is_the_same(value in -LARGEST..=LARGEST) {
            prop_assert_eq!(parse(&format(value)), Some(value));
        }

        #[test]
        fn product_of_longs_is_that_of_integers(left in any::<i32>(), right in any::<i32>()) {
            let product = multiply(from_long(i64::from(left)), from_long(i64::from(right)));
            prop_assert_eq!(product, Some(from_long(i64::from(left) * i64::from(right))));
        }

        #[test]
        fn arithmetic_of_anything_does_not_panic(left: i128, right: i128) {
            let _ = (add(left, right), subtract(left, right), multiply(left, right), divide(left, right),
                modulo(left, right), bin(left, right));
        }
    }
}
