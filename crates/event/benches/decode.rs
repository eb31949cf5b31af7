//! Decode and validate, one thread. Throughput is in events (elements) a second; the size of an event is printed first.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use streamreel_event::{Decoder, EventColumns, KeyScratch, producer_key, write_clean_json};

const EVENTS: usize = 8192;
const START_US: i64 = 1_767_225_600_000_000;

/// A stream of numbers that looks random and is always the same.
fn numbers() -> impl FnMut() -> u64 {
    let mut state = 88_172_645_463_325_252u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

/// What the decoder itself writes: fields in the usual order.
fn full(with_id: bool) -> Vec<Vec<u8>> {
    let mut next = numbers();
    let kinds = ["play", "pause", "heartbeat", "heartbeat", "heartbeat", "ended"];
    (0..EVENTS)
        .map(|i| {
            let n = next();
            let id = if with_id { format!(r#","event_id":"{:016x}""#, next()) } else { String::new() };
            format!(
                r#"{{"user_id":"u{:08}","video_id":"v{:06}","session_id":"{n:016x}","event_type":"{}","timestamp":"2026-01-01T{:02}:{:02}:{:02}.{:03}Z","position_s":{}.{:03},"region":"US","device":"tv","sequence":{}{id}}}"#,
                n % 200_000, n % 20_000, kinds[i % kinds.len()],
                n % 24, n / 64 % 60, n / 4096 % 60, n % 1000, n % 3600, n / 7 % 1000, n % 100,
            )
            .into_bytes()
        })
        .collect()
}

/// Nothing but the required fields, the time as an epoch.
fn minimal() -> Vec<Vec<u8>> {
    let mut next = numbers();
    (0..EVENTS)
        .map(|i| {
            let n = next();
            format!(
                r#"{{"user_id":"u{:08}","video_id":"v{:06}","event_type":"play","timestamp":{}}}"#,
                n % 200_000,
                n % 20_000,
                START_US / 1000 + i as i64,
            )
            .into_bytes()
        })
        .collect()
}

/// Another order, white space, an unknown field: the general path.
fn unusual() -> Vec<Vec<u8>> {
    full(true)
        .into_iter()
        .map(|event| {
            let text = String::from_utf8(event).expect("UTF-8");
            format!(r#"{{ "player": {{"version": "1.2.3"}}, {}"#, &text[1..]).into_bytes()
        })
        .collect()
}

/// Every other one is rejected.
fn dirty() -> Vec<Vec<u8>> {
    let mut events = full(true);
    for event in events.iter_mut().step_by(2) {
        event.truncate(100);
    }
    events
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(EVENTS as u64));
    let cases = [
        ("full", full(true)),
        ("without_id", full(false)),
        ("minimal", minimal()),
        ("unusual", unusual()),
        ("dirty", dirty()),
    ];
    for (name, events) in cases {
        println!("{name}: {} bytes an event", events.iter().map(Vec::len).sum::<usize>() / EVENTS);
        let mut decoder = Decoder::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for event in &events {
                    decoder.push(black_box(event), START_US + 86_400_000_000, false);
                }
                decoder.finish()
            });
        });
    }
    group.finish();
}

fn write(criterion: &mut Criterion) {
    let mut decoder = Decoder::new();
    let events = full(true);
    for event in &events {
        decoder.push(event, START_US + 86_400_000_000, false);
    }
    let batch = decoder.finish();
    let columns = EventColumns::new(&batch).expect("a decoded batch");
    let mut group = criterion.benchmark_group("clean");
    group.throughput(Throughput::Elements(EVENTS as u64));
    group.bench_function("write_clean_json", |bencher| {
        bencher.iter_batched_ref(
            Vec::new,
            |out| (0..columns.len()).for_each(|row| write_clean_json(&columns, row, out)),
            BatchSize::LargeInput,
        );
    });
    let mut scratch = KeyScratch::default();
    group.bench_function("producer_key", |bencher| {
        bencher
            .iter(|| events.iter().filter_map(|event| producer_key(event, &mut scratch).map(str::len)).sum::<usize>());
    });
    group.finish();
}

criterion_group!(benches, decode, write);
criterion_main!(benches);
