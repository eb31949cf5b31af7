//! JSON numbers, by their text: doubles, integers, epochs.

use crate::timestamp::MICROS_PER_SECOND;

const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// The double nearest to a JSON number (infinite beyond the range). Zero is never negative.
#[inline]
pub fn to_f64(text: &str) -> f64 {
    let (negative, magnitude) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        all => (false, all),
    };
    // A mantissa up to 2^53 is exact in a double, and so is the power of ten: one division is then correctly rounded.
    let mut mantissa = 0u64;
    let mut fraction_digits = 0;
    let mut in_fraction = false;
    if magnitude.len() > 16 {
        return text.parse().unwrap_or(f64::NAN) + 0.0;
    }
    for &byte in magnitude {
        match byte {
            b'0'..=b'9' => {
                mantissa = mantissa * 10 + u64::from(byte - b'0');
                fraction_digits += usize::from(in_fraction);
            }
            b'.' => in_fraction = true,
            _ => return text.parse().unwrap_or(f64::NAN) + 0.0,
        }
    }
    if mantissa > 1 << 53 {
        return text.parse().unwrap_or(f64::NAN) + 0.0;
    }
    let value = mantissa as f64 / POWERS[fraction_digits];
    if negative { 0.0 - value } else { value }
}

/// Whether a JSON number is written as an integer: without fraction and exponent.
#[inline]
pub fn is_integer(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

/// The microseconds since 1970-01-01 that an epoch means: seconds below 1e11, milliseconds below 1e14, else microseconds.
/// Exact by its decimal digits; what is finer than a microsecond is cut off. `None`: a negative one, or beyond `i64`.
pub fn epoch_us(text: &str) -> Option<i64> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], saturating_exponent(&text[at + 1..])),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let negative = whole.starts_with('-');
    let whole = whole.trim_start_matches('-');
    let digits = || whole.bytes().chain(fraction.bytes()).map(|byte| i64::from(byte - b'0'));
    let Some(zeros) = digits().position(|digit| digit != 0) else {
        return Some(0);
    };
    if negative {
        return None;
    }
    // The value is 0.d1d2d3... x 10^size with d1 != 0, so that its size alone tells the unit.
    let size = exponent.saturating_add(whole.len() as i64 - zeros as i64);
    let shift = match size {
        ..=11 => 6,
        12..=14 => 3,
        _ => 0,
    };
    let take = size + shift;
    if take > 18 {
        return None;
    }
    let significant = digits().skip(zeros).chain(std::iter::repeat(0));
    Some(significant.take(usize::try_from(take).unwrap_or(0)).fold(0, |micros, digit| micros * 10 + digit))
}

/// [`epoch_us`] for the usual epochs: 10 to 13 digits, nothing else.
#[inline]
pub fn usual_epoch_us(text: &str) -> Option<i64> {
    if !(10..=13).contains(&text.len()) {
        return None;
    }
    let mut value = 0;
    for byte in text.bytes() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if value < 100_000_000_000 { value * MICROS_PER_SECOND } else { value * 1000 })
}

/// An exponent's value, within +-1e9: far beyond what any record of our size could make up for by digits.
fn saturating_exponent(text: &str) -> i64 {
    let negative = text.starts_with('-');
    let digits = text.bytes().filter(u8::is_ascii_digit);
    let value = digits.fold(0i64, |value, byte| (value * 10 + i64::from(byte - b'0')).min(1_000_000_000));
    if negative { -value } else { value }
}

/// Appends the shortest decimal text that reads back as this double. Finite numbers only.
#[inline]
pub fn write_f64(value: f64, out: &mut Vec<u8>) {
    // Positions are mostly whole milliseconds: those need no search for the shortest text.
    let thousandths = value * 1000.0;
    if (0.0..1e12).contains(&value) && thousandths.round() / 1000.0 == value {
        let thousandths = thousandths.round() as u64;
        write_u64(thousandths / 1000, out);
        let rest = thousandths % 1000;
        if rest > 0 {
            let digits = [b'.', b'0' + (rest / 100) as u8, b'0' + (rest / 10 % 10) as u8, b'0' + (rest % 10) as u8];
            let zeros = digits.iter().rev().take_while(|&&digit| digit == b'0').count();
            out.extend_from_slice(&digits[..digits.len() - zeros]);
        }
        return;
    }
    use std::io::Write;
    // Writing to a Vec does not fail.
    let _ = write!(out, "{value}");
}

