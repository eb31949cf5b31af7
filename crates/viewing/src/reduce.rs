//! One view's events to its segments, seeks, facts and counters.

use crate::counters::Counters;
use crate::ledger::{EndedBy, Ledger, Seek, Segment};
use crate::machine::{Machine, Stretch};
use crate::settings::{Settings, at_most};
use crate::view_event::ViewEvent;

/// What one view comes to. Times are microseconds of the epoch, UTC; `_s` are seconds, percentages 0..100.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ViewFacts {
    /// Without a `play` or implied play it is no view.
    pub has_play: bool,
    /// The first and the last event.
    pub started_at_us: i64,
    pub ended_at_us: i64,
    /// From metadata, else the last one that the player gave.
    pub duration_s: Option<f64>,
    /// Content seconds; watched twice counts twice.
    pub watch_time_s: f64,
    /// Content seconds; watched twice counts once.
    pub unique_s: f64,
    /// Wall seconds.
    pub playing_s: f64,
    pub watch_time_percentage: Option<f64>,
    /// The furthest position watched; `None` without segments.
    pub furthest_s: Option<f64>,
    /// The end of the last segment in time; `None` without segments.
    pub exit_s: Option<f64>,
    /// `None` where the duration is unknown.
    pub is_completed: Option<bool>,
    pub is_engaged: bool,
    /// Pauses that end a credited segment.
    pub pauses: i32,
    /// Reported seeks, all of the view's.
    pub seeks: i32,
    pub seeks_after_half: i32,
    pub has_unreported_seek: bool,
}

/// One view, reduced; borrowed from the [`Reducer`] until its next view.
#[derive(Debug)]
pub struct Reduction<'a> {
    /// In the order of time.
    pub segments: &'a [Segment],
    pub seeks: &'a [Seek],
    pub facts: ViewFacts,
    pub counters: &'a Counters,
}

/// Runs the state machine; reuse one, its buffers are kept.
#[derive(Debug, Default)]
pub struct Reducer {
    ledger: Ledger,
    unplaced: Vec<Stretch>,
    spans: Vec<(f64, f64)>,
}

impl Reducer {
    pub fn new() -> Self {
        Self::default()
    }

    /// Reduces one view: its events sorted by [`ViewEvent::order`] and then `event_id`, without second copies.
    /// `metadata_duration_s` is content seconds; what is not above 0 counts as unknown.
    pub fn reduce(
        &mut self,
        events: &[ViewEvent],
        metadata_duration_s: Option<f64>,
        settings: &Settings,
    ) -> Reduction<'_> {
        let metadata = metadata_duration_s.filter(|d| *d > 0.0);
        let player = events.iter().rev().find_map(|e| e.duration_s);
        self.ledger.reset(metadata.or(player));
        if let (Some(m), Some(p)) = (metadata, player)
            && !at_most((m - p).abs(), settings.duration_tolerance_s)
        {
            self.ledger.counters.duration_conflicts = 1;
        }
        let first_us = events.first().map_or(0, |e| e.ts_us);
        let last_us = events.last().map_or(0, |e| e.ts_us);
        let mut machine = Machine::new(settings, &mut self.ledger, &mut self.unplaced);
        for event in events {
            machine.step(event);
        }
        let has_play = machine.finish(last_us);
        let mut facts = self.facts(settings);
        facts.has_play = has_play;
        facts.started_at_us = first_us;
        facts.ended_at_us = last_us;
        Reduction { segments: &self.ledger.segments, seeks: &self.ledger.seeks, facts, counters: &self.ledger.counters }
    }

    fn facts(&mut self, settings: &Settings) -> ViewFacts {
        let Ledger { segments, seeks, counters, duration_s } = &self.ledger;
        let duration_s = *duration_s;
        // `sum` of nothing is -0.
        let watch_time_s = segments.iter().fold(0.0, |sum, s| sum + s.length_s());
        // Rounding must not let the union exceed what it is the union of.
        let unique_s = union_s(segments, &mut self.spans).min(watch_time_s);
        let is_short = duration_s.filter(|d| *d < settings.short_video_s);
        ViewFacts {
            duration_s,
            watch_time_s,
            unique_s,
            playing_s: segments.iter().fold(0.0, |sum, s| sum + s.playing_s),
            watch_time_percentage: duration_s.map(|d| (100.0 * unique_s / d).min(100.0)),
            furthest_s: segments.iter().map(|s| s.end_s).reduce(f64::max),
            exit_s: segments.last().map(|s| s.end_s),
            is_completed: duration_s.map(|d| at_most(settings.completed_ratio * d, unique_s)),
            is_engaged: at_most(settings.engaged_s, watch_time_s)
                || is_short.is_some_and(|d| at_most(settings.engaged_ratio * d, watch_time_s)),
            pauses: count(segments.iter().filter(|s| s.ended_by == EndedBy::Pause)),
            seeks: count(seeks.iter()),
            seeks_after_half: count(seeks.iter().filter(|s| s.after_half)),
            has_unreported_seek: counters.unreported_seeks > 0,
            ..ViewFacts::default()
        }
    }
}

fn count(items: impl Iterator) -> i32 {
    i32::try_from(items.count()).unwrap_or(i32::MAX)
}

/// The length of the union of the segments.
fn union_s(segments: &[Segment], spans: &mut Vec<(f64, f64)>) -> f64 {
    spans.clear();
    spans.extend(segments.iter().map(|s| (s.start_s, s.end_s)));
    if !spans.is_sorted_by(|a, b| a.0 <= b.0) {
        spans.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    }
    let mut unique_s = 0.0;
    let mut reached = 0.0_f64;
    for &(start, end) in spans.iter() {
        if end > reached {
            unique_s += end - start.max(reached);
            reached = end;
        }
    }
    unique_s
}
