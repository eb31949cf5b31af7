//! The key under which a record enters a topic.

use crate::parsed::Parsed;
use crate::{MAX_RECORD_BYTES, fast, general, validate};

/// Buffers of [`producer_key`], reused from record to record.
#[derive(Debug, Default)]
pub struct KeyScratch {
    parsed: Parsed,
}

/// The record's `user_id` exactly as [`crate::Decoder`] gives it (trimmed; an integer as its decimal text), so that all copies of an
/// event share a partition. `None` where a record has no valid one, or is too large or no JSON object. A record that
/// is rejected for another field's sake keeps its key.
#[inline]
pub fn producer_key<'a>(payload: &'a [u8], scratch: &'a mut KeyScratch) -> Option<&'a str> {
    if payload.len() > MAX_RECORD_BYTES {
        return None;
    }
    let record = std::str::from_utf8(payload).ok()?;
    if !fast::parse(record, &mut scratch.parsed) {
        general::parse(record, &mut scratch.parsed).ok()?;
    }
    validate::user_id(record, &scratch.parsed)
}
