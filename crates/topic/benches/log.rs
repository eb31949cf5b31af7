//! Throughput of the embedded log with records of 210 bytes: appending (compression, SQLite and the sync of the disk),
//! reading with every record touched, and the cost of one small commit.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use streamreel_topic::{EmbeddedLog, Log, Records, RecordsBuilder};

const TOPIC: &str = "video-events";
const BATCH: usize = 20_000;
const READ_BATCHES: usize = 25;
const FETCH_BYTES: usize = 8 << 20;

/// Events of some thousand viewers, 180 bytes of JSON with a key of 9 and, once stored, about 210 bytes each.
fn events(count: usize, seed: u64) -> Records {
    let mut builder = RecordsBuilder::new();
    let mut state = seed | 1;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for i in 0..count {
        let user = format!("user-{:05}", next(5_000));
        let kind = ["play", "pause", "heartbeat", "seek"][next(4) as usize];
        let (video, session, position) = (next(300), next(u64::from(u32::MAX)), next(3_600_000));
        let value = format!(
            "{{\"event_id\":\"{:016x}\",\"user_id\":\"{user}\",\"video_id\":\"video-{video:04}\",\"session_id\":\"{session:08x}\",\
             \"event_type\":\"{kind}\",\"timestamp\":\"2026-01-15T10:{:02}:{:02}.{:03}Z\",\"position_s\":{}.{:03},\"region\":\"DE\"}}",
            next(1 << 31) << 31 | next(1 << 31),
            i / 60 % 60,
            i % 60,
            i % 1000,
            position / 1000,
            position % 1000,
        );
        builder.push(1_768_471_200_000 + i as i64, Some(user.as_bytes()), value.as_bytes(), &[]);
    }
    builder.finish()
}

fn append(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let log = EmbeddedLog::open(folder.path()).expect("a log");
    log.ensure_topic(TOPIC, 4).expect("a topic");
    let mut producer = log.producer("bench").expect("a producer");
    let records = events(BATCH, 1);
    println!("{} bytes a record", records.bytes() / records.len());
    let mut group = criterion.benchmark_group("append");
    group.measurement_time(Duration::from_secs(8)).sample_size(20).throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("20,000 records a commit", |bencher| {
        bencher.iter_batched(
            || records.clone(),
            |records| {
                producer.send(TOPIC, 0, records).expect("sent");
                producer.commit().expect("committed");
            },
            BatchSize::LargeInput,
        );
    });
    group.throughput(Throughput::Elements(10));
    group.bench_function("10 records a commit", |bencher| {
        let records = events(10, 2);
        bencher.iter_batched(
            || records.clone(),
            |records| {
                producer.send(TOPIC, 1, records).expect("sent");
                producer.commit().expect("committed");
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
    let info = &log.topics().expect("topics")[0].partitions[0];
    println!("{:.1} bytes stored a record", info.bytes.expect("known") as f64 / info.records() as f64);
}

fn read(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let log = EmbeddedLog::open(folder.path()).expect("a log");
    log.ensure_topic(TOPIC, 1).expect("a topic");
    let mut producer = log.producer("bench").expect("a producer");
    for seed in 0..READ_BATCHES {
        producer.send(TOPIC, 0, events(BATCH, seed as u64)).expect("sent");
        producer.commit().expect("committed");
    }
    let mut group = criterion.benchmark_group("read");
    let total = BATCH * READ_BATCHES;
    group.measurement_time(Duration::from_secs(8)).sample_size(20).throughput(Throughput::Elements(total as u64));
    group.bench_function("all values, 8 MiB a fetch", |bencher| {
        bencher.iter(|| {
            let (mut offset, mut bytes) = (0, 0);
            loop {
                let fetched = log.fetch(TOPIC, 0, offset, FETCH_BYTES).expect("fetched");
                if fetched.records.is_empty() {
                    break;
                }
                for i in 0..fetched.records.len() {
                    bytes += fetched.records.value(i).len() + fetched.records.key(i).map_or(0, <[u8]>::len);
                }
                offset = fetched.next_offset;
            }
            black_box(bytes)
        });
    });
    group.finish();
    let seen = log.data_version().expect("a version");
    criterion.bench_function("data_version", |bencher| {
        bencher.iter(|| assert_eq!(log.data_version().expect("a version"), seen));
    });
}

criterion_group!(benches, append, read);
criterion_main!(benches);
