//! The kernel over Arrow batches: rows of clean events in, rows of views, segments, seeks and enriched events out.
//!
//! Input rows come grouped: sorted by `user_id`, `video_id`, `session_id` (nulls first, bytewise), inside a group in any order. A
//! group may span batches. Columns: those of a decoded event, where it came from, `late_duplicates` (copies that an earlier derivation
//! dropped; null is 0) and the metadata joined to it; any further column goes through to enriched events and views. `video_duration_s`
//! has to be the metadata's alone: rows read back from enriched events need the join again.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;

use crate::assemble::{Assembler, Output};
use crate::counters::Counters;
use crate::error::Error;
use crate::groups;
use crate::input::{Columns, Input};
use crate::schemas::OutputSchemas;
use crate::settings::Settings;
use crate::views::{Rows, Viewer};

/// Batches smaller than this are put together before anything is done with them.
const BLOCK_ROWS: usize = 8192;

/// An output has at most this many enriched rows.
const OUTPUT_ROWS: usize = 32_768;

/// What went through, in sums over all groups.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// Rows that came in = `events` + the copies dropped here.
    pub events_in: i64,
    /// Rows of enriched events.
    pub events: i64,
    pub views: i64,
    /// Spans without a `play` or implied play: they are no views.
    pub sessions_without_play: i64,
    /// Of views; `late_duplicates` of every span, those dropped at earlier derivations included.
    pub counters: Counters,
}

/// Push batches, take outputs; after `finish` everything can be taken.
pub struct Sessioniser {
    settings: Settings,
    input: Input,
    schemas: OutputSchemas,
    /// Small batches, not looked at yet.
    staged: Vec<RecordBatch>,
    staged_rows: usize,
    /// The rows so far of the group that is still open.
    open_group: Vec<RecordBatch>,
    viewer: Viewer,
    rows: Rows,
    starts: Vec<u32>,
    /// Outputs too small to hand out alone.
    parts: Vec<Output>,
    parts_rows: usize,
    ready: VecDeque<Output>,
    totals: Totals,
}

impl Sessioniser {
    /// For an input of this schema; an error where a column is missing, of another kind, or in the way of one of ours.
    pub fn new(settings: Settings, input: &SchemaRef) -> Result<Self, Error> {
        let input = Input::new(input)?;
        let schemas = OutputSchemas::of(&input)?;
        Ok(Self {
            settings,
            input,
            schemas,
            staged: Vec::new(),
            staged_rows: 0,
            open_group: Vec::new(),
            viewer: Viewer::default(),
            rows: Rows::default(),
            starts: Vec::new(),
            parts: Vec::new(),
            parts_rows: 0,
            ready: VecDeque::new(),
            totals: Totals::default(),
        })
    }

    /// The schemas of the outputs.
    pub fn schemas(&self) -> &OutputSchemas {
        &self.schemas
    }

