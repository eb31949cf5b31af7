//! From records to a columnar batch.

use arrow_array::RecordBatch;

use crate::builders::Columns;
use crate::identity::{HexId, IdField, hash_id};
use crate::parsed::Parsed;
use crate::validate::{self, Event};
use crate::vocabulary::Reject;
use crate::{MAX_RECORD_BYTES, detail, fast, general};

/// Decodes and validates records, one row each. Reusable: [`Decoder::finish`] hands over the rows and begins anew. Nothing is
/// allocated for a valid record beyond the growth of the columns.
///
/// A batch's text columns hold up to 2 GiB each (Arrow's 32-bit offsets); [`Decoder::push`] panics beyond, so
/// finish a batch before [`Decoder::bytes`] gets there.
#[derive(Debug)]
pub struct Decoder {
    parsed: Parsed,
    columns: Columns,
    bytes: usize,
    scratch: Scratch,
}

/// Buffers that keep their capacity from record to record.
#[derive(Debug, Default)]
struct Scratch {
    detail: String,
    corrections: String,
    extra: Vec<u8>,
    string: String,
    identity: Vec<u8>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// An empty decoder.
    pub fn new() -> Self {
        Self { parsed: Parsed::default(), columns: Columns::new(), bytes: 0, scratch: Scratch::default() }
    }

    /// Adds one record. `received_at_us`: when it arrived, microseconds since 1970-01-01 UTC (event times up to 24 h later are valid).
    /// `cut`: it was longer than [`MAX_RECORD_BYTES`] and only its beginning is here.
    #[inline]
    pub fn push(&mut self, payload: &[u8], received_at_us: i64, cut: bool) {
        self.bytes += payload.len();
        if let Err(reason) = self.decode(payload, received_at_us, cut) {
            self.columns.append_rejected(reason, &self.scratch.detail);
        }
    }

    /// The number of rows so far.
    #[inline]
    pub fn len(&self) -> usize {
        self.columns.rows()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.columns.rows() == 0
    }

    /// The bytes of the records pushed since the last [`Decoder::finish`]: an upper bound of each text column's size,
    /// derived ids (32 bytes each) and reasons apart.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The rows as a batch of [`crate::decoded_schema`], in the order in which they were pushed. The decoder is empty afterwards.
    pub fn finish(&mut self) -> RecordBatch {
        self.bytes = 0;
        self.columns.finish()
    }

    /// Appends a valid row, or leaves what is wrong in `scratch.detail`.
    #[inline]
    fn decode(&mut self, payload: &[u8], received_at_us: i64, cut: bool) -> Result<(), Reject> {
        let Self { parsed, columns, scratch, .. } = self;
        if cut || payload.len() > MAX_RECORD_BYTES {
            detail::too_large(payload.len(), cut, &mut scratch.detail);
            return Err(Reject::TooLarge);
        }
        let record = match simdutf8::compat::from_utf8(payload) {
            Ok(record) => record,
            Err(error) => {
                detail::invalid_utf8(error.valid_up_to(), &mut scratch.detail);
                return Err(Reject::InvalidUtf8);
            }
        };
        if !fast::parse(record, parsed) {
            general::parse(record, parsed).map_err(|problem| {
                detail::problem(problem, &mut scratch.detail);
                match problem {
                    general::Problem::NotJson(_) => Reject::NotJson,
                    general::Problem::NotAnObject(_) => Reject::NotAnObject,
                }
            })?;
        }
        let extra = if parsed.has_extra() {
            scratch.extra.clear();
            parsed.write_extra(record, &mut scratch.extra, &mut scratch.string);
            // What was written is made of UTF-8 at its character boundaries; a failed check would be a fault of this crate.
            Some(std::str::from_utf8(&scratch.extra).expect("extra is written from UTF-8"))
        } else {
            None
        };
        let event = validate::validate(record, parsed, received_at_us).map_err(|rejection| {
            detail::rejection(rejection, record, parsed, &mut scratch.detail);
            rejection.reason
        })?;
        let derived;
        let event_id = match event.event_id {
            Some(id) => id,
            None => {
                derived = derive_event_id(&event, extra, &mut scratch.identity);
                derived.as_str()
            }
        };
        scratch.corrections.clear();
        event.corrections.write(&mut scratch.corrections);
        let corrections = (!event.corrections.is_empty()).then_some(scratch.corrections.as_str());
        columns.append_event(&event, event_id, extra, corrections);
        Ok(())
    }
}

/// The id of an event that came without one: the identity of all its other fields, in the order of `bronze.events`.
fn derive_event_id(event: &Event<'_>, extra: Option<&str>, scratch: &mut Vec<u8>) -> HexId {
    let fields: [IdField<'_>; 14] = [
        event.user_id.into(),
        event.video_id.into(),
        event.session_id.into(),
        event.event_type.as_str().into(),
        event.event_ts_us.into(),
        event.position_s.into(),
        event.seek_from_s.into(),
        event.seek_to_s.into(),
        event.rate.into(),
        event.duration_s.into(),
        event.region.as_ref().map(|region| region.as_str()).into(),
        event.device.into(),
        event.sequence.into(),
        extra.into(),
    ];
    hash_id(fields, scratch)
}
