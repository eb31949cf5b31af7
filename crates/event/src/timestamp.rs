//! RFC 3339 in both directions, to the microsecond. Never reads a clock.
//!
//! Accepted is `full-date`, then `T`, `t` or one space, then `hh:mm:ss`, a fraction of one or more digits if any (cut off after
//! the sixth), and an offset: `Z`, `z`, `+hh:mm` or `-hh:mm` below 24 h (`-00:00` included). Dates are of the
//! proleptic Gregorian calendar, years 0000 to 9999. Second 60 is accepted where a leap second can be, at 23:59 UTC of
//! a month's last day, and counts as the first second of the next day, as POSIX time has it.

pub const MICROS_PER_SECOND: i64 = 1_000_000;
pub const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// 2000-01-01T00:00:00Z, the earliest valid event time, in microseconds since 1970-01-01 UTC.
pub const EARLIEST_US: i64 = 946_684_800 * MICROS_PER_SECOND;

/// How far after its arrival an event's time may lie, in microseconds.
pub const MAX_AHEAD_US: i64 = MICROS_PER_DAY;

/// The first instant that RFC 3339 can't write: 10000-01-01T00:00:00Z.
const YEAR_10000_US: i64 = 253_402_300_800 * MICROS_PER_SECOND;
const YEAR_0_US: i64 = -62_167_219_200 * MICROS_PER_SECOND;

