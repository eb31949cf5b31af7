//! What a log promises, through the traits alone, so that another implementation can be held to the same.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use streamreel_topic::{EmbeddedLog, Error, Log, Producer, Records, RecordsBuilder, Removed, Retention};
use tempfile::TempDir;

const TOPIC: &str = "video-events";
const ALL: usize = 1 << 30;

fn new_log() -> (TempDir, EmbeddedLog) {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(folder.path()).unwrap();
    assert_eq!(log.ensure_topic(TOPIC, 4).unwrap(), 4);
    (folder, log)
}

/// Records whose value, key, timestamp and header say their number.
fn numbered(range: std::ops::Range<i64>) -> Records {
    let mut builder = RecordsBuilder::new();
    for i in range {
        let value = format!("value {i} {}", "x".repeat((i % 300) as usize));
        let key = format!("key {i}");
        let key = (i % 3 != 0).then_some(key.as_bytes());
        let number = i.to_string();
        let headers: [(&str, &[u8]); 2] = [("source_log", b"one"), ("number", number.as_bytes())];
        builder.push(1_000 + i, key, value.as_bytes(), if i % 5 == 0 { &[] } else { &headers });
    }
    builder.finish()
}

fn check_numbered(records: &Records, from: i64) {
    let expected = numbered(from..from + records.len() as i64);
    for i in 0..records.len() {
        assert_eq!(records.timestamp_ms(i), expected.timestamp_ms(i));
        assert_eq!(records.key(i), expected.key(i));
        assert_eq!(records.value(i), expected.value(i));
        assert!(records.headers(i).eq(expected.headers(i)));
    }
}

fn send(producer: &mut dyn Producer, partition: u32, range: std::ops::Range<i64>) {
    producer.send(TOPIC, partition, numbered(range)).unwrap();
    producer.commit().unwrap();
}

#[test]
fn reads_what_was_committed_from_any_offset() {
    let (_folder, log) = new_log();
    let mut producer = log.producer("p").unwrap();
    // Sends of many sizes: merged into frames, and split.
    let mut next = 0;
    for (i, count) in [1, 2, 13_000, 0, 700, 5_000, 4_999].into_iter().enumerate() {
        producer.send(TOPIC, 2, numbered(next..next + count)).unwrap();
        next += count;
        if i % 2 == 0 {
            producer.commit().unwrap();
        }
    }
    producer.commit().unwrap();
    assert_eq!(log.range(TOPIC, 2).unwrap(), 0..next);
    assert_eq!(log.range(TOPIC, 0).unwrap(), 0..0);
    for from in [0, 1, 2, 3, 4_999, 5_000, 5_001, 12_345, next - 1, next] {
        for max_bytes in [0, 100_000, ALL] {
            let mut offset = from;
            loop {
                let fetched = log.fetch(TOPIC, 2, offset, max_bytes).unwrap();
                check_numbered(&fetched.records, offset);
                if fetched.records.is_empty() {
                    assert_eq!(fetched.next_offset, offset);
                    break;
                }
                assert_eq!(fetched.offset(fetched.records.len() - 1) + 1, fetched.next_offset);
                offset = fetched.next_offset;
            }
            assert_eq!(offset, next);
        }
    }
    assert_eq!(log.fetch(TOPIC, 2, 0, ALL).unwrap().records.len() as i64, next);
}

