//! The JSON of a record, written by hand into the caller's buffer: the fields in the order that decodes fastest, numbers
//! without a detour over floating point.

use streamreel_event::{EventType, write_u64};

use crate::audience::{Player, REGIONS, Stamp, Viewer};
use crate::dice::mix;
use crate::story::{Item, NONE};

const DAY_MS: i64 = 86_400_000;

/// What all events of a view have in common, ready to be copied.
#[derive(Default)]
pub(crate) struct Head {
    /// The `user_id`.
    pub user: Vec<u8>,
    /// From the opening brace to the value of `event_type`.
    pub opening: Vec<u8>,
    /// `duration_s`, `region` and `device`.
    pub place: Vec<u8>,
    /// Makes the event ids; different for every view.
    pub id_base: u64,
    /// Makes the session id.
    pub session: u64,
    pub offset_min: i32,
    /// The player that sends them.
    pub player: Player,
}

impl Head {
    /// Begins another view in the same buffers. `mask`: of the seed, so that seeds don't share ids.
    pub fn begin(&mut self, seed: u64, mask: u64, view: u64, viewer: &Viewer, video: &str, duration_ms: u32) {
        self.player = viewer.player;
        let player = &viewer.player;
        self.id_base = (view << 20) ^ mask;
        self.session = mix(!view ^ mask);
        self.offset_min = REGIONS[viewer.region].offset_min;
        self.user.clear();
        self.user.push(b'u');
        write_u64(seed, &mut self.user);
        self.user.push(b'-');
        padded::<6>(u64::from(viewer.number), &mut self.user);

        let opening = &mut self.opening;
        opening.clear();
        opening.extend_from_slice(b"{\"user_id\":\"");
        opening.extend_from_slice(&self.user);
        opening.extend_from_slice(b"\",\"video_id\":\"");
        opening.extend_from_slice(video.as_bytes());
        if player.session {
            opening.extend_from_slice(b"\",\"session_id\":\"");
            hex(self.session, opening);
        }
        opening.extend_from_slice(b"\",\"event_type\":\"");

        self.place.clear();
        if player.duration {
            self.place.extend_from_slice(b",\"duration_s\":");
            seconds(duration_ms, &mut self.place);
        }
        if player.place {
            text(b",\"region\":\"", REGIONS[viewer.region].code, &mut self.place);
        }
        if let Some(device) = viewer.device {
            text(b",\"device\":\"", device, &mut self.place);
        }
    }

    /// The event id of the view's event with that index; unique for one seed.
    pub fn event_id(&self, index: u32) -> u64 {
        mix(self.id_base ^ u64::from(index))
    }
}

/// Writes an event as the player sends it.
pub(crate) fn event(head: &Head, player: &Player, item: &Item, index: u32, out: &mut Vec<u8>) {
    out.reserve(360);
    out.extend_from_slice(&head.opening);
    kind(item.kind, player.upper_case, out);
    out.extend_from_slice(b"\",\"timestamp\":");
    timestamp(item.ts_ms, player.stamp, head.offset_min, out);
    position(b",\"position_s\":", item.position_ms, out);
    position(b",\"seek_from_s\":", item.seek_from_ms, out);
    position(b",\"seek_to_s\":", item.seek_to_ms, out);
    if item.rate != 0 {
        out.extend_from_slice(b",\"rate\":");
        out.extend_from_slice(rate(item.rate));
    }
    out.extend_from_slice(&head.place);
    if player.sequence {
        out.extend_from_slice(b",\"sequence\":");
        write_u64(u64::from(index), out);
    }
    if player.event_id {
        out.extend_from_slice(b",\"event_id\":\"");
        hex(head.event_id(index), out);
        out.push(b'"');
    }
    if player.extra {
        out.extend_from_slice(b",\"player_version\":\"4.11.2\"");
    }
    out.push(b'}');
}

fn kind(kind: EventType, upper_case: bool, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(kind.as_str().as_bytes());
    if upper_case {
        out[start..].make_ascii_uppercase();
    }
}

fn text(name: &[u8], value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
}

fn position(name: &[u8], position_ms: u32, out: &mut Vec<u8>) {
    if position_ms != NONE {
        out.extend_from_slice(name);
        seconds(position_ms, out);
    }
}

