//! Curves at 1-second resolution: which whole seconds a view's segments cover.
//!
//! A segment `[a, b)` covers second `s` when it contains the second's midpoint: `a <= s + 0.5 < b`, that is the seconds
//! from `ceil(a - 0.5)` up to but not including `ceil(b - 0.5)`. Adjacent segments so never count a second twice and never
//! leave one out.

use std::ops::Range;

use crate::ledger::Segment;

/// The first second whose midpoint is not before a position.
pub fn first_second(position_s: f64) -> i64 {
    (position_s - 0.5).ceil() as i64
}

/// The seconds that a segment covers; may be empty.
pub fn covered(segment: &Segment) -> Range<i64> {
    first_second(segment.start_s)..first_second(segment.end_s)
}

/// Of a view: one range a segment, for `plays` (watched twice counts twice).
pub fn plays(segments: &[Segment]) -> impl Iterator<Item = Range<i64>> + '_ {
    segments.iter().map(covered).filter(|seconds| !seconds.is_empty())
}

/// Of a view: the union of its ranges, ascending and apart, for `retention`. `watched` is cleared first.
pub fn watched(segments: &[Segment], watched: &mut Vec<Range<i64>>) {
    watched.clear();
    watched.extend(plays(segments));
    watched.sort_unstable_by_key(|seconds| seconds.start);
    watched.dedup_by(|next, kept| {
        let joins = next.start <= kept.end;
        if joins {
            kept.end = kept.end.max(next.end);
        }
        joins
    });
}

/// Of a view: the last second that it covers, for `survival`; `None` when it covers none.
pub fn last_second(segments: &[Segment]) -> Option<i64> {
    plays(segments).map(|seconds| seconds.end - 1).max()
}

/// A curve as changes from one second to the next: two entries a range, whatever its length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    changes: Vec<i64>,
}

impl Changes {
    /// Adds one to every second of the range.
    pub fn add(&mut self, seconds: Range<i64>) {
        let (Ok(start), Ok(end)) = (usize::try_from(seconds.start), usize::try_from(seconds.end)) else {
            return; // positions are never negative
        };
        if start < end {
            if self.changes.len() <= end {
                self.changes.resize(end + 1, 0);
            }
            self.changes[start] += 1;
            self.changes[end] -= 1;
        }
    }

    /// The count of every second from 0 to the last one covered.
    pub fn counts(&self) -> Vec<i64> {
        let dense = self.changes.iter().scan(0, |sum, change| {
            *sum += change;
            Some(*sum)
        });
        let mut counts: Vec<i64> = dense.collect();
        counts.pop(); // after the last range nothing is covered
        counts
    }
}
