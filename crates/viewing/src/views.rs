//! The groups of a batch to views: sort inside the group, split at gaps, drop second copies, reduce. What comes out are
//! row numbers and plain columns; `assemble` makes batches of them.

use arrow_array::Array;
use streamreel_event::{EventType, HexId, IdField, hash_id};
use xxhash_rust::xxh3::xxh3_64;

use crate::counters::Counters;
use crate::error::Error;
use crate::input::Columns;
use crate::ledger::{Seek, Segment};
use crate::reduce::{Reducer, ViewFacts};
use crate::settings::Settings;
use crate::view_event::{ViewEvent, kind_rank, sequence_order};

/// A view, or events with a view's identity but without a play.
#[derive(Debug)]
pub(crate) struct Span {
    pub(crate) view_id: HexId,
    /// The row of its first event: what is the same in all of its rows is taken from there.
    pub(crate) first_row: u32,
    pub(crate) region_row: Option<u32>,
    pub(crate) device_row: Option<u32>,
    pub(crate) events: i64,
    pub(crate) facts: ViewFacts,
    pub(crate) counters: Counters,
}

/// What a batch of whole groups comes to. `*_span` are indices into `spans`.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) spans: Vec<Span>,
    /// The input rows kept, in output order.
    pub(crate) kept: Vec<u32>,
    pub(crate) kept_span: Vec<u32>,
    pub(crate) kept_late: Vec<i64>,
    pub(crate) segments: Vec<Segment>,
    pub(crate) segment_index: Vec<i32>,
    pub(crate) segment_span: Vec<u32>,
    pub(crate) seeks: Vec<Seek>,
    pub(crate) seek_index: Vec<i32>,
    pub(crate) seek_span: Vec<u32>,
}

impl Rows {
    pub(crate) fn clear(&mut self) {
        self.spans.clear();
        self.kept.clear();
        self.kept_span.clear();
        self.kept_late.clear();
        self.segments.clear();
        self.segment_index.clear();
        self.segment_span.clear();
        self.seeks.clear();
        self.seek_index.clear();
        self.seek_span.clear();
    }
}

#[derive(Clone, Copy, Debug)]
struct Sorted {
    ts_us: i64,
    sequence: u64,
    kind: EventType,
    row: u32,
}

impl Sorted {
    fn key(&self) -> (i64, u64, u8) {
        (self.ts_us, self.sequence, kind_rank(self.kind))
    }
}

/// Reduces groups; its buffers are reused.
#[derive(Debug, Default)]
pub(crate) struct Viewer {
    reducer: Reducer,
    sorted: Vec<Sorted>,
    events: Vec<ViewEvent>,
    hashes: Vec<(u64, u32)>,
    /// Per event of the view: the event that it is a second copy of.
    copy_of: Vec<Option<u32>>,
    /// Per event of the view: its place among the kept rows.
    kept_at: Vec<usize>,
    scratch: Vec<u8>,
}

impl Viewer {
    /// Reduces the group of rows `start..end`.
    pub(crate) fn group(
        &mut self,
        columns: &Columns<'_>,
        start: u32,
        end: u32,
        settings: &Settings,
        out: &mut Rows,
    ) -> Result<(), Error> {
        self.sort(columns, start, end)?;
        let sorted = std::mem::take(&mut self.sorted);
        let has_session = columns.session_id.is_valid(start as usize);
        let gap_us = (settings.view_gap_s * 1e6).round() as i64;
        let ends_view = |a: &Sorted, b: &Sorted| !has_session && b.ts_us - a.ts_us > gap_us;
        for view in sorted.chunk_by(|a, b| !ends_view(a, b)) {
            self.view(columns, view, settings, out);
        }
        self.sorted = sorted;
        Ok(())
    }

