//! From records to a columnar batch.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::builder::{Float64Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder};

use crate::identity::{HexId, IdField, hash_id};
use crate::parsed::Parsed;
use crate::validate::{self, Event};
use crate::vocabulary::Reject;
use crate::{MAX_RECORD_BYTES, detail, fast, general, schema};

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
        self.columns.rows
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.columns.rows == 0
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
        let record = match std::str::from_utf8(payload) {
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

/// One builder a column.
#[derive(Debug)]
struct Columns {
    rows: usize,
    reason: StringBuilder,
    detail: StringBuilder,
    event_id: StringBuilder,
    user_id: StringBuilder,
    video_id: StringBuilder,
    session_id: StringBuilder,
    event_type: StringBuilder,
    event_ts: TimestampMicrosecondBuilder,
    position_s: Float64Builder,
    seek_from_s: Float64Builder,
    seek_to_s: Float64Builder,
    rate: Float64Builder,
    duration_s: Float64Builder,
    region: StringBuilder,
    device: StringBuilder,
    sequence: Int64Builder,
    extra: StringBuilder,
    corrections: StringBuilder,
}

impl Columns {
    fn new() -> Self {
        Self {
            rows: 0,
            reason: StringBuilder::new(),
            detail: StringBuilder::new(),
            event_id: StringBuilder::new(),
            user_id: StringBuilder::new(),
            video_id: StringBuilder::new(),
            session_id: StringBuilder::new(),
            event_type: StringBuilder::new(),
            event_ts: TimestampMicrosecondBuilder::new().with_data_type(schema::timestamp_type()),
            position_s: Float64Builder::new(),
            seek_from_s: Float64Builder::new(),
            seek_to_s: Float64Builder::new(),
            rate: Float64Builder::new(),
            duration_s: Float64Builder::new(),
            region: StringBuilder::new(),
            device: StringBuilder::new(),
            sequence: Int64Builder::new(),
            extra: StringBuilder::new(),
            corrections: StringBuilder::new(),
        }
    }

    #[inline]
    fn append_event(&mut self, event: &Event<'_>, event_id: &str, extra: Option<&str>, corrections: Option<&str>) {
        self.rows += 1;
        self.reason.append_null();
        self.detail.append_null();
        self.event_id.append_value(event_id);
        self.user_id.append_value(event.user_id);
        self.video_id.append_value(event.video_id);
        self.session_id.append_option(event.session_id);
        self.event_type.append_value(event.event_type.as_str());
        self.event_ts.append_value(event.event_ts_us);
        self.position_s.append_option(event.position_s);
        self.seek_from_s.append_option(event.seek_from_s);
        self.seek_to_s.append_option(event.seek_to_s);
        self.rate.append_option(event.rate);
        self.duration_s.append_option(event.duration_s);
        self.region.append_option(event.region.as_ref().map(|region| region.as_str()));
        self.device.append_option(event.device);
        self.sequence.append_option(event.sequence);
        self.extra.append_option(extra);
        self.corrections.append_option(corrections);
    }

    #[cold]
    fn append_rejected(&mut self, reason: Reject, detail: &str) {
        self.rows += 1;
        self.reason.append_value(reason.as_str());
        self.detail.append_value(detail);
        self.event_id.append_null();
        self.user_id.append_null();
        self.video_id.append_null();
        self.session_id.append_null();
        self.event_type.append_null();
        self.event_ts.append_null();
        self.position_s.append_null();
        self.seek_from_s.append_null();
        self.seek_to_s.append_null();
        self.rate.append_null();
        self.duration_s.append_null();
        self.region.append_null();
        self.device.append_null();
        self.sequence.append_null();
        self.extra.append_null();
        self.corrections.append_null();
    }

    fn finish(&mut self) -> RecordBatch {
        self.rows = 0;
        let columns: Vec<arrow_array::ArrayRef> = vec![
            Arc::new(self.reason.finish()),
            Arc::new(self.detail.finish()),
            Arc::new(self.event_id.finish()),
            Arc::new(self.user_id.finish()),
            Arc::new(self.video_id.finish()),
            Arc::new(self.session_id.finish()),
            Arc::new(self.event_type.finish()),
            Arc::new(self.event_ts.finish()),
            Arc::new(self.position_s.finish()),
            Arc::new(self.seek_from_s.finish()),
            Arc::new(self.seek_to_s.finish()),
            Arc::new(self.rate.finish()),
            Arc::new(self.duration_s.finish()),
            Arc::new(self.region.finish()),
            Arc::new(self.device.finish()),
            Arc::new(self.sequence.finish()),
            Arc::new(self.extra.finish()),
            Arc::new(self.corrections.finish()),
        ];
        RecordBatch::try_new(schema::decoded_schema(), columns).expect("every append adds one row to each column of the schema")
    }
}
