//! One event of a view, as the state machine takes it.

use streamreel_event::EventType;

/// One event. Positions are content seconds, `None` is unknown; `ts_us` is microseconds of the epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ViewEvent {
    pub ts_us: i64,
    pub kind: EventType,
    pub sequence: Option<i64>,
    pub position_s: Option<f64>,
    pub seek_from_s: Option<f64>,
    pub seek_to_s: Option<f64>,
    pub rate: Option<f64>,
    pub duration_s: Option<f64>,
}

impl ViewEvent {
    /// An event that tells nothing but its time and kind.
    pub fn new(ts_us: i64, kind: EventType) -> Self {
        Self {
            ts_us,
            kind,
            sequence: None,
            position_s: None,
            seek_from_s: None,
            seek_to_s: None,
            rate: None,
            duration_s: None,
        }
    }

    /// What events of a view are ordered by; `event_id` decides what is left.
    pub fn order(&self) -> (i64, u64, u8) {
        (self.ts_us, sequence_order(self.sequence), kind_rank(self.kind))
    }
}

/// A missing sequence number comes last.
pub(crate) fn sequence_order(sequence: Option<i64>) -> u64 {
    // Flipping the sign bit keeps the order of signed numbers; no sequence number is i64::MAX.
    sequence.map_or(u64::MAX, |s| (s as u64) ^ (1 << 63))
}

/// The order of kinds at the same time and sequence: what stops comes before what starts.
pub fn kind_rank(kind: EventType) -> u8 {
    match kind {
        EventType::Load => 0,
        EventType::Error => 1,
        EventType::QualityChange => 2,
        EventType::BufferEnd => 3,
        EventType::BufferStart => 4,
        EventType::Heartbeat => 5,
        EventType::RateChange => 6,
        EventType::Pause => 7,
        EventType::Ended => 8,
        EventType::Seek => 9,
        EventType::Play => 10,
    }
}
