//! Rebuilding the deduplication window where a partition begins to be worked on: by reading the log again, never from a state that a crash could lose.
//!
//! Where to begin is found backwards, block by block (see [`streamreel_dedupe`]), from record timestamps alone: begin after the
//! last block that a later complete block is more than the window after. Timestamps of invalid records
//! count here although they don't in the rule; that can only move the beginning back, which changes no decision.

use streamreel_dedupe::Window;
use streamreel_topic::{Fetched, Log};

use crate::cleaning::{Cleaner, Stretch};
use crate::error::{self, Result};
use crate::report::Rebuilt;

/// Where to read.
pub(crate) struct Place<'a> {
    pub(crate) log: &'a dyn Log,
    pub(crate) topic: &'a str,
    pub(crate) partition: u32,
    pub(crate) fetch_bytes: usize,
}

impl Place<'_> {
    pub(crate) fn fetch(&self, offset: i64) -> Result<Fetched> {
        self.log.fetch(self.topic, self.partition, offset, self.fetch_bytes).map_err(error::log("read the topic"))
    }

    /// Calls `each` with stretches that cover offsets `from..next`, as long as `goes_on`.
    fn read(
        &self,
        from: i64,
        next: i64,
        goes_on: &dyn Fn() -> bool,
        mut each: impl FnMut(&Stretch<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut at = from;
        while at < next && goes_on() {
            let fetched = self.fetch(at)?;
            let end = rows_before(&fetched, next);
            if end == 0 {
                break;
            }
            each(&Stretch { records: &fetched.records, offsets: &fetched.offsets, rows: 0..end })?;
            at = fetched.next_offset;
        }
        Ok(())
    }
}

/// How many of the records lie below an offset.
pub(crate) fn rows_before(fetched: &Fetched, offset: i64) -> usize {
    let (mut low, mut high) = (0, fetched.records.len());
    while low < high {
        let middle = low.midpoint(high);
        if fetched.offset(middle) < offset { low = middle + 1 } else { high = middle }
    }
    low
}

/// Where the window begins.
#[derive(Debug, PartialEq, Eq)]
struct Beginning {
    offset: i64,
    is_complete: bool,
}

/// Fills the window of `cleaner` with what counts at offset `next`; `None` when it did not go on until it was full.
pub(crate) fn rebuild(
    place: &Place<'_>,
    window: Window,
    next: i64,
    cleaner: &mut Cleaner,
    goes_on: &dyn Fn() -> bool,
) -> Result<Option<Rebuilt>> {
    let first =
        place.log.range(place.topic, place.partition).map_err(error::log("ask for the range of the topic"))?.start;
    let beginning = beginning(place, window, first, next, goes_on)?;
    let mut records = 0;
    place.read(beginning.offset, next, goes_on, |stretch| {
        records += stretch.rows.len() as u64;
        cleaner.remember(stretch)
    })?;
    let Beginning { offset: from, is_complete } = beginning;
    let rebuilt = Rebuilt { partition: place.partition, from, next, records, is_complete };
    Ok(goes_on().then_some(rebuilt))
}

fn beginning(
    place: &Place<'_>,
    window: Window,
    first: i64,
    next: i64,
    goes_on: &dyn Fn() -> bool,
) -> Result<Beginning> {
    let current = window.block(next);
    let oldest = current - window.max_blocks + 1;
    let mut earliest_later = i64::MIN;
    let mut block = current;
    while block > oldest && block * window.block_offsets > first {
        let (begin, end) = ((block - 1) * window.block_offsets, block * window.block_offsets);
        let (mut earliest, mut latest) = (i64::MAX, i64::MIN);
        place.read(begin.max(first), end, goes_on, |stretch| {
            for timestamp_ms in &stretch.records.timestamps_ms()[stretch.rows.clone()] {
                earliest = earliest.min(*timestamp_ms);
                latest = latest.max(*timestamp_ms);
            }
            Ok(())
        })?;
        let has_records = earliest <= latest;
        if has_records && begin >= first && window.is_over(latest, earliest_later) {
            return Ok(Beginning { offset: end, is_complete: true });
        }
        if has_records {
            earliest_later = earliest_later.max(earliest);
        }
        block -= 1;
    }
    let offset = (block * window.block_offsets).max(first).max(0);
    let reached_bound = block <= oldest && block * window.block_offsets >= first;
    Ok(Beginning { offset, is_complete: reached_bound || first == 0 })
}
