//! Row numbers and plain columns to the batches of the output tables. Columns of the input are taken whole, once a batch.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array, PrimitiveArray, RecordBatch,
    StringArray, UInt32Array,
};
use arrow_buffer::{Buffer, OffsetBuffer};
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::take::take;
use streamreel_event::HexId;

use crate::counters::Counters;
use crate::error::Error;
use crate::input::{Columns, Input};
use crate::ledger::EndedBy;
use crate::schemas::OutputSchemas;
use crate::views::{Rows, Span};

const DAY_US: i64 = 86_400_000_000;

/// One batch of every output table; rows of a view are always in the same one, except those of enriched events.
#[derive(Clone, Debug)]
pub struct Output {
    pub enriched: RecordBatch,
    pub segments: RecordBatch,
    pub seeks: RecordBatch,
    pub views: RecordBatch,
    pub spans: RecordBatch,
}

/// Builds the output of one batch of whole groups.
pub(crate) struct Assembler<'a> {
    pub(crate) batch: &'a RecordBatch,
    pub(crate) input: &'a Input,
    pub(crate) schemas: &'a OutputSchemas,
    pub(crate) rows: &'a Rows,
}

impl Assembler<'_> {
    pub(crate) fn assemble(&self) -> Result<Output, Error> {
        let failed = Error::arrow("assemble the output");
        Ok(Output {
            enriched: self.enriched()?,
            segments: self.segments().map_err(&failed)?,
            seeks: self.seeks().map_err(&failed)?,
            views: self.views().map_err(&failed)?,
            spans: self.spans().map_err(&failed)?,
        })
    }

    fn enriched(&self) -> Result<RecordBatch, Error> {
        let columns = Columns::new(self.batch)?;
        let failed = Error::arrow("assemble enriched events");
        let Rows { spans, kept, kept_span, kept_late, .. } = self.rows;
        let of_row = |index: usize| &spans[kept_span[index] as usize];
        let in_place = kept.iter().enumerate().all(|(index, &row)| index == row as usize);
        let indices = (!in_place).then(|| UInt32Array::from(kept.clone()));
        let mut out: Vec<ArrayRef> = Vec::with_capacity(self.schemas.enriched.fields().len());
        for (field, column) in self.input.schema.fields().iter().zip(self.batch.columns()) {
            out.push(match field.name().as_str() {
                "late_duplicates" => Arc::new(Int64Array::from(kept_late.clone())),
                "video_duration_s" => {
                    Arc::new((0..kept.len()).map(|index| of_row(index).facts.duration_s).collect::<Float64Array>())
                }
                // The same in all rows of a group: with every row kept, its order inside the group changes nothing.
                "user_id" | "video_id" | "session_id" if kept.len() == column.len() => Arc::clone(column),
                _ => taken(column, indices.as_ref(), kept.len()).map_err(&failed)?,
            });
        }
        let percentages = kept.iter().enumerate().map(|(index, &row)| {
            let position = columns.position_s(row as usize)?;
            Some((100.0 * position / of_row(index).facts.duration_s?).min(100.0))
        });
        out.push(Arc::new(self.view_ids(kept_span).map_err(&failed)?));
        out.push(Arc::new(self.view_dates(kept_span)));
        out.push(Arc::new(percentages.collect::<Float64Array>()));
        batch(&self.schemas.enriched, out).map_err(&failed)
    }

    fn segments(&self) -> Result<RecordBatch, ArrowError> {
        let Rows { segments, segment_index, segment_span, .. } = self.rows;
        let mut out = self.head(segment_span)?;
        out.push(Arc::new(Int32Array::from(segment_index.clone())));
        out.push(Arc::new(Float64Array::from_iter_values(segments.iter().map(|s| s.start_s))));
        out.push(Arc::new(Float64Array::from_iter_values(segments.iter().map(|s| s.end_s))));
        out.push(times(segments.iter().map(|s| s.started_at_us)));
        out.push(times(segments.iter().map(|s| s.ended_at_us)));
        out.push(Arc::new(Float64Array::from_iter_values(segments.iter().map(|s| s.playing_s))));
        out.push(Arc::new(StringArray::from_iter_values(segments.iter().map(|s| EndedBy::as_str(s.ended_by)))));
        batch(&self.schemas.segments, out)
    }

    fn seeks(&self) -> Result<RecordBatch, ArrowError> {
        let Rows { seeks, seek_index, seek_span, .. } = self.rows;
        let mut out = self.head(seek_span)?;
        out.push(Arc::new(Int32Array::from(seek_index.clone())));
        out.push(times(seeks.iter().map(|s| s.at_us)));
        out.push(Arc::new(seeks.iter().map(|s| s.from_s).collect::<Float64Array>()));
        out.push(Arc::new(seeks.iter().map(|s| s.to_s).collect::<Float64Array>()));
        out.push(Arc::new(seeks.iter().map(|s| Some(s.after_half)).collect::<BooleanArray>()));
        batch(&self.schemas.seeks, out)
    }

    fn views(&self) -> Result<RecordBatch, ArrowError> {
        let spans = &self.rows.spans;
        let of: Vec<u32> = (0..spans.len() as u32).filter(|&index| spans[index as usize].facts.has_play).collect();
        let views = || of.iter().map(|&index| &spans[index as usize]);
        let facts = || views().map(|view| &view.facts);
        let first: UInt32Array = views().map(|view| Some(view.first_row)).collect();
        let device: UInt32Array = views().map(|view| view.device_row).collect();
        let mut out: Vec<ArrayRef> = vec![
            Arc::new(self.view_ids(&of)?),
            self.take("user_id", &first)?,
            self.take("video_id", &first)?,
            self.take("session_id", &first)?,
            self.regions(&of)?,
            self.take("device", &device)?,
            self.take("title", &first)?,
            self.take("creator", &first)?,
            self.take("genre", &first)?,
            Arc::new(self.view_dates(&of)),
            times(facts().map(|f| f.started_at_us)),
            times(facts().map(|f| f.ended_at_us)),
            Arc::new(facts().map(|f| f.duration_s).collect::<Float64Array>()),
            Arc::new(Float64Array::from_iter_values(facts().map(|f| f.watch_time_s))),
            Arc::new(Float64Array::from_iter_values(facts().map(|f| f.unique_s))),
            Arc::new(Float64Array::from_iter_values(facts().map(|f| f.playing_s))),
            Arc::new(facts().map(|f| f.watch_time_percentage).collect::<Float64Array>()),
            Arc::new(facts().map(|f| f.furthest_s).collect::<Float64Array>()),
            Arc::new(facts().map(|f| f.exit_s).collect::<Float64Array>()),
            Arc::new(facts().map(|f| f.is_completed).collect::<BooleanArray>()),
            Arc::new(facts().map(|f| Some(f.is_engaged)).collect::<BooleanArray>()),
            Arc::new(Int32Array::from_iter_values(facts().map(|f| f.pauses))),
            Arc::new(Int32Array::from_iter_values(facts().map(|f| f.seeks))),
            Arc::new(Int32Array::from_iter_values(facts().map(|f| f.seeks_after_half))),
            Arc::new(facts().map(|f| Some(f.has_unreported_seek)).collect::<BooleanArray>()),
        ];
        out.extend(counter_columns(views().map(|view| &view.counters)));
        for &index in &self.input.further {
            out.push(take(self.batch.column(index), &first, None)?);
        }
        batch(&self.schemas.views, out)
    }

    fn spans(&self) -> Result<RecordBatch, ArrowError> {
        let spans = &self.rows.spans;
        let of: Vec<u32> = (0..spans.len() as u32).collect();
        let first: UInt32Array = spans.iter().map(|span| Some(span.first_row)).collect();
        let out: Vec<ArrayRef> = vec![
            Arc::new(self.view_ids(&of)?),
            self.take("user_id", &first)?,
            self.take("video_id", &first)?,
            self.take("session_id", &first)?,
            self.regions(&of)?,
            Arc::new(self.view_dates(&of)),
            times(spans.iter().map(|span| span.facts.started_at_us)),
            times(spans.iter().map(|span| span.facts.ended_at_us)),
            Arc::new(Int64Array::from_iter_values(spans.iter().map(|span| span.events))),
            Arc::new(spans.iter().map(|span| Some(span.facts.has_play)).collect::<BooleanArray>()),
        ];
        batch(&self.schemas.spans, out)
    }

    /// The columns that segments and seeks begin with.
    fn head(&self, of: &[u32]) -> Result<Vec<ArrayRef>, ArrowError> {
        let first: UInt32Array = of.iter().map(|&index| Some(self.span(index).first_row)).collect();
        Ok(vec![
            Arc::new(self.view_ids(of)?),
            self.take("user_id", &first)?,
            self.take("video_id", &first)?,
            self.regions(of)?,
            Arc::new(self.view_dates(of)),
        ])
    }

    fn span(&self, index: u32) -> &Span {
        &self.rows.spans[index as usize]
    }

    fn take(&self, name: &str, rows: &UInt32Array) -> Result<ArrayRef, ArrowError> {
        let index = self.input.schema.index_of(name)?;
        take(self.batch.column(index), rows, None)
    }

    fn regions(&self, of: &[u32]) -> Result<ArrayRef, ArrowError> {
        let rows: UInt32Array = of.iter().map(|&index| self.span(index).region_row).collect();
        self.take("region", &rows)
    }

    fn view_dates(&self, of: &[u32]) -> Date32Array {
        Date32Array::from_iter_values(
            of.iter().map(|&index| self.span(index).facts.started_at_us.div_euclid(DAY_US) as i32),
        )
    }

    fn view_ids(&self, of: &[u32]) -> Result<StringArray, ArrowError> {
        const DIGITS: usize = size_of::<HexId>();
        let mut digits = Vec::with_capacity(of.len() * DIGITS);
        for &index in of {
            digits.extend_from_slice(self.span(index).view_id.as_str().as_bytes());
        }
        let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(DIGITS, of.len()));
        StringArray::try_new(offsets, Buffer::from_vec(digits), None)
    }
}