#[test]
fn a_transaction_is_seen_whole_or_not_at_all() {
    let (folder, log) = new_log();
    let other = EmbeddedLog::open(folder.path()).unwrap();
    log.ensure_topic("clean-events", 1).unwrap();
    let mut producer = log.producer("p").unwrap();
    producer.send(TOPIC, 0, numbered(0..10)).unwrap();
    producer.send(TOPIC, 1, numbered(0..20)).unwrap();
    producer.send("clean-events", 0, numbered(0..30)).unwrap();
    producer.send_offsets("g", TOPIC, 3, 0, 5).unwrap();
    producer.send_offsets("g", TOPIC, 3, 5, 7).unwrap();
    let ends = || {
        let end = |topic, partition| other.range(topic, partition).unwrap().end;
        let committed = other.committed("g", TOPIC, 3).unwrap();
        (end(TOPIC, 0), end(TOPIC, 1), end("clean-events", 0), committed)
    };
    assert_eq!(ends(), (0, 0, 0, None));
    producer.abort().unwrap();
    producer.commit().unwrap();
    assert_eq!(ends(), (0, 0, 0, None));

    producer.send(TOPIC, 0, numbered(0..10)).unwrap();
    producer.send(TOPIC, 1, numbered(0..20)).unwrap();
    producer.send("clean-events", 0, numbered(0..30)).unwrap();
    producer.send_offsets("g", TOPIC, 3, 0, 7).unwrap();
    producer.commit().unwrap();
    assert_eq!(ends(), (10, 20, 30, Some(7)));

    // Refused as a whole, and again until it is aborted.
    producer.send(TOPIC, 0, numbered(10..11)).unwrap();
    producer.send_offsets("g", TOPIC, 3, 6, 9).unwrap();
    for _ in 0..2 {
        let error = producer.commit().unwrap_err();
        assert!(matches!(error, Error::OffsetConflict { expected: 6, found: Some(7), .. }), "{error}");
    }
    producer.abort().unwrap();
    assert_eq!(ends(), (10, 20, 30, Some(7)));
    drop(producer);
    let mut dropped = log.producer("q").unwrap();
    dropped.send(TOPIC, 0, numbered(10..11)).unwrap();
    drop(dropped);
    assert_eq!(ends(), (10, 20, 30, Some(7)));
}

#[test]
fn an_older_producer_is_fenced() {
    let (folder, log) = new_log();
    let mut older = log.producer("p").unwrap();
    let mut unrelated = log.producer("q").unwrap();
    send(&mut *older, 0, 0..5);
    older.send(TOPIC, 0, numbered(5..10)).unwrap();
    let mut newer = EmbeddedLog::open(folder.path()).unwrap().producer("p").unwrap();
    let error = older.commit().unwrap_err();
    assert!(matches!(error, Error::Fenced { epochs: Some((1, 2)), .. }), "{error}");
    older.abort().unwrap();
    send(&mut *newer, 0, 5..6);
    send(&mut *unrelated, 0, 6..7);
    older.send(TOPIC, 0, numbered(5..10)).unwrap();
    assert!(matches!(older.commit(), Err(Error::Fenced { .. })));
    let fetched = log.fetch(TOPIC, 0, 0, ALL).unwrap();
    assert_eq!(fetched.records.len(), 7);
    check_numbered(&fetched.records, 0);
}

#[test]
fn two_consumers_of_one_partition_cannot_both_win() {
    let (_folder, log) = new_log();
    let mut first = log.producer("one").unwrap();
    let mut second = log.producer("two").unwrap();
    for producer in [&mut first, &mut second] {
        producer.send(TOPIC, 1, numbered(0..1)).unwrap();
        producer.send_offsets("g", TOPIC, 0, 0, 10).unwrap();
    }
    first.commit().unwrap();
    assert!(matches!(second.commit(), Err(Error::OffsetConflict { .. })));
    assert_eq!(log.range(TOPIC, 1).unwrap(), 0..1);
    assert_eq!(log.committed("other", TOPIC, 0).unwrap(), None);
}

