//! Events a second through the sessioniser on one core, at the level of batches.

use std::hint::black_box;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, Date32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    UInt32Array,
};
use arrow_select::take::take_record_batch;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use streamreel_viewing::{Sessioniser, Settings};

const VIEWS: usize = 20_000;
const EVENTS: usize = 24;

/// Views with a play, heartbeats, a seek and a pause; all the columns of a real input.
fn events() -> RecordBatch {
    let rows = VIEWS * EVENTS;
    let kind = |row: usize| match row % EVENTS {
        0 | 13 => "play",
        12 => "seek",
        23 => "pause",
        _ => "heartbeat",
    };
    let second = |row: usize| (row % EVENTS) as i64 * 10;
    let position = |row: usize| if row % EVENTS > 12 { second(row) as f64 + 180.0 } else { second(row) as f64 };
    let is_seek = |row: usize| row % EVENTS == 12;
    let text = |f: &dyn Fn(usize) -> Option<String>| Arc::new((0..rows).map(f).collect::<StringArray>()) as ArrayRef;
    let number = |f: &dyn Fn(usize) -> Option<f64>| Arc::new((0..rows).map(f).collect::<Float64Array>()) as ArrayRef;
    let time = |row: usize| 1_767_225_600_000_000 + (row / EVENTS) as i64 * 1_000_000 + second(row) * 1_000_000;
    let times = || Arc::new(TimestampMicrosecondArray::from_iter_values((0..rows).map(time)).with_timezone("UTC"));
    let some = |value: &str| Some(value.to_owned());
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("event_id", text(&|r| Some(format!("{:032x}", (r as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c))))),
        ("user_id", text(&|r| Some(format!("user-{:08}", r / EVENTS)))),
        ("video_id", text(&|r| Some(format!("video-{:05}", r / EVENTS % 500)))),
        ("session_id", text(&|r| Some(format!("session-{:016x}", r / EVENTS)))),
        ("event_type", text(&|r| some(kind(r)))),
        ("event_ts", times()),
        ("position_s", number(&|r| (!is_seek(r)).then(|| position(r)))),
        ("seek_from_s", number(&|r| is_seek(r).then(|| position(r)))),
        ("seek_to_s", number(&|r| is_seek(r).then(|| position(r) + 180.0))),
        ("rate", number(&|_| None)),
        ("duration_s", number(&|_| Some(600.0))),
        ("region", text(&|r| some(if r % (2 * EVENTS) < EVENTS { "DE" } else { "US-CA" }))),
        ("device", text(&|_| some("mobile"))),
        ("sequence", Arc::new(Int64Array::from_iter_values((0..rows).map(|r| (r % EVENTS) as i64)))),
        ("extra", text(&|_| None)),
        ("corrections", text(&|_| None)),
        ("source_log", text(&|_| some("0190a5f2-7d9c-7c5e-8f1e-2f6f6f2f3a11"))),
        ("source_topic", text(&|_| some("video-events"))),
        ("source_partition", Arc::new(Int32Array::from(vec![1; rows]))),
        ("source_offset", Arc::new(Int64Array::from_iter_values(0..rows as i64))),
        ("received_at", times()),
        ("received_date", Arc::new(Date32Array::from(vec![20_454; rows]))),
        ("late_duplicates", Arc::new(Int64Array::from(vec![0; rows]))),
        ("title", text(&|_| some("A title of usual length"))),
        ("creator", text(&|_| some("creator-17"))),
        ("genre", text(&|_| some("documentary"))),
        ("video_duration_s", number(&|_| Some(600.0))),
        ("published_at", text(&|_| some("2025-11-03"))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

/// Within every group in another order, as rows of a hash bucket come.
fn shuffled(batch: &RecordBatch) -> RecordBatch {
    let place = |row: usize| (row / EVENTS * EVENTS + row % EVENTS * 7 % EVENTS) as u32;
    let rows: UInt32Array = (0..batch.num_rows()).map(|row| Some(place(row))).collect();
    take_record_batch(batch, &rows).unwrap()
}

fn run(batches: &[RecordBatch]) -> i64 {
    let mut sessioniser = Sessioniser::new(Settings::default(), batches[0].schema_ref()).unwrap();
    for batch in batches {
        sessioniser.push(batch).unwrap();
        while let Some(output) = sessioniser.take_output() {
            black_box(output);
        }
    }
    sessioniser.finish().unwrap();
    while let Some(output) = sessioniser.take_output() {
        black_box(output);
    }
    sessioniser.totals().events
}

fn sessionise(criterion: &mut Criterion) {
    let sorted = events();
    let rows = sorted.num_rows();
    let cut = |batch: &RecordBatch, size: usize| -> Vec<RecordBatch> {
        (0..rows).step_by(size).map(|begin| batch.slice(begin, size.min(rows - begin))).collect()
    };
    let mut group = criterion.benchmark_group("sessionise");
    group.throughput(Throughput::Elements(rows as u64)).sample_size(10);
    let any_order = shuffled(&sorted);
    for (name, batch, size) in [
        ("sorted/65536", &sorted, 65_536),
        ("sorted/8192", &sorted, 8192),
        ("any_order/65536", &any_order, 65_536),
        ("any_order/8192", &any_order, 8192),
    ] {
        let batches = cut(batch, size);
        group.bench_function(name, |bencher| bencher.iter(|| run(&batches)));
    }
    group.finish();
}

criterion_group!(benches, sessionise);
criterion_main!(benches);