/// The rate in quarters as a number.
fn rate(quarters: u8) -> &'static [u8] {
    match quarters {
        2 => b"0.5",
        3 => b"0.75",
        5 => b"1.25",
        6 => b"1.5",
        8 => b"2",
        _ => b"1",
    }
}

/// Milliseconds as seconds: `12`, `12.5`, `12.345`.
pub(crate) fn seconds(ms: u32, out: &mut Vec<u8>) {
    write_u64(u64::from(ms / 1_000), out);
    let rest = ms % 1_000;
    if rest != 0 {
        out.push(b'.');
        padded::<3>(u64::from(rest), out);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

/// The value of `timestamp`.
fn timestamp(ts_ms: i64, stamp: Stamp, offset_min: i32, out: &mut Vec<u8>) {
    match stamp {
        Stamp::EpochMs => {
            if ts_ms < 0 {
                out.push(b'-');
            }
            write_u64(ts_ms.unsigned_abs(), out);
        }
        Stamp::Utc => {
            out.push(b'"');
            clock(ts_ms, out);
            out.extend_from_slice(b"Z\"");
        }
        Stamp::Local => {
            out.push(b'"');
            clock(ts_ms + i64::from(offset_min) * 60_000, out);
            out.push(if offset_min < 0 { b'-' } else { b'+' });
            let minutes = u64::from(offset_min.unsigned_abs());
            padded::<2>(minutes / 60, out);
            out.push(b':');
            padded::<2>(minutes % 60, out);
            out.push(b'"');
        }
    }
}

fn clock(ms: i64, out: &mut Vec<u8>) {
    day(ms.div_euclid(DAY_MS), out);
    let of_day = ms.rem_euclid(DAY_MS) as u64;
    for (mark, value) in [(b'T', of_day / 3_600_000), (b':', of_day / 60_000 % 60), (b':', of_day / 1_000 % 60)] {
        out.push(mark);
        padded::<2>(value, out);
    }
    out.push(b'.');
    padded::<3>(of_day % 1_000, out);
}

/// The UTC date of a day since the epoch, `2026-01-05`.
pub(crate) fn date(epoch_day: i64) -> String {
    let mut out = Vec::new();
    day(epoch_day, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// Gregorian date of a day, by Howard Hinnant's `civil_from_days`.
fn day(epoch_day: i64, out: &mut Vec<u8>) {
    let z = epoch_day + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    padded::<4>(year.unsigned_abs(), out);
    out.push(b'-');
    padded::<2>(month as u64, out);
    out.push(b'-');
    padded::<2>(day as u64, out);
}

/// Decimal digits, at least `N` of them.
fn padded<const N: usize>(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit += (value % 10) as u8;
        value /= 10;
    }
    if value > 0 {
        write_u64(value, out);
    }
    out.extend_from_slice(&digits);
}

/// 16 hexadecimal digits.
pub(crate) fn hex(value: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 16];
    for (place, digit) in digits.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(value >> (60 - 4 * place) & 15) as usize];
    }
    out.extend_from_slice(&digits);
}

#[cfg(test)]
mod tests {
    use super::{Stamp, date, seconds, timestamp};

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn milliseconds_are_written_as_seconds() {
        for (ms, wanted) in
            [(0, "0"), (7, "0.007"), (500, "0.5"), (12_000, "12"), (12_340, "12.34"), (999_999_999, "999999.999")]
        {
            assert_eq!(text(|out| seconds(ms, out)), wanted);
        }
    }

    #[test]
    fn timestamps_are_written_in_three_ways() {
        let at = 1_767_639_851_250;
        for (stamp, offset_min, wanted) in [
            (Stamp::Utc, 330, "\"2026-01-05T19:04:11.250Z\""),
            (Stamp::Local, 330, "\"2026-01-06T00:34:11.250+05:30\""),
            (Stamp::Local, -480, "\"2026-01-05T11:04:11.250-08:00\""),
            (Stamp::EpochMs, 330, "1767639851250"),
        ] {
            assert_eq!(text(|out| timestamp(at, stamp, offset_min, out)), wanted);
        }
    }

    #[test]
    fn days_are_dates() {
        for (day, wanted) in [(0, "1970-01-01"), (-1, "1969-12-31"), (11_016, "2000-02-29"), (20_458, "2026-01-05")] {
            assert_eq!(date(day), wanted);
        }
    }
}
