//! What only shows from inside: lost acknowledgements, shared syncs, a full disk, damaged frames.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Barrier};

use tempfile::TempDir;

use super::producer::EmbeddedProducer;
use super::*;
use crate::{Records, RecordsBuilder};

const TOPIC: &str = "video-events";

fn new_log() -> (TempDir, EmbeddedLog) {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(folder.path()).unwrap();
    log.ensure_topic(TOPIC, 2).unwrap();
    (folder, log)
}

fn records(values: &[&[u8]]) -> Records {
    let mut builder = RecordsBuilder::new();
    values.iter().for_each(|value| builder.push(0, None, value, &[]));
    builder.finish()
}

/// Records that do not compress, one after the other different.
fn noise(count: usize, bytes: usize) -> Records {
    let mut builder = RecordsBuilder::new();
    let mut state = 88_172_645_463_325_252_u64;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    for _ in 0..count {
        let value: Vec<u8> = (0..bytes).map(|_| byte()).collect();
        builder.push(0, None, &value, &[]);
    }
    builder.finish()
}

fn producer(log: &EmbeddedLog, id: &str) -> EmbeddedProducer {
    EmbeddedProducer::new(Arc::clone(&log.shared), id).unwrap()
}

#[test]
fn a_commit_whose_answer_was_lost_is_stored_once() {
    let (_folder, log) = new_log();
    let mut producer = producer(&log, "p");
    for round in 0..3 {
        producer.send(TOPIC, 0, records(&[b"a", b"b"])).unwrap();
        producer.send(TOPIC, 1, records(&[b"c"])).unwrap();
        producer.send_offsets("g", TOPIC, 0, round * 10, round * 10 + 10).unwrap();
        producer.lost_acks = 2;
        assert!(producer.commit().is_err());
        assert!(matches!(producer.send(TOPIC, 0, records(&[b"x"])), Err(Error::Unsettled { .. })));
        assert!(producer.commit().is_err());
        producer.commit().unwrap();
        assert_eq!(log.range(TOPIC, 0).unwrap(), 0..(round + 1) * 2);
        assert_eq!(log.range(TOPIC, 1).unwrap(), 0..round + 1);
        assert_eq!(log.committed("g", TOPIC, 0).unwrap(), Some(round * 10 + 10));
    }
}

#[test]
fn an_abort_after_a_lost_answer_says_that_the_transaction_is_stored() {
    let (_folder, log) = new_log();
    let mut producer = producer(&log, "p");
    producer.send(TOPIC, 0, records(&[b"a"])).unwrap();
    producer.lost_acks = 1;
    assert!(producer.commit().is_err());
    assert!(matches!(producer.abort(), Err(Error::AlreadyCommitted { .. })));
    producer.send(TOPIC, 0, records(&[b"b"])).unwrap();
    producer.commit().unwrap();
    assert_eq!(log.range(TOPIC, 0).unwrap(), 0..2);
}

#[test]
fn waiting_commits_share_a_sync() {
    const THREADS: usize = 16;
    let (_folder, log) = new_log();
    let barrier = Barrier::new(THREADS + 1);
    let syncs = || log.shared.writer.syncs.load(Ordering::Relaxed);
    let before = std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (log, barrier) = (log.clone(), &barrier);
            scope.spawn(move || {
                let mut producer = log.producer(&format!("p{thread}")).unwrap();
                producer.send(TOPIC, 0, records(&[b"a"])).unwrap();
                // One of them expects an offset that is not there; it must not stop the others.
                if thread == 0 {
                    producer.send_offsets("g", TOPIC, 0, 5, 6).unwrap();
                }
                barrier.wait();
                barrier.wait();
                assert_eq!(producer.commit().is_err(), thread == 0);
            });
        }
        let mut first = log.producer("first").unwrap();
        first.send_offsets("g", TOPIC, 0, 0, 1).unwrap();
        first.commit().unwrap();
        let before = syncs();
        barrier.wait();
        // As long as a commit is under way, the others gather.
        let held = log.shared.writer.with(&log.shared.place, "hold", |_| {
            barrier.wait();
            while log.shared.writer.waiting() < THREADS {
                std::thread::yield_now();
            }
            Ok(())
        });
        held.unwrap();
        before
    });
    // Counted once the commit has returned, which is after its records are visible.
    assert_eq!(syncs() - before, 1);
    assert_eq!(log.range(TOPIC, 0).unwrap(), 0..THREADS as i64 - 1);
}

