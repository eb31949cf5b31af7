//! What the tests share: events as text, segments as text, and batches of the sessioniser's input.
#![allow(dead_code)] // every test file uses a part of it

pub mod batches;
pub mod naive;
pub mod streams;

use streamreel_event::EventType;
use streamreel_viewing::{Segment, ViewEvent};

/// Events as text: `T:type POS`, `T:seek FROM->TO`; a position of `?` or none is unknown; then `rate R`, `dur D`, `seq N`, `id X`,
/// `dup N` (copies that an earlier derivation dropped). The times are seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    pub event: ViewEvent,
    pub id: String,
    pub carried: Option<i64>,
}

pub fn parse(text: &str) -> Vec<Written> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.enumerate().map(|(index, item)| parse_event(index, item)).collect()
}

fn parse_event(index: usize, item: &str) -> Written {
    let (time, rest) = item.split_once(':').unwrap_or_else(|| panic!("no time in {item:?}"));
    let mut words = rest.split_whitespace().peekable();
    let kind = words.next().and_then(EventType::parse).unwrap_or_else(|| panic!("no event type in {item:?}"));
    let ts_us = (time.parse::<f64>().expect("a time") * 1e6).round() as i64;
    let mut written = Written { event: ViewEvent::new(ts_us, kind), id: format!("e{index:04}"), carried: None };
    let number =
        |word: &str| (word != "?").then(|| word.parse::<f64>().unwrap_or_else(|_| panic!("{word} in {item:?}")));
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("no value in {item:?}"));
        match word {
            "rate" => written.event.rate = number(value()),
            "dur" => written.event.duration_s = number(value()),
            "seq" => written.event.sequence = number(value()).map(|n| n as i64),
            "id" => written.id = value().to_owned(),
            "dup" => written.carried = number(value()).map(|n| n as i64),
            "at" => written.event.position_s = number(value()),
            _ => match word.split_once("->") {
                Some((from, to)) => {
                    written.event.seek_from_s = number(from);
                    written.event.seek_to_s = number(to);
                }
                None => written.event.position_s = number(word),
            },
        }
    }
    written
}

/// Sorted as the state machine takes them, second copies dropped.
pub fn sorted(text: &str) -> Vec<ViewEvent> {
    let mut all = parse(text);
    all.sort_by(|a, b| a.event.order().cmp(&b.event.order()).then_with(|| a.id.cmp(&b.id)));
    let mut seen = std::collections::HashSet::new();
    all.retain(|w| seen.insert(w.id.clone()));
    all.iter().map(|w| w.event).collect()
}

/// `[0,3) [2,5)`, to the millisecond.
pub fn shown(segments: &[Segment]) -> String {
    let all: Vec<String> = segments.iter().map(|s| format!("[{},{})", short(s.start_s), short(s.end_s))).collect();
    all.join(" ")
}

pub fn short(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}
