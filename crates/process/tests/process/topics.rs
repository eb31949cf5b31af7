//! From `video-events` to the two cleaned topics: every record once, with its reason and its source.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use streamreel_process::{Error, KeepPayload, Processor, Progress, Settings, Until, names};
use streamreel_topic::Log;

use super::support::lake::Troubled;
use super::support::*;

#[test]
fn every_record_comes_out_once_with_its_fate() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_in(dir.path());
    feed(&*log, &dirty(20_000, 1));
    let mut processor = Processor::open(log.clone(), None, settings()).unwrap();
    let summary = run_to_end(&mut processor);
    let expected = expected(&*log, 600_000);
    assert_eq!(fates_in_topics(&*log), expected);
    let mut by_fate: BTreeMap<&str, u64> = BTreeMap::new();
    expected.values().for_each(|fate| *by_fate.entry(fate).or_default() += 1);
    let counts = &summary.counts;
    assert_eq!(counts.received, 20_000);
    assert_eq!(counts.clean, by_fate.remove("clean").unwrap());
    assert_eq!(counts.duplicates, by_fate.remove("duplicate").unwrap());
    assert!(counts.duplicates > 500);
    let rejected: BTreeMap<&str, u64> = counts.rejected.iter().map(|(k, v)| (k.as_str(), *v)).collect();
    assert_eq!(rejected, by_fate);
    assert_eq!(rejected.len(), streamreel_event::Reject::ALL.len(), "a reason without a record: {rejected:?}");
    assert_eq!(counts.corrections["region"], counts.corrections["duration_s"]);
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(json["received"], 20_000);
}

#[test]
fn records_carry_their_source_and_reason() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_in(dir.path());
    let clean = event("u1", 1, START_MS, "");
    let corrected = event("u1", 2, START_MS, r#","region":"nowhere","sequence":-1"#);
    let records =
        [(&clean, false), (&clean, false), (&corrected, false), (&b"{".to_vec(), false), (&b"x".to_vec(), true)];
    let records = records.map(|(payload, cut)| Record {
        timestamp_ms: START_MS,
        user: "u1".to_owned(),
        payload: payload.clone(),
        cut,
    });
    feed(&*log, &records);
    let keep_all = Settings { keep_payload: KeepPayload::All, ..settings() };
    run_to_end(&mut Processor::open(log.clone(), None, keep_all).unwrap());

    let events = read(&*log, names::CLEAN_EVENTS);
    assert_eq!(events.len(), 2);
    let identity = log.identity(names::VIDEO_EVENTS).unwrap();
    for (event, payload) in events.iter().zip([&clean, &corrected]) {
        assert_eq!(event.key.as_deref(), Some(&b"u1"[..]));
        assert_eq!(event.timestamp_ms, START_MS);
        assert_eq!(event.text(names::SOURCE_LOG), identity);
        assert_eq!(event.text(names::SOURCE_TOPIC), names::VIDEO_EVENTS);
        assert_eq!(event.text(names::SOURCE_PARTITION), event.partition.to_string());
        assert_eq!(event.text(names::SOURCE_TIMESTAMP), START_MS.to_string());
        assert_eq!(event.headers[names::PAYLOAD], *payload);
        let json: serde_json::Value = serde_json::from_slice(&event.value).unwrap();
        assert_eq!(json["user_id"], "u1");
        assert_eq!(json["timestamp"], "2026-01-01T00:00:00.000000Z");
    }
    assert!(!events[0].headers.contains_key(names::CORRECTIONS));
    assert_eq!(events[1].text(names::CORRECTIONS), "sequence,region");

    let dead = read(&*log, names::DEAD_LETTERS);
    let reasons: Vec<(&str, i64)> = dead.iter().map(|d| (d.text(names::REASON), d.source_offset())).collect();
    assert_eq!(reasons, [("duplicate", 1), ("not_json", 3), ("too_large", 4)]);
    assert_eq!(dead[0].value, clean);
    assert!(dead.iter().all(|d| d.headers.contains_key(names::DETAIL)), "{dead:?}");
    assert!(dead[2].headers.contains_key(names::CUT));
}

/// A run to the end ends although something was written behind an open transaction, and says how much.
#[test]
fn what_an_open_transaction_holds_up_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_in(dir.path());
    feed(&*log, &dirty(1_000, 5));
    let troubled = Troubled::new(log.clone(), -1, 0);
    let mut processor = Processor::open(troubled.clone(), None, settings()).unwrap();
    assert_eq!(run_to_end(&mut processor).undecided, 0);

    troubled.undecided.store(7, Ordering::SeqCst);
    assert_eq!(run_to_end(&mut processor).undecided, 7 * u64::from(PARTITIONS));
    // What is decided by the time that it ends is not counted, whether it comes into this run or not.
    feed(&*log, &dirty(1_000, 6));
    let has_fed = AtomicBool::new(false);
    let feed_once = |_: &Progress| {
        if !has_fed.swap(true, Ordering::SeqCst) {
            feed(&*log, &dirty(1_000, 7));
        }
    };
    let summary = processor.run(Until::End, &NEVER, &feed_once).unwrap();
    assert!(summary.counts.received >= 1_000, "{summary:?}");
    assert_eq!(summary.undecided, 0);
}