#[test]
fn wrong_calls_are_named() {
    let (_folder, log) = new_log();
    let mut producer = log.producer("p").unwrap();
    send(&mut *producer, 0, 0..3);
    let mut builder = RecordsBuilder::new();
    builder.push(0, None, &vec![0; (16 << 20) + 1], &[]);
    let too_large = builder.finish();
    let cases: [(Error, &str); 12] = [
        (log.fetch("none", 0, 0, 1).unwrap_err(), "there is no topic \"none\""),
        (log.fetch(TOPIC, 4, 0, 1).unwrap_err(), "has 4 partitions, there is no partition 4"),
        (log.fetch(TOPIC, 0, 4, 1).unwrap_err(), "offset 4 is beyond the end of the log, 3"),
        (log.fetch(TOPIC, 0, -1, 1).unwrap_err(), "offset -1 is gone, the first one kept is 0"),
        (log.range("none", 0).unwrap_err(), "no topic"),
        (log.committed("g", "none", 0).unwrap_err(), "no topic"),
        (log.ensure_topic("a b", 1).unwrap_err(), "ASCII"),
        (log.ensure_topic("", 1).unwrap_err(), "1 to 249 characters"),
        (log.ensure_topic("new", 0).unwrap_err(), "partitions"),
        (producer.send("none", 0, Records::default()).unwrap_err(), "no topic"),
        (producer.send(TOPIC, 0, too_large).unwrap_err(), "over the log's limit"),
        (producer.send_offsets("g", TOPIC, 0, 5, 4).unwrap_err(), "offsets must rise"),
    ];
    for (error, expected) in cases {
        assert!(error.to_string().contains(expected), "{error}");
    }
    // None of that has spoiled the producer.
    send(&mut *producer, 0, 3..4);
    assert_eq!(log.ensure_topic(TOPIC, 9).unwrap(), 4);
}

#[test]
fn topics_tell_how_full_they_are() {
    let (_folder, log) = new_log();
    log.ensure_topic("clean-events", 1).unwrap();
    send(&mut *log.producer("p").unwrap(), 1, 0..5_500);
    let topics = log.topics().unwrap();
    let names: Vec<&str> = topics.iter().map(|topic| &*topic.name).collect();
    assert_eq!(names, ["clean-events", TOPIC]);
    assert_eq!((topics[0].records(), topics[0].bytes()), (0, Some(0)));
    assert_eq!(topics[1].records(), 5_500);
    assert!((10_000..200_000).contains(&topics[1].bytes().unwrap()), "{:?}", topics[1]);
    assert_eq!(topics[1].partitions.len(), 4);
    assert_eq!((topics[1].partitions[1].first_offset, topics[1].partitions[1].next_offset), (0, 5_500));
}

#[test]
fn identity_stays_with_the_log() {
    let (folder, log) = new_log();
    let (_other_folder, other) = new_log();
    let identity = log.identity(TOPIC).unwrap();
    assert_eq!(identity.len(), 36);
    assert_ne!(identity, other.identity(TOPIC).unwrap());
    drop(log);
    assert_eq!(EmbeddedLog::open(folder.path()).unwrap().identity(TOPIC).unwrap(), identity);
}

#[test]
fn finds_the_offset_of_a_time() {
    let (_folder, log) = new_log();
    let mut producer = log.producer("p").unwrap();
    assert_eq!(log.offset_at(TOPIC, 0, 0).unwrap(), 0);
    for timestamps_ms in [vec![10, 20, 30], vec![15, 40], vec![35, 50]] {
        let mut builder = RecordsBuilder::new();
        timestamps_ms.into_iter().for_each(|timestamp_ms| builder.push(timestamp_ms, None, b"", &[]));
        producer.send(TOPIC, 0, builder.finish()).unwrap();
        producer.commit().unwrap();
    }
    let cases = [(0, 0), (10, 0), (11, 1), (30, 2), (31, 4), (40, 4), (41, 6), (50, 6), (51, 7)];
    for (timestamp_ms, expected) in cases {
        assert_eq!(log.offset_at(TOPIC, 0, timestamp_ms).unwrap(), expected, "{timestamp_ms}");
    }
}

