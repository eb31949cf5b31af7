//! Which way a lake is landed: from `video-events` itself, or from the two cleaned topics.
//!
//! Each way keeps its own offsets in the lake, so after a change of way the offsets of the other one stand still while rows go
//! on coming. A lake therefore remembers its way, in a transaction beside the offsets: `<log>/landed-from/0`, whose
//! version is even for `video-events` (the first way of a lake that has none) and odd for the cleaned topics. A change is one commit
//! that moves it on and sets the offsets of the new way to where the old one is; that there are no records in between is checked first.
//! Who lands the other way meanwhile can't commit any more: each of its commits holds on to the way that it began with.

use std::collections::BTreeMap;

use streamreel_lake::{OffsetRange, Table};
use streamreel_topic::{Log, Records};

use crate::error::{self, Error, Result};
use crate::names;
use crate::settings::{ReadFrom, Settings};

/// So often the cleaned topics may have grown while they were looked at.
const LOOKS: usize = 20;

impl ReadFrom {
    /// The topics that are read.
    pub(crate) fn topics(self) -> &'static [&'static str] {
        match self {
            ReadFrom::VideoEvents => &[names::VIDEO_EVENTS],
            ReadFrom::Cleaned => &[names::CLEAN_EVENTS, names::DEAD_LETTERS],
        }
    }

    /// The group of those who read them. Landing has one of its own: its members have other partitions to share.
    pub(crate) fn group(self, group: &str) -> String {
        match self {
            ReadFrom::VideoEvents => group.to_owned(),
            ReadFrom::Cleaned => format!("{group}-landing"),
        }
    }

    fn describe(self) -> &'static str {
        match self {
            ReadFrom::VideoEvents => "video-events",
            ReadFrom::Cleaned => "the cleaned topics",
        }
    }

    fn flags(self) -> &'static str {
        match self {
            ReadFrom::VideoEvents => "",
            ReadFrom::Cleaned => " --from clean",
        }
    }
}

/// How far the lake has a topic now: partition -> next offset. Offsets of another log are an error.
pub(crate) async fn landed(table: &mut Table, log: &str, topic: &str) -> Result<BTreeMap<u32, i64>> {
    table.refresh().await.map_err(error::lake("ask bronze for its offsets"))?;
    let offsets = table.offsets(topic).await.map_err(error::lake("ask bronze for its offsets"))?;
    let mut landed = BTreeMap::new();
    for ((has, partition), next) in offsets {
        if has != log {
            return Err(Error::OtherLog { topic: topic.to_owned(), has, given: log.to_owned() });
        }
        landed.insert(partition.cast_unsigned(), next);
    }
    Ok(landed)
}

/// What this lake is landed from, out of the log with this identity: `video-events` unless it was changed. Its own offsets
/// of any other topic stand still.
///
/// # Errors
/// [`Error::OtherLog`] for a lake that was landed from another log.
pub async fn landed_from(table: &mut Table, log: &str) -> Result<ReadFrom> {
    Ok(of_turns(turns(table, log).await?))
}

/// How often the way was changed.
async fn turns(table: &mut Table, log: &str) -> Result<i64> {
    let turns = landed(table, log, names::LANDED_FROM).await.map_err(|error| match error {
        // The way is no topic, and its log is that of `video-events`.
        Error::OtherLog { has, given, .. } => Error::OtherLog { topic: names::VIDEO_EVENTS.to_owned(), has, given },
        other => other,
    })?;
    Ok(turns.get(&0).copied().unwrap_or(0))
}

fn of_turns(turns: i64) -> ReadFrom {
    if turns % 2 == 0 { ReadFrom::VideoEvents } else { ReadFrom::Cleaned }
}

/// A way that was settled: what is landed is committed only while it holds.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    from: ReadFrom,
    /// Transaction id -> turns.
    pub(crate) unmoved: BTreeMap<String, i64>,
}

impl Way {
    fn new(from: ReadFrom, log: &str, turns: i64) -> Self {
        Self { from, unmoved: BTreeMap::from([(transaction_id(log, names::LANDED_FROM, 0), turns)]) }
    }

    /// Names what failed on a commit that holds on to this way.
    pub(crate) fn error(&self, operation: &'static str) -> impl Fn(streamreel_lake::Error) -> Error {
        move |source| match source {
            streamreel_lake::Error::Fenced { source_id, .. } if self.unmoved.contains_key(&source_id) => {
                Error::WayChanged { was: self.from.describe() }
            }
            source => error::lake(operation)(source),
        }
    }
}

