//! The normalised JSON of clean events.

use crate::columns::EventColumns;
use crate::number::{write_f64, write_u64};
use crate::text::write_escaped;
use crate::timestamp::write_timestamp;

/// Appends a valid row as one JSON object without a line end: the known fields in [`crate::FIELD_ORDER`], those that are null left
/// out, `event_id` always there, the timestamp RFC 3339 in UTC with six digits and `Z`, then the unknown fields. Decoding it
/// again gives the same row, corrections apart (their fields are null by then).
///
/// The row must be valid: of a rejected row this writes an object that is none of an event.
pub fn write_clean_json(columns: &EventColumns<'_>, row: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"user_id\":");
    string(columns.user_id(row), out);
    out.extend_from_slice(b",\"video_id\":");
    string(columns.video_id(row), out);
    optional_string(b",\"session_id\":", columns.session_id(row), out);
    out.extend_from_slice(b",\"event_type\":");
    string(columns.event_type(row).map_or("", |kind| kind.as_str()), out);
    out.extend_from_slice(b",\"timestamp\":");
    write_timestamp(columns.event_ts_us(row), out);
    optional_number(b",\"position_s\":", columns.position_s(row), out);
    optional_number(b",\"seek_from_s\":", columns.seek_from_s(row), out);
    optional_number(b",\"seek_to_s\":", columns.seek_to_s(row), out);
    optional_number(b",\"rate\":", columns.rate(row), out);
    optional_number(b",\"duration_s\":", columns.duration_s(row), out);
    optional_string(b",\"region\":", columns.region(row), out);
    optional_string(b",\"device\":", columns.device(row), out);
    if let Some(sequence) = columns.sequence(row) {
        out.extend_from_slice(b",\"sequence\":");
        write_u64(sequence.unsigned_abs(), out);
    }
    out.extend_from_slice(b",\"event_id\":");
    string(columns.event_id(row), out);
    if let Some(fields) = columns.extra(row).and_then(|extra| extra.strip_prefix('{')) {
        out.push(b',');
        out.extend_from_slice(fields.as_bytes());
    } else {
        out.push(b'}');
    }
}

#[inline(always)]
fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    write_escaped(text, out);
    out.push(b'"');
}

#[inline(always)]
fn optional_string(key: &[u8], text: Option<&str>, out: &mut Vec<u8>) {
    if let Some(text) = text {
        out.extend_from_slice(key);
        string(text, out);
    }
}

#[inline(always)]
fn optional_number(key: &[u8], number: Option<f64>, out: &mut Vec<u8>) {
    if let Some(number) = number {
        out.extend_from_slice(key);
        write_f64(number, out);
    }
}
