//! With a lake: both sinks have every record once, whatever fails between them, and both ways of landing give the same rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use streamreel_lake::{Lake, OffsetRange, tables};
use streamreel_process::{Error, KeepPayload, Processor, ReadFrom, Settings, Until, names};
use streamreel_topic::{EmbeddedLog, Log};

use super::support::lake::*;
use super::support::*;

fn open(log: &Arc<EmbeddedLog>, lake: &Lake, settings: Settings) -> Processor {
    Processor::open(log.clone(), Some(lake), settings).unwrap()
}

fn from_cleaned() -> Settings {
    Settings { from: ReadFrom::Cleaned, ..settings() }
}

/// Both sinks hold exactly what should have become of every record.
fn check_both(log: &Arc<EmbeddedLog>, lake: &Lake) {
    let expected = expected(&**log, 600_000);
    assert_eq!(fates_in_topics(&**log), expected);
    assert_eq!(fates_in_bronze(lake), expected);
}

#[test]
fn rows_and_topics_agree_record_by_record() {
    let dir = tempfile::tempdir().unwrap();
    let (log, lake) = (log_in(dir.path()), lake_in(dir.path()));
    feed(&*log, &dirty(20_000, 11));
    let summary = run_to_end(&mut open(&log, &lake, settings()));
    check_both(&log, &lake);
    assert_eq!(summary.counts.received, 20_000);
    assert_eq!(summary.counts.clean + summary.counts.duplicates + summary.counts.rejected_total(), 20_000);
    assert!(summary.partitions.iter().all(|p| p.topics_next == Some(p.end) && p.next() == p.end));
    let payloads = "SELECT outcome, count(*) > 0, count(payload) = count(*), count(payload) FROM bronze.events GROUP BY 1 ORDER BY 1";
    let rows = query(&lake, payloads);
    assert_eq!(rows[0], "clean|true|false|0");
    assert!(rows[1].starts_with("duplicate|true|true") && rows[2].starts_with("rejected|true|true"), "{rows:?}");
    let columns =
        "SELECT DISTINCT source_log, source_topic, received_date = cast(received_at as date) FROM bronze.events";
    assert_eq!(query(&lake, columns), [format!("{}|video-events|true", log.identity("").unwrap())]);
}

#[test]
fn both_ways_land_identical_rows() {
    for keep_payload in [KeepPayload::Rejected, KeepPayload::All] {
        let dir = tempfile::tempdir().unwrap();
        let (log, direct) = (log_in(dir.path()), lake_in(dir.path()));
        let cleaned = lake_in(&dir.path().join("other"));
        let keep = Settings { keep_payload, ..settings() };
        for (seed, len) in [(21, 5_000), (22, 3_000)] {
            feed(&*log, &dirty(len, seed));
            run_to_end(&mut open(&log, &direct, keep.clone()));
            let summary = run_to_end(&mut open(&log, &cleaned, from_cleaned()));
            assert_eq!(summary.counts.received, len as u64);
        }
        check_both(&log, &direct);
        let rows = bronze(&cleaned);
        assert_eq!(rows.len(), 8_000);
        assert_eq!(rows, bronze(&direct));
        if keep_payload == KeepPayload::All {
            assert_eq!(query(&cleaned, "SELECT count(*) FROM bronze.events WHERE payload IS NULL"), ["0"]);
        }
    }
}

/// Either sink may be ahead: it is given only what it lacks.
#[test]
fn a_sink_that_is_ahead_ignores_what_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let (log, lake) = (log_in(dir.path()), lake_in(dir.path()));
    feed(&*log, &dirty(4_000, 31));
    run_to_end(&mut Processor::open(log.clone(), None, settings()).unwrap());
    feed(&*log, &dirty(2_000, 32));
    let summary = run_to_end(&mut open(&log, &lake, settings()));
    assert_eq!(summary.counts.received, 6_000);
    check_both(&log, &lake);

    // The topics fall behind: their commits fail after the first while bronze goes on.
    feed(&*log, &dirty(6_000, 33));
    let troubled = Troubled::new(log.clone(), 1, 150);
    let small = Settings { commit_records: 500, ..settings() };
    let mut processor = Processor::open(troubled, Some(&lake), small).unwrap();
    let error = processor.run(Until::End, &NEVER, &|_| {}).unwrap_err();
    assert!(matches!(error, Error::Log { .. }), "{error}");
    drop(processor);
    assert!(fates_in_bronze(&lake).len() > fates_in_topics(&*log).len());
    run_to_end(&mut open(&log, &lake, settings()));
    check_both(&log, &lake);
}