fn counter_columns<'a>(counters: impl Iterator<Item = &'a Counters> + Clone) -> Vec<ArrayRef> {
    let mut counts: Vec<Vec<i64>> = vec![Vec::new(); Counters::NAMES.len()];
    for view in counters.clone() {
        for (column, count) in counts.iter_mut().zip(view.counts()) {
            column.push(count);
        }
    }
    let unplaced = Float64Array::from_iter_values(counters.map(|c| c.unplaced_s));
    let counts = counts.into_iter().map(|column| Arc::new(Int64Array::from(column)) as ArrayRef);
    counts.chain([Arc::new(unplaced) as ArrayRef]).collect()
}

fn times(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(PrimitiveArray::<TimestampMicrosecondType>::from_iter_values(values).with_timezone("UTC"))
}

/// Rows of a column: as it is when they are all in place or all alike, which is cheaper to find out than to copy.
fn taken(column: &ArrayRef, rows: Option<&UInt32Array>, kept: usize) -> Result<ArrayRef, ArrowError> {
    match rows {
        Some(rows) if !is_constant(column) => take(column, rows, None),
        _ => Ok(column.slice(0, kept)),
    }
}

/// Whether a column has one value in all rows; `false` may be a lie. Stops at the first that differs.
fn is_constant(column: &ArrayRef) -> bool {
    if column.null_count() > 0 {
        return column.null_count() == column.len();
    }
    let Some(text) = column.as_string_opt::<i32>() else { return false };
    let offsets = text.value_offsets();
    let (first, last) = (offsets[0] as usize, offsets[text.len()] as usize);
    let bytes = &text.value_data()[first..last];
    let Some(length) = bytes.len().checked_div(text.len()) else { return true };
    // All of one length, and each the same as the one after it.
    offsets.windows(2).all(|pair| (pair[1] - pair[0]) as usize == length)
        && bytes[length..] == bytes[..bytes.len() - length]
}

fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch, ArrowError> {
    RecordBatch::try_new(Arc::clone(schema), columns)
}
