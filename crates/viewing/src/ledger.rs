//! What the state machine writes down: segments (cut at the duration, the too short ones dropped), seeks and counters.

use crate::counters::Counters;
use crate::settings::{Settings, TOLERANCE_S, at_most};

/// What ended a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    Pause,
    Seek,
    Ended,
    Load,
    /// A `play` at an impossible position.
    Restart,
    /// An unreported seek.
    Jump,
    /// Nothing: the view's events end while it plays.
    Open,
}

impl EndedBy {
    /// The name in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Seek => "seek",
            Self::Ended => "ended",
            Self::Load => "load",
            Self::Restart => "restart",
            Self::Jump => "jump",
            Self::Open => "open",
        }
    }
}

/// Content seconds `[start_s, end_s)` that were really played, and the wall-clock interval in which they were.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segment {
    pub start_s: f64,
    pub end_s: f64,
    pub started_at_us: i64,
    pub ended_at_us: i64,
    /// Wall seconds spent playing it: its length by rate, piece by piece.
    pub playing_s: f64,
    pub ended_by: EndedBy,
}

impl Segment {
    /// Content seconds.
    pub fn length_s(&self) -> f64 {
        self.end_s - self.start_s
    }
}

/// One reported seek.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seek {
    pub at_us: i64,
    /// Where it left: as reported, else the expected position.
    pub from_s: Option<f64>,
    pub to_s: Option<f64>,
    /// It left at or after half of the duration.
    pub after_half: bool,
}

/// The output of one view; its buffers are reused.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) segments: Vec<Segment>,
    pub(crate) seeks: Vec<Seek>,
    pub(crate) counters: Counters,
    pub(crate) duration_s: Option<f64>,
}

impl Ledger {
    pub(crate) fn reset(&mut self, duration_s: Option<f64>) {
        self.segments.clear();
        self.seeks.clear();
        self.counters = Counters::default();
        self.duration_s = duration_s;
    }

    pub(crate) fn seek(&mut self, at_us: i64, from_s: Option<f64>, to_s: Option<f64>) {
        let after_half =
            matches!((from_s, self.duration_s), (Some(from), Some(duration)) if at_most(duration / 2.0, from));
        self.seeks.push(Seek { at_us, from_s, to_s, after_half });
    }

    /// Wall seconds to play `[from_s, to_s)` at a rate; what lies beyond the duration takes none.
    pub(crate) fn playing_s(&self, from_s: f64, to_s: f64, rate: f64) -> f64 {
        let limit = self.duration_s.unwrap_or(f64::INFINITY);
        (to_s.min(limit) - from_s.min(limit)).max(0.0) / rate
    }

    /// Credits a segment, or what of it lies within the duration and is long enough.
    pub(crate) fn credit(&mut self, mut segment: Segment, settings: &Settings) {
        if segment.length_s() <= TOLERANCE_S {
            return;
        }
        self.counters.segments_ended += 1;
        if let Some(duration) = self.duration_s {
            let beyond = segment.end_s - duration.max(segment.start_s);
            if !at_most(beyond, settings.duration_tolerance_s) {
                self.counters.beyond_duration += 1;
            }
            if at_most(duration, segment.start_s) {
                self.counters.begins_beyond_duration += 1;
                return;
            }
            segment.end_s = segment.end_s.min(duration);
        }
        if at_most(settings.shortest_segment_s, segment.length_s()) {
            self.segments.push(segment);
        } else {
            self.counters.too_short += 1;
        }
    }
}