/// Microseconds since 1970-01-01 UTC, `None` if it is not as described above.
#[inline]
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let (head, mut rest) = text.as_bytes().split_first_chunk::<19>()?;
    let separators = head[4] == b'-' && head[7] == b'-' && head[13] == b':' && head[16] == b':';
    if !separators || !matches!(head[10], b'T' | b't' | b' ') {
        return None;
    }
    let year = two(head[0], head[1])? * 100 + two(head[2], head[3])?;
    let (month, day) = (two(head[5], head[6])?, two(head[8], head[9])?);
    let (hour, minute, second) = (two(head[11], head[12])?, two(head[14], head[15])?, two(head[17], head[18])?);
    if !(1..=12).contains(&month)
        || day < 1
        || day > days_in_month(year, month)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let mut micros = 0;
    if let [b'.', fraction @ ..] = rest {
        let mut scale = 100_000;
        let mut length = 0;
        while let Some(digit) = fraction.get(length).and_then(|&byte| digit(byte)) {
            micros += digit * scale;
            scale /= 10;
            length += 1;
        }
        if length == 0 {
            return None;
        }
        rest = &fraction[length..];
    }
    let offset_minutes = match *rest {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (two(h1, h2)?, two(m1, m2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * 60 + minutes;
            if sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset_minutes * 60;
    if second == 60 && !begins_month(seconds) {
        return None;
    }
    Some(seconds * MICROS_PER_SECOND + micros)
}

/// Appends an instant as a JSON value: RFC 3339 in UTC with six digits and `Z`, in quotes: `"2026-01-31T08:05:09.000120Z"`. Outside of
/// the years 0000 to 9999, which RFC 3339 can't write, the number of microseconds takes its place.
#[inline]
pub fn write_timestamp(us: i64, out: &mut Vec<u8>) {
    if !(YEAR_0_US..YEAR_10000_US).contains(&us) {
        if us < 0 {
            out.push(b'-');
        }
        return crate::number::write_u64(us.unsigned_abs(), out);
    }
    let (days, in_day) = (us.div_euclid(MICROS_PER_DAY), us.rem_euclid(MICROS_PER_DAY));
    let (year, month, day) = civil_from_days(days);
    let (second, micros) = ((in_day / MICROS_PER_SECOND) as u32, (in_day % MICROS_PER_SECOND) as u32);
    let mut text = *b"\"0000-00-00T00:00:00.000000Z\"";
    let mut put = |at: usize, value: u32| {
        text[at] = b'0' + (value / 10) as u8;
        text[at + 1] = b'0' + (value % 10) as u8;
    };
    put(1, year as u32 / 100);
    put(3, year as u32 % 100);
    put(6, month);
    put(9, day);
    put(12, second / 3600);
    put(15, second / 60 % 60);
    put(18, second % 60);
    put(21, micros / 10_000);
    put(23, micros / 100 % 100);
    put(25, micros % 100);
    out.extend_from_slice(&text);
}

#[inline(always)]
fn digit(byte: u8) -> Option<i64> {
    let value = byte.wrapping_sub(b'0');
    (value < 10).then_some(i64::from(value))
}

#[inline(always)]
fn two(tens: u8, ones: u8) -> Option<i64> {
    Some(digit(tens)? * 10 + digit(ones)?)
}

#[inline(always)]
fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Whether an instant (in seconds) is the first of a month.
fn begins_month(seconds: i64) -> bool {
    seconds.rem_euclid(86_400) == 0 && civil_from_days(seconds.div_euclid(86_400)).2 == 1
}

/// Days since 1970-01-01 of a proleptic Gregorian date (Howard Hinnant's algorithm, year >= 0).
#[inline(always)]
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year } + 400;
    let era = year / 400;
    let year_of_era = year % 400;
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era - 1) * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`]: year, month, day.
#[inline(always)]
fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month as u32, day as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_3339_is_taken_exactly() {
        let cases: &[(&str, Option<i64>)] = &[
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-01-01T00:00:00Z", Some(EARLIEST_US)),
            ("2023-11-14T22:13:20Z", Some(1_700_000_000_000_000)),
            ("2023-11-14t22:13:20z", Some(1_700_000_000_000_000)),
            ("2023-11-14 22:13:20Z", Some(1_700_000_000_000_000)),
            ("2023-11-14T22:13:20.5Z", Some(1_700_000_000_500_000)),
            ("2023-11-14T22:13:20.123456Z", Some(1_700_000_000_123_456)),
            ("2023-11-14T22:13:20.123456999Z", Some(1_700_000_000_123_456)),
            ("2023-11-14T22:13:20.000000000000000000000000000009Z", Some(1_700_000_000_000_000)),
            ("2023-11-14T23:43:20+01:30", Some(1_700_000_000_000_000)),
            ("2023-11-14T17:13:20-05:00", Some(1_700_000_000_000_000)),
            ("2023-11-14T22:13:20-00:00", Some(1_700_000_000_000_000)),
            ("2023-11-15T22:12:20+23:59", Some(1_700_000_000_000_000)),
            ("2024-02-29T00:00:00Z", Some(1_709_164_800_000_000)),
            ("0000-01-01T00:00:00Z", Some(YEAR_0_US)),
            ("9999-12-31T23:59:59.999999Z", Some(YEAR_10000_US - 1)),
            // Leap seconds: where there can be one, it is the next day's first second.
            ("2016-12-31T23:59:60Z", Some(1_483_228_800_000_000)),
            ("2016-12-31T23:59:60.25Z", Some(1_483_228_800_250_000)),
            ("2017-01-01T08:59:60+09:00", Some(1_483_228_800_000_000)),
            ("2016-12-30T23:59:60Z", None),
            ("2016-12-31T22:59:60Z", None),
            ("2016-12-31T23:59:61Z", None),
            // No such date or time.
            ("2023-02-29T00:00:00Z", None),
            ("2100-02-29T00:00:00Z", None),
            ("2023-13-01T00:00:00Z", None),
            ("2023-00-01T00:00:00Z", None),
            ("2023-01-00T00:00:00Z", None),
            ("2023-04-31T00:00:00Z", None),
            ("2023-01-01T24:00:00Z", None),
            ("2023-01-01T00:60:00Z", None),
            ("2023-01-01T00:00:00+24:00", None),
            ("2023-01-01T00:00:00+00:60", None),
            // Not RFC 3339.
            ("", None),
            ("2023-11-14", None),
            ("2023-11-14T22:13:20", None),
            ("2023-11-14T22:13Z", None),
            ("2023-11-14T22:13:20.Z", None),
            ("2023-11-14T22:13:20,5Z", None),
            ("2023-11-14T22:13:20 Z", None),
            ("2023-11-14  22:13:20Z", None),
            ("2023-11-14T22:13:20+0100", None),
            ("2023-11-14T22:13:20+01", None),
            ("2023-11-14T22:13:20Zx", None),
            (" 2023-11-14T22:13:20Z", None),
            ("2023-11-14T22:13:20Z ", None),
            ("20231114T221320Z", None),
            ("+2023-11-14T22:13:20Z", None),
            ("2023-1-14T22:13:20.0Z", None),
            ("1700000000", None),
            ("2023-11-14T22:13:2\u{0665}Z", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_rfc3339(text), *expected, "{text}");
        }
    }

    #[test]
    fn dates_come_back() {
        let mut out = Vec::new();
        // Every 7 hours and a bit over 400 years and more, and every day's neighbourhood of the calendar's corners.
        let mut us = YEAR_0_US;
        while us < YEAR_10000_US {
            out.clear();
            write_timestamp(us, &mut out);
            let text = std::str::from_utf8(&out).expect("ASCII").trim_matches('"');
            assert_eq!(parse_rfc3339(text), Some(us), "{text}");
            us += 25_211_000_123 * 37;
        }
    }

    #[test]
    fn timestamps_have_one_form() {
        let cases = [
            (0, "\"1970-01-01T00:00:00.000000Z\""),
            (-1, "\"1969-12-31T23:59:59.999999Z\""),
            (1_769_846_709_000_120, "\"2026-01-31T08:05:09.000120Z\""),
            (YEAR_10000_US, "253402300800000000"),
        ];
        for (us, expected) in cases {
            let mut out = Vec::new();
            write_timestamp(us, &mut out);
            assert_eq!(std::str::from_utf8(&out), Ok(expected));
        }
    }
}