#[test]
fn the_data_version_tells_of_commits_only() {
    let (folder, log) = new_log();
    let other = EmbeddedLog::open(folder.path()).unwrap();
    let mut producer = log.producer("p").unwrap();
    let seen = [log.data_version().unwrap(), other.data_version().unwrap()];
    producer.send(TOPIC, 0, numbered(0..3)).unwrap();
    assert_eq!(seen, [log.data_version().unwrap(), other.data_version().unwrap()]);
    let start = Instant::now();
    assert_eq!(log.wait(seen[0], Duration::from_millis(60)).unwrap(), seen[0]);
    assert!(start.elapsed() >= Duration::from_millis(60));
    let waiting = std::thread::spawn(move || other.wait(seen[1], Duration::from_secs(60)).unwrap());
    producer.commit().unwrap();
    assert_ne!(log.data_version().unwrap(), seen[0]);
    assert_ne!(waiting.join().unwrap(), seen[1]);
}

fn file_bytes(folder: &TempDir) -> u64 {
    folder.path().join("topics.sqlite").metadata().unwrap().len()
}

#[test]
fn retention_removes_whole_frames_and_the_file_shrinks() {
    let (folder, log) = new_log();
    let mut producer = log.producer("p").unwrap();
    let mut state = 1_u64;
    for frame in 0..300 {
        let mut builder = RecordsBuilder::new();
        for _ in 0..10 {
            let noise: Vec<u8> = (0..10_000)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 56) as u8
                })
                .collect();
            builder.push(frame, None, &noise, &[]);
        }
        producer.send(TOPIC, (frame % 2) as u32, builder.finish()).unwrap();
        producer.commit().unwrap();
    }
    let nothing = log.retain(TOPIC, &Retention::default()).unwrap();
    assert_eq!(nothing, Removed::default());
    let by_group = Retention { before_ms: Some(i64::MAX), unless_unread_by: Some("g".into()), ..Retention::default() };
    assert_eq!(log.retain(TOPIC, &by_group).unwrap(), Removed::default());
    producer.send_offsets("g", TOPIC, 0, 0, 25).unwrap();
    producer.commit().unwrap();
    assert_eq!(log.retain(TOPIC, &by_group).unwrap().records, 20);
    assert_eq!(log.range(TOPIC, 0).unwrap(), 20..1_500);
    let error = log.fetch(TOPIC, 0, 19, ALL).unwrap_err();
    assert!(matches!(error, Error::OffsetGone { offset: 19, first: 20, .. }), "{error}");
    assert_eq!(log.fetch(TOPIC, 0, 20, 0).unwrap().records.timestamp_ms(0), 4);

    let by_age = Retention { before_ms: Some(100), ..Retention::default() };
    assert_eq!(log.retain(TOPIC, &by_age).unwrap().records, 1_000 - 20);
    assert_eq!((log.range(TOPIC, 0).unwrap(), log.range(TOPIC, 1).unwrap()), (500..1_500, 500..1_500));
    assert_eq!(log.offset_at(TOPIC, 1, 0).unwrap(), 500);

    let before = file_bytes(&folder);
    let by_size = Retention { max_bytes: Some(1_000_000), ..Retention::default() };
    log.retain(TOPIC, &by_size).unwrap();
    for partition in log.topics().unwrap()[0].partitions.iter().take(2) {
        assert!((800_000..=1_000_000).contains(&partition.bytes.unwrap()), "{partition:?}");
    }
    let after = file_bytes(&folder);
    assert!(after < before / 3 && after < 3_000_000, "{before} -> {after}");

    // All may go; offsets go on where they were, also after opening it again.
    log.retain(TOPIC, &Retention { max_bytes: Some(0), ..Retention::default() }).unwrap();
    drop((producer, log));
    let log = EmbeddedLog::open(folder.path()).unwrap();
    assert_eq!(log.range(TOPIC, 0).unwrap(), 1_500..1_500);
    send(&mut *log.producer("p").unwrap(), 0, 0..5);
    assert_eq!(log.range(TOPIC, 0).unwrap(), 1_500..1_505);
    check_numbered(&log.fetch(TOPIC, 0, 1_500, ALL).unwrap().records, 0);
}
