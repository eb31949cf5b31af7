//! Which records of a partition are copies: the deduplication window over batches.

use arrow_array::builder::FixedSizeBinaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, BooleanArray, FixedSizeBinaryArray, Int64Array, RecordBatch, StringArray};
use arrow_cast::cast;
use arrow_schema::{DataType, SchemaRef};
use arrow_select::concat::concat_batches;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use streamreel_dedupe::{Deduplicator, Key, Window, key};

use crate::batch::PyRecordBatch;
use crate::capsule;

const KEY_BYTES: i32 = size_of::<Key>() as i32;

/// What tells the copies of an event from other events: a hash of `user_id` and `event_id`.
///
/// Takes what `decode` returned; of it `user_id` and `event_id` are enough. Columns out: `key` (16 bytes; null where the row is not
/// valid), a row a row.
#[pyfunction]
pub fn dedupe_keys(py: Python<'_>, decoded: &Bound<'_, PyAny>) -> PyResult<PyRecordBatch> {
    let (schema, batches) = capsule::batches(decoded)?;
    py.detach(|| keys_of(&schema, &batches)).map(PyRecordBatch).map_err(PyValueError::new_err)
}

/// The deduplication window of one partition, as the processor's: a valid record is a copy when a valid record with its key came before
/// it and its timestamp is at most `window_ms` after that one's; each copy renews the window. Which records the window forgets, and
/// when, follows from offsets and timestamps alone: whoever begins with the records from `oldest_offset` on goes on alike.
///
/// `window_ms`: the processor's `process.dedupe_window`, in milliseconds. `max_entries`: records remembered at most, about; its
/// `process.dedupe_max_entries` divided by the number of partitions.
#[pyclass(name = "Deduplicator", module = "streamreel")]
pub struct PyDeduplicator {
    window: Deduplicator,
    /// The least offset that may come next.
    next: i64,
}

#[pymethods]
impl PyDeduplicator {
    #[new]
    #[pyo3(signature = (*, window_ms=600_000, max_entries=2_000_000))]
    fn new(window_ms: i64, max_entries: usize) -> PyResult<Self> {
        if window_ms < 0 {
            return Err(PyValueError::new_err(format!("window_ms is {window_ms}; give 0 or more milliseconds")));
        }
        Ok(Self { window: Deduplicator::new(Window::new(window_ms, max_entries)), next: 0 })
    }

    /// Takes the next records of the partition and says which are copies.
    ///
    /// Input columns: `offset` (int64, ascending from call to call), `timestamp_ms` (int64, of the epoch), `key` (what
    /// `dedupe_keys` returned; null where the record is not valid: it counts for nothing). Columns out: `is_duplicate` (bool; null
    /// where `key` is), a row a row.
    fn push(&mut self, py: Python<'_>, records: &Bound<'_, PyAny>) -> PyResult<PyRecordBatch> {
        let (schema, batches) = capsule::batches(records)?;
        let judged = py.detach(|| Records::of(&schema, &batches).and_then(|records| self.judge(&records)));
        judged.map(PyRecordBatch).map_err(PyValueError::new_err)
    }

    /// The offset below which nothing is remembered, None before the first valid record.
    #[getter]
    fn oldest_offset(&self) -> Option<i64> {
        self.window.oldest_offset()
    }

    /// How many records were forgotten at the memory bound although they lay within the window.
    #[getter]
    fn forgotten(&self) -> u64 {
        self.window.forgotten()
    }

    /// How many keys are in memory.
    #[getter]
    fn remembered(&self) -> usize {
        self.window.remembered()
    }
}

impl PyDeduplicator {
    fn judge(&mut self, records: &Records) -> Result<RecordBatch, String> {
        records.check_order(self.next)?;
        let judged = (0..records.key.len()).map(|row| {
            records.key.is_valid(row).then(|| {
                let (offset, timestamp_ms) = (records.offset.value(row), records.timestamp_ms.value(row));
                self.window.is_duplicate(offset, timestamp_ms, key_from(records.key.value(row)))
            })
        });
        let judged: BooleanArray = judged.collect();
        if let Some(last) = records.offset.values().last() {
            self.next = last.saturating_add(1);
        }
        let column: ArrayRef = std::sync::Arc::new(judged);
        RecordBatch::try_from_iter_with_nullable([("is_duplicate", column, true)]).map_err(|e| wrong(&e))
    }
}

/// The columns of some records.
struct Records {
    offset: Int64Array,
    timestamp_ms: Int64Array,
    key: FixedSizeBinaryArray,
}

impl Records {
    fn of(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Self, String> {
        let all = concat_batches(schema, batches).map_err(|e| wrong(&e))?;
        Ok(Self {
            offset: numbers(&all, "offset")?,
            timestamp_ms: numbers(&all, "timestamp_ms")?,
            key: column(&all, "key", &DataType::FixedSizeBinary(KEY_BYTES))?.as_fixed_size_binary().clone(),
        })
    }

    fn check_order(&self, mut next: i64) -> Result<(), String> {
        for (row, offset) in self.offset.values().iter().enumerate() {
            if *offset < next {
                return Err(format!(
                    "Deduplicator: row {row} has offset {offset}, after {}; give the records of one partition, in order",
                    next - 1
                ));
            }
            next = offset.saturating_add(1);
        }
        Ok(())
    }
}

fn keys_of(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<RecordBatch, String> {
    let all = concat_batches(schema, batches).map_err(|e| wrong(&e))?;
    let text = |name: &str| -> Result<StringArray, String> {
        Ok(column(&all, name, &DataType::Utf8)?.as_string::<i32>().clone())
    };
    let (user_id, event_id) = (text("user_id")?, text("event_id")?);
    let mut keys = FixedSizeBinaryBuilder::with_capacity(all.num_rows(), KEY_BYTES);
    let mut scratch = Vec::new();
    for row in 0..all.num_rows() {
        if user_id.is_null(row) || event_id.is_null(row) {
            keys.append_null();
            continue;
        }
        let key = key(user_id.value(row), event_id.value(row), &mut scratch);
        keys.append_value(key.to_be_bytes()).map_err(|e| wrong(&e))?;
    }
    let keys: ArrayRef = std::sync::Arc::new(keys.finish());
    RecordBatch::try_from_iter_with_nullable([("key", keys, true)]).map_err(|e| wrong(&e))
}

fn key_from(bytes: &[u8]) -> Key {
    bytes.try_into().map_or(0, Key::from_be_bytes)
}

fn column(batch: &RecordBatch, name: &str, kind: &DataType) -> Result<ArrayRef, String> {
    let column = batch.column_by_name(name).ok_or_else(|| wrong(&format!("no column `{name}`")))?;
    if matches!(kind, DataType::FixedSizeBinary(_)) && column.data_type() != kind {
        return Err(wrong(&format!("`{name}` is {}; give what dedupe_keys returned", column.data_type())));
    }
    cast(column, kind).map_err(|e| wrong(&format!("`{name}`: {e}")))
}

fn numbers(batch: &RecordBatch, name: &str) -> Result<Int64Array, String> {
    let numbers = column(batch, name, &DataType::Int64)?.as_primitive::<Int64Type>().clone();
    if numbers.null_count() > 0 {
        return Err(wrong(&format!("`{name}` has nulls")));
    }
    Ok(numbers)
}

fn wrong(what: &dyn std::fmt::Display) -> String {
    format!("deduplicate: {what}")
}
