//! The embedded log, held to what every log promises, and to what it alone does.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
mod suite;

use std::path::Path;

use streamreel_topic::{EmbeddedLog, Error, Log, RecordsBuilder, Removed, Retention};
use suite::{ALL, Gear};
use tempfile::TempDir;

const TOPIC: &str = "video-events";

/// A folder of its own for each test.
struct Embedded(TempDir);

impl Embedded {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

impl Gear for Embedded {
    fn open(&self) -> Box<dyn Log> {
        Box::new(open(self.0.path()))
    }

    fn name(&self, name: &str) -> String {
        name.to_owned()
    }

    fn is_gapless(&self) -> bool {
        true
    }
}

suite!(Embedded::new());

fn open(folder: &Path) -> EmbeddedLog {
    EmbeddedLog::open(folder).unwrap()
}

fn new_log() -> (TempDir, EmbeddedLog) {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    assert_eq!(log.ensure_topic(TOPIC, 4).unwrap(), 4);
    (folder, log)
}

#[test]
fn two_logs_have_two_identities() {
    let ((_one, one), (_other, other)) = (new_log(), new_log());
    assert_ne!(one.identity(TOPIC).unwrap(), other.identity(TOPIC).unwrap());
}

#[test]
fn a_fenced_producer_knows_the_epochs() {
    let (folder, log) = new_log();
    let mut older = log.producer("p").unwrap();
    older.send_offsets("g", TOPIC, 0, 0, 1).unwrap();
    open(folder.path()).producer("p").unwrap();
    let error = older.commit().unwrap_err();
    assert!(matches!(error, Error::Fenced { epochs: Some((1, 2)), .. }), "{error}");
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
    let mut builder = RecordsBuilder::new();
    builder.push(7, None, b"", &[]);
    let mut producer = log.producer("p").unwrap();
    producer.send(TOPIC, 0, builder.finish()).unwrap();
    producer.commit().unwrap();
    assert_eq!(log.range(TOPIC, 0).unwrap(), 1_500..1_501);
    assert_eq!(log.fetch(TOPIC, 0, 1_500, ALL).unwrap().records.timestamp_ms(0), 7);
}