/// What a change of way commits.
#[derive(Default)]
struct Change {
    /// Offsets that are set.
    ranges: Vec<OffsetRange>,
    /// Offsets that it was decided by: transaction id -> offset.
    unmoved: BTreeMap<String, i64>,
}

/// Makes sure that the lake is landed the way that is set, changing it where nothing can be lost or doubled by that.
pub(crate) async fn settle(table: &mut Table, log: &dyn Log, settings: &Settings, partitions: u32) -> Result<Way> {
    let identity = identity(log, names::VIDEO_EVENTS)?;
    let turns = turns(table, &identity).await?;
    if of_turns(turns) == settings.from {
        return Ok(Way::new(settings.from, &identity, turns));
    }
    let source = Landed::of(table, log, names::VIDEO_EVENTS).await?;
    let mut change = match settings.from {
        // A lake without any row begins with all of the cleaned topics.
        ReadFrom::Cleaned if source.next.is_empty() => Change::default(),
        from => {
            let cleaned: Vec<Cleaned> =
                (0..partitions).map(|partition| Cleaned::of(log, settings, partition)).collect::<Result<_>>()?;
            // The lake after the ends: it may have come to them meanwhile.
            let mut topics = Vec::new();
            for topic in ReadFrom::Cleaned.topics() {
                topics.push(Landed::of(table, log, topic).await?);
            }
            match from {
                ReadFrom::Cleaned => to_cleaned(log, &source, &topics, &cleaned)?,
                ReadFrom::VideoEvents => to_video_events(log, &source, &topics, &cleaned)?,
            }
        }
    };
    change.ranges.push(range(&identity, names::LANDED_FROM, 0, turns, turns + 1));
    table
        .append_offsets_while(Vec::new(), &change.ranges, &change.unmoved)
        .await
        .map_err(error::lake("change the way that bronze is landed"))?;
    Ok(Way::new(settings.from, &identity, turns + 1))
}

/// The lake has what was cleaned, no more and no less: it goes on at the ends of the cleaned topics.
fn to_cleaned(log: &dyn Log, source: &Landed, topics: &[Landed], cleaned: &[Cleaned]) -> Result<Change> {
    let mut change = Change::default();
    for (partition, cleaned) in (0..).zip(cleaned) {
        let (lake, to) = (source.next(partition), cleaned.to);
        if !is_empty_between(log, source.topic, partition, lake.min(to), lake.max(to))? {
            return Err(other_way(ReadFrom::Cleaned, partition, lake, to));
        }
        change.unmoved.extend([source.stand(partition)]);
        change.ranges.extend(topics.iter().zip(cleaned.ends).filter_map(|(topic, end)| topic.up_to(partition, end)));
    }
    Ok(change)
}

/// The lake has the cleaned topics to their ends: it goes on behind what they were cleaned from.
fn to_video_events(log: &dyn Log, source: &Landed, topics: &[Landed], cleaned: &[Cleaned]) -> Result<Change> {
    let mut change = Change::default();
    for (partition, cleaned) in (0..).zip(cleaned) {
        for (topic, end) in topics.iter().zip(cleaned.ends) {
            let lake = topic.next(partition);
            if !is_empty_between(log, topic.topic, partition, lake, end)? {
                return Err(other_way(ReadFrom::VideoEvents, partition, lake, end));
            }
            change.unmoved.extend([topic.stand(partition)]);
        }
        change.ranges.extend(source.up_to(partition, cleaned.to));
    }
    Ok(change)
}

/// How far the lake has a topic of the log.
struct Landed {
    topic: &'static str,
    identity: String,
    /// Partition -> next offset.
    next: BTreeMap<u32, i64>,
}

impl Landed {
    async fn of(table: &mut Table, log: &dyn Log, topic: &'static str) -> Result<Self> {
        let identity = identity(log, topic)?;
        let next = landed(table, &identity, topic).await?;
        Ok(Self { topic, identity, next })
    }

    fn next(&self, partition: u32) -> i64 {
        self.next.get(&partition).copied().unwrap_or(0)
    }