/// Appends an integer.
#[inline]
pub fn write_u64(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_correctly_rounded() {
        let cases = [
            "0",
            "-0",
            "-0.0",
            "1",
            "12.5",
            "0.1",
            "0.3",
            "999999.999",
            "999999.99999999999999999",
            "1e6",
            "1E-3",
            "5e-324",
            "1e400",
            "-1e400",
            "-3.25",
            "123456789012345",
            "1234567890123456",
            "9007199254740993",
            "0.30000000000000004",
            "0.000000000000001",
            "9999999999999999",
            "2.2250738585072014e-308",
            "16.000000000000001",
        ];
        for text in cases {
            let expected = text.parse::<f64>().expect(text) + 0.0;
            assert_eq!(to_f64(text).to_bits(), expected.to_bits(), "{text}");
        }
    }

    #[test]
    fn epochs_are_exact() {
        let cases: &[(&str, Option<i64>)] = &[
            ("0", Some(0)),
            ("-0.0", Some(0)),
            ("-1", None),
            ("1700000000", Some(1_700_000_000_000_000)),
            ("1700000000.123456", Some(1_700_000_000_123_456)),
            ("1700000000.1234569", Some(1_700_000_000_123_456)),
            ("1700000000.1", Some(1_700_000_000_100_000)),
            ("1.7e9", Some(1_700_000_000_000_000)),
            ("17E+8", Some(1_700_000_000_000_000)),
            ("170000000000e-2", Some(1_700_000_000_000_000)),
            ("1700000000000", Some(1_700_000_000_000_000)),
            ("1700000000000.5", Some(1_700_000_000_000_500)),
            ("1700000000000.123456", Some(1_700_000_000_000_123)),
            ("1700000000000000", Some(1_700_000_000_000_000)),
            ("1700000000000000.9", Some(1_700_000_000_000_000)),
            ("99999999999", Some(99_999_999_999_000_000)),
            ("99999999999.9999999", Some(99_999_999_999_999_999)),
            ("100000000000", Some(100_000_000_000_000)),
            ("99999999999999", Some(99_999_999_999_999_000)),
            ("100000000000000", Some(100_000_000_000_000)),
            ("999999999999999999", Some(999_999_999_999_999_999)),
            ("1000000000000000000", None),
            ("1e400", None),
            ("1e99999999999999999999", None),
            ("1e-99999999999999999999", Some(0)),
            ("0e99999999999999999999", Some(0)),
            ("0.0000017", Some(1)),
            ("0.00000099", Some(0)),
        ];
        for (text, expected) in cases {
            assert_eq!(epoch_us(text), *expected, "{text}");
            if let Some(usual) = usual_epoch_us(text) {
                assert_eq!(Some(usual), *expected, "{text}");
            }
        }
    }

    #[test]
    fn written_doubles_come_back() {
        let cases = [
            (0.0, "0"),
            (1.0, "1"),
            (12.5, "12.5"),
            (12.25, "12.25"),
            (0.001, "0.001"),
            (0.1, "0.1"),
            (999_999.999, "999999.999"),
            (1.05, "1.05"),
            (0.30000000000000004, "0.30000000000000004"),
            (1.0 / 3.0, "0.3333333333333333"),
            (1e6, "1000000"),
        ];
        for (value, expected) in cases {
            let mut out = Vec::new();
            write_f64(value, &mut out);
            assert_eq!(std::str::from_utf8(&out), Ok(expected));
        }
        for value in [5e-324, f64::EPSILON, 1e-10, 123.45678901234567, 999_999.999_999_999_9, f64::MAX] {
            let mut out = Vec::new();
            write_f64(value, &mut out);
            assert_eq!(to_f64(std::str::from_utf8(&out).expect("ASCII")).to_bits(), value.to_bits());
        }
    }
}
