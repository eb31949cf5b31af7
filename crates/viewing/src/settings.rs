//! Every threshold of the state machine, with its default.

/// What becomes of a segment that no event closes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OpenPlay {
    /// It ends at its last evidence.
    #[default]
    Evidence,
    /// It is dropped.
    Drop,
    /// It ends at the expected position when the view's last event came.
    Elapsed,
}

/// Thresholds; seconds are content or wall seconds as said. The default is what the numbers are defined by.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// A view without `session_id` ends where the next event comes later than this, in wall seconds.
    pub view_gap_s: f64,
    /// Wall seconds that count at most between two pieces of evidence.
    pub max_unproven_s: f64,
    /// Two positions agree when they differ by at most this; also the rounding allowed behind and the slack ahead.
    pub agree_s: f64,
    /// How much faster than the wall clock positions may run: 0.05 allows 1.05 times.
    pub drift_ratio: f64,
    /// A heartbeat while not Playing must have advanced by this to imply a lost `play`.
    pub implied_advance_s: f64,
    /// A seek whose `from` is this close to its `to` tells nothing about where it left.
    pub seek_echo_s: f64,
    /// Segments shorter than this are dropped.
    pub shortest_segment_s: f64,
    /// Two durations, or a segment's end and the duration, may differ by this before it is counted.
    pub duration_tolerance_s: f64,
    /// A view is completed when its unique seconds reach this share of the duration.
    pub completed_ratio: f64,
    /// A view is engaged from this watch time on ...
    pub engaged_s: f64,
    /// ... or from this share of a video ...
    pub engaged_ratio: f64,
    /// ... that is shorter than this.
    pub short_video_s: f64,
    /// What becomes of a segment that no event closes.
    pub open_play: OpenPlay,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            view_gap_s: 1800.0,
            max_unproven_s: 14_400.0,
            agree_s: 2.0,
            drift_ratio: 0.05,
            implied_advance_s: 1.0,
            seek_echo_s: 0.25,
            shortest_segment_s: 0.25,
            duration_tolerance_s: 1.0,
            completed_ratio: 0.95,
            engaged_s: 10.0,
            engaged_ratio: 0.5,
            short_video_s: 20.0,
            open_play: OpenPlay::Evidence,
        }
    }
}

/// Changes whenever the kernel gives other rows for the same events and settings.
const KERNEL_GENERATION: &str = "1";

impl Settings {
    /// Names what rows follow from: the kernel's generation and every threshold. Rows of one definition can be told from those of
    /// another by it, whichever engine derived them.
    pub fn definition(&self) -> String {
        format!("{KERNEL_GENERATION} {self:?}")
    }
}

/// All comparisons of seconds are inclusive within this.
pub(crate) const TOLERANCE_S: f64 = 1e-6;

/// `a <= b`, inclusive within the tolerance.
pub(crate) fn at_most(a: f64, b: f64) -> bool {
    a <= b + TOLERANCE_S
}
