//! One partition on its way: where it stands, what is done with its records, and who wants the result.

use std::sync::Arc;

use arrow_array::RecordBatch;
use streamreel_dedupe::Window;
use streamreel_topic::{Fetched, Records};

use crate::cleaning::{Cleaner, Origin, Stretch, Wanted};
use crate::error::Result;
use crate::landing::Lander;
use crate::rebuild::rows_before;
use crate::report::Counts;

/// What is done with the records of a lane.
pub(crate) enum Work {
    Clean(Box<Cleaner>, Window),
    Land(Box<Lander>),
}

/// Tells lanes apart: a partition that is given again is another lane.
pub(crate) type LaneId = u64;

/// A partition that is read.
pub(crate) struct Lane {
    pub(crate) id: LaneId,
    pub(crate) source: Arc<Origin>,
    /// The next offset to read.
    pub(crate) at: i64,
    /// The offset up to which results were delivered; below `at` where the log has a gap.
    pub(crate) covered: i64,
    /// Where to stop; `None`: never.
    pub(crate) end: Option<i64>,
    /// The end of the partition when it arrived.
    pub(crate) range_end: i64,
    /// From where each sink needs results; `None`: it takes none.
    pub(crate) topics_from: Option<i64>,
    pub(crate) bronze_from: Option<i64>,
    pub(crate) work: Work,
}

/// A stretch of offsets on its way to a sink.
pub(crate) struct Part<T> {
    pub(crate) lane: LaneId,
    pub(crate) source: Arc<Origin>,
    pub(crate) from: i64,
    pub(crate) next: i64,
    pub(crate) records: usize,
    /// About what it takes in memory.
    pub(crate) bytes: usize,
    pub(crate) body: T,
    /// The counts of the stretch, on one of its parts only: that for the last sink that needs it.
    pub(crate) counts: Option<Counts>,
    pub(crate) remembered: u64,
}

/// Records for the two cleaned topics.
pub(crate) struct ForTopics {
    pub(crate) clean: Records,
    pub(crate) dead: Records,
}

/// The results of one stretch.
pub(crate) struct Parts {
    pub(crate) topics: Option<Part<ForTopics>>,
    pub(crate) bronze: Option<Part<RecordBatch>>,
}

impl Lane {
    /// Whether the lane has come to where it should stop.
    pub(crate) fn is_done(&self) -> bool {
        self.end.is_some_and(|end| self.at >= end)
    }

    /// Works on what was fetched at `self.at`, cut where a sink begins to need results and where the lane ends, and moves on.
    /// False: nobody takes results any more.
    pub(crate) fn process(&mut self, fetched: &Fetched, mut deliver: impl FnMut(Parts) -> bool) -> Result<bool> {
        let records = fetched.records.len();
        let mut row = 0;
        while row < records && !self.is_done() {
            let cuts = [self.topics_from, self.bronze_from, self.end];
            let cut = cuts.into_iter().flatten().filter(|cut| *cut > self.covered).min();
            let next = cut.map_or(fetched.next_offset, |cut| cut.min(fetched.next_offset));
            let rows = row..rows_before(fetched, next);
            row = rows.end;
            let parts = self.stretch(&Stretch { records: &fetched.records, offsets: &fetched.offsets, rows }, next)?;
            self.covered = next;
            self.at = self.at.max(next);
            if !deliver(parts) {
                return Ok(false);
            }
        }
        if row == records {
            self.at = self.at.max(fetched.next_offset);
        }
        Ok(true)
    }

    fn stretch(&mut self, stretch: &Stretch<'_>, next: i64) -> Result<Parts> {
        let needed = |from: Option<i64>| from.is_some_and(|from| self.covered >= from);
        let wanted = Wanted { topics: needed(self.topics_from), bronze: needed(self.bronze_from) };
        let (topics, bronze, counts, remembered) = match &mut self.work {
            Work::Clean(cleaner, _) => {
                let cleaned = cleaner.clean(stretch, wanted)?;
                let topics = wanted.topics.then_some(ForTopics { clean: cleaned.clean, dead: cleaned.dead });
                (topics, cleaned.bronze, cleaned.counts, cleaner.window().remembered() as u64)
            }
            Work::Land(lander) => {
                let (rows, counts) = lander.land(stretch)?;
                (None, Some(rows), counts, 0)
            }
        };
        let (lane, from, records) = (self.id, self.covered, stretch.rows.len());
        let source = &self.source;
        let mut counts = Some(counts);
        let bronze = bronze.map(|body| {
            let (bytes, counts) = (body.get_array_memory_size(), counts.take());
            Part { lane, source: Arc::clone(source), from, next, records, bytes, body, counts, remembered }
        });
        let topics = topics.map(|body| {
            let (bytes, counts) = (body.clean.bytes() + body.dead.bytes(), counts.take());
            Part { lane, source: Arc::clone(source), from, next, records, bytes, body, counts, remembered }
        });
        Ok(Parts { topics, bronze })
    }
}