    fn sort(&mut self, columns: &Columns<'_>, start: u32, end: u32) -> Result<(), Error> {
        self.sorted.clear();
        for row in start..end {
            let index = row as usize;
            self.sorted.push(Sorted {
                ts_us: columns.event_ts.value(index),
                sequence: sequence_order(columns.sequence(index)),
                kind: columns.kind(index)?,
                row,
            });
        }
        let order = |a: &Sorted, b: &Sorted| {
            a.key().cmp(&b.key()).then_with(|| columns.compare_ids(a.row as usize, b.row as usize))
        };
        if !self.sorted.is_sorted_by(|a, b| order(a, b).is_le()) {
            self.sorted.sort_unstable_by(order);
        }
        Ok(())
    }

    fn view(&mut self, columns: &Columns<'_>, view: &[Sorted], settings: &Settings, out: &mut Rows) {
        let span_index = out.spans.len() as u32;
        let first_kept = out.kept.len();
        self.find_copies(columns, view);
        self.events.clear();
        self.kept_at.clear();
        let (mut region_row, mut device_row) = (None, None);
        let mut late = 0;
        for (event, copy_of) in view.iter().zip(&self.copy_of) {
            let row = event.row as usize;
            let carried = columns.late_duplicates(row);
            late += carried + i64::from(copy_of.is_some());
            self.kept_at.push(out.kept.len());
            if let Some(original) = *copy_of {
                out.kept_late[self.kept_at[original as usize]] += carried + 1;
                continue;
            }
            if region_row.is_none() && columns.region.is_valid(row) {
                region_row = Some(event.row);
            }
            if device_row.is_none() && columns.device.is_valid(row) {
                device_row = Some(event.row);
            }
            self.events.push(columns.event(row, event.kind));
            out.kept.push(event.row);
            out.kept_span.push(span_index);
            out.kept_late.push(carried);
        }
        let first_row = view[0].row;
        let metadata_s = columns.video_duration_s(first_row as usize);
        let reduction = self.reducer.reduce(&self.events, metadata_s, settings);
        out.segments.extend_from_slice(reduction.segments);
        out.segment_index.extend(0..reduction.segments.len() as i32);
        out.segment_span.resize(out.segments.len(), span_index);
        out.seeks.extend_from_slice(reduction.seeks);
        out.seek_index.extend(0..reduction.seeks.len() as i32);
        out.seek_span.resize(out.seeks.len(), span_index);
        let mut counters = reduction.counters.clone();
        counters.late_duplicates = late;
        let facts = reduction.facts;
        out.spans.push(Span {
            view_id: view_id(columns, first_row as usize, &mut self.scratch),
            first_row,
            region_row,
            device_row,
            events: (out.kept.len() - first_kept) as i64,
            facts,
            counters,
        });
    }
}

impl Viewer {
    /// Marks every event whose `event_id` an earlier one of the view has.
    fn find_copies(&mut self, columns: &Columns<'_>, view: &[Sorted]) {
        let ids = columns.event_id;
        self.copy_of.clear();
        self.copy_of.resize(view.len(), None);
        self.hashes.clear();
        for (index, event) in view.iter().enumerate() {
            let row = event.row as usize;
            if ids.is_valid(row) {
                self.hashes.push((xxh3_64(ids.value(row).as_bytes()), index as u32));
            }
        }
        self.hashes.sort_unstable();
        let id = |index: u32| ids.value(view[index as usize].row as usize);
        for alike in self.hashes.chunk_by(|a, b| a.0 == b.0).filter(|alike| alike.len() > 1) {
            for (place, &(_, index)) in alike.iter().enumerate() {
                // The first with the same text is no copy itself, so this finds the original.
                let original = alike[..place].iter().find(|(_, earlier)| id(*earlier) == id(index));
                self.copy_of[index as usize] = original.map(|(_, earlier)| *earlier);
            }
        }
    }
}

/// The identity of the view that a row begins: user, video, and session or, without one, the time.
fn view_id(columns: &Columns<'_>, row: usize, scratch: &mut Vec<u8>) -> HexId {
    let session = if columns.session_id.is_valid(row) {
        IdField::Text(columns.session_id.value(row))
    } else {
        IdField::Integer(columns.event_ts.value(row))
    };
    let fields = [IdField::Text(columns.user_id.value(row)), IdField::Text(columns.video_id.value(row)), session];
    hash_id(fields, scratch)
}