#[test]
fn a_full_disk_refuses_the_commit_and_loses_nothing() {
    let (_folder, log) = new_log();
    let limit = |pages: i64| {
        let limited = log.shared.writer.with(&log.shared.place, "limit", |connection| {
            let now: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
            connection.pragma_update_and_check(None, "max_page_count", now + pages, |row| row.get::<_, i64>(0))
        });
        limited.unwrap();
    };
    let mut producer = log.producer("p").unwrap();
    producer.send(TOPIC, 0, records(&[b"before"])).unwrap();
    producer.commit().unwrap();
    limit(20);
    producer.send(TOPIC, 0, noise(100, 10_000)).unwrap();
    producer.send_offsets("g", TOPIC, 0, 0, 7).unwrap();
    for _ in 0..2 {
        let error = producer.commit().unwrap_err();
        assert!(matches!(error, Error::DiskFull { .. }), "{error}");
        assert!(error.is_retriable());
        assert!(error.to_string().contains("Free space"), "{error}");
        assert_eq!(log.range(TOPIC, 0).unwrap(), 0..1);
        assert_eq!(log.committed("g", TOPIC, 0).unwrap(), None);
    }
    let mut small = log.producer("small").unwrap();
    small.send(TOPIC, 1, records(&[b"fits"])).unwrap();
    small.commit().unwrap();
    limit(100_000);
    producer.commit().unwrap();
    assert_eq!(log.range(TOPIC, 0).unwrap(), 0..101);
    assert_eq!(log.committed("g", TOPIC, 0).unwrap(), Some(7));
}

#[test]
fn a_damaged_frame_is_named_and_the_others_are_readable() {
    let changes = [
        ("UPDATE frame SET data = zeroblob(length(data)) WHERE base_offset = 2", "checksum"),
        ("UPDATE frame SET data = substr(data, 1, length(data) - 1) WHERE base_offset = 2", "checksum"),
        ("UPDATE frame SET raw_bytes = raw_bytes + 1 WHERE base_offset = 2", "checksum"),
        ("UPDATE frame SET records = 1 WHERE base_offset = 2", "checksum"),
        ("UPDATE frame SET data = (SELECT data FROM frame WHERE base_offset = 4) WHERE base_offset = 2", "checksum"),
        ("DELETE FROM frame WHERE base_offset = 2", "missing"),
    ];
    for (change, expected) in changes {
        let (_folder, log) = new_log();
        let mut producer = log.producer("p").unwrap();
        for values in [[&b"a0"[..], b"a1"], [b"b0", b"b1"], [b"c0", b"c1"]] {
            producer.send(TOPIC, 0, records(&values)).unwrap();
            producer.commit().unwrap();
        }
        log.shared.writer.with(&log.shared.place, "damage", |connection| connection.execute(change, [])).unwrap();
        let before = log.fetch(TOPIC, 0, 0, 1 << 20).unwrap();
        assert_eq!((before.records.len(), before.next_offset), (2, 2), "{change}");
        for offset in [2, 3] {
            let error = log.fetch(TOPIC, 0, offset, 1 << 20).unwrap_err();
            let Error::Damaged { topic, partition, next, detail, .. } = &error else { panic!("{change}: {error}") };
            assert_eq!((&**topic, *partition), (TOPIC, 0));
            // With a wrong number of records the frame seems to end early.
            let is_short = change.contains("records");
            assert!(detail.contains(if is_short && offset == 3 { "missing" } else { expected }), "{change}: {error}");
            assert_eq!(*next, if is_short && offset == 2 { 3 } else { 4 }, "{change}: {error}");
        }
        assert_eq!(log.fetch(TOPIC, 0, 4, 1 << 20).unwrap().records.value(0), b"c0", "{change}");
    }
}

#[test]
fn the_write_ahead_log_stays_bounded_while_others_read() {
    let (_folder, log) = new_log();
    let mut producer = log.producer("p").unwrap();
    let batch = noise(400, 10_000);
    let mut largest = 0;
    let is_done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut offset = 0;
                while !is_done.load(Ordering::Relaxed) {
                    offset = log.fetch(TOPIC, 0, offset, 1 << 20).unwrap().next_offset;
                    if offset == log.range(TOPIC, 0).unwrap().end {
                        offset = 0;
                    }
                }
            });
        }
        for _ in 0..100 {
            producer.send(TOPIC, 0, batch.clone()).unwrap();
            producer.commit().unwrap();
            largest = largest.max(log.shared.place.wal_bytes());
        }
        is_done.store(true, Ordering::Relaxed);
    });
    assert!(largest < 256 << 20, "{largest}");
}
