//! What the tests share: dirty records of known fate, a log to put them in, and what came out.

pub mod lake;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use streamreel_process::{Processor, Progress, Settings, Summary, Until, names};
use streamreel_topic::{EmbeddedLog, Log, RecordsBuilder, partition_for};

pub const PARTITIONS: u32 = 3;
/// 2026-01-01T00:00:00Z.
pub const START_MS: i64 = 1_767_225_600_000;
pub static NEVER: AtomicBool = AtomicBool::new(false);

/// A record to send.
#[derive(Debug, Clone)]
pub struct Record {
    pub timestamp_ms: i64,
    pub user: String,
    pub payload: Vec<u8>,
    pub cut: bool,
}

/// A small generator of numbers (splitmix64): the same seed, the same records.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// One payload for each reason to reject, with the reason.
pub fn rejects() -> Vec<(&'static str, Vec<u8>)> {
    let cases: [(&str, &str); 17] = [
        ("not_json", "{\"user_id\":"),
        ("not_an_object", "[1]"),
        ("missing_user_id", r#"{"video_id":"v","timestamp":1767225600,"event_type":"play"}"#),
        ("missing_video_id", r#"{"user_id":"u","timestamp":1767225600,"event_type":"play"}"#),
        ("missing_timestamp", r#"{"user_id":"u","video_id":"v","event_type":"play"}"#),
        ("missing_event_type", r#"{"user_id":"u","video_id":"v","timestamp":1767225600}"#),
        ("bad_user_id", r#"{"user_id":" ","video_id":"v","timestamp":1767225600,"event_type":"play"}"#),
        ("bad_video_id", r#"{"user_id":"u","video_id":true,"timestamp":1767225600,"event_type":"play"}"#),
        ("bad_timestamp", r#"{"user_id":"u","video_id":"v","timestamp":"yesterday","event_type":"play"}"#),
        (
            "timestamp_out_of_range",
            r#"{"user_id":"u","video_id":"v","timestamp":"1999-12-31T23:59:59Z","event_type":"play"}"#,
        ),
        ("unknown_event_type", r#"{"user_id":"u","video_id":"v","timestamp":1767225600,"event_type":"dance"}"#),
        ("bad_event_id", r#"{"event_id":7,"user_id":"u","video_id":"v","timestamp":1767225600,"event_type":"play"}"#),
        (
            "bad_session_id",
            r#"{"user_id":"u","video_id":"v","session_id":7,"timestamp":1767225600,"event_type":"play"}"#,
        ),
        (
            "bad_position",
            r#"{"user_id":"u","video_id":"v","timestamp":1767225600,"event_type":"play","position_s":-1}"#,
        ),
        ("bad_seek", r#"{"user_id":"u","video_id":"v","timestamp":1767225600,"event_type":"seek","seek_to_s":"9"}"#),
        ("bad_rate", r#"{"user_id":"u","video_id":"v","timestamp":1767225600,"event_type":"play","rate":17}"#),
        ("too_large", ""),
    ];
    let mut rejects: Vec<(&str, Vec<u8>)> = cases.map(|(reason, text)| (reason, text.as_bytes().to_vec())).into();
    for (reason, payload) in &mut rejects {
        if *reason == "too_large" {
            *payload = vec![b'x'; streamreel_event::MAX_RECORD_BYTES];
        }
    }
    rejects.push(("invalid_utf8", vec![b'{', 0xff, b'}']));
    rejects
}

pub fn event(user: &str, id: u64, timestamp_ms: i64, more: &str) -> Vec<u8> {
    let seconds = timestamp_ms / 1000;
    let text = format!(
        r#"{{"event_id":"e{id}","user_id":"{user}","video_id":"v{}","session_id":"s{}","event_type":"heartbeat","timestamp":{seconds},"position_s":{}.5{more}}}"#,
        id % 7,
        id % 50,
        id % 600,
    );
    text.into_bytes()
}

/// `len` records a quarter second apart: mostly clean, some copies (within the window and after it), some rejected, some corrected,
/// some with unknown fields or a clock that runs backwards.
pub fn dirty(len: usize, seed: u64) -> Vec<Record> {
    let (mut dice, rejects) = (Dice(seed), rejects());
    let mut records: Vec<Record> = Vec::with_capacity(len);
    for i in 0..len {
        let jitter = if dice.roll(50) == 0 { dice.roll(20_000) as i64 } else { 0 };
        let timestamp_ms = START_MS + i as i64 * 250 - jitter;
        let user = format!("u{}", dice.roll(40));
        let record = match dice.roll(100) {
            0..=9 if i > 10 => {
                let reach = if dice.roll(4) == 0 { i as u64 } else { 200.min(i as u64) };
                let back = 1 + dice.roll(reach);
                Record { timestamp_ms, ..records[i - back as usize].clone() }
            }
            10..=14 => {
                let (reason, payload) = &rejects[dice.roll(rejects.len() as u64) as usize];
                Record { timestamp_ms, user, payload: payload.clone(), cut: *reason == "too_large" }
            }
            15..=19 => Record {
                payload: event(&user, i as u64, timestamp_ms, r#","region":"nowhere","duration_s":-4"#),
                timestamp_ms,
                user,
                cut: false,
            },
            20..=24 => Record {
                payload: event(&user, i as u64, timestamp_ms, r#","player":{"name":"tv","v":[1,2]},"region":"DE""#),
                timestamp_ms,
                user,
                cut: false,
            },
            _ => Record { payload: event(&user, i as u64, timestamp_ms, ""), timestamp_ms, user, cut: false },
        };
        records.push(record);
    }
    records
}

/// Sends records in one transaction a thousand, so that fetches and commits have borders inside.
pub fn feed(log: &dyn Log, records: &[Record]) {
    let partitions = log.ensure_topic(names::VIDEO_EVENTS, PARTITIONS).unwrap();
    let mut producer = log.producer("feed").unwrap();
    for some in records.chunks(1000) {
        let mut builders: Vec<RecordsBuilder> = (0..partitions).map(|_| RecordsBuilder::new()).collect();
        for record in some {
            let key = record.user.as_bytes();
            let headers: &[(&str, &[u8])] = if record.cut { &[(names::CUT, b"40000")] } else { &[] };
            let partition = partition_for(key, partitions) as usize;
            builders[partition].push(record.timestamp_ms, Some(key), &record.payload, headers);
        }
        for (partition, builder) in builders.iter_mut().enumerate().filter(|(_, b)| !b.is_empty()) {
            producer.send(names::VIDEO_EVENTS, partition as u32, builder.finish()).unwrap();
        }
        producer.commit().unwrap();
    }
}

/// A record of a cleaned topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    pub partition: u32,
    pub timestamp_ms: i64,
    pub key: Option<Vec<u8>>,
    pub value: Vec<u8>,
    pub headers: BTreeMap<String, Vec<u8>>,
}

impl Read {
    pub fn text(&self, header: &str) -> &str {
        self.headers.get(header).map_or("", |value| std::str::from_utf8(value).unwrap())
    }

    pub fn source_offset(&self) -> i64 {
        self.text(names::SOURCE_OFFSET).parse().unwrap()
    }
}

pub fn read(log: &dyn Log, topic: &str) -> Vec<Read> {
    let partitions = log.ensure_topic(topic, PARTITIONS).unwrap();
    let mut all = Vec::new();
    for partition in 0..partitions {
        let range = log.range(topic, partition).unwrap();
        let mut at = range.start;
        while at < range.end {
            let fetched = log.fetch(topic, partition, at, 1 << 20).unwrap();
            for i in 0..fetched.records.len() {
                all.push(Read {
                    partition,
                    timestamp_ms: fetched.records.timestamp_ms(i),
                    key: fetched.records.key(i).map(<[u8]>::to_vec),
                    value: fetched.records.value(i).to_vec(),
                    headers: fetched.records.headers(i).map(|(k, v)| (k.to_owned(), v.to_vec())).collect(),
                });
            }
            at = fetched.next_offset;
        }
    }
    all
}

/// What should become of every record of `video-events`: (partition, offset) -> `clean`, `duplicate` or a reason. Decided by the
/// rule as the interface states it, with a memory of everything.
pub fn expected(log: &dyn Log, window_ms: i64) -> BTreeMap<(u32, i64), String> {
    let mut fates = BTreeMap::new();
    let mut copies: BTreeMap<(u32, String, String), Vec<i64>> = BTreeMap::new();
    let mut decoder = streamreel_event::Decoder::new();
    let mut offset = (0, 0);
    for record in read(log, names::VIDEO_EVENTS) {
        offset = if offset.0 == record.partition { offset } else { (record.partition, 0) };
        decoder.push(&record.value, record.timestamp_ms * 1000, record.headers.contains_key(names::CUT));
        let decoded = decoder.finish();
        let events = streamreel_event::EventColumns::new(&decoded).unwrap();
        let fate = match events.reason(0) {
            Some(reason) => reason,
            None => {
                let key = (record.partition, events.user_id(0).to_owned(), events.event_id(0).to_owned());
                let earlier = copies.entry(key).or_default();
                let is_copy = earlier.iter().any(|t| record.timestamp_ms - t <= window_ms);
                earlier.push(record.timestamp_ms);
                if is_copy { names::DUPLICATE } else { "clean" }
            }
        };
        fates.insert(offset, fate.to_owned());
        offset.1 += 1;
    }
    fates
}

/// What became of every record according to the two cleaned topics; none may come twice.
pub fn fates_in_topics(log: &dyn Log) -> BTreeMap<(u32, i64), String> {
    let mut fates = BTreeMap::new();
    for (topic, clean) in [(names::CLEAN_EVENTS, true), (names::DEAD_LETTERS, false)] {
        for record in read(log, topic) {
            let fate = if clean { "clean" } else { record.text(names::REASON) };
            let before = fates.insert((record.partition, record.source_offset()), fate.to_owned());
            assert_eq!(before, None, "{topic}/{}, source offset {}", record.partition, record.source_offset());
        }
    }
    fates
}

pub fn settings() -> Settings {
    Settings {
        partitions: PARTITIONS,
        commit_interval: Duration::from_millis(20),
        topics_interval: Duration::from_millis(20),
        fetch_bytes: 20_000,
        ..Settings::default()
    }
}

pub fn log_in(dir: &std::path::Path) -> Arc<EmbeddedLog> {
    Arc::new(EmbeddedLog::open(dir.join("log")).unwrap())
}

pub fn run_to_end(processor: &mut Processor) -> Summary {
    processor.run(Until::End, &NEVER, &|_| {}).unwrap()
}

/// Runs so many processors, each of which comes while the ones before are at work, and goes on feeding until it has got some
/// records; then ends them all, and one more does what is left. How many records were fed, and how many processed.
pub fn take_turns(log: &dyn Log, processors: usize, open: impl Fn() -> Processor + Sync) -> (u64, u64) {
    let (cancel, mut fed) = (AtomicBool::new(false), 0);
    let received: Vec<AtomicU64> = (0..processors).map(|_| AtomicU64::new(0)).collect();
    let follow = |received: &AtomicU64| {
        let progress = |p: &Progress| received.store(p.counts.received, Ordering::SeqCst);
        open().run(Until::Cancelled, &cancel, &progress).unwrap().counts.received
    };
    let processed: u64 = std::thread::scope(|scope| {
        let (follow, mut running) = (&follow, Vec::new());
        for one in &received {
            running.push(scope.spawn(move || follow(one)));
            until(|| {
                feed(log, &dirty(500, fed));
                fed += 500;
                one.load(Ordering::SeqCst) > 0
            });
        }
        cancel.store(true, Ordering::SeqCst);
        running.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    (fed, processed + run_to_end(&mut open()).counts.received)
}

/// Waits for it, half a minute at most.
pub fn until(mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "waited in vain");
        std::thread::sleep(Duration::from_millis(5));
    }
}