/// Two processors land in one table at once: each commit finds its place after those of the other.
#[test]
fn processors_land_in_one_table() {
    let dir = tempfile::tempdir().unwrap();
    let (log, lake) = (log_in(dir.path()), lake_in(dir.path()));
    let (fed, processed) = take_turns(&*log, 2, || open(&log, &lake_in(dir.path()), settings()));
    assert_eq!(processed, fed);
    check_both(&log, &lake);
}

/// Somebody who is no member of the group lands offsets: this one must not land them twice, and goes on where the lake is.
#[test]
fn a_lake_that_moved_fences() {
    let dir = tempfile::tempdir().unwrap();
    let (log, lake) = (log_in(dir.path()), lake_in(dir.path()));
    feed(&*log, &dirty(300, 41));
    let mut processor = open(&log, &lake, settings());
    let (cancel, taken_over) = (AtomicBool::new(false), AtomicU64::new(0));
    let summary = std::thread::scope(|scope| {
        let following = scope.spawn(|| {
            let progress = |p: &streamreel_process::Progress| taken_over.store(p.taken_over, Ordering::SeqCst);
            processor.run(Until::Cancelled, &cancel, &progress)
        });
        until(|| fates_in_bronze(&lake).len() == 300);
        block_on(async {
            let mut table = lake.create(&tables::bronze_events()).await.unwrap();
            for ((identity, partition), next) in table.offsets(names::VIDEO_EVENTS).await.unwrap() {
                let topic = names::VIDEO_EVENTS.to_owned();
                let range = OffsetRange { log: identity, topic, partition, from: next, next: next + 5, records: 0 };
                table.append_offsets(Vec::new(), &[range]).await.unwrap();
            }
        });
        feed(&*log, &dirty(300, 42));
        until(|| taken_over.load(Ordering::SeqCst) > 0);
        // What somebody else says to have landed is not landed again.
        until(|| fates_in_bronze(&lake).len() == 600 - 5 * PARTITIONS as usize);
        cancel.store(true, Ordering::SeqCst);
        following.join().unwrap().unwrap()
    });
    assert_eq!(summary.taken_over, 1);
    assert_eq!(fates_in_topics(&*log), expected(&*log, 600_000));
}

#[test]
fn another_log_is_refused() {
    for from in [ReadFrom::VideoEvents, ReadFrom::Cleaned] {
        let dir = tempfile::tempdir().unwrap();
        let (log, lake) = (log_in(dir.path()), lake_in(dir.path()));
        feed(&*log, &dirty(500, 51));
        run_to_end(&mut Processor::open(log.clone(), None, settings()).unwrap());
        let settings = Settings { from, ..settings() };
        run_to_end(&mut open(&log, &lake, settings.clone()));
        let other = log_in(&dir.path().join("elsewhere"));
        feed(&*other, &dirty(500, 51));
        let result = Processor::open(other, Some(&lake), settings).and_then(|mut p| p.run(Until::End, &NEVER, &|_| {}));
        let error = result.unwrap_err();
        assert!(matches!(error, Error::OtherLog { .. }), "{error}");
        assert_eq!(fates_in_bronze(&lake).len(), 500);
    }
}

