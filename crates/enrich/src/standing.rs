//! Rows of `silver.enriched_events` that come out of a derivation as they were, and so stay where they are.
//!
//! New events change what is said about their views, but hardly ever what is said about the events before them. Files of
//! events are by far the largest; they are not rewritten for the name of the build that has derived the same row again.

use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::{BooleanArray, RecordBatch, UInt32Array};
use arrow_row::{RowConverter, SortField};
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use arrow_select::take::take_record_batch;
use hashbrown::{HashMap, HashSet};
use xxhash_rust::xxh3::xxh3_128;

use crate::{Error, sources};

/// A row of a view: the record that it came from is in one row only.
const KEY: [&str; 5] = ["view_id", "source_log", "source_topic", "source_partition", "source_offset"];

/// The rows of the views that are derived again, as they were. Shared by the threads that derive.
pub(crate) struct Standing {
    columns: SchemaRef,
    converter: RowConverter,
    /// Hash of a row to its number.
    rows: HashMap<u128, usize>,
    /// Of each row by number whether it came out again.
    stays: Vec<AtomicBool>,
    /// [`KEY`] of the rows, in order of their numbers.
    keys: Vec<RecordBatch>,
    views: HashSet<String>,
}

fn arrow(error: ArrowError) -> Error {
    Error::Derive(error.to_string())
}

impl Standing {
    /// None yet. `columns` are those that the kernel gives to an enriched event; a row is the same if all of them are.
    pub(crate) fn new(columns: SchemaRef) -> Result<Self, Error> {
        let fields = columns.fields().iter().map(|field| SortField::new(field.data_type().clone())).collect();
        let converter = RowConverter::new(fields).map_err(arrow)?;
        let (rows, views) = Default::default();
        Ok(Self { columns, converter, rows, stays: Vec::new(), keys: Vec::new(), views })
    }

    /// Adds rows of the last build.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let batch = sources::conform(batch, &self.columns)?;
        for print in self.prints(&batch)? {
            self.rows.insert(print, self.stays.len());
            self.stays.push(AtomicBool::new(false));
        }
        for id in batch["view_id"].as_string::<i32>().iter().flatten() {
            self.views.get_or_insert_with(id, str::to_owned);
        }
        let schema = batch.schema();
        let indices: Result<Vec<usize>, _> = KEY.iter().map(|name| schema.index_of(name)).collect();
        self.keys.push(indices.and_then(|indices| batch.project(&indices)).map_err(arrow)?);
        Ok(())
    }

    /// Of rows that were derived those that are not there already.
    pub(crate) fn new_among(&self, derived: &RecordBatch) -> Result<RecordBatch, Error> {
        let views = derived["view_id"].as_string::<i32>();
        let mut last = ("", false);
        let again = (0..derived.num_rows()).filter(|&row| {
            let id = views.value(row);
            if last.0 != id {
                last = (id, self.views.contains(id));
            }
            last.1
        });
        let again: Vec<u32> = again.map(|row| row as u32).collect();
        if again.is_empty() {
            return Ok(derived.clone());
        }
        let again = UInt32Array::from(again);
        let prints = self.prints(&take_record_batch(derived, &again).map_err(arrow)?)?;
        let mut is_new = vec![true; derived.num_rows()];
        for (row, print) in again.values().iter().zip(prints) {
            if let Some(&number) = self.rows.get(&print) {
                self.stays[number].store(true, Ordering::Relaxed);
                is_new[*row as usize] = false;
            }
        }
        filter_record_batch(derived, &BooleanArray::from(is_new)).map_err(arrow)
    }

    /// Keys of the rows that did not come out again.
    pub(crate) fn gone(&self) -> Result<RecordBatch, Error> {
        let schema = self.keys.first().map(RecordBatch::schema);
        let Some(schema) = schema else { return Ok(RecordBatch::new_empty(self.columns.clone())) };
        let gone: BooleanArray = self.stays.iter().map(|stays| Some(!stays.load(Ordering::Relaxed))).collect();
        concat_batches(&schema, &self.keys).and_then(|keys| filter_record_batch(&keys, &gone)).map_err(arrow)
    }

    fn prints(&self, rows: &RecordBatch) -> Result<Vec<u128>, Error> {
        let rows = self.converter.convert_columns(rows.columns()).map_err(arrow)?;
        Ok(rows.iter().map(|row| xxh3_128(row.as_ref())).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Int64Type;
    use arrow_array::{ArrayRef, Float64Array, Int32Array, Int64Array, StringArray};

    use super::*;

    /// View, source offset, position.
    type Event = (&'static str, i64, Option<f64>);

    fn events(rows: &[Event]) -> RecordBatch {
        let text = |value: fn(&Event) -> &'static str| -> ArrayRef {
            Arc::new(rows.iter().map(|row| Some(value(row))).collect::<StringArray>())
        };
        RecordBatch::try_from_iter_with_nullable([
            ("source_log", text(|_| "l"), true),
            ("source_topic", text(|_| "t"), true),
            ("source_partition", Arc::new(Int32Array::from(vec![0; rows.len()])) as ArrayRef, true),
            ("source_offset", Arc::new(rows.iter().map(|row| Some(row.1)).collect::<Int64Array>()) as ArrayRef, true),
            ("position_s", Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>()) as ArrayRef, true),
            ("view_id", text(|row| row.0), true),
        ])
        .unwrap()
    }

    fn offsets(rows: &RecordBatch) -> Vec<i64> {
        rows["source_offset"].as_primitive::<Int64Type>().values().to_vec()
    }

    #[test]
    fn rows_that_come_out_as_they_were_stay() {
        let before = [("a", 1, Some(1.0)), ("a", 2, None), ("b", 3, Some(3.0)), ("b", 4, Some(4.0))];
        type Case<'a> = (&'a str, &'a [Event], &'a [i64], &'a [i64]);
        let cases: [Case<'_>; 6] = [
            ("the same", &before, &[], &[]),
            ("nothing", &[], &[], &[1, 2, 3, 4]),
            ("a new event of a view", &[before[0], before[1], ("a", 5, None), before[2], before[3]], &[5], &[]),
            ("an event of another view", &[before[0], before[1], before[2], before[3], ("c", 4, Some(4.0))], &[4], &[]),
            ("a copy that is dropped", &[before[0], before[2], before[3]], &[], &[2]),
            (
                "another view, another value",
                &[("b", 1, Some(1.0)), ("a", 2, Some(2.0)), before[2], before[3]],
                &[1, 2],
                &[1, 2],
            ),
        ];
        for (name, derived, new, gone) in cases {
            let derived = events(derived);
            let mut standing = Standing::new(derived.schema()).unwrap();
            standing.add(&events(&before[..1])).unwrap();
            standing.add(&events(&before[1..])).unwrap();
            assert_eq!(offsets(&standing.new_among(&derived).unwrap()), new, "{name}");
            assert_eq!(offsets(&standing.gone().unwrap()), gone, "{name}");
        }
    }
}