/// The window is read again at every start: however often it stops, the same decisions.
#[test]
fn restarts_change_no_decision() {
    let records = dirty(30_000, 7);
    let window = Duration::from_secs(60);
    let mut fates = Vec::new();
    for pieces in [1, 13] {
        let dir = tempfile::tempdir().unwrap();
        let log = log_in(dir.path());
        for some in records.chunks(records.len().div_ceil(pieces)) {
            feed(&*log, some);
            let settings = Settings { dedupe_window: window, ..settings() };
            run_to_end(&mut Processor::open(log.clone(), None, settings).unwrap());
        }
        let expected = expected(&*log, 60_000);
        assert_eq!(fates_in_topics(&*log), expected);
        fates.push(expected);
    }
    assert_eq!(fates[0].len(), fates[1].len());
}

/// With the log longer than several blocks, a start reads only the part that counts.
#[test]
fn a_long_log_is_rebuilt_from_its_window_only() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_in(dir.path());
    let records: Vec<Record> = (0..300_000u64)
        .map(|i| {
            let timestamp_ms = START_MS + i as i64 * 10;
            let id = if i % 10 == 9 { i - 7 } else { i };
            Record { timestamp_ms, user: "u1".to_owned(), payload: event("u1", id, START_MS, ""), cut: false }
        })
        .collect();
    let settings = || Settings { dedupe_window: Duration::from_secs(60), fetch_bytes: 1 << 20, ..settings() };
    feed(&*log, &records[..290_003]);
    run_to_end(&mut Processor::open(log.clone(), None, settings()).unwrap());
    feed(&*log, &records[290_003..]);
    let summary = run_to_end(&mut Processor::open(log.clone(), None, settings()).unwrap());
    let rebuilt = summary.rebuilt.iter().find(|rebuilt| rebuilt.next == 290_003).unwrap();
    // Blocks of 65,536: the one that goes on, the last complete one, and the one whose end lies within the window of that.
    assert!(rebuilt.is_complete && rebuilt.from == 131_072, "{rebuilt:?}");
    assert_eq!(rebuilt.records, 290_003 - 131_072);
    assert_eq!((summary.counts.received, summary.counts.duplicates), (9_997, 1_000));
    assert_eq!(fates_in_topics(&*log), expected(&*log, 60_000));
}

#[test]
fn what_the_memory_bound_forgets_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_in(dir.path());
    let record = |i: u64| Record {
        timestamp_ms: START_MS,
        user: "u1".to_owned(),
        payload: event("u1", i, START_MS, ""),
        cut: false,
    };
    let mut records: Vec<Record> = (0..270_000).map(record).collect();
    // One that was forgotten, one that was not.
    records.extend([record(0), record(262_144)]);
    feed(&*log, &records);
    let bounded = Settings { dedupe_max_entries: 0, fetch_bytes: 1 << 20, ..settings() };
    let summary = run_to_end(&mut Processor::open(log.clone(), None, bounded).unwrap());
    // Two blocks of 65,536 are the least: when the fifth begins, three are forgotten.
    assert_eq!((summary.counts.forgotten, summary.counts.duplicates), (3 * 65_536, 1));
    assert!(summary.partitions.iter().any(|p| p.remembered > 0));
}

#[test]
fn a_window_that_retention_took_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_in(dir.path());
    feed(&*log, &dirty(5_000, 3));
    run_to_end(&mut Processor::open(log.clone(), None, settings()).unwrap());
    let retention =
        streamreel_topic::Retention { before_ms: Some(START_MS + 600_000), max_bytes: None, unless_unread_by: None };
    assert!(log.retain(names::VIDEO_EVENTS, &retention).unwrap().records > 0);
    feed(&*log, &dirty(5_000, 4));
    let summary = run_to_end(&mut Processor::open(log.clone(), None, settings()).unwrap());
    assert!(summary.rebuilt.iter().any(|rebuilt| !rebuilt.is_complete && rebuilt.from > 0), "{:?}", summary.rebuilt);
    assert_eq!(summary.counts.received, 5_000);
}

