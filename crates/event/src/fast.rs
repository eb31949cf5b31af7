//! The fast path: records whose fields come in the usual order ([`crate::FIELD_ORDER`]).
//!
//! It never judges. What it does not recognise at once (another order, an unknown or repeated field, an escape, more
//! space, a syntax error) it leaves to the general path, which must find the same in whatever this one accepts.

use crate::parsed::{Field, Kind, Parsed, Value};
use crate::text::{first_special, number_end};

/// Takes the record apart, or says that it is not in the usual form; `parsed` then holds nothing of use.
#[inline]
pub fn parse(record: &str, parsed: &mut Parsed) -> bool {
    let bytes = record.as_bytes();
    parsed.clear();
    if bytes.first() != Some(&b'{') {
        return false;
    }
    let mut at = 1;
    // One comparison with a constant a field: a field that is not there costs its comparison.
    macro_rules! field {
        ($field:ident, $key:literal) => {
            if bytes.get(at..).is_some_and(|rest| rest.starts_with($key)) {
                at += $key.len();
                match value(bytes, at) {
                    Some((found, end)) => {
                        parsed.set(Field::$field, found);
                        match bytes.get(end) {
                            Some(b',') => at = end + 1,
                            Some(b'}') => return bytes.len() == end + 1,
                            _ => return false,
                        }
                    }
                    None => return false,
                }
                if bytes.get(at) == Some(&b' ') {
                    at += 1;
                }
            }
        };
    }
    field!(UserId, b"\"user_id\":");
    field!(VideoId, b"\"video_id\":");
    field!(SessionId, b"\"session_id\":");
    field!(EventType, b"\"event_type\":");
    field!(Timestamp, b"\"timestamp\":");
    field!(PositionS, b"\"position_s\":");
    field!(SeekFromS, b"\"seek_from_s\":");
    field!(SeekToS, b"\"seek_to_s\":");
    field!(Rate, b"\"rate\":");
    field!(DurationS, b"\"duration_s\":");
    field!(Region, b"\"region\":");
    field!(Device, b"\"device\":");
    field!(Sequence, b"\"sequence\":");
    field!(EventId, b"\"event_id\":");
    let _ = at;
    false
}

/// The value at `at`, after at most one space, and its end.
#[inline(always)]
fn value(bytes: &[u8], mut at: usize) -> Option<(Value, usize)> {
    if bytes.get(at) == Some(&b' ') {
        at += 1;
    }
    match bytes.get(at)? {
        b'"' => {
            let end = first_special(bytes, at + 1)?;
            (bytes[end] == b'"').then(|| (Value::new(Kind::Text, at + 1, end), end + 1))
        }
        b'-' | b'0'..=b'9' => {
            let end = number_end(bytes, at).ok()?;
            Some((Value::new(Kind::Number, at, end), end))
        }
        b'n' if bytes[at..].starts_with(b"null") => Some((Value::ABSENT, at + 4)),
        _ => None,
    }
}
