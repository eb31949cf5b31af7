//! Records to events: the decoder over batches.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, LargeBinaryBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, BinaryViewArray, BooleanArray, Int64Array, RecordBatch};
use arrow_cast::{CastOptions, cast, cast_with_options};
use arrow_schema::{DataType, SchemaRef, TimeUnit};
use arrow_select::concat::concat_batches;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use streamreel_event::{Decoder, EventColumns, KeyScratch, producer_key, write_clean_json};

use crate::batch::PyRecordBatch;
use crate::capsule;

/// Text columns of a decoded batch hold up to 2 GiB each; ids and reasons that are not in the payloads come on top of these.
const MOST_BYTES: usize = 1 << 30;

/// Decodes and validates records, one row each, in their order, exactly as the processor does.
///
/// Input columns: `payload` (binary or text; null is an empty record), `received_at` (the record's timestamp: a timestamp of any
/// unit, or int64 milliseconds of the epoch, as Kafka's clients give it; never null), `is_cut` (bool, may be left out: the
/// record was longer than 32 KiB and only its beginning is here).
///
/// Columns out: `reason`, `detail` (text; both null where the row is a valid event, else all others are null), `event_id`, `user_id`,
/// `video_id`, `session_id`, `event_type` (text), `event_ts` (timestamp), `position_s`, `seek_from_s`, `seek_to_s` (content seconds), `rate`,
/// `duration_s` (seconds), `region`, `device` (text), `sequence` (int64), `extra` (the unknown fields, JSON text),
/// `corrections` (names, comma-separated).
///
/// Duplicates are not looked for: whether a record is one depends on the records before it in its partition.
/// At most 1 GiB of payloads at a time.
#[pyfunction]
pub fn decode(py: Python<'_>, records: &Bound<'_, PyAny>) -> PyResult<PyRecordBatch> {
    let (schema, batches) = capsule::batches(records)?;
    let decoded = py.detach(|| {
        let records = Records::of(&schema, &batches)?;
        Ok::<_, String>(records.decode())
    });
    decoded.map(PyRecordBatch).map_err(PyValueError::new_err)
}

/// The rows of `decode` as the processor writes them to `clean-events`: a column `payload` (binary), null for rejected rows.
#[pyfunction]
pub fn clean_json(py: Python<'_>, decoded: &Bound<'_, PyAny>) -> PyResult<PyRecordBatch> {
    let (schema, batches) = capsule::batches(decoded)?;
    py.detach(|| normalised(&schema, &batches)).map(PyRecordBatch).map_err(PyValueError::new_err)
}

/// The keys under which records enter a topic, so that all copies of an event share a partition.
///
/// Input column: `payload`, as `decode` takes it. Column out: `key` (binary): the record's `user_id` exactly as `decode` gives it, null where
/// there is none to read; a record that is rejected for another field's sake keeps its key.
#[pyfunction]
pub fn producer_keys(py: Python<'_>, records: &Bound<'_, PyAny>) -> PyResult<PyRecordBatch> {
    let (schema, batches) = capsule::batches(records)?;
    let keys = py.detach(|| {
        let all = concat_batches(&schema, &batches).map_err(|e| format!("producer_keys: {e}"))?;
        let payload = payloads(column(&all, "payload")?.ok_or_else(|| missing("payload", &all))?)?;
        let mut scratch = KeyScratch::default();
        let mut keys = BinaryBuilder::new();
        for record in &payload {
            keys.append_option(record.and_then(|record| producer_key(record, &mut scratch)));
        }
        let keys: ArrayRef = Arc::new(keys.finish());
        RecordBatch::try_from_iter_with_nullable([("key", keys, true)]).map_err(|e| format!("producer_keys: {e}"))
    });
    keys.map(PyRecordBatch).map_err(PyValueError::new_err)
}

/// The records of some batches, in columns of one type each.
struct Records {
    payload: BinaryViewArray,
    received_at_us: Int64Array,
    is_cut: Option<BooleanArray>,
}