/// A lake changes the way that it is landed only where nothing is lost or doubled by it.
#[test]
fn the_way_of_landing_changes_at_equal_offsets_only() {
    let dir = tempfile::tempdir().unwrap();
    let (log, lake) = (log_in(dir.path()), lake_in(dir.path()));
    let clean_only = || run_to_end(&mut Processor::open(log.clone(), None, settings()).unwrap());
    let refused = |settings: Settings| {
        let error = Processor::open(log.clone(), Some(&lake), settings).err().unwrap();
        assert!(matches!(error, Error::OtherWay { .. }), "{error}");
    };
    feed(&*log, &dirty(1_000, 61));
    run_to_end(&mut open(&log, &lake, settings()));
    feed(&*log, &dirty(1_000, 62));
    clean_only();
    refused(from_cleaned());
    run_to_end(&mut open(&log, &lake, settings()));
    assert_eq!(run_to_end(&mut open(&log, &lake, from_cleaned())).counts.received, 0);
    feed(&*log, &dirty(1_000, 63));
    clean_only();
    refused(settings());
    assert_eq!(run_to_end(&mut open(&log, &lake, from_cleaned())).counts.received, 1_000);
    feed(&*log, &dirty(1_000, 64));
    assert_eq!(run_to_end(&mut open(&log, &lake, settings())).counts.received, 1_000);
    check_both(&log, &lake);
}

/// One that runs while the way is changed must not land what the other way lands, too.
#[test]
fn a_lander_ends_when_the_way_was_changed() {
    for (first, second) in [(settings(), from_cleaned()), (from_cleaned(), settings())] {
        let dir = tempfile::tempdir().unwrap();
        let (log, lake) = (log_in(dir.path()), lake_in(dir.path()));
        feed(&*log, &dirty(1_000, 65));
        run_to_end(&mut open(&log, &lake, settings()));
        let mut running = open(&log, &lake, first);
        let mut other = open(&log, &lake, second.clone());
        feed(&*log, &dirty(1_000, 66));
        if second.from == ReadFrom::VideoEvents {
            // It cleans for the other one.
            run_to_end(&mut other);
        }
        let error = running.run(Until::Cancelled, &NEVER, &|_| {}).unwrap_err();
        assert!(matches!(error, Error::WayChanged { .. }), "{error}");
        run_to_end(&mut Processor::open(log.clone(), None, settings()).unwrap());
        run_to_end(&mut other);
        check_both(&log, &lake);
    }
}

#[test]
fn records_that_no_cleaner_wrote_are_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let (log, lake) = (log_in(dir.path()), lake_in(dir.path()));
    run_to_end(&mut open(&log, &lake, from_cleaned()));
    let mut producer = log.producer("somebody").unwrap();
    let mut records = streamreel_topic::RecordsBuilder::new();
    records.push(START_MS, Some(b"u1"), &event("u1", 1, START_MS, ""), &[]);
    producer.send(names::CLEAN_EVENTS, 0, records.finish()).unwrap();
    producer.commit().unwrap();
    let error = open(&log, &lake, from_cleaned()).run(Until::End, &NEVER, &|_| {}).unwrap_err();
    assert!(error.to_string().contains("source_log is absent"), "{error}");
}

/// A slow sink stops the reader: what is in memory stays bounded.
#[test]
fn a_slow_sink_stops_the_reader() {
    let dir = tempfile::tempdir().unwrap();
    let (log, lake) = (log_in(dir.path()), lake_in(dir.path()));
    feed(&*log, &dirty(60_000, 71));
    let troubled = Troubled::new(log.clone(), -1, 40);
    let (queue, commit_records) = (4, 2_000);
    let settings = Settings { queue, commit_records, ..settings() };
    let mut processor = Processor::open(troubled.clone(), Some(&lake), settings).unwrap();
    let furthest = std::cell::Cell::new(0);
    let progress = |p: &streamreel_process::Progress| {
        let committed: i64 = p.partitions.iter().map(streamreel_process::PartitionReport::next).sum();
        let ahead = troubled.fetched.load(Ordering::SeqCst) as i64 - committed;
        furthest.set(furthest.get().max(ahead));
    };
    let summary = processor.run(Until::End, &NEVER, &progress).unwrap();
    assert_eq!(summary.counts.received, 60_000);
    assert!(furthest.get() < 6_000, "the reader was {} records ahead", furthest.get());
    check_both(&log, &lake);
}