    /// Sums over what has been reduced so far.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Takes the next rows. After an error the sessioniser is of no further use.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.totals.events_in += batch.num_rows() as i64;
        self.staged_rows += batch.num_rows();
        self.staged.push(self.input.normalise(batch)?);
        if self.staged_rows >= BLOCK_ROWS { self.take_staged() } else { Ok(()) }
    }

    /// No more rows come: closes the open group.
    pub fn finish(&mut self) -> Result<(), Error> {
        self.take_staged()?;
        self.close_group()?;
        self.flush()
    }

    /// A complete output, if there is one; call it until there is none.
    pub fn take_output(&mut self) -> Option<Output> {
        self.ready.pop_front()
    }

    fn take_staged(&mut self) -> Result<(), Error> {
        let staged = std::mem::take(&mut self.staged);
        self.staged_rows = 0;
        match staged.as_slice() {
            [] => Ok(()),
            [one] => self.block(one),
            many => {
                let block = concat_batches(&self.input.schema, many).map_err(Error::arrow("join small batches"))?;
                self.block(&block)
            }
        }
    }

    /// Closes the groups that end in the block and keeps the rows of the last one, which may go on.
    fn block(&mut self, block: &RecordBatch) -> Result<(), Error> {
        let columns = Columns::new(block)?;
        columns.check()?;
        let mut starts = std::mem::take(&mut self.starts);
        groups::starts(&columns, &mut starts)?;
        let rows = block.num_rows();
        let mut first = 0; // the first group of the block that is not the open one
        if let Some(open) = self.open_group.last() {
            let open_columns = Columns::new(open)?;
            if !groups::check_order(&columns, 0, &open_columns, open.num_rows() - 1)? {
                let end = starts.get(1).map_or(rows, |&start| start as usize);
                self.open_group.push(block.slice(0, end));
                first = 1;
            }
            if first < starts.len() {
                self.close_group()?;
            }
        }
        if let Some((&last, closed)) = starts[first..].split_last() {
            if let Some(&begin) = closed.first() {
                let (begin, last) = (begin as usize, last as usize);
                let unit = block.slice(begin, last - begin);
                let bounds: Vec<u32> = closed.iter().map(|&start| start - begin as u32).collect();
                self.unit(&unit, &bounds)?;
            }
            let last = last as usize;
            self.open_group = vec![block.slice(last, rows - last)];
        }
        self.starts = starts;
        Ok(())
    }

    fn close_group(&mut self) -> Result<(), Error> {
        let open_group = std::mem::take(&mut self.open_group);
        match open_group.as_slice() {
            [] => Ok(()),
            [one] => self.unit(one, &[0]),
            many => {
                let group = concat_batches(&self.input.schema, many).map_err(Error::arrow("join a group's batches"))?;
                self.unit(&group, &[0])
            }
        }
    }

    /// Reduces a batch of whole groups.
    fn unit(&mut self, batch: &RecordBatch, starts: &[u32]) -> Result<(), Error> {
        let columns = Columns::new(batch)?;
        self.rows.clear();
        let ends = starts.iter().skip(1).copied().chain([batch.num_rows() as u32]);
        for (&start, end) in starts.iter().zip(ends) {
            self.viewer.group(&columns, start, end, &self.settings, &mut self.rows)?;
        }
        self.count();
        let Self { input, schemas, rows, .. } = self;
        let output = Assembler { batch, input, schemas, rows }.assemble()?;
        self.parts_rows += output.enriched.num_rows();
        self.parts.push(output);
        if self.parts_rows >= OUTPUT_ROWS { self.flush() } else { Ok(()) }
    }

    fn count(&mut self) {
        self.totals.events += self.rows.kept.len() as i64;
        for span in &self.rows.spans {
            if span.facts.has_play {
                self.totals.views += 1;
                self.totals.counters.add(&span.counters);
            } else {
                self.totals.sessions_without_play += 1;
                self.totals.counters.late_duplicates += span.counters.late_duplicates;
            }
        }
    }

    /// Joins the parts to outputs of a bounded number of enriched rows; the other tables' go with the first.
    fn flush(&mut self) -> Result<(), Error> {
        let parts = std::mem::take(&mut self.parts);
        self.parts_rows = 0;
        if parts.is_empty() {
            return Ok(());
        }
        let join = |schema: &SchemaRef, table: fn(&Output) -> &RecordBatch| match parts.as_slice() {
            [one] => Ok(table(one).clone()),
            many => concat_batches(schema, many.iter().map(table)).map_err(Error::arrow("join outputs")),
        };
        let enriched = join(&self.schemas.enriched, |o| &o.enriched)?;
        let all = Output {
            segments: join(&self.schemas.segments, |o| &o.segments)?,
            seeks: join(&self.schemas.seeks, |o| &o.seeks)?,
            views: join(&self.schemas.views, |o| &o.views)?,
            spans: join(&self.schemas.spans, |o| &o.spans)?,
            enriched: enriched.slice(0, enriched.num_rows().min(OUTPUT_ROWS)),
        };
        self.ready.push_back(all);
        let empty = |schema: &SchemaRef| RecordBatch::new_empty(Arc::clone(schema));
        for begin in (OUTPUT_ROWS..enriched.num_rows()).step_by(OUTPUT_ROWS) {
            self.ready.push_back(Output {
                enriched: enriched.slice(begin, OUTPUT_ROWS.min(enriched.num_rows() - begin)),
                segments: empty(&self.schemas.segments),
                seeks: empty(&self.schemas.seeks),
                views: empty(&self.schemas.views),
                spans: empty(&self.schemas.spans),
            });
        }
        Ok(())
    }
}