#[test]
fn records_that_retention_took_unprocessed_are_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_in(dir.path());
    feed(&*log, &dirty(100, 3));
    run_to_end(&mut Processor::open(log.clone(), None, settings()).unwrap());
    feed(&*log, &dirty(5_000, 4));
    let retention =
        streamreel_topic::Retention { before_ms: Some(START_MS + 600_000), max_bytes: None, unless_unread_by: None };
    log.retain(names::VIDEO_EVENTS, &retention).unwrap();
    let error = Processor::open(log.clone(), None, settings()).unwrap().run(Until::End, &NEVER, &|_| {}).unwrap_err();
    assert!(matches!(error, Error::RetentionAhead { .. }), "{error}");
}

#[test]
fn processors_share_a_topic_and_hand_partitions_over() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_in(dir.path());
    let (fed, processed) = take_turns(&*log, 3, || Processor::open(log.clone(), None, settings()).unwrap());
    assert_eq!(processed, fed);
    assert_eq!(fates_in_topics(&*log), expected(&*log, 600_000));
}

/// Somebody who is no member takes a partition over: this one joins its group anew and goes on.
#[test]
fn a_processor_that_was_fenced_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_in(dir.path());
    feed(&*log, &dirty(1_000, 5));
    let (cancel, taken_over) = (AtomicBool::new(false), AtomicU64::new(0));
    let summary = std::thread::scope(|scope| {
        let following = scope.spawn(|| {
            let progress = |p: &streamreel_process::Progress| taken_over.store(p.taken_over, Ordering::SeqCst);
            let mut processor = Processor::open(log.clone(), None, settings()).unwrap();
            processor.run(Until::Cancelled, &cancel, &progress).unwrap()
        });
        until(|| (0..PARTITIONS).all(|p| log.committed(names::GROUP, names::VIDEO_EVENTS, p).unwrap().is_some()));
        let _other = log.producer(&format!("{}.process.1", names::GROUP)).unwrap();
        feed(&*log, &dirty(1_000, 6));
        until(|| taken_over.load(Ordering::SeqCst) == 1);
        feed(&*log, &dirty(1_000, 7));
        until(|| fates_in_topics(&*log).len() == 3_000);
        cancel.store(true, Ordering::SeqCst);
        following.join().unwrap()
    });
    assert_eq!((summary.counts.received, summary.taken_over), (3_000, 1));
    assert_eq!(fates_in_topics(&*log), expected(&*log, 600_000));
}

#[test]
fn a_run_to_the_end_waits_for_what_others_do() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_in(dir.path());
    feed(&*log, &dirty(100, 6));
    // Has a part of the partitions and does nothing about it.
    let idle = log.join(names::GROUP, &[names::VIDEO_EVENTS], None).unwrap();
    until(|| idle.changes().unwrap().len() == PARTITIONS as usize);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| run_to_end(&mut Processor::open(log.clone(), None, settings()).unwrap()));
        std::thread::sleep(Duration::from_millis(500));
        assert!(!running.is_finished(), "it ended although a partition was not processed");
        drop(idle);
        assert_eq!(running.join().unwrap().counts.received, 100);
    });
    assert_eq!(fates_in_topics(&*log), expected(&*log, 600_000));
}

/// Following takes what comes, and a cancelled run finishes its open commit.
#[test]
fn follows_until_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_in(dir.path());
    let (cancel, received) = (AtomicBool::new(false), AtomicU64::new(0));
    let slow_commits = Settings { topics_interval: Duration::from_millis(300), ..settings() };
    let mut processor = Processor::open(log.clone(), None, slow_commits).unwrap();
    let summary = std::thread::scope(|scope| {
        let following = scope.spawn(|| {
            let progress = |p: &streamreel_process::Progress| received.store(p.counts.received, Ordering::SeqCst);
            processor.run(Until::Cancelled, &cancel, &progress).unwrap()
        });
        for seed in 0..3 {
            feed(&*log, &dirty(500, seed));
            let begun = Instant::now();
            while received.load(Ordering::SeqCst) < (seed + 1) * 500 && begun.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        cancel.store(true, Ordering::SeqCst);
        following.join().unwrap()
    });
    assert_eq!(summary.counts.received, 1_500);
    // There is nothing to do, so nothing is read again.
    let again = run_to_end(&mut processor);
    assert_eq!((again.counts.received, again.rebuilt.len()), (0, 0));
    assert_eq!(fates_in_topics(&*log), expected(&*log, 600_000));
}

/// Draining takes what there is when it is cancelled, and ends.
#[test]
fn drains_before_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_in(dir.path());
    feed(&*log, &dirty(20_000, 9));
    let cancel = AtomicBool::new(false);
    let small = Settings { commit_records: 300, fetch_bytes: 5_000, ..settings() };
    let mut processor = Processor::open(log.clone(), None, small).unwrap();
    let progress = |_: &streamreel_process::Progress| cancel.store(true, Ordering::SeqCst);
    let summary = processor.run(Until::Drained, &cancel, &progress).unwrap();
    assert_eq!(summary.counts.received, 20_000);
    assert_eq!(fates_in_topics(&*log), expected(&*log, 600_000));
}
