//! What a log promises, through the traits alone: every implementation is held to the same.

mod groups;

use std::ops::Range;
use std::time::{Duration, Instant};

pub use groups::*;
use streamreel_topic::{Error, Fetched, Log, Producer, Records, RecordsBuilder, Retention};

pub const ALL: usize = 1 << 30;

/// An implementation under test.
pub trait Gear {
    /// The log as another process would open it.
    fn open(&self) -> Box<dyn Log>;
    /// The log that a producer id, a topic or a group of this test is in: names that no other test has.
    fn name(&self, name: &str) -> String;
    /// Whether offsets have no gaps.
    fn is_gapless(&self) -> bool;
}

/// A log with a topic of 4 partitions.
pub struct Place<G> {
    pub gear: G,
    pub log: Box<dyn Log>,
    pub topic: String,
}

impl<G: Gear> Place<G> {
    pub fn new(gear: G) -> Self {
        let (log, topic) = (gear.open(), gear.name("video-events"));
        assert_eq!(log.ensure_topic(&topic, 4).unwrap(), 4);
        Self { gear, log, topic }
    }

    fn producer(&self, id: &str) -> Box<dyn Producer> {
        self.log.producer(&self.gear.name(id)).unwrap()
    }

    fn group(&self, name: &str) -> String {
        self.gear.name(name)
    }

    fn send(&self, producer: &mut dyn Producer, partition: u32, range: Range<i64>) {
        producer.send(&self.topic, partition, numbered(range)).unwrap();
        producer.commit().unwrap();
    }

    /// Everything of a partition from `from` on, in reads of about `max_bytes`; checks what holds for each of them.
    fn read(&self, partition: u32, from: i64, max_bytes: usize) -> Vec<Fetched> {
        let end = self.log.range(&self.topic, partition).unwrap().end;
        let (mut reads, mut at) = (Vec::new(), from);
        while at < end {
            let fetched = self.log.fetch(&self.topic, partition, at, max_bytes).unwrap();
            let offsets: Vec<i64> = (0..fetched.records.len()).map(|i| fetched.offset(i)).collect();
            assert!(offsets.is_sorted_by(|a, b| a < b), "offsets rise");
            assert!(offsets.first().is_none_or(|first| *first >= at), "nothing from before");
            assert!(offsets.last().is_none_or(|last| *last < fetched.next_offset), "nothing that comes again");
            assert!(fetched.next_offset > at, "it goes on");
            if self.gear.is_gapless() {
                assert_eq!(offsets, (at..fetched.next_offset).collect::<Vec<_>>());
            }
            at = fetched.next_offset;
            reads.push(fetched);
        }
        let fetched = self.log.fetch(&self.topic, partition, at, max_bytes).unwrap();
        assert_eq!(fetched.records.len(), 0, "nothing at the end");
        // Where there are markers, that of an aborted transaction may come at any time, and moves the end.
        if self.gear.is_gapless() {
            assert_eq!((at, fetched.next_offset), (end, end), "the end is reached");
        } else {
            assert!(at >= end && fetched.next_offset >= at, "the end is reached");
        }
        reads
    }

    /// How many committed records a partition has; they must be those numbered from 0 on.
    fn count(&self, partition: u32) -> i64 {
        let start = self.log.range(&self.topic, partition).unwrap().start;
        let mut count = 0;
        for fetched in self.read(partition, start, ALL) {
            check_numbered(&fetched.records, count);
            count += fetched.records.len() as i64;
        }
        count
    }
}

