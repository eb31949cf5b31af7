//! Several processes on one log, and processes that are killed. The children are this test program itself.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use streamreel_topic::{EmbeddedLog, Error, Log, Records, RecordsBuilder};

const FOLDER: &str = "STREAMREEL_TEST_LOG";
const PRODUCER: &str = "STREAMREEL_TEST_PRODUCER";
const COMMITS: &str = "STREAMREEL_TEST_COMMITS";
const TOPICS: [&str; 2] = ["video-events", "clean-events"];
const ALL: usize = 1 << 30;

/// The part of commit `number` for one partition: some records, each saying who wrote it, in which commit, and how
/// many there are. Sizes vary, so that kills hit all kinds of places.
fn part(producer: &str, number: i64, place: usize) -> Records {
    let count = 1 + (number as usize * 7 + place * 13) % 40;
    let padding = "y".repeat((number as usize * 131) % 3_000);
    let mut builder = RecordsBuilder::new();
    for _ in 0..count {
        builder.push(number, Some(producer.as_bytes()), format!("{number} {count} {padding}").as_bytes(), &[]);
    }
    builder.finish()
}

fn spawn(folder: &Path, producer: &str, commits: i64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "child_appends", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(PRODUCER, producer)
        .env(COMMITS, commits.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Not a test by itself: the child process of the others. Prints `acked N` after each commit.
#[test]
#[ignore = "run by the other tests as a child process"]
fn child_appends() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let producer_name = std::env::var(PRODUCER).unwrap();
    let commits: i64 = std::env::var(COMMITS).unwrap().parse().unwrap();
    let log = EmbeddedLog::open(folder).unwrap();
    TOPICS.iter().for_each(|topic| assert_eq!(log.ensure_topic(topic, 2).unwrap(), 2));
    let mut producer = log.producer(&producer_name).unwrap();
    let mut next = log.committed(&producer_name, TOPICS[0], 0).unwrap().unwrap_or(0);
    let end = next + commits;
    println!();
    while next < end {
        for (place, topic) in TOPICS.into_iter().enumerate() {
            for partition in 0..2 {
                producer.send(topic, partition, part(&producer_name, next, place * 2 + partition as usize)).unwrap();
            }
        }
        producer.send_offsets(&producer_name, TOPICS[0], 0, next, next + 1).unwrap();
        producer.commit().unwrap();
        println!("acked {next}");
        std::io::stdout().flush().unwrap();
        next += 1;
    }
}

/// Reads acknowledgements until `enough` says so, kills the child, and gives the last acknowledgement there was.
fn kill_when(mut child: Child, enough: impl Fn(i64, Instant) -> bool) -> Option<i64> {
    let start = Instant::now();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let acked = |line: &str| line.strip_prefix("acked ").map(|number| number.parse::<i64>().unwrap());
    let mut last = None;
    for line in lines.by_ref() {
        if let Some(number) = acked(&line.unwrap()) {
            last = Some(number);
            if enough(number, start) {
                break;
            }
        }
    }
    child.kill().unwrap();
    // What it had still said before the kill counts.
    for line in lines.map_while(Result::ok) {
        last = acked(&line).or(last);
    }
    child.wait().unwrap();
    last
}

/// Checks that the log holds the commits 0..n of the producer, each whole and in order; gives n.
fn check_whole(log: &EmbeddedLog, producer: &str) -> i64 {
    let commits = log.committed(producer, TOPICS[0], 0).unwrap().unwrap_or(0);
    for (place, topic) in TOPICS.into_iter().enumerate() {
        for partition in 0..2_u32 {
            let fetched = log.fetch(topic, partition, 0, ALL).unwrap();
            assert_eq!(fetched.next_offset, log.range(topic, partition).unwrap().end);
            let mut counts = BTreeMap::<i64, usize>::new();
            for i in (0..fetched.records.len()).filter(|i| fetched.records.key(*i) == Some(producer.as_bytes())) {
                let number = fetched.records.timestamp_ms(i);
                assert!(counts.last_key_value().is_none_or(|(last, _)| *last <= number), "out of order");
                *counts.entry(number).or_default() += 1;
            }
            let expected: BTreeMap<i64, usize> = (0..commits)
                .map(|number| (number, part(producer, number, place * 2 + partition as usize).len()))
                .collect();
            assert!(counts == expected, "{topic}/{partition}: half commits, or commits lost or doubled");
        }
    }
    commits
}

#[test]
fn after_a_kill_exactly_the_committed_batches_are_there() {
    const KILLS: u64 = 24;
    let folder = tempfile::tempdir().unwrap();
    let mut acked = 0;
    for kill in 0..KILLS {
        let child = spawn(folder.path(), "p", i64::MAX / 2);
        // Some kills after so many commits, some after a time of odd length, some of them within a commit.
        let first = acked;
        let last = kill_when(child, |number, start| match kill % 3 {
            0 => number - first >= (kill % 7) as i64,
            1 => start.elapsed() >= Duration::from_micros(1_000 + kill * 7_919),
            _ => {
                std::thread::sleep(Duration::from_micros(kill * 211));
                number - first >= 3
            }
        });
        let log = EmbeddedLog::open(folder.path()).unwrap();
        let commits = check_whole(&log, "p");
        let last = last.map_or(acked, |number| number + 1);
        // One more can be stored than was acknowledged: the kill came between.
        assert!(commits == last || commits == last + 1, "acknowledged {last}, stored {commits}");
        acked = commits;
    }
    assert!(acked > KILLS as i64, "{acked}");
}

fn copy(from: &Path, to: &Path) {
    for file in ["topics.sqlite", "topics.sqlite-wal"] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
}

#[test]
fn a_damaged_end_of_the_write_ahead_log_costs_only_the_end() {
    let folder = tempfile::tempdir().unwrap();
    kill_when(spawn(folder.path(), "p", i64::MAX / 2), |number, _| number >= 30);
    let wal_bytes = fs::metadata(folder.path().join("topics.sqlite-wal")).unwrap().len();
    let mut kept = Vec::new();
    for step in 0..12_u64 {
        let copied = tempfile::tempdir().unwrap();
        copy(folder.path(), copied.path());
        let wal = fs::File::options().write(true).read(true).open(copied.path().join("topics.sqlite-wal")).unwrap();
        let at = wal_bytes - wal_bytes * step / 16 - step;
        if step % 2 == 0 {
            wal.set_len(at).unwrap();
        } else {
            std::os::unix::fs::FileExt::write_all_at(&wal, &[0xa5; 64], at.min(wal_bytes - 64)).unwrap();
        }
        let log = EmbeddedLog::open(copied.path()).unwrap();
        kept.push(check_whole(&log, "p"));
        // And it goes on from there.
        let mut producer = log.producer("q").unwrap();
        producer.send(TOPICS[0], 0, part("q", 0, 0)).unwrap();
        producer.commit().unwrap();
    }
    assert!(kept[0] >= 31 && kept.is_sorted_by(|a, b| a >= b) && kept[11] < kept[0], "{kept:?}");
}

#[test]
fn processes_write_and_read_at_the_same_time() {
    const COMMITS: i64 = 60;
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(folder.path()).unwrap();
    let names = ["a", "b", "c"];
    let children: Vec<Child> = names.iter().map(|name| spawn(folder.path(), name, COMMITS)).collect();
    TOPICS.iter().for_each(|topic| assert_eq!(log.ensure_topic(topic, 2).unwrap(), 2));
    // Meanwhile this process reads and writes, and removes nothing.
    let mut producer = log.producer("here").unwrap();
    let mut offset = 0;
    for number in 0..COMMITS {
        let fetched = log.fetch(TOPICS[0], 1, offset, 1 << 20).unwrap();
        producer.send(TOPICS[1], 1, part("here", number, 3)).unwrap();
        producer.send_offsets("here", TOPICS[0], 1, offset, fetched.next_offset).unwrap();
        producer.commit().unwrap();
        offset = fetched.next_offset;
    }
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    for name in names {
        assert_eq!(check_whole(&log, name), COMMITS);
    }
}

#[test]
fn a_process_that_was_replaced_is_fenced() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(folder.path()).unwrap();
    TOPICS.iter().for_each(|topic| assert_eq!(log.ensure_topic(topic, 2).unwrap(), 2));
    let mut older = log.producer("p").unwrap();
    older.send(TOPICS[0], 0, part("p", 0, 0)).unwrap();
    assert!(spawn(folder.path(), "p", 5).wait().unwrap().success());
    assert!(matches!(older.commit(), Err(Error::Fenced { .. })));
    assert_eq!(check_whole(&log, "p"), 5);
}
