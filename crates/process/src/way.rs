//! Which way a lake is landed: from `video-events` itself, or from the two cleaned topics.
//!
//! Each way keeps its own offsets in the lake, so after a change of way the offsets of the other one stand still while rows go
//! on coming. A lake therefore remembers its way, in a transaction beside the offsets: `<log>/landed-from/0`, whose
//! version is even for `video-events` (the first way of a lake that has none) and odd for the cleaned topics. A change is one commit
//! that moves it on and sets the offsets of the new way to where the old one is; that there are no records in between is checked first.

use std::collections::BTreeMap;

use streamreel_lake::{OffsetRange, Table};
use streamreel_topic::{Log, Records};

use crate::error::{self, Error, Result};
use crate::landing::CleanedTopic;
use crate::names;
use crate::settings::{ReadFrom, Settings};

const WAY: &str = "landed-from";

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
    Ok(landed(table, log, WAY).await?.get(&0).copied().unwrap_or(0))
}

fn of_turns(turns: i64) -> ReadFrom {
    if turns % 2 == 0 { ReadFrom::VideoEvents } else { ReadFrom::Cleaned }
}

/// Makes sure that the lake is landed the way that is set, changing it where nothing can be lost or doubled by that.
pub(crate) async fn settle(table: &mut Table, log: &dyn Log, settings: &Settings, partitions: u32) -> Result<()> {
    let identity = log.identity(names::VIDEO_EVENTS).map_err(error::log("ask for the identity of the log"))?;
    let turns = turns(table, &identity).await?;
    let was = of_turns(turns);
    if was == settings.from {
        return Ok(());
    }
    let mut ranges = vec![range(&identity, WAY, 0, turns, turns + 1)];
    let source = landed(table, &identity, names::VIDEO_EVENTS).await?;
    for partition in 0..partitions {
        let cleaned = cleaned_to(log, settings, partition)?;
        match settings.from {
            ReadFrom::Cleaned => {
                let lake = source.get(&partition).copied().unwrap_or(0);
                // A lake without any row may begin either way.
                if !source.is_empty() && lake != cleaned {
                    return Err(other_way(was, settings.from, partition, lake, cleaned));
                }
            }
            ReadFrom::VideoEvents => {
                let stands = source.get(&partition).copied().unwrap_or(0);
                ranges.extend(
                    (stands < cleaned).then(|| range(&identity, names::VIDEO_EVENTS, partition, stands, cleaned)),
                );
            }
        }
        for topic in [CleanedTopic::CleanEvents, CleanedTopic::DeadLetters] {
            let topic = topic.name();
            let identity = log.identity(topic).map_err(error::log("ask for the identity of the log"))?;
            let lake = landed(table, &identity, topic).await?.get(&partition).copied().unwrap_or(0);
            let end = log.range(topic, partition).map_err(error::log("ask for the range of the topic"))?.end;
            match settings.from {
                ReadFrom::VideoEvents if lake != end => {
                    return Err(other_way(was, settings.from, partition, lake, end));
                }
                ReadFrom::Cleaned if !source.is_empty() && lake < end => {
                    ranges.push(range(&identity, topic, partition, lake, end));
                }
                _ => {}
            }
        }
    }
    table.append_offsets(Vec::new(), &ranges).await.map_err(error::lake("change the way that bronze is landed"))?;
    Ok(())
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

fn other_way(was: ReadFrom, wanted: ReadFrom, partition: u32, lake: i64, topics: i64) -> Error {
    let (finish, was, wanted) = (was.flags(), was.describe(), wanted.describe());
    Error::OtherWay { was, wanted, finish, partition, lake, topics }
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