    /// Transaction id -> offset.
    fn stand(&self, partition: u32) -> (String, i64) {
        (transaction_id(&self.identity, self.topic, partition), self.next(partition))
    }

    /// What sets it to an offset that lies further.
    fn up_to(&self, partition: u32, offset: i64) -> Option<OffsetRange> {
        let from = self.next(partition);
        (from < offset).then(|| range(&self.identity, self.topic, partition, from, offset))
    }
}

fn identity(log: &dyn Log, topic: &str) -> Result<String> {
    log.identity(topic).map_err(error::log("ask for the identity of the log"))
}

fn transaction_id(log: &str, topic: &str, partition: u32) -> String {
    range(log, topic, partition, 0, 0).transaction_id()
}

fn range(log: &str, topic: &str, partition: u32, from: i64, next: i64) -> OffsetRange {
    OffsetRange {
        log: log.to_owned(),
        topic: topic.to_owned(),
        partition: partition.cast_signed(),
        from,
        next,
        records: 0,
    }
}

fn other_way(wanted: ReadFrom, partition: u32, lake: i64, topics: i64) -> Error {
    let was = match wanted {
        ReadFrom::VideoEvents => ReadFrom::Cleaned,
        ReadFrom::Cleaned => ReadFrom::VideoEvents,
    };
    let (finish, was, wanted) = (was.flags(), was.describe(), wanted.describe());
    Error::OtherWay { was, wanted, finish, partition, lake, topics }
}

/// Whether a partition has no record at offsets from `from` up to `end`; there may be gaps and transaction markers.
pub(crate) fn is_empty_between(log: &dyn Log, topic: &str, partition: u32, from: i64, end: i64) -> Result<bool> {
    if from >= end {
        return Ok(true);
    }
    let fetched = log.fetch(topic, partition, from, 1).map_err(error::log("read the topic"))?;
    let next_record = if fetched.records.is_empty() { fetched.next_offset } else { fetched.offset(0) };
    Ok(next_record >= end)
}

/// How far a partition is cleaned.
struct Cleaned {
    /// The offset of `video-events` up to which it is.
    to: i64,
    /// Of the cleaned topics.
    ends: [i64; 2],
}

impl Cleaned {
    /// All of one moment, in which nobody commits to the cleaned topics.
    fn of(log: &dyn Log, settings: &Settings, partition: u32) -> Result<Self> {
        for _ in 0..LOOKS {
            let ends = ends(log, partition)?;
            let to = cleaned_to(log, settings, partition)?;
            if self::ends(log, partition)? == ends {
                return Ok(Self { to, ends });
            }
        }
        Err(Error::StillCleaned { partition })
    }
}

/// In the order of [`ReadFrom::topics`].
fn ends(log: &dyn Log, partition: u32) -> Result<[i64; 2]> {
    let end = |topic| log.range(topic, partition).map_err(error::log("ask for the range of the topic"));
    Ok([end(names::CLEAN_EVENTS)?.end, end(names::DEAD_LETTERS)?.end])
}

/// The offset of `video-events` up to which the cleaned topics have a partition: what our consumer group says, or, whoever
/// else cleaned, what the last records say.
fn cleaned_to(log: &dyn Log, settings: &Settings, partition: u32) -> Result<i64> {
    let group = log
        .committed(&settings.group, names::VIDEO_EVENTS, partition)
        .map_err(error::log("ask for the group's offset"))?;
    let mut next = group.unwrap_or(0);
    for topic in [names::CLEAN_EVENTS, names::DEAD_LETTERS] {
        let range = log.range(topic, partition).map_err(error::log("ask for the range of the topic"))?;
        // An end may lie behind transaction markers: look a little further back until there is a record.
        for back in [1, 2, 1000] {
            let offset = (range.end - back).max(range.start);
            if range.is_empty() {
                break;
            }
            let fetched =
                log.fetch(topic, partition, offset, usize::MAX >> 1).map_err(error::log("read the cleaned topics"))?;
            if let Some(last) = fetched.records.len().checked_sub(1) {
                next = next.max(source_offset(&fetched.records, last).unwrap_or(-1) + 1);
                break;
            }
        }
    }
    Ok(next)
}

fn source_offset(records: &Records, i: usize) -> Option<i64> {
    std::str::from_utf8(records.header(i, names::SOURCE_OFFSET)?).ok()?.parse().ok()
}