impl Records {
    fn of(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Self, String> {
        let all = concat_batches(schema, batches).map_err(|e| format!("decode: {e}"))?;
        let payload = column(&all, "payload")?.ok_or_else(|| missing("payload", &all))?;
        let received = column(&all, "received_at")?.ok_or_else(|| missing("received_at", &all))?;
        let records = Self {
            payload: payloads(payload)?,
            received_at_us: microseconds(received)?,
            is_cut: column(&all, "is_cut")?.map(flags).transpose()?,
        };
        let bytes = records.payload.lengths().map(|length| length as usize).sum::<usize>();
        if bytes > MOST_BYTES {
            return Err(format!(
                "decode: {bytes} bytes of payloads at once; give at most {MOST_BYTES}, in several batches"
            ));
        }
        Ok(records)
    }

    fn decode(&self) -> RecordBatch {
        let mut decoder = Decoder::new();
        for row in 0..self.payload.len() {
            // A record without a payload has no bytes, as in the log.
            let payload = if self.payload.is_valid(row) { self.payload.value(row) } else { b"" };
            let is_cut = self.is_cut.as_ref().is_some_and(|cut| cut.is_valid(row) && cut.value(row));
            decoder.push(payload, self.received_at_us.value(row), is_cut);
        }
        decoder.finish()
    }
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<Option<&'a ArrayRef>, String> {
    let found: Vec<usize> =
        (0..batch.num_columns()).filter(|&index| batch.schema_ref().field(index).name() == name).collect();
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(batch.column(*one))),
        _ => Err(format!("decode: the column `{name}` is there {} times", found.len())),
    }
}

fn missing(name: &str, batch: &RecordBatch) -> String {
    let there: Vec<_> = batch.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
    format!("decode: no column `{name}`; there are: {}", there.join(", "))
}

fn payloads(column: &ArrayRef) -> Result<BinaryViewArray, String> {
    let kind = column.data_type();
    let binary = match kind {
        DataType::Utf8 => &DataType::Binary,
        DataType::LargeUtf8 => &DataType::LargeBinary,
        DataType::Utf8View => &DataType::BinaryView,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => kind,
        other => return Err(format!("decode: `payload` is {other}; give binary or text")),
    };
    let as_binary = cast(column, binary).and_then(|column| cast(&column, &DataType::BinaryView));
    as_binary.map(|column| column.as_binary_view().clone()).map_err(|e| format!("decode: `payload`: {e}"))
}

/// Milliseconds as numbers are what Kafka's clients give.
fn microseconds(column: &ArrayRef) -> Result<Int64Array, String> {
    let wrong = |e: arrow_schema::ArrowError| format!("decode: `received_at`: {e}");
    let micros: Int64Array = match column.data_type() {
        DataType::Timestamp(_, zone) => {
            let strict = CastOptions { safe: false, ..CastOptions::default() };
            let micros = cast_with_options(column, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()), &strict);
            cast(&micros.map_err(wrong)?, &DataType::Int64).map_err(wrong)?.as_primitive::<Int64Type>().clone()
        }
        DataType::Int64 => column.as_primitive::<Int64Type>().unary(|ms| ms.saturating_mul(1000)),
        other => return Err(format!("decode: `received_at` is {other}; give a timestamp, or milliseconds as int64")),
    };
    match (0..micros.len()).find(|&row| micros.is_null(row)) {
        Some(row) => {
            Err(format!("decode: row {row} has no `received_at`; it decides whether an event's time is possible"))
        }
        None => Ok(micros),
    }
}

fn flags(column: &ArrayRef) -> Result<BooleanArray, String> {
    let found = column.data_type();
    column.as_boolean_opt().cloned().ok_or_else(|| format!("decode: `is_cut` is {found}; give booleans"))
}

fn normalised(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<RecordBatch, String> {
    let wrong = |e: &dyn std::fmt::Display| format!("clean_json: {e}");
    let all = concat_batches(schema, batches).map_err(|e| wrong(&e))?;
    let wanted = streamreel_event::decoded_schema();
    let mut columns = Vec::with_capacity(wanted.fields().len());
    for field in wanted.fields() {
        let column = all.column_by_name(field.name()).ok_or_else(|| wrong(&format!("no column `{}`", field.name())))?;
        columns.push(cast(column, field.data_type()).map_err(|e| wrong(&format!("`{}`: {e}", field.name())))?);
    }
    let decoded = RecordBatch::try_new(wanted, columns).map_err(|e| wrong(&e))?;
    let events = EventColumns::new(&decoded).map_err(|e| wrong(&e))?;
    let mut json = Vec::new();
    let mut out = LargeBinaryBuilder::new();
    for row in 0..events.len() {
        if !events.is_valid(row) {
            out.append_null();
            continue;
        }
        if let Some(lacking) = ["event_id", "user_id", "video_id", "event_type", "event_ts"]
            .into_iter()
            .find(|name| decoded[*name].is_null(row))
        {
            return Err(wrong(&format!("row {row} has neither a reason nor a `{lacking}`; give what decode returned")));
        }
        json.clear();
        write_clean_json(&events, row, &mut json);
        out.append_value(&json);
    }
    let column: ArrayRef = Arc::new(out.finish());
    RecordBatch::try_from_iter_with_nullable([("payload", column, true)]).map_err(|e| wrong(&e))
}
