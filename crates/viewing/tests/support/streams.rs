//! Random streams of events that come near every threshold.

use proptest::prelude::*;
use streamreel_event::EventType;
use streamreel_viewing::ViewEvent;

/// How a position relates to the one before and the time since.
#[derive(Clone, Copy, Debug)]
enum Place {
    Unknown,
    /// As expected, and so many milliseconds off.
    Off(i64),
    /// The same, and so many milliseconds off.
    Still(i64),
    Anywhere(i64),
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        3 => Just(Place::Unknown),
        5 => Just(Place::Off(0)),
        3 => (-2100..2100i64).prop_map(Place::Off),
        2 => (-2100..2100i64).prop_map(Place::Still),
        2 => (0..200_000i64).prop_map(Place::Anywhere),
    ]
}

fn gap_ms() -> impl Strategy<Value = i64> {
    prop_oneof![
        1 => Just(0i64),
        3 => 1..400i64,
        8 => 500..30_000i64,
        1 => 30_000..600_000i64,
        1 => 13_000_000..16_000_000i64,
    ]
}

fn kind() -> impl Strategy<Value = EventType> {
    prop_oneof![
        6 => Just(EventType::Play),
        4 => Just(EventType::Pause),
        5 => Just(EventType::Seek),
        8 => Just(EventType::Heartbeat),
        2 => Just(EventType::Ended),
        1 => Just(EventType::Load),
        2 => Just(EventType::RateChange),
        2 => Just(EventType::BufferStart),
        2 => Just(EventType::BufferEnd),
        1 => Just(EventType::QualityChange),
        1 => Just(EventType::Error),
    ]
}

type Choice = (EventType, i64, Place, Place, Option<f64>, Option<i64>);

fn choice() -> impl Strategy<Value = Choice> {
    let rate = prop_oneof![8 => Just(None), 1 => prop::sample::select(vec![0.5, 1.0, 1.5, 2.0]).prop_map(Some)];
    let duration = prop_oneof![8 => Just(None), 1 => (20_000..150_000i64).prop_map(Some)];
    (kind(), gap_ms(), place(), place(), rate, duration)
}

/// The events of one view, in order, on a grid of milliseconds.
pub fn view(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<ViewEvent>> {
    prop::collection::vec(choice(), length).prop_map(|choices| {
        let (mut now_ms, mut at_ms) = (0, 0);
        let mut events = Vec::with_capacity(choices.len());
        for (kind, gap_ms, here, there, rate, duration) in choices {
            now_ms += gap_ms;
            let position = |place, at_ms: i64| match place {
                Place::Unknown => None,
                Place::Off(ms) => Some((at_ms + gap_ms + ms).max(0)),
                Place::Still(ms) => Some((at_ms + ms).max(0)),
                Place::Anywhere(ms) => Some(ms),
            };
            let mut event = ViewEvent::new(now_ms * 1000, kind);
            let first = position(here, at_ms);
            let mut last = first;
            if kind == EventType::Seek {
                event.seek_from_s = first.map(seconds);
                last = position(there, at_ms);
                let to = last.map(seconds);
                if gap_ms % 2 == 0 { event.seek_to_s = to } else { event.position_s = to }
            } else {
                event.position_s = first.map(seconds);
            }
            event.rate = rate;
            event.duration_s = duration.map(seconds);
            at_ms = last.unwrap_or(at_ms + gap_ms);
            events.push(event);
        }
        events.sort_by_key(ViewEvent::order);
        events
    })
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}