/// Records whose value, key, timestamp and headers say their number.
fn numbered(range: Range<i64>) -> Records {
    let mut builder = RecordsBuilder::new();
    for i in range {
        let value = if i % 11 == 0 { String::new() } else { format!("value {i} {}", "x".repeat((i % 300) as usize)) };
        let key = if i % 7 == 0 { String::new() } else { format!("key {i}") };
        let key = (i % 3 != 0).then_some(key.as_bytes());
        let number = i.to_string();
        let headers: [(&str, &[u8]); 3] = [("source_log", b"one"), ("number", number.as_bytes()), ("nothing", b"")];
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

pub fn reads_what_was_committed_from_any_offset(place: &Place<impl Gear>) {
    let mut producer = place.producer("p");
    // Sends of many sizes, and commits of several sends.
    let mut next = 0;
    for (i, count) in [1, 2, 13_000, 0, 700, 5_000, 4_999].into_iter().enumerate() {
        producer.send(&place.topic, 2, numbered(next..next + count)).unwrap();
        next += count;
        if i % 2 == 0 {
            producer.commit().unwrap();
        }
    }
    producer.commit().unwrap();
    let range = place.log.range(&place.topic, 2).unwrap();
    assert_eq!(range.start, 0);
    if place.gear.is_gapless() {
        assert_eq!(range.end, next);
    }
    assert_eq!(place.log.range(&place.topic, 0).unwrap(), 0..0);
    assert_eq!(place.count(2), next);
    // The offset of each record.
    let offsets: Vec<i64> = place
        .read(2, 0, ALL)
        .iter()
        .flat_map(|fetched| (0..fetched.records.len()).map(|i| fetched.offset(i)).collect::<Vec<_>>())
        .collect();
    for from in [0, 1, 2, 3, 4_999, 5_000, 5_001, 12_345, next - 1] {
        for max_bytes in [0, 100_000, ALL] {
            let mut number = from;
            for fetched in place.read(2, offsets[from as usize], max_bytes) {
                check_numbered(&fetched.records, number);
                number += fetched.records.len() as i64;
            }
            assert_eq!(number, next, "from {from}, {max_bytes} bytes at a time");
        }
    }
}

/// A reader that has been told of an end, and is asked for what comes next before that has arrived, does not go past it.
pub fn reads_on_where_a_partition_had_ended(place: &Place<impl Gear>) {
    const PATIENCE: Duration = Duration::from_secs(20);
    let (reader, mut producer) = (place.gear.open(), place.producer("p"));
    let mut at = reader.range(&place.topic, 0).unwrap().start;
    for i in 0..24 {
        // Longer than a broker waits before it says that there is nothing.
        std::thread::sleep(Duration::from_millis(130));
        place.send(&mut *producer, 0, i..i + 1);
        let began = Instant::now();
        loop {
            let fetched = reader.fetch(&place.topic, 0, at, ALL).unwrap();
            at = fetched.next_offset;
            if !fetched.records.is_empty() {
                assert_eq!(fetched.records.len(), 1);
                check_numbered(&fetched.records, i);
                break;
            }
            assert!(began.elapsed() < PATIENCE, "record {i} is not read; the reader is at {at}");
        }
    }
}

pub fn a_transaction_is_seen_whole_or_not_at_all(place: &Place<impl Gear>) {
    let (other, topic) = (place.gear.open(), &place.topic);
    let (clean, group) = (place.gear.name("clean-events"), place.group("g"));
    place.log.ensure_topic(&clean, 1).unwrap();
    let mut producer = place.producer("p");
    let fill = |producer: &mut dyn Producer| {
        producer.send(topic, 0, numbered(0..10)).unwrap();
        producer.send(topic, 1, numbered(0..20)).unwrap();
        producer.send(&clean, 0, numbered(0..30)).unwrap();
    };
    let records = || {
        let count = |topic: &str, partition| {
            let range = other.range(topic, partition).unwrap();
            let (mut at, mut count) = (range.start, 0);
            while at < range.end {
                let fetched = other.fetch(topic, partition, at, ALL).unwrap();
                (at, count) = (fetched.next_offset, count + fetched.records.len());
            }
            count
        };
        let committed = other.committed(&group, topic, 3).unwrap();
        (count(topic, 0), count(topic, 1), count(&clean, 0), committed)
    };
    fill(&mut *producer);
    producer.send_offsets(&group, topic, 3, 0, 5).unwrap();
    producer.send_offsets(&group, topic, 3, 5, 7).unwrap();
    assert_eq!(records(), (0, 0, 0, None));
    producer.abort().unwrap();
    producer.commit().unwrap();
    assert_eq!(records(), (0, 0, 0, None));

    fill(&mut *producer);
    producer.send_offsets(&group, topic, 3, 0, 7).unwrap();
    producer.commit().unwrap();
    assert_eq!(records(), (10, 20, 30, Some(7)));

    // Refused as a whole, and again until it is aborted.
    producer.send(topic, 0, numbered(10..11)).unwrap();
    producer.send_offsets(&group, topic, 3, 6, 9).unwrap();
    for _ in 0..2 {
        let error = producer.commit().unwrap_err();
        assert!(matches!(error, Error::OffsetConflict { expected: 6, found: Some(7), .. }), "{error}");
    }
    producer.abort().unwrap();
    assert_eq!(records(), (10, 20, 30, Some(7)));
    drop(producer);
    let mut dropped = place.producer("q");
    dropped.send(topic, 0, numbered(10..11)).unwrap();
    drop(dropped);
    assert_eq!(records(), (10, 20, 30, Some(7)));
}

pub fn an_older_producer_is_fenced(place: &Place<impl Gear>) {
    let mut older = place.producer("p");
    let mut unrelated = place.producer("q");
    place.send(&mut *older, 0, 0..5);
    older.send(&place.topic, 0, numbered(5..10)).unwrap();
    let mut newer = place.gear.open().producer(&place.gear.name("p")).unwrap();
    let error = older.commit().unwrap_err();
    assert!(matches!(error, Error::Fenced { .. }), "{error}");
    older.abort().unwrap();
    place.send(&mut *newer, 0, 5..6);
    place.send(&mut *unrelated, 0, 6..7);
    older.send(&place.topic, 0, numbered(5..10)).unwrap();
    assert!(matches!(older.commit(), Err(Error::Fenced { .. })));
    assert_eq!(place.count(0), 7);
}

pub fn two_consumers_of_one_partition_cannot_both_win(place: &Place<impl Gear>) {
    let group = place.group("g");
    let mut first = place.producer("one");
    let mut second = place.producer("two");
    for producer in [&mut first, &mut second] {
        producer.send_offsets(&group, &place.topic, 0, 0, 10).unwrap();
    }
    first.send(&place.topic, 1, numbered(0..1)).unwrap();
    first.commit().unwrap();
    second.send(&place.topic, 1, numbered(0..1)).unwrap();
    assert!(matches!(second.commit(), Err(Error::OffsetConflict { .. })));
    drop(second);
    assert_eq!(place.count(1), 1);
    assert_eq!(place.log.committed(&place.group("other"), &place.topic, 0).unwrap(), None);
}

pub fn an_open_transaction_holds_up_those_after_it(place: &Place<impl Gear>) {
    let (mut slow, mut quick) = (place.producer("slow"), place.producer("quick"));
    slow.send(&place.topic, 0, numbered(0..1_000)).unwrap();
    // Records are on their way at once; that they have arrived can only be awaited.
    std::thread::sleep(Duration::from_millis(300));
    place.send(&mut *quick, 0, 0..10);
    let written_end = || place.log.written_end(&place.topic, 0).unwrap();
    if place.gear.is_gapless() {
        // Where records get their offsets when they are committed, nobody waits.
        assert_eq!((place.log.range(&place.topic, 0).unwrap(), written_end()), (0..10, 10));
        return;
    }
    assert_eq!(place.log.range(&place.topic, 0).unwrap(), 0..0);
    assert!(written_end() >= 1_010, "{}", written_end());
    slow.abort().unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while place.log.range(&place.topic, 0).unwrap().is_empty() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    // What was aborted is skipped.
    assert_eq!(place.count(0), 10);
    assert!(place.read(0, 0, ALL)[0].offset(0) >= 1_000);
    assert_eq!(written_end(), place.log.range(&place.topic, 0).unwrap().end);
}

pub fn wrong_calls_are_named(place: &Place<impl Gear>) {
    let (log, topic) = (&place.log, &*place.topic);
    let mut producer = place.producer("p");
    place.send(&mut *producer, 0, 0..3);
    let end = log.range(topic, 0).unwrap().end;
    let group = place.group("g");
    let none = place.gear.name("none");
    let mut builder = RecordsBuilder::new();
    builder.push(0, None, &vec![0; (16 << 20) + 1], &[]);
    let too_large = builder.finish();
    let cases: [(Error, String); 12] = [
        (log.fetch(&none, 0, 0, 1).unwrap_err(), format!("there is no topic {none:?}")),
        (log.fetch(topic, 4, 0, 1).unwrap_err(), "has 4 partitions, there is no partition 4".into()),
        (
            log.fetch(topic, 0, end + 1, 1).unwrap_err(),
            format!("offset {} is beyond the end of the log, {end}", end + 1),
        ),
        (log.fetch(topic, 0, -1, 1).unwrap_err(), "offset -1 is gone, the first one kept is 0".into()),
        (log.range(&none, 0).unwrap_err(), "no topic".into()),
        (log.committed(&group, &none, 0).unwrap_err(), "no topic".into()),
        (log.ensure_topic("a b", 1).unwrap_err(), "ASCII".into()),
        (log.ensure_topic("", 1).unwrap_err(), "1 to 249 characters".into()),
        (log.ensure_topic(&none, 0).unwrap_err(), "partitions".into()),
        (producer.send(&none, 0, Records::default()).unwrap_err(), "no topic".into()),
        (producer.send(topic, 0, too_large).unwrap_err(), "over the log's limit".into()),
        (producer.send_offsets(&group, topic, 0, 5, 4).unwrap_err(), "offsets must rise".into()),
    ];
    for (error, expected) in cases {
        assert!(error.to_string().contains(&expected), "{error}");
    }
    // None of that has spoiled the producer.
    place.send(&mut *producer, 0, 3..4);
    assert_eq!(log.ensure_topic(topic, 9).unwrap(), 4);
    assert_eq!(place.count(0), 4);
}

pub fn topics_tell_how_full_they_are(place: &Place<impl Gear>) {
    let clean = place.gear.name("clean-events");
    place.log.ensure_topic(&clean, 1).unwrap();
    place.send(&mut *place.producer("p"), 1, 0..5_500);
    let topics = place.log.topics().unwrap();
    assert!(topics.is_sorted_by(|a, b| a.name < b.name));
    let find = |name: &str| topics.iter().find(|topic| topic.name == name).unwrap();
    assert_eq!(find(&clean).records(), 0);
    let topic = find(&place.topic);
    assert_eq!(topic.partitions.len(), 4);
    let full = topic.partitions[1];
    assert_eq!(full.first_offset..full.next_offset, place.log.range(&place.topic, 1).unwrap());
    if place.gear.is_gapless() {
        assert_eq!((topic.records(), find(&clean).bytes()), (5_500, Some(0)));
        assert!((10_000..200_000).contains(&topic.bytes().unwrap()), "{topic:?}");
    } else {
        assert!((5_500..5_600).contains(&topic.records()));
        assert_eq!(topic.bytes(), None);
    }
}

pub fn identity_stays_with_the_log(place: &Place<impl Gear>) {
    let identity = place.log.identity(&place.topic).unwrap();
    assert!(identity.len() >= 36, "{identity}");
    assert_eq!(place.gear.open().identity(&place.topic).unwrap(), identity);
}

pub fn finds_the_offset_of_a_time(place: &Place<impl Gear>) {
    let mut producer = place.producer("p");
    let at = |timestamp_ms| place.log.offset_at(&place.topic, 0, timestamp_ms).unwrap();
    assert_eq!(at(0), 0);
    for timestamps_ms in [vec![10, 20, 30], vec![15, 40], vec![35, 50]] {
        let mut builder = RecordsBuilder::new();
        timestamps_ms.into_iter().for_each(|timestamp_ms| builder.push(timestamp_ms, None, b"", &[]));
        producer.send(&place.topic, 0, builder.finish()).unwrap();
        producer.commit().unwrap();
    }
    let offsets: Vec<i64> = place
        .read(0, 0, ALL)
        .iter()
        .flat_map(|fetched| (0..fetched.records.len()).map(|i| fetched.offset(i)).collect::<Vec<_>>())
        .collect();
    for (timestamp_ms, record) in [(0, 0), (10, 0), (11, 1), (30, 2), (31, 4), (40, 4), (41, 6), (50, 6)] {
        assert_eq!(at(timestamp_ms), offsets[record], "{timestamp_ms}");
    }
    assert_eq!(at(51), place.log.range(&place.topic, 0).unwrap().end);
}

pub fn the_data_version_tells_of_commits_only(place: &Place<impl Gear>) {
    let other = place.gear.open();
    // What is watched is what was used.
    other.range(&place.topic, 0).unwrap();
    let mut producer = place.producer("p");
    let seen = [place.log.data_version().unwrap(), other.data_version().unwrap()];
    producer.send(&place.topic, 0, numbered(0..3)).unwrap();
    assert_eq!(seen, [place.log.data_version().unwrap(), other.data_version().unwrap()]);
    let start = Instant::now();
    assert_eq!(place.log.wait(seen[0], Duration::from_millis(60)).unwrap(), seen[0]);
    assert!(start.elapsed() >= Duration::from_millis(60));
    let waiting = std::thread::spawn(move || other.wait(seen[1], Duration::from_secs(60)).unwrap());
    producer.commit().unwrap();
    assert_ne!(place.log.data_version().unwrap(), seen[0]);
    assert_ne!(waiting.join().unwrap(), seen[1]);
}

pub fn retention_takes_what_is_old_and_read(place: &Place<impl Gear>) {
    let (log, topic, group) = (&place.log, &*place.topic, place.group("g"));
    let mut producer = place.producer("p");
    for i in 0..3 {
        place.send(&mut *producer, 0, i * 10..(i + 1) * 10);
    }
    let range = log.range(topic, 0).unwrap();
    let second = place
        .read(0, 0, ALL)
        .iter()
        .flat_map(|f| (0..f.records.len()).map(|i| f.offset(i)).collect::<Vec<_>>())
        .nth(10);
    let second = second.unwrap();
    // Record i has the timestamp 1000 + i.
    let retention =
        Retention { before_ms: Some(i64::MAX), unless_unread_by: Some(group.clone()), ..Retention::default() };
    assert_eq!(log.retain(topic, &Retention::default()).unwrap().records, 0);
    assert_eq!(log.retain(topic, &retention).unwrap().records, 0, "nobody has read it");
    producer.send_offsets(&group, topic, 0, 0, second).unwrap();
    producer.commit().unwrap();
    assert!(log.retain(topic, &retention).unwrap().records >= 10);
    assert_eq!(log.range(topic, 0).unwrap(), second..range.end);
    let error = log.fetch(topic, 0, second - 1, ALL).unwrap_err();
    assert!(matches!(error, Error::OffsetGone { first, .. } if first == second), "{error}");
    assert_eq!(log.fetch(topic, 0, second, ALL).unwrap().records.timestamp_ms(0), 1_010);
    // By age alone.
    let old = Retention { before_ms: Some(1_020), ..Retention::default() };
    log.retain(topic, &old).unwrap();
    let kept = log.range(topic, 0).unwrap();
    assert_eq!(log.fetch(topic, 0, kept.start, ALL).unwrap().records.timestamp_ms(0), 1_020);
    // Offsets go on where they were.
    place.send(&mut *producer, 0, 30..35);
    assert!(log.range(topic, 0).unwrap().end >= range.end + 5);
}

/// The whole suite as tests of the file, each in a place of its own.
#[macro_export]
macro_rules! suite {
    ($gear:expr) => {
        $crate::suite!(
            $gear,
            reads_what_was_committed_from_any_offset,
            reads_on_where_a_partition_had_ended,
            a_transaction_is_seen_whole_or_not_at_all,
            an_older_producer_is_fenced,
            two_consumers_of_one_partition_cannot_both_win,
            an_open_transaction_holds_up_those_after_it,
            wrong_calls_are_named,
            topics_tell_how_full_they_are,
            identity_stays_with_the_log,
            finds_the_offset_of_a_time,
            the_data_version_tells_of_commits_only,
            retention_takes_what_is_old_and_read,
            members_share_partitions_and_hand_them_over,
            groups_do_not_know_each_other,
            members_of_a_group_write_to_the_same_target,
            of_two_targets_at_once_one_stays
        );
    };
    ($gear:expr, $($test:ident),+) => {
        $(
            #[test]
            fn $test() {
                suite::$test(&suite::Place::new($gear));
            }
        )+
    };
}
