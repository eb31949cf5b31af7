//! Tests of the whole way from bytes to rows.

mod cases;
mod properties;

use arrow_array::RecordBatch;

use crate::{Decoder, EventColumns};

/// 2026-01-01T00:00:00Z, when the tests' records arrive.
const ARRIVAL_US: i64 = 1_767_225_600_000_000;

fn decode(payload: &[u8]) -> RecordBatch {
    let mut decoder = Decoder::new();
    decoder.push(payload, ARRIVAL_US, false);
    decoder.finish()
}

/// The reason and the detail, or nothing for a valid record.
fn rejection(payload: &[u8]) -> Option<(String, String)> {
    let batch = decode(payload);
    let columns = EventColumns::new(&batch).expect("a decoded batch");
    columns.reason(0).map(|reason| (reason.to_owned(), columns.detail(0).unwrap_or("none").to_owned()))
}

/// A column's value as text, `null` for none.
fn value(batch: &RecordBatch, name: &str) -> String {
    let columns = EventColumns::new(batch).expect("a decoded batch");
    let text = |value: Option<&str>| value.unwrap_or("null").to_owned();
    let number = |value: Option<f64>| value.map_or("null".to_owned(), |value| format!("{value:?}"));
    match name {
        "event_id" => columns.event_id(0).to_owned(),
        "user_id" => columns.user_id(0).to_owned(),
        "video_id" => columns.video_id(0).to_owned(),
        "session_id" => text(columns.session_id(0)),
        "event_type" => text(columns.event_type(0).map(|kind| kind.as_str())),
        "timestamp" => columns.event_ts_us(0).to_string(),
        "position_s" => number(columns.position_s(0)),
        "seek_from_s" => number(columns.seek_from_s(0)),
        "seek_to_s" => number(columns.seek_to_s(0)),
        "rate" => number(columns.rate(0)),
        "duration_s" => number(columns.duration_s(0)),
        "region" => text(columns.region(0)),
        "device" => text(columns.device(0)),
        "sequence" => columns.sequence(0).map_or("null".to_owned(), |value| value.to_string()),
        "extra" => text(columns.extra(0)),
        "corrections" => text(columns.corrections(0)),
        _ => panic!("no column {name}"),
    }
}
